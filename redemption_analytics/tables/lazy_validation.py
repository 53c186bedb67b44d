"""Validation of tables that do not come into memory: the same rules, asked of their engine."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

import narwhals as nw

from redemption_analytics.columns import RELATIONS, TABLES, UNIQUE, Column
from redemption_analytics.contract import Kind
from redemption_analytics.errors import ValidationError
from redemption_analytics.tables.frames import as_arrow
from redemption_analytics.tables.lazy import Frame, frame, native

_SHOWN_FAILURES = 5


def check_lazily(frames: Mapping[str, Any]) -> None:
    """Check whole tables as their models do, and the relations between them.

    Only counts leave the engine.

    Raises
    ------
    ValidationError
        If a table breaks its model, or a row belongs to no row of the table that it should belong
        to.
    """
    tables = {name: frame(table) for name, table in frames.items()}
    for name, rows in tables.items():
        check_types(name, rows)
    for name, rows in tables.items():
        _check_values(name, rows)
    told = nw.concat([*_repeated(tables), *_orphans(tables)])
    for found in as_arrow(native(told)).to_pylist():
        if found["count"]:
            raise ValidationError(found["problem"].format(count=found["count"]))


def check_types(table: str, rows: Frame) -> None:
    """Check that a table has its columns, each of a type that holds what it is declared to hold.

    Raises
    ------
    ValidationError
        If it has not.
    """
    schema = rows.collect_schema()
    if missing := [name for name in TABLES[table] if name not in schema]:
        raise ValidationError(f"{table}: lacks {', '.join(missing)}")
    for name, column in TABLES[table].items():
        if not _holds(schema[name], column.kind):
            raise ValidationError(
                f"{table}: {name} is {schema[name]}, and has to be {_NAMES[column.kind]}: cast it"
            )


_NAMES = {
    Kind.TEXT: "text",
    Kind.INTEGER: "a whole number",
    Kind.POINTS: "a whole number, or a float",
    Kind.AMOUNT: "a float",
    Kind.TIME: "a time without a zone, as of a clock on the wall",
    Kind.BOOLEAN: "a boolean",
}


def _holds(kind: nw.dtypes.DType, declared: Kind) -> bool:
    if declared is Kind.TIME:
        return isinstance(kind, nw.Datetime) and kind.time_zone is None
    return {
        Kind.TEXT: kind == nw.String,
        Kind.INTEGER: kind.is_integer(),
        Kind.POINTS: kind.is_integer() or kind.is_float(),
        Kind.AMOUNT: kind.is_float(),
        Kind.BOOLEAN: kind == nw.Boolean,
    }[declared]


def _check_values(table: str, rows: Frame) -> None:
    """Check the values of a table by themselves."""
    schema = rows.collect_schema()
    rules = {
        f"{name}: {rule}": broken
        for name, column in TABLES[table].items()
        for rule, broken in _rules(nw.col(name), column, floating=schema[name].is_float())
    }
    ones = {f"n{place}": _one_where(broken) for place, broken in enumerate(rules.values())}
    counts = as_arrow(native(rows.select(**ones).select(nw.all().sum()))).to_pylist()[0]
    failures = [
        f"{rule} in {count:,} rows"
        for rule, count in zip(rules, counts.values(), strict=True)
        if count
    ]
    if failures:
        more = len(failures) - _SHOWN_FAILURES
        shown = "; ".join(failures[:_SHOWN_FAILURES])
        raise ValidationError(f"{table}: {shown}" + (f"; and {more} more" if more > 0 else ""))


def _rules(values: nw.Expr, column: Column, *, floating: bool) -> Iterator[tuple[str, nw.Expr]]:
    """Yield what is true of a column, and where it is broken."""
    if not column.nullable:
        yield "a value is missing", values.is_null()
        if floating:
            yield "a value is NaN", values.is_nan()
    if column.least is not None:
        yield f"a value is less than {column.least}", values < column.least
    if column.among is not None:
        yield f"a value is none of {', '.join(column.among)}", ~values.is_in(column.among)


def _one_where(broken: nw.Expr) -> nw.Expr:
    return nw.when(broken).then(nw.lit(1)).otherwise(nw.lit(0)).cast(nw.Int64)


def _repeated(tables: Mapping[str, Frame]) -> Iterator[Frame]:
    """Count for each table what stands in several rows and has to stand in one."""
    for name, rows in tables.items():
        single = [column for column, of in TABLES[name].items() if of.unique]
        for together in filter(None, (single, list(UNIQUE.get(name, ())))):
            several = rows.group_by(*together).agg(n=nw.len()).filter(nw.col("n") > 1)
            said = f"{name}: {', '.join(together)}: {{count:,}} stand in two rows or more"
            yield _counted(several, said)


def _orphans(tables: Mapping[str, Frame]) -> Iterator[Frame]:
    """Count rows that belong to no row of the table that they should belong to."""
    for child, parent, key in RELATIONS:
        known = tables[parent].select(key)
        # Bundles made by hand may well leave the customers out.
        if parent == "customers" and not len(as_arrow(native(known.head(1)))):
            continue
        rows = tables[child].filter(~nw.col(key).is_null()).select(key)
        said = f"{child}: {{count:,}} rows name a {key} that {parent} does not have"
        yield _counted(rows.join(known, on=key, how="anti"), said)


def _counted(rows: Frame, problem: str) -> Frame:
    return rows.select(count=nw.len().cast(nw.Int64)).with_columns(problem=nw.lit(problem))
