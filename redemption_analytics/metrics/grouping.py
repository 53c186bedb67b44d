"""What metrics are grouped by: names, periods, and the sums of groups."""

from __future__ import annotations

import difflib
from collections.abc import Iterable, Sequence
from datetime import date, datetime, timedelta
from typing import Any, TypeAlias, cast

import narwhals as nw
import pandas as pd

from redemption_analytics.errors import UsageError

By: TypeAlias = str | Iterable[str]
Frame: TypeAlias = "nw.LazyFrame[Any]"

#: Columns of a points redemption that metrics are grouped by.
DIMENSIONS = ("customer_key", "program_id", "store_code", "till_code", "redemption_purpose")

_GRAINS = {"day": "1d", "month": "1mo", "quarter": "1q", "year": "1y"}

#: Periods, each named by its first day.
PERIODS = ("day", "week", "month", "quarter", "year")

_DECIMAL_PLACES = 3


def frame(native: Any) -> Frame:
    """See a frame of any kind as Narwhals' lazy one: only what lazy frames can do is used."""
    return cast(Frame, nw.from_native(native))


def native(rows: Frame) -> Any:
    """Hand a frame back as the kind that it came as."""
    result = rows.to_native()
    return result.reset_index(drop=True) if isinstance(result, pd.DataFrame) else result


def names(by: By, allowed: Sequence[str] = (*DIMENSIONS, *PERIODS)) -> list[str]:
    """Read ``by`` as a list of names.

    Raises
    ------
    UsageError
        If a name is none of those allowed; the text lists them and names the nearest.
    """
    given = [by] if isinstance(by, str) else list(by)
    for name in given:
        if name not in allowed:
            near = difflib.get_close_matches(str(name), allowed, n=1)
            hint = f" Did you mean {near[0]!r}?" if near else ""
            raise UsageError(f"cannot group by {name!r}: it takes {', '.join(allowed)}.{hint}")
    return list(dict.fromkeys(given))


def period(time: nw.Expr, name: str) -> nw.Expr:
    """Give the first day of the period that a time lies in; weeks begin on Monday (ISO 8601)."""
    if name != "week":
        return time.dt.truncate(_GRAINS[name])
    monday = day = time.dt.truncate("1d")
    for back in range(1, 7):
        shifted = day.dt.offset_by(f"-{back}d")
        monday = nw.when(time.dt.weekday() == back + 1).then(shifted).otherwise(monday)
    return monday


def periods(time: str, by: Iterable[str]) -> dict[str, nw.Expr]:
    """Give the expressions of those names in ``by`` that are periods of a time column."""
    return {name: period(nw.col(time), name) for name in by if name in PERIODS}


def summed(rows: Frame, by: Sequence[str], columns: Sequence[str]) -> Frame:
    """Add columns up in groups; without groups, to one row, which is there for no rows too.

    Counts and whole points stay integers on every engine; decimal points are rounded to the three
    places that they are written with, so that sums do not show binary fractions.
    """
    sums = [nw.col(name).sum() for name in columns]
    totals = rows.group_by(*by).agg(*sums) if by else rows.select(*sums)
    schema = rows.collect_schema()
    typed = [
        nw.col(name).fill_null(0).round(_DECIMAL_PLACES)
        if schema[name].is_float()
        else nw.col(name).fill_null(0).cast(nw.Int64)
        for name in columns
    ]
    totals = totals.with_columns(*typed).select(*by, *columns)
    return totals.sort(*by, nulls_last=True) if by else totals


def instant(value: str | date | datetime | None, name: str) -> datetime | None:
    """Read a moment; a date without a time is its midnight.

    Raises
    ------
    UsageError
        If it is no moment, or carries a UTC offset: the tables are in wall-clock time.
    """
    if value is None:
        return None
    try:
        stamp: Any = pd.Timestamp(value)
    except (ValueError, TypeError):
        stamp = pd.NaT
    if pd.isna(stamp) or stamp.tzinfo is not None:
        raise UsageError(
            f"{name} is a moment of the organisation's wall clock such as '2026-11-20', not"
            f" {value!r}"
        )
    moment: datetime = stamp.to_pydatetime()
    return moment


def duration(value: str | timedelta, name: str) -> timedelta:
    """Read a duration such as ``"30D"``.

    Raises
    ------
    UsageError
        If it is no duration, or a negative one.
    """
    try:
        parsed: Any = pd.Timedelta(value)
    except (ValueError, TypeError):
        parsed = pd.NaT
    if pd.isna(parsed) or parsed < pd.Timedelta(0):
        raise UsageError(f"{name} is a duration such as '30D', not {value!r}")
    span: timedelta = parsed.to_pytimedelta()
    return span
