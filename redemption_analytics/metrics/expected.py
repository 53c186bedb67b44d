"""Expected reversals: how many of the points already redeemed will still come back."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import TYPE_CHECKING

import narwhals as nw
import numpy as np

from redemption_analytics.metrics.at_risk import (
    Followed,
    computed_once,
    unit,
    units_and_reversals,
    watched,
    with_age,
)
from redemption_analytics.metrics.computed import handed_back, numbered
from redemption_analytics.metrics.forecast import Level, Open, at_risk, delays
from redemption_analytics.metrics.grouping import By, names
from redemption_analytics.moments import Moment, Span, whole_days
from redemption_analytics.options import PERIODS
from redemption_analytics.tables.arguments import public
from redemption_analytics.tables.frames import as_arrow
from redemption_analytics.tables.lazy import Frame, FrameT, native
from redemption_analytics.tables.movements import Movements
from redemption_analytics.tables.now import moment_or_now
from redemption_analytics.tables.points import exact, rounded

if TYPE_CHECKING:
    from redemption_analytics.redemptions import Redemptions


#: What to keep in reserve, said in one way on the page and in the notebooks.
ADVICE = (
    "Keep the upper end of the interval in reserve: in 39 of 40 cases no more comes back, while"
    " more than expected comes back about every second time."
)


@public
def expected_reversals(
    r: Redemptions[FrameT],
    by: By = (),
    horizon: Span = "90D",
    as_of: Moment | None = None,
) -> FrameT:
    """Estimate how many of the points already redeemed will still come back.

    Of redemptions younger than the horizon, what is not reversed yet, times the chance that it
    will be. Keep the upper end of the interval in reserve: in 39 of 40 cases no more comes back,
    while more than expected comes back about every second time.

    Parameters
    ----------
    r
        The bundle.
    by
        As in :func:`redemption_analytics.net_points`; periods are those of the redemption.
    horizon
        A span in whole days, a timedelta or text with its unit such as ``"90D"`` or ``"4W"``: the
        age at which a redemption is taken as settled. What is expected comes back at an age up to
        it, so within as long from ``as_of``.
    as_of
        A moment, wall-clock, of which a date means all of that day and a month all of it: what
        happened later is not seen. By default now (:attr:`redemption_analytics.Redemptions.now`),
        when the newest export was made.

    Returns
    -------
    frame
        Of the kind that the bundle holds, computed at the call even where frames are lazy: only
        sums by group and day leave the engine. The columns of ``by``, then open_redemptions
        (redemptions younger than the horizon that are not fully reversed), open_points (their
        points less those that came back), expected_points (of these, how many will come back), low
        and high (points, the 95 % prediction interval of what will come back). Groups without open
        points have no row; without ``by``, there is always one.

    Raises
    ------
    UsageError
        If ``by``, ``horizon`` or ``as_of`` makes no sense.

    Notes
    -----
    With u the share of points that comes back in the end, and g(a) the part of these that is back
    at age a, an open point of age a comes back with the chance u (1 - g(a)) / (1 - u g(a)).

    g is how soon points come back: the curve of points in terms of its end
    (:func:`redemption_analytics.reversal_curve`, ``weight="points"``, but those who leave during a
    day are at risk for half of it). u is what came back over what would have if all did, the sum of
    points times g at their age now: actual over exposed, the "used-up premium" of the Cape Cod
    method (S. Gluck, "Balancing development and trend in loss reserve analysis", Proceedings of the
    Casualty Actuarial Society 84, 1997). Rates rise and fall, so the recent weigh more: a
    redemption weighs half as much as one that is younger by as many days as hold 60 reversed
    redemptions (14 to 730).

    Each group has its own u and g, but not each period: a period is seen at too few ages to foresee
    the next, so those of one program, say, share what is known of the program. A small group leans
    on all together: of g by what ten reversals tell, of u as far as groups of one kind are alike,
    whose rates have a standard deviation of half their mean. At an age that no redemption of a
    group has reached it goes on with the hazards of all. Where all are few, one reversal evenly
    over the days stands beside those that were seen.

    The interval holds two uncertainties. A redemption's open points come back together or not at
    all, each redemption on its own: with n points at chance p that is a variance of n^2 p (1 - p),
    the most that is possible. And u is an estimate: H. Jeffreys' beta distribution after as many
    redemptions as the weighted ones are worth (L. Kish, "Survey Sampling", 1965), so that nothing
    ever reversed does not mean that nothing will be. Few data so give a wide interval, up to all or
    nothing. The sum is skew when it hangs on few redemptions, so the interval is that of a gamma
    distribution shifted to the same mean, variance and skewness (N. L. Bowers et al., "Actuarial
    Mathematics", 1997, chapter 12), its quantiles those of E. B. Wilson and M. M. Hilferty, "The
    distribution of chi-square", PNAS 17, 1931. It begins at 0 where the chance that nothing comes
    back is above 2.5 %, reaches what one redemption has where the chance that any does is, and ends
    at open_points at the latest.

    ``benchmarks/reserve.py`` simulates, with rates that stay, rise and fall. Of a hundred intervals
    each from 5 and 50 redemptions a year all held the truth (they are wide), from 500 there were 92
    to 99, from 5,000 there were 93 to 96. With 3, 15 and 60 redemptions a day the mean error is
    below a chain ladder's, and where rates change below that of a curve that weighs all redemptions
    alike. Where they stay, that curve is better by some 2 % of the truth: the price of following.
    Few reversals are followed late: with one in four days the estimate is 18 % below the truth
    while the rate triples in three years, and 35 % above it while it falls as much.

    Redemptions without a time are left out. By program, points that came back of no known program
    are taken from the redemption's open points in each program in proportion, so that open_points
    over programs add up to the total.

    Examples
    --------
    >>> import redemption_analytics as ra
    >>> r = ra.load("data_samples/organisation")
    >>> ra.expected_reversals(r, by="program_id", as_of="2026-11-20T00:00").round(1)
       program_id  open_redemptions  open_points  expected_points    low    high
    0         469               955       165913            955.0   25.5  2522.7
    1         973               274        43630            222.5    0.0  1039.5
    2        1234               462        67650           1342.8  149.4  3207.7
    3        1886               336        48627            339.3    0.0  1119.3
    """
    groups = names(by, custom_of=r)
    days = whole_days(horizon, "horizon")
    moment = moment_or_now(as_of, r.now)
    moved = watched(r, groups, moment)
    units, backs = computed_once(r, moved, *units_and_reversals(moved, groups))
    curved = [name for name in groups if name not in PERIODS]
    followed = Followed.of(units, backs, curved, "points", days, moment)
    leaving, cohorts, still_open = (
        as_arrow(native(rows))
        for rows in (
            _leaving(followed, curved, days),
            _cohorts(followed, curved),
            _open(moved, units, backs, groups, days, moment),
        )
    )
    (left, cohort, curve_of_row), curves = numbered(curved, leaving, cohorts, still_open)
    (group,), keys = numbered(groups, still_open)
    curve_of = np.zeros(len(keys), np.int64)
    curve_of[group] = curve_of_row
    reversals = np.bincount(cohort, cohorts["reversals"].to_numpy(), minlength=len(curves))
    delay = delays(*at_risk(leaving, left, len(curves), days), reversals)
    level = Level.of(cohorts, cohort, delay).taken(curve_of)
    found = Open.of(still_open, group, len(keys), days).forecast(level, delay[curve_of])
    return handed_back(r.points, keys, found)


def _open(
    moved: Movements, units: Frame, backs: Frame, by: Sequence[str], days: int, as_of: datetime
) -> Frame:
    """Sum by age what is still open of redemptions younger than the horizon.

    Returns
    -------
    frame
        The columns of ``by``, age (in days), units, redemptions, points, and squares and cubes (of
        the points of each unit).
    """
    key = unit(by)
    kind = units.collect_schema()["points_redeemed"]
    back = backs.group_by(*key).agg(back=nw.col("points_reversed").sum())
    rest = nw.col("points_redeemed") - nw.col("back").fill_null(0).cast(kind)
    rows = units.join(back, on=key, how="left").with_columns(points=exact(rest, kind))
    rows = rows.filter((nw.col("points") > 0) & ~nw.col("redeemed_time").is_null())
    rows = with_age(rows, "age", as_of).filter(nw.col("age") < days)
    if "program_id" in by:
        rows = _without_unknown(rows, moved, kind)
    points = nw.col("points").cast(nw.Float64)
    sums = ["redemptions", "points", "squares", "cubes"]
    return (
        rows.with_columns(squares=points * points, cubes=points * points * points)
        .group_by(*by, "age")
        .agg(nw.len().alias("units"), *(nw.col(name).sum() for name in sums))
        .with_columns(nw.col("units", "redemptions").cast(nw.Int64), exact(nw.col("points"), kind))
        .sort(*by, "age", nulls_last=True)
    )


def _without_unknown(rows: Frame, moved: Movements, kind: nw.dtypes.DType) -> Frame:
    """Subtract points that came back of no known program from those open in each, in proportion.

    Rounding running totals keeps whole points whole, and their sum what the redemption has open.
    The product of two numbers of points may be past 2^63: it is one of floats, and where it is past
    their 2^53 a few of some 10^16 points may be given to the program beside.
    """
    back = moved.reversals.group_by("redemption_key").agg(back=nw.col("points_reversed").sum())
    left = nw.col("points_redeemed") - nw.col("back").fill_null(0).cast(kind)
    whole = (
        moved.points.select("redemption_key", "points_redeemed")
        .join(back, on="redemption_key", how="left")
        .select("redemption_key", left=exact(left, kind))
        .filter(nw.col("left") > 0)
    )
    parts = rows.group_by("redemption_key").agg(parts=nw.col("points").sum())
    order = ["_unknown", "_program"]
    rows = (
        rows.join(whole, on="redemption_key", how="inner")
        .join(parts, on="redemption_key", how="left")
        .with_columns(
            nw.col("parts").cast(kind),
            upto=nw.col("points").cum_sum().over("redemption_key", order_by=order).cast(kind),
        )
    )

    def share(upto: nw.Expr) -> nw.Expr:
        left, parts = nw.col("left"), nw.col("parts")
        part = left.cast(nw.Float64) * upto.cast(nw.Float64) / parts.cast(nw.Float64)
        if kind.is_float():
            return rounded(part, kind)
        below = nw.min_horizontal(part.floor().cast(kind), left)
        return nw.when(upto == parts).then(left).otherwise(below)

    upto = nw.col("upto")
    points = exact(share(upto) - share(upto - nw.col("points")), kind)
    return rows.with_columns(points=points).filter(nw.col("points") > 0)


def _cohorts(followed: Followed, by: Sequence[str]) -> Frame:
    """Sum by whole days since the redemption what was followed, and what came back of it."""
    size = nw.col("size").cast(nw.Float64)
    columns = ["points", "squares", "back", "reversals"]
    return (
        followed.units.with_columns(
            points=size,
            squares=size * size,
            back=nw.col("gone").cast(nw.Float64),
            reversals=nw.when(nw.col("gone") > 0).then(nw.lit(1)).otherwise(nw.lit(0)),
        )
        .group_by(*by, "since")
        .agg(*(nw.col(name).sum() for name in columns))
        .with_columns(nw.col("reversals").cast(nw.Int64))
        .sort(*by, "since", nulls_last=True)
    )


def _leaving(followed: Followed, by: Sequence[str], days: int) -> Frame:
    """Sum by age what was reversed (1), and what is watched no longer (0)."""
    return (
        followed.leaving(by, days)
        .group_by(*by, "age", "reversed")
        .agg(nw.col("size").sum())
        .with_columns(exact(nw.col("size"), followed.kind).cast(nw.Float64))
        .sort(*by, "age", "reversed", nulls_last=True)
    )
