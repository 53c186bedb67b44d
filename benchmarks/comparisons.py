"""The four comparisons: peers, growth, shapes, and imports. Each gives a table."""

from __future__ import annotations

import os
import platform
import statistics
import subprocess
import sys
import time
from collections.abc import Sequence
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path

from benchmarks.contenders import CONTENDERS
from benchmarks.data import (
    SHAPES,
    beginning,
    clean_export,
    files_of,
    shaped,
    unpacked_megabytes,
)
from benchmarks.rounds import Series, run_rounds
from benchmarks.tables import Table
from benchmarks.work import Totals, differences

_BASELINE = "convert"
_DISAGREES = "DISAGREES"
_MEASURED = ("seconds", "MB/s", "x time", "cpu s", "x cpu", "peak MB", "x peak")
_IMPORTS = {
    "python, nothing imported": "pass",
    "import pandas, pyarrow": "import pandas, pyarrow",
    "import redemption_analytics": "import redemption_analytics",
    "from redemption_analytics import load, convert": (
        "from redemption_analytics import load, convert"
    ),
}


@dataclass(frozen=True)
class Plan:
    """How to measure.

    Attributes
    ----------
    directory
        Where the data is kept.
    rounds
        How often each is run.
    budget
        Seconds after which one is not run again.
    """

    directory: Path
    rounds: int
    budget: float


def machine() -> str:
    """Describe what it is measured on."""
    there = (one.needs[0] for one in CONTENDERS.values() if not one.missing)
    packages = dict.fromkeys((*there, "pyarrow"))
    versions = ", ".join(f"{package} {version(package)}" for package in packages)
    load = f", load {os.getloadavg()[0]:.1f} before" if hasattr(os, "getloadavg") else ""
    system = f"{platform.system()} {platform.machine()}"
    return f"{_cores()} cores{load}, {system}, Python {platform.python_version()}; {versions}"


def _cores() -> int:
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


def compare_peers(plan: Plan, contenders: Sequence[str], megabytes: float) -> Table:
    """Run this library, its peers and the floor on the same export, and hold the results together.

    Parameters
    ----------
    plan
        How to measure.
    contenders
        Which ones. Those that are not installed are named in a note.
    megabytes
        The size of the export.

    Returns
    -------
    Table
        Its notes say who disagrees with the library, see :func:`disagree`.
    """
    export = clean_export(plan.directory, megabytes)
    size = export.stat().st_size / 1e6
    there = [name for name in contenders if not CONTENDERS[name].missing]
    series = [Series(name, name, export, size) for name in there]
    run_rounds(series, plan.rounds, plan.budget)
    base = next((one for one in series if one.contender == _BASELINE and one.runs), None)
    table = Table(
        f"{size:.0f} MB of JSON Lines to four tables",
        ("<", *_MEASURED, "runs", "<what it does"),
    )
    for one in series:
        if one.runs:
            does = CONTENDERS[one.contender].does
            table.rows.append((one.label, *_measured(one, base), str(len(one.runs)), does))
    told = f"x is against {_BASELINE}; cpu is on all cores and in all processes."
    table.notes = [*_medians(plan, series, told), *_agreement(series), *_left_out(contenders)]
    return table


def compare_growth(
    plan: Plan, contenders: Sequence[str], megabytes: float, factors: Sequence[int]
) -> Table:
    """Run contenders on exports that grow: time should grow as they do, and memory should not."""
    largest = clean_export(plan.directory, megabytes * max(factors))
    sources = {
        factor: largest
        if factor == max(factors)
        else beginning(plan.directory, largest, megabytes * factor)
        for factor in sorted(factors)
    }
    series = [
        Series(f"{name} {factor}x", name, source, source.stat().st_size / 1e6)
        for name in contenders
        for factor, source in sources.items()
        if not CONTENDERS[name].missing
    ]
    run_rounds(series, plan.rounds, plan.budget)
    table = Table("Growth", ("<", "MB", *_MEASURED, "runs"))
    for one in series:
        if one.runs:
            first = next(s for s in series if s.contender == one.contender)
            size = _short(one.megabytes)
            table.rows.append((one.label, size, *_measured(one, first), str(len(one.runs))))
    told = "x is against the smallest."
    table.notes = [*_medians(plan, series, told), *_left_out(contenders)]
    return table


