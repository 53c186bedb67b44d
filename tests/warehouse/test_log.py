"""The log: a version is committed once, read whole, and its number never comes free again."""

from __future__ import annotations

import json
import multiprocessing
import random
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from datetime import datetime
from pathlib import Path
from typing import Any

import pytest

from redemption_analytics.errors import FaultError, SourceError, UsageError
from redemption_analytics.warehouse import log as log_module
from redemption_analytics.warehouse.log import DataFile, Entry, Log, is_warehouse
from redemption_analytics.warehouse.store import Store

POINTS = DataFile("data/points/2026-q4/a.parquet", "points", "2026-q4", 3, 1234)
CUSTOMERS = DataFile("data/customers/all/b.parquet", "customers", "all", 2, 567)


def entry(version: int, *files: DataFile, **state: Any) -> Entry:
    at = datetime(2026, 11, 20, 3, 0, version)
    return Entry(version, at, "0.3.0", {"points": "int", "keep_custom_fields": ["é"]}, files, state)


def log_of(location: str | Path, count: int = 0) -> Log:
    log = Log(Store(location))
    for version in range(1, count + 1):
        assert log.commit(entry(version, POINTS))
    return log


def test_a_new_place_has_no_version(location: str) -> None:
    log = Log(Store(location))
    assert log.newest() is None
    assert log.versions() == []
    assert not is_warehouse(location)


def test_what_is_committed_is_read_as_it_was(location: str) -> None:
    log = Log(Store(location))
    first, second = entry(1, POINTS), entry(2, POINTS, CUSTOMERS, known={"a": [1, None]})
    assert log.commit(first)
    assert log.commit(second)
    assert log.newest() == second
    assert log.read(1) == first
    assert log.versions() == [1, 2]
    assert second.tables == {"points": (POINTS,), "customers": (CUSTOMERS,)}
    assert is_warehouse(location)


def test_the_newest_of_more_than_nine_versions_is_the_last(tmp_path: Path) -> None:
    assert log_of(tmp_path, 12).newest() == entry(12, POINTS)


def test_a_version_is_committed_once(location: str) -> None:
    log = log_of(location, 1)
    assert not log.commit(replace(entry(1), release="another"))
    assert not log.commit(entry(1, POINTS))  # Nor the same again: it is no longer this writer's.
    assert log.read(1) == entry(1, POINTS)


def test_versions_begin_at_one(tmp_path: Path) -> None:
    with pytest.raises(FaultError):
        Log(Store(tmp_path)).commit(entry(0))


