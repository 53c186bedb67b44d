"""Changes: which rows of the tables came, went, or say something else than before."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from redemption_analytics.columns import TABLES, UNIQUE
from redemption_analytics.parsing.digests import Numbers, numbers_of

#: Column that says in which quarter a row lies; no table has it.
QUARTER = "_quarter"

#: Spreads numbers over all bits of a word, as Fibonacci hashing does.
_SPREAD = np.uint64(0x9E3779B97F4A7C15)
_SHIFT = np.uint64(29)
#: Stands for what is not there.
_NULL = np.uint64(0x5851F42D4C957F2D)


def keys_of(name: str) -> tuple[str, ...]:
    """Return the columns that tell the rows of a table apart.

    >>> keys_of("reversal_breakups"), keys_of("points")
    (('reversal_id', 'program_id'), ('redemption_key',))
    """
    if name in UNIQUE:
        return UNIQUE[name]
    columns = TABLES.get(name, {})
    own = tuple(column for column, of in columns.items() if of.unique)
    return own or tuple(columns)


@dataclass(frozen=True)
class Change:
    """What changes in a table.

    Attributes
    ----------
    gone
        The rows that go, as they were; those that change or move are among them.
    come
        The rows that come, as they are now; those that change or move are among them.
    changed, moved
        How many rows say something else under their key, and how many only lie elsewhere.
    """

    gone: pa.Table
    come: pa.Table
    changed: int
    moved: int

    def __bool__(self) -> bool:
        return bool(self.gone.num_rows or self.come.num_rows)

    @property
    def counts(self) -> dict[str, int]:
        """How many rows were added, changed and removed."""
        both = self.changed + self.moved
        return {
            "added": self.come.num_rows - both,
            "changed": self.changed,
            "removed": self.gone.num_rows - both,
        }


def change_of(name: str, old: pa.Table, new: pa.Table) -> Change:
    """Compare two states of a table, or of one part of its rows.

    Parameters
    ----------
    name
        The table.
    old, new
        Its rows, in any order. A column ``_quarter`` says where each lies.

    Examples
    --------
    >>> one, other = pa.table({"a": [1, 2]}), pa.table({"a": [2, 3]})
    >>> change = change_of("other", one, other)
    >>> change.gone["a"].to_pylist(), change.come["a"].to_pylist()
    ([1], [3])
    """
    said = [column for column in new.column_names if column != QUARTER]
    keys = keys_of(name) or tuple(said)
    old_keys, new_keys = row_numbers(old, keys), row_numbers(new, keys)
    old_said, new_said = row_numbers(old, said), row_numbers(new, said)
    old_rows, new_rows = row_numbers(old, new.column_names), row_numbers(new, new.column_names)
    gone, come = _surplus(old_rows, new_rows), _surplus(new_rows, old_rows)
    both = len(np.intersect1d(old_keys[gone], new_keys[come]))
    moved = len(np.intersect1d(old_said[gone], new_said[come]))
    return Change(
        old.take(pa.array(gone)).select(new.column_names),
        new.take(pa.array(come)),
        both - moved,
        moved,
    )


def _surplus(rows: Numbers, others: Numbers) -> np.ndarray[tuple[int], np.dtype[np.int64]]:
    """Return the places of the rows that are not among others, or not as often."""
    order = np.argsort(rows, kind="stable")
    ranked = rows[order]
    rank = np.arange(len(ranked)) - np.searchsorted(ranked, ranked)
    others = np.sort(others)
    there = np.searchsorted(others, ranked, side="right") - np.searchsorted(others, ranked)
    return np.sort(order[rank >= there])


def row_numbers(table: pa.Table, columns: Sequence[str]) -> Numbers:
    """Return a number for each row: where two are different, so are the rows in these columns.

    >>> one, other, again = row_numbers(pa.table({"a": ["x", None, "x"], "b": [1, 1, 1]}), "ab")
    >>> bool(one == again), bool(one == other)
    (True, False)
    """
    numbers = np.full(table.num_rows, len(columns), np.uint64)
    for name in columns:
        column = _plain(table[name])
        own = numbers_of(column)
        if column.null_count:
            own[pc.is_null(column).to_numpy()] = _NULL
        numbers ^= own + (numbers >> _SHIFT)
        numbers *= _SPREAD
        numbers ^= numbers >> _SHIFT
    return numbers


def _plain(column: pa.ChunkedArray) -> pa.ChunkedArray:
    """Return a column as texts or whole numbers, equal for equal values."""
    if pa.types.is_floating(column.type):
        # Zero and its negative are equal.
        bits = [
            pa.Array.from_buffers(
                pa.int64(), len(chunk), chunk.buffers(), chunk.null_count, chunk.offset
            )
            for chunk in pc.add(column, 0.0).chunks
        ]
        return pa.chunked_array(bits, pa.int64())
    if pa.types.is_string(column.type):
        return column
    return column.cast(pa.int64())
