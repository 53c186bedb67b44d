"""Reconciliation: what was open, what moved, what is open then; and both bases of net points."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pandas as pd

from redemption_analytics.contract import DECIMAL_PLACES
from redemption_analytics.errors import refused
from redemption_analytics.metrics.computed import handed_back, keys_of
from redemption_analytics.metrics.sums import summed
from redemption_analytics.options import PERIODS, Period
from redemption_analytics.tables.arguments import public
from redemption_analytics.tables.attribution import both_sides
from redemption_analytics.tables.frames import as_arrow
from redemption_analytics.tables.lazy import Frame, FrameT, native
from redemption_analytics.tables.movements import Movements
from redemption_analytics.tables.periods import with_periods
from redemption_analytics.tables.points import check_sums

if TYPE_CHECKING:
    from redemption_analytics.redemptions import Redemptions

_SUMS = _OUT, _POSTED, _BACK, _OTHERS, _ELSEWHERE = (
    "points_redeemed",
    "points_reversed_posted",
    "points_reversed",
    "reversed_of_other_periods",
    "reversed_in_other_periods",
)


@public
def reconciliation(r: Redemptions[FrameT], period: Period = "month") -> FrameT:
    """Return what ties net points together, by program and period, to the last point.

    A ledger account for each program: it opens with what all periods before left, takes what was
    redeemed and gives what came back, and closes with what the next period opens with. Beside it
    stands what leads from net points as they were posted to net points by redemption date.

    Parameters
    ----------
    r
        The bundle.
    period
        The grain of time: ``"day"``, ``"week"``, ``"month"``, ``"quarter"`` or ``"year"``.

    Returns
    -------
    frame
        Of the kind that the bundle holds, computed at the call: a row for each program (program_id)
        in each period in which points of any program moved; all numbers are points.

        - opening_points, points_redeemed, points_reversed_posted (what came back in the period,
          whenever it had been redeemed) and closing_points: opening + redeemed - reversed;
        - net_points_posted: redeemed - reversed, as
          :func:`redemption_analytics.net_points` has it on basis "event";
        - reversed_of_other_periods: what of points_reversed_posted had been redeemed in another
          period; reversed_in_other_periods: what of the points redeemed in this period came back in
          another one;
        - points_reversed and net_points: by redemption date, as
          :func:`redemption_analytics.net_points` has them by default: net_points_posted +
          reversed_of_other_periods - reversed_in_other_periods.

    Raises
    ------
    UsageError
        If the period is unknown.

    Notes
    -----
    What has no time is posted last, in the null period, so that what closes there is the total of
    all that was loaded. Points follow programs as in :func:`redemption_analytics.net_points`. The
    account opens at 0 with the oldest export, not with what an organisation owed then: it is one of
    points that were redeemed, not of points that customers have.

    Examples
    --------
    >>> import redemption_analytics as ra
    >>> r = ra.load("data_samples/organisation").filter(since="2026-01")
    >>> found = ra.reconciliation(r, "quarter")
    >>> found[found["program_id"] == 973].drop(columns="program_id").set_index("quarter").T
    quarter                    2026-01-01  2026-04-01  2026-07-01  2026-10-01
    opening_points                      0       32466       73875      116263
    points_redeemed                 33664       46322       45773       26208
    points_reversed_posted           1198        4913        3385        1690
    closing_points                  32466       73875      116263      140781
    net_points_posted               32466       41409       42388       24518
    reversed_of_other_periods           0         150         346           5
    reversed_in_other_periods         150         346           5           0
    points_reversed                  1348        5109        3044        1685
    net_points                      32316       41213       42729       24523
    """
    if not isinstance(period, str) or period not in PERIODS:
        raise refused("period", f"one of {', '.join(PERIODS)}", period)
    check_sums(r.point_sums)
    redeemed, reversed_ = (_read(rows) for rows in _sums(Movements.of(r.tables), period))
    keys = ["program_id", period]
    made, back = reversed_["redeemed"], reversed_["reversed"]
    moved = ~((made == back) | (made.isna() & back.isna()))
    booked = [
        redeemed,
        _booked(reversed_, "reversed", period, _POSTED),
        _booked(reversed_, "redeemed", period, _BACK),
        _booked(reversed_[moved], "reversed", period, _OTHERS),
        _booked(reversed_[moved], "redeemed", period, _ELSEWHERE),
    ]
    rows = pd.concat(booked, ignore_index=True)[[*keys, *_SUMS]]
    found = rows.groupby(keys, dropna=False, as_index=False)[list(_SUMS)].sum()
    every = (
        found[["program_id"]]
        .drop_duplicates()
        .merge(found[[period]].drop_duplicates(), how="cross")
    )
    accounts = every.merge(found, how="left", on=keys)
    accounts = accounts.sort_values(keys, na_position="last", ignore_index=True)
    return handed_back(r.points, accounts[keys], _columns(accounts))


def _sums(moved: Movements, period: str) -> tuple[Frame, Frame]:
    """Sum redemptions by period, and reversals by the periods of both."""
    redeemed, reversed_ = both_sides(moved, ["program_id"], ["redeemed_time"])
    redeemed = with_periods(redeemed, "redeemed_time", [period])
    reversed_ = with_periods(reversed_, "redeemed_time", [period]).rename({period: "redeemed"})
    reversed_ = with_periods(reversed_, "reversal_time", [period]).rename({period: "reversed"})
    return (
        summed(redeemed, ["program_id", period], [_OUT], ordered=False),
        summed(reversed_, ["program_id", "redeemed", "reversed"], [_BACK], ordered=False),
    )


def _read(rows: Frame) -> pd.DataFrame:
    table = as_arrow(native(rows))
    return keys_of(table, table.column_names)


def _booked(reversed_: pd.DataFrame, by: str, period: str, name: str) -> pd.DataFrame:
    """Return points that came back under a name, booked in the period of one of their times."""
    return reversed_[["program_id", by, _BACK]].set_axis(["program_id", period, name], axis=1)


def _columns(accounts: pd.DataFrame) -> dict[str, Any]:
    whole = all(accounts[name].dtype == "Int64" for name in _SUMS)
    sums = {
        name: accounts[name].fillna(0).astype("int64" if whole else "float64") for name in _SUMS
    }
    posted = sums[_OUT] - sums[_POSTED]
    closing = posted.groupby(accounts["program_id"], dropna=False).cumsum()
    columns = {
        "opening_points": closing - posted,
        _OUT: sums[_OUT],
        _POSTED: sums[_POSTED],
        "closing_points": closing,
        "net_points_posted": posted,
        _OTHERS: sums[_OTHERS],
        _ELSEWHERE: sums[_ELSEWHERE],
        _BACK: sums[_BACK],
        "net_points": sums[_OUT] - sums[_BACK],
    }
    return {name: column.round(DECIMAL_PLACES) for name, column in columns.items()}
