"""Tables of a lake among exports: which files of them count, for old ones stay where they were."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator, Sequence
from typing import Any
from urllib.parse import unquote

from redemption_analytics.errors import SourceError
from redemption_analytics.sources.export import NoSourceError

#: The folder that makes a directory a Delta table.
LOG = "_delta_log/"

#: Why files of a Delta table are passed over.
OF_THE_LOG = "the log of a Delta table"
NOT_IN_TABLE = "not in the newest version of its Delta table"
WITHIN_TABLE = "read as a part of its Delta table"

#: Tables of a Delta protocol that gives each row as it is in its file.
_PLAIN_FEATURES = frozenset({"timestampNtz", "variantType", "variantType-preview", "v2Checkpoint"})

_REMEDY = 'pip install "redemption-analytics[delta]" reads it'


def delta_tables(paths: Sequence[str]) -> list[str]:
    """Find the folders that are Delta tables, the innermost first.

    >>> delta_tables(["a.json", "lake/_delta_log/0.json", "lake/part-0.parquet"])
    ['lake/']
    """
    return sorted(_folders_before(paths, LOG), key=len, reverse=True)


def check_no_part(folder: str, named: str) -> None:
    """Refuse a folder below a Delta table's: what is in it may not count any more.

    Raises
    ------
    NoSourceError
        If it is one.
    """
    at = os.path.realpath(folder)
    while (above := os.path.split(at)[0]) != at:
        if os.path.isdir(os.path.join(above, LOG)):
            raise NoSourceError(
                named,
                "is a part of a Delta table, of which some files may not count any more: load the"
                " directory that holds _delta_log",
            )
        at = above


def check_tables(paths: Sequence[str], root: str) -> None:
    """Refuse directories that hold tables which only their own tools can read.

    Raises
    ------
    NoSourceError
        If one is an Iceberg or a Hudi table.
    """
    iceberg = [path for path in paths if path.endswith(".metadata.json")]
    for kind, found in (
        ("a Hudi table", _folders_before(paths, ".hoodie/")),
        ("an Iceberg table", _folders_before(iceberg, "metadata/")),
    ):
        if found:
            raise NoSourceError(
                root,
                f"holds {kind}, whose files do not tell which of them count: write its newest"
                " version to plain Parquet files elsewhere, and load these",
            )


def _folders_before(paths: Sequence[str], part: str) -> set[str]:
    found = set()
    for path in paths:
        before, between, _ = f"/{path}".partition(f"/{part}")
        if between:
            found.add(f"{before[1:]}/" if before[1:] else "")
    return found


class DeltaTable:
    """The newest version of a Delta table.

    Parameters
    ----------
    uri
        Where it is, for the package ``deltalake``.

    Raises
    ------
    NoSourceError
        If the package is not installed, or cannot read the table.
    """

    def __init__(self, uri: str):
        try:
            import deltalake
        except ImportError:
            raise NoSourceError(
                uri, f"is a Delta table, of which some files may not count any more: {_REMEDY}"
            ) from None
        try:
            self._table: Any = _tried(lambda: deltalake.DeltaTable(uri))
            protocol = _tried(self._table.protocol)
            actions = _tried(self._table.get_add_actions)
        except SourceError as error:
            raise NoSourceError(uri, str(error)) from None
        features = {*(protocol.reader_features or ())}
        configuration = self._table.metadata().configuration
        mapped = configuration.get("delta.columnMapping.mode", "none") != "none"
        written: list[str] = [str(path) for path in _column(actions, "path")]
        #: The files that count, by their paths in the table as they are written in its log.
        self.files = {unquote(path) for path in written} | {*written}
        #: Whether each file holds the rows of the table as they are.
        self.plain = (
            features <= _PLAIN_FEATURES
            and not mapped
            and not any("://" in path or path.startswith("/") for path in written)
        )

    def payloads(self, column: str) -> Iterator[bytes]:
        """Yield the texts of a column, where files alone do not tell them."""
        reader = _tried(lambda: self._table.scan(columns=[column]))
        for batch in reader:
            for value in batch.column(0).to_pylist():
                if value is not None:
                    yield value.encode() if isinstance(value, str) else bytes(value)


def _tried(read: Callable[[], Any]) -> Any:
    try:
        return read()
    except BaseException as error:
        # What its Rust code gives up with is no Exception.
        if not isinstance(error, Exception) and type(error).__name__ != "PanicException":
            raise
        raise SourceError(
            "is a Delta table that the package deltalake cannot read: it is damaged, or has % or \\"
            " in its path"
        ) from None


def _column(actions: Any, name: str) -> list[Any]:
    import pyarrow as pa

    values: list[Any] = pa.table(actions)[name].to_pylist()
    return values
