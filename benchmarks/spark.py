"""What Spark gives: the same exports converted on one machine, and loaded by executors.

    python -m benchmarks.spark [--shape SHAPE] [--megabytes 1000] [--files 16] [--rounds 3]
                               [--deciding driver]

The foreign organisation's export lies in some files (``--shape files``), in three exports that
overlap (``overlapping``), in a file for each answer, ``--files`` of them (``answers``), or is of
one customer, a hundred redemptions an answer (``customer``). Contenders take turns, each in a
process of its own; measured is the work alone, without the start of Python and of Spark, after one
small load that imports and starts what is needed. Each has as many cores as its name says, and no
more: executors and the driver share them, as they do with local[n]. Processor time is that of all
of them, Java's too, and memory the most that the driver's Python and any worker's had. What belongs
together the driver decides, and with ``--deciding executors`` they do, as they do of many rows.
Needs the extra ``spark``, and Java; cores are held back on Linux alone.
"""

from __future__ import annotations

import argparse
import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from contextlib import suppress
from itertools import islice
from pathlib import Path
from unittest import mock

import redemption_analytics as ra
from benchmarks.contention import Contention
from benchmarks.data import DATA, clean_export, made, save
from benchmarks.shapes import files_of as files_under
from benchmarks.shapes import shaped
from benchmarks.tables import Table, text

_SMALL = Path(__file__).parents[1] / "data_samples" / "2020-breakups.json"

#: What is compared: how, and on how many cores.
SHAPES = ("files", "overlapping", "answers", "customer")
CONTENDERS = (("convert", 1), ("convert", 2), ("spark", 1), ("spark", 2))


