"""Forgettings in processes that are killed at random moments, in a process itself.

Arguments: a directory, how many are killed, and a seed. Prints as JSON how many left the version
before and the version after, and what was wrong with others. All work is done in forks: what forks
must have no threads. Every other warehouse is published, where Delta is.
"""

from __future__ import annotations

import importlib.util
import json
import os
import random
import re
import shutil
import signal
import sys
import time
from pathlib import Path

import pytest
from answers import answer, new, reversal
from killed_ingests import done, forked, told
from warehouses import contents, named, stored, write

import redemption_analytics as ra
from redemption_analytics.warehouse import (  # noqa: F401  else each fork would import it
    opening,
    warehouse,
)

MOBILE, EMAIL, MARK = "447700900123", "ada@example.com", "Zq-"

PUBLISHED = importlib.util.find_spec("deltalake") is not None


def write_exports(folder: Path) -> list[Path]:
    """Write exports that tell of one person beside others, whose redemptions they share."""
    folder.mkdir()
    paths = []
    for day in range(1, 6):
        mine = answer(
            new(f"own-{day}", redeemed_time=f"{2010 + day}-01-01 00:00:00", notes=f"{MARK}note"),
            new("shared", reversals=[reversal(day)]),
            {**new(f"odd-{day}"), "points_redeemed": f"{MARK}odd"},
            mobile=MOBILE if day % 2 else None,
            email=EMAIL,
        )
        others = [
            answer(
                new(f"{day}-{number}", redeemed_time=f"{2010 + number}-0{day}-01 00:00:00"),
                new(f"{number}", notes=f"asked for {MOBILE}" if number == day else None),
                mobile=f"4488{number:08}",
            )
            for number in range(6)
        ]
        again = answer(new("shared", points_redeemed=80), mobile="448800000000")
        name = f"{MOBILE}-2026-01-03" if day == 3 else f"2026-01-0{day}"
        paths.append(write(folder, name, *others, again, mine))
    return paths


def held(r: ra.Redemptions) -> str:
    """Sum up all that a bundle tells; what a file is renamed to is drawn anew each time."""
    source = re.compile("forgotten-[0-9a-f]{8}")
    tables = {
        name: frame.map(lambda cell: source.sub("~", cell) if isinstance(cell, str) else cell)
        for name, frame in r.tables.items()
    }
    return told(ra.Redemptions(**tables, ledger=r.ledger, findings=r.findings, cases=r.cases))


def forget(location: Path) -> None:
    ra.Warehouse(location).forget(mobile=MOBILE)


def prepare(location: Path, paths: list[Path]) -> None:
    found = ra.Warehouse(location)
    for path in paths:
        found.ingest(path)
    assert MARK.encode() in contents(found)


def check(location: Path, before: str, after: str, report: Path) -> None:
    """Check what a killed forgetting left, and what the next one makes of it."""
    found = ra.Warehouse(location)
    versions = list(found.history()["version"])
    first = versions == [1, 2, 3, 4, 5]
    report.write_text("before" if first else "after")
    assert first or versions == [1, 2, 3, 4, 5, 6]
    assert held(found.open()) == (before if first else after)
    assert held(found.open(version=5)) == before
    if first:
        assert found.forget(email=EMAIL).version == 6
    else:
        with pytest.raises(ra.UsageError, match="holds nobody"):
            found.forget(email=EMAIL)
    assert list(found.history()["version"]) == [1, 2, 3, 4, 5, 6]
    assert held(found.open()) == after
    if (location / "data" / "points" / "_delta_log").exists():
        import deltalake
        import pyarrow as pa

        points = deltalake.DeltaTable(str(location / "data" / "points"))
        assert points.version() == 6
        keys = pa.table(points.to_pyarrow_table())["redemption_key"].to_pylist()
        assert sorted(keys) == sorted(found.open().points["redemption_key"])
    found.vacuum(1, grace="0D")
    assert not [path for path in location.rglob(".*.part") if path.is_file()]
    assert not [mark for mark in (MOBILE, EMAIL, MARK) if mark.encode() in contents(found)]
    assert stored(found) - named(found) == {n for n in stored(found) if "/_delta_log/" in n}
    assert held(found.open()) == after


def main(directory: str, kills: str, seed: str) -> None:
    root = Path(directory)
    # What a killed one has in hand lies there.
    (root / "temporary").mkdir()
    os.environ["TMPDIR"] = str(root / "temporary")
    paths = write_exports(root / "exports")
    known = {published: root / f"known-{published}" for published in (False, PUBLISHED)}
    assert done(lambda: prepare(known[False], paths))
    if PUBLISHED:
        shutil.copytree(known[False], known[True])
        assert done(lambda: ra.Warehouse(known[True]).publish())
    long = {}
    for published, place in known.items():
        trial = root / f"trial-{published}"
        shutil.copytree(place, trial)
        start = time.monotonic()
        assert done(lambda trial=trial: forget(trial))  # type: ignore[misc]
        long[published] = time.monotonic() - start
    sums = {"before": known[False], "after": root / "trial-False"}
    for when, place in sums.items():
        summed = root / when
        assert done(
            lambda place=place, summed=summed: summed.write_text(  # type: ignore[misc]
                held(ra.Warehouse(place).open())
            )
        )
    before, after = ((root / when).read_text() for when in sums)
    assert before != after
    moments = random.Random(seed)
    found = {"before": 0, "after": 0, "wrong": 0}
    for number in range(int(kills)):
        location, report = root / f"warehouse-{number}", root / f"report-{number}"
        published = PUBLISHED and number % 2 == 1
        shutil.copytree(known[published], location)
        process = forked(lambda location=location: forget(location))  # type: ignore[misc]
        time.sleep(moments.uniform(0, 1.5 * long[published]))
        os.kill(process, signal.SIGKILL)
        os.waitpid(process, 0)
        right = done(
            lambda location=location, report=report: check(  # type: ignore[misc]
                location, before, after, report
            )
        )
        found[report.read_text() if right else "wrong"] += 1
        if right:
            shutil.rmtree(location)
    print(json.dumps(found))  # noqa: T201


if __name__ == "__main__":
    main(*sys.argv[1:])
