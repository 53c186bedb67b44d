"""Moments and spans: the one reader of what people write for them.

A moment is a date, a datetime, or ISO text: a date, a date and a time, or a month. As the end of
something a date means all of that day and a month all of it, as its beginning their first moment.
A span is a timedelta, or text with its unit.
"""

from __future__ import annotations

import calendar
import re
from datetime import UTC, date, datetime, time, timedelta
from typing import Any, TypeAlias

import numpy as np

from redemption_analytics.errors import refused
from redemption_analytics.numerals import clock, day_name

#: What is read as a moment of the organisation's wall clock.
Moment: TypeAlias = str | date | datetime

#: What is read as a span of time.
Span: TypeAlias = str | timedelta

_TEXT = re.compile(
    r"(?P<month>\d{4}-\d\d)(?:-(?P<day>\d\d)"
    r"(?P<clock>[T ]\d\d:\d\d(?::\d\d(?:\.\d{1,6})?)?)?)?",
    re.ASCII,
)
_FORMS = (
    "a moment of the organisation's wall clock: a date, a datetime without a UTC offset, or text"
    " such as '2026-10-31', '2026-10' or '2026-10-31T18:00'"
)

_SPAN = re.compile(r"(?P<number>\d+(?:\.\d+)?) ?(?P<unit>[A-Za-z]+)", re.ASCII)
_UNITS = {
    **dict.fromkeys(["w", "week", "weeks"], timedelta(weeks=1)),
    **dict.fromkeys(["d", "day", "days"], timedelta(days=1)),
    **dict.fromkeys(["h", "hour", "hours"], timedelta(hours=1)),
    **dict.fromkeys(["min", "minute", "minutes"], timedelta(minutes=1)),
    **dict.fromkeys(["s", "second", "seconds"], timedelta(seconds=1)),
}
_DAY = timedelta(days=1)
_TICK = timedelta(microseconds=1)


def beginning(value: Moment | None, argument: str) -> datetime | None:
    """Read the moment at which something begins: of a date or a month, its first.

    >>> beginning("2026-10", "since"), beginning("2026-10-31T18:00", "since")
    (datetime.datetime(2026, 10, 1, 0, 0), datetime.datetime(2026, 10, 31, 18, 0))

    Raises
    ------
    UsageError
        If it is no moment.
    """
    return None if value is None else _bounds(value, argument)[0]


def end(value: Moment | None, argument: str) -> datetime | None:
    """Read the moment up to which something is: of a date or a month, its last microsecond.

    >>> end("2026-10", "until")
    datetime.datetime(2026, 10, 31, 23, 59, 59, 999999)
    >>> end("2026-10-31T18:00", "until")
    datetime.datetime(2026, 10, 31, 18, 0)

    Raises
    ------
    UsageError
        If it is no moment.
    """
    return None if value is None else _bounds(value, argument)[1]


def _bounds(value: Any, argument: str) -> tuple[datetime, datetime]:
    """Return the first and the last moment that a value means."""
    found = _exact(value) or _whole(value)
    if found is None:
        raise refused(argument, _FORMS, value)
    return found


def _exact(value: Any) -> tuple[datetime, datetime] | None:
    """Read what names one moment."""
    if isinstance(value, np.datetime64) and np.datetime_data(value.dtype)[0] not in "YMWD":
        value = value.astype("datetime64[us]").item()
    if isinstance(value, str):
        found = _TEXT.fullmatch(value)
        value = _from_iso(value) if found and found["clock"] else None
    # pandas' NaT is a datetime that does not equal itself.
    if not isinstance(value, datetime) or value != value or value.tzinfo is not None:
        return None
    moment = value.to_pydatetime(warn=False) if hasattr(value, "to_pydatetime") else value
    return moment, moment


def _whole(value: Any) -> tuple[datetime, datetime] | None:
    """Read what names a day or a month."""
    if isinstance(value, np.datetime64) and np.datetime_data(value.dtype)[0] in "MD":
        value = str(value)
    if isinstance(value, str):
        found = _TEXT.fullmatch(value)
        if found is None or found["clock"]:
            return None
        first = _from_iso(f"{found['month']}-{found['day'] or '01'}")
        if first is None:
            return None
        last = first.date()
        if not found["day"]:
            last = last.replace(day=calendar.monthrange(first.year, first.month)[1])
        return first, datetime.combine(last, time.max)
    if isinstance(value, date) and not isinstance(value, datetime):
        return datetime.combine(value, time.min), datetime.combine(value, time.max)
    return None


