"""Converted exports: Parquet on disk, one folder per table, written and opened."""

from __future__ import annotations

import os
from collections.abc import Callable
from functools import partial
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, Literal, TypeAlias, Unpack

import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq

from redemption_analytics.errors import SourceError, UsageError
from redemption_analytics.frames import connected, pandas_frame
from redemption_analytics.keeping import OnDisk
from redemption_analytics.ledger import FINDINGS, LEDGER
from redemption_analytics.loading import gather
from redemption_analytics.option_checks import checked, flag
from redemption_analytics.options import DECLARED, LoadOptions
from redemption_analytics.outputs import converted_files
from redemption_analytics.redemptions import Redemptions
from redemption_analytics.schemas import MODELS
from redemption_analytics.sources import Source
from redemption_analytics.storage import check_replaceable, write_folders, written_beside
from redemption_analytics.usage import public, public_with, refused

Engine: TypeAlias = Literal["pandas", "duckdb", "polars", "pyarrow"]

#: The two parts of one table, in the order of its rows.
_PLACES = {
    "point_fields": ("custom_fields", 0),
    "coupon_fields": ("custom_fields", 1),
    "late_rejects": ("rejects", 1),
}


@public_with(DECLARED)
def convert(
    source: Source,
    directory: str | os.PathLike[str],
    *,
    overwrite: bool = False,
    **options: Unpack[LoadOptions],
) -> pd.DataFrame:
    """Load an export and write its tables as Parquet, one folder per table.

    The tables are those of :func:`redemption_analytics.load`, row for row, and memory stays
    bounded: blocks come in and row groups go out; what overlaps is merged on disk.

    Parameters
    ----------
    source
        As :func:`redemption_analytics.load` takes it.
    directory
        Where to write. It appears whole or not at all, even if the run is killed.
    overwrite
        Whether to replace the directory where it exists.
    **options
        The options of :func:`redemption_analytics.load`.

    Returns
    -------
    pandas.DataFrame
        The ledger.

    Raises
    ------
    UsageError
        If the directory exists and is not empty, without ``overwrite``; or holds what this function
        did not write; or an option is unknown or makes no sense.
    WriteError
        If the disk is full, the directory may not be written to, or another run is writing it.

    Examples
    --------
    >>> import redemption_analytics as ra
    >>> import tempfile
    >>> folder = tempfile.mkdtemp()
    >>> ledger = ra.convert("data_samples/2020-breakups.json", folder)
    >>> len(ra.open(folder).points)
    2
    """
    checked(options)  # before anything is made
    check = partial(check_replaceable, own=converted_files, overwrite=flag("overwrite", overwrite))
    with written_beside(directory, check) as fresh:
        with TemporaryDirectory(dir=fresh) as scratch, OnDisk(fresh, scratch, _PLACES) as keep:
            books, found = gather(source, keep, options)
            keep.finish()
        write_folders({LEDGER: books, FINDINGS: found}, fresh)
    ledger: pd.DataFrame = books.to_pandas()
    return ledger


@public
def open(path: str | os.PathLike[str], engine: Engine = "pandas") -> Redemptions:  # noqa: A001
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
        that by ``duckdb.set_default_connection(connection)`` before opening.

    Returns
    -------
    Redemptions
        The bundle.

    Raises
    ------
    SourceError
        If the directory holds no converted export.
    UsageError
        If the engine is unknown, or not installed.

    Examples
    --------
    >>> import redemption_analytics as ra
    >>> import tempfile
    >>> folder = tempfile.mkdtemp()
    >>> ledger = ra.convert("data_samples/2020-breakups.json", folder)
    >>> print(ra.net_points(ra.open(folder, engine="duckdb")).fetchall())
    [(2, 120, 30, 90)]
    """
    if not isinstance(engine, str) or engine not in _ENGINES:
        raise refused("engine", f"one of {', '.join(map(repr, _ENGINES))}", engine)
    if not (Path(path) / LEDGER).is_dir():
        raise SourceError(f"{path} holds no converted export: convert one into it first")
    read = _ENGINES[engine]()
    frames = {name: read(Path(path) / name, name) for name in (*MODELS, LEDGER, FINDINGS)}
    return Redemptions(**frames)


_Reader = Callable[[Path, str], Any]


def _pandas() -> _Reader:
    def read(folder: Path, name: str) -> pd.DataFrame:
        table = pq.read_table(folder)
        return pandas_frame(name, table) if name in MODELS else table.to_pandas()

    return read


def _pyarrow() -> _Reader:
    def read(folder: Path, _name: str) -> pa.Table:
        return pq.read_table(folder)

    return read


def _duckdb() -> _Reader:
    # One connection for all tables: relations of different ones cannot be joined.
    connection = connected()
    return lambda folder, _name: connection.read_parquet(f"{folder}/*.parquet")


def _polars() -> _Reader:
    try:
        import polars
    except ImportError:
        raise UsageError(
            'engine="polars" needs Polars: pip install "redemption-analytics[polars]"'
        ) from None
    return lambda folder, _name: polars.scan_parquet(f"{folder}/*.parquet")


_ENGINES: dict[str, Callable[[], _Reader]] = {
    "pandas": _pandas,
    "duckdb": _duckdb,
    "polars": _polars,
    "pyarrow": _pyarrow,
}
