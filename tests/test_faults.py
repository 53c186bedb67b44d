"""Faults while writing: a directory holds the old output or the new, whole, and no litter stays."""

from __future__ import annotations

import errno
import hashlib
import json
import os
import random
import re
import shutil
import stat
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any
from unittest import mock

import pytest
from requirements_of_ci import needed

import redemption_analytics as ra
from redemption_analytics import atomic_directory
from redemption_analytics.cli import UNUSABLE
from redemption_analytics.sample import write_sample

#: How often convert and report are killed; more take a while.
KILLS = int(os.environ.get("REDEMPTION_ANALYTICS_KILLS", "2"))

SAMPLES = Path(__file__).parent.parent / "data_samples"
SMALL = SAMPLES / "2020-breakups.json"
LARGE = SAMPLES / "organisation" / "2026-11-20.jsonl.gz"

_COMMAND = """
import sys
from redemption_analytics import cli, reports
from redemption_analytics.loading import convert, pipeline
if "--no-page" in sys.argv:  # as reports_of_one_table does
    from redemption_analytics.metrics import net_points
    from redemption_analytics.reports import writing
    writing.contents = lambda r, known, about, as_of: {{
        "net_points": lambda: net_points(known, about.grain)
    }}
print("ready", flush=True)
{before}
cli.app(sys.argv[1:])
"""

pytestmark = [
    pytest.mark.skipif(atomic_directory.fcntl is None, reason="locks of runs need fcntl"),
    pytest.mark.usefixtures("reports_of_one_table"),
]


