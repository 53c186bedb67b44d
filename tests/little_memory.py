"""Stores that hold little in memory, so that their borders are crossed."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from unittest import mock

from redemption_analytics.merging import partitions, stores


@contextmanager
def little_memory(rows: int) -> Iterator[None]:
    """Let row groups, and the partitions in which equal keys meet, hold so few rows."""
    with (
        mock.patch.object(stores, "GROUP_ROWS", rows),
        mock.patch.object(partitions, "PARTITION_ROWS", rows),
    ):
        yield
