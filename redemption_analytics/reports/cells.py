"""What a cell of Excel can hold of a value, so that nothing is changed or lost in silence."""

from __future__ import annotations

import math
from datetime import datetime
from decimal import Decimal
from typing import Any, TypeAlias

from redemption_analytics.contract import DECIMAL_PLACES
from redemption_analytics.visible import visible

Cell: TypeAlias = "int | float | bool | str | datetime | None"

#: Excel keeps no more digits of a number, and shows zeros in place of those behind.
DIGITS = 15

#: The longest text of a cell, in units of UTF-16.
MOST_CHARACTERS = 32_767

#: Excel's calendar has a 29 February 1900, and nothing before that year.
_FIRST_DAY = datetime(1900, 3, 1)


class Exact(float):
    """A number that XlsxWriter writes with all its digits: by itself it writes 16 of the 17."""

    def __format__(self, _: str) -> str:
        return repr(float(self))


def cell(value: Any, *, points: bool = False) -> Cell:
    r"""Return what a cell holds of a value: the value, or a text where Excel would change it.

    Parameters
    ----------
    value
        A value of a table.
    points
        Whether it counts points, which are exact to three places.

    Returns
    -------
    int, float, bool, str, datetime or None
        A text for numbers of more than 15 digits, for what is no number, and for times that are
        before March 1900 or have parts of a second. Texts show what cannot be seen in them, as
        everywhere; what is left of one that is too long for a cell ends with an ellipsis.

    Examples
    --------
    >>> cell(5), cell(2**53 + 1), cell(1e12 + 0.125, points=True), cell("=1+1"), cell("a\nb")
    (5, '9007199254740993', '1000000000000.125', '=1+1', 'a\\nb')
    """
    match value:
        case None | bool():
            return value
        case str():
            return _fitting(visible(value))
        case int():
            return value if abs(value) < 10**DIGITS else str(value)
        case Decimal():
            digits = "".join(map(str, value.as_tuple().digits)).strip("0")
            return Exact(value) if value.is_finite() and len(digits) <= DIGITS else f"{value:f}"
        case float():
            if not math.isfinite(value):
                return str(value)
            is_long = points and abs(value) >= 10 ** (DIGITS - DECIMAL_PLACES)
            return f"{value:.{DECIMAL_PLACES}f}" if is_long else Exact(value)
        case datetime():
            is_plain = value >= _FIRST_DAY and not value.microsecond
            return value if is_plain else value.isoformat(" ")
    return _fitting(visible(str(value)))


def is_too_long(text: str) -> bool:
    """Check whether a text is longer than a cell may be."""
    return len(visible(text).encode("utf-16-le")) > 2 * MOST_CHARACTERS


def _fitting(text: str) -> str:
    if len(text) * 2 <= MOST_CHARACTERS or not is_too_long(text):
        return text
    kept = text.encode("utf-16-le")[: 2 * (MOST_CHARACTERS - 1)]
    return kept.decode("utf-16-le", errors="ignore") + "…"
