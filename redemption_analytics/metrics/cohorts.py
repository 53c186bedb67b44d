"""Cohorts: the redemptions of a month, and how many of their points are back some months later."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import narwhals as nw
import numpy as np
import pandas as pd

from redemption_analytics.contract import DECIMAL_PLACES
from redemption_analytics.loading.option_checks import count
from redemption_analytics.metrics.computed import handed_back, keys_of
from redemption_analytics.metrics.grouping import By, names
from redemption_analytics.metrics.sums import summed
from redemption_analytics.moments import Moment
from redemption_analytics.tables.arguments import public
from redemption_analytics.tables.attribution import both_sides
from redemption_analytics.tables.dimensions import DIMENSIONS
from redemption_analytics.tables.frames import as_arrow
from redemption_analytics.tables.lazy import Frame, FrameT, native
from redemption_analytics.tables.movements import Movements
from redemption_analytics.tables.now import moment_or_now
from redemption_analytics.tables.periods import running_start, with_periods
from redemption_analytics.tables.points import check_sums

if TYPE_CHECKING:
    from redemption_analytics.redemptions import Redemptions

_BACK = "points_reversed"


@public
def cohorts(
    r: Redemptions[FrameT], by: By = (), months: int = 12, as_of: Moment | None = None
) -> FrameT:
    """Return the redemptions of each month, and which points of them came back after how long.

    The triangle that finance knows: a cohort is what was redeemed in a month, followed over the
    months after. Months that are not over are not observable yet, and null.

    Parameters
    ----------
    r
        The bundle.
    by
        A name or list of customer_key, program_id, store_code, till_code, redemption_purpose, and
        "custom:NAME": each group has cohorts of its own.
    months
        For how many months after their own cohorts are followed.
    as_of
        A moment, wall-clock, of which a date means all of that day and a month all of it: what
        happened later is not seen. By default now (:attr:`redemption_analytics.Redemptions.now`),
        when the newest export was made.

    Returns
    -------
    frame
        Of the kind that the bundle holds, computed at the call, in long form: a row for each group,
        month and months_after. The columns of ``by``, then month (of the redemptions, its first
        day), redemptions (count) and points_redeemed (points) of the cohort, the same in each of
        its rows; months_after (0 is the month itself, to ``months``); points_reversed (points that
        came back in that month), cumulative_points_reversed (by its end) and cumulative_rate (these
        as a share of points_redeemed). The last three are null where the month is not over, and the
        rate where nothing was redeemed.

    Raises
    ------
    UsageError
        If ``by`` is not one of those named, ``months`` is no whole number of 1 or more, or
        ``as_of`` is no moment.

    Notes
    -----
    Months are those of the calendar, so that what is in the cells of one diagonal came back in one
    month, and is what :func:`redemption_analytics.net_points` with ``basis="event"`` books in it
    (as far as ``months`` reaches). Somebody who redeemed on the 30th had a day in the month itself:
    to compare rates at equal age there is ``reversal_rates(within=...)``.

    Redemptions without a time are in no cohort, reversals without one in no cell; one before its
    redemption counts in the month of that. By program, points follow the breakups as in
    :func:`redemption_analytics.net_points`; points back of no known program are in the null one.

    Examples
    --------
    >>> import redemption_analytics as ra
    >>> r = ra.load("data_samples/organisation").filter(since="2026-08")
    >>> found = ra.cohorts(r, months=3)
    >>> wide = found.pivot(index="month", columns="months_after", values="cumulative_rate")
    >>> wide.astype(float).round(3)
    months_after      0      1     2   3
    month
    2026-08-01    0.039  0.069  0.07 NaN
    2026-09-01    0.054  0.061   NaN NaN
    2026-10-01    0.059    NaN   NaN NaN
    2026-11-01      NaN    NaN   NaN NaN
    """
    groups = names(by, DIMENSIONS, custom_of=r)
    last = count("months", months)
    check_sums(r.point_sums)
    moment = moment_or_now(as_of, r.now)
    moved = Movements.of(r.tables, groups).seen_by(moment, None)
    made, back = (_read(rows) for rows in _sums(moved, groups))
    keys = [*groups, "month"]
    back["months_after"] = np.maximum(_number(back["reversed"]) - _number(back["month"]), 0)
    cells = back.groupby([*keys, "months_after"], dropna=False, as_index=False)[_BACK].sum()
    # By program, points may come back of a cohort that drew on none of it.
    sizes = ["redemptions", "points_redeemed"]
    every = pd.concat([made, back[keys].assign(redemptions=0, points_redeemed=0)])
    every = every.groupby(keys, dropna=False, as_index=False)[sizes].sum()
    grid = every.merge(pd.DataFrame({"months_after": np.arange(last + 1)}), how="cross")
    grid = grid.merge(cells, how="left", on=[*keys, "months_after"])
    running = running_start(moment, "month")
    over = _number(grid["month"]) + grid["months_after"] < running.year * 12 + running.month
    return handed_back(r.points, grid[keys], _measured(grid, keys, over))


def _sums(moved: Movements, by: list[str]) -> tuple[Frame, Frame]:
    """Sum redemptions by month, and reversals by the months of both."""
    carried = [name for name in by if name != "program_id"]
    redeemed, reversed_ = both_sides(moved, by, ["redeemed_time", *carried])
    redeemed = redeemed.filter(~nw.col("redeemed_time").is_null())
    redeemed = with_periods(redeemed, "redeemed_time", ["month"])
    timed = ~nw.col("redeemed_time").is_null() & ~nw.col("reversal_time").is_null()
    reversed_ = with_periods(reversed_.filter(timed), "reversal_time", ["month"])
    reversed_ = with_periods(reversed_.rename({"month": "reversed"}), "redeemed_time", ["month"])
    return (
        summed(redeemed, [*by, "month"], ["redemptions", "points_redeemed"]),
        summed(reversed_, [*by, "month", "reversed"], [_BACK]),
    )


def _read(rows: Frame) -> pd.DataFrame:
    table = as_arrow(native(rows))
    read = keys_of(table, table.column_names)
    sums = [name for name in ("redemptions", "points_redeemed", _BACK) if name in read]
    return read.assign(**{name: table[name].to_numpy() for name in sums})


def _number(month: Any) -> Any:
    """Count months since the year 0."""
    return month.dt.year * 12 + month.dt.month


def _measured(grid: pd.DataFrame, keys: list[str], over: pd.Series) -> dict[str, Any]:
    whole = str(grid["points_redeemed"].dtype) == "int64"
    back = grid[_BACK].fillna(0).astype("Int64" if whole else "float64")
    so_far = back.groupby([grid[name] for name in keys], dropna=False).cumsum()
    if not whole:
        back, so_far = back.round(DECIMAL_PLACES), so_far.round(DECIMAL_PLACES)
    out = grid["points_redeemed"].where(grid["points_redeemed"] > 0).astype("float64")
    rate = so_far.astype("float64") / out
    return {
        "redemptions": grid["redemptions"],
        "points_redeemed": grid["points_redeemed"],
        "months_after": grid["months_after"],
        _BACK: back.where(over),
        "cumulative_points_reversed": so_far.where(over),
        "cumulative_rate": rate.where(over),
    }
