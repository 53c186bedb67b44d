"""One run of one contender, in a process of its own."""

from __future__ import annotations

import resource
import tempfile
import time
from collections.abc import Callable
from concurrent.futures import ProcessPoolExecutor
from multiprocessing import get_context
from pathlib import Path

Job = Callable[[Path, Path], None]


def measured(job: Job, source: Path) -> tuple[float, float]:
    """Run a job in a fresh process; give its seconds and its peak memory in megabytes."""
    with (
        tempfile.TemporaryDirectory() as target,
        ProcessPoolExecutor(1, mp_context=get_context("spawn")) as pool,
    ):
        return pool.submit(_timed, job, source, Path(target) / "out").result()


def _timed(job: Job, source: Path, target: Path) -> tuple[float, float]:
    start = time.perf_counter()
    job(source, target)
    seconds = time.perf_counter() - start
    return seconds, resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
