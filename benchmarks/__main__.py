"""Measure loading and converting on a generated export, each run in a process of its own.

The contenders take turns, round after round, so that a slow spell of the machine meets all of them;
medians are printed.
"""

from __future__ import annotations

import argparse
import shutil
import statistics
import tempfile
from datetime import datetime
from pathlib import Path

from benchmarks.contenders import CONTENDERS
from benchmarks.measuring import measured
from redemption_analytics.sample import Organisation, write_export

_BYTES_PER_CUSTOMER = 8_640
_AS_OF = datetime(2026, 11, 20, 3)


def generate(directory: Path, megabytes: int) -> Path:
    """Write an export of about so many megabytes: JSON Lines, edition of December 2025."""
    path = directory / "2026-11-20.jsonl"
    customers = megabytes * 1_000_000 // _BYTES_PER_CUSTOMER
    return write_export(path, Organisation(customers, 1).answers("2025-12", as_of=_AS_OF))


def main() -> None:
    """Generate an export, run every contender so many rounds, and print the medians."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks", description=__doc__)
    parser.add_argument("--megabytes", type=int, default=190, help="size of the export")
    parser.add_argument("--rounds", type=int, default=5, help="runs of each contender")
    options = parser.parse_args()
    directory = Path(tempfile.mkdtemp())
    try:
        source = generate(directory, options.megabytes)
        size = source.stat().st_size / 1e6
        runs: dict[str, list[tuple[float, float]]] = {name: [] for name in CONTENDERS}
        for number in range(options.rounds):
            for name, job in CONTENDERS.items():
                runs[name].append(measured(job, source))
                seconds, peak = runs[name][-1]
                print(f"round {number + 1}  {name:<12} {seconds:7.2f} s  {peak:7.0f} MB")
    finally:
        shutil.rmtree(directory)
    print(f"\n{size:.0f} MB, medians of {options.rounds}")
    print(f"{'':<12} {'seconds':>9} {'MB/s':>7} {'peak MB':>9}")
    for name, results in runs.items():
        seconds = statistics.median(taken for taken, _ in results)
        peak = statistics.median(used for _, used in results)
        print(f"{name:<12} {seconds:9.2f} {size / seconds:7.0f} {peak:9.0f}")


if __name__ == "__main__":
    main()
