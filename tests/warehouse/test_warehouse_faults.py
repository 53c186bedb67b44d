"""Faults while a warehouse is written: it is the version before or the one after, never torn."""

from __future__ import annotations

import errno
import json
import multiprocessing
import os
import resource
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from itertools import count
from multiprocessing.pool import Pool
from pathlib import Path
from typing import Any
from unittest import mock

import pyarrow.parquet as pq
import pytest
from answers import answer, new, old, reversal
from warehouses import assert_as_if_never_told, assert_same, before_commit, named, stored

import redemption_analytics as ra
from redemption_analytics import atomic_directory
from redemption_analytics.warehouse import directory
from redemption_analytics.warehouse.log import Log

pytestmark = pytest.mark.slow

#: How many ingests are killed; more take a while.
KILLS = int(os.environ.get("REDEMPTION_ANALYTICS_KILLS", "4"))

TESTS = Path(__file__).parent.parent


def write_exports(folder: Path, count: int) -> list[Path]:
    """Write exports that are linked with one another, by customers and by redemptions."""
    folder.mkdir()
    paths = []
    for day in range(1, count + 1):
        told = [
            new("shared", points_redeemed=90, notes=f"on day {day}", reversals=[reversal(day)]),
            new(f"own-{day}", redeemed_time=f"20{10 + day}-01-01 00:00:00"),
            old(redeemed_time=f"2020-01-{1 + day % 3:02} 00:00:00"),
        ]
        path = folder / f"2026-01-{day:02}.jsonl"
        path.write_text(json.dumps(answer(*told, mobile=f"44{day % 3}", user_id=f"{day % 2}")))
        paths.append(path)
    return paths


# Killed.


