"""Opening converted exports: the Parquet of each table as a frame of the engine asked for."""

from __future__ import annotations

import glob
import os
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, TypeAlias, overload

import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq

from redemption_analytics.atomic_directory import is_free
from redemption_analytics.columns import TABLES
from redemption_analytics.errors import SourceError, UsageError, refused
from redemption_analytics.redemptions import Redemptions
from redemption_analytics.sources.find import MOST_QUOTED
from redemption_analytics.tables.arguments import path_of, public
from redemption_analytics.tables.frames import connected, pandas_frame
from redemption_analytics.tables.ledger import (
    CASES,
    FINDINGS,
    LEDGER,
    no_cases,
    no_findings,
    no_ledger,
)
from redemption_analytics.tables.outputs import (
    FOLDERS,
    is_converted,
    is_converted_table,
    is_warehouse_directory,
)
from redemption_analytics.tables.spark import hadoop_path, schema_sql, spark_frame
from redemption_analytics.visible import shortened

if TYPE_CHECKING:
    import duckdb
    import polars

_AGAIN = "Convert the exports again, with overwrite=True"
_COLUMNS = {
    **{name: list(columns) for name, columns in TABLES.items()},
    LEDGER: no_ledger().column_names,
    FINDINGS: no_findings().column_names,
    CASES: no_cases().column_names,
}
_MOST_LISTED = 5

Engine: TypeAlias = Literal["pandas", "duckdb", "polars", "pyarrow", "spark"]


@overload
def open(  # noqa: A001
    path: str | os.PathLike[str], engine: Literal["pandas"] = "pandas", *, session: Any = None
) -> Redemptions[pd.DataFrame]: ...


@overload
def open(  # noqa: A001
    path: str | os.PathLike[str], engine: Literal["duckdb"], *, session: Any = None
) -> Redemptions[duckdb.DuckDBPyRelation]: ...


@overload
def open(  # noqa: A001
    path: str | os.PathLike[str], engine: Literal["polars"], *, session: Any = None
) -> Redemptions[polars.LazyFrame]: ...


@overload
def open(  # noqa: A001
    path: str | os.PathLike[str], engine: Literal["pyarrow"], *, session: Any = None
) -> Redemptions[pa.Table]: ...


@overload
def open(  # noqa: A001
    path: str | os.PathLike[str], engine: Engine = "pandas", *, session: Any = None
) -> Redemptions: ...


@public
def open(  # noqa: A001
    path: str | os.PathLike[str], engine: Engine = "pandas", *, session: Any = None
) -> Redemptions:
    """Open what :func:`convert` wrote.

    Parameters
    ----------
    path
        The directory.
    engine
        What kind of frame the tables are, and with them the results of every function: ``"pandas"``
        and ``"pyarrow"`` read them into memory; ``"duckdb"`` (relations) and ``"polars"`` (lazy
        frames) read what a question needs, when it is asked. From DuckDB 2 on the relations are of
        the database that ``duckdb.sql`` asks, which finds them by their names; another one becomes
        that by ``duckdb.set_default_connection(connection)`` before opening. ``"spark"`` (lazy
        frames too) has Spark read the directory, which has to be where its executors find it under
        the same path.
    session
        The session of Spark, classic or by Spark Connect, whose frames are wanted; by default the
        active one. Other engines take none.

    Returns
    -------
    Redemptions
        The bundle.

    Raises
    ------
    SourceError
        If the directory holds no converted export, a torn one, or one of another version of the
        library, whose tables have other columns.
    UsageError
        If the engine is unknown, or not installed; or it is Spark, and there is no session.

    Examples
    --------
    >>> import redemption_analytics as ra
    >>> import tempfile
    >>> folder = tempfile.mkdtemp()
    >>> ledger = ra.convert("data_samples/2020-breakups.json", folder)
    >>> print(ra.net_points(ra.open(folder, engine="duckdb")).fetchall())
    [(2, 120, 30, 90)]
    """
    reader = reader_of(engine, session)
    folder = path_of(path, "path")
    shown = shortened(str(folder), MOST_QUOTED)
    if is_warehouse_directory(folder):
        raise SourceError(f"{shown} is a warehouse: Warehouse(path).open() opens it")
    if not is_converted(folder):
        if is_converted_table(folder):
            raise SourceError(
                f"{shown} is one table of a converted directory: open {folder.parent}"
            )
        where = "it first" if is_free(folder) else "a new directory, and open that"
        raise SourceError(f"{shown} holds no converted export: convert exports into {where}")
    frames = {}
    for name in FOLDERS:
        try:
            parts = _parts(folder / name)
            if other := _other_columns(parts, name):
                raise SourceError(
                    f"{shown} was written by another version of redemption_analytics, or changed"
                    f" since: its table {name} {other}. {_AGAIN}"
                )
            frames[name] = reader.of_files(parts, name)
        except (OSError, ValueError, KeyError, pa.ArrowException) as error:
            detail = str(error).splitlines()[0]
            raise SourceError(
                f"{shown} is torn: its table {name} cannot be read ({shortened(detail, 200)})."
                f" {_AGAIN}"
            ) from None
    return Redemptions(**frames)


