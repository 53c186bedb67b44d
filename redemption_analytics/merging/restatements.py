"""Restatements: where a later export tells another history than an earlier one."""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc

from redemption_analytics.flattening.flatten import PARENT
from redemption_analytics.merging.cases import RESTATED, cases_of, points_in_words
from redemption_analytics.merging.fates import BREAKUPS
from redemption_analytics.merging.stores import Keep
from redemption_analytics.merging.versions import Mask, Numbers, Versions, codes_of
from redemption_analytics.tables.ledger import no_cases

#: What is told of a restated redemption: its own points come before those of its reversals.
_TOLD = pa.schema(
    [
        ("redemption_key", pa.string()),
        ("reversal_id", pa.int64()),
        ("example", pa.string()),
        ("moved", pa.float64()),
    ]
)


@dataclass
class Restating:
    """Collects the redemptions of which two exports tell different points, programs or breakups.

    How many points moved is counted from each version to the next that tells the same things: by
    how much points were taken out of programs, or put into them, whichever is more. So a change
    from 90 to 80 moves 10, and 10 of 90 that come under another program move 10 too. Points
    reversed count likewise, reversal by reversal.
    """

    _seen: list[tuple[pd.DataFrame, pa.Array, pa.Array]] = field(default_factory=list)
    _back: list[pa.Table] = field(default_factory=list)

    def look(self, versions: Versions) -> None:
        """Look at redemptions."""
        wrong = versions.changed("points_redeemed") | versions.changed("program_id")
        for name in BREAKUPS:
            wrong |= versions.changed(f"_{name}", versions.table[f"_has_{name}"].to_numpy())
        if wrong.any():
            columns = ["redemption_key", "points_redeemed", "program_id"]
            table = versions.table.select(columns).filter(wrong)
            starts = _starts(versions.codes[wrong])
            listed, several = _listed(table["points_redeemed"], starts)
            keys = table["redemption_key"].combine_chunks().take(pa.array(starts))
            said = pc.binary_join_element_wise("redemption ", keys, ": ", listed, "")
            others = pc.binary_join_element_wise(said, ", by other shares", "")
            programs = table["program_id"].cast(pa.string())
            rows = table.set_column(2, "program_id", programs).to_pandas(
                types_mapper={pa.string(): pd.StringDtype(na_value=np.nan)}.get
            )
            rows["row"] = versions.rows[wrong]
            self._seen.append((rows, keys, pc.if_else(pa.array(several), said, others)))

    def look_at_reversals(self, versions: Versions) -> None:
        """Look at reversals, by what was given back."""
        wrong = versions.changed("points_reversed")
        if wrong.any():
            columns = ["redemption_key", "reversal_id", "points_reversed"]
            table = versions.table.select(columns).filter(wrong)
            starts = _starts(versions.codes[wrong])
            steps = np.abs(np.diff(table["points_reversed"].to_numpy(), prepend=0))
            steps[starts] = 0
            moved = np.add.reduceat(steps.astype(float), starts)
            listed, _ = _listed(table["points_reversed"], starts)
            first = table.select(columns[:2]).take(pa.array(starts)).combine_chunks()
            keys, ids = (first[name].combine_chunks() for name in columns[:2])
            said = pc.binary_join_element_wise(
                "redemption ", keys, ", reversal ", ids.cast(pa.string()), ": ", listed, ""
            )
            self._back.append(pa.table([keys, ids, said, pa.array(moved)], schema=_TOLD))

    def cases(self, keep: Keep) -> pa.Table:
        """Say of each redemption what was told, and how many of its points moved."""
        told = self._back
        for rows, keys, said in self._seen:
            ids = pa.nulls(len(keys), pa.int64())
            moved = pa.array(_of_redemptions(keep, rows).to_numpy())
            told.append(pa.table([keys, ids, said, moved], schema=_TOLD))
        if not told:
            return no_cases()
        every = pa.concat_tables(told)
        codes, _ = codes_of(every["redemption_key"])
        ids = every["reversal_id"]
        order = np.lexsort((pc.fill_null(ids, 0).to_numpy(), pc.is_valid(ids).to_numpy(), codes))
        starts = _starts(codes[order])
        moved = every["moved"].to_numpy()[order]
        return cases_of(
            RESTATED,
            "points",
            every["redemption_key"].take(pa.array(order[starts])),
            every["example"].take(pa.array(order[starts])),
            # What is less than nothing by its sign only is nothing.
            pa.array(np.add.reduceat(moved, starts) + 0.0),
        )


