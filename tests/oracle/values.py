"""Reading single values: every way in which the editions write a number, a time or nothing.

Each reader takes a decoded value and gives what it means (None where it means nothing), or raises
:class:`Unfit` with the reason. The ways that are common are tried first.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from datetime import datetime, timedelta, timezone
from decimal import Decimal
from typing import Any, TypeVar
from zoneinfo import ZoneInfo

from redemption_analytics.contract import (
    EPOCH_TIMES,
    EXACT_POINTS,
    POINTS_LIMIT,
    ZERO_DATES,
    Kind,
    PointsType,
)

_NUMBER = re.compile(r"[+-]?(\d{1,400}(\.\d{0,400})?|\.\d{1,400})([eE][+-]?\d{1,9})?", re.ASCII)
_TIME = re.compile(
    r"(?P<date>-?\d{4}-\d\d-\d\d)"
    r"([ T](?P<clock>([01]\d|2[0-3])(:\d\d(:\d\d(\.\d{1,6})?)?)?)"
    r" *(?P<offset>[Zz]|[+-](\d{1,2}(:\d\d)?|\d{4}))?)?",
    re.ASCII,
)
_INT64 = 2**63
_LARGEST_DIGITS = 31
_LARGEST = 10**_LARGEST_DIGITS
_SHOWN = 60

_BLANKS = " \t\n\r\f\v"

Reader = Callable[[Any], Any]
_Points = TypeVar("_Points", int, float)


class Unfit(Exception):  # noqa: N818
    """A value that does not fit the contract.

    ``reason`` follows the value in a sentence, as in "'ten' is no number". Names of fields that the
    contract does not have stand apart, as ``names``: they may be personal too.
    """

    def __init__(
        self,
        reason: str,
        value: object = None,
        *,
        steps: tuple[str | int, ...] = (),
        names: str = "",
    ):
        super().__init__(reason)
        self.reason = reason
        self.value = value
        self.steps = steps
        self.names = names

    def sentence(self, *, personal: bool) -> str:
        """Say what is wrong, with the value itself only where personal data may be shown.

        What should be a number, a time or a truth is shown; what holds others is not, nor is what
        should be a text or hold others: it may be an identity, and errors go into logs.
        """
        if self.value is None:
            return f"{self.reason}: {self.names}" if personal and self.names else self.reason
        hidden = not personal or isinstance(self.value, (list, dict))
        return f"{'the value' if hidden else _shown(self.value)} {self.reason}"


def _shown(value: object) -> str:
    try:
        shown = str(value) if isinstance(value, Decimal) else repr(value)
    except RecursionError:
        return "a value that is nested too deeply"
    except ValueError:
        # Python writes out no integer of very many digits.
        return "a number of too many digits"
    return shown if len(shown) <= _SHOWN else f"{shown[:_SHOWN]}…"


def is_blank(text: str) -> bool:
    """Tell whether a text is blank, as Arrow's ``ascii_is_space`` on the fast road does."""
    return not text.strip(_BLANKS)


def is_nothing(value: object) -> bool:
    """Tell whether a value is one of the ways to write nothing, or a list of such."""
    left = [value]
    while left:
        item = left.pop()
        if isinstance(item, list):
            left += item
        elif not (
            item is None
            or (isinstance(item, str) and is_blank(item))
            or (isinstance(item, dict) and not item)
        ):
            return False
    return True


def readers(points: PointsType, zone: ZoneInfo | None) -> dict[Kind, Reader]:
    """Give the reader of each kind of value.

    Parameters
    ----------
    points
        ``"int"`` refuses fractions of a point; ``"decimal"`` takes up to three places.
    zone
        Where given, times with a UTC offset become wall-clock time there; else they are refused.
    """
    return {
        Kind.TEXT: _text,
        Kind.INTEGER: _integer,
        Kind.POINTS: _whole_points if points == "int" else _decimal_points,
        Kind.AMOUNT: _amount,
        Kind.TIME: lambda value: _time(value, zone),
        Kind.BOOLEAN: _boolean,
    }


def _text(value: object) -> str | None:
    if isinstance(value, str):
        if not value.isascii():
            try:
                value.encode()
            except UnicodeEncodeError:
                raise Unfit("the text holds half of a surrogate pair") from None
        return None if not value or (value.isspace() and is_blank(value)) else value
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, (int, float, Decimal)):
        # Python writes out no integer of very many digits; a decimal it does.
        return str(Decimal(value) if type(value) is int and abs(value) >= _LARGEST else value)
    if _is_empty(value):
        return None
    raise Unfit("is no text", value)