def started(*arguments: object, before: str = "") -> subprocess.Popen[str]:
    """Start a command; it is about to do its work."""
    code = _COMMAND.format(before=before)
    process = subprocess.Popen(
        [sys.executable, "-c", code, *map(str, arguments)],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    assert process.stdout
    assert process.stdout.readline() == "ready\n"
    return process


def ended(process: subprocess.Popen[str]) -> tuple[int, str]:
    _, err = process.communicate(timeout=120)
    return process.returncode, err


def written(directory: Path) -> str:
    """Sum up all that a directory holds; of none, nothing."""
    total = hashlib.sha256()
    for path in sorted(directory.rglob("*")):
        total.update(f"\0{path.relative_to(directory)}\0".encode())
        total.update(path.read_bytes() if path.is_file() else b"")
    return total.hexdigest() if directory.exists() else ""


def beside(target: Path) -> list[str]:
    return sorted(path.name for path in target.parent.iterdir() if path != target)


def convert(target: Path) -> Any:
    return ra.convert(SMALL, target, overwrite=True)


def report(target: Path) -> Any:
    return ra.write_reports(ra.load(SMALL), target, page=False)


WRITERS: dict[str, tuple[Callable[[Path], Any], tuple[str, ...]]] = {
    "convert": (convert, ("--overwrite",)),
    # Writing the page takes longest, and is one file more.
    "report": (report, ("--page" if KILLS > 10 else "--no-page",)),
}


@pytest.fixture(
    params=[
        "convert",
        *(pytest.param(name, marks=pytest.mark.slow) for name in WRITERS if name != "convert"),
    ]
)
def command(request: pytest.FixtureRequest) -> str:
    return str(request.param)


def test_a_run_that_is_killed_leaves_the_old_output_or_the_new(
    command: str, tmp_path: Path
) -> None:
    target = tmp_path / "out" / "target"
    write, options = WRITERS[command]
    start = time.monotonic()
    assert ended(started(command, LARGE, target, *options))[0] == 0
    long = time.monotonic() - start
    new = written(target)
    write(target)
    old = written(target)
    torn, litter, found = 0, 0, {"old": 0, "new": 0, "hidden": 0}
    moments = random.Random(command)
    for _ in range(KILLS):
        process = started(command, LARGE, target, *options)
        time.sleep(moments.uniform(0, long))
        process.kill()
        ended(process)
        there = written(target)
        torn += there not in (old, new)
        found["old"] += there == old
        found["new"] += there == new
        found["hidden"] += bool(beside(target))
        write(target)
        litter += bool(beside(target)) or written(target) != old
    print(command, {"kills": KILLS, "torn": torn, "litter": litter, **found})  # noqa: T201
    assert (torn, litter) == (0, 0)


@pytest.mark.parametrize("exchange", ["at once", "in two steps"])
def test_a_run_may_die_before_any_of_its_steps(exchange: str, tmp_path: Path) -> None:
    script = Path(__file__).parent / "dying.py"
    done = subprocess.run(
        [sys.executable, script, tmp_path, exchange], capture_output=True, text=True, check=True
    )
    found = json.loads(done.stdout)
    assert found.pop("died") > 30
    assert found == {"torn": 0, "litter": 0}


def test_what_was_set_aside_is_put_back_before_anything_is_refused(tmp_path: Path) -> None:
    """Else a run without overwrite would take an empty place for a free one."""
    target = tmp_path / "target"
    convert(target)
    before = written(target)
    work = tmp_path / ".target.redemption_analytics"
    work.mkdir()
    target.rename(work / "old")
    target.mkdir()
    with pytest.raises(ra.UsageError, match="exists already"):
        ra.convert(SMALL, target)
    assert written(target) == before
    assert beside(target) == []


def test_a_full_disk_is_told_and_leaves_what_was_there(command: str, tmp_path: Path) -> None:
    target = tmp_path / "target"
    WRITERS[command][0](target)
    before = written(target)
    limit = "import resource; resource.setrlimit(resource.RLIMIT_FSIZE, (1_000, 1_000))"
    code, err = ended(
        started(command, LARGE, target, *WRITERS[command][1], "--no-progress", before=limit)
    )
    assert code == UNUSABLE
    assert err.startswith(f"redemption-analytics: {target} cannot be written: ")
    assert err.endswith("make room there, or name a directory on another disk\n")
    assert err.count("\n") == 1
    assert (written(target), beside(target)) == (before, [])


#: Runs a command where a disk is small, or cannot be written to; tells what came of it.
_ON_A_DISK = """
import pathlib, subprocess, sys
disk, state, small, large, target, *command = sys.argv[1:]
subprocess.run(["mount", "-t", "tmpfs", "-o", "size=200k", "none", disk], check=True)
subprocess.run([*command, small, target], check=True, capture_output=True)
before = sorted(pathlib.Path(disk).rglob("*"))
if state == "read-only":
    subprocess.run(["mount", "-o", "remount,ro", disk], check=True)
done = subprocess.run([*command, large, target], capture_output=True, text=True)
print(done.stderr, done.returncode, sorted(pathlib.Path(disk).rglob("*")) == before)
"""


@pytest.fixture(scope="module")
def mounting() -> list[str]:
    """A command before others lets them mount what only they see."""
    alone = ["unshare", "--user", "--map-root-user", "--mount"]
    tried = shutil.which("unshare") and subprocess.run(
        [*alone, "mount", "-t", "tmpfs", "none", "/mnt"], capture_output=True, check=False
    )
    mounts = bool(tried) and not tried.returncode
    needed("unshare", mounts, "mounting needs unshare, and that it is allowed")
    return alone


@pytest.mark.parametrize(
    ("state", "said"),
    [("full", "No space left on device"), ("read-only", "Read-only file system")],
)
def test_a_disk_that_cannot_be_written_to_is_told(
    state: str, said: str, mounting: list[str], tmp_path: Path
) -> None:
    target = tmp_path / "target"
    command = [sys.executable, "-m", "redemption_analytics", "convert", "--overwrite"]
    done = subprocess.run(
        [
            *mounting,
            sys.executable,
            "-c",
            _ON_A_DISK,
            tmp_path,
            state,
            SMALL,
            LARGE,
            target,
            *command,
        ],
        capture_output=True,
        text=True,
        check=True,
    )
    assert f"{target} cannot be written: {said}" in done.stdout
    assert done.stdout.endswith(f" {UNUSABLE} True\n")


#: Root may write anywhere but for these; whoever else runs the tests has neither.
_WITHOUT = "-dac_override,-dac_read_search"
_AS_OTHERS = [] if os.geteuid() else ["setpriv", "--bounding-set", _WITHOUT, "--inh-caps", _WITHOUT]


def test_a_directory_without_permission_is_told(command: str, tmp_path: Path) -> None:
    tmp_path.chmod(0o500)
    package = [sys.executable, "-m", "redemption_analytics"]
    line = [*_AS_OTHERS, *package, command, SMALL, tmp_path / "target", *WRITERS[command][1]]
    done = subprocess.run(line, capture_output=True, text=True)
    tmp_path.chmod(0o700)
    said = " ".join(done.stderr.split())
    assert done.returncode == UNUSABLE
    assert re.search(r"Permission denied.*whose parent directory may", said)
    assert list(tmp_path.iterdir()) == []


def test_a_file_in_the_way_is_told_and_stays(command: str, tmp_path: Path) -> None:
    write, file = WRITERS[command][0], tmp_path / "file"
    file.write_text("mine")
    with pytest.raises(ra.UsageError, match="file is a file: name a new or an empty directory"):
        write(file)
    with pytest.raises(ra.WriteError, match="a file stands where a directory is needed: name"):
        write(file / "target")
    assert (file.read_text(), beside(file)) == ("mine", [])


def test_samples_have_errors_with_remedies_as_other_output_has(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("mine")
    with pytest.raises(ra.UsageError, match="file is a file: name a new or an empty directory"):
        write_sample(tmp_path / "file", customers=1, exports=1)
    for target, said in (
        (tmp_path / "file" / "x", "a file stands where a directory is needed: name another"),
        (tmp_path / ("x" * 300), "choose a shorter name"),
    ):
        with pytest.raises(ra.WriteError, match=said):
            write_sample(target, customers=1, exports=1)


@pytest.mark.skipif(not Path("/proc/self").exists(), reason="only Linux has /proc")
def test_where_no_directory_can_be_made_another_is_asked_for(command: str) -> None:
    with pytest.raises(ra.WriteError, match="no directory can be made there: name another"):
        WRITERS[command][0](Path("/proc/target"))


def test_directories_that_were_made_for_a_run_go_with_it(tmp_path: Path) -> None:
    with pytest.raises(ra.SourceError):
        ra.convert(tmp_path / "nothing.json", tmp_path / "a" / "b" / "target")
    assert list(tmp_path.iterdir()) == []
    convert(tmp_path / "a" / "b" / "target")
    assert beside(tmp_path / "a" / "b" / "target") == []


def test_of_two_runs_at_once_the_second_is_told_of_the_first(command: str, tmp_path: Path) -> None:
    target = tmp_path / "target"
    write, options = WRITERS[command]
    write(target)
    before = written(target)
    with atomic_directory.written_beside(target, lambda _: None) as fresh:
        if command == "convert":
            code, err = ended(started(command, SMALL, target, *options))
            assert code == UNUSABLE
            assert f"is being written by another run (process {os.getpid()} on " in err
        with pytest.raises(ra.WriteError, match=f"by another run .process {os.getpid()} on "):
            write(target)
        assert (written(target), fresh.is_dir()) == (before, True)
        write(tmp_path / "another")
    assert beside(target) == ["another"]


def test_other_directories_are_never_taken_for_a_dead_run(tmp_path: Path) -> None:
    work = tmp_path / ".target.redemption_analytics"
    work.mkdir()
    (work / "new").mkdir()
    (work / "mine.txt").write_text("mine")
    with pytest.raises(ra.WriteError, match=r"\.target\.redemption_analytics is in the way"):
        convert(tmp_path / "target")
    assert sorted(path.name for path in work.iterdir()) == ["mine.txt", "new"]
    linked = tmp_path / ".linked.redemption_analytics"
    (tmp_path / "elsewhere" / "new").mkdir(parents=True)
    linked.symlink_to(tmp_path / "elsewhere")
    with pytest.raises(ra.WriteError, match="is in the way"):
        convert(tmp_path / "linked")
    assert (tmp_path / "elsewhere" / "new").is_dir()


def test_siblings_that_are_not_of_this_target_stay(tmp_path: Path) -> None:
    for name in (".target-x1y2", ".target.redemption_analytics2", ".other.redemption_analytics"):
        (tmp_path / name / "new").mkdir(parents=True)
    before = sorted(tmp_path.rglob("*"))
    convert(tmp_path / "target")
    assert [path for path in before if not path.exists()] == []


@pytest.mark.parametrize("locks", ["none", "refused"])
def test_without_locks_what_a_dead_run_left_is_told_and_not_touched(
    locks: str, tmp_path: Path
) -> None:
    target, work = tmp_path / "target", tmp_path / ".target.redemption_analytics"
    no_locks = OSError(errno.ENOLCK, "No locks available")
    with (
        mock.patch.object(atomic_directory, "fcntl", None)
        if locks == "none"
        else mock.patch.object(atomic_directory.fcntl, "flock", side_effect=no_locks)
    ):
        convert(target)
        assert beside(target) == []
        (work / "new").mkdir(parents=True)
        with pytest.raises(ra.WriteError, match=r"was left by one that died: remove it when none"):
            convert(target)
        assert (work / "new").is_dir()
    convert(target)
    assert beside(target) == []


def test_a_link_stays_and_leads_to_what_is_new(tmp_path: Path) -> None:
    (tmp_path / "real").mkdir()
    (tmp_path / "link").symlink_to(tmp_path / "real")
    convert(tmp_path / "link")
    assert (tmp_path / "link").is_symlink()
    assert len(ra.open(tmp_path / "real").points) == 2


def test_who_may_read_a_directory_stays_as_it_was(tmp_path: Path) -> None:
    mask = os.umask(0o027)
    try:
        convert(tmp_path / "target")
        assert stat.S_IMODE((tmp_path / "target").stat().st_mode) == 0o750
        (tmp_path / "target").chmod(0o700)
        convert(tmp_path / "target")
        assert stat.S_IMODE((tmp_path / "target").stat().st_mode) == 0o700
    finally:
        os.umask(mask)


def test_a_mount_point_is_refused_before_the_work(tmp_path: Path) -> None:
    with (
        mock.patch.object(os.path, "ismount", return_value=True),
        pytest.raises(ra.UsageError, match="is a mount point, which has to stay"),
    ):
        convert(tmp_path / "target")


def test_the_root_is_refused_as_any_mount_point_is() -> None:
    with pytest.raises(ra.UsageError, match="/ is a mount point, which has to stay"):
        convert(Path("/"))


def test_links_that_lead_nowhere_are_refused_and_stay(tmp_path: Path) -> None:
    for one, other in (("a", "b"), ("b", "a")):
        (tmp_path / one).symlink_to(tmp_path / other)
    with pytest.raises(ra.UsageError, match="is a link that leads in a circle"):
        convert(tmp_path / "a")
    assert sorted(path.name for path in tmp_path.iterdir()) == ["a", "b"]
    assert (tmp_path / "a").is_symlink()


def test_a_name_that_is_too_long_is_told_with_its_remedy(tmp_path: Path) -> None:
    with pytest.raises(ra.WriteError, match=r"File name too long.*: choose a shorter name"):
        convert(tmp_path / ("x" * 240))
    assert list(tmp_path.iterdir()) == []


def test_what_fills_a_disk_is_swept_where_there_is_no_room_for_a_name(tmp_path: Path) -> None:
    """The name of a run in its lock is for others to read; it must not keep it from clearing up."""
    work = tmp_path / ".target.redemption_analytics"
    (work / "new").mkdir(parents=True)
    (work / "lock").touch()
    full = OSError(errno.ENOSPC, "No space left on device")
    with mock.patch.object(os, "write", side_effect=full):
        convert(tmp_path / "target")
    assert beside(tmp_path / "target") == []


@pytest.mark.parametrize("name", ["mine.txt", "points/mine.txt", "notes/mine.txt", "ledger/a/b"])
def test_what_people_put_into_converted_tables_is_never_deleted(name: str, tmp_path: Path) -> None:
    target = tmp_path / "target"
    convert(target)
    (target / name).parent.mkdir(exist_ok=True)
    (target / name).write_text("mine")
    with pytest.raises(ra.UsageError, match=r"is no part of what would be replaced: move it away"):
        convert(target)
    with pytest.raises(ra.UsageError, match="is no part of what"):
        ra.load(SMALL).to_parquet(target)
    assert (target / name).read_text() == "mine"


def test_a_folder_called_ledger_makes_no_converted_tables(tmp_path: Path) -> None:
    (tmp_path / "ledger").mkdir()
    (tmp_path / "ledger" / "2026.ods").write_text("mine")
    with pytest.raises(ra.UsageError, match="holds something else"):
        convert(tmp_path)


def test_a_target_that_somebody_fills_meanwhile_is_not_replaced(tmp_path: Path) -> None:
    target = tmp_path / "target"

    def source() -> Iterator[bytes]:
        yield SMALL.read_bytes()
        target.mkdir()
        (target / "mine.txt").write_text("mine")

    with pytest.raises(ra.UsageError, match="holds something else"):
        ra.convert(source(), target)
    assert ((target / "mine.txt").read_text(), beside(target)) == ("mine", [])


def test_errors_of_what_is_read_are_not_told_as_of_what_is_written(tmp_path: Path) -> None:
    def source() -> Iterator[bytes]:
        yield SMALL.read_bytes()
        raise PermissionError(errno.EACCES, "not this one")

    with pytest.raises(PermissionError, match="not this one") as raised:
        ra.convert(source(), tmp_path / "target")
    assert not isinstance(raised.value, ra.WriteError)
    assert list(tmp_path.iterdir()) == []


def test_a_write_error_is_an_error_of_the_system_too(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(OSError, match="cannot be written") as raised:
        convert(tmp_path / "file" / "target")
    assert isinstance(raised.value, ra.RedemptionAnalyticsError)
    assert raised.value.errno in (errno.ENOTDIR, errno.EEXIST)
