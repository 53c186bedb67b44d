"""Forecasts of reversals: how soon they come, how many of late, and how sure that is."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from redemption_analytics.contract import DECIMAL_PLACES
from redemption_analytics.metrics.inference import COMMON, Z_95
from redemption_analytics.metrics.survival import Floats, Whole

#: Redemptions weigh half as much as those that are younger by so many days as hold this many
#: reversed ones, within bounds.
_RECENT = 60
_HALF_LIFE = (14, 730)

#: How many reversals of a group's own tell as much of their delays as those of all groups do.
_OWN = 10

_TAIL = 0.025
_NO_SKEWNESS = 1e-6


def at_risk(leaving: pa.Table, group: Whole, many: int, days: int) -> tuple[Floats, Floats, Floats]:
    """Return what is at risk, what of it is reversed, and what leaves otherwise, by age.

    Parameters
    ----------
    leaving
        The size of what leaves at an age, reversed (1) or not (0), of each group.
    group
        The number of the group of each row.
    many, days
        How many groups there are, and the horizon.

    Returns
    -------
    tuple of arrays
        A row for each group, a column for each day from 0 to the horizon.
    """
    left = np.zeros((2, many, days + 2))
    flag, age = leaving["reversed"].to_numpy(), leaving["age"].to_numpy()
    np.add.at(left, (flag, group, age), leaving["size"].to_numpy())
    here = np.cumsum(left.sum(axis=0)[:, ::-1], axis=1)[:, ::-1].round(DECIMAL_PLACES)
    return here[:, :-1], left[1, :, :-1], left[0, :, :-1]


def delays(
    at_risk: Floats, reversed_: Floats, censored: Floats, reversals: Whole
) -> npt.NDArray[np.float64]:
    """Estimate which share of what will come back is back at an age.

    Parameters
    ----------
    at_risk, reversed_, censored
        Points by group (rows) and age in days (columns, 0 to the horizon): those not yet reversed
        and still watched when the day begins, those reversed on it, and those watched no longer
        that have this age now.
    reversals
        How many redemptions of each group were reversed.

    Returns
    -------
    array
        A row for each group. In the middle of the days from 0 to the horizon, where redemptions
        are that have this age now, and at the horizon (1).
    """
    days = at_risk.shape[1]
    even = np.append((np.arange(days) + 0.5) / days, 1.0)
    watched = at_risk - censored / 2  # those who leave during a day are watched for half of it
    own = _hazard(reversed_, watched)
    common = _hazard(reversed_.sum(axis=0), watched.sum(axis=0))
    everyone = reversals.sum()
    of_all = (everyone * _shape(common[None], even) + even) / (everyone + 1)
    goes_on = np.where(at_risk > 0, own, common)
    seen = reversals[:, None]
    return np.asarray((seen * _shape(goes_on, of_all) + _OWN * of_all) / (seen + _OWN))


def _hazard(reversed_: Floats, at_risk: Floats) -> Floats:
    share = np.divide(reversed_, at_risk, out=np.zeros(at_risk.shape), where=at_risk > 0)
    return np.minimum(share, 1.0)


def _shape(hazard: Floats, otherwise: Floats) -> Floats:
    """Return the share that is back by the middle of each day and at the end, of all in the end."""
    stays = np.cumprod(1 - hazard, axis=1)
    begins = np.hstack([np.ones((len(hazard), 1)), stays[:, :-1]])
    back = 1 - np.hstack([begins * (1 - hazard / 2), stays[:, -1:]])
    some = back[:, -1:] > 0
    return np.where(some, back / np.where(some, back[:, -1:], 1.0), otherwise)


@dataclass(frozen=True)
class Level:
    """Which share of points comes back in the end, by group, and how sure that is.

    Attributes
    ----------
    rate : array
        The best estimate.
    mean, variance, third : array
        The moments of what it may be. However little is known, they are not 0.
    """

    rate: Floats
    mean: Floats
    variance: Floats
    third: Floats

    @classmethod
    def of(cls, cohorts: pa.Table, group: Whole, delay: Floats) -> Level:
        """Hold what came back against what would have, if all did, the recent ones before others.

        Parameters
        ----------
        cohorts
            For each group and whole days since the redemption (since): points, their squares, back
            (points) and reversals.
        group
            The number of the group of each row.
        delay
            As :func:`delays` gives them.

        Notes
        -----
        What is known of all is H. Jeffreys' posterior of a rate, a beta distribution. What is known
        of all is then the beginning for each group, as far as groups of one kind are alike.
        """
        due = delay[group, np.minimum(cohorts["since"].to_numpy(), delay.shape[1] - 1)]
        (rate,), (known_of,) = _measured(cohorts, np.zeros_like(group), 1, due)
        mean, variance, third = _beta(rate * known_of + 0.5, (1 - rate) * known_of + 0.5)
        if len(delay) == 1:
            return cls(*(np.array([value]) for value in (rate, mean, variance, third)))
        rates, known = _measured(cohorts, group, len(delay), due)
        alike = (1 - mean) / mean / COMMON**2
        own = known / (known + alike)
        level = own * rates + (1 - own) * mean
        means, variances, thirds = _beta(level * (known + alike), (1 - level) * (known + alike))
        return cls(
            own * rates + (1 - own) * rate,
            means,
            variances + (1 - own) ** 2 * variance,
            thirds + (1 - own) ** 3 * third,
        )

    def taken(self, groups: Whole) -> Level:
        """Select groups by number."""
        return Level(
            self.rate[groups], self.mean[groups], self.variance[groups], self.third[groups]
        )


def _measured(cohorts: pa.Table, group: Whole, many: int, due: Floats) -> tuple[Floats, Floats]:
    """Return which share of what was due came back, and of how many redemptions that is known."""
    weight = 0.5 ** (cohorts["since"].to_numpy() / _half_lives(cohorts, group, many)[group])
    used = weight * due
    exposure, squares, back = (
        np.bincount(group, factor * cohorts[name].to_numpy(), minlength=many)
        for factor, name in ((used, "points"), (weight * used, "squares"), (weight, "back"))
    )
    seen = exposure > 0
    rate = np.divide(back, exposure, out=np.zeros(many), where=seen)
    known_of = np.divide(exposure**2, squares, out=np.zeros(many), where=seen)
    return np.minimum(rate, 1.0), known_of


def _beta(back: Any, out: Any) -> tuple[Any, Any, Any]:
    """Return mean, variance and third moment of a beta distribution."""
    both = back + out
    variance = back * out / both**2 / (both + 1)
    return back / both, variance, variance * 2 * (out - back) / (both * (both + 2))


def _half_lives(cohorts: pa.Table, group: Whole, many: int) -> Floats:
    """Return after how many days redemptions weigh half as much, by group."""
    since, reversals = (cohorts[name].to_numpy() for name in ("since", "reversals"))
    found = np.full(many, float(_HALF_LIFE[1]))
    order = np.lexsort([since, group])
    groups, upto = group[order], np.cumsum(reversals[order])
    before = np.concatenate([[0], upto])[np.searchsorted(groups, groups)]
    enough = upto - before >= _RECENT
    np.minimum.at(found, groups[enough], since[order][enough].astype(np.float64))
    return np.asarray(np.clip(found, *_HALF_LIFE))


@dataclass(frozen=True)
class Open:
    """What is open, by group (rows) and age in days (columns)."""

    redemptions: Whole
    units: Whole
    points: Floats
    squares: Floats
    cubes: Floats

    @classmethod
    def of(cls, rows: pa.Table, group: Whole, many: int, days: int) -> Open:
        """Put rows in their places."""
        age = rows["age"].to_numpy()

        def placed(name: str) -> npt.NDArray[np.float64]:
            values = rows[name].to_numpy()
            table = np.zeros((many, days), values.dtype)
            table[group, age] = values
            return table

        names = ("redemptions", "units", "points", "squares", "cubes")
        return cls(*(placed(name) for name in names))  # type: ignore[arg-type]

    def forecast(self, level: Level, delay: Floats) -> dict[str, npt.NDArray[np.float64]]:
        """Sum chances, and say between which limits what comes back will be."""
        back = delay[:, : self.points.shape[1]]
        expected = (self.points * _chance(level.rate, back)).sum(axis=1)
        chance = _chance(level.mean, back)
        stays = 1 - chance
        mean = (self.points * chance).sum(axis=1)
        steepness = mean / level.mean
        low, high = _interval(
            mean,
            (self.squares * chance * stays).sum(axis=1) + steepness**2 * level.variance,
            (self.cubes * chance * stays * (stays - chance)).sum(axis=1)
            + steepness**3 * level.third,
        )
        nothing = np.prod(stays**self.units, axis=1)
        one = (self.squares * chance).sum(axis=1) / np.where(mean > 0, mean, 1.0)
        high = np.where(1 - nothing > _TAIL, np.maximum(high, one), high)
        open_points = self.points.sum(axis=1).round(DECIMAL_PLACES)
        return {
            "open_redemptions": self.redemptions.sum(axis=1),
            "open_points": open_points,
            "expected_points": expected,
            "low": np.where(nothing > _TAIL, 0.0, np.clip(low, 0.0, expected)),
            "high": np.minimum(np.maximum(high, expected), open_points),
        }


def _chance(rate: Floats, back: Floats) -> Floats:
    """Return the chance that comes back what has not, where so much of what will already has."""
    rates = rate[:, None]
    remains = 1 - rates * back
    return np.divide(rates * (1 - back), remains, out=np.zeros(back.shape), where=remains > 0)


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
