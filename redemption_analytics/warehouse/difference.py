"""How two versions of a warehouse differ: what came, what went, and what was restated."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc

from redemption_analytics.columns import TABLES
from redemption_analytics.contract import DECIMAL_PLACES
from redemption_analytics.parsing.digests import Numbers
from redemption_analytics.tables.frames import pandas_frame
from redemption_analytics.warehouse.changes import Change, change_of, keys_of, row_numbers
from redemption_analytics.warehouse.files import read_rows
from redemption_analytics.warehouse.log import Entry
from redemption_analytics.warehouse.store import Store


@dataclass(frozen=True)
class Difference:
    """How a later version of a warehouse differs from an earlier one.

    Attributes
    ----------
    before, after
        The versions.
    counts : pandas.DataFrame
        For each table how many rows were ``added``, ``changed`` and ``removed``.
    net_points : pandas.DataFrame
        By how much the totals moved: one row, with ``redemptions``, ``points_redeemed``,
        ``points_reversed`` and ``net_points``.
    came, went : dict of str to pandas.DataFrame
        The rows of each table that are only in the later version, or only in the earlier one.
    restated : pandas.DataFrame
        The values that changed, one in a row: ``table``, ``key``, ``column``, ``before``,
        ``after`` (as text; null for nothing).
    """

    before: int
    after: int
    counts: pd.DataFrame
    net_points: pd.DataFrame
    came: Mapping[str, pd.DataFrame]
    went: Mapping[str, pd.DataFrame]
    restated: pd.DataFrame

    def __repr__(self) -> str:
        moved = self.counts[self.counts[["added", "changed", "removed"]].any(axis=1)]
        if moved.empty:
            return f"versions {self.before} and {self.after} do not differ"
        return (
            f"version {self.before} to {self.after}\n{moved.to_string(index=False)}\n\n"
            f"{self.net_points.to_string(index=False)}"
        )


def difference(store: Store, before: Entry, after: Entry) -> Difference:
    """Compare two versions, by those of their files that they do not share.

    Parameters
    ----------
    store
        Holds the files.
    before, after
        The versions.
    """
    changes = {name: _change(store, name, before, after) for name in TABLES}
    sides = {name: _sides(name, change) for name, change in changes.items()}
    restated = [_restated(name, *both) for name, (_, _, *both) in sides.items()]
    counts = [{"table": name, **change.counts} for name, change in changes.items()]
    return Difference(
        before.version,
        after.version,
        pd.DataFrame(counts),
        _net_points(changes),
        {name: pandas_frame(name, came) for name, (came, *_) in sides.items()},
        {name: pandas_frame(name, went) for name, (_, went, *_) in sides.items()},
        pd.concat(restated, ignore_index=True),
    )


def _change(store: Store, name: str, before: Entry, after: Entry) -> Change:
    old, new = set(before.tables[name]), set(after.tables[name])
    shape = read_rows(store, after.tables[name][0]).slice(0, 0)
    gone = [read_rows(store, file) for file in before.tables[name] if file not in new]
    come = [read_rows(store, file) for file in after.tables[name] if file not in old]
    return change_of(name, pa.concat_tables([shape, *gone]), pa.concat_tables([shape, *come]))


def _sides(name: str, change: Change) -> tuple[pa.Table, pa.Table, pa.Table, pa.Table]:
    """Return what came, what went, and what changed, as it was and as it is, row beside row."""
    keys = keys_of(name)
    gone, come = row_numbers(change.gone, keys), row_numbers(change.come, keys)
    both = np.intersect1d(gone, come)
    return (
        change.come.filter(pa.array(~np.isin(come, both))),
        change.gone.filter(pa.array(~np.isin(gone, both))),
        change.gone.take(pa.array(_places(gone, both))),
        change.come.take(pa.array(_places(come, both))),
    )


def _places(numbers: Numbers, wanted: Numbers) -> np.ndarray[tuple[int], np.dtype[np.int64]]:
    order = np.argsort(numbers)
    return order[np.searchsorted(numbers, wanted, sorter=order)]


def _restated(name: str, before: pa.Table, after: pa.Table) -> pd.DataFrame:
    keys = keys_of(name)
    named = pc.binary_join_element_wise(
        *(pc.fill_null(before[key].cast(pa.string()), "") for key in keys), "/"
    )
    parts = []
    for column in before.column_names:
        old, new = before[column].cast(pa.string()), after[column].cast(pa.string())
        differs = pc.fill_null(
            pc.not_equal(old, new), pc.not_equal(pc.is_null(old), pc.is_null(new))
        )
        if pc.any(differs).as_py():
            part = pa.table({"key": named, "before": old, "after": new}).filter(differs)
            frame = part.to_pandas()
            frame.insert(0, "table", name)
            frame.insert(2, "column", column)
            parts.append(frame)
    columns = ["table", "key", "column", "before", "after"]
    return pd.concat(parts) if parts else pd.DataFrame(columns=columns, dtype="str")


def _net_points(changes: Mapping[str, Change]) -> pd.DataFrame:
    def moved(table: str, column: str) -> float:
        come, gone = (
            pc.sum(rows[column]).as_py() or 0 for rows in (changes[table].come, changes[table].gone)
        )
        by = come - gone
        return round(by, DECIMAL_PLACES) if isinstance(by, float) else by

    points = changes["points"]
    redeemed, reversed_ = moved("points", "points_redeemed"), moved("reversals", "points_reversed")
    return pd.DataFrame(
        [
            {
                "redemptions": points.come.num_rows - points.gone.num_rows,
                "points_redeemed": redeemed,
                "points_reversed": reversed_,
                "net_points": redeemed - reversed_,
            }
        ]
    )
