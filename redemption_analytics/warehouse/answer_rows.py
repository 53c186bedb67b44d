"""Which rows of the tables of a unit an answer has: those of one answer lie together in each."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from redemption_analytics.flattening.flatten import ANSWER, PARENT, PARENTS
from redemption_analytics.merging.links import Numbers, ranges

Ends = npt.NDArray[np.uint32]


class CountingRows:
    """Counts the rows of each answer, block by block, in the tables that grow."""

    def __init__(self) -> None:
        self._answers = 0
        self._block = (0, 0)
        self._counts: dict[str, list[npt.NDArray[np.int32]]] = {}
        # Of tables that others hang on: the first row of the block, and the answer of each row.
        self._parents: dict[str, tuple[int, Numbers]] = {}
        self._rows: dict[str, int] = {}

    def add(self, name: str, table: pa.Table) -> None:
        """Count some rows; ``responses`` come first, and parents before what hangs on them."""
        if name == "responses":
            self._block = (self._answers, table.num_rows)
            self._answers += table.num_rows
            return
        first, size = self._block
        if name in PARENTS:
            start, of_parents = self._parents[PARENTS[name]]
            answers = of_parents[table[PARENT].to_numpy() - start]
        else:
            answers = table[ANSWER].to_numpy()
        if name in PARENTS.values():
            self._parents[name] = self._rows.get(name, 0), answers
        self._rows[name] = self._rows.get(name, 0) + table.num_rows
        counts = np.bincount(answers - first, minlength=size).astype(np.int32)
        self._counts.setdefault(name, []).append(counts)

    def to_arrow(self, sizes: Mapping[str, Sequence[int]]) -> pa.RecordBatch:
        """Return what was counted as a batch, to be written.

        Parameters
        ----------
        sizes
            How many rows each batch of each table has.
        """
        ends = {
            name: pa.array(np.cumsum(np.concatenate(counts), dtype=np.int64).astype(np.uint32))
            for name, counts in self._counts.items()
        }
        batch = pa.RecordBatch.from_pydict(ends)
        return batch.replace_schema_metadata(
            {name: json.dumps(list(each)) for name, each in sizes.items()}
        )


class AnswerRows:
    """Finds the rows of answers in the tables of a unit.

    Parameters
    ----------
    batch
        What :meth:`CountingRows.to_arrow` gave.
    """

    def __init__(self, batch: pa.RecordBatch):
        self._ends: dict[str, Ends] = {
            name: column.to_numpy()
            for name, column in zip(batch.schema.names, batch.columns, strict=True)
        }
        self._sizes: dict[bytes, bytes] = batch.schema.metadata

    def of(self, name: str, answers: Numbers) -> Numbers:
        """Return the rows that some answers, ascending, have in a table."""
        if name == "responses":
            return answers
        ends = self._ends[name]
        starts = np.where(answers > 0, ends[answers - 1], 0).astype(np.int64)
        return ranges(starts, ends[answers].astype(np.int64))

    def sizes(self, name: str) -> list[int]:
        """Return how many rows each batch of a table has."""
        sizes: list[int] = json.loads(self._sizes[name.encode()])
        return sizes


def placed_anew(name: str, table: pa.Table, rows: Mapping[str, Numbers]) -> pa.Table:
    """Let rows that were taken point to the places that their parents and answers have now.

    Parameters
    ----------
    name
        The table.
    table
        The rows.
    rows
        The numbers of the rows that were taken of each table, ascending.
    """
    for mark, whose in ((PARENT, PARENTS.get(name)), (ANSWER, "responses")):
        if whose is not None and mark in table.column_names:
            numbers = pa.array(np.searchsorted(rows[whose], table[mark].to_numpy()))
            place = table.schema.get_field_index(mark)
            table = table.set_column(place, table.schema.field(place), numbers)
    return table
