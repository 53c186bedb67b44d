"""Versions: what was seen several times, side by side, oldest first."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc

from redemption_analytics.flattening.flatten import PARENT
from redemption_analytics.merging.partitions import ROW
from redemption_analytics.merging.stores import Keep

Mask = npt.NDArray[np.bool_]
Numbers = npt.NDArray[np.int64]


@dataclass(frozen=True)
class Versions:
    """Rows of equal keys, those of one key together, the oldest first.

    Attributes
    ----------
    table
        The rows.
    rows
        Their numbers in the whole table.
    codes
        A number for each key, ascending.
    """

    table: pa.Table
    rows: Numbers
    codes: Numbers

    @classmethod
    def of(cls, partition: pa.Table, key: str) -> Versions:
        """Sort rows by their key; they come in the order of time."""
        codes, _ = codes_of(partition[key])
        order = np.argsort(codes, kind="stable")
        table = partition.take(pa.array(order))
        return cls(table, table[ROW].to_numpy(), codes[order])

    def last_where(self, told: Mask) -> Numbers:
        """Return the place of the newest row of each key of those that tell something."""
        places = np.flatnonzero(told)
        codes = self.codes[places]
        last = np.ones(len(codes), bool)
        last[:-1] = codes[1:] != codes[:-1]
        return places[last]

    def newest(self) -> Numbers:
        """Return for each row the place of the newest row of its key."""
        last = self.last_where(np.ones(len(self.codes), bool))
        return last[np.searchsorted(self.codes[last], self.codes)]

    def changed(self, column: str, told: Mask | None = None) -> Mask:
        """Mark all rows of the keys of which two rows tell something different."""
        values = self.table[column]
        if told is None:
            told = pc.is_valid(values).to_numpy()
        seen = np.zeros(len(self.codes), np.int64)
        seen[told], _ = codes_of(values.filter(pa.array(told)))
        return self.differs(seen, told)

    def differs(self, values: npt.NDArray[np.int64], told: Mask) -> Mask:
        """Mark all rows of the keys that have different values in two of the rows told."""
        values, codes = values[told], self.codes[told]
        differ = (codes[1:] == codes[:-1]) & (values[1:] != values[:-1])
        return np.isin(self.codes, codes[1:][differ])

    def any_of(self, mask: Mask) -> Mask:
        """Mark all rows of the keys of which some row is marked."""
        return np.isin(self.codes, self.codes[mask])


def codes_of(values: pa.ChunkedArray) -> tuple[Numbers, int]:
    """Return a number for each value of a column, equal for equal ones, and how many there are."""
    encoded = values.combine_chunks().dictionary_encode("encode")
    return encoded.indices.to_numpy().astype(np.int64), len(encoded.dictionary)


class Hanging:
    """The rows of a table that hang on those of another, in step with that one's."""

    def __init__(self, keep: Keep, name: str, columns: Sequence[str] = ()):
        self._batches: Iterator[pa.Table] = iter(keep.batches(name, [PARENT, *columns]))
        self._held: pa.Table | None = None
        self._columns = columns

    def until(self, end: int) -> pa.Table:
        """Return those children of the rows before a number that were not returned yet."""
        parts = []
        while True:
            if self._held is None:
                self._held = next(self._batches, None)
            if self._held is None:
                break
            count = int(np.searchsorted(self._held[PARENT].to_numpy(), end))
            parts.append(self._held.slice(0, count))
            if count < self._held.num_rows:
                self._held = self._held.slice(count)
                break
            self._held = None
        return pa.concat_tables(parts) if parts else pa.table({PARENT: pa.array([], pa.int64())})


def digests(rows: pa.Table, start: int, count: int) -> npt.NDArray[np.uint64]:
    """Write in one number for each parent what hangs on it, in whatever order it does."""
    digest = np.zeros(count, np.uint64)
    if not rows.num_rows:
        return digest
    whole = np.zeros(rows.num_rows, np.uint64)
    for name in rows.column_names:
        if name != PARENT:
            whole = pd.util.hash_array(whole) + _hashes(rows[name])
    np.add.at(digest, rows[PARENT].to_numpy() - start, pd.util.hash_array(whole))
    return digest


def _hashes(values: pa.ChunkedArray) -> npt.NDArray[np.uint64]:
    """Hash values; nothing is a value too."""
    encoded = values.combine_chunks().dictionary_encode("encode")
    texts = encoded.dictionary.cast(pa.string()).fill_null("\x00").to_numpy(zero_copy_only=False)
    hashed: npt.NDArray[np.uint64] = pd.util.hash_array(texts.astype(object), categorize=False)
    found: npt.NDArray[np.uint64] = hashed[encoded.indices.to_numpy()]
    return found
