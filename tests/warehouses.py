"""What tests of warehouses share: whether two bundles say the same, whatever the order of rows;
which files there are, and which are named; exports of a day; and another writer that is first."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from unittest import mock

import redemption_analytics as ra
from redemption_analytics.warehouse.log import Entry, Log


def write(folder: Path, day: str, *answers: Any) -> Path:
    """Write an export of a day: answers, or lines as they are."""
    folder.mkdir(exist_ok=True)
    path = folder / f"{day}.jsonl"
    path.write_text("\n".join(a if isinstance(a, str) else json.dumps(a) for a in answers))
    return path


def rows_of(frame: Any) -> list[tuple[Any, ...]]:
    """Return the rows of a frame of any engine, sorted; nothing is None."""
    from redemption_analytics.tables.frames import as_arrow

    rows = as_arrow(frame).to_pylist()
    return sorted((tuple(row.items()) for row in rows), key=repr)


def assert_same(one: ra.Redemptions, other: ra.Redemptions) -> None:
    """Check that all tables, the ledger, the findings and cases of two bundles are the same."""
    for name in one.tables:
        assert rows_of(one.tables[name]) == rows_of(other.tables[name]), name
    assert rows_of(one.ledger) == rows_of(other.ledger)
    assert rows_of(one.findings) == rows_of(other.findings)
    assert rows_of(one.cases) == rows_of(other.cases)
    assert one.now == other.now


def stored(warehouse: ra.Warehouse) -> set[str]:
    """Return the names of all data files that are there."""
    return {found.name for found in warehouse._store.names("data")}


def named(warehouse: ra.Warehouse) -> set[str]:
    """Return the names of the data files that versions name, by the log alone."""
    names: set[str] = set()
    for version in warehouse._log.versions():
        entry = warehouse._log.read(version)
        names.update(file.path for file in entry.files)
        units = {unit["name"] for unit in entry.state["units"]}
        names.update(name for name in stored(warehouse) if name.split("/")[2] in units)
    return names


@contextmanager
def before_commit(happens: Callable[[], Any]) -> Iterator[None]:
    """Let something happen once, just before the next commit."""
    commit, waiting = Log.commit, [happens]

    def late(log: Log, entry: Entry) -> bool:
        while waiting:
            waiting.pop()()
        return commit(log, entry)

    with mock.patch.object(Log, "commit", late):
        yield
