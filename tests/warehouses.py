"""What tests of warehouses share: whether two bundles say the same, whatever the order of rows;
which files there are, and which are named; exports of a day; and another writer that is first."""

from __future__ import annotations

import io
import json
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from unittest import mock

import pyarrow as pa
import pyarrow.parquet as pq

import redemption_analytics as ra
from redemption_analytics.warehouse.log import Entry, Log

#: Counted when exports are read, and not kept by answer.
AS_READ = ("unknown_fields", "epoch_times")


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


def assert_as_if_never_told(forgot: ra.Redemptions, whole: ra.Redemptions) -> None:
    """Check that two bundles are the same, but for what files were and what was counted in them."""
    for name in forgot.tables:
        but = ["size", "digest", "records", "form"] if name == "files" else []
        one, other = (r.tables[name].drop(columns=but) for r in (forgot, whole))
        assert rows_of(one) == rows_of(other), name
    assert rows_of(forgot.ledger) == rows_of(whole.ledger)
    found = [
        r.findings[~r.findings["check"].isin(AS_READ)].reset_index(drop=True)
        for r in (forgot, whole)
    ]
    assert rows_of(found[0]) == rows_of(found[1])
    assert forgot.now == whole.now


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


def contents(warehouse: ra.Warehouse) -> bytes:
    """Return all that a warehouse's files hold, uncompressed."""
    found = []
    for name in [each.name for each in warehouse._store.names()]:
        data = warehouse._store.read(name)
        found.append(name.encode())
        if name.endswith(".parquet"):
            table = pq.read_table(io.BytesIO(data))
            found.append(str(pq.read_metadata(io.BytesIO(data)).to_dict()).encode())
        elif name.endswith(".arrow"):
            table = pa.ipc.open_file(data).read_all()
        else:
            found.append(data)
            continue
        found.append(json.dumps(table.to_pylist(), default=str, ensure_ascii=False).encode())
    return b"\n".join(found)


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
