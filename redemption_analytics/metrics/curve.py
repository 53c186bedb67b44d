"""The reversal curve: which share of redemptions, or of points, has come back by which day."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from redemption_analytics.errors import UsageError
from redemption_analytics.metrics.at_risk import (
    WEIGHTS,
    Weight,
    computed_once,
    exits,
    units_and_reversals,
    watched,
)
from redemption_analytics.metrics.computed import handed_back, numbered
from redemption_analytics.metrics.grouping import By, names
from redemption_analytics.metrics.survival import Curves
from redemption_analytics.moments import Moment, Span, whole_days
from redemption_analytics.options import PERIODS
from redemption_analytics.tables.arguments import public
from redemption_analytics.tables.dimensions import DIMENSIONS
from redemption_analytics.tables.frames import as_arrow
from redemption_analytics.tables.lazy import FrameT, native
from redemption_analytics.tables.now import moment_or_now

if TYPE_CHECKING:
    from redemption_analytics.redemptions import Redemptions

# A curve has a day of its own, the one since the redemption.
_ALLOWED = (*DIMENSIONS, *(period for period in PERIODS if period != "day"))


@public
def reversal_curve(
    r: Redemptions[FrameT],
    by: By = (),
    horizon: Span = "90D",
    as_of: Moment | None = None,
    weight: Weight = "redemptions",
) -> FrameT:
    """Estimate which share of redemptions, or of points, is reversed by each day after.

    Redemptions too young to show all their reversals count for as long as they were watched, so
    that recent months make the curve neither better nor worse than it is.

    Parameters
    ----------
    r
        The bundle.
    by
        As in :func:`redemption_analytics.net_points`, but for day, of which the curve has its own;
        periods are those of the redemption.
    horizon
        A span in whole days, a timedelta or text with its unit such as ``"90D"`` or ``"4W"``: the
        last day of the curve.
    as_of
        A moment, wall-clock, of which a date means all of that day and a month all of it: what
        happened later is not seen. By default now (:attr:`redemption_analytics.Redemptions.now`),
        when the newest export was made.
    weight
        ``"redemptions"`` follows each redemption to the first reversal of any of its points;
        ``"points"`` follows each point, so that parts of a redemption may come back on several days
        and large redemptions weigh more.

    Returns
    -------
    frame
        Of the kind that the bundle holds, computed at the call even where frames are lazy: only
        counts by group and day leave the engine. One row for each group and day: the columns of
        ``by``, then day (whole days since the redemption, 0 to the horizon), at_risk (redemptions,
        or points, not yet reversed and still watched at the start of the day), reversed (on that
        day), cumulative_rate (share reversed by the end of the day, which never decreases), ci_low
        and ci_high, its 95 % interval. On days on which nothing happens the last value holds. A
        group in which nobody is ever at risk has no rows; without ``by`` there are always rows, and
        the rate of nobody is null.

    Raises
    ------
    UsageError
        If ``by``, ``horizon``, ``as_of`` or ``weight`` makes no sense.

    Notes
    -----
    The rate is 1 less the product of (1 - reversed / at_risk) over the days so far (E. L. Kaplan
    and P. Meier, "Nonparametric estimation from incomplete observations", JASA 53, 1958). What is
    not reversed leaves at its age at ``as_of``, in whole days and after the reversals of that day.
    Where everything was watched to the horizon, the last rate is the plain share that came back.

    The variance of the logarithm of what is not reversed is M. Greenwood's (1926); for points it is
    the one of R. L. Williams, "Product-limit survival functions with correlated survival times",
    Lifetime Data Analysis 1, 1995: points of one redemption come back together and tell no more
    than one. It sums the square of each redemption's influence on the curve, and is Greenwood's
    where each has one point. By program, it takes the parts of a redemption that are in several
    programs for themselves, each in its own curve. The interval is symmetric on the log-log scale
    (J. D. Kalbfleisch and R. L. Prentice, "The Statistical Analysis of Failure Time Data", 1980),
    which keeps it between 0 and 1; before the first reversal, and where all came back, it has no
    width.

    Redemptions without a time are left out; a reversal before its redemption counts as on day 0. Of
    a reversal without a time it is not known when: its points are left out, and so is a redemption
    that has no other. No redemption has more points come back than it had, and reversals of no
    points are none. By program, a redemption is at risk in every program that it drew on, and
    reversed when points of that program came back; points that came back of which no program is
    known are not in any.

    Examples
    --------
    >>> import redemption_analytics as ra
    >>> r = ra.load("data_samples/2025-stores.json")
    >>> ra.reversal_curve(r, horizon="4D", as_of="2025-03-20").round(3)
       day  at_risk  reversed  cumulative_rate  ci_low  ci_high
    0    0        2         0              0.0    0.00    0.000
    1    1        2         0              0.0    0.00    0.000
    2    2        2         0              0.0    0.00    0.000
    3    3        2         1              0.5    0.09    0.994
    4    4        1         0              0.5    0.09    0.994
    """
    groups = names(by, _ALLOWED, custom_of=r)
    days = whole_days(horizon, "horizon")
    if weight not in WEIGHTS:
        raise UsageError(f"weight is {' or '.join(map(repr, WEIGHTS))}, not {weight!r}")
    moment = moment_or_now(as_of, r.now)
    moved = watched(r, groups, moment)
    units, backs = computed_once(r, moved, *units_and_reversals(moved, groups))
    counts = as_arrow(native(exits(units, backs, groups, weight, days, moment)))
    (group,), keys = numbered(groups, counts)
    curves = Curves.of(counts, group, len(keys), days)
    low, high = curves.interval()
    repeated = keys.iloc[np.repeat(np.arange(len(keys)), days + 1)]
    columns = {
        "day": np.tile(np.arange(days + 1), len(keys)),
        "at_risk": curves.at_risk.ravel(),
        "reversed": curves.reversed.ravel(),
        "cumulative_rate": curves.rate.ravel(),
        "ci_low": low.ravel(),
        "ci_high": high.ravel(),
    }
    return handed_back(r.points, repeated, columns)
