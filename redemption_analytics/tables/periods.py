"""Periods of the calendar: where they begin, and what they are called."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime, timedelta

import narwhals as nw

from redemption_analytics.moments import after
from redemption_analytics.numerals import day_name, month_name
from redemption_analytics.options import PERIODS
from redemption_analytics.tables.lazy import Frame
from redemption_analytics.tables.spark import is_spark, quoted, with_sql

#: What Narwhals calls periods. It has no week.
_GRAINS = {"day": "1d", "month": "1mo", "quarter": "1q", "year": "1y"}

#: Days of a period, and months of one.
_DAYS = {"day": 1, "week": 7}
_MONTHS = {"month": 1, "quarter": 3, "year": 12}


def period_start(moment: datetime, period: str, shift: int = 0) -> datetime:
    """Return the start of the period that a moment lies in; weeks begin on Monday.

    Parameters
    ----------
    moment
        The moment.
    period
        ``"day"``, ``"week"``, ``"month"``, ``"quarter"`` or ``"year"``.
    shift
        So many periods later. The first and the last moment of the calendar bound it.

    Examples
    --------
    >>> period_start(datetime(2026, 11, 25, 18), "week")
    datetime.datetime(2026, 11, 23, 0, 0)
    >>> period_start(datetime(2026, 11, 25, 18), "quarter", 1)
    datetime.datetime(2027, 1, 1, 0, 0)
    >>> period_start(datetime(9999, 12, 31), "month", 1)
    datetime.datetime(9999, 12, 31, 23, 59, 59, 999999)
    """
    try:
        if period in _DAYS:
            back = moment.weekday() if period == "week" else 0
            day = datetime(moment.year, moment.month, moment.day)
            return day + timedelta(_DAYS[period] * shift - back)
        length = _MONTHS[period]
        months = ((moment.year * 12 + moment.month - 1) // length + shift) * length
        return datetime(months // 12, months % 12 + 1, 1)
    except (OverflowError, ValueError):
        return datetime.max if shift > 0 else datetime.min


def running_start(moment: datetime, period: str) -> datetime:
    """Return the start of the period that is not over at a moment: all before it are.

    At the end of a day that day is over, and what ends with it.

    >>> running_start(datetime(2026, 10, 31, 23, 59, 59, 999999), "month")
    datetime.datetime(2026, 11, 1, 0, 0)
    >>> running_start(datetime(2026, 11, 16, 2), "week")
    datetime.datetime(2026, 11, 16, 0, 0)
    """
    return period_start(after(moment), period)


def period_name(start: datetime, period: str) -> str:
    """Name a period for people.

    >>> period_name(datetime(2026, 10, 1), "quarter"), period_name(datetime(2026, 11, 23), "week")
    ('Q4 2026', 'week of 23 November 2026')
    """
    return {
        "day": day_name(start),
        "week": f"week of {day_name(start)}",
        "month": month_name(start),
        "quarter": f"Q{(start.month + 2) // 3} {start:%Y}",
        "year": f"{start:%Y}",
    }[period]


def with_periods(rows: Frame, time: str, by: Iterable[str]) -> Frame:
    """Add the periods that ``by`` names as columns: the first day of each.

    Weeks begin on Monday (ISO 8601).

    Parameters
    ----------
    rows
        The frame.
    time
        The column of times that lie in the periods.
    by
        Names, of which those of periods matter.
    """
    names = [name for name in by if name in PERIODS]
    if not names:
        return rows
    if is_spark(rows):
        return with_sql(rows, {name: _first_day_sql(quoted(time), name) for name in names})
    return rows.with_columns(**{name: _first_day(nw.col(time), name) for name in names})


def _first_day_sql(time: str, name: str) -> str:
    """Write the first day of a period for Spark: by way of dates, which are of no zone."""
    day = f"CAST({time} AS DATE)"
    first = day if name == "day" else f"TRUNC({day}, '{name}')"
    return f"CAST({first} AS TIMESTAMP_NTZ)"


def _first_day(time: nw.Expr, name: str) -> nw.Expr:
    if name != "week":
        return time.dt.truncate(_GRAINS[name])
    monday = day = time.dt.truncate("1d")
    for back in range(1, 7):
        shifted = day.dt.offset_by(f"-{back}d")
        monday = nw.when(time.dt.weekday() == back + 1).then(shifted).otherwise(monday)
    return monday
