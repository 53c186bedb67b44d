"""Excess: whether a group reverses more than the others do, and more than groups differ anyway."""

from __future__ import annotations

from typing import Any

import numpy as np
import pyarrow as pa

from redemption_analytics.metrics.binomial import probabilities
from redemption_analytics.metrics.inference import false_discovery_rates
from redemption_analytics.metrics.overdispersion import Floats, Whole, correlation_of_others

_MOST_ALIKE = 0.95


def excess(redemptions: list[int], reversed_: list[int], least: int) -> dict[str, pa.Array]:
    """Test each group against all others, as far as a rate means something for it.

    Parameters
    ----------
    redemptions, reversed_
        Of each group.
    least
        Of how many redemptions a group is large enough for a q_value.

    Returns
    -------
    dict of pyarrow.Array
        expected_reversed_redemptions, p_value and q_value, null where there is none.
    """
    n, k = np.array(redemptions, np.int64), np.array(reversed_, np.int64)
    proper = (n > 0) & (n >= k)
    comparable = proper & (n[proper].sum() > n)
    expected, p_values, q_values = (np.full(len(n), np.nan) for _ in range(3))
    if comparable.any():
        expected[comparable], p_values[comparable] = against_others(n[comparable], k[comparable])
    enough = comparable & (n >= least)
    q_values[enough] = false_discovery_rates(p_values[enough])
    columns = {
        "expected_reversed_redemptions": expected,
        "p_value": p_values,
        "q_value": q_values,
    }
    return {name: _nulls_for_nan(values) for name, values in columns.items()}


def _nulls_for_nan(values: Floats) -> Any:
    return pa.array(values, pa.float64(), from_pandas=True)


def against_others(n: Whole, k: Whole, times: Floats | float = 1.0) -> tuple[Floats, Floats]:
    """Return how many are expected at the rate of all others, and the chance of so many or more.

    Parameters
    ----------
    n, k
        Redemptions of each group, and how many of them were reversed. There is another group with
        redemptions for each.
    times
        How much more is usual where the group is, for reasons that are not its own.
    """
    groups, which, many = np.unique(
        np.column_stack([n, k, np.broadcast_to(times, n.shape)]),
        axis=0,
        return_inverse=True,
        return_counts=True,
    )
    which = which.reshape(-1)  # NumPy 2.0 gives a column
    sizes, counts = groups[:, 0].astype(np.int64), groups[:, 1].astype(np.int64)
    others, back = n.sum() - sizes, k.sum() - counts
    spread = correlation_of_others(sizes, counts, many)
    pairs = groups[:, 0] * (groups[:, 0] - 1)
    # The rate of others who differ is known as well as that of so many who do not.
    as_good_as = others / (1 + spread * ((pairs * many).sum() - pairs) / others)
    rate = (back * (as_good_as / others) + 1) / (as_good_as + 1)
    there = np.minimum(groups[:, 2] * rate, 1.0)
    # Where twice as much is usual, groups differ by twice as much too.
    spread = np.minimum(spread * _odds(there) / _odds(rate), _MOST_ALIKE)
    apart = 1 - (1 - 1 / (as_good_as + 2)) * (1 - spread)
    chances = [_tail(*group) for group in zip(counts, sizes, there, apart, strict=True)]
    return (groups[:, 2] * sizes * (back / others))[which], np.array(chances)[which]


def _odds(rate: Floats) -> Floats:
    return np.asarray(rate / np.maximum(1 - rate, 1e-9))


def _tail(k: int, n: int, rate: float, correlation: float) -> float:
    """Return the chance of k or more."""
    if k == 0 or rate >= 1:
        return 1.0
    return min(float(probabilities(int(n), float(rate), float(correlation))[k:].sum()), 1.0)
