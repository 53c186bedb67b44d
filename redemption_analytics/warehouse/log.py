"""The versions of a warehouse: an entry for each, which names all the files that it consists of.

``log/00000000000000000001.json`` is the first. Who commits a version creates its entry, which of
several writers one does; nothing else says what a version is, so a reader sees all of one or
nothing of it. What vacuuming takes away leaves its entry, without files: a writer that has slept
since must not find its number free again.
"""

from __future__ import annotations

import json
import os
import re
from collections.abc import Iterable
from dataclasses import asdict, dataclass
from datetime import datetime
from functools import cached_property
from typing import Any, TypeAlias
from uuid import uuid4

from redemption_analytics.errors import FaultError, SourceError, UsageError
from redemption_analytics.warehouse.store import Store
from redemption_analytics.warehouse.stored import MissingError, is_name

__all__ = ["DATA", "LOG", "DataFile", "Entry", "Log", "is_warehouse"]

#: The folders of a warehouse.
DATA, LOG = "data", "log"

#: Format 1 kept of the cases of findings only what the audit says of them, and not which rows they
#: are.
_FORMAT = 2
_NAME = re.compile(rf"{LOG}/(\d{{20}})\.json")

Json: TypeAlias = Any


@dataclass(frozen=True)
class DataFile:
    """A Parquet file of a version.

    Attributes
    ----------
    path
        Its name in the store, below ``data/``.
    table
        The table whose rows it holds.
    partition
        The part of that table, as ``"2026-q4"``.
    rows, size
        Its rows, and its bytes.
    """

    path: str
    table: str
    partition: str
    rows: int
    size: int


@dataclass(frozen=True)
class Entry:
    """A version of a warehouse.

    Attributes
    ----------
    version
        Its number, from 1.
    committed_at
        When it was committed, in UTC.
    release
        Which release of redemption_analytics wrote it.
    options
        The options that the warehouse was made with.
    files
        All its files, not only the new.
    state
        What the next ingest needs to know.
    """

    version: int
    committed_at: datetime
    release: str
    options: dict[str, Json]
    files: tuple[DataFile, ...]
    state: dict[str, Json]

    @cached_property
    def tables(self) -> dict[str, tuple[DataFile, ...]]:
        """The files of each table."""
        tables: dict[str, list[DataFile]] = {}
        for file in self.files:
            tables.setdefault(file.table, []).append(file)
        return {table: tuple(files) for table, files in tables.items()}


