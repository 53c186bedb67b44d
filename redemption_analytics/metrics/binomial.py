"""Counts of successes where each has the same chance, or where groups differ in it by nature."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt


def probabilities(n: int, rate: float, correlation: float = 0.0) -> npt.NDArray[np.float64]:
    """Return the probabilities of 0 to n successes in n trials.

    Parameters
    ----------
    n
        Trials.
    rate
        The mean of the chance of a success.
    correlation
        How much two trials of one group are alike, because groups differ in their chance: from 0,
        where all have the rate, to below 1. The chance has the variance
        correlation * rate * (1 - rate) and a beta distribution.

    Returns
    -------
    numpy.ndarray
        n + 1 probabilities: of the binomial distribution where the correlation is 0, else of the
        beta-binomial one (J. G. Skellam, "A probability distribution derived from the binomial
        distribution", JRSS B 10, 1948). For n up to a million each has a relative error below 1e-8.

    Notes
    -----
    The ratios of neighbours are multiplied up, as logarithms, and the whole is scaled to 1.

    Examples
    --------
    >>> (probabilities(4, 0.5) * 2**4).round(9).tolist()
    [1.0, 4.0, 6.0, 4.0, 1.0]
    >>> (probabilities(4, 0.5, 1 / 3) * 5).round(9).tolist()
    [1.0, 1.0, 1.0, 1.0, 1.0]
    """
    alike = correlation / (1 - correlation)
    up, down = np.arange(1, n + 1), np.arange(n, 0, -1)
    with np.errstate(divide="ignore"):
        odds = (rate + (up - 1) * alike) / (1 - rate + (down - 1) * alike)
        steps = np.log(down / up * odds)
    if rate in (0, 1):  # one of the two never happens, and ratios to it are none
        return np.asarray(np.eye(1, n + 1, n if rate else 0)[0])
    logarithms = np.concatenate([[0.0], np.cumsum(steps)])
    scaled = np.exp(logarithms - logarithms.max())
    return np.asarray(scaled / scaled.sum())


def control_limits(
    rate: float, sizes: Sequence[int], share: float, correlation: float = 0.0
) -> list[tuple[float, float]]:
    """Return the limits between which chance keeps a share of all groups of each size.

    Parameters
    ----------
    rate
        The mean rate of groups.
    sizes
        Redemptions of a group, at least 1.
    share
        Which share lies between the limits, half of the rest on either side of them.
    correlation
        How much groups differ in their rate, as in :func:`probabilities`.

    Returns
    -------
    list of tuple of float
        For each size the lower and the upper limit of its rate.

    Notes
    -----
    Exact limits, interpolated between counts (D. J. Spiegelhalter, "Funnel plots for comparing
    institutional performance", Statistics in Medicine 24, 2005, appendix A.1.1).

    Examples
    --------
    >>> [(round(low, 3), round(high, 3)) for low, high in control_limits(0.1, [50, 5000], 0.95)]
    [(0.014, 0.18), (0.092, 0.108)]
    """
    outside = (1 - share) / 2
    limits = []
    for n in sizes:
        upto = np.cumsum(probabilities(n, rate, correlation))
        limits.append((_quantile(outside, upto) / n, _quantile(1 - outside, upto) / n))
    return limits


def _quantile(probability: float, upto: npt.NDArray[np.float64]) -> float:
    """Return the count up to which a probability lies, interpolated, from 0."""
    count = min(int(np.searchsorted(upto, probability, side="right")), len(upto) - 1)
    reached, before = float(upto[count]), float(upto[count - 1]) if count else 0.0
    if reached == before:
        return count
    return min(max(count - (reached - probability) / (reached - before), 0), len(upto) - 1)
