"""Times of the wall clock on every engine: moments to compare with, what elapsed between two."""

from __future__ import annotations

from datetime import datetime

import narwhals as nw

from redemption_analytics.tables.lazy import Frame
from redemption_analytics.tables.spark import is_spark, moment_sql, quoted, with_sql


def moment_in(rows: Frame, moment: datetime) -> datetime | nw.Expr:
    """Return what a column of times of a frame is compared with.

    A datetime becomes Spark's by way of Python's zone and the session's: it is told as text there.
    """
    if is_spark(rows):
        return nw.lit(moment.isoformat(" ")).cast(nw.Datetime("us"))
    return moment


def with_elapsed(rows: Frame, name: str, since: str, until: str | datetime) -> Frame:
    """Add a column of what elapsed between two times, in microseconds.

    Parameters
    ----------
    rows
        The frame.
    name
        The name of the column.
    since
        A column.
    until
        A column, or a moment.
    """
    if is_spark(rows):
        end = quoted(until) if isinstance(until, str) else moment_sql(until)
        seconds = f"CAST({end} - {quoted(since)} AS INTERVAL SECOND)"
        sql = f"CAST(CAST({seconds} AS DECIMAL(20, 6)) * 1000000 AS BIGINT)"
        return with_sql(rows, {name: sql})
    later = nw.col(until) if isinstance(until, str) else nw.lit(until)
    elapsed = (later - nw.col(since)).dt.total_microseconds()
    return rows.with_columns(elapsed.alias(name))