def test_a_commit_whose_answer_got_lost_is_known_as_done(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A client that hears nothing asks again, and is told that the name is there."""
    store = Store(tmp_path)
    create: Callable[[str, bytes], bool] = store.create

    def asked_twice(name: str, data: bytes) -> bool:
        create(name, data)
        return create(name, data)

    monkeypatch.setattr(store, "create", asked_twice)
    assert Log(store).commit(entry(1))
    assert not Log(store).commit(entry(1))


def test_a_version_that_never_was_is_told(location: str) -> None:
    with pytest.raises(UsageError, match="no version 1: it has none yet"):
        Log(Store(location)).read(1)
    with pytest.raises(UsageError, match="no version 4: it has 1 to 3"):
        log_of(location, 3).read(4)


# Vacuuming.


@pytest.mark.parametrize("before", range(1, 8))
def test_what_was_vacuumed_cannot_be_read_and_the_rest_can(tmp_path: Path, before: int) -> None:
    log = log_of(tmp_path, 5)
    left = [version for version in range(1, 6) if version >= min(before, 5)]
    assert log.vacuum(before) == [version for version in range(1, 6) if version not in left]
    assert log.vacuum(before) == []
    assert log.versions() == left
    assert log.newest() == entry(5, POINTS)
    for version in range(1, 6):
        if version in left:
            assert log.read(version) == entry(version, POINTS)
        else:
            with pytest.raises(UsageError, match=f"vacuumed: the oldest that is left is {left[0]}"):
                log.read(version)


def test_a_writer_that_slept_while_its_version_was_vacuumed_is_not_first(location: str) -> None:
    log = log_of(location, 5)
    log.vacuum(5)
    assert not log.commit(entry(3, CUSTOMERS))
    assert log.newest() == entry(5, POINTS)


def test_the_newest_is_found_though_it_was_vacuumed_meanwhile(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    log, other = log_of(tmp_path, 2), Log(Store(tmp_path))
    numbers: Callable[[], list[int]] = log._numbers

    def listed_before_others_were_at_work() -> list[int]:
        monkeypatch.undo()
        listed = numbers()
        assert other.commit(entry(3, CUSTOMERS))
        other.vacuum(3)
        return listed

    monkeypatch.setattr(log, "_numbers", listed_before_others_were_at_work)
    assert log.newest() == entry(3, CUSTOMERS)


# Of several writers.


def commits(location: str, count: int, writer: int) -> list[int]:
    """Commit versions as often as a writer is first, each on the newest that there is."""
    log, mine = Log(Store(location)), []
    while len(mine) < count:
        newest = log.newest()
        files = newest.files if newest else ()
        version = newest.version + 1 if newest else 1
        made = f"data/points/2026-q4/{writer}-{len(mine)}.parquet"
        if log.commit(entry(version, *files, replace(POINTS, path=made))):
            mine.append(version)
    return mine


def check_all_are_there(location: str, versions: list[list[int]]) -> None:
    log = Log(Store(location))
    count = sum(map(len, versions))
    assert sorted(version for mine in versions for version in mine) == list(range(1, count + 1))
    newest = log.newest()
    assert newest is not None
    expected = {
        f"data/points/2026-q4/{writer}-{number}.parquet"
        for writer, mine in enumerate(versions)
        for number in range(len(mine))
    }
    assert {file.path for file in newest.files} == expected
    for version in log.versions():
        assert len(log.read(version).files) == version


def test_no_commit_of_several_threads_gets_lost(location: str) -> None:
    with ThreadPoolExecutor(4) as pool:
        check_all_are_there(location, list(pool.map(commits, [location] * 4, [5] * 4, range(4))))


@pytest.mark.slow
def test_no_commit_of_several_processes_gets_lost(shared: str) -> None:
    with multiprocessing.get_context("spawn").Pool(3) as pool:
        check_all_are_there(shared, pool.starmap(commits, [(shared, 8, w) for w in range(3)]))


COMMIT_ON = """
import sys
from datetime import datetime
from redemption_analytics.warehouse.log import DataFile, Entry, Log
from redemption_analytics.warehouse.store import Store
log = Log(Store(sys.argv[1]))
while True:
    newest = log.newest()
    version = newest.version + 1 if newest else 1
    files = [DataFile(f"data/points/q/{n}-{version}", "points", "q", n, 1) for n in range(5000)]
    log.commit(Entry(version, datetime(2026, 1, 1), "0", {}, tuple(files), {}))
    print(version, flush=True)
"""


@pytest.mark.slow
def test_a_writer_killed_at_any_moment_leaves_whole_versions(shared: str) -> None:
    draws = random.Random(1)
    log, done = Log(Store(shared)), 0
    for _ in range(6):
        command = [sys.executable, "-c", COMMIT_ON, shared]
        with subprocess.Popen(command, stdout=subprocess.PIPE) as writer:
            assert writer.stdout is not None
            told = int(writer.stdout.readline())
            assert told > done
            time.sleep(draws.uniform(0, 0.1))
            writer.send_signal(signal.SIGKILL)
        time.sleep(0.1)  # What was sent may still arrive at the server.
        newest = log.newest()
        assert newest is not None
        assert newest.version >= told
        done = newest.version
    assert log.versions() == list(range(1, done + 1))
    for version in log.versions():
        assert [file.rows for file in log.read(version).files] == list(range(5000))


# What is no log of this library's.


def written(location: Path, text: str) -> Log:
    log = log_of(location, 1)
    (location / "log/00000000000000000002.json").write_text(text)
    return log


def said(**other: Any) -> str:
    return json.dumps(
        {
            "format": log_module._FORMAT,
            "version": 2,
            "committed_at": "2026-11-20T03:00:00",
            "release": "0.3.0",
            "options": {},
            "files": [],
            "state": {},
            **other,
        }
    )


FILE = {"path": POINTS.path, "table": "points", "partition": "q", "rows": 1, "size": 1}
TORN = {
    "empty": "",
    "half": said()[:50],
    "no JSON": "version 2",
    "no UTF-8": "\udcff",
    "deep": "[" * 100_000,
    "no object": "[]",
    "something else": '{"version": 2}',
    "of another version": said(version=3),
    "no time": said(committed_at="yesterday"),
    "a file without rows": said(files=[{"path": POINTS.path}]),
    "a file elsewhere": said(files=[FILE | {"path": "data/../../etc/passwd"}]),
    "a file of the log": said(files=[FILE | {"path": "log/1.json"}]),
    "files that are none": said(files=[1]),
    "a path that is none": said(files=[FILE | {"path": 1}]),
    "options that are none": said(options=1),
}


@pytest.mark.parametrize("text", TORN.values(), ids=TORN)
def test_what_is_no_whole_entry_is_told(tmp_path: Path, text: str) -> None:
    log_of(tmp_path, 1)
    (tmp_path / "log/00000000000000000002.json").write_bytes(text.encode(errors="surrogateescape"))
    with pytest.raises(SourceError, match=r"log/0+2\.json is no entry of a warehouse, or a torn"):
        Log(Store(tmp_path)).newest()
    assert not Log(Store(tmp_path)).commit(entry(2))


def test_what_a_whole_entry_says_is_read(tmp_path: Path) -> None:
    log = written(tmp_path, said(files=[FILE], something_new=1))
    newest = log.newest()
    assert newest is not None
    assert newest.files == (replace(POINTS, partition="q", rows=1, size=1),)


def test_a_newer_format_is_told_with_its_remedy(tmp_path: Path) -> None:
    log = written(tmp_path, said(format=log_module._FORMAT + 1, release="9.1"))
    with pytest.raises(SourceError, match=r"redemption_analytics 9\.1, in format 3.*update"):
        log.newest()


def test_an_older_format_is_told_with_its_remedy(tmp_path: Path) -> None:
    # What wrote format 1 called a release otherwise at first.
    log = written(tmp_path, said(format=1, release=None))
    with pytest.raises(SourceError, match=r"an earlier version.*in format 1.*into a new warehouse"):
        log.newest()


def test_a_directory_of_something_else_is_refused(location: str) -> None:
    store = Store(location)
    store.put("photos/1.jpg", b"")
    with pytest.raises(SourceError, match=r"holds something else \(photos\)"):
        Log(store).newest()
    assert not is_warehouse(location)


def test_what_is_hidden_in_a_directory_is_no_hindrance(tmp_path: Path) -> None:
    (tmp_path / ".DS_Store").write_text("")
    assert Log(Store(tmp_path)).newest() is None


def test_what_a_killed_first_ingest_left_is_no_hindrance(location: str) -> None:
    store = Store(location)
    store.put("data/points/2026-q4/a.parquet", b"")
    assert Log(store).newest() is None


def test_other_names_in_the_log_are_passed_over(tmp_path: Path) -> None:
    log = log_of(tmp_path, 1)
    for name in ("notes.txt", "00000000000000000002.json.bak", "2.json"):
        (tmp_path / "log" / name).write_text("")
    assert log.versions() == [1]