def compare_shapes(plan: Plan, names: Sequence[str], megabytes: float) -> Table:
    """Convert the same content in other shapes, and compare with one clean file."""
    export = clean_export(plan.directory, megabytes)
    clean = Series("one clean file", _BASELINE, export, export.stat().st_size / 1e6)
    series, same = [clean], [clean]
    for name in names:
        source = shaped(plan.directory, export, name)
        title = SHAPES[name].title.format(files=len(files_of(source)))
        series.append(Series(title, _BASELINE, source, unpacked_megabytes(source, export)))
        if SHAPES[name].same:
            same.append(series[-1])
    run_rounds(series, plan.rounds, plan.budget)
    table = Table(
        f"Shapes, with {_BASELINE}",
        ("<", "MB", "seconds", "MB/s", "share of clean", "cpu s", "peak MB", "points rows", "runs"),
    )
    for one in series:
        if one.runs:
            share = f"{one.rate / clean.rate:.2f}" if clean.runs else ""
            rows = f"{one.runs[0].totals['points: rows']:,}"
            seconds, rate, _, cpu, _, peak, _ = _measured(one, None)
            numbers = (_short(one.megabytes), seconds, rate, share, cpu, peak, rows)
            table.rows.append((one.label, *numbers, str(len(one.runs))))
    told = "MB is what there is to parse, unpacked; share of clean is of its MB/s."
    table.notes = [*_medians(plan, series, told), *_agreement(same)]
    return table


def compare_imports(rounds: int) -> Table:
    """Time imports in fresh interpreters."""
    taken: dict[str, list[float]] = {label: [] for label in _IMPORTS}
    for _ in range(rounds):
        for label, statement in _IMPORTS.items():
            start = time.perf_counter()
            subprocess.run([sys.executable, "-c", statement], check=True)
            taken[label].append(time.perf_counter() - start)
    medians = {label: statistics.median(seconds) for label, seconds in taken.items()}
    base = medians["import pandas, pyarrow"]
    table = Table("Imports", ("<", "seconds", "x pandas, pyarrow"))
    for label, seconds in medians.items():
        table.rows.append((label, f"{seconds:.2f}", f"{seconds / base:.2f}"))
    table.notes = [f"Medians of {rounds}, start of the interpreter included."]
    return table


def disagree(tables: Sequence[Table]) -> bool:
    """Tell whether somebody failed, or made other tables than the library."""
    return any(note.startswith((_DISAGREES, "FAILED")) for t in tables for note in t.notes)


def _measured(one: Series, base: Series | None) -> tuple[str, ...]:
    """Write the cells of `_MEASURED`."""
    cells = [f"{one.seconds:.2f}", _short(one.rate), _ratio(one, base, "seconds")]
    cells += [f"{one.cpu:.2f}", _ratio(one, base, "cpu")]
    return (*cells, f"{one.peak:.0f}", _ratio(one, base, "peak"))


def _ratio(one: Series, base: Series | None, what: str) -> str:
    below = getattr(base, what) if base and base.runs else 0
    return f"{getattr(one, what) / below:.2f}" if below else ""


def _short(number: float) -> str:
    return f"{number:,.0f}" if number >= 10 else f"{number:.1f}"


def _medians(plan: Plan, series: Sequence[Series], told: str) -> list[str]:
    """Say how the numbers came about, and who has none."""
    if any(len(one.runs) < plan.rounds for one in series if one.runs):
        told += f" Fewer runs where {plan.budget:g} s were spent."
    failed = [f"FAILED: {one.label}: {one.failure}" for one in series if one.failure]
    return [f"Medians; {told}", *failed]


def _left_out(names: Sequence[str]) -> list[str]:
    missing = ((name, CONTENDERS[name].missing) for name in names)
    return [f"Left out: {name}, since {why}." for name, why in missing if why]


def _agreement(series: Sequence[Series]) -> list[str]:
    """Hold the totals of every run against those of the first."""
    known = [(one.label, run.totals) for one in series for run in one.runs if run.totals]
    if not known:
        return []
    first, mine = known[0]
    notes = dict.fromkeys(
        f"{_DISAGREES} with {first}: {label}: {'; '.join(different)}"
        for label, theirs in known[1:]
        if (different := differences(mine, theirs))
    )
    if notes:
        return list(notes)
    labels = list(dict.fromkeys(label for label, _ in known))
    if len(labels) == 1:
        return []
    return [f"{', '.join(labels)} agree on {len(mine)} numbers: {_told(mine)}."]


def _told(found: Totals) -> str:
    return (
        f"{found['points: rows']:,} redemptions of {found['points: sum of points_redeemed']:,} "
        f"points, {found['reversals: rows']:,} reversals of "
        f"{found['reversals: sum of points_reversed']:,}, {found['coupons: rows']:,} coupons, "
        f"{found['program_breakups: rows']:,} program breakups"
    )
