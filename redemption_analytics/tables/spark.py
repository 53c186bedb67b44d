"""Spark's frames: what is said of them in Spark's own words, for Narwhals has none.

Times are those of a wall clock, which Spark calls TIMESTAMP_NTZ. Some of its functions make one of
the session's zone of them first, where an hour may be missing and Python's zone may be another:
nothing here does.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from datetime import datetime
from pathlib import Path
from typing import Any

import narwhals as nw
import pyarrow as pa

from redemption_analytics.tables.lazy import Frame, frame

#: What Spark calls the types of Arrow that tables have.
SQL_TYPES = {
    pa.string(): "STRING",
    pa.large_string(): "STRING",
    pa.int64(): "BIGINT",
    pa.int32(): "INT",
    pa.float64(): "DOUBLE",
    pa.bool_(): "BOOLEAN",
    pa.timestamp("us"): "TIMESTAMP_NTZ",
    pa.timestamp("ns"): "TIMESTAMP_NTZ",
}


def is_spark(rows: Any) -> bool:
    """Check whether a frame is Spark's, classic or by Spark Connect."""
    kind = nw.from_native(rows).implementation
    return bool(kind.is_pyspark() or kind.is_pyspark_connect())


def quoted(name: str) -> str:
    """Write the name of a column for SQL.

    >>> quoted("custom:a`b")
    '`custom:a``b`'
    """
    return "`" + name.replace("`", "``") + "`"


def moment_sql(moment: datetime) -> str:
    """Write a moment of the wall clock for SQL.

    >>> moment_sql(datetime(2026, 10, 31, 18))
    "TIMESTAMP_NTZ'2026-10-31 18:00:00'"
    """
    return f"TIMESTAMP_NTZ'{moment.isoformat(' ')}'"


def with_sql(rows: Frame, columns: Mapping[str, str]) -> Frame:
    """Add columns to a frame of Spark's, each computed by an expression in SQL."""
    added = [f"{sql} AS {quoted(name)}" for name, sql in columns.items()]
    return frame(rows.to_native().selectExpr("*", *added))


def schema_sql(schema: pa.Schema) -> str:
    """Write the columns of a table and their types for SQL.

    >>> schema_sql(pa.schema({"redeemed_time": pa.timestamp("us")}))
    '`redeemed_time` TIMESTAMP_NTZ'
    """
    return ", ".join(f"{quoted(field.name)} {SQL_TYPES[field.type]}" for field in schema)


def hadoop_path(path: Path) -> str:
    r"""Write a path as Spark reads it, so that it matches nothing else as a pattern.

    >>> print(hadoop_path(Path("/mnt/{a,b}")))
    /mnt/\{a,b\}
    """
    return re.sub(r"([\\{}\[\]*?])", r"\\\1", str(path.absolute()))


def spark_frame(session: Any, data: pa.Table) -> Any:
    """Return an Arrow table as a frame of a session."""
    return session.createDataFrame(data, schema_sql(data.schema))
