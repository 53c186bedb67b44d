"""Measure this library beside what else would do its main job, and print the tables.

The data is generated, of two organisations: the library's own sample, and a foreign one, so that
nothing is tuned to one. Every run is a whole process, from its start to its end; contenders take
turns, round after round, so that a slow spell of the machine meets all of them; medians are
printed, what else the machine did meanwhile, and at last the goals beside what was measured. Peers
come with pip install "redemption-analytics[bench]", and those that are not installed are left out.
"""

from __future__ import annotations

import argparse
import sys
import tempfile
from collections import defaultdict
from contextlib import ExitStack
from pathlib import Path

from benchmarks.comparisons import (
    Comparison,
    Plan,
    compare_growth,
    compare_peers,
    compare_shapes,
    compare_start,
    disagree,
)
from benchmarks.contenders import CONTENDERS
from benchmarks.contention import Contention, machine
from benchmarks.data import DATA, Data
from benchmarks.goals import compare_with_goals
from benchmarks.shapes import SHAPES
from benchmarks.tables import markdown, text

_TABLES = ("peers", "shapes", "start", "growth")


def _options(arguments: list[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m benchmarks", description=__doc__)
    add = parser.add_argument
    add(
        "--tables",
        nargs="+",
        choices=_TABLES,
        default=_TABLES,
        metavar="NAME",
        help=f"what to print, of {', '.join(_TABLES)} (all)",
    )
    add("--data", choices=(*DATA, "both"), default="both", help="whose exports (both)")
    add(
        "--quick",
        action="store_true",
        help="see that all of it runs: 1 MB, one round, growth to twice that",
    )
    add("--megabytes", type=float, help="size of the export (500)")
    add("--rounds", type=int, help="runs of each (5)")
    add(
        "--budget",
        type=float,
        default=120,
        metavar="SECONDS",
        help="one that has run for so long is not run again, so that the slow take fewer (120)",
    )
    add(
        "--contenders",
        nargs="+",
        choices=CONTENDERS,
        default=list(CONTENDERS),
        metavar="NAME",
        help=f"who takes part in the table of peers, of {', '.join(CONTENDERS)} (all)",
    )
    add(
        "--growth-factors",
        type=int,
        nargs="+",
        metavar="FACTOR",
        help="how many times --megabytes the exports of the table of growth are (1 4); 1 4 16 goes "
        "to 8 GB, and takes some 19 GB of disk for each organisation",
    )
    add(
        "--growth-contenders",
        nargs="+",
        choices=CONTENDERS,
        default=["convert"],
        metavar="NAME",
        help="who takes part in it (convert)",
    )
    add(
        "--shapes",
        nargs="+",
        choices=SHAPES,
        default=[name for name in SHAPES if name != "in-one"],
        metavar="NAME",
        help=f"what is in the table of shapes, of {', '.join(SHAPES)} (all)",
    )
    add("--markdown", action="store_true", help="print Markdown")
    add(
        "--directory",
        type=Path,
        help="keep the data here, and take what is there already (a temporary directory, removed)",
    )
    options = parser.parse_args(arguments)
    quick = options.quick
    options.megabytes = options.megabytes or (1 if quick else 500)
    options.rounds = options.rounds or (1 if quick else 5)
    options.growth_factors = options.growth_factors or ([1, 2] if quick else [1, 4])
    return options


def main(arguments: list[str] | None = None) -> int:
    """Measure, print, and give the exit status: 1 if somebody failed or disagrees."""
    options = _options(arguments)
    print_as = markdown if options.markdown else text
    with ExitStack() as stack:
        directory = options.directory or Path(stack.enter_context(tempfile.TemporaryDirectory()))
        print(machine(), flush=True)
        plan = Plan(directory, options.rounds, options.budget, Contention())
        tables = []
        numbers: dict[str, dict[str, float]] = defaultdict(dict)
        names = list(DATA) if options.data == "both" else [options.data]
        for name in options.tables:
            for data in names:
                found = _compare(name, plan, DATA[data], options)
                tables.append(found.table)
                numbers[data] |= found.numbers
                print(f"\n{print_as(found.table)}", flush=True)
        goals = compare_with_goals(numbers)
        goals.notes.append(plan.contention.told_of_all())
        print(f"\n{print_as(goals)}", flush=True)
    return int(disagree(tables))


def _compare(name: str, plan: Plan, data: Data, options: argparse.Namespace) -> Comparison:
    size = options.megabytes
    if name == "peers":
        return compare_peers(plan, data, options.contenders, size)
    if name == "shapes":
        return compare_shapes(plan, data, options.shapes, size)
    if name == "start":
        return compare_start(plan, data, size)
    return compare_growth(plan, data, options.growth_contenders, size, options.growth_factors)


if __name__ == "__main__":
    sys.exit(main())
