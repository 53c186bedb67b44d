"""Arrow files of units: how they are opened, here or in a store."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import suppress
from typing import Any

import pyarrow as pa

from redemption_analytics.warehouse.store import Store


def opened(
    source: Any, schema: pa.Schema | None = None, columns: Sequence[str] = ()
) -> pa.RecordBatchFileReader:
    """Open an Arrow file, of which some columns are to be read, or all."""
    # Memory that other threads fill is not given back by itself.
    options = pa.ipc.IpcReadOptions(use_threads=False)
    if schema is not None:
        options.included_fields = [schema.get_field_index(name) for name in columns]
    return pa.ipc.open_file(source, options=options)


def to_be_read(store: Store, path: str) -> Any:
    """Open a file to read parts of it, which are not kept."""
    local = store.path(path)
    if local is not None:
        # The store says what is wrong.
        with suppress(OSError):
            return pa.OSFile(local)
    return pa.BufferReader(store.read(path))


def mapped(store: Store, path: str) -> Any:
    """Map a file into memory, or read it where it lies elsewhere."""
    local = store.path(path)
    if local is None:
        return pa.py_buffer(store.read(path))
    try:
        return pa.memory_map(local)
    except OSError:
        # The store says what is wrong.
        return pa.py_buffer(store.read(path))
