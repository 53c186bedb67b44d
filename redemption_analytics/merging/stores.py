"""Where tables grow, batch by batch, until they are merged: in memory, or on disk as Parquet.

Columns whose names begin with an underscore serve the merging; they never leave the library.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from redemption_analytics.tables.arrow import check_batch

#: Gives a batch its final form; the number of its first row comes with it.
Change = Callable[[pa.Table, int], pa.Table]

#: Rows of a row group, at least (the last has fewer): engines read and skip them one by one.
GROUP_ROWS = 65_536

#: So many tables are encoded at once: two or three are much larger than the others.
_WRITERS = 3

#: A dictionary is worth its while where so many rows, of those looked at, hold one value each.
_ROWS_PER_VALUE = 4
ROWS_THAT_TELL = 5_000


class Keep(Protocol):
    """Tables that grow."""

    #: A directory for what merging cannot hold in memory; None where memory holds all.
    scratch: Path | None

    def append(self, name: str, table: pa.Table) -> None:
        """Add rows to a table."""

    def rows(self, name: str) -> int:
        """Count the rows of a table."""

    def batches(self, name: str, columns: Sequence[str]) -> Iterator[pa.Table]:
        """Return some columns of a table, batch by batch."""

    def rewrite(self, changes: Mapping[str, Change]) -> None:
        """Put every batch of some tables into its final form."""


class InMemory:
    """Tables in memory."""

    scratch: Path | None = None

    def __init__(self) -> None:
        self._batches: dict[str, list[pa.Table]] = {}

    def append(self, name: str, table: pa.Table) -> None:  # noqa: D102
        self._batches.setdefault(name, []).append(table)

    def rows(self, name: str) -> int:  # noqa: D102
        return sum(batch.num_rows for batch in self._batches.get(name, ()))

    def batches(self, name: str, columns: Sequence[str]) -> Iterator[pa.Table]:  # noqa: D102
        for batch in self._batches.get(name, ()):
            yield batch.select(columns)

    def rewrite(self, changes: Mapping[str, Change]) -> None:  # noqa: D102
        for name, change in changes.items():
            held, start = self._batches[name], 0
            for place, batch in enumerate(held):
                held[place] = change(batch, start)
                start += batch.num_rows

    def tables(self) -> dict[str, pa.Table]:
        """Return the tables, and keep them no longer."""
        together = {}
        for name in list(self._batches):
            batches = self._batches.pop(name)
            final = [column for column in batches[0].column_names if not column.startswith("_")]
            together[name] = pa.concat_tables([batch.select(final) for batch in batches])
        return together


class OnDisk:
    """Tables as Parquet files, each in a folder of its own; what is written is validated.

    Parameters
    ----------
    directory
        Where the tables are written.
    scratch
        A directory for files that are gone in the end.
    places
        Folder and file of the tables that are a part of another; others are part 0 of their own.
    """

    def __init__(self, directory: Path, scratch: str, places: Mapping[str, tuple[str, int]]):
        self.scratch: Path | None = Path(scratch)
        self._scratch = self.scratch
        self._directory = directory
        self._places = places
        self._growing: dict[str, _Growing] = {}
        # Encoding goes on beside parsing, one batch of a table at a time.
        self._writer = ThreadPoolExecutor(_WRITERS)
        self._writing: dict[_Growing, Future[None]] = {}

    def __enter__(self) -> OnDisk:
        return self

    def __exit__(self, *_: object) -> None:
        self._writer.shutdown(cancel_futures=True)
        for growing in self._growing.values():
            growing.end()

    def append(self, name: str, table: pa.Table) -> None:  # noqa: D102
        if name not in self._growing:
            self._growing[name] = self._new(name, table.schema)
        self._write(self._growing[name], self._growing[name].add(table))

    def _write(self, growing: _Growing, full: pa.Table | None) -> None:
        if full is not None:
            if growing in self._writing:
                self._writing.pop(growing).result()
            self._writing[growing] = self._writer.submit(growing.write, full)

    def _settle(self) -> None:
        while self._writing:
            self._writing.popitem()[1].result()

    def finish(self) -> None:
        """Write what is still in memory."""
        self._settle()
        with ThreadPoolExecutor(2) as pool:
            list(pool.map(_Growing.close, self._growing.values()))

    def rows(self, name: str) -> int:  # noqa: D102
        return self._growing[name].rows if name in self._growing else 0

    def batches(self, name: str, columns: Sequence[str]) -> Iterator[pa.Table]:  # noqa: D102
        self.finish()
        if name in self._growing:
            yield from self._growing[name].grown().batches(columns)

    def grown(self) -> dict[str, Grown]:
        """Return the tables as they lie there, once they are finished."""
        return {name: growing.grown() for name, growing in self._growing.items()}

    def rewrite(self, changes: Mapping[str, Change]) -> None:  # noqa: D102
        self.finish()
        for name, change in changes.items():
            self._rewrite(name, change)

    def _rewrite(self, name: str, change: Change) -> None:
        old, new = self._growing[name], None
        start = 0
        for batch in old.grown().batches():
            changed = change(batch, start)
            start += batch.num_rows
            if new is None:
                new = self._new(name, changed.schema, old)
            self._write(new, new.add(changed))
        self._settle()
        if new is not None:
            new.close()
            new.path.replace(old.path)
            new.path = old.path
            self._growing[name] = new

    def _new(self, name: str, schema: pa.Schema, old: _Growing | None = None) -> _Growing:
        table, part = self._places.get(name, (name, 0))
        folder = self._directory / table
        folder.mkdir(parents=True, exist_ok=True)
        file = f"part-{part}.parquet" if old is None else f"part-{part}.parquet.new"
        return _Growing(table, folder / file, self._scratch / f"{name}.arrow", schema)


@dataclass(frozen=True)
class Grown:
    """A table that grew on disk, and does no more.

    Attributes
    ----------
    path
        The Parquet file of what stays of it.
    beside
        The file of merging's columns.
    schema
        Its columns, these among them.
    rows
        How many rows it has.
    """

    path: Path
    beside: Path
    schema: pa.Schema
    rows: int

    def batches(self, columns: Sequence[str] | None = None) -> Iterator[pa.Table]:
        """Read row groups back, with all columns or some."""
        wanted = self.schema.names if columns is None else columns
        final = [name for name in wanted if not name.startswith("_")]
        marks = [name for name in wanted if name.startswith("_")]
        with pq.ParquetFile(self.path) as file:
            beside = pa.ipc.open_file(self.beside) if marks else None
            for group in range(file.num_row_groups):
                batch = file.read_row_group(group, columns=final, use_threads=False)
                if beside is not None:
                    for name in marks:
                        batch = batch.append_column(name, beside.get_batch(group).column(name))
                yield batch


class _Growing:
    """A Parquet file that grows by row groups; merging's columns go to a file beside it."""

    def __init__(self, table: str, path: Path, beside: Path, schema: pa.Schema):
        self.path = path
        self.rows = 0
        self._table = table
        self._beside = beside
        self._schema = schema
        self._final = [name for name in schema.names if not name.startswith("_")]
        self._marks = [name for name in schema.names if name.startswith("_")]
        self._held: list[pa.Table] = []
        self._held_rows = 0
        self._writer: pq.ParquetWriter | None = None
        self._marks_writer: pa.RecordBatchWriter | None = None
        self._ended = False

    def add(self, table: pa.Table) -> pa.Table | None:
        """Hold a table; return what is to be written now, if there is enough of it."""
        self.rows += table.num_rows
        self._held.append(table)
        self._held_rows += table.num_rows
        return self._taken() if self._held_rows >= GROUP_ROWS else None

    def _taken(self) -> pa.Table:
        table = pa.concat_tables(self._held)
        self._held, self._held_rows = [], 0
        return table

    def write(self, table: pa.Table) -> None:
        """Write a row group."""
        final = table.select(self._final)
        check_batch(self._table, final)
        if self._writer is None:
            self._writer = pq.ParquetWriter(
                self.path,
                final.schema,
                use_dictionary=repetitive(final) or False,
            )
        self._writer.write_table(final, row_group_size=max(1, table.num_rows))
        if self._marks:
            columns = [table[name].combine_chunks() for name in self._marks]
            marks = pa.record_batch(columns, self._marks)
            if self._marks_writer is None:
                self._marks_writer = pa.ipc.new_file(self._beside, marks.schema)
            self._marks_writer.write_batch(marks)
        # Memory that other threads filled is not given back by itself.
        pa.default_memory_pool().release_unused()

    def close(self) -> None:
        """Write what is held, and end the file."""
        if self._held or (self._writer is None and not self._ended):
            self.write(self._taken() if self._held else self._schema.empty_table())
        self.end()

    def end(self) -> None:
        """End the file, without what is still held."""
        self._ended = True
        for writer in (self._writer, self._marks_writer):
            if writer is not None:
                writer.close()
        self._writer = self._marks_writer = None

    def grown(self) -> Grown:
        """Return what is there, once it is ended."""
        return Grown(self.path, self._beside, self._schema, self.rows)


def repetitive(table: pa.Table) -> list[str]:
    """Choose the columns that a dictionary makes smaller."""
    top = table.slice(0, ROWS_THAT_TELL)
    return [
        name
        for name in top.column_names
        if not pa.types.is_boolean(top[name].type)
        and pc.count_distinct(top[name]).as_py() * _ROWS_PER_VALUE <= top.num_rows
    ]
