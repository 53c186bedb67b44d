"""Arithmetic of points, which are whole numbers of 64 bits or decimals of three places."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import narwhals as nw

from redemption_analytics.contract import DECIMAL_PLACES
from redemption_analytics.errors import ValidationError
from redemption_analytics.tables.frames import as_arrow
from redemption_analytics.tables.lazy import Frame, frame, native

#: The columns of points, by table.
_POINTS = {
    "points": "points_redeemed",
    "program_breakups": "points_redeemed",
    "reversals": "points_reversed",
    "reversal_breakups": "points_reversed",
    "source_breakups": "points_consumed",
}

#: Whole numbers of 64 bits are added up in two halves, which cannot overflow.
HALF = 2**32
_END = 2**63


def check_sums(sums: Mapping[str, int]) -> None:
    """Check that the points of a bundle, summed by table, can be added up in any groups.

    Past 2^63 pandas, Polars and PyArrow would go on below zero, and DuckDB would stop. What lies
    within for all points of a table does so for any group of them.

    Raises
    ------
    ValidationError
        If the points of a table add up to more.
    """
    for table, total in sums.items():
        if abs(total) >= _END:
            raise ValidationError(
                f"{table}: {_POINTS[table]} adds up to {total:,}, and a sum of whole points ends at"
                " 2^63, some 9.2 * 10^18. Choose what is asked about with filter, or load with"
                ' points="decimal"'
            )


def point_sums(tables: Mapping[str, Any]) -> dict[str, int]:
    """Add whole points up exactly, beyond 64 bits too, by table."""
    parts = [_halves(frame(tables[table]), table) for table in _POINTS]
    whole = [part for part in parts if part is not None]
    if not whole:
        return {}
    halves = as_arrow(native(nw.concat(whole)))
    return {row["of"]: (row["high"] or 0) * HALF + (row["low"] or 0) for row in halves.to_pylist()}


def _halves(rows: Frame, table: str) -> Frame | None:
    """Add the upper and the lower halves of points up by themselves, which cannot overflow."""
    kind = rows.collect_schema().get(_POINTS[table])
    if kind is None or not kind.is_integer():
        return None
    points = nw.col(_POINTS[table]).cast(nw.Int64)
    high = (points // HALF).cast(nw.Int64)
    return (
        rows.select(points=points, high=high)
        .select(nw.col("high").sum(), low=(nw.col("points") - nw.col("high") * HALF).sum())
        .select(nw.col("high", "low").cast(nw.Int64), of=nw.lit(table))
    )


def exact(points: nw.Expr, kind: nw.dtypes.DType) -> nw.Expr:
    """Return points in their type, which sums widen in DuckDB; decimals in their places."""
    return rounded(points, kind) if kind.is_float() else points.cast(kind)


def rounded(points: nw.Expr, kind: nw.dtypes.DType) -> nw.Expr:
    """Return points to the places that decimals are written with; whole ones as they are."""
    return points.round(DECIMAL_PLACES) if kind.is_float() else points
