"""Data files: the rows of the tables, in Parquet files by quarter, none of which ever changes."""

from __future__ import annotations

from collections import Counter, deque
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import ExitStack, contextmanager, suppress
from typing import Any
from uuid import uuid4

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.parquet as pq

from redemption_analytics.columns import TABLES, key_of
from redemption_analytics.errors import FaultError, WriteError
from redemption_analytics.flattening.flatten import PARENT, PARENTS, Tables
from redemption_analytics.merging.stores import GROUP_ROWS, ROWS_THAT_TELL, repetitive
from redemption_analytics.parsing.digests import Numbers, numbers_of
from redemption_analytics.tables.arrow import arrow_schema_of, check_batch
from redemption_analytics.tables.parts import whole_of
from redemption_analytics.warehouse.changes import QUARTER, Change, keys_of, row_numbers
from redemption_analytics.warehouse.log import DataFile
from redemption_analytics.warehouse.store import Store

#: Rows of a file, about.
FILE_ROWS = 4 * GROUP_ROWS

#: So many bytes of rows wait at most, in all, for others of their quarter.
_HELD_BYTES = 48 << 20

#: When so many bytes have been written, what they took of memory is given back.
_RELEASED_BYTES = 128 << 20

#: So many row groups wait to be encoded.
_AHEAD = 2

#: The part of what has no time, and of tables that are not parted.
NO_QUARTER = "all"

Quarter = npt.NDArray[np.int16]

#: The column whose quarter parts a table; what hangs on another lies with that.
_TIMES = {"points": "redeemed_time", "coupons": "redeemed_time", "responses": "exported_at"}

#: Quarters are counted from year 1; what no organisation has seen lies together.
_FIRST, _LAST = 4 * 1970, 4 * 2100
_NONE = 0


def _quarters(times: pa.ChunkedArray) -> Quarter:
    """Return the number of the quarter of each time."""
    months = times.to_numpy().astype("datetime64[M]")
    number = months.astype(np.int64) // 3 + 4 * 1970
    known = ~np.isnat(months) & (number >= _FIRST) & (number < _LAST)
    found: Quarter = np.where(known, number, _NONE).astype(np.int16)
    return found


def name_of(quarter: int) -> str:
    """Return how a quarter is called.

    >>> name_of(4 * 2026 + 3), name_of(0)
    ('2026-q4', 'all')
    """
    return NO_QUARTER if quarter == _NONE else f"{quarter // 4}-q{quarter % 4 + 1}"


class Quarters:
    """The quarter in which each row lies: that of its redemption.

    Rows are added parents first, and each batch of a table is asked about once.

    Parameters
    ----------
    numbered
        Tables whose rows have ``_parent``, the number of the row of another that they hang on;
        rows of others name that by its key.
    """

    def __init__(self, numbered: Collection[str] = ()) -> None:
        self._numbered = numbered
        self._keyed = {parent for name, parent in PARENTS.items() if name not in numbered}
        self._quarters: dict[str, list[Quarter]] = {parent: [] for parent in PARENTS.values()}
        self._keys: dict[str, list[Numbers]] = {parent: [] for parent in self._keyed}
        self._order: dict[str, npt.NDArray[np.int64]] = {}

    def of(self, name: str, rows: pa.Table) -> Quarter:
        """Return the quarters of some rows of a table, and note them for what hangs on these."""
        if name in _TIMES:
            quarters = _quarters(rows[_TIMES[name]])
        elif name in PARENTS:
            quarters = self._of_parents(name, rows)
        else:
            return np.full(rows.num_rows, _NONE, np.int16)
        if name in self._quarters:
            self._quarters[name].append(quarters)
        if name in self._keyed:
            self._keys[name].append(numbers_of(rows[key_of(name)]))
        return quarters

    def _of_parents(self, name: str, rows: pa.Table) -> Quarter:
        parents = PARENTS[name]
        quarters: Quarter = _whole(self._quarters[parents], np.int16)
        if name in self._numbered:
            numbers: npt.NDArray[np.int64] = rows[PARENT].to_numpy()
            return quarters[numbers]
        keys = _whole(self._keys[parents], np.uint64)
        if parents not in self._order:
            # They may be tens of millions, and are put in order once.
            order = np.argsort(keys)
            keys[:] = keys[order]
            self._order[parents] = order
        wanted = numbers_of(rows[key_of(parents)])
        places = np.searchsorted(keys, wanted).clip(max=max(len(keys) - 1, 0))
        if len(wanted) and (not len(keys) or (keys[places] != wanted).any()):
            raise FaultError(f"a row names a {key_of(parents)} that {parents} does not have")
        return quarters[self._order[parents][places]] if len(keys) else quarters