def _from_iso(text: str) -> datetime | None:
    try:
        return datetime.fromisoformat(text)
    except ValueError:
        return None


def period_of(
    since: Moment | None, until: Moment | None
) -> tuple[datetime | None, datetime | None]:
    """Read the first and the last moment of a period.

    >>> period_of("2026-10-01", "2026-10-31") == period_of("2026-10", "2026-10")
    True

    Raises
    ------
    UsageError
        If one is no moment, or it ends before it begins.
    """
    first, last = beginning(since, "since"), end(until, "until")
    if first is not None and last is not None and first > last:
        raise refused("since", f"a moment that is not after until={until!r}", since)
    return first, last


def made_at(value: Moment | None, argument: str = "exported_at") -> datetime | None:
    """Read when an export was made, in UTC; a date alone is its midnight.

    >>> made_at("2026-11-20"), made_at("2026-11-20T03:00+01:00")
    (datetime.datetime(2026, 11, 20, 0, 0), datetime.datetime(2026, 11, 20, 2, 0))

    Raises
    ------
    UsageError
        If it is no time.
    """
    if value is None:
        return None
    if isinstance(value, str) and re.match(r"\d{4}-\d\d-\d\d(?!\d)", value, re.ASCII):
        value = _from_iso(value) or value
    if isinstance(value, datetime) and value.tzinfo is not None:
        value = value.astimezone(UTC).replace(tzinfo=None)
    found = _exact(value) or _whole(value)
    if found is None or found[1] - found[0] >= _DAY:
        raise refused(
            argument,
            "a time: a date, a datetime, or text such as '2026-11-20', '2026-11-20T03:00' or"
            " '2026-11-20T03:00+01:00'",
            value,
        )
    return found[0]


def span(value: Span, argument: str) -> timedelta:
    """Read a span: a timedelta, or a number with its unit.

    Units are weeks (w), days (d), hours (h), minutes (min) and seconds (s), in either case.

    >>> span("30D", "within") == span("30 days", "within") == timedelta(days=30)
    True

    Raises
    ------
    UsageError
        If it is no span, or a negative one.
    """
    found = _span(value)
    if found is None or found < timedelta(0):
        raise refused(
            argument, "a duration with its unit, such as '30D', '4W', '36h' or a timedelta", value
        )
    return found


def whole_days(value: Span, argument: str) -> int:
    """Read a span that is counted in whole days.

    >>> whole_days("2 weeks", "horizon")
    14

    Raises
    ------
    UsageError
        If it is no span, or has a part of a day.
    """
    found = span(value, argument)
    if found % _DAY:
        raise refused(argument, "a duration in whole days, such as '90D' or '4W'", value)
    return found // _DAY


def _span(value: Any) -> timedelta | None:
    try:
        if isinstance(value, np.timedelta64) and np.datetime_data(value.dtype)[0] in "WDhms":
            value = value.astype("timedelta64[us]").item()
        if isinstance(value, str):
            found = _SPAN.fullmatch(value)
            unit = _UNITS.get(found["unit"].lower()) if found else None
            # "M" and "m" are months to some, minutes to others.
            return float(found["number"]) * unit if found and unit else None
    except (OverflowError, ValueError):
        return None
    if not isinstance(value, timedelta) or value != value:
        return None
    return value.to_pytimedelta() if hasattr(value, "to_pytimedelta") else value


def after(moment: datetime) -> datetime:
    """Return the next moment; the calendar's last has none.

    >>> after(datetime(2026, 10, 31, 23, 59, 59, 999999))
    datetime.datetime(2026, 11, 1, 0, 0)
    """
    return moment if moment == datetime.max else moment + _TICK


def moment_name(moment: datetime) -> str:
    """Name a moment for people.

    >>> moment_name(datetime(2026, 10, 31, 23, 59, 59, 999999)), moment_name(datetime(2026, 11, 1))
    ('the end of 31 October 2026', '1 November 2026, 00:00')
    """
    day = day_name(moment)
    return f"the end of {day}" if moment.time() == time.max else f"{day}, {clock(moment)}"
