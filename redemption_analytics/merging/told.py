"""What older rows told, where the newest row of a key is silent."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from redemption_analytics.merging.partitions import PARTITION_ROWS, ROW
from redemption_analytics.merging.versions import Versions
from redemption_analytics.tables.arrow import arrow_schema_of

Bits = npt.NDArray[np.uint32]
Moves = tuple[npt.NDArray[np.int64], npt.NDArray[np.int64], Bits]

#: Columns that are told together: of two stores' code and name no third one is made.
_BRANCHES = (("store_code", "store_name"), ("till_code", "till_name"))

#: Columns of what is given: the row that it goes to, and the bits of the branches that are given.
INTO, GIVES = "_into", "_gives"


def branches(name: str) -> list[tuple[str, ...]]:
    """List what rows of a table may tell or not, each a column or several that go together."""
    fields = [field.name for field in arrow_schema_of(name) if field.nullable]
    together = [branch for branch in _BRANCHES if branch[0] in fields]
    alone = [name for name in fields if not any(name in branch for branch in together)]
    return [*((name,) for name in alone), *together]


def bits(batch: pa.Table, parts: Sequence[tuple[str, ...]]) -> Bits:
    """Write in one number for each row which branches it tells."""
    told = np.zeros(batch.num_rows, np.uint32)
    for place, branch in enumerate(parts):
        for name in branch:
            if batch[name].null_count == 0:
                told |= np.uint32(1 << place)
            elif batch[name].null_count < batch.num_rows:
                told |= pc.is_valid(batch[name]).to_numpy().astype(np.uint32) << np.uint32(place)
    return told


def given_columns(name: str, *gives: Bits) -> list[str]:
    """Name the columns of a table that some rows give to others."""
    every = 0
    for bits_of_rows in gives:
        every |= int(np.bitwise_or.reduce(bits_of_rows))
    chosen = [part for place, part in enumerate(branches(name)) if every >> place & 1]
    return [column for part in chosen for column in part]


class Given:
    """What the rows that stay take over from those that go.

    Parameters
    ----------
    name
        The table.
    scratch
        A directory for what is too much for the memory; None to keep all of it there.

    Attributes
    ----------
    parts
        The branches of the table.
    moves
        Once the values are collected: the rows that give, those that they give to, and what.
    """

    def __init__(self, name: str, scratch: Path | None):
        self._name = name
        self.parts = branches(name)
        self._scratch = scratch
        self._found: list[Moves] = []
        self.moves: Moves | None = None
        self._stretches: dict[int, pa.Table | Path] = {}
        self._folder: TemporaryDirectory[str] | None = None
        self._read: tuple[int, pa.Table | None] = (-1, None)

    def look(self, versions: Versions) -> None:
        """Find the rows that tell what the newest of their key does not."""
        told = versions.table["_told"].to_numpy()
        newest = versions.newest()
        more = told & ~told[newest]
        if not more.any():
            return
        gives = np.zeros(len(told), np.uint32)
        for place in range(len(self.parts)):
            bit = np.uint32(1 << place)
            gives[versions.last_where((more & bit) != 0)] |= bit
        rows = np.flatnonzero(gives)
        self._found.append((versions.rows[rows], versions.rows[newest[rows]], gives[rows]))

    @classmethod
    def holding(cls, name: str, values: pa.Table) -> Given:
        """Return what some rows take over, from a table of the values.

        Parameters
        ----------
        name
            The table whose rows they are.
        values
            What is given, with the columns ``INTO`` and ``GIVES``.
        """
        given = cls(name, None)
        stretches = values[INTO].to_numpy() // PARTITION_ROWS
        for stretch in np.unique(stretches).tolist():
            given._stretches[stretch] = values.filter(pa.array(stretches == stretch))
        return given

    def __bool__(self) -> bool:
        return bool(self._stretches)

    @property
    def columns(self) -> list[str]:
        """Name the columns of which there is something to give."""
        return given_columns(self._name, *(gives for _, _, gives in self._found))

    def collect(self, batches: Iterator[pa.Table]) -> None:
        """Collect the values from the numbered batches of the table, which hold the columns."""
        rows, into, gives = (np.concatenate(parts) for parts in zip(*self._found, strict=True))
        order = np.argsort(rows)
        rows, into, gives = rows[order], into[order], gives[order]
        self._found, self.moves = [], (rows, into, gives)
        held: dict[int, list[pa.Table]] = {}
        count, writers = 0, dict[int, pa.ipc.RecordBatchStreamWriter]()
        for batch in batches:
            first = batch[ROW][0].as_py() if batch.num_rows else 0
            start, end = np.searchsorted(rows, [first, first + batch.num_rows])
            if start == end:
                continue
            values = batch.take(pa.array(rows[start:end] - first)).drop_columns([ROW])
            values = values.append_column(INTO, pa.array(into[start:end]))
            values = values.append_column(GIVES, pa.array(gives[start:end]))
            stretches = into[start:end] // PARTITION_ROWS
            for stretch in np.unique(stretches).tolist():
                held.setdefault(stretch, []).append(values.filter(pa.array(stretches == stretch)))
            count += int(end - start)
            if self._scratch is not None and count > PARTITION_ROWS:
                self._write(held, writers)
                held, count = {}, 0
        if writers:
            self._write(held, writers)
            for writer in writers.values():
                writer.close()
        else:
            self._stretches = {n: pa.concat_tables(parts) for n, parts in held.items()}

    def _write(
        self, held: dict[int, list[pa.Table]], writers: dict[int, pa.ipc.RecordBatchStreamWriter]
    ) -> None:
        if self._folder is None:
            self._folder = TemporaryDirectory(dir=self._scratch)
        for stretch, parts in held.items():
            table = pa.concat_tables(parts)
            if stretch not in writers:
                path = Path(self._folder.name) / f"{stretch}.arrow"
                writers[stretch] = pa.ipc.new_stream(str(path), table.schema)
                self._stretches[stretch] = path
            writers[stretch].write_table(table)

    def close(self) -> None:
        """Forget what was given."""
        self._stretches = {}
        self._read = (-1, None)
        if self._folder is not None:
            self._folder.cleanup()
            self._folder = None

    def put_into(self, batch: pa.Table, start: int) -> pa.Table:
        """Fill the rows of a batch with what only older ones told, as far as it has the columns."""
        end = start + batch.num_rows
        for stretch in range(start // PARTITION_ROWS, -(-end // PARTITION_ROWS)):
            values = self._stretch(stretch)
            if values is None:
                continue
            into, gives = values[INTO].to_numpy(), values[GIVES].to_numpy()
            inside = (into >= start) & (into < end)
            if not inside.any():
                continue
            for place, branch in enumerate(self.parts):
                if branch[0] not in batch.column_names:
                    continue
                rows = np.flatnonzero(inside & ((gives >> np.uint32(place)) & 1 == 1))
                if len(rows):
                    which = np.full(batch.num_rows, -1)
                    which[into[rows] - start] = rows
                    chosen = pa.array(which, mask=which < 0)
                    for name in branch:
                        column = pc.coalesce(values[name].take(chosen), batch[name])
                        field = batch.schema.field(name)
                        batch = batch.set_column(batch.schema.get_field_index(name), field, column)
        return batch

    def within(self, start: int, end: int) -> Given | None:
        """Return what some rows take over, counted from the first of them; None if nothing."""
        parts = []
        for stretch in range(start // PARTITION_ROWS, -(-end // PARTITION_ROWS)):
            values = self._stretch(stretch)
            if values is not None:
                into = values[INTO].to_numpy()
                parts.append(values.filter(pa.array((into >= start) & (into < end))))
        if not any(part.num_rows for part in parts):
            return None
        values = pa.concat_tables(parts).combine_chunks()
        into = pa.array(values[INTO].to_numpy() - start)
        return Given.holding(self._name, values.drop_columns([INTO]).append_column(INTO, into))

    def _stretch(self, number: int) -> pa.Table | None:
        if self._read[0] != number:
            found = self._stretches.get(number)
            if isinstance(found, Path):
                with pa.memory_map(str(found)) as file:
                    found = pa.ipc.open_stream(file).read_all()
            self._read = (number, found)
        return self._read[1]
