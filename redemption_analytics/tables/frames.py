"""Frames: between Arrow tables and the frames that people hold, as the schemas declare them."""

from __future__ import annotations

from collections.abc import Mapping
from functools import cache
from typing import TYPE_CHECKING, Any

import narwhals as nw
import pandas as pd
import pyarrow as pa
from pandera.api.pandas.container import DataFrameSchema

from redemption_analytics.errors import UsageError, ValidationError
from redemption_analytics.schemas import MODELS, Text
from redemption_analytics.tables.arrow import declared, empty, schema_for
from redemption_analytics.tables.spark import is_spark, spark_frame

if TYPE_CHECKING:
    from duckdb import DuckDBPyConnection

_PANDAS: dict[str, dict[pa.DataType, Any]] = {
    "str": {pa.string(): Text.type},
    "Int64": {pa.int64(): pd.Int64Dtype()},
}

# Arrow's own errors, and the ValueError of nulls in a column that has none.
_NOT_CAST = (ValueError, pa.ArrowNotImplementedError)


@cache
def schema_of(table: str) -> DataFrameSchema:
    """Return the Pandera schema of a table, built once."""
    return MODELS[table].to_schema()


def columns_of(frame: Any) -> list[str]:
    """List the columns of a frame of any kind."""
    return list(nw.from_native(frame).collect_schema().names())


def pandas_frame(table: str, data: pa.Table) -> pd.DataFrame:
    """Convert a table of declared form to pandas, with the types that its model declares."""
    if not len(data):
        return _without_rows(table, data.schema).copy()
    columns = {}
    for name, column in schema_of(table).columns.items():
        mapped = _PANDAS.get(str(column.dtype), {}).get(data.schema.field(name).type)
        # The array itself: a Series on the way takes longer than it.
        array = None if mapped is None else mapped.__from_arrow__(data[name])
        columns[name] = data[name].to_pandas() if array is None else array
    return pd.DataFrame(columns, copy=False)


@cache
def _without_rows(table: str, schema: pa.Schema) -> pd.DataFrame:
    """Return the frame of a table that has no rows, built once."""
    columns = {}
    for name, column in schema_of(table).columns.items():
        mapped = _PANDAS.get(str(column.dtype), {})
        columns[name] = pa.chunked_array([], schema.field(name).type).to_pandas(
            types_mapper=mapped.get
        )
    return pd.DataFrame(columns, copy=False)


def of_one_kind(given: Mapping[str, Any]) -> dict[str, Any]:
    """Return the tables that people hold, as frames of one kind.

    What Narwhals does not know is read as the Arrow stream that it gives, into the kind of the
    others, of PyArrow where there are none.

    Raises
    ------
    UsageError
        If one is no frame, or they are of several kinds.
    ValidationError
        If an Arrow stream does not hold what its schema declares.
    """
    unwrapped = {
        name: nw.to_native(frame, pass_through=True)
        for name, frame in given.items()
        if frame is not None
    }
    known = {name: frame for name, frame in unwrapped.items() if _is_frame(frame)}
    _check_kinds(known)
    like = next(iter(known.values()), empty("points"))
    frames = {}
    for name, frame in unwrapped.items():
        if name not in known:
            frames[name] = frame_like(like, conformed(name, _from_stream(name, frame)), name)
        else:
            frames[name] = with_plain_texts(frame) if isinstance(frame, pa.Table) else frame
    return frames


def _is_frame(frame: Any) -> bool:
    native = nw.from_native(frame, pass_through=True)
    return isinstance(native, (nw.DataFrame, nw.LazyFrame))


def _check_kinds(frames: Mapping[str, Any]) -> None:
    first: dict[tuple[nw.Implementation, bool], str] = {}
    for name, frame in frames.items():
        native = nw.from_native(frame)
        first.setdefault((native.implementation, isinstance(native, nw.LazyFrame)), name)
    if len(first) > 1:
        said = ", ".join(f"{name} is a {_kind(frames[name])}" for name in first.values())
        raise UsageError(
            f"the tables of a bundle are frames of one kind: {said}. Convert them to one; a lazy"
            " frame by collecting it, any other to PyArrow by pa.table(...)"
        )


def _kind(frame: Any) -> str:
    library = type(frame).__module__.partition(".")[0].removeprefix("_")
    name = type(frame).__name__
    return name if library == "builtins" else f"{library} {name}"