def _whole(parts: list[Any], kind: Any) -> Any:
    """Return arrays as one, which takes their place."""
    if len(parts) != 1:
        parts[:] = [np.concatenate([np.array([], kind), *parts])]
    return parts[0]


class _File:
    """A file that is being written."""

    def __init__(self, store: Store, table: str, partition: str, schema: pa.Schema, texts: Any):
        self._name = f"data/{table}/{partition}/{uuid4().hex}.parquet"
        self._table = table
        self._partition = partition
        self._rows = 0
        self._open = ExitStack()
        self._path = self._open.enter_context(store.writing(self._name))
        writer = pq.ParquetWriter(self._path, schema, use_dictionary=texts)
        self._writer = self._open.enter_context(writer)

    def write(self, rows: pa.Table) -> int:
        """Write a row group; return how many rows there are."""
        with self._told():
            self._writer.write_table(rows, row_group_size=max(1, rows.num_rows))
        self._rows += rows.num_rows
        return self._rows

    def close(self) -> DataFile:
        """End the file."""
        with self._told():
            self._writer.close()
            size = self._path.stat().st_size
        self._open.close()
        return DataFile(self._name, self._table, self._partition, self._rows, size)

    def throw_away(self, error: BaseException) -> None:
        """Leave nothing of the file."""
        self._open.__exit__(type(error), error, error.__traceback__)

    @contextmanager
    def _told(self) -> Iterator[None]:
        """Leave nothing of the file if an error comes, and tell it as the store does."""
        try:
            yield
        except BaseException as error:
            self.throw_away(error)
            raise


