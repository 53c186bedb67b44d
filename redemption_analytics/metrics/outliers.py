"""Outliers: where more redemptions are reversed than chance explains."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import narwhals as nw
import numpy as np
import numpy.typing as npt
import pyarrow as pa

from redemption_analytics.errors import UsageError
from redemption_analytics.metrics.grouping import By, names
from redemption_analytics.metrics.rates import reversed_counts, seen_by
from redemption_analytics.moments import Moment
from redemption_analytics.tables.arguments import public
from redemption_analytics.tables.attribution import Movements
from redemption_analytics.tables.frames import frame_like
from redemption_analytics.tables.lazy import native
from redemption_analytics.tables.now import moment_or_now
from redemption_analytics.tables.points import check_sums

if TYPE_CHECKING:
    from redemption_analytics.redemptions import Redemptions


#: A q_value below which a group stands out.
SIGNIFICANT = 0.01


@public
def reversal_outliers(r: Redemptions, by: By = "till_code", as_of: Moment | None = None) -> Any:
    """Test which groups reverse more of their redemptions than the others do.

    Parameters
    ----------
    r
        The bundle.
    by
        As in :func:`redemption_analytics.net_points`, at least one name; periods are those of the
        redemption. Tills are those of the redemption too, not those where it was reversed.
    as_of
        A moment, wall-clock, of which a date means all of that day and a month all of it: what
        happened later is not seen. By default now (:attr:`redemption_analytics.Redemptions.now`),
        when the newest export was made.

    Returns
    -------
    frame
        Of the kind that the bundle holds, sorted by p_value, the least likely group first. The
        columns of ``by``, then

        - redemptions and reversed_redemptions (counts), as
          :func:`redemption_analytics.reversal_rates` has them,
        - expected_reversed_redemptions: how many there would be at the rate of all other groups,
        - p_value: the probability of so many or more at that rate,
        - q_value: the share of false alarms to expect in a list of all groups down to this one.

        The last three are null where there is nothing to compare: a group without redemptions or
        without others, and by program the null program where it only takes points back.

    Raises
    ------
    UsageError
        If ``by`` is not one of those named, or names nothing, or ``as_of`` is no moment.

    Notes
    -----
    p_value is that of the exact binomial test with the alternative "greater": P(X >= k) for X
    binomial with n redemptions and the rate p of all other groups together, so a till with few
    reversals is no outlier. That rate is taken as known: where the others are few, p_value is too
    small, and 0 where they never reverse and this group does. q_value is the false discovery rate
    of Y. Benjamini and Y. Hochberg, "Controlling the false discovery rate" (JRSS B 57, 1995). The
    point probability is C. Loader's, "Fast and accurate computation of binomial probabilities"
    (2000), the others follow by their ratios.

    Recent redemptions, whose reversals are still to come, count as not reversed in every group. The
    test runs at once, on lazy frames too.

    Examples
    --------
    >>> import redemption_analytics as ra
    >>> r = ra.load("data_samples/organisation")
    >>> tills = ra.reversal_outliers(r)
    >>> tills.loc[tills["q_value"] < 0.01, ["till_code", "redemptions", "reversed_redemptions"]]
           till_code  redemptions  reversed_redemptions
    0  station.till2          886                   270
    """
    groups = names(by, custom=True)
    if not groups:
        raise UsageError("by names what is held against the others: 'till_code', say")
    columns = [*groups, "redemptions", "reversed_redemptions"]
    check_sums(r.point_sums)
    moved = seen_by(Movements.of(r.tables, groups), moment_or_now(as_of, r.now), None)
    totals = reversed_counts(moved, groups).select(*columns)
    lazy = isinstance(totals, nw.LazyFrame)
    collected: Any = totals.collect() if lazy else totals
    # By way of native, for an index of its own: the columns to come have none.
    rows: Any = nw.from_native(native(collected))
    tests = _tests(rows["redemptions"].to_list(), rows["reversed_redemptions"].to_list())
    measures = nw.from_arrow(pa.table(tests), backend=rows.implementation)
    outliers = rows.with_columns(*measures.iter_columns()).sort("p_value", *groups, nulls_last=True)
    return frame_like(r.points, outliers.to_arrow()) if lazy else native(outliers)


def _tests(redemptions: list[int], reversed_: list[int]) -> dict[str, pa.Array]:
    """Test each group against all others, as far as a rate means something for it."""
    pairs = list(zip(redemptions, reversed_, strict=True))
    proper = [(n, k) for n, k in pairs if 0 < n >= k]
    all_n, all_k = sum(n for n, _ in proper), sum(k for _, k in proper)
    expected: list[float | None] = []
    p_values: list[float | None] = []
    for n, k in pairs:
        others = all_n - n
        if 0 < n >= k and others > 0:
            rate = (all_k - k) / others
            expected.append(n * rate)
            p_values.append(binomial_tail(k, n, rate))
        else:
            expected.append(None)
            p_values.append(None)
    p_array = np.array([p for p in p_values if p is not None], np.float64)
    adjusted = iter(false_discovery_rates(p_array).tolist())
    q_values = [None if p is None else next(adjusted) for p in p_values]
    return {
        "expected_reversed_redemptions": pa.array(expected, pa.float64()),
        "p_value": pa.array(p_values, pa.float64()),
        "q_value": pa.array(q_values, pa.float64()),
    }


def false_discovery_rates(p_values: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
    """Adjust p-values by Benjamini and Hochberg's procedure.

    Parameters
    ----------
    p_values
        One for each test, in any order.

    Returns
    -------
    numpy.ndarray
        For each, the least rate of false discoveries at which it is one: min(p_j m / j) over those
        that are not smaller, j being the rank among m, and at most 1.

    Examples
    --------
    >>> false_discovery_rates(np.array([0.01, 0.04, 0.03])).tolist()
    [0.03, 0.04, 0.04]
    """
    count = len(p_values)
    order = np.argsort(p_values)
    scaled = p_values[order] * count / np.arange(1, count + 1)
    rates = np.empty(count)
    rates[order] = np.minimum(np.minimum.accumulate(scaled[::-1])[::-1], 1.0)
    return rates


def control_limits(rate: float, sizes: Sequence[int], share: float) -> list[tuple[float, float]]:
    """Give the limits between which chance keeps a share of all groups of each size.

    Parameters
    ----------
    rate
        The rate that all groups have.
    sizes
        Redemptions of a group, at least 1.
    share
        Which share lies between the limits, half of the rest on either side of them.

    Returns
    -------
    list of tuple of float
        For each size the lower and the upper limit of its rate.

    Notes
    -----
    Exact binomial limits, interpolated between counts (D. J. Spiegelhalter, "Funnel plots for
    comparing institutional performance", Statistics in Medicine 24, 2005, appendix A.1.1).

    Examples
    --------
    >>> [(round(low, 3), round(high, 3)) for low, high in control_limits(0.1, [50, 5000], 0.95)]
    [(0.014, 0.18), (0.092, 0.108)]
    """
    outside = (1 - share) / 2
    return [(_quantile(outside, n, rate) / n, _quantile(1 - outside, n, rate) / n) for n in sizes]


def _quantile(probability: float, n: int, p: float) -> float:
    """Give the count up to which a probability lies, interpolated, from 0 to n."""
    low, high = 0, n
    while low < high:
        middle = (low + high) // 2
        if 1 - binomial_tail(middle + 1, n, p) > probability:
            high = middle
        else:
            low = middle + 1
    reached, before = 1 - binomial_tail(low + 1, n, p), 1 - binomial_tail(low, n, p)
    if reached == before:
        return low
    return min(max(low - (reached - probability) / (reached - before), 0), n)


def binomial_tail(k: int, n: int, p: float) -> float:
    """Compute the probability of k or more successes in n trials.

    Parameters
    ----------
    k
        Successes.
    n
        Trials.
    p
        Probability of a success.

    Returns
    -------
    float
        P(X >= k), with a relative error below 1e-12 for n up to a million.

    Notes
    -----
    The sum starts at its largest term and follows the ratio of neighbours away from the mean until
    nothing changes. Up to the mean the other tail is summed, which is then not more than half.

    Examples
    --------
    >>> round(binomial_tail(9, 10, 0.5) * 2**10, 9)
    11.0
    """
    if k <= 0 or p >= 1:
        return 1.0
    if k > n or p <= 0:
        return 0.0
    term = total = 1.0
    if k > n * p:
        odds = p / (1 - p)
        for at in range(k, n):
            term *= (n - at) / (at + 1) * odds
            if total + term == total:
                break
            total += term
        return min(1.0, _point_probability(k, n, p) * total)
    odds = (1 - p) / p
    for at in range(k - 1, 0, -1):
        term *= at / (n - at + 1) * odds
        if total + term == total:
            break
        total += term
    return 1 - _point_probability(k - 1, n, p) * total


def _point_probability(k: int, n: int, p: float) -> float:
    if k == 0:
        return math.exp(n * math.log1p(-p))
    if k == n:
        return math.exp(n * math.log(p))
    # n * p would be rounded: the distance to the mean is a fraction of integers.
    numerator, denominator = p.as_integer_ratio()
    over = (k * denominator - n * numerator) / denominator
    exponent = _stirling_error(n) - _stirling_error(k) - _stirling_error(n - k)
    exponent -= _deviance(k, n * p, over) + _deviance(n - k, n * (1 - p), -over)
    return math.exp(exponent) * math.sqrt(n / (2 * math.pi * k * (n - k)))


def _stirling_error(n: int) -> float:
    """Give log(n!) less Stirling's formula for it."""
    if n < 16:
        return math.lgamma(n + 1) - (n + 0.5) * math.log(n) + n - math.log(2 * math.pi) / 2
    m = n * n
    return (1 / 12 - (1 / 360 - (1 / 1260 - (1 / 1680 - 1 / 1188 / m) / m) / m) / m) / n


def _deviance(count: int, mean: float, over: float) -> float:
    """Give count log(count / mean) - over, where over is count - mean, without cancellation."""
    share = over / (count + mean)
    if abs(share) > 0.5:
        return count * math.log(count / mean) - over
    total, term, step = over * share, 2 * count * share, 1
    while True:
        term *= share * share
        step += 2
        if total + term / step == total:
            return total
        total += term / step
