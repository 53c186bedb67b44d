"""Kaplan-Meier curves of groups, with the variance of what leaves in parts."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, TypeAlias

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from redemption_analytics.contract import DECIMAL_PLACES
from redemption_analytics.metrics.inference import Z_95

Floats: TypeAlias = npt.NDArray[np.float64]
Whole: TypeAlias = npt.NDArray[np.int64]


@dataclass(frozen=True)
class Pairs:
    """The pairs of exits of some units, as :func:`exits` counts them; group numbers their curve."""

    group: Whole
    day: Whole
    reversed: Whole
    other_day: Whole
    other_reversed: Whole
    product: Floats

    def squares(self, weights: Floats, hazard: Floats, ends: Sequence[int]) -> Floats:
        """Sum the squared influences of units on sums over the days up to an end.

        The influence of a unit is, over the days on which it is at risk, what was reversed of it
        less what was to be expected, times a weight.

        Parameters
        ----------
        weights, hazard
            The weight, and the share of those at risk that is reversed, by curve and day.
        ends
            The last day of each sum.

        Returns
        -------
        array
            A row for each curve, a column for each end.
        """
        beyond = np.zeros((len(weights), 1))  # the day on which leaves what outlives the horizon
        weights = np.hstack([weights, beyond])
        expected = np.cumsum(weights * np.hstack([hazard, beyond]), axis=1)

        def influence(day: Whole, back: Whole, end: int) -> Floats:
            seen = np.where(day <= end, back * weights[self.group, day], 0.0)
            difference: Floats = seen - expected[self.group, np.minimum(day, end)]
            return difference

        sums = np.empty((len(weights), len(ends)))
        for column, end in enumerate(ends):
            one = influence(self.day, self.reversed, end)
            other = influence(self.other_day, self.other_reversed, end)
            products = self.product * one * other
            sums[:, column] = np.bincount(self.group, products, minlength=len(weights))
        return np.maximum(sums, 0.0)  # of squares, but for rounding


@dataclass(frozen=True)
class Curves:
    """Kaplan-Meier curves of several groups; arrays have a row per group, a column per day."""

    at_risk: npt.NDArray[Any]
    reversed: npt.NDArray[Any]
    pairs: Pairs

    @classmethod
    def of(cls, counts: pa.Table, group: Whole, groups: int, days: int) -> Curves:
        """Add up what left, from the last day to the first."""
        pairs = Pairs(
            group,
            counts["age"].to_numpy(),
            counts["reversed"].to_numpy(),
            counts["other_age"].to_numpy(),
            counts["other_reversed"].to_numpy(),
            counts["product"].to_numpy(),
        )
        size, back = counts["size"].to_numpy(), pairs.reversed == 1
        left = np.zeros((groups, days + 2), size.dtype)
        reversed_ = np.zeros_like(left)
        np.add.at(left, (group, pairs.day), size)
        np.add.at(reversed_, (group[back], pairs.day[back]), size[back])
        at_risk = np.cumsum(left[:, ::-1], axis=1)[:, ::-1]
        return cls(
            at_risk[:, :-1].round(DECIMAL_PLACES), reversed_[:, :-1].round(DECIMAL_PLACES), pairs
        )

    @property
    def hazard(self) -> Floats:
        """Share of those at risk that is reversed on a day; 0 where nobody is at risk."""
        hazard = np.zeros(self.at_risk.shape)
        np.divide(self.reversed, self.at_risk, out=hazard, where=self.at_risk > 0)
        return hazard

    @property
    def rate(self) -> Floats:
        """Share reversed by the end of a day; null (NaN) where nobody was ever at risk."""
        rate = 1.0 - np.cumprod(1.0 - self.hazard, axis=1, dtype=np.float64)
        rate[self.at_risk[:, 0] == 0] = np.nan
        return rate

    def interval(self) -> tuple[Floats, Floats]:
        """Return the 95 % interval of the rate, symmetric on the log-log scale."""
        rate, left = self.rate, self.at_risk - self.reversed
        weights = np.divide(1.0, left, out=np.zeros(left.shape), where=left > 0)
        variance = self.pairs.squares(weights, self.hazard, range(rate.shape[1]))
        inside = (rate > 0) & (rate < 1)
        log = np.log1p(-rate, out=np.full(rate.shape, -1.0), where=inside)
        spread = Z_95 * np.sqrt(variance) / -log
        with np.errstate(over="ignore"):
            low, high = (-np.expm1(log * np.exp(side)) for side in (-spread, spread))
        return np.where(inside, low, rate), np.where(inside, high, rate)
