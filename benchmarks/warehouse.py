"""What a warehouse costs: the first ingest, a night's, and one of nothing new, beside `convert`.

    python -m benchmarks.warehouse [--megabytes 500] [--rounds 3] [--directory DIRECTORY]

The foreign organisation's export goes into an empty warehouse. Of a hundredth of its customers
there is another export, one day later, with redemptions that are new, and some of the last months
that changed: it goes into a copy of that warehouse, and once more, when there is nothing new about
it. A rebuild is `convert` of both exports. Contenders take turns, each in a process of its own that
is measured as a whole.
"""

from __future__ import annotations

import argparse
import json
import os
import shutil
import statistics
import sys
import tempfile
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path
from typing import Any

import redemption_analytics as ra
from benchmarks.contention import Contention
from benchmarks.data import DATA, NEWEST, clean_export, made, save
from benchmarks.measuring import Run, timed
from benchmarks.running import own_peak
from benchmarks.tables import Table, text

_EACH = 100  # of so many customers one is asked for in a night
_NIGHT = NEWEST + timedelta(days=1)
_RECENT = "2026-08-01"  # what is older does not change any more

#: What is compared, by what is there before: nothing, the first export's warehouse, the night's.
CONTENDERS = {
    "convert": None,
    "first ingest": None,
    "a night": "first",
    "the same again": "night",
    "rebuild": None,
}


def exports_of(directory: Path, megabytes: float) -> tuple[Path, Path]:
    """Write the export and that of the night, where they are not there yet."""
    export = clean_export(directory, DATA["foreign"], megabytes)
    path = export.parents[1] / "night" / f"{_NIGHT:%Y-%m-%d}.jsonl"
    return export, made(path, lambda to: save(to, _lines(export)))


def _lines(export: Path) -> Iterator[bytes]:
    with export.open("rb") as lines:
        for number, line in enumerate(lines):
            if number % _EACH == 0:
                answer = json.loads(line)
                _changed(answer["response"]["customer"]["redemptions"], number)
                yield json.dumps(answer, ensure_ascii=False).encode() + b"\n"


def _changed(redemptions: dict[str, Any], number: int) -> None:
    """Let a customer have redeemed once more, and one of the last months be restated."""
    for kind, key in (("points", "redemption_id"), ("coupons", "id")):
        if kind in redemptions:
            items = redemptions[kind][kind[:-1]]
            new = items[-1] | {key: f"{10**15 + number}", "redeemed_time": f"{NEWEST}"}
            for item in items:
                if item["redeemed_time"] >= _RECENT:
                    item["bill_id"] = f"{10**12 + number}"
                    break
            items.append(new | {"reversals": []} if kind == "points" else new)


def one(contender: str, sources: list[Path], target: Path) -> None:
    """Do what a contender does."""
    if contender in ("convert", "rebuild"):
        ra.convert(sources, target)
    else:
        ra.Warehouse(target).ingest(sources)


def measured(contender: str, sources: list[Path], folder: Path) -> Run:
    """Run a contender in a process of its own, on a copy of the warehouse that it needs."""
    with tempfile.TemporaryDirectory(dir=folder) as place:
        target = Path(place, "out")
        before = CONTENDERS[contender]
        if before is not None:
            # No file of a warehouse is ever changed.
            shutil.copytree(folder / before, target, copy_function=os.link)
        arguments = ("-m", "benchmarks.warehouse", "--one", contender, str(target))
        process = timed((*arguments, *map(str, sources)), contender)
    peak = max(int(process.output), process.family) / 1e6
    return Run(process.seconds, process.cpu, peak, {})


def compare(directory: Path, megabytes: float, rounds: int) -> Table:
    """Measure, and return the table."""
    export, night = (path.resolve() for path in exports_of(directory, megabytes))
    contention = Contention()
    sources = {name: [night] for name in CONTENDERS}
    sources |= {"convert": [export], "first ingest": [export], "rebuild": [export, night]}
    runs: dict[str, list[Run]] = {name: [] for name in CONTENDERS}
    # What this version writes is measured: its warehouses are not kept.
    with tempfile.TemporaryDirectory(dir=directory.resolve()) as place:
        folder = Path(place)
        ra.Warehouse(folder / "first").ingest(export)
        shutil.copytree(folder / "first", folder / "night", copy_function=os.link)
        ra.Warehouse(folder / "night").ingest(night)
        for number in range(rounds):
            for name in CONTENDERS if number % 2 else reversed(CONTENDERS):
                contention.look()
                runs[name].append(measured(name, sources[name], folder))
                last = runs[name][-1]
                print(name, f"{last.cpu:.2f} CPU s {last.peak:.0f} MB", file=sys.stderr, flush=True)
    seconds, cpu, peak = (
        {name: statistics.median(getattr(run, of) for run in each) for name, each in runs.items()}
        for of in ("seconds", "cpu", "peak")
    )
    size, more = (path.stat().st_size / 1e6 for path in (export, night))
    table = Table(
        f"A warehouse: {size:.0f} MB, and {more:.1f} MB of a night; medians of {rounds}",
        ("<", "seconds", "CPU s", "of convert", "peak MB", "of convert"),
    )
    for name in CONTENDERS:
        shares = (f"{of[name] / of['convert']:.2f}" for of in (cpu, peak))
        cells = (f"{seconds[name]:.2f}", f"{cpu[name]:.2f}", next(shares), f"{peak[name]:.0f}")
        table.rows.append((name, *cells, next(shares)))
    share = cpu["a night"] / cpu["rebuild"]
    table.notes = [
        f"A night takes {share:.3f} of a rebuild's processor time.",
        contention.told_of_all(),
    ]
    return table


def main(arguments: list[str] | None = None) -> None:
    """Measure, and print the table; or be the process that is measured, and print its peak."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.warehouse", description=__doc__)
    parser.add_argument("--megabytes", type=float, default=500, help="size of the export (500)")
    parser.add_argument("--rounds", type=int, default=3, help="runs of each (3)")
    parser.add_argument("--directory", type=Path, help="where exports are made, and kept")
    parser.add_argument("--one", nargs="+", help=argparse.SUPPRESS)
    options = parser.parse_args(arguments)
    if options.one:
        contender, target, *sources = options.one
        one(contender, [Path(source) for source in sources], Path(target))
        print(own_peak())
        return
    with tempfile.TemporaryDirectory() as folder:
        directory = options.directory or Path(folder)
        directory.mkdir(parents=True, exist_ok=True)
        print(text(compare(directory, options.megabytes, options.rounds)))


if __name__ == "__main__":
    main()