@pytest.mark.skipif(not hasattr(os, "fork"), reason="killing needs fork")
@pytest.mark.parametrize("what", ["ingests", "forgettings"])
def test_a_writer_that_is_killed_leaves_the_version_before_or_the_one_after(
    what: str, tmp_path: Path
) -> None:
    script = TESTS / f"killed_{what}.py"
    done = subprocess.run(
        [sys.executable, script, tmp_path, str(KILLS), what],
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    found = json.loads(done.stdout)
    print({"kills": KILLS, **found})  # noqa: T201
    assert found["wrong"] == 0, done.stderr
    assert found["before"] + found["after"] == KILLS


# Several at once.


@pytest.fixture(scope="module")
def processes() -> Iterator[Pool]:
    """Four processes, started once: importing takes them longest."""
    with multiprocessing.get_context("spawn").Pool(4) as pool:
        yield pool


def ingest_all(location: str, paths: list[Path], environment: dict[str, str]) -> list[int]:
    os.environ.update(environment)
    warehouse = ra.Warehouse(location)
    return [warehouse.ingest(path).version for path in paths]


def test_two_and_four_writers_at_once_end_as_one_load(
    shared: str, processes: Pool, tmp_path: Path
) -> None:
    paths = write_exports(tmp_path / "exports", 5)
    whole = ra.load(paths)
    reached = {name: value for name, value in os.environ.items() if name.startswith("AWS_")}
    for writers in (2, 4):
        location = f"{shared}-{writers}"
        # Each has exports of its own, and one that all have.
        own = [[*paths[number::writers], paths[0]] for number in range(writers)]
        work = [(location, mine, reached) for mine in own]
        versions = processes.starmap(ingest_all, work, chunksize=1)
        warehouse = ra.Warehouse(location)
        assert list(warehouse.history()["version"]) == [1, 2, 3, 4, 5]
        assert {version for own in versions for version in own} == {1, 2, 3, 4, 5}
        assert_same(warehouse.open(), whole)
        assert stored(warehouse) == named(warehouse)


def forget(location: str, mobile: str, environment: dict[str, str]) -> int:
    os.environ.update(environment)
    return ra.Warehouse(location).forget(mobile=mobile).version


def do(work: Callable[..., Any], *given: Any) -> Any:
    return work(*given)


def test_a_forgetting_and_ingests_at_once_end_as_a_load_without_the_person(
    shared: str, processes: Pool, tmp_path: Path
) -> None:
    paths = write_exports(tmp_path / "exports", 6)
    mine = answer(
        new("shared", points_redeemed=70, reversals=[reversal(99)]), new("mine"), mobile="44-mine"
    )
    for path in paths[:2]:
        path.write_text(f"{path.read_text()}\n{json.dumps(mine)}")
    ra.Warehouse(shared).ingest(paths[:2])
    reached = {name: value for name, value in os.environ.items() if name.startswith("AWS_")}
    work = [
        (forget, shared, "44-mine", reached),
        (ingest_all, shared, paths[2:4], reached),
        (ingest_all, shared, paths[4:], reached),
    ]
    forgotten, *ingested = processes.starmap(do, work, chunksize=1)
    assert {forgotten, *ingested[0], *ingested[1]} == {2, 3, 4, 5, 6}
    warehouse = ra.Warehouse(shared)
    for path in paths[:2]:
        path.write_text(path.read_text().splitlines()[0])
    assert_as_if_never_told(warehouse.open(), ra.load(paths))
    assert stored(warehouse) == named(warehouse)


@pytest.mark.parametrize("known", [0, 1], ids=["the first version", "a later version"])
def test_a_writer_that_wakes_after_anothers_commit_ends_as_one_load(
    location: str, known: int, tmp_path: Path
) -> None:
    paths = write_exports(tmp_path / "exports", 4)
    warehouse, other = ra.Warehouse(location), ra.Warehouse(location)
    for path in paths[:known]:
        warehouse.ingest(path)
    with before_commit(lambda: other.ingest(paths[2:])):
        warehouse.ingest(paths[:2])
    assert list(warehouse.history()["version"]) == list(range(1, known + 3))
    assert_same(warehouse.open(), ra.load(paths))
    assert stored(warehouse) == named(warehouse)


@pytest.mark.parametrize("later", [False, True], ids=["written", "not written"])
def test_where_it_is_unknown_whether_a_commit_was_made_nothing_is_torn(
    location: str, later: bool, tmp_path: Path
) -> None:
    """The answer of a bucket may get lost, whatever it did."""
    paths = write_exports(tmp_path / "exports", 2)
    warehouse = ra.Warehouse(location)
    warehouse.ingest(paths[0])
    commit = Log.commit

    def lost(log: Log, entry: Any) -> bool:
        if not later:
            commit(log, entry)
        raise ra.WriteError("the connection was reset")

    with (
        mock.patch.object(Log, "commit", lost),
        pytest.raises(ra.WriteError, match="was reset"),
    ):
        warehouse.ingest(paths[1])
    assert_same(ra.Warehouse(location).open(), ra.load(paths[: 2 - later]))
    assert warehouse.ingest(paths[1]).read == int(later)
    assert_same(warehouse.open(), ra.load(paths))


def test_a_version_in_a_bucket_is_a_load_of_the_exports_until_then(
    bucket: str, tmp_path: Path
) -> None:
    paths = write_exports(tmp_path / "exports", 3)
    warehouse = ra.Warehouse(bucket)
    for path in paths:
        warehouse.ingest(path)
    for version in (1, 2, 3):
        assert_same(warehouse.open(version=version), ra.load(paths[:version]))
    assert warehouse.ingest(paths).read == 0
    assert warehouse.vacuum(1, grace="0D").versions == (1, 2)
    assert_same(warehouse.open(), ra.load(paths))


# What cannot be written.


def files_below(folder: Path) -> list[Path]:
    return sorted(path for path in folder.rglob("*") if path.is_file())


def test_a_full_disk_is_told_and_the_version_before_stays_whole(tmp_path: Path) -> None:
    paths = write_exports(tmp_path / "exports", 2)
    warehouse = ra.Warehouse(tmp_path / "warehouse")
    warehouse.ingest(paths[0])
    before = files_below(tmp_path)
    limits = resource.getrlimit(resource.RLIMIT_FSIZE)
    for limit in (100, 1000, 2000):
        resource.setrlimit(resource.RLIMIT_FSIZE, (limit, limits[1]))
        try:
            with pytest.raises(
                ra.WriteError, match=r"cannot be written: File too large.*make room"
            ):
                warehouse.ingest(paths[1])
        finally:
            resource.setrlimit(resource.RLIMIT_FSIZE, limits)
        assert files_below(tmp_path) == before
    assert_same(warehouse.open(), ra.load(paths[0]))


def test_a_disk_may_be_full_at_each_write_in_turn(tmp_path: Path) -> None:
    paths = write_exports(tmp_path / "exports", 2)
    place = tmp_path / "warehouse"
    warehouse = ra.Warehouse(place)
    warehouse.ingest(paths[0])
    before, known = files_below(place), ra.load(paths[0])
    for step in count(1):
        with full_at(step):
            try:
                done = warehouse.ingest(paths[1])
            except ra.WriteError as error:
                told = str(error)
            else:
                break
        assert f"{place}/" in told
        assert "cannot be written: No space left on device: make room there" in told
        if f"{place}/log/" not in told:
            # Of a commit that fails nobody knows whether it was made: its files stay.
            assert files_below(place) == before
        assert_same(warehouse.open(), known)
    assert step > 20
    assert done.version == 2
    assert_same(warehouse.open(), ra.load(paths))
    warehouse.vacuum(grace="0D")
    assert stored(warehouse) == named(warehouse)


@contextmanager
def full_at(step: int) -> Iterator[None]:
    """Let the disk of the warehouse be full when something is written there once more."""
    steps = count(1)

    def failing(write: Any) -> Any:
        def called(*arguments: Any, **options: Any) -> Any:
            if next(steps) == step:
                raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
            return write(*arguments, **options)

        return called

    class OnFullDisk(pq.ParquetWriter):  # type: ignore[misc]
        write_table = failing(pq.ParquetWriter.write_table)

    with (
        mock.patch.object(directory, "_write", failing(directory._write)),
        mock.patch.object(pq, "ParquetWriter", OnFullDisk),
    ):
        yield


#: Root may write anywhere but for these; whoever else runs the tests has neither.
_WITHOUT = "-dac_override,-dac_read_search"
_AS_OTHERS = [] if os.geteuid() else ["setpriv", "--bounding-set", _WITHOUT, "--inh-caps", _WITHOUT]

_INGEST = """
import sys
import redemption_analytics as ra
try:
    ra.Warehouse(sys.argv[1]).ingest(sys.argv[2])
except ra.WriteError as error:
    print(error)
"""


@pytest.mark.skipif(atomic_directory.fcntl is None, reason="permissions need POSIX")
def test_a_directory_without_permission_is_told_and_stays_whole(tmp_path: Path) -> None:
    paths = write_exports(tmp_path / "exports", 2)
    warehouse = ra.Warehouse(tmp_path / "warehouse")
    warehouse.ingest(paths[0])
    before = files_below(tmp_path)
    folders = [path for path in (tmp_path / "warehouse").rglob("*") if path.is_dir()]
    for folder in folders:
        folder.chmod(0o500)
    done = subprocess.run(
        [*_AS_OTHERS, sys.executable, "-c", _INGEST, tmp_path / "warehouse", paths[1]],
        capture_output=True,
        text=True,
        check=False,
    )
    for folder in folders:
        folder.chmod(0o700)
    assert "cannot be written: Permission denied" in done.stdout, done.stderr
    assert files_below(tmp_path) == before
    assert_same(warehouse.open(), ra.load(paths[0]))
    assert warehouse.ingest(paths[1]).version == 2


def test_a_file_in_the_way_is_told_and_stays(tmp_path: Path) -> None:
    paths = write_exports(tmp_path / "exports", 1)
    (tmp_path / "file").write_text("mine")
    for place in (tmp_path / "file", tmp_path / "file" / "below"):
        with pytest.raises((ra.WriteError, ra.SourceError), match=str(tmp_path / "file")):
            ra.Warehouse(place).ingest(paths)
    assert (tmp_path / "file").read_text() == "mine"


# What somebody else damaged.


def damage(path: Path, how: str) -> None:
    if how == "gone":
        path.unlink()
    elif how == "cut":
        path.write_bytes(path.read_bytes()[:-20])
    else:
        path.write_bytes(b"damaged")


@pytest.mark.parametrize("how", ["gone", "cut", "replaced"])
def test_a_data_file_that_is_damaged_is_told_whatever_is_asked(how: str, tmp_path: Path) -> None:
    paths = write_exports(tmp_path / "exports", 2)
    warehouse = ra.Warehouse(tmp_path / "warehouse")
    for path in paths:
        warehouse.ingest(path)
    entry = warehouse._log.read(2)
    for file in entry.tables["points"]:
        damage(tmp_path / "warehouse" / file.path, how)
    other = tmp_path / "2026-02-01.json"
    other.write_text(json.dumps(answer(new("shared", points_redeemed=1), user_id="1")))
    calls = [
        lambda: warehouse.open().points,
        lambda: warehouse.open("pyarrow").points,
        lambda: warehouse.open("duckdb").points,
        lambda: warehouse.diff(1, 2),
        lambda: warehouse.ingest(other),
    ]
    for call in calls:
        with pytest.raises(ra.SourceError, match=r"points.*(vacuumed|is damaged|cannot be read)"):
            call()
    assert list(warehouse.history()["version"]) == [1, 2]


@pytest.mark.parametrize("how", ["gone", "cut", "replaced"])
@pytest.mark.parametrize("name", ["responses.arrow", "links-points.arrow", "exports.parquet"])
def test_a_file_of_the_stage_that_is_damaged_is_told(how: str, name: str, tmp_path: Path) -> None:
    paths = write_exports(tmp_path / "exports", 2)
    warehouse = ra.Warehouse(tmp_path / "warehouse")
    warehouse.ingest(paths[0])
    (stage,) = (tmp_path / "warehouse" / "data" / "stage").iterdir()
    damage(stage / name, how)
    with pytest.raises(ra.SourceError, match=rf"{name}.*(vacuumed|is damaged)"):
        warehouse.ingest(paths[1])
    # What stands needs no stage.
    assert len(warehouse.open().points) == 3
