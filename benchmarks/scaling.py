"""What more cores would give: the parts of a conversion that no other core can take over.

    python -m benchmarks.scaling [--megabytes 200] [--rounds 5] [--directory DIRECTORY]

Sources of the same answers are converted, by one thread that parses, by two, and by two processes
(one file is never handed to these), each in a Python of its own, in turns; the first table tells
the medians. Then comes what each part took of processor time: the main thread, which reads and cuts
files, or takes what processes parsed, and puts all together; the table that takes longest to
encode, for each is encoded in its order; parsing, and how much of it is outside of the native
reader, and so may hold Python's lock. Of processes it is what theirs took, without their start.

The last table projects these to more cores by what Amdahl's law takes for granted (G. Amdahl,
"Validity of the single processor approach", AFIPS 1967): a conversion takes no less than its
longest serial part, nor than all of it shared among the cores. For threads two bounds are told:
nothing holds the lock for long, or all outside of the native reader does. The start of processes is
added. Nothing was run on so many cores: memory, caches and the disk may keep it from that.
"""

from __future__ import annotations

import argparse
import gzip
import json
import statistics
import sys
import tempfile
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path
from resource import RUSAGE_CHILDREN, getrusage
from typing import Any
from unittest import mock

import redemption_analytics as ra
from benchmarks.contention import Contention
from benchmarks.data import DATA, clean_export, made
from benchmarks.measuring import timed
from benchmarks.tables import Table, text
from redemption_analytics.loading import sharing
from redemption_analytics.loading.parser import Parser
from redemption_analytics.merging.stores import _Growing
from redemption_analytics.parsing import Reader

#: How it is run: by threads or processes, and how many of them.
MODES = (("threads", 1), ("threads", 2), ("processes", 2))
_SMALL = Path(__file__).parents[1] / "data_samples" / "2020-breakups.json"
CORES = (2, 4, 8, 16)
Seconds = dict[str, float]


