"""Sums and counts of groups, which are the same whole numbers on every engine."""

from __future__ import annotations

from collections.abc import Sequence

import narwhals as nw

from redemption_analytics.tables.lazy import Frame
from redemption_analytics.tables.points import HALF, rounded


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
        rounded(nw.col(name).fill_null(0), schema[name])
        if schema[name].is_float()
        else nw.col(name).fill_null(0).cast(nw.Int64)
        for name in columns
    ]
    totals = totals.with_columns(*typed).select(*by, *columns)
    return totals.sort(*by, nulls_last=True) if by and ordered else totals


def as_float(whole: nw.Expr) -> nw.Expr:
    """Cast whole numbers to floats, past 2^53 too, where PyArrow refuses to round them."""
    high = (whole // HALF).cast(nw.Int64)
    return high.cast(nw.Float64) * HALF + (whole - high * HALF).cast(nw.Float64)


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
    """Return numbers of the same groups from several frames side by side, 0 where one has none.

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
