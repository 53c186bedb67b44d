"""The binomial distribution, exactly, however many trials there are."""

from __future__ import annotations

import math
from collections.abc import Sequence


def control_limits(rate: float, sizes: Sequence[int], share: float) -> list[tuple[float, float]]:
    """Return the limits between which chance keeps a share of all groups of each size.

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
    """Return the count up to which a probability lies, interpolated, from 0 to n."""
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
    """Return log(n!) less Stirling's formula for it."""
    if n < 16:
        return math.lgamma(n + 1) - (n + 0.5) * math.log(n) + n - math.log(2 * math.pi) / 2
    m = n * n
    return (1 / 12 - (1 / 360 - (1 / 1260 - (1 / 1680 - 1 / 1188 / m) / m) / m) / m) / n


def _deviance(count: int, mean: float, over: float) -> float:
    """Return count log(count / mean) - over, where over is count - mean, without cancellation."""
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
