"""The reversal curve: which share of redemptions, or of points, has come back by which day."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from statistics import NormalDist
from typing import TYPE_CHECKING, Any, TypeAlias

import narwhals as nw
import numpy as np
import numpy.typing as npt
import pandas as pd
import pyarrow as pa

from redemption_analytics.contract import DECIMAL_PLACES
from redemption_analytics.errors import UsageError
from redemption_analytics.metrics.durations import (
    WEIGHTS,
    Weight,
    exits,
    units_and_reversals,
    watched,
)
from redemption_analytics.metrics.grouping import By, names
from redemption_analytics.moments import Moment, Span, whole_days
from redemption_analytics.options import PERIODS
from redemption_analytics.schemas import Text
from redemption_analytics.tables.arguments import public
from redemption_analytics.tables.dimensions import DIMENSIONS
from redemption_analytics.tables.frames import as_arrow, frame_like
from redemption_analytics.tables.lazy import native
from redemption_analytics.tables.now import moment_or_now

if TYPE_CHECKING:
    from redemption_analytics.redemptions import Redemptions

Floats: TypeAlias = npt.NDArray[np.float64]
Whole: TypeAlias = npt.NDArray[np.int64]

# A curve has a day of its own, the one since the redemption.
_ALLOWED = (*DIMENSIONS, *(period for period in PERIODS if period != "day"))

_Z = NormalDist().inv_cdf(0.975)


@public
def reversal_curve(
    r: Redemptions,
    by: By = (),
    horizon: Span = "90D",
    as_of: Moment | None = None,
    weight: Weight = "redemptions",
) -> Any:
    """Estimate which share of redemptions, or of points, is reversed by each day after.

    Redemptions too young to show all their reversals count for as long as they were watched, so
    that recent months make the curve neither better nor worse than it is.

    Parameters
    ----------
    r
        The bundle.
    by
        As in :func:`redemption_analytics.net_points`, but for day, of which the curve has its own;
        periods are those of the redemption.
    horizon
        A span in whole days, a timedelta or text with its unit such as ``"90D"`` or ``"4W"``: the
        last day of the curve.
    as_of
        A moment, wall-clock, of which a date means all of that day and a month all of it: what
        happened later is not seen. By default now (:attr:`redemption_analytics.Redemptions.now`),
        when the newest export was made.
    weight
        ``"redemptions"`` follows each redemption to the first reversal of any of its points;
        ``"points"`` follows each point, so that parts of a redemption may come back on several days
        and large redemptions weigh more.

    Returns
    -------
    frame
        Of the kind that the bundle holds, computed at the call even where frames are lazy: only
        counts by group and day leave the engine. One row for each group and day: the columns of
        ``by``, then day (whole days since the redemption, 0 to the horizon), at_risk (redemptions,
        or points, not yet reversed and still watched at the start of the day), reversed (on that
        day), cumulative_rate (share reversed by the end of the day, which never decreases), ci_low
        and ci_high, its 95 % interval. On days on which nothing happens the last value holds. A
        group in which nobody is ever at risk has no rows; without ``by`` there are always rows, and
        the rate of nobody is null.

    Raises
    ------
    UsageError
        If ``by``, ``horizon``, ``as_of`` or ``weight`` makes no sense.

    Notes
    -----
    The rate is 1 less the product of (1 - reversed / at_risk) over the days so far (E. L. Kaplan
    and P. Meier, "Nonparametric estimation from incomplete observations", JASA 53, 1958). What is
    not reversed leaves at its age at ``as_of``, in whole days and after the reversals of that day.
    Where everything was watched to the horizon, the last rate is the plain share that came back.

    The variance of the logarithm of what is not reversed is M. Greenwood's (1926); for points it is
    the one of R. L. Williams, "Product-limit survival functions with correlated survival times",
    Lifetime Data Analysis 1, 1995: points of one redemption come back together and tell no more
    than one. It sums the square of each redemption's influence on the curve, and is Greenwood's
    where each has one point. By program, it takes the parts of a redemption that are in several
    programs for themselves, each in its own curve. The interval is symmetric on the log-log scale
    (J. D. Kalbfleisch and R. L. Prentice, "The Statistical Analysis of Failure Time Data", 1980),
    which keeps it between 0 and 1; before the first reversal, and where all came back, it has no
    width.

    Redemptions without a time are left out; a reversal before its redemption counts as on day 0. Of
    a reversal without a time it is not known when: its points are left out, and so is a redemption
    that has no other. No redemption has more points come back than it had, and reversals of no
    points are none. By program, a redemption is at risk in every program that it drew on, and
    reversed when points of that program came back; points that came back of which no program is
    known are not in any.

    Examples
    --------
    >>> import redemption_analytics as ra
    >>> r = ra.load("data_samples/2025-stores.json")
    >>> ra.reversal_curve(r, horizon="4D", as_of="2025-03-20").round(3)
       day  at_risk  reversed  cumulative_rate  ci_low  ci_high
    0    0        2         0              0.0    0.00    0.000
    1    1        2         0              0.0    0.00    0.000
    2    2        2         0              0.0    0.00    0.000
    3    3        2         1              0.5    0.09    0.994
    4    4        1         0              0.5    0.09    0.994
    """
    groups = names(by, _ALLOWED, custom=True)
    days = whole_days(horizon, "horizon")
    if weight not in WEIGHTS:
        raise UsageError(f"weight is {' or '.join(map(repr, WEIGHTS))}, not {weight!r}")
    moment = moment_or_now(as_of, r.now)
    moved = watched(r, groups, moment)
    units, backs = units_and_reversals(moved, groups)
    counts = as_arrow(native(exits(units, backs, groups, weight, days, moment)))
    (group,), keys = numbered(groups, counts)
    curves = Curves.of(counts, group, len(keys), days)
    low, high = curves.interval()
    repeated = keys.iloc[np.repeat(np.arange(len(keys)), days + 1)]
    columns = {
        "day": np.tile(np.arange(days + 1), len(keys)),
        "at_risk": curves.at_risk.ravel(),
        "reversed": curves.reversed.ravel(),
        "cumulative_rate": curves.rate.ravel(),
        "ci_low": low.ravel(),
        "ci_high": high.ravel(),
    }
    return handed_back(r.points, repeated, columns)


@dataclass(frozen=True)
class Pairs:
    """The pairs of exits of some units, as :func:`exits` counts them; group numbers their curve."""

    group: Whole
    day: Whole
    reversed: Whole
    other_day: Whole
    other_reversed: Whole
    product: Floats

    def taken(self, groups: Whole) -> Pairs:
        """Take groups by number, in the order named and as often, numbering them anew."""
        order = np.argsort(self.group, kind="stable")
        starts = np.searchsorted(self.group[order], groups)
        lengths = np.searchsorted(self.group[order], groups, side="right") - starts
        fresh = np.repeat(np.arange(len(groups)), lengths)
        # The place of each row within its group, moved to where the group starts.
        within = np.arange(len(fresh)) - np.repeat(np.cumsum(lengths) - lengths, lengths)
        rows = order[np.repeat(starts, lengths) + within]
        return Pairs(
            fresh,
            self.day[rows],
            self.reversed[rows],
            self.other_day[rows],
            self.other_reversed[rows],
            self.product[rows],
        )

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

    def together(self) -> Curves:
        """Give the one curve of all groups, their units taken for different ones."""
        one = replace(self.pairs, group=np.zeros_like(self.pairs.group))
        at_risk, reversed_ = (
            counts.sum(axis=0, keepdims=True) for counts in (self.at_risk, self.reversed)
        )
        return Curves(at_risk.round(DECIMAL_PLACES), reversed_.round(DECIMAL_PLACES), one)

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
        """Give the 95 % interval of the rate, symmetric on the log-log scale."""
        rate, left = self.rate, self.at_risk - self.reversed
        weights = np.divide(1.0, left, out=np.zeros(left.shape), where=left > 0)
        variance = self.pairs.squares(weights, self.hazard, range(rate.shape[1]))
        inside = (rate > 0) & (rate < 1)
        log = np.log1p(-rate, out=np.full(rate.shape, -1.0), where=inside)
        spread = _Z * np.sqrt(variance) / -log
        with np.errstate(over="ignore"):
            low, high = (-np.expm1(log * np.exp(side)) for side in (-spread, spread))
        return np.where(inside, low, rate), np.where(inside, high, rate)


def numbered(by: Sequence[str], *tables: pa.Table) -> tuple[list[Whole], pd.DataFrame]:
    """Give each group that occurs in tables a number; without ``by``, there is always one.

    Returns
    -------
    tuple of list of arrays and pandas.DataFrame
        The number of the group of each row of each table, and the groups, sorted.
    """
    if not by:
        return [np.zeros(len(table), np.int64) for table in tables], pd.DataFrame(index=[0])
    rows = pd.concat([_keys(table, by) for table in tables], ignore_index=True)
    numbers = rows.groupby(list(by), dropna=False).ngroup().to_numpy()
    _, first = np.unique(numbers, return_index=True)
    ends = np.cumsum([len(table) for table in tables])
    return np.split(numbers, ends[:-1]), rows.iloc[first]


def _keys(table: pa.Table, by: Sequence[str]) -> pd.DataFrame:
    types: dict[pa.DataType, Any] = {
        pa.int64(): pd.Int64Dtype(),
        pa.string(): Text.type,
        pa.large_string(): Text.type,
    }
    keys: pd.DataFrame = table.select(list(by)).to_pandas(types_mapper=types.get)
    return keys


def handed_back(like: Any, keys: pd.DataFrame, columns: dict[str, npt.NDArray[Any]]) -> Any:
    """Give groups and what was computed of them as the kind of frame that ``like`` is."""
    whole = keys.reset_index(drop=True).assign(**columns)
    if isinstance(like, pd.DataFrame):
        return whole
    data = pa.table({name: pa.array(whole[name], from_pandas=True) for name in whole})
    data = data.cast(
        pa.schema(
            field.with_type(pa.string()) if pa.types.is_large_string(field.type) else field
            for field in data.schema
        )
    )
    if nw.from_native(like).implementation.is_duckdb():
        # On the connection of the bundle: relations of different ones cannot be joined.
        return like.query("_redemption_analytics", "SELECT * FROM data")
    return frame_like(like, data)
