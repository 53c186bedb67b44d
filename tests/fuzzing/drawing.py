"""Drawing cases at length, for as long as there is time."""

from __future__ import annotations

import itertools
import time
import traceback
from collections import Counter
from collections.abc import Sequence
from pathlib import Path

from hypothesis import HealthCheck, given, settings
from hypothesis import seed as seeded
from hypothesis import strategies as st

from fuzzing.invariants import Case, check
from fuzzing.targets import TARGETS


def drawn(seconds: int, seed: int, save: Path, targets: Sequence[str]) -> bool:
    """Draw cases of targets in turns until the time is over; tell whether any broke something."""
    end, found = time.monotonic() + seconds, 0
    counts: Counter[str] = Counter()
    for number, name in enumerate(itertools.cycle(targets), seed):
        run = _Run(save, end)
        try:
            run.draw(TARGETS[name], number)
        except _Over:
            break
        except Exception:
            found += 1
            traceback.print_exc()
            run.save(f"{name.replace(' ', '-')}-{number}")
            print(f"found by --target {name!r} --seed {number}", flush=True)
        finally:
            counts[name] += run.cases
    print(*(f"{name}: {count} cases" for name, count in counts.items()), f"{found} found", sep="\n")
    return found > 0


class _Over(BaseException):
    """The time is over."""


class _Run:
    """Some cases of one target; once one was found it is made small, whatever the time."""

    def __init__(self, folder: Path, end: float):
        self.cases = 0
        self._folder = folder
        self._end = end
        self._broken: Case | None = None

    def draw(self, target: st.SearchStrategy[Case], number: int) -> None:
        quiet = settings(
            max_examples=50,
            deadline=None,
            database=None,
            suppress_health_check=list(HealthCheck),
            report_multiple_bugs=False,
        )

        @seeded(number)
        @quiet
        @given(target)
        def fuzz(case: Case) -> None:
            self._check(case)

        fuzz()

    def _check(self, case: Case) -> None:
        if time.monotonic() > self._end and self._broken is None:
            raise _Over
        self.cases += 1
        # Arrow may die of it, and this process too.
        case.save(self._folder / "last")
        try:
            check(case)
        except Exception:
            self._broken = case
            raise

    def save(self, name: str) -> None:
        if self._broken is not None:
            self._broken.save(self._folder / name)