class Writing:
    """Writes rows to data files.

    Parameters
    ----------
    store
        Where the files go.
    """

    def __init__(self, store: Store):
        self._store = store
        self._waiting: dict[tuple[str, str], list[pa.Table]] = {}
        self._rows: Counter[tuple[str, str]] = Counter()
        self._bytes: Counter[tuple[str, str]] = Counter()
        self._open: dict[tuple[str, str], _File] = {}
        # What a dictionary makes smaller in one quarter of a table, it does in the others.
        self._repetitive: dict[str, list[str]] = {}
        # Encoding goes on beside reading, one row group at a time.
        self._writer = ThreadPoolExecutor(1)
        self._writing: deque[Future[None]] = deque()
        self._unreleased = 0
        #: The files that were written.
        self.written: list[DataFile] = []
        self._beside: list[str] = []

    def __enter__(self) -> Writing:
        return self

    def __exit__(self, _kind: object, error: BaseException | None, _trace: object) -> None:
        self._writer.shutdown(cancel_futures=True)
        if error is not None:
            for file in self._open.values():
                with suppress(WriteError):
                    file.throw_away(error)
            with suppress(WriteError):
                self.throw_away()

    def throw_away(self) -> None:
        """Remove what was written."""
        self._store.delete([*(file.path for file in self.written), *self._beside])

    def take(self, names: Iterable[str]) -> None:
        """Let files go with these that were written beside them."""
        self._beside += names

    def add(self, name: str, rows: pa.Table, quarters: Quarter) -> None:
        """Add rows of a table, each with its quarter."""
        if rows.num_rows >= ROWS_THAT_TELL:
            self._look(whole_of(name), rows)
        for quarter, part in _divided(rows, quarters):
            self.add_to(whole_of(name), name_of(quarter), part)

    def add_to(self, table: str, partition: str, rows: pa.Table) -> None:
        """Add rows of one quarter."""
        place = (table, partition)
        self._waiting.setdefault(place, []).append(rows)
        self._rows[place] += rows.num_rows
        self._bytes[place] += rows.nbytes
        if self._rows[place] >= GROUP_ROWS:
            self._write(place)
        if self._bytes.total() > _HELD_BYTES:
            # What was added together lies together in memory.
            self.flush(self._largest())

    def _look(self, table: str, rows: pa.Table) -> list[str]:
        """Return the columns of a table that a dictionary makes smaller, by rows that tell it."""
        texts = self._repetitive.get(table)
        if texts is None:
            texts = repetitive(rows)
            if rows.num_rows >= ROWS_THAT_TELL:
                self._repetitive[table] = texts
        return texts

    def _largest(self) -> str:
        """Return the table of which the most waits."""
        sizes = Counter[str]()
        for (table, _), size in self._bytes.items():
            sizes[table] += size
        return sizes.most_common(1)[0][0]

    def _write(self, place: tuple[str, str]) -> None:
        rows = pa.concat_tables(self._waiting.pop(place))
        del self._rows[place], self._bytes[place]
        self._writing.append(self._writer.submit(self._encode, place, rows))
        while len(self._writing) > _AHEAD:
            self._writing.popleft().result()

    def _encode(self, place: tuple[str, str], rows: pa.Table) -> None:
        table, partition = place
        if table in TABLES:
            check_batch(table, rows)
        for start in range(0, max(rows.num_rows, 1), GROUP_ROWS):
            group = rows.slice(start, GROUP_ROWS)
            if place not in self._open:
                texts = self._look(table, group)
                self._open[place] = _File(
                    self._store, table, partition, group.schema, texts or False
                )
            if self._open[place].write(group) >= FILE_ROWS:
                self.written.append(self._open.pop(place).close())
        self._unreleased += rows.nbytes
        if self._unreleased > _RELEASED_BYTES:
            # Memory that other threads filled is not given back by itself, which takes its time.
            pa.default_memory_pool().release_unused()
            self._unreleased = 0

    def flush(self, table: str | None = None) -> None:
        """Write what waits, of all tables or one; the files stay open for more."""
        for place in list(self._waiting):
            if table in (None, place[0]):
                self._write(place)

    def finish(self) -> None:
        """Write what waits, and end the files."""
        self.flush()
        while self._writing:
            self._writing.popleft().result()
        while self._open:
            self.written.append(self._open.popitem()[1].close())


def read_rows(store: Store, file: DataFile, columns: Sequence[str] | None = None) -> pa.Table:
    """Read a data file, with all its columns or some."""
    with (
        store.reading(file.path),
        store.open(file.path, file.size) as source,
        pq.ParquetFile(source) as opened,
    ):
        return opened.read(columns=columns)


def rows_of(store: Store, files: Sequence[DataFile], table: str, partition: str) -> pa.Table:
    """Read the rows of one part of a table."""
    shape = arrow_schema_of(table).empty_table()
    mine = [file for file in files if (file.table, file.partition) == (table, partition)]
    return pa.concat_tables([shape, *(read_rows(store, file) for file in mine)])


def placed(tables: Tables) -> Tables:
    """Say of all rows of some tables in which quarter they lie."""
    known = Quarters()
    return {
        name: tables[name].append_column(QUARTER, pa.array(known.of(name, tables[name])))
        for name in _parents_first(tables)
    }


def applied(
    store: Store,
    files: Iterable[DataFile],
    changed: Mapping[str, Change],
    writing: Writing,
) -> list[DataFile]:
    """Write what changes, and the rows that stay beside it; return the old files that still count.

    Parameters
    ----------
    store
        The store.
    files
        The files that counted so far.
    changed
        What changes in each table, with the quarters in which it lies.
    writing
        Writes the rows.

    Raises
    ------
    FaultError
        If a row that goes is not there.
    """
    kept = list(files)
    gone = _parted({name: change.gone for name, change in changed.items()})
    come = _parted({name: change.come for name, change in changed.items()})
    for place in sorted({*gone, *come}):
        kept = replaced(store, kept, place, gone.get(place), come.get(place), writing)
    return kept


