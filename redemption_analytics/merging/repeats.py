"""Which keys surely occur once: found from a number for each row, without reading keys back."""

from __future__ import annotations

from collections import defaultdict

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from redemption_analytics.parsing.digests import hashes_of

#: The numbers of more rows than these are not held: 128 MB.
_MOST_ROWS = 16 << 20

Hashes = npt.NDArray[np.uint64]


class Repeats:
    """Numbers of the values of some columns, equal for equal ones.

    Examples
    --------
    >>> repeats = Repeats({"points": ["redemption_key"]})
    >>> for key in ("R1", "R2"):
    ...     repeats.add("points", pa.table({"redemption_key": [key]}))
    >>> repeats.none("points", "redemption_key")
    True
    """

    def __init__(self, columns: dict[str, list[str]]):
        self._columns = columns
        self._parts: defaultdict[tuple[str, str], list[Hashes]] = defaultdict(list)
        self._rows: defaultdict[str, int] = defaultdict(int)

    def add(self, name: str, table: pa.Table) -> None:
        """Note the values of some rows of a table."""
        self._rows[name] += table.num_rows
        for column in self._columns.get(name, ()):
            if self._rows[name] > _MOST_ROWS:
                self._parts.pop((name, column), None)
            elif column in table.column_names:
                self._parts[name, column].append(_numbers(table[column]))

    def none(self, name: str, column: str) -> bool:
        """Check whether all values of a column are surely there, and each of them once.

        That is asked once: what was noted of the column goes, for it may be much.
        """
        together = self._together(name, column)
        if together is None:
            return False
        del self._parts[name, column]
        together.sort()
        return not (together[:1] == _NULL).any() and not (together[1:] == together[:-1]).any()

    def none_of_two(self, name: str, column: str, other: str) -> bool:
        """Check whether no value of a column stands beside two different ones of another.

        What is null stands for nothing.
        """
        values, beside = self._together(name, column), self._together(name, other)
        if values is None or beside is None:
            return False
        order = np.argsort(values)
        values, beside = values[order], beside[order]
        same = (values[1:] == values[:-1]) & (values[1:] != _NULL)
        return not (same & (beside[1:] != beside[:-1])).any()

    def _together(self, name: str, column: str) -> Hashes | None:
        parts = self._parts.get((name, column))
        if not parts:
            return None
        whole = np.empty(sum(map(len, parts)), np.uint64)
        end = len(whole)
        while parts:
            # What was copied is let go at once, for together they are many.
            part = parts.pop()
            whole[end - len(part) : end] = part
            end -= len(part)
        parts.append(whole)
        return whole


_NULL = np.uint64(0)


def _numbers(values: pa.ChunkedArray) -> Hashes:
    whole = values.combine_chunks()
    if pa.types.is_integer(values.type):
        numbers: Hashes = whole.fill_null(0).to_numpy().view(np.uint64)
        return numbers
    numbers = hashes_of(whole.fill_null("") if whole.null_count else whole)
    if whole.null_count:
        numbers[pc.is_null(whole).to_numpy(zero_copy_only=False)] = _NULL
    return numbers
