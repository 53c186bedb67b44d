"""Intervals and error rates of what was counted."""

from __future__ import annotations

from statistics import NormalDist

import narwhals as nw
import numpy as np
import numpy.typing as npt

#: Of a normal distribution 95 % lie so many deviations around the mean.
Z_95 = NormalDist().inv_cdf(0.975)

#: What standard deviation the rates of groups of one kind commonly have, as a share of their mean.
COMMON = 0.5


def wilson(successes: nw.Expr, trials: nw.Expr) -> tuple[nw.Expr, nw.Expr]:
    """Return Wilson's 95 % score interval of a proportion, or nulls where it is none."""
    p = successes / trials
    scale = 1 + Z_95**2 / trials
    centre = (p + Z_95**2 / (2 * trials)) / scale
    # Not below 0, which rounding may do to a proportion of 0 or 1.
    spread = (p * (1 - p) / trials + Z_95**2 / (4 * trials * trials)).clip(lower_bound=0)
    half = spread.sqrt() * Z_95 / scale
    proper = (trials > 0) & (successes <= trials)
    low = nw.when(proper).then((centre - half).clip(lower_bound=0.0))
    high = nw.when(proper).then((centre + half).clip(upper_bound=1.0))
    return low, high


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
