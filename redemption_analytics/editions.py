"""Uniting editions: a redemption of an edition without redemption_id is found again in a newer."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field

import numpy as np
import numpy.typing as npt
import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc

from redemption_analytics.buckets import ROW, buckets, numbered
from redemption_analytics.keeping import Keep
from redemption_analytics.keys import AGREEING, agreement


def _no_rows() -> npt.NDArray[np.int64]:
    return np.array([], np.int64)


@dataclass(frozen=True)
class Renamed:
    """Rows of points that turned out to have another redemption_id.

    Attributes
    ----------
    rows
        Their numbers, ascending.
    ids
        The redemption_id of each.
    """

    rows: npt.NDArray[np.int64] = field(default_factory=_no_rows)
    ids: pa.StringArray = field(default_factory=lambda: pa.array([], pa.string()))

    def __bool__(self) -> bool:
        return len(self.rows) > 0

    def in_place_of(self, old: pa.ChunkedArray, rows: npt.NDArray[np.int64]) -> pa.ChunkedArray:
        """Give the new ids of rows that have one, and what the others had."""
        if not self:
            return old
        places = np.searchsorted(self.rows, rows).clip(max=len(self.rows) - 1)
        others = self.rows[places] != rows
        return pc.coalesce(self.ids.take(pa.array(places, mask=others)), old)


def united_editions(keep: Keep) -> Renamed:
    """Find the redemption_id of redemptions of the editions without one, where a newer shows it.

    An old one is a new one if they agree in customer, time, transaction and points, and there is
    exactly one redemption_id that agrees. Where an answer holds several equal old ones, they are
    different redemptions: then they are taken in order, if there are as many ids as old ones.
    """
    rows, ids = [_no_rows()], [pa.array([], pa.string())]
    for bucket in buckets(_agreeing(keep), "agree", keep.rows("points"), keep.scratch):
        same = _same(bucket)
        rows.append(same["row"].to_numpy())
        ids.append(pa.array(same["id"].tolist(), pa.string()))
    together = np.concatenate(rows)
    order = np.argsort(together)
    return Renamed(together[order], pa.concat_arrays(ids).take(pa.array(order)))


def _agreeing(keep: Keep) -> Iterator[pa.Table]:
    for batch in numbered(
        keep.batches("points", [*AGREEING, "redemption_id", "redemption_key", "_rank"])
    ):
        agree = agreement({name: batch[name] for name in AGREEING})
        yield batch.drop_columns(list(AGREEING)).append_column("agree", agree)


def _same(points: pa.Table) -> pd.DataFrame:
    """Give row and new id of each old redemption that is one of the new ones."""
    is_new = pc.is_valid(points["redemption_id"])
    old, new = points.filter(pc.invert(is_new)), points.filter(is_new)
    # Most of the new ones agree with no old one.
    new = new.filter(pc.is_in(new["agree"], old["agree"]))
    ids = (
        pd.DataFrame({"agree": new["agree"].to_pylist(), "id": new["redemption_id"].to_pylist()})
        .drop_duplicates()
        .sort_values(["agree", "id"], kind="stable")
    )
    ids["rank"] = ids.groupby("agree").cumcount() + 1
    ids["ids"] = ids.groupby("agree")["id"].transform("size")
    old = old.filter(pc.is_in(old["agree"], new["agree"]))
    rows = pd.DataFrame(
        {
            "row": old[ROW].to_numpy(),
            "agree": old["agree"].to_pylist(),
            "key": old["redemption_key"].to_pylist(),
            "rank": old["_rank"].to_numpy(),
        }
    )
    rows["rank"] = rows.groupby("key")["rank"].transform("min")
    rows["equals"] = rows.groupby("agree")["rank"].transform("nunique")
    same = rows.merge(ids, on=["agree", "rank"])
    return same[(same["ids"] == 1) | (same["ids"] == same["equals"])]
