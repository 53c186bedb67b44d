"""What is known from when exports were made: now, times after it, and what their dates decided.

Nothing happens after its own export, but for a day's slack: times are those of the organisation's
wall clock, and the dates of exports may be UTC's. Where only the file's modification or the reading
dates an export, which copies do not keep, nothing happens after the reading.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime, time, timedelta

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from redemption_analytics.buckets import ROW, buckets, numbered
from redemption_analytics.editions import Renamed
from redemption_analytics.exports import DatedBy, Export
from redemption_analytics.flatten import PARENT
from redemption_analytics.keeping import Keep
from redemption_analytics.ledger import NOW, Finding

Mask = npt.NDArray[np.bool_]
Times = npt.NDArray[np.datetime64]

#: Column that numbers the export of a redemption; it never leaves the library.
EXPORT = "_export"

#: What tells when an export was made.
TELLING: tuple[DatedBy, ...] = ("given", "path")

#: So much later than its export may a time be, for another time zone.
SLACK = timedelta(days=1)


@dataclass
class _Plausible:
    """Times that stay, looked through one by one: the newest of them, and those that cannot be.

    Attributes
    ----------
    newest
        The newest plausible time.
    on_day
        The newest plausible time of the day that is asked for.
    late
        How many are after their own export.
    example
        One of them.
    """

    day: datetime | None
    newest: datetime | None = None
    on_day: datetime | None = None
    late: int = 0
    example: str | None = None

    def see(self, times: Times) -> None:
        """Take plausible times into account."""
        if len(times):
            self.newest = max(self.newest or datetime.min, times.max().item())
        if self.day is not None:
            day = np.datetime64(self.day, "us")
            here = times[(times >= day) & (times < day + np.timedelta64(1, "D"))]
            if len(here):
                self.on_day = max(self.on_day or datetime.min, here.max().item())


@dataclass
class Dating:
    """The exports that redemptions came from, by number, and how it is known when they were made.

    Attributes
    ----------
    read
        When they are read, in UTC.
    """

    read: datetime = field(default_factory=lambda: datetime.now(UTC).replace(tzinfo=None))
    _numbers: dict[int, int] = field(default_factory=dict)
    _exports: list[Export] = field(default_factory=list)

    def number(self, export: Export) -> int:
        """Give an export its number."""
        if id(export) not in self._numbers:
            self._numbers[id(export)] = len(self._exports)
            self._exports.append(export)
        return self._numbers[id(export)]

    def findings(
        self, keep: Keep, stays: Mapping[str, Mask], several: Mask, renamed: Renamed
    ) -> list[Finding]:
        """Tell what now is, which times cannot be, and what modification times decided.

        Parameters
        ----------
        keep
            The tables, not merged yet.
        stays
            Which rows of points, coupons and reversals stay when they are.
        several
            Which points redemptions were seen more than once.
        renamed
            Those that turned out to have another redemption_id.
        """
        made = self._made(keep)
        limits = np.array([self._limit(export) for export in self._exports], "datetime64[us]")
        found = _Plausible(made if made is not None and made.time() == time.min else None)
        for name in ("points", "coupons", "reversals"):
            for rows, kind in self._timed(keep, name, stays[name], renamed):
                self._look(rows, kind, limits, found)
        now = made or found.newest
        if found.on_day is not None:
            now = found.on_day
        return [
            Finding("times_after_export", found.late, found.example),
            self._undated_overlaps(keep, several, renamed),
            Finding(NOW, int(now is not None), None if now is None else now.isoformat()),
        ]

    def _made(self, keep: Keep) -> datetime | None:
        """Give the time of the newest export that tells when it was made."""
        newest: datetime | None = None
        for batch in keep.batches("responses", ["exported_at", "dated_by"]):
            telling = pc.is_in(batch["dated_by"], pa.array(TELLING))
            made = pc.max(batch["exported_at"].filter(telling)).as_py()
            if made is not None and (newest is None or made > newest):
                newest = made
        return newest

    def _timed(
        self, keep: Keep, name: str, stays: Mask, renamed: Renamed
    ) -> Iterator[tuple[pa.Table, str]]:
        """Give key, time and export of the rows that stay and have a time."""
        key, when = ("redemption_key", "redeemed_time")
        columns, kind = [key, when, EXPORT], "redemption"
        if name == "coupons":
            kind = "coupon redemption"
        if name == "reversals":
            key, when, kind = "reversal_id", "reversal_time", "reversal"
            columns = [key, when, PARENT]
            of_points = self._exports_of(keep)
        for batch in numbered(keep.batches(name, columns)):
            rows = batch[ROW].to_numpy()
            exports = of_points[batch[PARENT].to_numpy()] if name == "reversals" else batch[EXPORT]
            keys = batch[key]
            if name == "points":
                keys = renamed.in_place_of(keys, rows)
            seen = pc.and_(pa.array(stays[rows]), pc.is_valid(batch[when]))
            timed = pa.table({"key": keys, "time": batch[when], EXPORT: exports})
            yield timed.filter(seen), kind

    def _exports_of(self, keep: Keep) -> npt.NDArray[np.int32]:
        parts = [batch[EXPORT].to_numpy() for batch in keep.batches("points", [EXPORT])]
        return np.concatenate([np.array([], np.int32), *parts])

    def _look(self, rows: pa.Table, kind: str, limits: Times, found: _Plausible) -> None:
        times, exports = rows["time"].to_numpy(), rows[EXPORT].to_numpy()
        late = times > limits[exports]
        found.see(times[~late])
        if late.any():
            first = int(np.argmax(late))
            made = self._exports[exports[first]].exported_at
            if found.example is None:
                found.example = (
                    f"{kind} {rows['key'][first]}: {times[first].item():%Y-%m-%d},"
                    f" exported {made:%Y-%m-%d}"
                )
            found.late += int(late.sum())

    def _limit(self, export: Export) -> datetime:
        """Give the last time that is plausible in an export."""
        made = export.exported_at
        if export.dated_by not in TELLING:
            made = max(made, self.read)
        return min(made, datetime.max - SLACK) + SLACK

    def _undated_overlaps(self, keep: Keep, several: Mask, renamed: Renamed) -> Finding:
        """Find redemptions of several exports, of which one does not tell when it was made."""
        name, key = "undated_overlaps", "redemption_key"
        undated = np.array([export.dated_by not in TELLING for export in self._exports], bool)
        if not undated.any() or not several.any():
            return Finding(name, 0, None)

        def seen_again() -> Iterator[pa.Table]:
            for batch in numbered(keep.batches("points", [key, EXPORT])):
                rows = batch[ROW].to_numpy()
                keys = renamed.in_place_of(batch[key], rows)
                yield pa.table({key: keys, EXPORT: batch[EXPORT], ROW: batch[ROW]}).filter(
                    pa.array(several[rows])
                )

        count, example, earliest = 0, None, len(several)
        for bucket in buckets(seen_again(), key, int(several.sum()), keep.scratch):
            encoded = bucket[key].combine_chunks().dictionary_encode("encode")
            codes, exports = encoded.indices.to_numpy(), bucket[EXPORT].to_numpy()
            pairs = np.unique(np.column_stack([codes, exports]), axis=0)
            many = len(encoded.dictionary)
            unsure = np.bincount(pairs[:, 0], minlength=many) > 1
            unsure &= np.bincount(pairs[:, 0], undated[pairs[:, 1]], minlength=many) > 0
            count += int(unsure.sum())
            rows = bucket[ROW].to_numpy()[unsure[codes]]
            if len(rows) and rows.min() < earliest:
                earliest = rows.min()
                place = int(np.flatnonzero(bucket[ROW].to_numpy() == earliest)[0])
                example = f"redemption {bucket[key][place]}"
        return Finding(name, count, example)
