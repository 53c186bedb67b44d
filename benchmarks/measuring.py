"""One run of one contender, in a process of its own: its seconds, its peak memory, its totals."""

from __future__ import annotations

import functools
import json
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from resource import RUSAGE_CHILDREN, getrusage
from threading import Event, Thread

from benchmarks.work import Totals

_ROOT = Path(__file__).parent.parent
_PROC = Path("/proc")
_PAUSE = 0.05  # seconds between two looks at the memory of child processes


class ContenderError(Exception):
    """A contender failed."""


@dataclass(frozen=True)
class Process:
    """What a whole process took, from its start to its end.

    Attributes
    ----------
    seconds
        By the clock, start of the interpreter and imports included.
    cpu
        Seconds of processor time, of the user and of the system, on all cores, in the process and
        in all that it started. Where others use the machine too, it says more.
    family
        Where it started others, the peak resident memory of all of them together in bytes, looked
        at every 50 ms; pages that they share count for each. Else 0.
    output
        What it printed.
    """

    seconds: float
    cpu: float
    family: int
    output: str


@dataclass(frozen=True)
class Run:
    """What one run took, and what it made.

    Attributes
    ----------
    seconds, cpu
        Of the whole process, see :class:`Process`.
    peak
        Peak resident memory in MB (10**6 bytes), of the process with all that it started.
    totals
        What was found in its tables afterwards.
    """

    seconds: float
    cpu: float
    peak: float
    totals: Totals


def measured(name: str, source: Path) -> Run:
    """Run a contender in a fresh process, and then look at what it made in another.

    Parameters
    ----------
    name
        Of the contender.
    source
        What it reads. Its results are written beside that, and removed.

    Raises
    ------
    ContenderError
        If the process fails; with the last line that it wrote.
    """
    source = source.resolve()
    with tempfile.TemporaryDirectory(dir=source.parent.parent) as folder:
        target = str(Path(folder, "out"))
        process = timed(("-m", "benchmarks.running", name, str(source), target), name)
        own, tables = json.loads(process.output)
        if None in tables.values():
            found = _in_memory(name, source)
        elif tables:
            checked = timed(("-m", "benchmarks.work", json.dumps(tables)), f"check of {name}")
            found = json.loads(checked.output)
        else:
            found = {}
    return Run(process.seconds, process.cpu, max(own, process.family) / 1e6, found)


def timed(arguments: Sequence[str], name: str) -> Process:
    """Run the interpreter with arguments to its end.

    Parameters
    ----------
    arguments
        What follows ``python``.
    name
        What an error calls it.

    Raises
    ------
    ContenderError
        If it fails; with the last line that it wrote.
    """
    with tempfile.TemporaryFile("w+") as errors:
        used, start = _cpu_of_children(), time.perf_counter()
        process = subprocess.Popen(
            (sys.executable, *arguments),
            cwd=_ROOT,
            stdout=subprocess.PIPE,
            stderr=errors,
            text=True,
        )
        watch = _Watch(process.pid)
        output, _ = process.communicate()
        seconds, cpu = time.perf_counter() - start, _cpu_of_children() - used
        family = watch.end()
        if process.returncode:
            errors.seek(0)
            lines = errors.read().strip().splitlines() or [f"exit status {process.returncode}"]
            raise ContenderError(f"{name} failed: {lines[-1]}")
    return Process(seconds, cpu, family, output)


@functools.cache
def _in_memory(name: str, source: Path) -> Totals:
    """Run a contender that writes nothing once more, to look at its tables where they are."""
    with tempfile.TemporaryDirectory() as folder:
        arguments = ("-m", "benchmarks.running", name, str(source), f"{folder}/out", "--totals")
        found: Totals = json.loads(timed(arguments, name).output)
    return found


def _cpu_of_children() -> float:
    usage = getrusage(RUSAGE_CHILDREN)  # those that have ended, with all that they waited for
    return usage.ru_utime + usage.ru_stime


class _Watch:
    """Looks at the memory of a process and its children, until told to end."""

    def __init__(self, pid: int) -> None:
        self._pid, self._peak, self._over = pid, 0, Event()
        self._thread = Thread(target=self._look, daemon=True)
        self._thread.start()

    def _look(self) -> None:
        before: set[int] = set()
        while not self._over.wait(_PAUSE):
            found = set(_family(self._pid))
            # One that was just forked still has its parent's memory, and would count that twice.
            family, before = found & before, found
            if len(family) > 1:  # a single process tells its own peak, exactly
                self._peak = max(self._peak, sum(map(_resident, family)))

    def end(self) -> int:
        """Give the peak, in bytes: 0 if there were no children."""
        self._over.set()
        self._thread.join()
        return self._peak


def _family(pid: int) -> list[int]:
    found = [pid]
    for one in found:  # grows while it is walked
        try:
            threads = list((_PROC / str(one) / "task").iterdir())
            for thread in threads:
                found += map(int, (thread / "children").read_text().split())
        except OSError:  # it has ended meanwhile, or this system tells nothing
            continue
    return found


def _resident(pid: int) -> int:
    try:
        pages = int((_PROC / str(pid) / "statm").read_text().split()[1])
    except OSError:
        return 0
    return pages * os.sysconf("SC_PAGE_SIZE")