def files_of(directory: Path, megabytes: float, count: int) -> Path:
    """Write an export in some files, where it is not there yet."""
    export = clean_export(directory, DATA["foreign"], megabytes)

    def write(to: Path) -> None:
        to.mkdir()
        most = -(-export.stat().st_size // count)
        with export.open("rb") as lines:
            for number in range(count):
                part = lines.readlines(most)
                (to / f"2026-11-20-{number:03}.jsonl").write_bytes(b"".join(part))

    return made(export.parents[1] / f"{count}-files", write)


def answers_of(directory: Path, count: int) -> Path:
    """Write a file for each answer, a thousand in a folder."""

    def write(to: Path) -> None:
        for number, line in enumerate(islice(DATA["foreign"].lines(), count)):
            folder = to / f"{number // 1000:03}"
            folder.mkdir(parents=True, exist_ok=True)
            (folder / f"2026-11-20-{number:06}.json").write_bytes(line)

    return made(directory / "foreign" / f"{count}-answers", write)


def customer_of(directory: Path, redemptions: int) -> Path:
    """Write one customer's redemptions, a hundred an answer, all in one file."""

    def answer(page: int) -> bytes:
        points = [
            {
                "redemption_id": f"{number}",
                "program_id": 469 + number % 7,
                "points_redeemed": 1 + number % 300,
                "redeemed_time": f"2026-{number % 10 + 1:02}-{number % 28 + 1:02} 12:00:00",
                "redeemed_store": {"code": f"store-{number % 50}", "name": "A store"},
                "reversals": [],
            }
            for number in range(page, page + 100)
        ]
        customer = {"mobile": "447000000000", "redemptions": {"points": {"point": points}}}
        status = {"success": True, "code": 200, "message": "Success"}
        whole = {"response": {"status": status, "customer": customer}}
        return json.dumps(whole).encode() + b"\n"

    def write(to: Path) -> None:
        save(to, (answer(page) for page in range(0, redemptions, 100)))

    return made(directory / f"2026-11-20-{redemptions}-of-one.jsonl", write)


def source_of(shape: str, directory: Path, megabytes: float, files: int) -> Path:
    """Write an export in one of the shapes, where it is not there yet."""
    if shape == "answers":
        return answers_of(directory, files)
    if shape == "customer":
        return customer_of(directory, 200_000)
    if shape == "overlapping":
        data = DATA["foreign"]
        return shaped(data, clean_export(directory, data, megabytes), shape)
    return files_of(directory, megabytes, files)


def one(source: Path, how: str, cores: int, deciding: str) -> dict[str, float]:
    """Load once; return the seconds that it took, and the most memory of this process in MB."""
    if hasattr(os, "sched_setaffinity"):
        os.sched_setaffinity(0, sorted(os.sched_getaffinity(0))[:cores])
    with tempfile.TemporaryDirectory(dir=source.parent) as folder:
        if how == "convert":
            ra.convert(_SMALL, Path(folder) / "small")
            taken = _clocked(lambda: ra.convert(source, Path(folder) / "out", threads=cores))
        else:
            taken = _by_spark(source, cores, deciding, Path(folder))
    return {"worker": 0.0, **taken, "peak": _most_of("self")}


def _clocked(work: Callable[[], object]) -> dict[str, float]:
    """Work; return the seconds that it took, and those of processor time, of all processes."""
    start, cpu = time.perf_counter(), _cpu()
    work()
    return {"seconds": time.perf_counter() - start, "cpu": _cpu() - cpu}


def _cpu() -> float:
    """Return the processor time of this process, Spark's Java and its workers."""
    spent: dict[int, tuple[int, float]] = {}
    for path in Path("/proc").glob("[0-9]*/stat"):
        with suppress(OSError):
            told = path.read_text().rpartition(")")[2].split()
            own = (int(told[11]) + int(told[12])) / os.sysconf("SC_CLK_TCK")
            spent[int(path.parent.name)] = int(told[1]), own
    mine = {os.getpid()}
    while more := {pid for pid, (parent, _) in spent.items() if parent in mine} - mine:
        mine |= more
    return sum(spent[pid][1] for pid in mine)


def _by_spark(source: Path, cores: int, deciding: str, folder: Path) -> dict[str, float]:
    from pyspark.sql import SparkSession

    from redemption_analytics.spark import loading

    os.environ["SPARK_LOCAL_IP"] = "127.0.0.1"
    os.environ["PYSPARK_PYTHON"] = sys.executable
    session = (
        SparkSession.builder.master(f"local[{cores}]")
        .config("spark.ui.enabled", "false")
        .config("spark.local.dir", str(folder))
        .getOrCreate()
    )
    session.sparkContext.setLogLevel("ERROR")
    most = loading.DECIDED_HERE_ROWS if deciding == "driver" else -1
    with mock.patch.object(loading, "DECIDED_HERE_ROWS", most):
        # As many workers as there will be start, and import what they need.
        with mock.patch.object(loading, "UNIT_BYTES", 1):
            ra.spark.load(session, _SMALL.parent / "organisation", staging=folder / "warm")
        taken = _clocked(lambda: ra.spark.load(session, source, staging=folder / "staging"))
    taken["worker"] = _workers_peak()
    session.stop()
    return taken


def _workers_peak() -> float:
    """Return the most memory that any worker of Python's had, in MB: they live as Spark does."""
    found = [0.0]
    for path in Path("/proc").glob("[0-9]*"):
        with suppress(OSError):
            if b"pyspark" in (path / "cmdline").read_bytes() and "python" in _status(path)["Name"]:
                found.append(_most_of(path.name))
    return max(found)


def _most_of(process: str) -> float:
    """Return the most memory that a process had, in MB, that which started it not counted."""
    return int(_status(Path("/proc") / process)["VmHWM"].split()[0]) / 1024


def _status(path: Path) -> dict[str, str]:
    told = (path / "status").read_text().splitlines()
    return dict(line.split(":", 1) for line in told if ":" in line)


def main(arguments: list[str] | None = None) -> None:
    """Measure, and print the table."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.spark", description=__doc__)
    parser.add_argument("--shape", choices=SHAPES, default="files", help="how it lies (files)")
    parser.add_argument("--megabytes", type=float, default=1000, help="size of the export (1000)")
    parser.add_argument("--files", type=int, default=16, help="in how many files (16)")
    parser.add_argument("--rounds", type=int, default=3, help="runs of each (3)")
    parser.add_argument(
        "--deciding", choices=("driver", "executors"), default="driver", help="who does it (driver)"
    )
    parser.add_argument("--directory", type=Path, help="where exports are made, and kept")
    parser.add_argument("--one", nargs=2, help=argparse.SUPPRESS)
    options = parser.parse_args(arguments)
    directory = options.directory or Path(tempfile.mkdtemp())
    source = source_of(options.shape, directory, options.megabytes, options.files)
    size = sum(file.stat().st_size for file in files_under(source)) / 1e6
    if options.one:
        how, cores = options.one
        print(json.dumps(one(source, how, int(cores), options.deciding)))
        return
    found: dict[tuple[str, int], list[dict[str, float]]] = {}
    contention = Contention()
    for number in range(options.rounds):
        for how, cores in CONTENDERS if number % 2 else reversed(CONTENDERS):
            contention.look()
            command = [sys.executable, "-W", "ignore", "-m", "benchmarks.spark"]
            command += [
                "--shape",
                options.shape,
                "--megabytes",
                f"{options.megabytes:g}",
                "--files",
                f"{options.files}",
                "--deciding",
                options.deciding,
            ]
            command += ["--directory", str(directory), "--one", how, f"{cores}"]
            done = subprocess.run(command, stdout=subprocess.PIPE, text=True, check=True)
            found.setdefault((how, cores), []).append(json.loads(done.stdout.splitlines()[-1]))
    rows = []
    alone = statistics.median(run["cpu"] for run in found["convert", 1])
    for how, cores in CONTENDERS:
        runs = found[how, cores]
        seconds = statistics.median(run["seconds"] for run in runs)
        cpu = statistics.median(run["cpu"] for run in runs)
        peak, worker = (max(run[of] for run in runs) for of in ("peak", "worker"))
        rows.append(
            [f"{how}, {cores}", f"{seconds:.1f}", f"{size / seconds:.0f}",
             f"{cpu:.1f}", f"{size / cpu:.0f}", f"{alone / cpu:.2f}",
             f"{peak:.0f}", f"{worker:.0f}"]
        )  # fmt: skip
    heads = ["<", "seconds", "MB/s", "CPU s", "MB/CPU s", "of convert, 1", "driver MB", "worker MB"]
    many = len(files_under(source))
    title = f"{options.shape}: {size:.0f} MB in {many} files, medians of {options.rounds}"
    title += f", decided on {options.deciding}" if options.deciding != "driver" else ""
    print(text(Table(title, heads, rows, [contention.told_of_all()])))


if __name__ == "__main__":
    main()
