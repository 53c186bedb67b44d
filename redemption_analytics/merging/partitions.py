"""Partitions: rows with equal keys together in one, however many rows there are."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from contextlib import ExitStack
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np
import pandas as pd
import pyarrow as pa

#: A partition holds about so many rows; it is looked at in memory.
PARTITION_ROWS = 500_000

#: Column that numbers the rows of a table through.
ROW = "_row"


def numbered(batches: Iterable[pa.Table]) -> Iterator[pa.Table]:
    """Append to batches a column with the numbers of their rows."""
    start = 0
    for batch in batches:
        rows = np.arange(start, start + batch.num_rows)
        yield batch.append_column(ROW, pa.array(rows))
        start += batch.num_rows


def partitions(
    batches: Iterable[pa.Table], key: str, rows: int, scratch: Path | None
) -> Iterator[pa.Table]:
    """Divide rows into partitions: those with equal keys meet in one, in their order.

    Parameters
    ----------
    batches
        The rows. No key is null.
    key
        The column that holds the key.
    rows
        How many there are, about.
    scratch
        A directory for what is too much for the memory; None to keep all rows in one partition.
    """
    count = 1 if scratch is None else -(-rows // PARTITION_ROWS)
    if count <= 1:
        yield from _together(batches)
        return
    with TemporaryDirectory(dir=scratch) as folder:
        paths = [Path(folder) / f"{number}.arrow" for number in range(count)]
        _divide(batches, key, paths)
        for path in filter(Path.exists, paths):
            with pa.memory_map(str(path)) as file:
                yield pa.ipc.open_stream(file).read_all()
            path.unlink()


def _together(batches: Iterable[pa.Table]) -> Iterator[pa.Table]:
    parts = list(batches)
    if parts:
        yield pa.concat_tables(parts)


def _divide(batches: Iterable[pa.Table], key: str, paths: list[Path]) -> None:
    writers: dict[int, pa.RecordBatchWriter] = {}
    with ExitStack() as stack:
        for batch in batches:
            numbers = _hashes(batch[key]) % len(paths)
            order = np.argsort(numbers, kind="stable")
            sorted_rows = batch.take(pa.array(order))
            bounds = np.searchsorted(numbers[order], np.arange(len(paths) + 1))
            for number in range(len(paths)):
                start, end = bounds[number], bounds[number + 1]
                if start == end:
                    continue
                if number not in writers:
                    file = stack.enter_context(pa.OSFile(str(paths[number]), "wb"))
                    writers[number] = stack.enter_context(pa.ipc.new_stream(file, batch.schema))
                writers[number].write_table(sorted_rows.slice(start, end - start))


def _hashes(keys: pa.ChunkedArray) -> np.ndarray[tuple[int], np.dtype[np.uint64]]:
    return pd.util.hash_array(keys.to_numpy(), categorize=False)
