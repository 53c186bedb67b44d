"""Numbers and dates as people read them: all of these are written here.

What is written while :func:`written_in` is open has the forms of its locale, by Babel; otherwise
numbers are as in 1,422,022.5 and days as in 20 November 2026. Words stay English.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from copy import copy
from datetime import date, datetime
from decimal import Decimal
from typing import TYPE_CHECKING, Any

from redemption_analytics.errors import UsageError, refused

if TYPE_CHECKING:
    from babel import Locale

_LOCALE: ContextVar[Locale | None] = ContextVar("locale", default=None)

#: Parts of Babel's patterns of days, and what charts call them.
_PARTS = {"d": "%-d", "dd": "%d", "M": "%-m", "MM": "%m", "MMM": "%b", "MMMM": "%B", "yy": "%y"}


def locale_of(name: str | None) -> Locale | None:
    """Read the name of a locale; None for none.

    >>> print(locale_of("de-DE"), locale_of(None))
    de_DE None

    Raises
    ------
    UsageError
        If there is none of that name, or Babel is not installed.
    """
    if name is None:
        return None
    try:
        import babel
    except ImportError:
        remedy = 'pip install "redemption-analytics[report]"'
        raise UsageError(f"locale needs babel: {remedy}") from None
    if not isinstance(name, str):
        raise refused("locale", "the name of a locale, such as 'de_DE'", name)
    try:
        return babel.Locale.parse(name.replace("-", "_"))
    except (ValueError, babel.UnknownLocaleError):
        raise refused(
            "locale", "one that Babel knows, a language and a country, such as 'de_DE'", name
        ) from None


@contextmanager
def written_in(locale: Locale | None) -> Iterator[None]:
    """Write numbers and dates in the forms of a locale, as long as this is open."""
    token = _LOCALE.set(locale)
    try:
        yield
    finally:
        _LOCALE.reset(token)


def number(value: float) -> str:
    """Write a count or a sum of points for people, to the last point.

    >>> number(1422022), number(2318.125), number(12.0), number(11.8 + 0.1 + 0.1)
    ('1,422,022', '2,318.125', '12', '12')
    >>> with written_in(locale_of("de_DE")):
    ...     number(1422022), number(2318.125), number(12.0)
    ('1.422.022', '2.318,125', '12')
    """
    shown = round(value, 3)
    locale = _LOCALE.get()
    if locale is not None:
        return _by_pattern(locale, shown, 0, 3)
    whole = isinstance(shown, int) or shown.is_integer()
    return f"{int(shown):,}" if whole else f"{shown:,}"


def many(count: float, name: str) -> str:
    """Write how many there are of what has a name.

    >>> many(1, "answer"), many(1200, "file")
    ('1 answer', '1,200 files')
    """
    return f"{number(count)} {name}" if count == 1 else f"{number(count)} {name}s"


def fixed(value: float | Decimal, places: int, *, signed: bool = False) -> str:
    """Write a number with so many places.

    >>> fixed(1234.5, 2), fixed(1.25, 1, signed=True)
    ('1,234.50', '+1.2')
    >>> with written_in(locale_of("de_DE")):
    ...     fixed(1234.5, 2), fixed(1.5, 1, signed=True)
    ('1.234,50', '+1,5')
    """
    locale = _LOCALE.get()
    if locale is None:
        return f"{value:+,.{places}f}" if signed else f"{value:,.{places}f}"
    sign = "+" if signed and value >= 0 else ""
    return f"{sign}{_by_pattern(locale, value, places, places)}"


def rounded(value: float) -> str:
    """Write an estimate for people, without digits that mean nothing.

    >>> rounded(2318.55), rounded(0.125)
    ('2,319', '0.1')
    """
    return fixed(value, 0) if abs(value) >= 100 else fixed(value, 1)


def percent(share: float | None) -> str:
    """Write a share for people.

    >>> percent(0.08107), percent(None)
    ('8.1 %', 'unknown')
    """
    if share is None:
        return "unknown"
    locale = _LOCALE.get()
    if locale is None:
        return f"{fixed(share * 100, 1)} %"
    return _written(locale, locale.percent_formats[None], share, 1, 1)


def day_name(day: date) -> str:
    """Name a day.

    >>> day_name(date(2026, 11, 20))
    '20 November 2026'
    >>> with written_in(locale_of("de_DE")):
    ...     day_name(date(2026, 11, 20))
    '20.11.2026'
    """
    locale = _LOCALE.get()
    if locale is None:
        return f"{day.day} {day:%B %Y}"
    from babel.dates import format_date

    return format_date(day, "medium", locale)


def month_name(day: date) -> str:
    """Name the month of a day.

    >>> month_name(date(2026, 11, 20))
    'November 2026'
    """
    locale = _LOCALE.get()
    if locale is None:
        return f"{day:%B %Y}"
    from babel.dates import format_skeleton

    return format_skeleton("yMMMM", day, locale=locale)


def clock(moment: datetime) -> str:
    """Write the time of a day.

    >>> clock(datetime(2026, 11, 20, 18))
    '18:00'
    """
    locale = _LOCALE.get()
    if locale is None:
        return f"{moment:%H:%M}"
    from babel.dates import format_time

    return format_time(moment, "short", locale=locale)


def marks() -> tuple[str, str] | None:
    """Return what stands before decimals and between thousands in a locale; None without one."""
    locale = _LOCALE.get()
    if locale is None:
        return None
    symbols = locale.number_symbols["latn"]
    return symbols["decimal"], symbols["group"]


def day_format() -> str | None:
    """Return the form of a day, as charts call it, in a locale; None without one.

    >>> with written_in(locale_of("de_DE")):
    ...     day_format()
    '%d.%m.%Y'
    """
    locale = _LOCALE.get()
    if locale is None:
        return None
    pattern = locale.date_formats["medium"].pattern
    part = re.compile(r"d+|M+|y+")
    return part.sub(lambda found: _PARTS.get(found[0], "%Y"), pattern.replace("'", ""))


def for_charts() -> dict[str, Any]:
    """Return a locale in the terms of Vega, as part of a chart's configuration; nothing without.

    >>> for_charts()
    {}
    """
    locale = _LOCALE.get()
    if locale is None:
        return {}
    symbols = locale.number_symbols["latn"]
    first, rest = locale.decimal_formats[None].grouping
    percents = locale.percent_formats[None].suffix[0] or "%"
    months, days = locale.months["format"], locale.days["format"]
    numbers = {
        "decimal": symbols["decimal"],
        "thousands": symbols["group"],
        "grouping": [first, *[rest] * 8],
        "currency": ["", ""],
        "percent": percents,
        "minus": "-",  # as Babel writes it
    }
    # Of days Babel counts from Monday, and Vega from Sunday.
    times = {
        "dateTime": f"{day_format()} %H:%M",
        "date": day_format(),
        "time": "%H:%M",
        "periods": ["AM", "PM"],
        "days": [days["wide"][day] for day in (6, 0, 1, 2, 3, 4, 5)],
        "shortDays": [days["abbreviated"][day] for day in (6, 0, 1, 2, 3, 4, 5)],
        "months": [months["wide"][month] for month in range(1, 13)],
        "shortMonths": [months["abbreviated"][month] for month in range(1, 13)],
    }
    return {"locale": {"number": numbers, "time": times}}


def _by_pattern(locale: Locale, value: float | Decimal, least: int, most: int) -> str:
    return _written(locale, locale.decimal_formats[None], value, least, most)


def _written(locale: Locale, form: Any, value: float | Decimal, least: int, most: int) -> str:
    """Write a number by a pattern of Babel's with so many places, and the marks of its locale."""
    pattern = copy(form)
    pattern.frac_prec = (least, most)
    # Babel takes apostrophes between thousands, as the Swiss have them, for quotes, and drops them.
    symbols = locale.number_symbols["latn"]
    english = str(pattern.apply(value, "en"))
    return english.translate(str.maketrans({",": symbols["group"], ".": symbols["decimal"]}))
