"""Staging: tables that grow on disk while exports are read, to be kept as a unit."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from redemption_analytics.errors import FaultError
from redemption_analytics.loading.pipeline import GROWING
from redemption_analytics.merging.links import Linking
from redemption_analytics.merging.stores import Change
from redemption_analytics.warehouse.answer_rows import CountingRows
from redemption_analytics.warehouse.arrow_files import opened
from redemption_analytics.warehouse.store import Store
from redemption_analytics.warehouse.units import folder_of

#: So many batches wait to be written.
_AHEAD = 4

#: Batches have so many bytes, or more.
_BATCH_BYTES = 1 << 20

#: When so many bytes have been written, what they took of memory is given back.
_RELEASED_BYTES = 128 << 20


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
        #: The tables whose final form is another than how they grew.
        self.merged: dict[str, _Growing] = {}
        self._writer = ThreadPoolExecutor(1)
        self._writing: deque[Future[None]] = deque()
        self._unreleased = 0
        #: How many answers each export gave, in their order.
        self.answers_of: dict[str, int] = {}

    def __enter__(self) -> Staging:
        return self

    def __exit__(self, *_: object) -> None:
        self._writer.shutdown(cancel_futures=True)
        for growing in (*self._open.values(), *self.merged.values()):
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
        growing = self.merged.get(name) or self._open.get(name)
        return 0 if growing is None else growing.rows

    def batches(self, name: str, columns: Sequence[str]) -> Iterator[pa.Table]:
        """Return some columns of a table, batch by batch."""
        self._settle()
        growing = self.merged.get(name) or self._open.get(name)
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
                self.merged[name] = new
        self._settle()

    def _settle(self) -> None:
        """End what is written, so that it can be read."""
        while self._writing:
            self._writing.popleft().result()
        for growing in (*self._open.values(), *self.merged.values()):
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
            The exports, with the columns that ``StagedUnit.exports`` tells of.
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
            str(path),
            schema,
            # One batch after the other is written beside parsing, which needs the other cores.
            options=pa.ipc.IpcWriteOptions(compression="lz4", use_threads=False),
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
            file = opened(source, self._schema, wanted)
            for number in range(file.num_record_batches):
                yield pa.Table.from_batches([file.get_batch(number)]).select(wanted)
            if not file.num_record_batches:
                yield self._schema.empty_table().select(wanted)
