"""What metrics are grouped by: names, periods, and the sums of groups."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any, TypeAlias, cast

import narwhals as nw
import pandas as pd

from redemption_analytics.errors import UsageError, nearest
from redemption_analytics.usage import refused

By: TypeAlias = str | Iterable[str]
Frame: TypeAlias = "nw.LazyFrame[Any]"

#: Columns of a points redemption that metrics are grouped by.
DIMENSIONS = ("customer_key", "program_id", "store_code", "till_code", "redemption_purpose")

#: Columns of a coupon redemption that metrics are grouped by.
COUPON_DIMENSIONS = (
    "customer_key",
    "store_code",
    "till_code",
    "series_id",
    "discount_type",
    "code",
)

#: What a name begins with that is the value of a custom field, as in "custom:channel".
CUSTOM = "custom:"

_GRAINS = {"day": "1d", "month": "1mo", "quarter": "1q", "year": "1y"}

#: Periods, each named by its first day.
PERIODS = ("day", "week", "month", "quarter", "year")

_DECIMAL_PLACES = 3

#: Where names of columns that differ in case alone are two.
_TELLING_CASE = (nw.Implementation.PANDAS, nw.Implementation.POLARS, nw.Implementation.PYARROW)
_HALF = 2**32


def frame(native: Any) -> Frame:
    """See a frame of any kind as Narwhals' lazy one: only what lazy frames can do is used."""
    return cast(Frame, nw.from_native(native))


def native(rows: Frame) -> Any:
    """Hand a frame back as the kind that it came as."""
    result = rows.to_native()
    return result.reset_index(drop=True) if isinstance(result, pd.DataFrame) else result


def names(
    by: By, allowed: Sequence[str] = (*DIMENSIONS, *PERIODS), *, custom: bool = False
) -> list[str]:
    """Read ``by`` as a list of names.

    Parameters
    ----------
    by
        What the caller of a metric gave.
    allowed
        The names that this metric knows.
    custom
        Whether it knows custom fields too, written "custom:NAME". Which ones there are is not asked
        here: lazy frames would have to be read for that.

    Raises
    ------
    UsageError
        If a name is none of those allowed; the text lists them and names the nearest.
    """
    given = [by] if isinstance(by, str) else by
    if not isinstance(given, Iterable):
        raise refused("by", "a name or a list of names", by)
    found: dict[str, None] = {}
    for name in given:
        wanted = custom and isinstance(name, str) and name.removeprefix(CUSTOM) not in ("", name)
        if name not in allowed and not wanted:
            known = ", ".join(allowed) + (f", {CUSTOM}NAME (of a custom field)" if custom else "")
            hint = nearest(str(name), allowed)
            raise UsageError(f"cannot group by {name!r}: it takes {known}.{hint}")
        found[name] = None
    return list(found)


def with_custom_fields(
    rows: Frame, fields: Frame, redemption_type: str, by: Iterable[str]
) -> Frame:
    """Give redemptions those custom fields as columns that ``by`` names.

    Where a redemption has no such field, or one without a value, it is null. A field that no
    redemption has is null everywhere: a month in which nobody used it is no mistake.

    Parameters
    ----------
    rows
        Redemptions, with their redemption_key.
    fields
        The table custom_fields.
    redemption_type
        What they redeem, "points" or "coupon": their keys may be the same text.
    by
        Names, of which those of custom fields matter.

    Raises
    ------
    UsageError
        If two names differ in case alone, and the frames are of a database, where those are one.
    """
    by = list(by)
    if rows.implementation not in _TELLING_CASE:
        _refuse_alike(by)
    for name in by:
        if name.startswith(CUSTOM):
            here = (nw.col("name") == name.removeprefix(CUSTOM)) & (
                nw.col("redemption_type") == redemption_type
            )
            values = fields.filter(here).select("redemption_key", nw.col("value").alias(name))
            rows = rows.join(values, on="redemption_key", how="left")
    return rows


def _refuse_alike(by: Iterable[str]) -> None:
    seen: dict[str, str] = {}
    for name in by:
        other = seen.setdefault(name.lower(), name)
        if other != name:
            raise UsageError(
                f"cannot group by {other!r} and {name!r} together: to this engine columns that"
                " differ in case alone are one. Group by each alone, or open with engine='polars'"
            )


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


def summed(
    rows: Frame, by: Sequence[str], columns: Sequence[str], *, ordered: bool = True
) -> Frame:
    """Add columns up in groups; without groups, to one row, which is there for no rows too.

    Counts and whole points stay integers on every engine; decimal points are rounded to the three
    places that they are written with, so that sums do not show binary fractions. Groups that are
    only added up further need no order, and sorting them by texts takes longer than the sums.
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
    return totals.sort(*by, nulls_last=True) if by and ordered else totals


def as_float(whole: nw.Expr) -> nw.Expr:
    """See whole numbers as floats, past 2^53 too, where PyArrow refuses to round them."""
    high = (whole // _HALF).cast(nw.Int64)
    return high.cast(nw.Float64) * _HALF + (whole - high * _HALF).cast(nw.Float64)


def distinct(rows: Frame, by: Sequence[str], what: Sequence[str], name: str) -> Frame:
    """Count the distinct combinations of some columns in groups, those without nulls in the last.

    Returns
    -------
    frame
        The columns of ``by``, and the count under the name given. A group with none is not there.
    """
    columns = list(dict.fromkeys([*by, *what]))
    once = rows.filter(~nw.col(what[-1]).is_null()).select(*columns).unique()
    return counted(once, by, name)


def counted(rows: Frame, by: Sequence[str], name: str) -> Frame:
    """Count rows in groups, under the name given. A group with none is not there."""
    ones = rows.with_columns(nw.lit(1, nw.Int64).alias(name))
    return summed(ones, by, [name], ordered=False).filter(nw.col(name) > 0)


def combined(parts: Sequence[Frame], by: Sequence[str], columns: Sequence[str]) -> Frame:
    """Put numbers of the same groups from several frames side by side, 0 where one has none.

    They are added up, since joins do not match null groups. A frame that lacks a column of ``by``
    stands in its null group.
    """
    schemas = [part.collect_schema() for part in parts]
    kinds = {name: kind for schema in schemas for name, kind in schema.items()}
    filled = []
    for part, schema in zip(parts, schemas, strict=True):
        here = [name for name in (*by, *columns) if name in schema]
        zeros = [nw.lit(0, kinds[name]).alias(name) for name in columns if name not in schema]
        filled.append(part.select(*here, *zeros))
    return summed(nw.concat(filled, how="diagonal"), by, columns)
