"""Overdispersion: how much groups differ in their rate by nature, beyond what chance makes."""

from __future__ import annotations

from statistics import NormalDist
from typing import TypeAlias

import numpy as np
import numpy.typing as npt

from redemption_analytics.metrics.inference import COMMON

Floats: TypeAlias = npt.NDArray[np.float64]
Whole: TypeAlias = npt.NDArray[np.int64]

#: The correlations that are looked at: 0, and from next to none to next to all.
_GRID = np.concatenate([[0.0], np.geomspace(1e-8, 0.9, 90)])

#: What lies above the mean by more deviations than this counts as if it lay there.
_USUAL = 2.5

_LOW_TAIL = NormalDist().inv_cdf(0.05)
_ROUNDS = 20
_NEXT_TO_NOTHING = 1e-15

#: How many groups are looked at in one piece of memory.
_PART = 4096


def correlation(sizes: Whole, counts: Whole) -> float:
    """Estimate how much groups differ in their rate, as the correlation of two trials of one.

    Parameters
    ----------
    sizes, counts
        Trials of each group, at least 1, and how many of them were successes.

    Returns
    -------
    float
        The correlation at which the squared deviations from the mean rate, each in terms of its
        variance, add up to one less than the number of groups; 0 where chance alone makes more.

    Notes
    -----
    The estimator is that of R. C. Paule and J. Mandel, "Consensus values and weighting factors",
    Journal of Research of the National Bureau of Standards 87, 1982. Outliers are drawn in to two
    and a half deviations above the mean, lest they pass for what is usual.

    Examples
    --------
    >>> correlation(np.array([100, 100, 100, 100]), np.array([10, 9, 10, 11]))
    0.0
    >>> round(correlation(np.array([100, 100, 100, 100]), np.array([2, 25, 6, 17])), 3)
    0.092
    """
    pairs = np.column_stack([sizes, counts])[sizes > 1]
    groups, times = np.unique(pairs, axis=0, return_counts=True)
    return _drawn_in(groups[:, 0], groups[:, 1], times)[1] if len(groups) else 0.0


def correlation_of_others(sizes: Whole, counts: Whole, times: Whole) -> Floats:
    """Estimate for each group how much all others may differ in their rate, at most.

    Parameters
    ----------
    sizes, counts, times
        Trials of a group, how many of them were successes, and how many groups have these numbers.

    Returns
    -------
    array
        For each the upper 95 % confidence limit of the correlation among all others. Where their
        best estimate is not beyond what is common (rates with a standard deviation of half their
        mean), nor is the limit: of few others it would say next to nothing. 0 where there are fewer
        than two others.

    Notes
    -----
    W. Viechtbauer, "Confidence intervals for the amount of heterogeneity in meta-analysis",
    Statistics in Medicine 26, 2007: at the limit the sum of squares is a low quantile of its
    distribution. Outliers are drawn in as in :func:`correlation`.
    """
    telling = sizes > 1  # one trial is like itself, however much groups differ
    n, k, many = sizes[telling], counts[telling], times[telling]
    found = np.zeros(len(sizes))
    if not len(n):
        return found
    rates, _ = _drawn_in(n, k, many)
    sums = _sums(n, rates, many)
    found[~telling] = _limits(sums[:, None], many.sum())[0]
    others = [_limits(sums[:, None] - _powers(n[p], rates[p]), many.sum() - 1) for p in _parts(n)]
    found[telling] = np.concatenate(others)
    return found


def _limits(sums: Floats, groups: int) -> Floats:
    """Return the upper limits of the correlation among so many groups, of which these are sums."""
    if groups < 2:
        return np.zeros(sums.shape[1])
    mean, squares = _squares(sums)
    free = groups - 1
    ninth = 2 / (9 * free)  # chi-squared, by E. B. Wilson and M. M. Hilferty
    low = free * max(1 - ninth + _LOW_TAIL * ninth**0.5, 0) ** 3
    best, upper = _reaching(squares, free), _reaching(squares, low)
    common = COMMON**2 * mean[:, 0] / np.maximum(1 - mean[:, 0], 1e-9)
    return np.where(best > common, upper, np.minimum(upper, common))


def _drawn_in(sizes: Whole, counts: Whole, times: Whole) -> tuple[Floats, float]:
    """Return rates without outliers, and the correlation among them."""
    rates = plain = counts / sizes
    found = 0.0
    for _ in range(_ROUNDS):
        mean, squares = _squares(_sums(sizes, rates, times)[:, None])
        found = float(_reaching(squares, times.sum() - 1)[0])
        centre = float(np.interp(found, _GRID, mean[0]))
        deviations = np.sqrt(centre * (1 - centre) * (1 + (sizes - 1) * found) / sizes)
        nearer = np.minimum(plain, centre + _USUAL * deviations)
        if np.allclose(nearer, rates, rtol=0, atol=1e-9):
            break
        rates = nearer
    return rates, found


def _powers(sizes: Whole, rates: Floats) -> Floats:
    """Return by group and correlation weights, and these times the rate, and times its square."""
    weights = sizes[:, None] / (1 + (sizes[:, None] - 1) * _GRID)
    return np.stack([weights, weights * rates[:, None], weights * rates[:, None] ** 2])


def _sums(sizes: Whole, rates: Floats, times: Whole) -> Floats:
    """Sum what :func:`_powers` gives over all groups."""
    parts = [times[p] @ _powers(sizes[p], rates[p]) for p in _parts(sizes)]
    return np.asarray(sum(parts))


def _parts(rows: Whole) -> list[slice]:
    """Return slices of rows, so that not all are looked at in one piece of memory."""
    return [slice(start, start + _PART) for start in range(0, len(rows), _PART)]


def _squares(sums: Floats) -> tuple[Floats, Floats]:
    """Return means, and the squared deviations from them in terms of their variance, added up."""
    weights, rates, squares = sums
    mean = np.clip(rates / weights, 0, 1)
    variance = mean * (1 - mean)
    deviations = np.maximum(squares - rates * mean, 0)
    some = variance > _NEXT_TO_NOTHING
    return mean, np.divide(deviations, variance, out=np.zeros_like(mean), where=some)


def _reaching(squares: Floats, target: float) -> Floats:
    """Return for each row the correlation at which what falls along the grid is the target."""
    below = squares <= target
    at = np.where(below.any(axis=1), below.argmax(axis=1), len(_GRID) - 1)
    before, rows = np.maximum(at - 1, 0), np.arange(len(squares))
    high, low = squares[rows, before], squares[rows, at]
    part = np.divide(high - target, high - low, out=np.ones(len(at)), where=high > low)
    found = _GRID[before] + np.clip(part, 0, 1) * (_GRID[at] - _GRID[before])
    return np.where(at == 0, 0.0, found)
