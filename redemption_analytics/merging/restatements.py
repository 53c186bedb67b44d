"""Restatements: where a later export tells another history than an earlier one."""

from __future__ import annotations

from dataclasses import dataclass, field
from functools import partial

import numpy as np
import pandas as pd
import pyarrow as pa

from redemption_analytics.contract import DECIMAL_PLACES
from redemption_analytics.flattening.flatten import PARENT
from redemption_analytics.merging.fates import BREAKUPS
from redemption_analytics.merging.stores import Keep
from redemption_analytics.merging.versions import Versions


@dataclass
class Restating:
    """Collects the redemptions of which two exports tell different points, programs or breakups.

    How many points moved is counted from each version to the next that tells the same things: by
    how much points were taken out of programs, or put into them, whichever is more. So a change
    from 90 to 80 moves 10, and 10 of 90 that come under another program move 10 too. Points
    reversed count likewise, reversal by reversal.
    """

    _seen: list[pd.DataFrame] = field(default_factory=list)
    _back: list[pd.DataFrame] = field(default_factory=list)

    def look(self, versions: Versions) -> None:
        """Look at redemptions."""
        wrong = versions.changed("points_redeemed") | versions.changed("program_id")
        for name in BREAKUPS:
            wrong |= versions.changed(f"_{name}", versions.table[f"_has_{name}"].to_numpy())
        if wrong.any():
            columns = ["redemption_key", "points_redeemed", "program_id"]
            table = versions.table.select(columns).filter(wrong)
            programs = table["program_id"].cast(pa.string())
            rows = table.set_column(2, "program_id", programs).to_pandas(
                types_mapper={pa.string(): pd.StringDtype(na_value=np.nan)}.get
            )
            rows["row"] = versions.rows[wrong]
            self._seen.append(rows)

    def look_at_reversals(self, versions: Versions) -> None:
        """Look at reversals, by what was given back."""
        wrong = versions.changed("points_reversed")
        if wrong.any():
            columns = ["redemption_key", "reversal_id", "points_reversed"]
            rows = versions.table.select(columns).filter(wrong).to_pandas()
            self._back.append(rows)

    def found(self, keep: Keep) -> tuple[int, str | None]:
        """Count the redemptions, and say of one what was told, and how many points moved in all."""
        moved = [*map(partial(_of_redemptions, keep), self._seen), *map(_of_reversals, self._back)]
        if not moved:
            return 0, None
        all_moved = pd.concat(moved)
        keys = sorted(set(all_moved.index))
        return len(keys), f"{self._said(keys[0])}; {_number(all_moved.sum())} points moved in all"

    def _said(self, key: str) -> str:
        for rows in self._seen:
            own = rows[rows["redemption_key"] == key]
            if len(own):
                points = _listed(own["points_redeemed"])
                several = ", then " in points
                return f"redemption {key}: {points if several else f'{points}, by other shares'}"
        for rows in self._back:
            own = rows[rows["redemption_key"] == key]
            if len(own):
                one = own[own["reversal_id"] == own["reversal_id"].iloc[0]]
                reversal = one["reversal_id"].iloc[0]
                points = _listed(one["points_reversed"])
                return f"redemption {key}, reversal {reversal}: {points}"
        return f"redemption {key}"


def _listed(points: pd.Series) -> str:
    told = [_number(value) for value in points]
    return ", then ".join(v for n, v in enumerate(told) if not n or v != told[n - 1])


def _number(points: float) -> str:
    rounded = round(float(points), DECIMAL_PLACES)
    return str(int(points)) if rounded == int(rounded) else str(rounded)


def _of_redemptions(keep: Keep, rows: pd.DataFrame) -> pd.Series:
    """Return how many points of each redemption moved."""
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


def _of_reversals(rows: pd.DataFrame) -> pd.Series:
    steps = rows.groupby("reversal_id")["points_reversed"].diff().abs().fillna(0)
    by_key: pd.Series = steps.groupby(rows["redemption_key"]).sum()
    return by_key


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
    out_of = -change.clip(upper=0).groupby(["key", "step"]).sum()
    by_key: pd.Series = pd.concat([into, out_of], axis=1).max(axis=1).groupby("key").sum()
    return by_key
