"""Merging: what was seen more than once becomes one row.

Exports overlap and repeat. Tables come in here in the order of the exports' times, so of two
occurrences the later row is the newer; everything else follows from that. Which rows stay is found
from the keys alone; then each batch of a table is put into its final form by itself.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from functools import partial

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from redemption_analytics.buckets import ROW, buckets, numbered
from redemption_analytics.dating import Dating
from redemption_analytics.editions import Renamed, united_editions
from redemption_analytics.errors import RedemptionAnalyticsError
from redemption_analytics.flatten import PARENT, PARENTS, Tables
from redemption_analytics.keeping import Keep
from redemption_analytics.ledger import Finding

Mask = npt.NDArray[np.bool_]

#: The columns whose values must be there once.
KEYS = {
    "customers": "customer_key",
    "coupons": "redemption_key",
    "points": "redemption_key",
    "reversals": "reversal_id",
}


@dataclass(frozen=True)
class _Kept:
    """Which rows of a table stay, when of those with equal keys only the last one does.

    Attributes
    ----------
    stays
        Whether each row stays.
    several
        Whether its key occurs more than once.
    """

    stays: Mask
    several: Mask

    @property
    def all(self) -> bool:
        return bool(self.stays.all())


class Merging:
    """Merges tables that grow block by block.

    A redemption is one row, its fields and breakups those of its newest occurrence, its reversals
    those of all of them; so is a customer, a coupon, and a reversal.

    Attributes
    ----------
    merged
        How many rows of each table went into others.
    """

    def __init__(self, keep: Keep, dating: Dating):
        self.merged: Counter[str] = Counter()
        self._keep = keep
        self._dating = dating
        self._editions: set[str] = set()

    def add(self, tables: Tables) -> None:
        """Add the settled tables of a block, which are newer than those before."""
        starts = {parent: self._keep.rows(parent) for parent in set(PARENTS.values())}
        for name, table in tables.items():
            if name in PARENTS:
                place = table.schema.get_field_index(PARENT)
                shifted = pc.add(table[PARENT], starts[PARENTS[name]])
                table = table.set_column(place, PARENT, shifted)
            self._keep.append(name, table)
        old = tables["points"]["redemption_id"].null_count
        if old:
            self._editions.add("old")
        if old < tables["points"].num_rows:
            self._editions.add("new")

    def finish(self) -> list[Finding]:
        """Merge what was added, and tell what only merging can see.

        Raises
        ------
        RedemptionAnalyticsError
            If a key is there twice after that: a fault of this library, never of the data.
        """
        mixed = self._editions == {"old", "new"}
        renamed = united_editions(self._keep) if mixed else Renamed()
        kept = {name: self._kept(name, renamed) for name in KEYS}
        findings = [
            self._vanished(kept["points"], kept["reversals"], renamed),
            self._conflicting(kept["points"], renamed),
            *self._dating.findings(
                self._keep,
                {name: kept[name].stays for name in ("points", "coupons", "reversals")},
                kept["points"].several,
                renamed,
            ),
        ]
        changes = {}
        for name in (*KEYS, *PARENTS):
            # A reversal stays by its own id; other children do as their parents do.
            whose = name if name in KEYS else PARENTS[name]
            ids = renamed if "points" in (name, PARENTS.get(name)) else Renamed()
            if ids or not kept[whose].all:
                stays = kept[whose].stays
                changes[name] = partial(_final, stays=stays, own=whose == name, renamed=ids)
        before = {name: self._keep.rows(name) for name in changes}
        self._keep.rewrite(changes)
        self.merged.update({name: before[name] - self._keep.rows(name) for name in changes})
        self._check_unique(changes)
        return findings

    def _check_unique(self, changed: Iterable[str]) -> None:
        for name in KEYS.keys() & changed:
            key = KEYS[name]
            if not self._kept(name, Renamed()).all:
                raise RedemptionAnalyticsError(
                    f"{name}: a {key} is there twice after merging. This is a fault of"
                    " redemption_analytics: please report it"
                )

    def _rows(self, name: str, columns: list[str], renamed: Renamed) -> Iterator[pa.Table]:
        """Give some columns of a table, under the keys that its rows have in the end."""
        for batch in numbered(self._keep.batches(name, columns)):
            if renamed and name == "points":
                keys = renamed.in_place_of(batch["redemption_key"], batch[ROW].to_numpy())
                place = batch.schema.get_field_index("redemption_key")
                batch = batch.set_column(place, "redemption_key", keys)
            yield batch

    def _kept(self, name: str, renamed: Renamed) -> _Kept:
        key, count = KEYS[name], self._keep.rows(name)
        stays, several = np.ones(count, bool), np.zeros(count, bool)
        for bucket in buckets(self._rows(name, [key], renamed), key, count, self._keep.scratch):
            codes, keys = _codes(bucket[key])
            if keys < len(codes):
                rows = bucket[ROW].to_numpy()
                times = np.bincount(codes, minlength=keys)
                several[rows] = times[codes] > 1
                stays[rows] = False
                stays[rows[_last(codes, keys)]] = True
        return _Kept(stays, several)

    def _vanished(self, points: _Kept, reversals: _Kept, renamed: Renamed) -> Finding:
        """Find reversals that the newest export of their redemption does not show any more."""
        count, example = 0, None
        if not points.all:
            columns = [PARENT, "reversal_id", "redemption_key"]
            for batch in numbered(self._keep.batches("reversals", columns)):
                parents = batch[PARENT].to_numpy()
                gone = reversals.stays[batch[ROW].to_numpy()] & ~points.stays[parents]
                first = int(np.argmax(gone)) if gone.any() else None
                if first is not None and example is None:
                    keys = renamed.in_place_of(batch["redemption_key"], parents)
                    example = f"reversal {batch['reversal_id'][first]} of redemption {keys[first]}"
                count += int(gone.sum())
        return Finding("vanished_reversals", count, example)

    def _conflicting(self, points: _Kept, renamed: Renamed) -> Finding:
        """Find redemption_ids that came with more than one customer."""
        repeated = int(points.several.sum())
        if not repeated:
            return Finding("conflicting_customer", 0, None)
        key = "redemption_key"
        rows = (
            batch.filter(pa.array(points.several[batch[ROW].to_numpy()]))
            for batch in self._rows("points", [key, "customer_key"], renamed)
        )
        count, example, earliest = 0, None, len(points.stays)
        for bucket in buckets(rows, key, repeated, self._keep.scratch):
            codes, keys = _codes(bucket[key])
            last = bucket[ROW].to_numpy()[_last(codes, keys)]
            named = pc.is_valid(bucket["customer_key"]).to_numpy()
            customers, _ = _codes(bucket["customer_key"])
            pairs = np.unique(np.column_stack([codes[named], customers[named]]), axis=0)
            several = np.flatnonzero(np.bincount(pairs[:, 0], minlength=keys) > 1)
            count += len(several)
            if len(several) and last[several].min() < earliest:
                earliest = last[several].min()
                place = int(np.flatnonzero(bucket[ROW].to_numpy() == earliest)[0])
                example = f"redemption {bucket[key][place]}"
        return Finding("conflicting_customer", count, example)


def _codes(values: pa.ChunkedArray) -> tuple[npt.NDArray[np.int64], int]:
    """Give a number for each value of a column, the same to equal ones, and how many there are."""
    encoded = values.combine_chunks().dictionary_encode("encode")
    return encoded.indices.to_numpy().astype(np.int64), len(encoded.dictionary)


def _last(codes: npt.NDArray[np.int64], count: int) -> npt.NDArray[np.int64]:
    """Find the last place of each code."""
    last = np.zeros(count, np.int64)
    # Of several assignments to one place numpy keeps the last.
    last[codes] = np.arange(len(codes))
    return last


def _final(batch: pa.Table, start: int, *, stays: Mask, own: bool, renamed: Renamed) -> pa.Table:
    """Give a batch its final form: the rows that stay, under their final keys."""
    rows = np.arange(start, start + batch.num_rows)
    parents = batch[PARENT].to_numpy() if PARENT in batch.column_names else rows
    for name in ("redemption_key", "redemption_id"):
        if renamed and name in batch.column_names:
            place = batch.schema.get_field_index(name)
            ids = renamed.in_place_of(batch[name], parents)
            batch = batch.set_column(place, batch.schema.field(name), ids)
    mask = stays[rows if own else parents]
    batch = batch.select([name for name in batch.column_names if not name.startswith("_")])
    return batch if mask.all() else batch.filter(pa.array(mask))
