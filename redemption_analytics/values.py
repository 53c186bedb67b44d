"""Reading single values: every way in which the editions write a number, a time or nothing.

Each reader takes a decoded value and gives back text (or None for nothing) in the one form that the
fast road reads, or raises :class:`Unfit` with the reason.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from datetime import datetime
from decimal import Decimal, InvalidOperation
from zoneinfo import ZoneInfo

from redemption_analytics.contract import NO_TIMES, Kind, PointsType

_NUMBER = re.compile(r"[+-]?(\d{1,400}(\.\d{0,400})?|\.\d{1,400})([eE][+-]?\d{1,9})?", re.ASCII)
_TIME = re.compile(
    r"\d{4}-\d\d-\d\d([ T]\d\d(:\d\d(:\d\d(\.\d{1,6})?)?)?)?(?P<offset>Z|[+-]\d\d:?\d\d)?",
    re.ASCII,
)
_INT64 = 2**63
_SHOWN = 60

_BLANKS = " \t\n\r\f\v"

Reader = Callable[[object], str | bool | None]


class Unfit(Exception):  # noqa: N818
    """A value that does not fit the contract.

    ``reason`` follows the value in a sentence, as in "'ten' is no number".
    """

    def __init__(self, reason: str, value: object = None, *, steps: tuple[str | int, ...] = ()):
        super().__init__(reason)
        self.reason = reason
        self.value = value
        self.steps = steps

    def sentence(self, *, personal: bool) -> str:
        """Say what is wrong, with the value itself only where personal data may be shown."""
        if self.value is None:
            return self.reason
        shown = repr(str(self.value) if isinstance(self.value, Decimal) else self.value)
        if len(shown) > _SHOWN:
            shown = f"{shown[:_SHOWN]}…"
        return f"{shown if personal else 'the value'} {self.reason}"


def is_blank(text: str) -> bool:
    """Tell whether a text is blank, as Arrow's ``ascii_is_space`` on the fast road does."""
    return not text.strip(_BLANKS)


def readers(points: PointsType, timezone: ZoneInfo | None) -> dict[Kind, Reader]:
    """Give the reader of each kind of value.

    Parameters
    ----------
    points
        ``"int"`` refuses fractions of a point; ``"decimal"`` takes up to three places.
    timezone
        Where given, times with a UTC offset become wall-clock time there; else they are refused.
    """
    return {
        Kind.TEXT: _text,
        Kind.INTEGER: _integer,
        Kind.POINTS: _whole_points if points == "int" else _decimal_points,
        Kind.AMOUNT: _amount,
        Kind.TIME: lambda value: _time(value, timezone),
        Kind.BOOLEAN: _boolean,
    }


def _text(value: object) -> str | None:
    if isinstance(value, str):
        if not value.isascii():
            try:
                value.encode()
            except UnicodeEncodeError:
                raise Unfit("the text holds half of a surrogate pair") from None
        return value
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, (int, float, Decimal)):
        return str(value)
    if value is None or value in ([], {}):
        return None
    raise Unfit("is no text", value)


def _number(value: object) -> Decimal | int | None:
    if isinstance(value, bool):
        raise Unfit("is no number", value)
    if isinstance(value, int):
        return value
    if isinstance(value, float):
        value = str(value)
    if isinstance(value, Decimal):
        number = value
    elif isinstance(value, str):
        written = value.strip(_BLANKS)
        if not written:
            return None
        if not _NUMBER.fullmatch(written):
            raise Unfit("is no number", value)
        try:
            number = Decimal(written)
        except InvalidOperation:  # pragma: no cover - the pattern admits numbers only
            raise Unfit("is no number", value) from None
    elif value is None or value in ([], {}):
        return None
    else:
        raise Unfit("is no number", value)
    if not number.is_finite():
        raise Unfit("is no number", value)
    if number and number.adjusted() > 30:
        raise Unfit("is too large", value)
    return number


def _integer(value: object) -> str | None:
    number = _number(value)
    if number is None:
        return None
    whole = int(number)
    if whole != number:
        raise Unfit("is no whole number", value)
    if not -_INT64 <= whole < _INT64:
        raise Unfit("does not fit 64 bits", value)
    return str(whole)


def _whole_points(value: object) -> str | None:
    number = _number(value)
    if isinstance(number, Decimal) and number != int(number):
        raise Unfit('is no whole number of points: load with points="decimal" to keep it', value)
    return _not_negative(_integer(value), value)


def _decimal_points(value: object) -> str | None:
    number = _number(value)
    if number is None:
        return None
    exact = Decimal(number)
    if exact and exact.adjusted() > 14:
        raise Unfit("is too large for points", value)
    places = exact.quantize(Decimal("0.001"))
    if places != exact:
        raise Unfit("has more than three decimal places", value)
    return _not_negative(str(places), value)


def _not_negative(number: str | None, value: object) -> str | None:
    if number is not None and number.startswith("-") and Decimal(number) != 0:
        raise Unfit("is negative", value)
    return number


def _amount(value: object) -> str | None:
    number = _number(value)
    if number is None:
        return None
    if number and Decimal(number).adjusted() >= 18:
        raise Unfit("is too large for an amount", value)
    # Fixed point: Arrow takes no more places than the column declares.
    return f"{Decimal(number):.10f}"


def _time(value: object, timezone: ZoneInfo | None) -> str | None:
    if value is None or value in ([], {}):
        return None
    if not isinstance(value, str):
        raise Unfit("is no time", value)
    written = value.strip(_BLANKS)
    if not written or written in NO_TIMES:
        return None
    match = _TIME.fullmatch(written)
    try:
        time = datetime.fromisoformat(written) if match else None
    except ValueError:
        time = None
    if match is None or time is None:
        raise Unfit("is no time of the form YYYY-MM-DD HH:MM:SS", value)
    if match["offset"]:
        if timezone is None:
            raise Unfit(
                "carries a UTC offset: name the organisation's zone, as in"
                ' timezone="Europe/Paris", to read it as wall-clock time there',
                value,
            )
        try:
            time = time.astimezone(timezone).replace(tzinfo=None)
        except OverflowError:
            raise Unfit("is out of range", value) from None
    return time.isoformat(sep=" ")


def _boolean(value: object) -> bool | None:
    if isinstance(value, bool):
        return value
    if value is None or value in ([], {}):
        return None
    word = str(value).strip(_BLANKS).lower()
    if not word:
        return None
    if word in ("true", "1"):
        return True
    if word in ("false", "0"):
        return False
    raise Unfit("is neither true nor false", value)
