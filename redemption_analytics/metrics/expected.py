"""Expected reversals: how many of the points already redeemed will still come back."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import TYPE_CHECKING, Any

import narwhals as nw
import numpy as np
import numpy.typing as npt
import pyarrow as pa

from redemption_analytics.contract import DECIMAL_PLACES
from redemption_analytics.metrics.at_risk import age, exits, unit, units_and_reversals, watched
from redemption_analytics.metrics.computed import handed_back, numbered
from redemption_analytics.metrics.grouping import By, names
from redemption_analytics.metrics.inference import Z_95
from redemption_analytics.metrics.survival import Curves, Floats, Whole
from redemption_analytics.moments import Moment, Span, whole_days
from redemption_analytics.options import PERIODS
from redemption_analytics.tables.arguments import public
from redemption_analytics.tables.frames import as_arrow
from redemption_analytics.tables.lazy import Frame, native
from redemption_analytics.tables.movements import Movements
from redemption_analytics.tables.now import moment_or_now
from redemption_analytics.tables.points import exact, rounded

if TYPE_CHECKING:
    from redemption_analytics.redemptions import Redemptions

_TAIL = 0.025
_NO_SKEWNESS = 1e-6


@public
def expected_reversals(
    r: Redemptions,
    by: By = (),
    horizon: Span = "90D",
    as_of: Moment | None = None,
) -> Any:
    """Estimate how many of the points already redeemed will still come back.

    These are the points to keep in reserve: of redemptions younger than the horizon, what is not
    reversed yet, times the chance that it will be.

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
    With F the curve of points (:func:`redemption_analytics.reversal_curve`, ``weight="points"``),
    an open point of age a, in whole days, comes back with the chance
    (F(horizon) - F(a)) / (1 - F(a)). Each group has its own curve, but not each period: a period
    is seen at too few ages to foresee the next, so those of one program, say, share the curve of
    the program. From the age on that no redemption of a group has reached, as in a store that is
    new, its curve goes on with the hazards of all groups together. It is assumed that reversals go
    on as they did; where no reversal was ever seen, none is expected, and the interval does not
    warn that there might be.

    The interval holds two uncertainties. A redemption's open points come back together or not at
    all, each redemption on its own: with n points at chance p that is a variance of n^2 p (1 - p),
    the most that is possible. And the curve is an estimate: the variance that this adds is the sum
    of the squares of each redemption's influence on the sum expected (as in Williams, see
    reversal_curve). The sum is skew when it hangs on few redemptions, so the interval is that of a
    gamma distribution shifted to the same mean, variance and skewness (N. L. Bowers et al.,
    "Actuarial Mathematics", 1997, chapter 12), its quantiles those of E. B. Wilson and M. M.
    Hilferty, "The distribution of chi-square", PNAS 17, 1931. It begins at 0 where the chance that
    nothing comes back is above 2.5 %, and ends at open_points at the latest.

    Redemptions without a time are left out. By program, points that came back of no known program
    are taken from the redemption's open points in each program in proportion, so that open_points
    over programs add up to the total.

    Examples
    --------
    >>> import redemption_analytics as ra
    >>> r = ra.load("data_samples/organisation")
    >>> ra.expected_reversals(r, by="program_id", as_of="2026-11-20T00:00").round(1)
       program_id  open_redemptions  open_points  expected_points   low    high
    0         469               955       165913            782.1   0.0  2225.6
    1         973               274        43630            150.6   0.0   718.5
    2        1234               462        67650           1141.7  78.3  2886.5
    3        1886               336        48627            243.1   0.0   923.7
    """
    groups = names(by, custom_of=r)
    days = whole_days(horizon, "horizon")
    moment = moment_or_now(as_of, r.now)
    moved = watched(r, groups, moment)
    units, backs = units_and_reversals(moved, groups)
    curved = [name for name in groups if name not in PERIODS]
    counts = as_arrow(native(exits(units, backs, curved, "points", days, moment)))
    still_open = as_arrow(native(_open(moved, units, backs, groups, days, moment)))
    (curve, curve_of_row), curve_keys = numbered(curved, counts, still_open)
    (group,), keys = numbered(groups, still_open)
    curve_of = np.zeros(len(keys), np.int64)
    curve_of[group] = curve_of_row
    curves = Curves.of(counts, curve, len(curve_keys), days)
    return handed_back(r.points, keys, _forecast(curves, curve_of, still_open, group))


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
    rows = rows.filter((nw.col("points") > 0) & (age(as_of) < days))
    if "program_id" in by:
        rows = _without_unknown(rows, moved, kind)
    points = nw.col("points").cast(nw.Float64)
    sums = ["redemptions", "points", "squares", "cubes"]
    return (
        rows.with_columns(
            age=age(as_of).cast(nw.Int64), squares=points * points, cubes=points * points * points
        )
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


def _forecast(
    curves: Curves, curve_of: Whole, still_open: pa.Table, group: Whole
) -> dict[str, npt.NDArray[Any]]:
    """Sum chances over open points; a row for each group, ``curve_of`` naming its curve."""
    many, days = len(curve_of), curves.at_risk.shape[1]
    ages = still_open["age"].to_numpy()

    def by_age(name: str) -> npt.NDArray[Any]:
        values = still_open[name].to_numpy()
        table = np.zeros((many, days), values.dtype)
        table[group, ages] = values
        return table

    points, squares, cubes = by_age("points"), by_age("squares"), by_age("cubes")
    everyone = curves.together()
    own = (curves.at_risk > 0)[curve_of]
    hazard = np.where(own, curves.hazard[curve_of], everyone.hazard)
    at_risk = np.where(own, curves.at_risk[curve_of], everyone.at_risk)
    # What is out after a day and still out at the end: the product of what stays on later days.
    stays = np.hstack([1 - hazard[:, 1:], np.ones((many, 1))])
    out = np.cumprod(stays[:, ::-1], axis=1)[:, ::-1]
    chance = 1 - out
    expected = (points * chance).sum(axis=1)
    process = (squares * chance * out).sum(axis=1)
    skewed = (cubes * chance * out * (out - chance)).sum(axis=1)
    # One reversal more on a day is so much more hazard, for what else would be out at the end.
    passing = np.cumsum(points * out, axis=1) - points * out
    weights = np.divide(
        passing, (1 - hazard) * at_risk, out=np.zeros(out.shape), where=(hazard < 1) & (at_risk > 0)
    )
    ends = [days - 1]
    estimate = curves.pairs.taken(curve_of).squares(weights * own, hazard, ends)
    estimate += everyone.pairs.taken(np.zeros_like(curve_of)).squares(weights * ~own, hazard, ends)
    low, high = _interval(expected, process + estimate[:, 0], skewed)
    nothing = np.prod(out ** by_age("units"), axis=1)
    open_points = points.sum(axis=1).round(DECIMAL_PLACES)
    return {
        "open_redemptions": by_age("redemptions").sum(axis=1),
        "open_points": open_points,
        "expected_points": expected,
        "low": np.where(nothing > _TAIL, 0.0, np.maximum(low, 0.0)),
        "high": np.minimum(np.maximum(high, expected), open_points),
    }


def _interval(mean: Floats, variance: Floats, third: Floats) -> tuple[Floats, Floats]:
    """Return the middle 95 % of a shifted gamma distribution with these three central moments."""
    deviation = np.sqrt(variance)
    some = deviation > 0
    skewness = np.divide(third, deviation**3, out=np.zeros_like(mean), where=some)
    normal = np.abs(skewness) < _NO_SKEWNESS
    skewness[normal] = 1.0
    low, high = (
        2 / skewness * (np.maximum(1 + skewness * side / 6 - skewness**2 / 36, 0) ** 3 - 1)
        for side in (-Z_95, Z_95)
    )
    return (
        mean + deviation * np.where(normal, -Z_95, low),
        mean + deviation * np.where(normal, Z_95, high),
    )
