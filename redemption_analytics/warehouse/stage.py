"""The stage: what answers say, flattened and not yet merged, unit by unit.

A unit is what one ingest read, or several did whose units were put together. Its tables are those
that merging starts from, with the columns that serve merging.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable, Iterator, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import suppress
from dataclasses import asdict, dataclass, field
from datetime import datetime
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from redemption_analytics.errors import FaultError
from redemption_analytics.flattening.flatten import Tables
from redemption_analytics.loading.pipeline import GROWING
from redemption_analytics.merging.stores import Change
from redemption_analytics.warehouse.answer_rows import AnswerRows, CountingRows, placed_anew
from redemption_analytics.warehouse.links import KindOfLinks, Linking, Numbers, UnitLinks
from redemption_analytics.warehouse.log import Entry
from redemption_analytics.warehouse.store import Store

#: So many batches wait to be written.
_AHEAD = 4

#: Batches have so many bytes, or more.
_BATCH_BYTES = 1 << 20

#: When so many bytes have been written, what they took of memory is given back.
_RELEASED_BYTES = 32 << 20


@dataclass(frozen=True)
class Unit:
    """A unit, as the log names it.

    Attributes
    ----------
    name
        The name of its folder.
    rows
        How many rows each of its tables has.
    links
        The kinds of links that its answers have.
    read
        When it was read, in UTC.
    seen, rejected
        How many elements of each kind were met, and refused.
    newest
        The time of the newest export that tells it, of those with answers.
    odd
        For the findings that a reader makes (``unknown_fields``, ``epoch_times``) and each name how
        often it was met, where first (the export's time, its name and number, and the record), and
        what to say of that.
    parts
        The names of the units that it was written of; none where it is what one ingest read.
    """

    name: str
    rows: dict[str, int]
    links: list[str]
    read: str
    seen: dict[str, int]
    rejected: dict[str, int]
    newest: str | None
    odd: dict[str, dict[str, list[Any]]] = field(default_factory=dict)
    parts: list[str] = field(default_factory=list)

    @property
    def came_in(self) -> list[str]:
        """The names of the units that its exports came in."""
        return self.parts or [self.name]

    @property
    def answers(self) -> int:
        """How many answers it has."""
        return self.rows["responses"]

    @property
    def read_at(self) -> datetime:
        """When it was read, in UTC."""
        return datetime.fromisoformat(self.read)

    def to_json(self) -> dict[str, Any]:
        """Return what the log writes."""
        return asdict(self)

    def path(self, name: str) -> str:
        """Return the name of one of its files in the store."""
        return f"{folder_of(self.name)}/{name}"

    @property
    def paths(self) -> list[str]:
        """The names of all its files in the store."""
        names = [*GROWING, *(f"links-{kind}" for kind in self.links)]
        files = (*(f"{name}.arrow" for name in (*names, "rows")), "exports.parquet")
        return [self.path(file) for file in files]


def folder_of(unit: str) -> str:
    """Return where the files of a unit lie in the store."""
    return f"data/stage/{unit}"


def units_of(entry: Entry | None) -> list[Unit]:
    """Return the units of a version."""
    return [] if entry is None else [Unit(**unit) for unit in entry.state["units"]]


def odd_together(units: Iterable[Unit]) -> dict[str, dict[str, list[Any]]]:
    """Return what the reader met of what it does not know, in some units as in one."""
    found: dict[str, dict[str, list[Any]]] = {}
    for unit in units:
        for check, names in unit.odd.items():
            own = found.setdefault(check, {})
            for name, (count, *first) in names.items():
                before, *others = own.get(name, [0])
                own[name] = [before + count, *min(first, others or first)]
    return found


class Staging:
    """Tables that grow on disk, and are still there as they grew when they have been merged.

    They are Arrow files, a batch for each that was added: written in less time than Parquet is, and
    few of them have to be read where few answers are asked for.

    Parameters
    ----------
    directory
        Where they grow.
    linking
        Collects the links of what is added; None where nobody asks for them.
    """

    def __init__(self, directory: Path, linking: Linking | None = None):
        self.scratch: Path | None = directory
        self._directory = directory
        directory.mkdir(parents=True, exist_ok=True)
        self._linking = linking
        self._counting = CountingRows()
        self._open: dict[str, _Growing] = {}
        self._merged: dict[str, _Growing] = {}
        self._writer = ThreadPoolExecutor(1)
        self._writing: deque[Future[None]] = deque()
        self._unreleased = 0
        #: How many answers each export gave, in their order.
        self.answers_of: dict[str, int] = {}

    def __enter__(self) -> Staging:
        return self

    def __exit__(self, *_: object) -> None:
        self._writer.shutdown(cancel_futures=True)
        for growing in (*self._open.values(), *self._merged.values()):
            growing.close()

    def append(self, name: str, table: pa.Table) -> None:
        """Add rows to a table."""
        if self._linking is not None:
            self._linking.add(name, table)
            if name in GROWING:
                self._counting.add(name, table)
        if name == "responses":
            runs = pc.run_end_encode(table["source"].combine_chunks())
            counts = np.diff(runs.run_ends.to_numpy(), prepend=0).tolist()
            for source, count in zip(runs.values.to_pylist(), counts, strict=True):
                self.answers_of[source] = self.answers_of.get(source, 0) + count
        if name not in self._open:
            self._open[name] = _Growing(self._directory / f"{name}.arrow", table.schema)
        self._write(self._open[name], table)

    def _write(self, growing: _Growing, table: pa.Table) -> None:
        growing.rows += table.num_rows
        if table.num_rows:
            self._writing.append(self._writer.submit(growing.write, table))
            self._unreleased += table.nbytes
        if self._unreleased > _RELEASED_BYTES:
            # Memory that other threads filled is not given back by itself, which takes its time.
            self._writing.append(self._writer.submit(pa.default_memory_pool().release_unused))
            self._unreleased = 0
        while len(self._writing) > _AHEAD:
            self._writing.popleft().result()

    def rows(self, name: str) -> int:
        """Count the rows of a table."""
        growing = self._merged.get(name) or self._open.get(name)
        return 0 if growing is None else growing.rows

    def batches(self, name: str, columns: Sequence[str]) -> Iterator[pa.Table]:
        """Return some columns of a table, batch by batch."""
        self._settle()
        growing = self._merged.get(name) or self._open.get(name)
        if growing is not None:
            yield from growing.batches(columns)

    def rewrite(self, changes: Mapping[str, Change]) -> None:
        """Put every batch of some tables into its final form, beside how it grew."""
        self._settle()
        for name, change in changes.items():
            start = 0
            new: _Growing | None = None
            for batch in self._open[name].batches():
                changed = change(batch, start)
                start += batch.num_rows
                if new is None:
                    new = _Growing(self._directory / f"{name}.merged.arrow", changed.schema)
                self._write(new, changed)
            if new is not None:
                self._merged[name] = new
        self._settle()

    def _settle(self) -> None:
        """End what is written, so that it can be read."""
        while self._writing:
            self._writing.popleft().result()
        for growing in (*self._open.values(), *self._merged.values()):
            growing.close()

    def keep(self, store: Store, name: str, exports: pa.Table) -> tuple[dict[str, int], list[str]]:
        """Put what grew into a store; return the rows of each table and the kinds of links.

        Parameters
        ----------
        store
            The store.
        name
            The name of the unit.
        exports
            The exports, with the columns that :meth:`StagedUnit.exports` tells of.
        """
        self._settle()
        rows = {}
        for table in GROWING:
            grown = self._open[table]
            rows[table] = grown.rows
            store.put(f"{folder_of(name)}/{table}.arrow", grown.path)
        kinds = []
        for kind, links in self._linking.finish() if self._linking is not None else ():
            kinds.append(kind)
            self._put(store, f"{folder_of(name)}/links-{kind}.arrow", links.to_arrow())
        sizes = {table: self._open[table].sizes for table in GROWING}
        self._put(store, f"{folder_of(name)}/rows.arrow", self._counting.to_arrow(sizes))
        sink = pa.BufferOutputStream()
        pq.write_table(exports, sink)
        store.put(f"{folder_of(name)}/exports.parquet", sink.getvalue().to_pybytes())
        return rows, kinds

    def _put(self, store: Store, name: str, batch: pa.RecordBatch) -> None:
        """Put a batch into a store, by a file: it is not held once more."""
        path = self._directory / "kept.arrow"
        with pa.ipc.new_file(str(path), batch.schema) as writer:
            writer.write_batch(batch)
        store.put(name, path)


class _Growing:
    """An Arrow file that grows by batches."""

    def __init__(self, path: Path, schema: pa.Schema):
        self.path = path
        self.rows = 0
        #: How many rows each batch has.
        self.sizes: list[int] = []
        self._held: list[pa.Table] = []
        self._held_bytes = 0
        self._schema = schema
        self._writer: pa.RecordBatchFileWriter | None = pa.ipc.new_file(
            str(path), schema, options=pa.ipc.IpcWriteOptions(compression="lz4")
        )

    def write(self, table: pa.Table) -> None:
        """Write rows, of which small batches are put together: each takes its time to read."""
        if self._writer is None:
            raise FaultError(f"{self.path.name} was ended, and goes on")
        self._held.append(table)
        self._held_bytes += table.nbytes
        if self._held_bytes >= _BATCH_BYTES:
            self._write(self._writer)

    def _write(self, writer: pa.RecordBatchFileWriter) -> None:
        batch = pa.concat_tables(self._held).combine_chunks().to_batches()[0]
        self._held, self._held_bytes = [], 0
        writer.write_batch(batch)
        self.sizes.append(batch.num_rows)

    def close(self) -> None:
        """End the file."""
        if self._writer is not None:
            if self._held:
                self._write(self._writer)
            self._writer.close()
            self._writer = None

    def batches(self, columns: Sequence[str] | None = None) -> Iterator[pa.Table]:
        """Read batches back, with all columns or some."""
        wanted = self._schema.names if columns is None else list(columns)
        with pa.OSFile(str(self.path)) as source:
            file = _opened(source, self._schema, wanted)
            for number in range(file.num_record_batches):
                yield pa.Table.from_batches([file.get_batch(number)]).select(wanted)
            if not file.num_record_batches:
                yield self._schema.empty_table().select(wanted)


def _opened(
    source: Any, schema: pa.Schema | None = None, columns: Sequence[str] = ()
) -> pa.RecordBatchFileReader:
    """Open an Arrow file, of which some columns are to be read, or all."""
    # Memory that other threads fill is not given back by itself.
    options = pa.ipc.IpcReadOptions(use_threads=False)
    if schema is not None:
        options.included_fields = [schema.get_field_index(name) for name in columns]
    return pa.ipc.open_file(source, options=options)


class StagedUnit:
    """A unit in a store, of which chosen answers are read.

    Parameters
    ----------
    store
        The store.
    unit
        The unit.
    """

    def __init__(self, store: Store, unit: Unit):
        self.unit = unit
        self._store = store

    def links(self) -> UnitLinks:
        """Return the links of its answers."""
        return UnitLinks(self.unit.answers, _Kinds(self._store, self.unit))

    def exports(self) -> pa.Table:
        """Return its exports in their order.

        Beside the columns of ``files`` they have ``_answers`` (how many each gave) and ``_number``
        (by which its redemptions name it; null where there are none).
        """
        path = self.unit.path("exports.parquet")
        with (
            self._store.reading(path),
            self._store.open(path) as source,
            pq.ParquetFile(source) as file,
        ):
            return file.read()

    def batches(self, name: str, columns: Sequence[str]) -> Iterator[pa.Table]:
        """Return some columns of a table, batch by batch."""
        path = self.unit.path(f"{name}.arrow")
        with self._store.reading(path), _Staged(self._store, path) as staged:
            yield from staged.batches(columns)

    def tables(self, answers: Numbers) -> Tables:
        """Return what some answers say, as the settled tables of a block.

        Parameters
        ----------
        answers
            The numbers of the answers, ascending.
        """
        found = self._rows()
        tables: Tables = {}
        rows: dict[str, Numbers] = {}
        for name in GROWING:
            rows[name] = found.of(name, answers)
            path = self.unit.path(f"{name}.arrow")
            with self._store.reading(path), _Staged(self._store, path) as staged:
                table = staged.take(rows[name], found.sizes(name))
            tables[name] = placed_anew(name, table, rows)
        return tables

    def _rows(self) -> AnswerRows:
        path = self.unit.path("rows.arrow")
        with self._store.reading(path):
            return AnswerRows(pa.ipc.open_file(_mapped(self._store, path)).get_batch(0))


def _read(store: Store, path: str) -> Any:
    """Open a file to read parts of it, which are not kept."""
    local = store.path(path)
    if local is not None:
        # The store says what is wrong.
        with suppress(OSError):
            return pa.OSFile(local)
    return pa.BufferReader(store.read(path))


def _mapped(store: Store, path: str) -> Any:
    """Map a file into memory, or read it where it lies elsewhere."""
    local = store.path(path)
    if local is None:
        return pa.py_buffer(store.read(path))
    try:
        return pa.memory_map(local)
    except OSError:
        # The store says what is wrong.
        return pa.py_buffer(store.read(path))


class _Staged:
    """A table of a unit, of which chosen rows are read."""

    def __init__(self, store: Store, path: str):
        self._source = _read(store, path)
        self._file = _opened(self._source)

    def __enter__(self) -> _Staged:
        return self

    def __exit__(self, *_: object) -> None:
        self._source.close()

    def batches(self, names: Sequence[str]) -> Iterator[pa.Table]:
        """Read some columns, batch by batch."""
        file = _opened(self._source, self._file.schema, names)
        for number in range(file.num_record_batches):
            yield pa.Table.from_batches([file.get_batch(number)]).select(list(names))

    def take(self, rows: Numbers, sizes: Sequence[int]) -> pa.Table:
        """Read some rows, ascending; how many there are in each batch is known."""
        ends = np.cumsum(sizes, dtype=np.int64)
        places = np.searchsorted(rows, np.concatenate([np.array([0]), ends]))
        parts = [self._file.schema.empty_table()]
        for number in np.flatnonzero(np.diff(places)).tolist():
            chosen = rows[places[number] : places[number + 1]]
            batch = self._file.get_batch(number)
            if len(chosen) < sizes[number]:
                batch = batch.take(pa.array(chosen - (ends[number] - sizes[number])))
            parts.append(pa.Table.from_batches([batch]))
        return pa.concat_tables(parts)


class _Kinds(Mapping[str, KindOfLinks]):
    """The links of a unit by kind, read when they are asked for."""

    def __init__(self, store: Store, unit: Unit):
        self._store = store
        self._unit = unit
        self._read: dict[str, KindOfLinks] = {}

    def __getitem__(self, kind: str) -> KindOfLinks:
        if kind not in self._unit.links:
            raise KeyError(kind)
        if kind not in self._read:
            path = self._unit.path(f"links-{kind}.arrow")
            with self._store.reading(path):
                batch = pa.ipc.open_file(_mapped(self._store, path)).get_batch(0)
                self._read[kind] = KindOfLinks.from_arrow(batch)
        return self._read[kind]

    def __iter__(self) -> Iterator[str]:
        return iter(self._unit.links)

    def __len__(self) -> int:
        return len(self._unit.links)
