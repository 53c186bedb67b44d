"""Arrow tables in the form that is declared of them."""

from __future__ import annotations

from collections.abc import Mapping
from functools import cache

import pyarrow as pa
import pyarrow.compute as pc

from redemption_analytics.columns import RELATIONS, TABLES, UNIQUE, Column
from redemption_analytics.contract import Kind
from redemption_analytics.errors import ValidationError

_TYPES: dict[Kind, pa.DataType] = {
    Kind.TEXT: pa.string(),
    Kind.INTEGER: pa.int64(),
    Kind.POINTS: pa.int64(),
    Kind.AMOUNT: pa.float64(),
    Kind.TIME: pa.timestamp("us"),
    Kind.BOOLEAN: pa.bool_(),
}


@cache
def arrow_schema_of(table: str, *, decimal_points: bool = False) -> pa.Schema:
    """Return the Arrow schema of a table.

    >>> arrow_schema_of("reversals").names[:2]
    ['reversal_id', 'redemption_key']
    """
    fields = []
    for name, column in TABLES[table].items():
        decimal = decimal_points and column.kind is Kind.POINTS
        kind = pa.float64() if decimal else _TYPES[column.kind]
        fields.append(pa.field(name, kind, nullable=column.nullable))
    return pa.schema(fields)


def declared(table: str, data: pa.Table) -> pa.Table:
    """Put the columns of a table into the declared order and types.

    Points stay floats where they were read as decimals.

    Raises
    ------
    ValueError
        If a column cannot be of its type, or lacks values that have to be there.
    """
    schema = schema_for(table, data)
    columns = [_of_field(data[field.name], field) for field in schema]
    return pa.Table.from_arrays(columns, schema=schema)


def _of_field(column: pa.ChunkedArray, field: pa.Field) -> pa.ChunkedArray:
    if column.null_count and not field.nullable:
        raise ValueError(f"{column.null_count:,} values are null")
    # Most are as declared already, and to cast a column to its own type takes its time.
    return column if column.type == field.type else column.cast(field.type)


def schema_for(table: str, data: pa.Table) -> pa.Schema:
    """Return the Arrow schema of a table whose points may be decimals."""
    decimal = any(
        column.kind is Kind.POINTS
        and name in data.column_names
        and pa.types.is_floating(data[name].type)
        for name, column in TABLES[table].items()
    )
    return arrow_schema_of(table, decimal_points=decimal)


def empty(table: str) -> pa.Table:
    """Return a table without rows."""
    return arrow_schema_of(table).empty_table()


def check_batch(table: str, batch: pa.Table) -> None:
    """Check a batch against what is declared of its table, but for what only all of it can show.

    It refuses what the Pandera model refuses.

    Parameters
    ----------
    table
        The name of the table.
    batch
        Some of its rows.

    Raises
    ------
    ValidationError
        If something is not as declared.

    Examples
    --------
    >>> check_batch("rejects", arrow_schema_of("rejects").empty_table())
    """
    schema = schema_for(table, batch)
    if batch.schema.names != schema.names:
        raise ValidationError(f"{table}: its columns are not {', '.join(schema.names)}")
    for field in schema:
        column = batch[field.name]
        if column.type != field.type:
            raise ValidationError(f"{table}: {field.name} is {column.type}, not {field.type}")
        wrong = _wrong(TABLES[table][field.name], column)
        if wrong:
            raise ValidationError(f"{table}: {field.name}: {wrong}")


def check_whole(tables: Mapping[str, pa.Table]) -> None:
    """Check all tables of a bundle against what is declared of them, and of one another.

    It refuses what the Pandera models refuse, and what
    :func:`~redemption_analytics.tables.validation.check_tables` does.

    Parameters
    ----------
    tables
        Every table, by name.

    Raises
    ------
    ValidationError
        If something is not as declared.

    Examples
    --------
    >>> check_whole({name: empty(name) for name in TABLES})
    """
    for name, table in tables.items():
        check_batch(name, table)
        single = [column for column, of in TABLES[name].items() if of.unique]
        for together in filter(None, (single, list(UNIQUE.get(name, ())))):
            if table.num_rows and table.group_by(together).aggregate([]).num_rows < table.num_rows:
                raise ValidationError(f"{name}: {', '.join(together)}: two rows have the same")
    for child, parent, key in RELATIONS:
        if tables[child].num_rows:
            # Arrow before 25 died of looking for nothing in a column without chunks.
            keys = tables[child][key].drop_null()
            if len(keys) and not pc.all(pc.is_in(keys, tables[parent][key])).as_py():
                raise ValidationError(f"{child}: rows name a {key} that {parent} does not have")


def _wrong(column: Column, values: pa.ChunkedArray) -> str | None:
    if values.null_count and not column.nullable:
        return f"{values.null_count:,} values are missing"
    floating = pa.types.is_floating(values.type)
    if floating and not column.nullable and pc.any(pc.is_nan(values)).as_py():
        return "values are missing"
    if column.least is not None:
        least = pc.min(values).as_py()
        if least is not None and least < column.least:
            return f"{least} is less than {column.least}"
    if column.among is not None:
        # They are few, so those that are there are looked at once.
        odd = [value for value in values.unique().to_pylist() if value not in column.among]
        if odd:
            return f"{odd[0]!r} is none of {', '.join(column.among)}"
    return None
