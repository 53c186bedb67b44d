"""A load on two executors of Spark, one of which is killed in each of its steps.

    python tests/killed_executors.py EXPORTS FOLDER

prints the steps in which one was killed, and how the tables are not as those of ``load``: by none.
"""

from __future__ import annotations

import os
import signal
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from unittest import mock

from sparks import spark_session

import redemption_analytics as ra
from redemption_analytics.spark import deciding, jobs, linked, loading
from redemption_analytics.tables.frames import as_arrow


@dataclass(frozen=True)
class Killing:
    """Does a job; the first that is done, or begins to tell, takes its executor along."""

    job: Any
    mark: str

    def __call__(self, given: Any) -> Any:
        told = self.job(given)
        if isinstance(told, Iterator):
            return self._told(told)
        self._kill()
        return told

    def _told(self, told: Iterator[Any]) -> Iterator[Any]:
        for one in told:
            yield one
            self._kill()
        # What has nothing to tell was not tried.

    def _kill(self) -> None:
        try:
            os.close(os.open(self.mark, os.O_CREAT | os.O_EXCL))
        except FileExistsError:
            return
        process = os.getpid()
        while b"CoarseGrainedExecutorBackend" not in Path(f"/proc/{process}/cmdline").read_bytes():
            process = int(Path(f"/proc/{process}/stat").read_text().rpartition(")")[2].split()[1])
        os.kill(process, signal.SIGKILL)


def main(exports: str, folder: Path) -> None:
    """Load, with an executor killed in each step, on the driver's decisions and on executors'."""
    marks = folder / "marks"
    marks.mkdir(parents=True)

    def killing(job: Any) -> Killing:
        return Killing(job, str(marks / f"{steps}-{type(job).__name__}"))

    def on_executors(session: Any, job: Any, numbers: list[int]) -> Any:
        return real_job(session, killing(job), numbers)

    def together(rows: Any, count: int, column: str, job: Any, *gives: str) -> Any:
        return real_together(rows, count, column, killing(job), *gives)

    real_job, real_together, take_links = (
        jobs.on_executors,
        deciding._together,
        linked.TakeLinks,
    )
    settings = {
        "spark.speculation": "true",
        "spark.executorEnv.PYTHONPATH": os.pathsep.join([str(Path(__file__).parent), *sys.path]),
    }
    expected = ra.load(exports)
    with (
        spark_session(folder, master="local-cluster[2,1,1024]", more=settings) as session,
        mock.patch.object(loading, "UNIT_BYTES", 200_000),
        mock.patch.object(deciding, "SHARD_ANSWERS", 300),
        mock.patch.object(loading, "on_executors", on_executors),
        mock.patch("redemption_analytics.spark.staged_tables.on_executors", on_executors),
        mock.patch.object(deciding, "_together", together),
        mock.patch.object(linked, "TakeLinks", lambda folder: killing(take_links(folder))),
    ):
        for steps, most in (("driver", loading.DECIDED_HERE_ROWS), ("executors", -1)):
            with mock.patch.object(loading, "DECIDED_HERE_ROWS", most):
                found = ra.spark.load(session, exports, staging=folder / steps)
            for name in (*expected.tables, "ledger", "findings", "cases"):
                rows = (
                    sorted(map(repr, as_arrow(getattr(r, name)).to_pylist()))
                    for r in (expected, found)
                )
                if next(rows) != next(rows):
                    sys.stdout.write(f"decided on {steps}: {name} differs\n")
    sys.stdout.writelines(f"{path.name}\n" for path in sorted(marks.iterdir()))


if __name__ == "__main__":
    main(sys.argv[1], Path(sys.argv[2]))
