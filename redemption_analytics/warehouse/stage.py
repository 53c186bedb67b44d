"""The stage: what answers say, flattened and not yet merged, unit by unit.

Its tables are those that merging starts from, with the columns that serve merging.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from redemption_analytics.flattening.flatten import Tables
from redemption_analytics.loading.pipeline import GROWING
from redemption_analytics.merging.links import KindOfLinks, Numbers, UnitLinks
from redemption_analytics.warehouse.answer_rows import AnswerRows, placed_anew
from redemption_analytics.warehouse.arrow_files import mapped, opened, to_be_read
from redemption_analytics.warehouse.store import Store
from redemption_analytics.warehouse.units import Unit


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
            return AnswerRows(pa.ipc.open_file(mapped(self._store, path)).get_batch(0))


class _Staged:
    """A table of a unit, of which chosen rows are read."""

    def __init__(self, store: Store, path: str):
        self._source = to_be_read(store, path)
        self._file = opened(self._source)

    def __enter__(self) -> _Staged:
        return self

    def __exit__(self, *_: object) -> None:
        self._source.close()

    def batches(self, names: Sequence[str]) -> Iterator[pa.Table]:
        """Read some columns, batch by batch."""
        file = opened(self._source, self._file.schema, names)
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
                batch = pa.ipc.open_file(mapped(self._store, path)).get_batch(0)
                self._read[kind] = KindOfLinks.from_arrow(batch)
        return self._read[kind]

    def __iter__(self) -> Iterator[str]:
        return iter(self._unit.links)

    def __len__(self) -> int:
        return len(self._unit.links)
