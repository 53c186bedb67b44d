"""Excess: whether a group reverses more than the others do, and more than groups differ anyway."""

from __future__ import annotations

from typing import Any

import numpy as np
import pyarrow as pa

from redemption_analytics.metrics.binomial import probabilities
from redemption_analytics.metrics.inference import false_discovery_rates
from redemption_analytics.metrics.overdispersion import Floats, Whole, correlation_of_others


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
        pairs, which, times = np.unique(
            np.column_stack([n, k])[comparable], axis=0, return_inverse=True, return_counts=True
        )
        means, chances = _against_others(pairs[:, 0], pairs[:, 1], times)
        expected[comparable], p_values[comparable] = means[which], chances[which]
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


def _against_others(n: Whole, k: Whole, times: Whole) -> tuple[Floats, Floats]:
    """Return how many of n are expected at the rate of the others, and the chance of k or more.

    ``times`` says how many groups have these numbers.
    """
    others, back = (n * times).sum() - n, (k * times).sum() - k
    spread = correlation_of_others(n, k, times)
    pairs = n.astype(np.float64) * (n - 1)
    # The rate of others who differ is known as well as that of so many who do not.
    as_good_as = others / (1 + spread * ((pairs * times).sum() - pairs) / others)
    rate = (back * (as_good_as / others) + 1) / (as_good_as + 1)
    apart = 1 - (1 - 1 / (as_good_as + 2)) * (1 - spread)
    chances = np.array([_tail(*group) for group in zip(k, n, rate, apart, strict=True)])
    return n * (back / others), chances


def _tail(k: int, n: int, rate: float, correlation: float) -> float:
    """Return the chance of k or more."""
    if k == 0 or rate >= 1:
        return 1.0
    return min(float(probabilities(int(n), float(rate), float(correlation))[k:].sum()), 1.0)
