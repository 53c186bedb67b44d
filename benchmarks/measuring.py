"""One run of one contender, in a process of its own: its seconds, its peak memory, its totals."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path
from threading import Event, Thread

from benchmarks.contenders import CONTENDERS
from benchmarks.work import Totals, totals

_ROOT = Path(__file__).parent.parent
_PROC = Path("/proc")
_PAUSE = 0.05  # seconds between two looks at the memory of child processes


class ContenderError(Exception):
    """A contender failed."""


@dataclass(frozen=True)
class Run:
    """What one run took, and what it made.

    Attributes
    ----------
    seconds
        From the open file to the last table; without imports.
    cpu
        Seconds of processor time in that, on all cores and in all processes. Where others use the
        machine too, it says more.
    peak
        Peak resident memory in MB (10**6 bytes). Where the contender starts processes, that of all
        of them together, looked at every 50 ms; pages that they share count for each.
    totals
        What was found in its tables afterwards.
    """

    seconds: float
    cpu: float
    peak: float
    totals: Totals


def measured(name: str, source: Path) -> Run:
    """Run a contender in a fresh process.

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
    with (
        tempfile.TemporaryDirectory(dir=source.parent.parent) as folder,
        tempfile.TemporaryFile("w+") as errors,
    ):
        command = [
            sys.executable,
            "-m",
            "benchmarks.measuring",
            name,
            str(source),
            folder,
        ]
        process = subprocess.Popen(
            command, cwd=_ROOT, stdout=subprocess.PIPE, stderr=errors, text=True
        )
        tree = _Watch(process.pid)
        with process:
            assert process.stdout
            taken = process.stdout.readline()
            family = tree.end()
            found = process.stdout.readline()
        if process.returncode:
            errors.seek(0)
            lines = errors.read().strip().splitlines() or [f"exit status {process.returncode}"]
            raise ContenderError(f"{name} failed: {lines[-1]}")
    seconds, cpu, peak = json.loads(taken)
    return Run(seconds, cpu, max(peak, family) / 1e6, json.loads(found))


class _Watch:
    """Looks at the memory of a process and its children, until told to end."""

    def __init__(self, pid: int) -> None:
        self._pid, self._peak, self._over = pid, 0, Event()
        self._thread = Thread(target=self._look, daemon=True)
        self._thread.start()

    def _look(self) -> None:
        while not self._over.wait(_PAUSE):
            family = _family(self._pid)
            if len(family) > 1:  # of a single process its own peak is exact
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


def _own_peak() -> int:
    """Peak resident memory of this process so far, in bytes."""
    try:
        # Not ru_maxrss, which may still hold the peak of the process that started this one.
        status = (_PROC / "self" / "status").read_text()
        return next(int(row.split()[1]) for row in status.splitlines() if "VmHWM" in row) * 1024
    except OSError:
        import resource

        peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
        return peak if sys.platform == "darwin" else peak * 1024


def _run(name: str, source: Path, folder: Path) -> None:
    """Be the fresh process: two lines of JSON, when the work is done and when it is checked."""
    results, sys.stdout = sys.stdout, sys.stderr  # what a contender prints is no result
    job = CONTENDERS[name].job()
    start, used = time.perf_counter(), sum(os.times()[:4])
    tables = job(source, folder / "out")
    seconds, cpu = time.perf_counter() - start, sum(os.times()[:4]) - used
    print(json.dumps((seconds, cpu, _own_peak())), file=results, flush=True)
    print(json.dumps(totals(tables)), file=results, flush=True)


if __name__ == "__main__":
    _run(sys.argv[1], Path(sys.argv[2]), Path(sys.argv[3]))
