"""When the export was made that each reject comes from: its name may be that of several exports."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from datetime import datetime

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from redemption_analytics.warehouse.books import READ
from redemption_analytics.warehouse.changes import row_numbers
from redemption_analytics.warehouse.files import Writing, read_rows, replaced
from redemption_analytics.warehouse.log import DataFile
from redemption_analytics.warehouse.store import Store

#: The table, of which bundles know nothing: earlier releases did not write it.
REJECT_TIMES = "reject_times"

_NUMBER, _MADE = "number", "exported_at"
_SCHEMA = pa.schema([(_NUMBER, pa.int64()), (_MADE, pa.timestamp("us"))])


def times_of(rejects: pa.Table, made: Mapping[str, datetime]) -> pa.Table:
    """Note of rejects that were just read when their exports were made.

    >>> rejects = pa.table({"source": ["a.json"], "reason": ["no number"]})
    >>> times_of(rejects, {"a.json": datetime(2026, 11, 20)})["exported_at"].to_pylist()
    [datetime.datetime(2026, 11, 20, 0, 0)]
    """
    times = [made[source] for source in rejects["source"].to_pylist()]
    return pa.table([_numbers(rejects), pa.array(times, pa.timestamp("us"))], schema=_SCHEMA)


def noted(
    store: Store, files: Sequence[DataFile], gone: pa.Table, come: pa.Table, writing: Writing
) -> list[DataFile]:
    """Note which rejects go and which come; return the old files that still count.

    Parameters
    ----------
    store, files, writing
        As :func:`redemption_analytics.warehouse.files.replaced` takes them.
    gone
        The rejects that go; of those that are alike all do.
    come
        The times of those that come.
    """
    times = _read(store, files)
    times = times.filter(pc.is_in(times[_NUMBER], _numbers(gone)))
    return replaced(store, files, (REJECT_TIMES, READ), times, come, writing)


def renamed(store: Store, files: Sequence[DataFile], before: pa.Table, after: pa.Table) -> pa.Table:
    """Return the times of rejects that say something else from now on, row for row."""
    numbers = (_numbers(rows).to_pylist() for rows in (before, after))
    become = dict(zip(*numbers, strict=True))
    times = _read(store, files)
    rows = [
        {**row, _NUMBER: become[row[_NUMBER]]}
        for row in times.to_pylist()
        if row[_NUMBER] in become
    ]
    return pa.Table.from_pylist(rows, _SCHEMA)


def told_until(
    store: Store, files: Sequence[DataFile], rejects: pa.Table, moment: datetime
) -> pa.Table:
    """Return the rejects without those of exports that are known to have been made later."""
    times = _read(store, files)
    later = Counter(times.filter(pc.greater(times[_MADE], moment))[_NUMBER].to_pylist())
    stays = np.ones(rejects.num_rows, bool)
    for row, number in enumerate(_numbers(rejects).to_pylist()):
        # Of some that are alike it does not matter which go.
        if later[number]:
            later[number] -= 1
            stays[row] = False
    return rejects.filter(pa.array(stays))


def _numbers(rejects: pa.Table) -> pa.Array:
    return pa.array(row_numbers(rejects, rejects.column_names).view(np.int64))


def _read(store: Store, files: Sequence[DataFile]) -> pa.Table:
    own = [read_rows(store, file) for file in files if file.table == REJECT_TIMES]
    return pa.concat_tables([_SCHEMA.empty_table(), *own])
