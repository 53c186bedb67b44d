"""Measure this library beside what else would do its main job, and print the tables.

The data is generated. Every run is in a fresh process; contenders take turns, round after round, so
that a slow spell of the machine meets all of them; medians are printed. Peers come with
pip install "redemption-analytics[bench]", and those that are not installed are left out.
"""

from __future__ import annotations

import argparse
import sys
import tempfile
from contextlib import ExitStack
from pathlib import Path

from benchmarks.comparisons import (
    Plan,
    compare_growth,
    compare_imports,
    compare_peers,
    compare_shapes,
    disagree,
    machine,
)
from benchmarks.contenders import CONTENDERS
from benchmarks.data import SHAPES
from benchmarks.tables import markdown, text

_TABLES = ("peers", "growth", "shapes", "imports")


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
    add("--megabytes", type=float, default=190, help="size of the export (190)")
    add("--rounds", type=int, default=5, help="runs of each (5)")
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
        "--growth-megabytes",
        type=float,
        metavar="MEGABYTES",
        help="the smallest export of the table of growth (as --megabytes)",
    )
    add(
        "--growth-factors",
        type=int,
        nargs="+",
        default=[1, 4, 16],
        metavar="FACTOR",
        help="how many times that (1 4 16)",
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
        default=list(SHAPES),
        metavar="NAME",
        help=f"what is in the table of shapes, of {', '.join(SHAPES)} (all)",
    )
    add("--markdown", action="store_true", help="print Markdown")
    add(
        "--directory",
        type=Path,
        help="keep the data here, and take what is there already (a temporary directory, removed)",
    )
    return parser.parse_args(arguments)


def main(arguments: list[str] | None = None) -> int:
    """Measure, print, and give the exit status: 1 if somebody failed or disagrees."""
    options = _options(arguments)
    print_as = markdown if options.markdown else text
    with ExitStack() as stack:
        directory = options.directory or Path(stack.enter_context(tempfile.TemporaryDirectory()))
        plan = Plan(directory, options.rounds, options.budget)
        print(machine(), flush=True)
        tables = []
        for name in options.tables:
            if name == "peers":
                table = compare_peers(plan, options.contenders, options.megabytes)
            elif name == "growth":
                base = options.growth_megabytes or options.megabytes
                table = compare_growth(
                    plan, options.growth_contenders, base, options.growth_factors
                )
            elif name == "shapes":
                table = compare_shapes(plan, options.shapes, options.megabytes)
            else:
                table = compare_imports(options.rounds)
            tables.append(table)
            print(f"\n{print_as(table)}", flush=True)
    return int(disagree(tables))


if __name__ == "__main__":
    sys.exit(main())