def replaced(
    store: Store,
    files: Sequence[DataFile],
    place: tuple[str, str],
    gone: pa.Table | None,
    come: pa.Table | None,
    writing: Writing,
) -> list[DataFile]:
    """Write what changes in one quarter of a table; return the old files that still count.

    Parameters
    ----------
    store, files, writing
        As :func:`applied` takes them.
    place
        The table and the quarter.
    gone, come
        The rows that go, and those that come.
    """
    mine = [file for file in files if (file.table, file.partition) == place]
    dropped = _without(store, mine, gone, writing) if gone is not None and len(gone) else []
    if come is not None and len(come):
        writing.add_to(*place, come)
        small = [file for file in mine if file not in dropped and file.rows < FILE_ROWS // 2]
        if small and not dropped:
            # What comes night by night must not become a file for each.
            writing.add_to(*place, read_rows(store, small[0]))
            dropped.append(small[0])
    return [file for file in files if file not in dropped]


def _divided(rows: pa.Table, quarters: Quarter) -> Iterator[tuple[int, pa.Table]]:
    """Divide rows by quarter; those of each keep their order."""
    if (quarters[:-1] > quarters[1:]).any():
        order = np.argsort(quarters, kind="stable")
        rows, quarters = rows.take(pa.array(order)), quarters[order]
    starts = np.flatnonzero(np.diff(quarters, prepend=-1))
    ends = np.append(starts, len(quarters))[1:]
    for start, end in zip(starts.tolist(), ends.tolist(), strict=True):
        yield int(quarters[start]), rows.slice(start, end - start)


def _parted(tables: Tables) -> dict[tuple[str, str], pa.Table]:
    """Divide rows by table and quarter."""
    parts: dict[tuple[str, str], list[pa.Table]] = {}
    for name, table in tables.items():
        quarters = table[QUARTER].to_numpy()
        rows = table.drop_columns([QUARTER])
        for quarter, part in _divided(rows, quarters):
            parts.setdefault((whole_of(name), name_of(quarter)), []).append(part)
    return {place: pa.concat_tables(several) for place, several in parts.items()}


def _parents_first(tables: Tables) -> Iterator[str]:
    yield from (name for name in tables if name not in PARENTS)
    yield from (name for name in tables if PARENTS.get(name) in ("points", "coupons"))
    yield from (name for name in tables if PARENTS.get(name) == "reversals")


def _without(
    store: Store, files: Sequence[DataFile], gone: pa.Table, writing: Writing
) -> list[DataFile]:
    """Write again, without the rows that go, the files that have any; return these."""
    keys = keys_of(files[0].table) if files else ()
    left = Counter(row_numbers(gone, keys or gone.column_names).tolist())
    wanted = np.sort(np.array(list(left), np.uint64))
    dropped, found = [], 0
    for file in files:
        own = row_numbers(read_rows(store, file, list(keys) or None), keys or gone.column_names)
        places = np.searchsorted(wanted, own).clip(max=len(wanted) - 1)
        stays = np.ones(len(own), bool)
        for row in np.flatnonzero(wanted[places] == own).tolist():
            # Where no key tells rows apart there may be two alike, of which one goes.
            number = int(own[row])
            if left[number]:
                left[number] -= 1
                stays[row] = False
        if not stays.all():
            found += int((~stays).sum())
            dropped.append(file)
            if stays.any():
                rows = read_rows(store, file).filter(pa.array(stays))
                writing.add_to(file.table, file.partition, rows)
    if found != gone.num_rows:
        raise FaultError(
            f"of {gone.num_rows} rows that go, {found} are in the files of the warehouse"
        )
    return dropped
