"""Columns of Arrow: fields of nested ones, and their values read as the contract means them."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc


class DoesNotFit(Exception):  # noqa: N818
    """A block that the fast road cannot take: some value in it does not fit the contract.

    Attributes
    ----------
    rows
        Answers that are known to hold such a value, by their place; flattening knows all that a
        rule refuses, reading may know none.
    """

    def __init__(self, rows: Sequence[int] = ()):
        super().__init__()
        self.rows = rows


def field_of(parent: pa.StructArray, *path: str) -> Any:
    """Give a field, however deep; of no path, the parent itself."""
    return pc.struct_field(parent, list(path)) if path else parent


def texts_of(texts: pa.StringArray) -> pa.StringArray:
    """Blank text means nothing."""
    blank = pc.or_(pc.equal(texts, ""), pc.ascii_is_space(texts))
    return pc.if_else(blank, pa.scalar(None, pa.string()), texts)


def integers_of(numbers: pa.Decimal128Array) -> pa.Int64Array:
    """Give whole numbers; others do not fit."""
    return cast_to(numbers, pa.int64())


def floats_of(numbers: pa.Array) -> pa.DoubleArray:
    """Give the nearest floats; Arrow's own cast of decimals makes 225.39 to 225.39000000000001."""
    return numbers.cast(pa.string()).cast(pa.float64()) if numbers.type != pa.float64() else numbers


def cast_to(values: pa.Array, to: pa.DataType) -> pa.Array:
    """Cast, and name the values that do not fit."""
    try:
        return values.cast(to)
    except pa.ArrowInvalid:
        raise DoesNotFit(_not_castable(values, to)) from None


def _not_castable(values: pa.Array, to: pa.DataType, start: int = 0) -> list[int]:
    """Find the values that cannot be cast, by halves: there are few."""
    try:
        values.cast(to)
    except pa.ArrowInvalid:
        half = len(values) // 2
        if not half:
            return [start]
        return [
            *_not_castable(values[:half], to, start),
            *_not_castable(values[half:], to, start + half),
        ]
    return []


def booleans_of(values: pa.Array) -> pa.BooleanArray:
    """Read true and false, which may be words."""
    if pa.types.is_boolean(values.type):
        return values
    words = pc.utf8_lower(texts_of(values))
    demand(pc.is_in(words, pa.array(["true", "false", None])))
    return pc.equal(words, "true")


def lengths(lists: pa.ListArray) -> pa.Int64Array:
    """Give how many elements each list has, a missing one none."""
    return pc.fill_null(pc.list_value_length(lists), 0).cast(pa.int64())


def demand(holds: pa.BooleanArray, rows: pa.Array | None = None) -> None:
    """Refuse answers by their place, or by the rows that stand for the places."""
    if pc.all(holds, skip_nulls=True, min_count=0).as_py() is False:
        places = pc.indices_nonzero(pc.invert(holds))
        raise DoesNotFit((places if rows is None else rows.take(places)).to_pylist())