def _number(value: object) -> Decimal | int | None:
    number: Decimal | int
    if type(value) is int:
        number = value
    elif isinstance(value, (float, Decimal)):
        number = Decimal(str(value)) if isinstance(value, float) else value
    elif isinstance(value, str):
        written = value.strip(_BLANKS)
        if not written:
            return None
        if not _NUMBER.fullmatch(written):
            raise Unfit("is no number", value)
        number = Decimal(written)
    elif _is_empty(value):
        return None
    else:
        raise Unfit("is no number", value)
    if isinstance(number, int):
        too_large = not -_LARGEST < number < _LARGEST
    elif number.is_finite():
        # What has a large exponent must not be written out.
        too_large = bool(number) and number.adjusted() >= _LARGEST_DIGITS
    else:
        raise Unfit("is no number", value)
    if too_large:
        raise Unfit("is too large", value)
    return number


def _integer(value: object) -> int | None:
    if isinstance(value, str) and len(value) < 19 and value.isascii() and value.isdigit():
        return int(value)
    number = _number(value)
    if number is None:
        return None
    whole = int(number)
    if whole != number:
        raise Unfit("is no whole number", value)
    if not -_INT64 <= whole < _INT64:
        raise Unfit("does not fit 64 bits", value)
    return whole


def _whole_points(value: object) -> int | None:
    number = _number(value)
    if number is None:
        return None
    whole = int(number)
    if whole != number:
        raise Unfit('is no whole number of points: load with points="decimal" to keep it', value)
    return _within(whole, value)


def _decimal_points(value: object) -> float | None:
    number = _number(value)
    if number is None:
        return None
    points = _within(_float(number), value)
    if isinstance(number, Decimal) and number != round(number, 3):
        raise Unfit("has more than three decimal places", value)
    if number != round(Decimal(points), 3):
        raise Unfit(
            "cannot be held to three decimal places: decimal points are 64-bit floats, which hold"
            f" all below {EXACT_POINTS:,}",
            value,
        )
    return points


def _within(points: _Points, value: object) -> _Points:
    if points < 0:
        raise Unfit("is negative", value)
    if points >= POINTS_LIMIT:
        raise Unfit("is too large for points", value)
    return points


def _amount(value: object) -> float | None:
    number = _number(value)
    return None if number is None else _float(number)


def _float(number: Decimal | int) -> float:
    return float(number) or 0.0  # never -0.0


def _time(value: object, zone: ZoneInfo | None) -> datetime | None:
    if not isinstance(value, str):
        if _is_empty(value):
            return None
        raise Unfit("is no time", value)
    written = value.strip(_BLANKS)
    match = _TIME.fullmatch(written)
    if not written or (match and match["date"] in ZERO_DATES):
        return None
    try:
        if match is None:
            raise ValueError
        time = datetime.fromisoformat(f"{match['date']} {match['clock'] or '00'}")
        offset = _offset(match["offset"]) if match["offset"] else None
    except ValueError:
        raise Unfit("is no time of the form YYYY-MM-DD HH:MM:SS", value) from None
    # The zero of Unix is no time in any zone.
    if offset is None or is_epoch(time):
        return time
    if zone is None:
        raise Unfit(
            "carries a UTC offset: name the organisation's zone, as in"
            ' timezone="Europe/Paris", to read it as wall-clock time there',
            value,
        )
    try:
        return time.replace(tzinfo=timezone(offset)).astimezone(zone).replace(tzinfo=None)
    except OverflowError:
        raise Unfit("is out of range", value) from None


def _offset(written: str) -> timedelta:
    """Read an offset from UTC: ``Z``, ``+7``, ``+07``, ``+7:00``, ``+07:00`` or ``+0700``."""
    if written in "Zz":
        return timedelta(0)
    hours, _, minutes = written[1:].partition(":")
    if len(hours) == 4:
        hours, minutes = hours[:2], hours[2:]
    if int(hours) > 23 or int(minutes or 0) > 59:
        raise ValueError
    ahead = timedelta(hours=int(hours), minutes=int(minutes or 0))
    return -ahead if written[0] == "-" else ahead


def is_epoch(time: datetime) -> bool:
    """Tell whether a time is within a day of the zero of Unix."""
    first, last = EPOCH_TIMES
    return first <= time <= last


def _boolean(value: object) -> bool | None:
    if isinstance(value, bool):
        return value
    if _is_empty(value):
        return None
    if isinstance(value, (str, int)):
        word = str(value).strip(_BLANKS).lower()
        if not word:
            return None
        if word in ("true", "1"):
            return True
        if word in ("false", "0"):
            return False
    raise Unfit("is neither true nor false", value)


def _is_empty(value: object) -> bool:
    """Tell whether a value that should be a scalar is one of the ways to write nothing."""
    return value is None or (isinstance(value, (list, dict)) and not value)
