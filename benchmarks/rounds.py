"""Runs in alternating rounds, so that a slow spell of the machine meets all contenders."""

from __future__ import annotations

import statistics
import sys
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

from benchmarks.contention import Contention
from benchmarks.measuring import ContenderError, Run, measured


@dataclass
class Series:
    """The runs of one contender on one source.

    Attributes
    ----------
    label
        What it is called in the table.
    contender
        Which one runs.
    source
        What it reads.
    megabytes
        How much that is, unpacked.
    runs
        What was measured.
    failure
        Why it failed, if it did. It is not run again then.
    """

    label: str
    contender: str
    source: Path
    megabytes: float
    runs: list[Run] = field(default_factory=list)
    failure: str = ""

    @property
    def seconds(self) -> float:
        """The median."""
        return statistics.median(run.seconds for run in self.runs)

    @property
    def spread(self) -> str:
        """The least and the most."""
        taken = [run.seconds for run in self.runs]
        return f"{min(taken):.2f}-{max(taken):.2f}"

    @property
    def cpu(self) -> float:
        """The median of processor time."""
        return statistics.median(run.cpu for run in self.runs)

    @property
    def peak(self) -> float:
        """The median, in megabytes."""
        return statistics.median(run.peak for run in self.runs)

    @property
    def rate(self) -> float:
        """Megabytes in a second."""
        return self.megabytes / self.seconds


def run_rounds(
    series: Sequence[Series], rounds: int, budget: float, contention: Contention
) -> None:
    """Run each series once in each round, every other round in reverse order.

    Parameters
    ----------
    series
        What to run; gets the results.
    rounds
        How often.
    budget
        Seconds: a series that has taken so long already is not run again.
    contention
        Looks at the machine before each run.
    """
    for number in range(1, rounds + 1):
        for one in series if number % 2 else reversed(series):
            spent = sum(run.seconds for run in one.runs)
            if one.failure or (one.runs and spent >= budget):
                continue
            contention.look()
            try:
                run = measured(one.contender, one.source)
            except ContenderError as error:
                one.failure = str(error)
                _tell(f"round {number}  {error}")
                continue
            one.runs.append(run)
            _tell(f"round {number}  {one.label:<28} {run.seconds:8.2f} s {run.peak:7.0f} MB")


def _tell(text: str) -> None:
    print(text, file=sys.stderr, flush=True)