class Log:
    """The versions in a store.

    Examples
    --------
    >>> log = Log(Store("memory://a-log"))
    >>> log.newest() is None
    True
    >>> first = Entry(1, datetime(2026, 11, 20), "0.1", {}, (), {})
    >>> log.commit(first), log.commit(first), log.versions()
    (True, False, [1])
    >>> log.newest() == first
    True
    """

    def __init__(self, store: Store):
        self._store = store

    def newest(self) -> Entry | None:
        """Return the newest version, None where there is none yet.

        Raises
        ------
        SourceError
            If its entry cannot be read, or the store holds something else.
        """
        numbers = self._numbers()
        while numbers:
            said = self._said(numbers[-1])
            if not said.get("vacuumed"):
                return self._entry(said, numbers[-1])
            # Others have meanwhile committed newer ones, and vacuumed.
            seen, numbers = numbers[-1], self._numbers()
            if numbers[-1:] == [seen]:
                raise self._torn(seen)
        others = sorted(self._store.top() - {DATA, LOG})
        if others:
            raise SourceError(
                f"{self._store.location} is no warehouse, and holds something else ({others[0]}):"
                " name a warehouse, or a new or an empty place for one"
            )
        return None

    def read(self, version: int) -> Entry:
        """Return a version.

        Raises
        ------
        UsageError
            If there is no such version, or it was vacuumed.
        SourceError
            If its entry cannot be read.
        """
        said = self._said(version)
        if said.get("vacuumed"):
            raise UsageError(
                f"version {version} of {self._store.location} was vacuumed: the oldest that is"
                f" left is {self.versions()[0]}"
            )
        return self._entry(said, version)

    def versions(self) -> list[int]:
        """List the versions that can be read, in order.

        Raises
        ------
        SourceError
            If the log cannot be read.
        """
        numbers = self._numbers()
        # Those that were vacuumed are the first.
        low, high = 0, len(numbers) - 1
        while low < high:
            middle = (low + high) // 2
            if self._said(numbers[middle]).get("vacuumed"):
                low = middle + 1
            else:
                high = middle
        return numbers[low:]

    def commit(self, entry: Entry) -> bool:
        """Make an entry the next version.

        Returns
        -------
        bool
            Whether it is: False where another writer was first.

        Raises
        ------
        WriteError
            If it cannot be written.
        """
        if entry.version < 1:
            raise FaultError(f"version {entry.version} was to be committed")
        said = {"format": _FORMAT, **asdict(entry), "committed_at": entry.committed_at.isoformat()}
        # Where an answer gets lost, what was asked for is asked again, and found done.
        data = _written({**said, "written_by": uuid4().hex})
        name = _name(entry.version)
        if self._store.create(name, data):
            return True
        try:
            return self._store.read(name) == data
        except MissingError:
            return False

    def vacuum(self, before: int) -> list[int]:
        """Take away what the versions before one consist of, and return their numbers.

        Their files stay in the store. The newest version stays, whatever is asked.

        Raises
        ------
        WriteError
            If an entry cannot be written.
        """
        taken = [version for version in self.versions()[:-1] if version < before]
        for version in taken:
            said = {**self._said(version), "vacuumed": True}
            self._store.put(_name(version), _written({**said, "files": [], "state": {}}))
        return taken

    def _numbers(self) -> list[int]:
        matches = (_NAME.fullmatch(found.name) for found in self._store.names(LOG))
        return [int(match[1]) for match in matches if match]

    def _said(self, version: int) -> dict[str, Json]:
        """Return what an entry says, if this library can read it."""
        try:
            said = json.loads(self._store.read(_name(version)))
        except MissingError:
            raise UsageError(
                f"{self._store.location} has no version {version}: {_between(self._numbers())}"
            ) from None
        except (ValueError, RecursionError) as error:
            raise self._torn(version) from error
        written = said.get("format") if isinstance(said, dict) else None
        if not isinstance(written, int) or said.get("version") != version:
            raise self._torn(version)
        if written > _FORMAT:
            raise SourceError(
                f"{self._store.location} was written by redemption_analytics"
                f" {said.get('release')}, in format {written}, and this version reads"
                f" {_FORMAT}: update redemption_analytics"
            )
        if written < _FORMAT:
            raise SourceError(
                f"{self._store.location} was written by an earlier version of redemption_analytics,"
                f" in format {written}, and this version reads {_FORMAT}: ingest the exports into a"
                " new warehouse"
            )
        return dict(said)

    def _entry(self, said: dict[str, Json], version: int) -> Entry:
        try:
            return _entry(said, version)
        except (AttributeError, KeyError, TypeError, ValueError) as error:
            raise self._torn(version) from error

    def _torn(self, version: int) -> SourceError:
        return SourceError(
            f"{self._store.location}: {_name(version)} is no entry of a warehouse, or a torn one:"
            " if no writer is at work, move it away"
        )


def is_warehouse(location: str | os.PathLike[str]) -> bool:
    """Check whether there is a warehouse, with a version or more, at a path or URL.

    >>> is_warehouse("data_samples")
    False
    """
    return any(_NAME.fullmatch(found.name) for found in Store(location).names(LOG))


def _name(version: int) -> str:
    return f"{LOG}/{version:020}.json"


def _written(said: dict[str, Json]) -> bytes:
    return json.dumps(said, ensure_ascii=False, separators=(",", ":")).encode()


def _entry(said: dict[str, Json], version: int) -> Entry:
    files = tuple(DataFile(**file) for file in said["files"])
    if not all(is_name(file.path) and file.path.startswith(f"{DATA}/") for file in files):
        raise ValueError("a file that lies elsewhere")
    return Entry(
        version,
        datetime.fromisoformat(said["committed_at"]),
        str(said["release"]),
        dict(said["options"]),
        files,
        dict(said["state"]),
    )


def _between(numbers: Iterable[int]) -> str:
    listed = list(numbers)
    return f"it has {listed[0]} to {listed[-1]}" if listed else "it has none yet"
