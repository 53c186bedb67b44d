"""Memory that is given back."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager

import pyarrow as pa

_CHOSEN = "ARROW_DEFAULT_MEMORY_POOL"

#: What Arrow uses where it is not told, whatever is set later.
_ARROWS_OWN = pa.default_memory_pool()


@contextmanager
def system_memory() -> Iterator[None]:
    """Let Arrow take its memory from the system's allocator, unless somebody chose another.

    Arrow's own, mimalloc, keeps what each thread freed for that thread; here one thread frees what
    others filled. From the system's allocator the peak grows with 16 times the input by a seventh,
    not by a third; it takes a twelfth longer.
    """
    before = pa.default_memory_pool()
    if _CHOSEN in os.environ or before.backend_name != "mimalloc":
        yield
        return
    pa.set_memory_pool(pa.system_memory_pool())
    try:
        yield
    finally:
        pa.set_memory_pool(before)


def give_back() -> None:
    """Give back to the system what is free; after work of many threads that needs to be said."""
    pa.default_memory_pool().release_unused()
    _ARROWS_OWN.release_unused()
