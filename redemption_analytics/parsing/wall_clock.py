"""Times that were written with a UTC offset, as wall-clock time of the organisation."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

import numpy as np
import pyarrow as pa

#: What the reader puts behind the name of a column of times, to tell which are in UTC.
IN_UTC = "_in_utc"

#: Clocks are put forward and back at such moments only.
_STEP = 15 * 60 * 1_000_000
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


def on_the_wall(batch: pa.RecordBatch, times: Sequence[str], zone: ZoneInfo) -> pa.RecordBatch:
    """Move times that are in UTC into a zone, and drop the columns that tell which are.

    Parameters
    ----------
    batch
        A table.
    times
        Its columns of times.
    zone
        The zone.
    """
    for name in times:
        shifted = batch[name + IN_UTC].to_numpy(zero_copy_only=False)
        batch = batch.drop_columns([name + IN_UTC])
        rows = np.flatnonzero(shifted)
        if not len(rows):
            continue
        column = batch[name]
        values = column.cast(pa.int64()).fill_null(0).to_numpy().copy()
        values[rows] += _offsets(values[rows], zone)
        missing = column.is_null().to_numpy(zero_copy_only=False)
        moved = pa.array(values, mask=missing).cast(pa.timestamp("us"))
        batch = batch.set_column(batch.schema.get_field_index(name), name, moved)
    return batch


def _offsets(utc: np.ndarray, zone: ZoneInfo) -> np.ndarray:
    """Return what the zone adds to each moment, in microseconds."""
    steps, places = np.unique(utc // _STEP, return_inverse=True)
    known = np.array([_offset(int(step), zone) for step in steps.tolist()], np.int64)
    given: np.ndarray = known[places]
    return given


def _offset(step: int, zone: ZoneInfo) -> int:
    moment = _EPOCH + timedelta(microseconds=step * _STEP)
    offset = moment.astimezone(zone).utcoffset()
    return round((offset or timedelta()) / timedelta(microseconds=1))
