"""Intervals and error rates of what was counted."""

from __future__ import annotations

from statistics import NormalDist

import narwhals as nw
import numpy as np
import numpy.typing as npt

from redemption_analytics.tables.lazy import Frame

#: Of a normal distribution 95 % lie so many deviations around the mean.
Z_95 = NormalDist().inv_cdf(0.975)

#: What standard deviation the rates of groups of one kind commonly have, as a share of their mean.
COMMON = 0.5


def with_wilson(rows: Frame, successes: str, trials: str) -> Frame:
    """Add Wilson's 95 % score interval of a proportion, ci_low and ci_high; nulls where it is none.

    What is divided is a column each time: Spark writes out a division five times over, and what is
    divided in it as often.
    """
    n, p, scale = nw.col(trials), nw.col("_p"), nw.col("_scale")
    parts = rows.with_columns(
        _p=nw.col(successes) / n,
        _scale=1 + Z_95**2 / n,
        _shift=Z_95**2 / (2 * n),
        _tail=Z_95**2 / (4 * n * n),
    ).with_columns(
        _centre=(p + nw.col("_shift")) / scale,
        # Not below 0, which rounding may do to a proportion of 0 or 1.
        _spread=(p * (1 - p) / n + nw.col("_tail")).clip(lower_bound=0),
    )
    parts = parts.with_columns(_half=nw.col("_spread").sqrt() * Z_95 / scale)
    proper = (n > 0) & (nw.col(successes) <= n)
    centre, half = nw.col("_centre"), nw.col("_half")
    return parts.with_columns(
        ci_low=nw.when(proper).then((centre - half).clip(lower_bound=0.0)),
        ci_high=nw.when(proper).then((centre + half).clip(upper_bound=1.0)),
    ).drop("_p", "_scale", "_shift", "_tail", "_centre", "_spread", "_half")


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
