"""Conflicts: one reversal_id that stands in two redemptions."""

from __future__ import annotations

import json
from dataclasses import dataclass, field

import numpy as np
import numpy.typing as npt
import pandas as pd
import pyarrow as pa

from redemption_analytics.flattening.flatten import ANSWER, PARENT
from redemption_analytics.merging.fates import Fate, Rows
from redemption_analytics.merging.partitions import ROW, partitions
from redemption_analytics.merging.stores import Keep

#: Where reversals stand in an answer.
PATH = "$.response.customer.redemptions.points.point.reversals"


def _no_rows() -> npt.NDArray[np.int64]:
    return np.array([], np.int64)


@dataclass(frozen=True)
class RefusedReversal:
    """A reversal that was refused: the answer that told it, why, and what it said."""

    answer: int
    reason: str
    raw: str


@dataclass(frozen=True)
class Refused:
    """The reversals that were refused.

    Attributes
    ----------
    rows
        Their rows, ascending.
    reversals
        What to tell of each.
    conflicts
        Each reversal_id, and what to tell of it.
    """

    rows: npt.NDArray[np.int64] = field(default_factory=_no_rows)
    reversals: tuple[RefusedReversal, ...] = ()
    conflicts: tuple[tuple[str, str], ...] = ()

    def __bool__(self) -> bool:
        return len(self.rows) > 0


def refused_reversals(rows: Rows, fate: Fate) -> Refused:
    """Find reversals whose reversal_id another redemption has too.

    The redemption keeps it of which the newest export told it; of equally new ones the first by its
    key. What was told of it under the others is refused.

    Parameters
    ----------
    rows
        The rows that were kept.
    fate
        Which reversals have a reversal_id that occurs more than once.
    """
    if not fate.several.any():
        return Refused()
    columns = ["reversal_id", "redemption_key", PARENT]
    repeated = (
        batch.filter(pa.array(fate.several[batch[ROW].to_numpy()]))
        for batch in rows.batches("reversals", columns)
    )
    conflicts = []
    count = int(fate.several.sum())
    for partition in partitions(repeated, "reversal_id", count, rows.keep.scratch):
        frame = partition.to_pandas()
        keys = frame.groupby("reversal_id")["redemption_key"]
        conflicts.append(frame[(keys.transform("nunique") > 1).astype(bool)])
    found = pd.concat(conflicts)
    return Refused() if found.empty else _refused(rows.keep, found)


def _refused(keep: Keep, found: pd.DataFrame) -> Refused:
    found["answer"] = _values_at(keep, "points", ANSWER, found[PARENT])
    found["exported_at"] = _values_at(keep, "responses", "exported_at", found["answer"])
    last = found.groupby(["reversal_id", "redemption_key"])["exported_at"].max().reset_index()
    last = last.sort_values(
        ["reversal_id", "exported_at", "redemption_key"], ascending=[True, False, True]
    )
    keeps = last.drop_duplicates("reversal_id").set_index("reversal_id")["redemption_key"]
    found["kept_by"] = found["reversal_id"].map(keeps)
    lost = found[found["kept_by"] != found["redemption_key"]].sort_values(ROW)
    for name in ("points_reversed", "reversal_time"):
        lost[name] = _values_at(keep, "reversals", name, lost[ROW])
    refused = tuple(
        RefusedReversal(answer, _reason(*names), _raw(*names, *said))
        for answer, names, said in zip(
            lost["answer"].tolist(),
            lost[["reversal_id", "redemption_key", "kept_by"]].itertuples(index=False, name=None),
            lost[["points_reversed", "reversal_time"]].itertuples(index=False, name=None),
            strict=True,
        )
    )
    others = lost.groupby(["reversal_id", "kept_by"])["redemption_key"].min()
    conflicts = tuple(
        (str(id_), f"reversal {id_} of redemption {kept_by} and of {key}")
        for id_, kept_by, key in others.reset_index().itertuples(index=False, name=None)
    )
    return Refused(lost[ROW].to_numpy(), refused, conflicts)


def _values_at(keep: Keep, name: str, column: str, rows: pd.Series) -> np.ndarray:
    """Look values of a few rows up."""
    wanted, places = np.unique(rows.to_numpy(), return_inverse=True)
    parts, start = [], 0
    for batch in keep.batches(name, [column]):
        first, end = np.searchsorted(wanted, [start, start + batch.num_rows])
        parts.append(batch[column].take(pa.array(wanted[first:end] - start)).to_pandas())
        start += batch.num_rows
    found: np.ndarray = pd.concat(parts).to_numpy()[places]
    return found


def _reason(id_: int, key: str, kept_by: str) -> str:
    return (
        f"reversal_id {id_} of redemption {key} is also that of a reversal of redemption"
        f" {kept_by}, which keeps it"
    )


def _raw(id_: int, _key: str, _kept_by: str, points: float, time: pd.Timestamp) -> str:
    when = None if pd.isna(time) else str(time)
    return json.dumps({"reversal_id": id_, "points_reversed": points, "reversal_time": when})
