"""What the times of exports say: what now is, and which times in the data cannot be.

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

from redemption_analytics.dating import SLACK, TELLING, DatedBy
from redemption_analytics.flattening.flatten import PARENT
from redemption_analytics.merging.cases import LATE, cases_of
from redemption_analytics.merging.fates import Fate, Rows
from redemption_analytics.merging.partitions import ROW
from redemption_analytics.merging.stores import Keep
from redemption_analytics.merging.told import Given
from redemption_analytics.sources.export import Export

Times = npt.NDArray[np.datetime64]

#: Column that numbers the export of a redemption; it never leaves the library.
EXPORT = "_export"


@dataclass
class _Plausible:
    """Times that stay, looked through batch by batch: the newest of them, and those that cannot be.

    Attributes
    ----------
    newest
        The newest plausible time.
    on_day
        The newest plausible time of the day that is asked for.
    late
        Cases of those after their own export.
    """

    day: datetime | None
    newest: datetime | None = None
    on_day: datetime | None = None
    late: list[pa.Table] = field(default_factory=list)

    def see(self, times: Times) -> None:
        """Note plausible times."""
        if len(times):
            self.newest = max(self.newest or datetime.min, times.max().item())
        if self.day is not None:
            day = np.datetime64(self.day, "us")
            here = times[(times >= day) & (times < day + np.timedelta64(1, "D"))]
            if len(here):
                self.on_day = max(self.on_day or datetime.min, here.max().item())


@dataclass(frozen=True)
class Dated:
    """When an export was made.

    Attributes
    ----------
    exported_at, dated_by
        As the export says.
    read
        When it was read, in UTC.
    """

    exported_at: datetime
    dated_by: DatedBy
    read: datetime


@dataclass
class Dating:
    """The exports that redemptions came from, by number, and how it is known when they were made.

    Attributes
    ----------
    exports
        When each was made.
    read
        When those are read that get their numbers now, in UTC.
    numbers
        The numbers of these, by name.
    made
        The time of the newest export that tells when it was made, where answers are looked at of
        which none may be of it; None where it is among them.
    """

    exports: list[Dated] = field(default_factory=list)
    read: datetime = field(default_factory=lambda: datetime.now(UTC).replace(tzinfo=None))
    numbers: dict[str, int] = field(default_factory=dict)
    made: datetime | None = None

    def number(self, export: Export) -> int:
        """Return the number of an export."""
        if export.name not in self.numbers:
            self.numbers[export.name] = len(self.exports)
            self.exports.append(Dated(export.exported_at, export.dated_by, self.read))
        return self.numbers[export.name]

    def cases(
        self, rows: Rows, fates: Mapping[str, Fate], given: Mapping[str, Given]
    ) -> tuple[list[pa.Table], datetime | None]:
        """Return the cases of times that cannot be, and what now is.

        Parameters
        ----------
        rows
            The rows of the tables, not merged yet.
        fates
            Which rows of points, coupons and reversals stay when they are.
        given
            What these take over from those that go.
        """
        made = self.made or made_of(rows.keep)
        limits = np.array([self._limit(export) for export in self.exports], "datetime64[us]")
        found = _Plausible(made if made is not None and made.time() == time.min else None)
        for name in ("points", "coupons", "reversals"):
            for timed, kind in self._timed(rows, fates[name], given[name]):
                self._look(timed, name, kind, limits, found)
        now = made or found.newest
        if found.on_day is not None:
            now = found.on_day
        return found.late, now

    def _timed(self, rows: Rows, fate: Fate, given: Given) -> Iterator[tuple[pa.Table, str]]:
        """Yield key, time and export of the rows that stay and have a time."""
        key, when = ("redemption_key", "redeemed_time")
        columns, kind = [key, when, EXPORT], "redemption"
        if fate.name == "coupons":
            kind = "coupon redemption"
        if fate.name == "reversals":
            key, when, kind = "reversal_id", "reversal_time", "reversal"
            columns = [key, when, PARENT]
            of_points = self._exports_of(rows.keep)
        start = 0
        for batch in rows.batches(fate.name, columns):
            # A time that only an older export told is the row's, too.
            batch = given.put_into(batch, start)
            start += batch.num_rows
            child = fate.name == "reversals"
            exports = of_points[batch[PARENT].to_numpy()] if child else batch[EXPORT]
            stays = pa.array(fate.stays(batch[ROW].to_numpy()))
            seen = pc.and_(stays, pc.is_valid(batch[when]))
            timed = pa.table({"key": batch[key], "time": batch[when], EXPORT: exports})
            yield timed.filter(seen), kind

    def _exports_of(self, keep: Keep) -> npt.NDArray[np.int32]:
        parts = [batch[EXPORT].to_numpy() for batch in keep.batches("points", [EXPORT])]
        return np.concatenate([np.array([], np.int32), *parts])

    def _look(self, rows: pa.Table, name: str, kind: str, limits: Times, found: _Plausible) -> None:
        times, exports = rows["time"].to_numpy(), rows[EXPORT].to_numpy()
        late = times > limits[exports]
        found.see(times[~late])
        if late.any():
            own = rows.filter(pa.array(late))
            made = pa.array([export.exported_at for export in self.exports], pa.timestamp("us"))
            keys = own["key"].cast(pa.string())
            said = pc.binary_join_element_wise(
                f"{kind} ",
                keys,
                ": ",
                _day(own["time"]),
                ", exported ",
                _day(made.take(own[EXPORT].combine_chunks())),
                "",
            )
            found.late.append(cases_of(LATE, name, keys, said))

    @staticmethod
    def _limit(export: Dated) -> datetime:
        """Return the last time that is plausible in an export."""
        made = export.exported_at
        if export.dated_by not in TELLING:
            made = max(made, export.read)
        elif made.time() == time.min:
            # Of which only the date is known, it may be of that day's last minute.
            made = min(made, datetime.max - SLACK) + timedelta(days=1)
        return min(made, datetime.max - SLACK) + SLACK


def made_of(keep: Keep) -> datetime | None:
    """Return the time of the newest export that tells when it was made."""
    newest: datetime | None = None
    for batch in keep.batches("responses", ["exported_at", "dated_by"]):
        telling = pc.is_in(batch["dated_by"], pa.array(TELLING))
        made = pc.max(batch["exported_at"].filter(telling)).as_py()
        if made is not None and (newest is None or made > newest):
            newest = made
    return newest


def _day(times: pa.Array | pa.ChunkedArray) -> pa.Array | pa.ChunkedArray:
    """Write the day of times."""
    return times.cast(pa.date32(), safe=False).cast(pa.string())
