"""Processes that parse give what threads give, hold no secret, and are gone in the end."""

from __future__ import annotations

import io
import json
import logging
import os
import pickle
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import datetime
from pathlib import Path
from queue import SimpleQueue
from tempfile import TemporaryDirectory
from typing import Any
from unittest import mock

import pytest
from answers import EXPORTS, answer, new
from hypothesis import given, settings
from hypothesis import strategies as st
from marked import Marks, write_marked
from pandas.testing import assert_frame_equal
from payloads import TIMES

import redemption_analytics as ra
from redemption_analytics.errors import RedemptionAnalyticsError
from redemption_analytics.loading import loading, processes, sharing, worker
from redemption_analytics.loading.parser import Parser
from redemption_analytics.loading.pipeline import Pipeline
from redemption_analytics.loading.units import Setting, Task
from redemption_analytics.privacy import KEY_VARIABLE, fingerprint, pseudonym
from redemption_analytics.sources import find

pytestmark = pytest.mark.slow

SAMPLES = Path(__file__).parents[2] / "data_samples"
KEY = "a key of more than sixteen bytes"

needs_proc = pytest.mark.skipif(not Path("/proc/self/task").exists(), reason="needs /proc")


@contextmanager
def pool(unit: int = sharing.UNIT_BYTES) -> Iterator[None]:
    """Let processes parse whatever they can, from two at once on."""
    with mock.patch.multiple(sharing, MOST_THREADS=1, WORTH_BYTES=0, UNIT_BYTES=unit):
        yield


class Within:
    """A process that is none: what goes to it and comes from it is pickled all the same."""

    def __init__(self) -> None:
        self._parser: Any = None
        self._answers: Iterator[Any] = iter(())

    def answer(self, message: Any) -> Any:
        self._answers = self._answers_to(pickle.loads(pickle.dumps(message)))
        return self.next()

    def next(self) -> Any:
        return pickle.loads(pickle.dumps(next(self._answers)))

    def _answers_to(self, message: Setting | Task) -> Iterator[Any]:
        if isinstance(message, Setting):
            hidden = pseudonym(message.options.pii)
            self._limit = message.options.limit
            self._parser = Parser.of(message.options, hidden)
            yield hidden and fingerprint(hidden)
        else:
            yield from worker._answers_to(message, self._parser, self._limit, SimpleQueue())

    def end(self) -> None:
        """There is nothing to end."""


def assert_same(one: ra.Redemptions, other: ra.Redemptions) -> None:
    for name, frame in other.tables.items():
        assert_frame_equal(one.tables[name], frame, obj=name)
    assert_frame_equal(one.ledger, other.ledger)
    assert_frame_equal(one.findings, other.findings)


def two_files(folder: Path, *second: Any) -> Path:
    for day, answers in enumerate(([answer(new("a"))], second or [answer(new("b"))]), 1):
        text = "\n".join(map(json.dumps, answers))
        (folder / f"2025-01-0{day}.jsonl").write_text(text)
    return folder


def mixed(*paths: Path) -> list[Any]:
    """Files beside what only this process can read."""
    stream = io.BytesIO(json.dumps(answer(new("xx"))).encode())
    stream.name = "2025-01-15.json"
    return [*paths, stream, answer(new("zz")), json.dumps(answer(new("yy"))).encode()]


@pytest.fixture(autouse=True)
def one_time(monkeypatch: pytest.MonkeyPatch) -> None:
    """What bears no date is as new each time."""
    monkeypatch.setattr(find, "_now", lambda: datetime(2026, 11, 21))