def sources(directory: Path, megabytes: float) -> dict[str, Path]:
    """Write the sources, where they are not there yet."""
    export = clean_export(directory, DATA["foreign"], megabytes)

    def parts(name: str, count: int | None, packed: bool = False) -> Path:
        def write(to: Path) -> None:
            to.mkdir()
            lines = export.read_bytes().splitlines(keepends=True)
            size = max(1, len(lines) // (count or len(lines)))
            for number, start in enumerate(range(0, len(lines), size)):
                data = b"".join(lines[start : start + size])
                path = to / f"2026-10-{number % 30 + 1:02}" / f"{number:06}.jsonl"
                path.parent.mkdir(exist_ok=True)
                if packed:
                    path = path.with_suffix(".jsonl.gz")
                    data = gzip.compress(data, 6)
                path.write_bytes(data)

        return made(export.parents[1] / name, write)

    return {
        "one file": export,
        "40 files": parts("files", 40),
        "40 files, .gz": parts("packed", 40, packed=True),
        "a file an answer": parts("small", None),
    }


def converted(source: Path, mode: str, count: int) -> Seconds:
    """Convert; return the seconds that it took, and those of its parts.

    Parameters
    ----------
    source
        What is converted.
    mode, count
        By what, and by how many of them.
    """
    with tempfile.TemporaryDirectory() as folder:
        ra.convert(_SMALL, Path(folder) / "out")  # imports what it needs
    spent: Counter[str] = Counter()
    before = _children()
    main = threading.current_thread()
    with ExitStack() as stack:
        stack.enter_context(
            mock.patch.multiple(
                sharing, MOST_THREADS=0 if mode == "processes" else 99, WORTH_BYTES=0
            )
        )

        def clocked(owner: Any, name: str, part: Callable[[Any], str]) -> None:
            work = getattr(owner, name)

            def clocked(*args: Any, **options: Any) -> Any:
                start = time.thread_time()
                try:
                    return work(*args, **options)
                finally:
                    if threading.current_thread() is not main:
                        spent[part(args[0])] += time.thread_time() - start

            stack.enter_context(mock.patch.object(owner, name, clocked))

        clocked(Parser, "parse", lambda _: "parse")
        clocked(_Growing, "write", lambda growing: f"encode {growing.path.parent.name}")
        read = Reader.__init__

        def opened(reader: Reader, *args: Any, **options: Any) -> None:
            read(reader, *args, **options)
            reader._library = _Clocked(reader._library, spent)  # type: ignore[assignment]

        stack.enter_context(mock.patch.object(Reader, "__init__", opened))
        folder = stack.enter_context(tempfile.TemporaryDirectory(dir=source.parents[1]))
        start, own, every = time.perf_counter(), time.thread_time(), time.process_time()
        ra.convert(source, Path(folder) / "out", threads=count)
        taken = time.perf_counter() - start
        main_took, all_took = time.thread_time() - own, time.process_time() - every
    return {
        "seconds": taken,
        "main": main_took,
        "encode": max(s for name, s in spent.items() if name.startswith("encode")),
        "parse": spent["parse"],
        "outside": spent["parse"] - spent["native"],
        "all": all_took,
        "children": _children() - before,
    }


def _children() -> float:
    usage = getrusage(RUSAGE_CHILDREN)
    return usage.ru_utime + usage.ru_stime


class _Clocked:
    """The native reader, with a clock beside what it does without Python's lock."""

    def __init__(self, library: Any, spent: Counter[str]):
        self._library = library
        self._spent = spent

    def __getattr__(self, name: str) -> Any:
        return getattr(self._library, name)

    def reader_read(self, *args: Any) -> Any:
        start = time.thread_time()
        outcome = self._library.reader_read(*args)
        self._spent["native"] += time.thread_time() - start
        return outcome


def projected(cores: int, threads: Seconds, processes: Seconds, start: float) -> list[float]:
    """Return what a conversion takes on so many cores: by threads, at best and worst, by processes.

    Parameters
    ----------
    cores
        How many there are, each with a thread or process that parses.
    threads, processes
        What :func:`converted` told of each.
    start
        Seconds until a process is at work.

    Examples
    --------
    >>> threads = {"main": 0.3, "encode": 0.2, "parse": 0.8, "outside": 0.2, "all": 1.4}
    >>> processes = {"main": 0.1, "encode": 0.2, "all": 0.4, "work": 1.2}
    >>> [round(seconds, 2) for seconds in projected(16, threads, processes, 0.7)]
    [0.3, 0.5, 0.9]
    """
    shared = max(threads["encode"], threads["all"] / cores)
    return [
        max(threads["main"], shared),
        max(threads["main"] + threads["outside"], shared),
        start
        + max(
            processes["main"],
            processes["encode"],
            (processes["all"] + processes["work"]) / cores,
        ),
    ]


def _medians(runs: list[Seconds]) -> Seconds:
    return {name: statistics.median(run[name] for run in runs) for name in runs[0]}


def _measured(
    found: dict[str, Path], rounds: int, start: float
) -> Iterator[tuple[str, dict[tuple[str, int], Seconds]]]:
    for label, path in found.items():
        runs: dict[tuple[str, int], list[Seconds]] = {mode: [] for mode in MODES}
        for number in range(rounds):
            for mode in MODES if number % 2 else reversed(MODES):
                one = ("-m", "benchmarks.scaling", "--one", *map(str, mode), str(path.resolve()))
                runs[mode].append(json.loads(timed(one, label).output))
                print(label, *mode, runs[mode][-1]["seconds"], file=sys.stderr, flush=True)
        medians = {mode: _medians(each) for mode, each in runs.items()}
        for each in medians.values():
            each["work"] = each["children"] and max(0.0, each["children"] - 2 * start)
        yield label, medians


def _start(rounds: int) -> float:
    """Return the processor time until a process is at work."""
    load = "import redemption_analytics.loading.worker"
    return statistics.median(timed(("-c", load), "start").cpu for _ in range(rounds))


def study(directory: Path, megabytes: float, rounds: int) -> list[Table]:
    """Measure, and return the tables."""
    contention = Contention()
    start = _start(rounds)
    table = Table("Seconds of convert", ("<", "1 thread", "2 threads", "2 processes"))
    parts = Table(
        "Seconds of processor time",
        (
            *("<", "main", "longest table", "parsing", "outside of the reader"),
            *("main, by processes", "in processes"),
        ),
    )
    further = Table(
        "Projected seconds",
        ("<", "<by", *(f"{cores} cores" for cores in CORES)),
    )
    for label, found in _measured(sources(directory, megabytes), rounds, start):
        contention.look()
        threads, processes = found["threads", 1], found["processes", 2]
        table.rows.append((label, *(f"{found[mode]['seconds']:.2f}" for mode in MODES)))
        cells = [threads[name] for name in ("main", "encode", "parse", "outside")]
        cells += [processes["main"], processes["work"]]
        parts.rows.append((label, *(f"{cell:.2f}" for cell in cells)))
        by = zip(*(projected(cores, threads, processes, start) for cores in CORES), strict=True)
        names = ["threads, at best", "threads, at worst", "processes"]
        for name, row in zip(names[: 3 if processes["work"] else 2], by, strict=False):
            further.rows.append((label, name, *(f"{cell:.2f}" for cell in row)))
    table.notes = [f"{megabytes:g} MB of text; medians of {rounds}.", contention.told_of_all()]
    further.notes = [f"A process is at work after {start:.2f} s of its start."]
    return [table, parts, further]


def main() -> None:
    """Print the tables; or, as the process that is measured, what one conversion took."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--megabytes", type=float, default=200)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--directory", type=Path, help="keep the data here")
    parser.add_argument("--one", nargs=3, help=argparse.SUPPRESS)
    given = parser.parse_args()
    if given.one:
        mode, count, source = given.one
        print(json.dumps(converted(Path(source), mode, int(count))))
        return
    with tempfile.TemporaryDirectory() as folder:
        for table in study(given.directory or Path(folder), given.megabytes, given.rounds):
            print(text(table), end="\n\n", flush=True)


if __name__ == "__main__":
    main()
