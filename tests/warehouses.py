"""What tests of warehouses share: whether two bundles say the same, whatever the order of rows."""

from __future__ import annotations

from typing import Any

import redemption_analytics as ra


def rows_of(frame: Any) -> list[tuple[Any, ...]]:
    """Return the rows of a frame of any engine, sorted; nothing is None."""
    from redemption_analytics.tables.frames import as_arrow

    rows = as_arrow(frame).to_pylist()
    return sorted((tuple(row.items()) for row in rows), key=repr)


def assert_same(one: ra.Redemptions, other: ra.Redemptions) -> None:
    """Check that all tables, the ledger and the findings of two bundles are the same."""
    for name in one.tables:
        assert rows_of(one.tables[name]) == rows_of(other.tables[name]), name
    assert rows_of(one.ledger) == rows_of(other.ledger)
    assert rows_of(one.findings) == rows_of(other.findings)
    assert one.now == other.now
