"""Writing tables that Spark holds: its executors do, and no row comes into this process."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pyarrow as pa

from redemption_analytics.columns import TABLES
from redemption_analytics.contract import Kind
from redemption_analytics.errors import WriteError
from redemption_analytics.tables.arrow import arrow_schema_of
from redemption_analytics.tables.lazy import frame
from redemption_analytics.tables.lazy_validation import check_types
from redemption_analytics.tables.outputs import PART
from redemption_analytics.tables.spark import SQL_TYPES, quoted


def write_by_spark(tables: Mapping[str, Any], directory: Path) -> None:
    """Write each table of Spark's frames to a folder of its own, as Parquet.

    Parameters
    ----------
    tables
        The frames, by name.
    directory
        Where, which has to be the same place to Spark's executors.

    Raises
    ------
    ValidationError
        If a column lacks, or is not of its type.
    WriteError
        If Spark wrote it somewhere else.
    """
    for name, rows in tables.items():
        check_types(name, frame(rows))
    for name, rows in tables.items():
        schema = frame(rows).collect_schema()
        points = (schema[n] for n, column in TABLES[name].items() if column.kind is Kind.POINTS)
        declared = arrow_schema_of(name, decimal_points=any(kind.is_float() for kind in points))
        _write(rows, declared, directory / name)


def _write(rows: Any, schema: pa.Schema, folder: Path) -> None:
    typed = [
        f"CAST({quoted(field.name)} AS {SQL_TYPES[field.type]}) AS {quoted(field.name)}"
        for field in schema
    ]
    rows.selectExpr(*typed).write.parquet(str(folder.absolute()))
    written = sorted(folder.glob("part-*.parquet"))
    if not written:
        raise WriteError(
            f"{folder} is another place to Spark than to this process: name a directory that both"
            " see, on a volume or a mount"
        )
    for beside in {*folder.iterdir()} - {*written}:
        beside.unlink()
    for number, path in enumerate(written):
        # In the order of their names they are in that of their rows.
        path.rename(folder / (f"part-{number:05}.parquet" if number else PART))
