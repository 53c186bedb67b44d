"""Ingests in processes that are killed at random moments, in a process itself.

Arguments: a directory, how many are killed, and a seed. Prints as JSON how many left the version
before and the version after, and what was wrong with others. All work is done in forks: what forks
must have no threads.
"""

from __future__ import annotations

import hashlib
import json
import os
import random
import shutil
import signal
import sys
import time
import traceback
from collections.abc import Callable
from pathlib import Path

from answers import answer, new, reversal
from warehouses import named, rows_of, stored

import redemption_analytics as ra
from redemption_analytics.loading import load  # noqa: F401  else each fork would import it
from redemption_analytics.warehouse import warehouse  # noqa: F401

#: How many of the exports the warehouse knows to which others are added.
KNOWN = 3


def write_exports(folder: Path) -> list[Path]:
    folder.mkdir()
    paths = []
    for day in range(1, 7):
        path = folder / f"2026-01-0{day}.jsonl"
        times = [f"{2010 + number}-0{day}-01 00:00:00" for number in range(8)]
        answers = [
            answer(
                new(f"{number}", redeemed_time=time, reversals=[reversal(10 * day + number)]),
                new(f"{day}-{number}", redeemed_time=time),
                mobile=f"44{number}",
            )
            for number, time in enumerate(times)
        ]
        path.write_text("\n".join(map(json.dumps, answers)))
        paths.append(path)
    return paths


def told(r: ra.Redemptions) -> str:
    """Sum up all that a bundle tells."""
    frames = [*r.tables.items(), ("ledger", r.ledger), ("findings", r.findings)]
    rows = repr([(name, rows_of(frame)) for name, frame in frames])
    return hashlib.sha256(rows.encode()).hexdigest()


def forked(work: Callable[[], object]) -> int:
    process = os.fork()
    if process:
        return process
    try:
        work()
    except BaseException:
        traceback.print_exc()
        os._exit(1)
    os._exit(0)


def done(work: Callable[[], object]) -> bool:
    return os.waitpid(forked(work), 0)[1] == 0


def check(location: Path, known: int, paths: list[Path], report: Path) -> None:
    """Check what a killed ingest left, and what the next one makes of it."""
    found = ra.Warehouse(location)
    versions = list(found.history()["version"])
    before = [1] if known else []
    whole = told(ra.load(paths))
    if versions == before:
        report.write_text("before")
        assert not known or told(found.open()) == told(ra.load(paths[:known]))
    else:
        report.write_text("after")
        assert versions == [*before, len(before) + 1]
        assert told(found.open()) == whole
    found.ingest(paths)
    assert len(found.history()) == len(before) + 1
    assert told(found.open()) == whole
    found.vacuum(1, grace="0D")
    assert stored(found) == named(found)
    assert not [path for path in location.rglob(".*.part") if path.is_file()]
    assert told(found.open()) == whole


def main(directory: str, kills: str, seed: str) -> None:
    root = Path(directory)
    paths = write_exports(root / "exports")
    known = root / "known"
    assert done(lambda: ra.Warehouse(known).ingest(paths[:KNOWN]))
    shutil.copytree(known, root / "trial")
    start = time.monotonic()
    assert done(lambda: ra.Warehouse(root / "trial").ingest(paths))
    long = time.monotonic() - start
    moments = random.Random(seed)
    found = {"before": 0, "after": 0, "wrong": 0}
    for number in range(int(kills)):
        location, report = root / f"warehouse-{number}", root / f"report-{number}"
        if number % 2:
            shutil.copytree(known, location)
        process = forked(lambda location=location: ra.Warehouse(location).ingest(paths))  # type: ignore[misc]
        time.sleep(moments.uniform(0, 1.5 * long))
        os.kill(process, signal.SIGKILL)
        os.waitpid(process, 0)
        right = done(
            lambda location=location, report=report, number=number: check(  # type: ignore[misc]
                location, KNOWN if number % 2 else 0, paths, report
            )
        )
        found[report.read_text() if right else "wrong"] += 1
        if right:
            shutil.rmtree(location)
    print(json.dumps(found))  # noqa: T201


if __name__ == "__main__":
    main(*sys.argv[1:])