def _parts(folder: Path) -> list[str]:
    """List the files of a table, in the order of their rows."""
    if not folder.is_dir():
        raise FileNotFoundError("it has no folder, as where a version without it wrote the others")
    parts = [str(path) for path in folder.iterdir() if path.match("part-*.parquet")]
    if not parts:
        raise FileNotFoundError("its folder is empty")
    return sorted(parts)


def _other_columns(parts: list[str], name: str) -> str:
    """Say how the columns of files are not a table's; nothing where they are.

    Engines would find out later, each in its words. A column that is not there is not filled with
    nulls: the exports may tell what this version reads of them, and the one that wrote did not.
    """
    wanted = _COLUMNS[name]
    for part in parts:
        here = pq.read_schema(part).names
        lacking = [column for column in wanted if column not in here]
        strange = [column for column in here if column not in wanted]
        if lacking or strange:
            lacks = f"lacks {', '.join(lacking)}" if lacking else ""
            has = f"has {', '.join(strange[:_MOST_LISTED])} besides" if strange else ""
            return shortened(" and ".join(filter(None, (lacks, has))), 200)
        if here != wanted:
            return "has its columns in another order"
    return ""


@dataclass(frozen=True)
class Reader:
    """Makes frames of one engine, which belong together.

    Attributes
    ----------
    of_files
        Makes a frame of some Parquet files of a table, and the table's name.
    of_arrow
        Makes a frame of an Arrow table, and the table's name.
    """

    of_files: Callable[[list[str], str], Any]
    of_arrow: Callable[[pa.Table, str], Any]


def reader_of(engine: Engine, session: Any = None) -> Reader:
    """Return what makes frames of an engine; of Spark, frames of a session.

    Raises
    ------
    UsageError
        If the engine is unknown, or not installed; or it is Spark, and there is no session.
    """
    if not isinstance(engine, str) or engine not in (*_ENGINES, _SPARK):
        known = ", ".join(map(repr, (*_ENGINES, _SPARK)))
        raise refused("engine", f"one of {known}", engine)
    if engine == _SPARK:
        return _spark(session)
    if session is not None:
        raise UsageError(f"session is of Spark: engine={engine!r} takes none")
    return _ENGINES[engine]()


def _pandas() -> Reader:
    def of_arrow(table: pa.Table, name: str) -> pd.DataFrame:
        return pandas_frame(name, table) if name in TABLES else table.to_pandas()

    return Reader(lambda parts, name: of_arrow(_read(parts), name), of_arrow)


def _pyarrow() -> Reader:
    return Reader(lambda parts, _name: _read(parts), lambda table, _name: table)


def _read(parts: list[str]) -> pa.Table:
    # By a handle: a path could be taken for a URI.
    return pa.concat_tables([pq.ParquetFile(part).read() for part in parts])


def _duckdb() -> Reader:
    # One connection for all tables: relations of different ones cannot be joined.
    import duckdb

    connection = connected()

    def of_files(parts: list[str], _name: str) -> duckdb.DuckDBPyRelation:
        try:
            return connection.read_parquet([_escaped(part) for part in parts])
        except duckdb.Error as error:
            raise OSError(str(error)) from error

    return Reader(of_files, lambda table, _name: connection.from_arrow(table))


def _escaped(path: str) -> str:
    """Write a path for DuckDB, so that a pattern of it matches nothing else.

    In a pattern a backslash parts folders, so that one with a backslash is found as it stands only.
    """
    return path if "\\" in path else glob.escape(path)


def _polars() -> Reader:
    try:
        import polars
    except ImportError:
        raise UsageError(
            'engine="polars" needs Polars: pip install "redemption-analytics[polars]"'
        ) from None
    return Reader(
        lambda parts, _name: polars.scan_parquet(parts, glob=False),
        lambda table, _name: polars.from_arrow(table).lazy(),  # type: ignore[union-attr]
    )


def _spark(session: Any) -> Reader:
    try:
        from pyspark.sql import SparkSession
    except ImportError:
        raise UsageError(
            'engine="spark" needs PySpark: pip install "redemption-analytics[spark]"'
        ) from None
    session = session or SparkSession.getActiveSession()
    if session is None:
        raise UsageError('engine="spark" needs a session: none is active, so give session=')
    if not hasattr(session, "createDataFrame"):
        raise refused("session", "a session of Spark", session)

    def of_files(parts: list[str], _name: str) -> Any:
        # What is written is of the wall clock, whatever the session takes times for.
        columns = schema_sql(pq.read_schema(parts[0]))
        paths = [hadoop_path(Path(part)) for part in parts]
        return session.read.schema(columns).parquet(*paths)

    return Reader(of_files, lambda table, _name: spark_frame(session, table))


_SPARK = "spark"

_ENGINES: dict[str, Callable[[], Reader]] = {
    "pandas": _pandas,
    "duckdb": _duckdb,
    "polars": _polars,
    "pyarrow": _pyarrow,
}
