"""Which keys surely occur once: found from a number for each row, without reading keys back."""

from __future__ import annotations

from collections import defaultdict

import numpy as np
import pyarrow as pa

from redemption_analytics.parsing.digests import NOTHING, Numbers, numbers_of

#: The numbers of more rows than these are not held: 128 MB.
MOST_ROWS = 16 << 20


class Repeats:
    """Numbers of the values of some columns, equal for equal ones.

    Parameters
    ----------
    columns
        The columns of each table.
    most_rows
        Of a table with more rows nothing is known.

    Attributes
    ----------
    columns
        The columns of each table.

    Examples
    --------
    >>> repeats = Repeats({"points": ["redemption_key"]})
    >>> for key in ("R1", "R2"):
    ...     repeats.add("points", pa.table({"redemption_key": [key]}))
    >>> repeats.none("points", "redemption_key")
    True
    """

    def __init__(self, columns: dict[str, list[str]], most_rows: int = MOST_ROWS):
        self.columns = columns
        self._most_rows = most_rows
        self._parts: defaultdict[tuple[str, str], list[Numbers]] = defaultdict(list)
        self._rows: defaultdict[str, int] = defaultdict(int)

    def add(self, name: str, table: pa.Table) -> None:
        """Note the values of some rows of a table."""
        self._rows[name] += table.num_rows
        for column in self.columns.get(name, ()):
            if self._rows[name] > self._most_rows:
                self._parts.pop((name, column), None)
            elif column in table.column_names:
                self._parts[name, column].append(numbers_of(table[column]))

    def none(self, name: str, column: str) -> bool:
        """Check whether all values of a column are surely there, and each of them once.

        That is asked once: what was noted of the column goes, for it may be much.
        """
        together = self._together(name, column)
        if together is None:
            return False
        del self._parts[name, column]
        together.sort()
        return not (together[:1] == NOTHING).any() and not (together[1:] == together[:-1]).any()

    def none_of_two(self, name: str, column: str, other: str) -> bool:
        """Check whether no value of a column stands beside two different ones of another.

        What is null stands for nothing.
        """
        values, beside = self._together(name, column), self._together(name, other)
        if values is None or beside is None:
            return False
        order = np.argsort(values)
        values, beside = values[order], beside[order]
        same = (values[1:] == values[:-1]) & (values[1:] != NOTHING)
        return not (same & (beside[1:] != beside[:-1])).any()

    def _together(self, name: str, column: str) -> Numbers | None:
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
