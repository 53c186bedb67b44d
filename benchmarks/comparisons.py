"""The four comparisons: peers, shapes, start, and growth. Each gives a table, and its numbers."""

from __future__ import annotations

import shutil
import statistics
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

from benchmarks.contenders import CONTENDERS
from benchmarks.contention import Contention
from benchmarks.data import Data, beginning, clean_export
from benchmarks.measuring import timed
from benchmarks.rounds import Series, run_rounds
from benchmarks.shapes import SHAPES, files_of, shaped, small_file, unpacked_megabytes
from benchmarks.tables import Table
from benchmarks.work import Totals, differences

_BASELINE = "convert"
_DISAGREES = "DISAGREES"
_MEASURED = ("seconds", "<spread", "MB/s", "x time", "cpu s", "x cpu", "peak MB", "x peak")
_PANDAS = "import pandas, pyarrow"
_SMALL = "convert of one small file"


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
    contention
        Looks at the machine before each run.
    """

    directory: Path
    rounds: int
    budget: float
    contention: Contention


@dataclass(frozen=True)
class Comparison:
    """What was found.

    Attributes
    ----------
    table
        To print.
    numbers
        For the goals, by their names.
    """

    table: Table
    numbers: dict[str, float] = field(default_factory=dict)


def compare_peers(
    plan: Plan, data: Data, contenders: Sequence[str], megabytes: float
) -> Comparison:
    """Run this library, its peers and the floor on the same export, and hold the results together.

    Parameters
    ----------
    plan
        How to measure.
    data
        Whose export.
    contenders
        Which ones. Those that are not installed are named in a note.
    megabytes
        The size of the export.

    Returns
    -------
    Comparison
        The table's notes say who disagrees with the library, see :func:`disagree`.
    """
    export = clean_export(plan.directory, data, megabytes)
    size = export.stat().st_size / 1e6
    there = [name for name in contenders if not CONTENDERS[name].missing]
    series = [Series(name, name, export, size) for name in there]
    run_rounds(series, plan.rounds, plan.budget, plan.contention)
    base = next((one for one in series if one.contender == _BASELINE and one.runs), None)
    table = Table(
        f"{size:.0f} MB of JSON Lines to four tables, {data.name} data",
        ("<", *_MEASURED, "runs", "<what it does"),
    )
    numbers: dict[str, float] = {}
    for one in series:
        if one.runs:
            does = CONTENDERS[one.contender].does
            table.rows.append((one.label, *_measured(one, base), str(len(one.runs)), does))
            if base:
                numbers[f"{one.label} seconds"] = one.seconds / base.seconds
                numbers[f"{one.label} cpu"] = one.cpu / base.cpu
                numbers[f"{one.label} rate"] = base.rate / one.rate
    told = f"x is against {_BASELINE}."
    table.notes = [*_medians(plan, series, told), *_agreement(series), *_left_out(contenders)]
    return Comparison(table, numbers)


def compare_shapes(plan: Plan, data: Data, names: Sequence[str], megabytes: float) -> Comparison:
    """Convert the same content in other shapes, and compare with one clean file."""
    export = clean_export(plan.directory, data, megabytes)
    clean = Series("one clean file", _BASELINE, export, export.stat().st_size / 1e6)
    beside = [SHAPES[name].beside for name in names]
    known: dict[str | None, Series] = {None: clean}
    for shape in dict.fromkeys((*filter(None, beside), *names)):
        source = shaped(data, export, shape)
        title = SHAPES[shape].title.format(files=len(files_of(source)))
        known[shape] = Series(title, _BASELINE, source, unpacked_megabytes(source, export))
    run_rounds(list(known.values()), plan.rounds, plan.budget, plan.contention)
    table = Table(
        f"Shapes, with {_BASELINE}, {data.name} data",
        (
            *("<", "MB", "seconds", "<spread", "MB/s", "share of clean", "x time", "cpu s"),
            *("peak MB", "points rows", "runs"),
        ),
    )
    told = "MB is what there is to parse, unpacked; share of clean is of its MB/s."
    table.notes = _medians(plan, list(known.values()), told)
    numbers: dict[str, float] = {}
    same = [clean]
    for name, one in known.items():
        base = known[SHAPES[name].beside] if name else clean
        if not one.runs or not base.runs:
            continue
        if name:
            numbers[name] = one.rate / base.rate
        rows = f"{one.runs[0].totals['points: rows']:,}"
        seconds, spread, rate, time, cpu, _, peak, _ = _measured(one, base)
        cells = (_short(one.megabytes), seconds, spread, rate, f"{one.rate / base.rate:.2f}", time)
        table.rows.append((one.label, *cells, cpu, peak, rows, str(len(one.runs))))
        if name and SHAPES[name].beside:
            table.notes.append(f"{one.label}: against {base.label}.")
            table.notes += _agreement([base, one])
        elif name and SHAPES[name].same:
            same.append(one)
    table.notes += _agreement(same)
    return Comparison(table, numbers)


def compare_start(plan: Plan, data: Data, megabytes: float) -> Comparison:
    """Time what starts and ends at once: imports, ``--help``, and one small file."""
    source = small_file(clean_export(plan.directory, data, megabytes))
    program = ("-m", "redemption_analytics")
    commands: dict[str, tuple[str, ...]] = {
        "python, nothing imported": ("-c", "pass"),
        _PANDAS: ("-c", _PANDAS),
        "import redemption_analytics": ("-c", "import redemption_analytics"),
        "from redemption_analytics import load, convert": (
            *("-c", "from redemption_analytics import load, convert"),
        ),
        "redemption-analytics --help": (*program, "--help"),
        _SMALL: (*program, "convert", str(source)),
    }
    taken: dict[str, list[tuple[float, float]]] = {label: [] for label in commands}
    for number in range(plan.rounds):
        labels = list(reversed(commands)) if number % 2 else list(commands)
        for label in labels:
            with tempfile.TemporaryDirectory() as folder:
                target = (f"{folder}/out",) if label == _SMALL else ()
                plan.contention.look()
                process = timed((*commands[label], *target), label)
            taken[label].append((process.seconds, process.cpu))
    table = Table(
        f"Start, {data.name} data", ("<", "seconds", "<spread", f"x {_PANDAS}", "cpu s", "x cpu")
    )
    medians = {
        label: tuple(map(statistics.median, zip(*runs, strict=True)))
        for label, runs in taken.items()
    }
    for label, (seconds, cpu) in medians.items():
        base, base_cpu = medians[_PANDAS]
        least, most = min(taken[label])[0], max(taken[label])[0]
        ratios = (f"{seconds / base:.2f}", f"{cpu:.2f}", f"{cpu / base_cpu:.2f}")
        table.rows.append((label, f"{seconds:.2f}", f"{least:.2f}-{most:.2f}", *ratios))
    size = source.stat().st_size / 1e3
    table.notes = [
        f"Medians of {plan.rounds} whole processes; the file holds one answer, {size:.0f} kB.",
        plan.contention.told(),
    ]
    return Comparison(table, {"small file": medians[_SMALL][0] / medians[_PANDAS][0]})


def compare_growth(
    plan: Plan, data: Data, contenders: Sequence[str], megabytes: float, factors: Sequence[int]
) -> Comparison:
    """Run contenders on exports that grow: time should grow as they do, and memory should not."""
    sizes = [megabytes * factor for factor in sorted(factors)]
    _need_room(plan.directory, sum(sizes) + sizes[-1])  # results are never larger than the export
    largest = clean_export(plan.directory, data, sizes[-1])
    sources = [beginning(plan.directory, data, largest, size) for size in sizes[:-1]]
    series = [
        Series(f"{name} {factor}x", name, source, source.stat().st_size / 1e6)
        for name in contenders
        for factor, source in zip(sorted(factors), [*sources, largest], strict=True)
        if not CONTENDERS[name].missing
    ]
    run_rounds(series, plan.rounds, plan.budget, plan.contention)
    table = Table(f"Growth, {data.name} data", ("<", "MB", *_MEASURED, "runs"))
    for one in series:
        if one.runs:
            smallest = next(s for s in series if s.contender == one.contender)
            size = _short(one.megabytes)
            table.rows.append((one.label, size, *_measured(one, smallest), str(len(one.runs))))
    disk = sum(source.stat().st_size for source in [*sources, largest]) / 1e9
    told = f"x is against the smallest. The exports took {disk:.1f} GB of disk."
    table.notes = [*_medians(plan, series, told), *_left_out(contenders)]
    ours = [one.peak for one in series if one.contender == _BASELINE and one.runs]
    if not ours:
        return Comparison(table)
    grown = {"growth": max(ours[1:]) / ours[0]} if len(ours) > 1 else {}
    return Comparison(table, {"peak": max(ours), **grown})


def disagree(tables: Sequence[Table]) -> bool:
    """Tell whether somebody failed, or made other tables than the library."""
    return any(note.startswith((_DISAGREES, "FAILED")) for t in tables for note in t.notes)


def _need_room(directory: Path, megabytes: float) -> None:
    directory.mkdir(parents=True, exist_ok=True)
    free = shutil.disk_usage(directory).free / 1e6
    if free < megabytes:
        raise SystemExit(
            f"Growth takes {megabytes / 1e3:.1f} GB of disk, and {directory} has {free / 1e3:.1f} "
            "free: take smaller factors (--growth-factors), or another --directory"
        )


def _measured(one: Series, base: Series | None) -> tuple[str, ...]:
    """Write the cells of `_MEASURED`."""
    cells = [f"{one.seconds:.2f}", one.spread, _short(one.rate), _ratio(one, base, "seconds")]
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
    return [f"Medians of whole processes; {told}", plan.contention.told(), *failed]


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