@pytest.fixture(scope="module")
def marked(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("processes") / "exports"
    write_marked(folder, Marks())
    return folder


def reading(caplog: pytest.LogCaptureFixture) -> list[str]:
    """What was logged, but that converting puts its tables in their place."""
    converting = "redemption_analytics.loading.convert"
    return sorted(one.getMessage() for one in caplog.records if one.name != converting)


def test_two_processes_give_what_threads_give_and_get_no_secret(
    marked: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
) -> None:
    monkeypatch.setenv(KEY_VARIABLE, KEY)
    caplog.set_level(logging.INFO)
    options: dict[str, Any] = {"pii": "pseudonymize", "threads": 2}
    by_threads = ra.load(mixed(SAMPLES, marked), **options)
    logged = reading(caplog)
    caplog.clear()
    sent: list[bytes] = []

    def write(message: object, to: Any) -> None:
        sent.append(pickle.dumps(message))
        to.write(sent[-1])

    with pool(64 << 10), mock.patch.object(processes, "write", write):
        ra.convert(mixed(SAMPLES, marked), tmp_path / "out", **options)
    assert_same(ra.open(tmp_path / "out"), by_threads)
    assert logged
    assert reading(caplog) == logged
    assert len(sent) > 20
    assert {type(pickle.loads(message)) for message in sent} == {Setting, Task}
    assert all(KEY.encode() not in message for message in sent)


def test_files_of_every_shape_give_the_same_beside_what_only_this_process_reads(
    marked: Path,
) -> None:
    source = [marked, *SAMPLES.glob("*.json"), *SAMPLES.glob("*.xml")]
    by_threads = ra.load(mixed(*source), points="decimal")
    with pool(), mock.patch.object(processes, "_Process", Within):
        assert_same(ra.load(mixed(*source), threads=2, points="decimal"), by_threads)


@given(EXPORTS, st.sampled_from([1, 200, 1 << 20]), st.sampled_from([2, 3]), st.booleans())
@settings(max_examples=5 * TIMES, deadline=None)
def test_however_units_are_cut_the_tables_are_the_same(
    several: list[Any], unit: int, workers: int, scratch: bool
) -> None:
    with TemporaryDirectory() as folder:
        exports = Path(folder) / "exports"
        exports.mkdir()
        for day, answers in enumerate([*several, [answer(new("x"))], [{"no": "answer"}]], 1):
            text = "\n".join(map(json.dumps, answers))
            (exports / f"2025-01-0{day}.jsonl").write_text(text + "\n{" * (day % 2))
        whole = ra.load(exports)
        with pool(unit), mock.patch.object(processes, "_Process", Within):
            if scratch:
                ra.convert(exports, Path(folder) / "out", threads=workers)
                found = ra.open(Path(folder) / "out")
            else:
                found = ra.load(exports, threads=workers)
        assert_same(found, whole)


def test_a_process_that_is_killed_is_a_clear_error_and_leaves_nothing(tmp_path: Path) -> None:
    ask = processes._Process.answer

    def killed(process: Any, message: object) -> Any:
        if isinstance(message, Task):
            process._process.send_signal(signal.SIGKILL)
        return ask(process, message)

    source = two_files(tmp_path)
    with (
        pool(1),
        mock.patch.object(processes._Process, "answer", killed),
        pytest.raises(RedemptionAnalyticsError, match=r"signal 9 \(Killed\).*memory.*threads=4"),
    ):
        ra.convert(source, tmp_path / "to" / "out", threads=2)
    assert not list(tmp_path.glob("to/*"))


def test_what_ends_a_load_ends_its_processes(tmp_path: Path) -> None:
    bad = new("b", points_redeemed="ten")
    source = two_files(tmp_path, answer(bad))
    with pytest.raises(ra.RejectedError) as by_threads:
        ra.load(source, on_error="raise")
    started: list[Any] = []
    start = processes._Process.__init__

    def noted(process: Any) -> None:
        start(process)
        started.append(process._process)

    with pool(1), mock.patch.object(processes._Process, "__init__", noted):
        with pytest.raises(ra.RejectedError) as by_processes:
            ra.convert(source, tmp_path / "to" / "out", threads=2, on_error="raise")
        with (
            mock.patch.object(Pipeline, "_take", side_effect=KeyboardInterrupt),
            pytest.raises(KeyboardInterrupt),
        ):
            ra.convert(source, tmp_path / "to" / "out", threads=2)
    assert str(by_processes.value) == str(by_threads.value)
    assert len(started) >= 2
    assert all(process.returncode is not None for process in started)
    assert not list(tmp_path.glob("to/*"))


@pytest.mark.parametrize(
    ("error", "said"),
    [
        (MemoryError(), "ran out of memory: with threads=4"),
        (ra.SourceError("no good"), "^no good$"),
        (ValueError(lambda: "no pickle"), "failed: ValueError"),
    ],
)
def test_an_error_in_a_process_is_one_of_the_library(
    error: Exception, said: str, tmp_path: Path
) -> None:
    source = two_files(tmp_path)
    with (
        pool(),
        mock.patch.object(processes, "_Process", Within),
        mock.patch.object(worker, "parts_of", side_effect=error),
        pytest.raises(RedemptionAnalyticsError, match=said),
    ):
        ra.load(source, threads=2)


def test_a_key_that_is_another_in_a_process_is_an_error(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(KEY_VARIABLE, KEY)

    class Later(Within):
        def __init__(self) -> None:
            super().__init__()
            monkeypatch.setenv(KEY_VARIABLE, KEY[::-1])

    with (
        pool(),
        mock.patch.object(processes, "_Process", Later),
        pytest.raises(RedemptionAnalyticsError, match="key of the pseudonyms"),
    ):
        ra.load(two_files(tmp_path), threads=2, pii="pseudonymize")


_SCRIPT = """
import sys
from redemption_analytics.loading import pipeline, sharing
import redemption_analytics as ra
print("once", flush=True)
sharing.MOST_THREADS, sharing.WORTH_BYTES, sharing.UNIT_BYTES = 1, 0, 1
{more}
ra.convert(sys.argv[1], sys.argv[2], threads=2, overwrite=True)
print("done", flush=True)
"""


def started(tmp_path: Path, more: str = "") -> subprocess.Popen[str]:
    """Start a script that has no ``if __name__ == "__main__"``."""
    script = tmp_path / "script.py"
    script.write_text(_SCRIPT.format(more=more))
    source = tmp_path / "exports"
    source.mkdir()
    two_files(source)
    return subprocess.Popen(
        [sys.executable, script, source, tmp_path / "to" / "out"],
        stdout=subprocess.PIPE,
        text=True,
        env=os.environ | {"PYTHONPATH": str(Path(ra.__file__).parents[1])},
    )


def test_a_script_without_a_guard_runs_once(tmp_path: Path) -> None:
    out, _ = started(tmp_path).communicate(timeout=60)
    assert out.split() == ["once", "done"]
    assert len(ra.open(tmp_path / "to" / "out").points) == 2


@needs_proc
def test_processes_end_when_the_one_that_started_them_is_killed(tmp_path: Path) -> None:
    waits = """
def wait(*_):
    import os, time
    children = open(f"/proc/self/task/{os.getpid()}/children").read().split()
    for task in os.listdir("/proc/self/task"):
        children += open(f"/proc/self/task/{task}/children").read().split()
    print(*set(children), flush=True)
    time.sleep(60)
pipeline.Pipeline._take = wait
"""
    process = started(tmp_path, waits)
    assert process.stdout is not None
    with process.stdout as out:
        assert out.readline() == "once\n"
        children = [Path("/proc", pid) for pid in out.readline().split()]
        assert children
        assert all(child.exists() for child in children)
        process.kill()
        process.wait()
        end = time.monotonic() + 20
        while any(map(_runs, children)) and time.monotonic() < end:
            time.sleep(0.02)
        assert not any(map(_runs, children))


def _runs(process: Path) -> bool:
    """Check that a process is there, and not only waited for."""
    try:
        return "State:\tZ" not in (process / "status").read_text()
    except OSError:
        return False


@pytest.mark.parametrize(
    ("options", "worth", "used"),
    [
        ({"threads": 5}, 0, True),
        ({"threads": 4}, 0, False),
        ({"threads": 5}, sharing.WORTH_BYTES, False),
        ({"threads": 5, "pii": "drop"}, 0, False),
    ],
    ids=["past four", "up to four", "little to read", "a random key"],
)
def test_processes_parse_past_four_threads_where_they_are_of_use(
    options: Any, worth: int, used: bool, tmp_path: Path
) -> None:
    for day in range(1, 7):
        (tmp_path / f"2025-01-0{day}.json").write_text(json.dumps(answer(new(f"k{day}"))))
    with (
        mock.patch.object(sharing, "WORTH_BYTES", worth),
        mock.patch.object(processes, "_Process", side_effect=Within) as started,
    ):
        assert len(ra.load(tmp_path, **options).points) == 6
    assert started.called == used


def test_progress_moves_unit_by_unit_up_to_all_bytes(tmp_path: Path) -> None:
    told: list[int] = []

    @contextmanager
    def bar(size: int, _: bool | None) -> Iterator[Any]:
        told.append(-size)
        yield told.append

    source = two_files(tmp_path)
    with (
        pool(1),
        mock.patch.object(processes, "_Process", Within),
        mock.patch.object(loading, "progress_bar", bar),
    ):
        ra.load(source, threads=2)
    assert len(told) == 3
    assert sum(told) == 0


def test_a_file_that_the_others_would_wait_for_is_parsed_by_threads(tmp_path: Path) -> None:
    many = [answer(new(f"k{number}")) for number in range(2_000)]
    source = two_files(tmp_path, *many)
    taken: list[list[str]] = []

    class Noted(Within):
        def answer(self, message: Any) -> Any:
            if isinstance(message, Task):
                taken.append([Path(export.name).name for export in message.exports])
            return super().answer(message)

    with pool(), mock.patch.object(processes, "_Process", Noted):
        assert len(ra.load(source, threads=2).points) == 2_001
    assert taken == [["2025-01-01.jsonl"]]


@pytest.mark.parametrize(
    ("threads", "cores", "elsewhere", "here"),
    [(None, 1, 2, 2), (None, 3, 3, 3), (None, 8, 8, 4), (None, 64, 8, 4), (32, 2, 32, 32)],
)
def test_as_many_are_at_work_as_there_are_cores(
    threads: int | None, cores: int, elsewhere: int, here: int, tmp_path: Path
) -> None:
    paths = [tmp_path / f"2025-01-{day:02}.json" for day in range(1, 32)]
    paths += [tmp_path / f"2025-03-{day:02}.json" for day in range(1, 32)]
    for path in paths:
        path.write_text(json.dumps(answer(new(path.stem))))
    exports = find.find_exports(tmp_path)
    with mock.patch.object(sharing, "_cores", return_value=cores):
        assert sharing.shares(exports, threads, "keep") == ([sharing.Share(exports)], here)
        with mock.patch.object(sharing, "WORTH_BYTES", 0):
            shared, workers = sharing.shares(exports, threads, "keep")
    assert workers == elsewhere
    assert any(share.elsewhere for share in shared) == (workers > sharing.MOST_THREADS)
    assert [export for share in shared for export in share.exports] == exports
