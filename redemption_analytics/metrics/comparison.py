"""Comparisons: how much one reversal rate differs from another, and how sure that is."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import pandas as pd

from redemption_analytics.errors import UsageError, nearest, refused
from redemption_analytics.metrics.computed import handed_back, keys_of
from redemption_analytics.metrics.grouping import By
from redemption_analytics.tables.arguments import public
from redemption_analytics.tables.frames import as_arrow
from redemption_analytics.tables.lazy import FrameT, frame, native

_RATE, _COUNT = "redemption_reversal_rate", "redemptions"
_MEASURES = (_COUNT, _RATE, "ci_low", "ci_high")

#: What else reversal_rates gives, beside what rates are of.
_OTHERS = (
    "reversed_redemptions",
    "fully_reversed_redemptions",
    "points_redeemed",
    "points_reversed",
    "points_reversal_rate",
    "full_reversal_rate",
)


@public
def compare_rates(before: FrameT, after: FrameT, on: By | None = None) -> FrameT:
    """Return how much reversal rates differ, with the 95 % interval of the difference.

    Parameters
    ----------
    before, after
        Rates, as :func:`redemption_analytics.reversal_rates` gives them, on any engine: those of a
        period and of the one before or of the year before, or rows of two stores. Give both the
        same ``within``, lest the younger look better than it is.
    on
        A name or list of columns, that tell which row belongs to which. By default all groups that
        both have; but one row is compared with one row whatever they are of.

    Returns
    -------
    frame
        Of the kind that ``after`` is: the columns of ``on``, then redemptions_before and
        redemptions_after (counts), rate_before and rate_after (shares of redemptions), change (the
        second less the first, as a share: 0.015 is 1.5 percentage points), ci_low and ci_high, the
        95 % interval of the change. Where it lies wholly above 0, or below, chance alone would
        hardly make the change. Where one of the two has no such group or no redemptions, change is
        null.

    Raises
    ------
    UsageError
        If these are no rates, or ``on`` names no column of both or does not tell rows apart.

    Notes
    -----
    The interval is made of Wilson's of both rates (R. G. Newcombe, "Interval estimation for the
    difference between independent proportions", Statistics in Medicine 17, 1998, method 10). It
    takes the two for different redemptions: a store beside all stores, of which it is one, differs
    by more than this says.

    Examples
    --------
    >>> import redemption_analytics as ra
    >>> r = ra.load("data_samples/organisation")
    >>> rates = ra.reversal_rates(r, by="year", within="30D")
    >>> ra.compare_rates(rates[rates["year"] == "2025"], rates[rates["year"] == "2026"]).round(3).T
                               0
    redemptions_before  4244.000
    redemptions_after   5290.000
    rate_before            0.073
    rate_after             0.084
    change                 0.011
    ci_low                 0.000
    ci_high                0.022
    """
    first, second = _read(before, "before"), _read(after, "after")
    shared = [name for name in _groups(first) if name in _groups(second)]
    if on is None:
        columns = [] if len(first) == len(second) == 1 else shared
    else:
        columns = _named(on, shared)
    for name, rates in (("before", first), ("after", second)):
        if rates.duplicated(columns).any() if columns else len(rates) > 1:
            raise UsageError(
                f"{name} has several rows of one group: on= names the columns that tell rows"
                f" apart, of {', '.join(shared) or 'which both have none'}"
            )
    wanted = [*columns, *_MEASURES]
    if columns:
        both = first[wanted].merge(
            second[wanted], how="outer", on=columns, suffixes=("_before", "_after")
        )
        both = both.sort_values(columns, na_position="last")
    else:
        sides = [
            rates[wanted].add_suffix(f"_{end}").reset_index(drop=True)
            for end, rates in (("before", first), ("after", second))
        ]
        both = pd.concat(sides, axis=1)
    return handed_back(after, both[columns], _compared(both))


def _read(rates: Any, argument: str) -> pd.DataFrame:
    try:
        table = as_arrow(native(frame(rates)))  # without the index of a part of pandas' frame
    except TypeError:
        table = None
    if table is None or not set(_MEASURES) <= set(table.column_names):
        raise refused(argument, "rates, as reversal_rates gives them", rates)
    return keys_of(table, table.column_names)


def _groups(rates: pd.DataFrame) -> list[str]:
    return [str(name) for name in rates if name not in (*_MEASURES, *_OTHERS)]


def _named(on: By, shared: Sequence[str]) -> list[str]:
    given = [on] if isinstance(on, str) else list(on)
    for name in given:
        if name not in shared:
            known = ", ".join(shared) or "nothing, for they have no groups"
            raise UsageError(
                f"on is of the groups that both rates have, {known}; not {name!r}."
                + nearest(str(name), shared)
            )
    return given


def _compared(both: pd.DataFrame) -> dict[str, Any]:
    def values(name: str, end: str) -> Any:
        return both[f"{name}_{end}"].to_numpy(np.float64, na_value=np.nan)

    rates, lows, highs = (
        (values(name, "before"), values(name, "after")) for name in (_RATE, "ci_low", "ci_high")
    )
    change = rates[1] - rates[0]
    down = np.hypot(rates[1] - lows[1], highs[0] - rates[0])
    up = np.hypot(highs[1] - rates[1], rates[0] - lows[0])
    counts = {
        f"redemptions_{end}": both[f"{_COUNT}_{end}"].fillna(0).astype(np.int64).to_numpy()
        for end in ("before", "after")
    }
    return {
        **counts,
        "rate_before": rates[0],
        "rate_after": rates[1],
        "change": change,
        "ci_low": change - down,
        "ci_high": change + up,
    }