def _from_stream(name: str, frame: Any) -> pa.Table:
    try:
        return pa.RecordBatchReader.from_stream(frame).read_all()
    except (TypeError, pa.ArrowInvalid):
        raise UsageError(
            f"{name} is of type {_kind(frame)}, which is no frame: give one of pandas, Polars,"
            " PyArrow, DuckDB or Spark, or of any library whose frames have __arrow_c_stream__"
        ) from None


def with_plain_texts(table: pa.Table) -> pa.Table:
    """Cast texts to the one form that the schemas declare: those of two cannot be joined."""
    fields = [f.with_type(pa.string()) if _is_text(f.type) else f for f in table.schema]
    return table.cast(pa.schema(fields))


def _is_text(kind: pa.DataType) -> bool:
    plain = kind.value_type if pa.types.is_dictionary(kind) else kind
    return plain in (pa.string(), pa.large_string(), pa.string_view())


def with_types_of(like: pa.Table, data: pa.Table) -> pa.Table:
    """Return a table whose columns without any value are of the types that another has them in.

    A column of pandas' that may hold anything, and holds nothing, does not tell its type.
    """
    known = like.schema
    fields = [
        known.field(field.name)
        if pa.types.is_null(field.type) and field.name in known.names
        else field
        for field in data.schema
    ]
    return data.cast(pa.schema(fields))


def texts_as_declared(table: str, data: pa.Table) -> bool:
    """Check that columns hold texts where, and only where, their schema declares texts."""
    declared_ = schema_for(table, data)
    return all(
        _is_text(field.type) == _is_text(declared_.field(field.name).type)
        for field in data.schema
        if field.name in declared_.names and not pa.types.is_null(field.type)
    )


def as_arrow(frame: Any) -> pa.Table:
    """Read a frame of any kind into an Arrow table."""
    native = nw.from_native(frame)
    return (native.collect("pyarrow") if isinstance(native, nw.LazyFrame) else native).to_arrow()


def conformed(table: str, frame: Any) -> pa.Table:
    """Read a frame of any kind into an Arrow table of declared form.

    Raises
    ------
    ValidationError
        If a column lacks, or cannot be of its type.
    """
    data = as_arrow(frame)
    if missing := [name for name in schema_of(table).columns if name not in data.column_names]:
        raise ValidationError(f"{table}: lacks {', '.join(missing)}")
    try:
        return declared(table, data)
    except _NOT_CAST as error:
        raise ValidationError(f"{table}: {_culprit(table, data)}: {error}") from None


def as_pandas(frame: Any, table: str) -> pd.DataFrame:
    """Read a frame of any kind into a pandas frame; one of another kind takes declared types."""
    if isinstance(frame, pd.DataFrame):
        return frame
    return pandas_frame(table, conformed(table, frame))


def _culprit(table: str, data: pa.Table) -> str:
    """Name the column that cannot be of its declared type: Arrow's errors do not."""
    schema = schema_for(table, data)
    for name in map(str, schema_of(table).columns):
        try:
            data.select([name]).cast(pa.schema([schema.field(name)]))
        except _NOT_CAST:
            return name
    return "some column"


def frame_like(like: Any, data: pa.Table, table: str | None = None) -> Any:
    """Convert an Arrow table to the kind of frame that ``like`` is; to pandas without one."""
    if like is None or isinstance(like, pd.DataFrame):
        return data.to_pandas() if table is None else pandas_frame(table, data)
    native = nw.from_native(like)
    if native.implementation.is_duckdb():
        # On the connection of the frame given: relations of different ones cannot be joined.
        return like.query("_redemption_analytics", "SELECT * FROM data")
    if is_spark(like):
        return spark_frame(like.sparkSession, data)
    backend = native.implementation
    frame = nw.from_arrow(data, backend=backend)
    return (frame.lazy() if isinstance(native, nw.LazyFrame) else frame).to_native()


def is_pyarrow(rows: Any) -> bool:
    """Check whether a frame is a table of PyArrow."""
    return isinstance(rows, pa.Table)


def connected() -> DuckDBPyConnection:
    """Open a connection to DuckDB that says nothing of itself on a program's output.

    It is one of its own, so that threads do not share it, to the database that ``duckdb.sql`` asks,
    so that (from DuckDB 2 on) ``duckdb.sql`` finds the relations.
    """
    import duckdb

    connection = duckdb.default_connection().cursor()
    connection.execute("SET enable_progress_bar = false")
    return connection
