"""Frames: between Arrow tables and the frames that people hold, as the schemas declare them."""

from __future__ import annotations

from functools import cache
from typing import TYPE_CHECKING, Any

import narwhals as nw
import pandas as pd
import pyarrow as pa
from pandera.api.pandas.container import DataFrameSchema

from redemption_analytics.schemas import MODELS, PointsAmount, Text

if TYPE_CHECKING:
    from duckdb import DuckDBPyConnection

_ARROW: dict[str, pa.DataType] = {
    "str": pa.string(),
    "int64": pa.int64(),
    "Int64": pa.int64(),
    "float64": pa.float64(),
    "bool": pa.bool_(),
    "datetime64[us]": pa.timestamp("us"),
}

_PANDAS: dict[str, dict[pa.DataType, Any]] = {
    "str": {pa.string(): Text.type},
    "Int64": {pa.int64(): pd.Int64Dtype()},
}


@cache
def schema_of(table: str) -> DataFrameSchema:
    """Give the Pandera schema of a table, built once."""
    return MODELS[table].to_schema()


@cache
def arrow_schema_of(table: str, *, decimal_points: bool = False) -> pa.Schema:
    """Give the Arrow schema of a table, as its model declares it."""
    fields = []
    for name, column in schema_of(table).columns.items():
        kind = _ARROW[str(column.dtype)]
        if decimal_points and isinstance(column.dtype, PointsAmount):
            kind = pa.float64()
        fields.append(pa.field(name, kind, nullable=column.nullable))
    return pa.schema(fields)


def declared(table: str, data: pa.Table) -> pa.Table:
    """Put the columns of a table into the declared order and types.

    Points stay floats where they were read as decimals.
    """
    decimal = any(
        isinstance(column.dtype, PointsAmount)
        and name in data.column_names
        and pa.types.is_floating(data[name].type)
        for name, column in schema_of(table).columns.items()
    )
    schema = arrow_schema_of(table, decimal_points=decimal)
    return data.select(schema.names).cast(schema)


def pandas_frame(table: str, data: pa.Table) -> pd.DataFrame:
    """Convert a table of declared form to pandas, with the types that its model declares."""
    columns = {}
    for name, column in schema_of(table).columns.items():
        mapped = _PANDAS.get(str(column.dtype), {})
        columns[name] = data[name].to_pandas(types_mapper=mapped.get)
    return pd.DataFrame(columns, copy=False)


def empty(table: str) -> pa.Table:
    """Give a table without rows."""
    return arrow_schema_of(table).empty_table()


def as_arrow(frame: Any) -> pa.Table:
    """Read a frame of any kind into an Arrow table."""
    native = nw.from_native(frame)
    return (native.collect("pyarrow") if isinstance(native, nw.LazyFrame) else native).to_arrow()


def as_pandas(frame: Any, table: str) -> pd.DataFrame:
    """Read a frame of any kind into a pandas frame; one of another kind takes declared types."""
    if isinstance(frame, pd.DataFrame):
        return frame
    return pandas_frame(table, declared(table, as_arrow(frame)))


def frame_like(like: Any, data: pa.Table, table: str | None = None) -> Any:
    """Convert an Arrow table to the kind of frame that ``like`` is; to pandas without one."""
    if like is None or isinstance(like, pd.DataFrame):
        return data.to_pandas() if table is None else pandas_frame(table, data)
    native = nw.from_native(like)
    if native.implementation.is_duckdb():
        # On the connection of the frame given: relations of different ones cannot be joined.
        return like.query("_redemption_analytics", "SELECT * FROM data")
    backend = native.implementation
    frame = nw.from_arrow(data, backend=backend)
    return (frame.lazy() if isinstance(native, nw.LazyFrame) else frame).to_native()


def connected() -> DuckDBPyConnection:
    """Open a DuckDB database in memory, which says nothing of itself on a program's output."""
    import duckdb

    connection = duckdb.connect()
    connection.execute("SET enable_progress_bar = false")
    return connection