def _starts(codes: Numbers) -> Numbers:
    """Return where each run of equal numbers starts."""
    return np.flatnonzero(np.diff(codes, prepend=-1))


def _listed(points: pa.ChunkedArray, starts: Numbers) -> tuple[pa.Array, Mask]:
    """Say for each run of versions what points they tell, and whether these are several."""
    values = points.to_numpy()
    other = np.ones(len(values), bool)
    other[1:] = values[1:] != values[:-1]
    other[starts] = True
    ends = np.append(np.cumsum(other)[starts] - 1, other.sum())
    texts = points_in_words(points.filter(pa.array(other)).combine_chunks())
    lists = pa.ListArray.from_arrays(pa.array(ends, pa.int32()), texts)
    return pc.binary_join(lists, ", then "), np.diff(ends) > 1


def _of_redemptions(keep: Keep, rows: pd.DataFrame) -> pd.Series:
    """Return how many points of each redemption moved, in the order of the rows."""
    shares = _shares(keep, rows)
    # As far as breakups are told, they say what came under which program.
    by_breakup = rows["redemption_key"].isin(shares["key"])
    programs = rows.groupby("redemption_key")["program_id"]
    program = programs.ffill().fillna(programs.bfill())
    whole = pd.DataFrame(
        {
            "key": rows["redemption_key"],
            "row": rows["row"],
            "label": program.where(~by_breakup).fillna(""),
            "points": rows["points_redeemed"],
        }
    )
    both = pd.concat([_moved(whole), _moved(shares)], axis=1).astype("float64")
    # Redemptions stay in the list that moved nothing, as by another program beside a breakup.
    found: pd.Series = both.max(axis=1).reindex(rows["redemption_key"].unique()).fillna(0)
    return found


def _shares(keep: Keep, rows: pd.DataFrame) -> pd.DataFrame:
    """Return the program breakups of some rows of redemptions."""
    keys = rows.set_index("row")["redemption_key"].sort_index()
    wanted = keys.index.to_numpy()
    parts = []
    for batch in keep.batches("program_breakups", [PARENT, *BREAKUPS["program_breakups"]]):
        parents = batch[PARENT].to_numpy()
        places = np.searchsorted(wanted, parents).clip(max=len(wanted) - 1)
        mine = wanted[places] == parents
        if mine.any():
            own = batch.filter(mine)
            parts.append(
                pd.DataFrame(
                    {
                        "key": keys.to_numpy()[places[mine]],
                        "row": parents[mine],
                        "label": own["program_id"].cast(pa.string()).fill_null("").to_pandas(),
                        "points": own["points_redeemed"].to_pandas(),
                    }
                )
            )
    return pd.concat(parts) if parts else pd.DataFrame(columns=["key", "row", "label", "points"])


def _moved(shares: pd.DataFrame) -> pd.Series:
    """Add up what moved between the versions of each key; a version is all shares of a row."""
    versions = shares[["key", "row"]].drop_duplicates().sort_values("row")
    versions["step"] = versions.groupby("key").cumcount()
    versions["last"] = versions.groupby("key")["step"].transform("max")
    rows = shares.merge(versions, on=["key", "row"])
    put = rows[rows["step"] > 0]
    taken = rows[rows["step"] < rows["last"]]
    taken = taken.assign(points=-taken["points"], step=taken["step"] + 1)
    change = pd.concat([put, taken]).groupby(["key", "step", "label"])["points"].sum()
    into = change.clip(lower=0).groupby(["key", "step"]).sum()
    out_of = (-change).clip(lower=0).groupby(["key", "step"]).sum()
    by_key: pd.Series = pd.concat([into, out_of], axis=1).max(axis=1).groupby("key").sum()
    return by_key
