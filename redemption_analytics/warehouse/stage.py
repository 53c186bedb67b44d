"""The stage: what answers say, flattened and not yet merged, unit by unit.

A unit is what one ingest read. Its tables are those that merging starts from: Parquet files of the
declared columns, and beside each an Arrow file of the columns that serve merging.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass, field
from datetime import datetime
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from redemption_analytics.flattening.flatten import ANSWER, PARENT, PARENTS, Tables
from redemption_analytics.loading.pipeline import GROWING
from redemption_analytics.merging.stores import Growing, OnDisk
from redemption_analytics.tables.parts import PARTS
from redemption_analytics.warehouse.links import KindOfLinks, Linking, Numbers, UnitLinks, ranges
from redemption_analytics.warehouse.log import Entry
from redemption_analytics.warehouse.store import Store


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
    files
        How many files have each status.
    newest
        The time of the newest export that tells it, of those with answers.
    odd
        For the findings that a reader makes (``unknown_fields``, ``epoch_times``) and each name how
        often it was met, where first (the export's time, its name and number, and the record), and
        what to say of that.
    """

    name: str
    rows: dict[str, int]
    links: list[str]
    read: str
    seen: dict[str, int]
    rejected: dict[str, int]
    files: dict[str, int]
    newest: str | None
    odd: dict[str, dict[str, list[Any]]] = field(default_factory=dict)

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
        return f"data/stage/{self.name}/{name}"

    @property
    def paths(self) -> list[str]:
        """The names of all its files in the store."""
        tables = [f"{name}{suffix}" for name in GROWING for suffix in (".parquet", ".arrow")]
        names = [*tables, *(f"links-{kind}.arrow" for kind in self.links), "exports.parquet"]
        return [self.path(name) for name in names if name != "responses.arrow"]


def units_of(entry: Entry | None) -> list[Unit]:
    """Return the units of a version."""
    return [] if entry is None else [Unit(**unit) for unit in entry.state["units"]]


class Staging(OnDisk):
    """Tables that grow on disk, and are still there as they grew when they have been merged.

    Parameters
    ----------
    directory
        Where they grow.
    linking
        Collects the links of what is added.
    """

    def __init__(self, directory: Path, linking: Linking):
        super().__init__(directory / "grown", str(directory), PARTS)
        self._linking = linking
        self._grown: dict[str, Growing] = {}
        #: How many answers each export gave, in their order.
        self.answers_of: dict[str, int] = {}

    def append(self, name: str, table: pa.Table) -> None:  # noqa: D102
        self._linking.add(name, table)
        if name == "responses":
            runs = pc.run_end_encode(table["source"].combine_chunks())
            ends = runs.run_ends.to_numpy()
            for source, count in zip(
                runs.values.to_pylist(), np.diff(ends, prepend=0).tolist(), strict=True
            ):
                self.answers_of[source] = self.answers_of.get(source, 0) + count
        super().append(name, table)

    def _replace(self, name: str, old: Growing, new: Growing) -> None:
        self._grown[name] = old
        self._growing[name] = new

    def keep(self, store: Store, name: str, exports: pa.Table) -> tuple[dict[str, int], list[str]]:
        """Put what grew into a store; return the rows of each table and the kinds of links.

        Parameters
        ----------
        store
            The store.
        name
            The name of the unit.
        exports
            The exports, as :func:`exports_of` reads them.
        """
        self.finish()
        rows = {}
        for table in GROWING:
            grown = self._grown.get(table) or self._growing[table]
            rows[table] = grown.rows
            store.put(f"data/stage/{name}/{table}.parquet", grown.path)
            if grown.beside.exists():
                store.put(f"data/stage/{name}/{table}.arrow", grown.beside)
        kinds = []
        for kind, links in self._linking.finish():
            kinds.append(kind)
            store.put(f"data/stage/{name}/links-{kind}.arrow", _ipc(links.to_arrow()))
        sink = pa.BufferOutputStream()
        pq.write_table(exports, sink)
        store.put(f"data/stage/{name}/exports.parquet", sink.getvalue().to_pybytes())
        return rows, kinds


def _ipc(batch: pa.RecordBatch) -> bytes:
    sink = pa.BufferOutputStream()
    with pa.ipc.new_file(sink, batch.schema) as writer:
        writer.write_batch(batch)
    written: bytes = sink.getvalue().to_pybytes()
    return written


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
        with pq.ParquetFile(self._store.open(self.unit.path("exports.parquet"))) as file:
            return file.read()

    def tables(self, answers: Numbers) -> Tables:
        """Return what some answers say, as the settled tables of a block.

        Parameters
        ----------
        answers
            The numbers of the answers, ascending.
        """
        tables: Tables = {}
        rows: dict[str, Numbers] = {"responses": answers}
        for name in GROWING:
            if name == "responses":
                tables[name] = self._rows(name, answers)
                continue
            column, above = (PARENT, PARENTS[name]) if name in PARENTS else (ANSWER, "responses")
            marks = self._marks(name)
            whose = marks[column].to_numpy()
            parents = rows[above]
            starts = np.searchsorted(whose, parents)
            ends = np.searchsorted(whose, parents, side="right")
            chosen = ranges(starts, ends)
            rows[name] = chosen
            table = self._rows(name, chosen)
            places = {column: np.repeat(np.arange(len(parents)), ends - starts)}
            if ANSWER in marks.column_names and column != ANSWER:
                places[ANSWER] = np.searchsorted(answers, marks[ANSWER].to_numpy()[chosen])
            for mark in marks.column_names:
                values = pa.array(places[mark]) if mark in places else marks[mark].take(chosen)
                table = table.append_column(mark, values)
            tables[name] = table
        return tables

    def _marks(self, name: str) -> pa.Table:
        path = self.unit.path(f"{name}.arrow")
        local = self._store.path(path)
        source = pa.memory_map(local) if local else pa.py_buffer(self._store.read(path))
        return pa.ipc.open_file(source).read_all()

    def _rows(self, name: str, rows: Numbers) -> pa.Table:
        """Read some rows of a table, ascending."""
        with pq.ParquetFile(self._store.open(self.unit.path(f"{name}.parquet"))) as file:
            parts = [file.schema_arrow.empty_table()]
            start = 0
            for group in range(file.num_row_groups):
                end = start + file.metadata.row_group(group).num_rows
                first, last = np.searchsorted(rows, [start, end])
                if first < last:
                    table = file.read_row_group(group)
                    if last - first < end - start:
                        table = table.take(pa.array(rows[first:last] - start))
                    parts.append(table)
                start = end
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
            local = self._store.path(path)
            source = pa.memory_map(local) if local else pa.py_buffer(self._store.read(path))
            self._read[kind] = KindOfLinks.from_arrow(pa.ipc.open_file(source).get_batch(0))
        return self._read[kind]

    def __iter__(self) -> Iterator[str]:
        return iter(self._unit.links)

    def __len__(self) -> int:
        return len(self._unit.links)
