"""What executors do: read and parse units into a staging directory, and put them into final form.

Plans and closures hold numbers and the directory; what is to be done lies there in files. The key
of pseudonyms is in none of them: each executor fetches it.
"""

from __future__ import annotations

import importlib
import os
import pickle
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, replace
from functools import cache, partial
from itertools import chain
from pathlib import Path
from typing import Any, TypeAlias
from uuid import uuid4

import pyarrow as pa

from redemption_analytics.errors import RedemptionAnalyticsError, UsageError
from redemption_analytics.loading.loading import Loading
from redemption_analytics.loading.option_checks import Checked
from redemption_analytics.loading.parser import Parser
from redemption_analytics.loading.pipeline import Gathered
from redemption_analytics.merging.merge import Final
from redemption_analytics.merging.stores import Grown, OnDisk
from redemption_analytics.privacy import KEY_VARIABLE, fingerprint, pseudonym
from redemption_analytics.sources.export import Export, numbered
from redemption_analytics.spark.stretches import Before, surveyed
from redemption_analytics.tables.parts import PARTS

#: What a job gives: the number of a unit, and what became of it.
ANSWER_SQL = "unit BIGINT, told BINARY"

#: So many payloads of a frame are looked at together.
_ROWS = 256


@dataclass(frozen=True)
class Setting:
    """What an executor needs to know before it parses: nothing in it is secret.

    Attributes
    ----------
    options
        The options of the load.
    key
        The function that gives the key of pseudonyms, as "module:function"; None where the
        environment has it.
    print
        What tells whether the key is that of who asked; None where there is none.
    """

    options: Checked
    key: str | None
    print: str | None


@dataclass(frozen=True)
class Staged:
    """A unit that was read and parsed.

    Attributes
    ----------
    gathered
        What was gathered beside its tables.
    tables
        Its tables.
    """

    gathered: Gathered
    tables: dict[str, Grown]


@dataclass(frozen=True)
class Parse:
    """Reads and parses units of exports, which lie in a directory with how they are read."""

    folder: str

    def __call__(self, number: int) -> Staged:
        """Read and parse a unit."""
        folder = Path(self.folder)
        exports: list[Export] = pickle.loads((folder / "tasks" / f"{number}").read_bytes())
        return parsed(loading_of(self.folder), exports, folder, number)


@dataclass(frozen=True)
class ParseRows:
    """Parses the payloads of a frame, each of its partitions as an export and a unit of its own."""

    folder: str

    def __call__(self, batches: Iterator[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
        """Parse a partition; an empty one gives nothing, but for the first."""
        from pyspark import TaskContext

        context = TaskContext.get()
        assert context is not None
        number = context.partitionId()
        payloads = _payloads(batches)
        first = next(payloads, None)
        if first is None and number:
            return
        export = part_of(pickle.loads((Path(self.folder) / "tasks" / "frame").read_bytes()), number)
        rows = payloads if first is None else chain([first], payloads)
        exports = [replace(export, payloads=rows)]
        folder = Path(self.folder)
        yield _told(number, lambda: parsed(loading_of(self.folder), exports, folder, number))


def part_of(export: Export, number: int) -> Export:
    """Return the export that a partition of a frame is."""
    return replace(export, name=numbered(export.name, number + 1), number=number + 1)


def _payloads(batches: Iterator[pa.RecordBatch]) -> Iterator[bytes]:
    for batch in batches:
        for start in range(0, batch.num_rows, _ROWS):
            for value in batch.column(0).slice(start, _ROWS).to_pylist():
                if value is not None:
                    yield value.encode() if isinstance(value, str) else value


@dataclass(frozen=True)
class Survey:
    """Takes the digests of files that are parsed in stretches, and counts the lines of these."""

    folder: str

    def __call__(self, number: int) -> tuple[str, list[int]]:
        """Survey a file, by the number of its first stretch."""
        path, ends = pickle.loads((Path(self.folder) / "surveys" / f"{number}").read_bytes())
        return surveyed(path, ends)


@dataclass(frozen=True)
class Finish:
    """Puts the tables of units into their final form, as decisions in a directory say."""

    folder: str

    def __call__(self, number: int) -> dict[str, Grown]:
        """Put the tables of a unit into their final form."""
        folder = Path(self.folder)
        decisions = pickle.loads((folder / "decisions" / f"{number}").read_bytes())
        return finished(decisions, folder, number)


Job: TypeAlias = Parse | Survey | Finish


def parsed(loading: Loading, exports: list[Export], folder: Path, number: int) -> Staged:
    """Read and parse a unit into a folder of its own, which no other try at it has."""
    own = _own(folder, number)
    with OnDisk(own, str(own / "beside"), PARTS) as keep:
        pipeline = loading.pipeline(keep)
        loading.gather(pipeline, exports)
        keep.finish()
        return Staged(pipeline.gathered(), keep.grown())


@dataclass(frozen=True)
class Decision:
    """What becomes of a table of a unit.

    Attributes
    ----------
    grown
        The table.
    before
        What came before its rows in their file; None where nothing did.
    final
        Which rows stay, and what they take over; None where all stay as they are.
    """

    grown: Grown
    before: Before | None
    final: Final | None


def finished(decisions: Mapping[str, Decision], folder: Path, number: int) -> dict[str, Grown]:
    """Write tables of a unit in their final form, into a folder that no other try at it has."""
    own = _own(folder, number)
    with OnDisk(own, str(own / "beside"), PARTS) as keep:
        for name, decision in decisions.items():
            start, final = 0, decision.final
            for batch in decision.grown.batches():
                told = batch if decision.before is None else decision.before.put_into(name, batch)
                keep.append(name, told if final is None else final(told, start))
                start += batch.num_rows
        keep.finish()
        return keep.grown()


def _own(folder: Path, number: int) -> Path:
    own = folder / "units" / f"{number}-{uuid4().hex}"
    (own / "beside").mkdir(parents=True)
    return own


@cache
def loading_of(folder: str) -> Loading:
    """Return how exports are loaded, the key fetched here."""
    setting: Setting = pickle.loads((Path(folder) / "setting").read_bytes())
    fetch_key(setting.key)
    hidden = pseudonym(setting.options.pii)
    if (hidden and fingerprint(hidden)) != setting.print:
        raise UsageError("the executors have another key of pseudonyms than the driver")
    return Loading(setting.options, hidden, Parser.of(setting.options, hidden))


def fetch_key(function: str | None) -> None:
    """Have a function give the key of pseudonyms to this process, where one is named.

    Raises
    ------
    UsageError
        If there is no such function.
    """
    if function is None:
        return
    module, _, name = function.partition(":")
    try:
        found = getattr(importlib.import_module(module), name)
    except (ImportError, AttributeError, ValueError) as error:
        raise UsageError(
            f"pii_key names a function as 'module:function', and {function!r} is none: {error}"
        ) from None
    key = found()
    os.environ[KEY_VARIABLE] = key if isinstance(key, str) else os.fsdecode(key)


@dataclass(frozen=True)
class _Task:
    """Does a job for the units whose numbers come in, and gives what became of them."""

    job: Job

    def __call__(self, batches: Iterator[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
        for batch in batches:
            for number in batch.column(0).to_pylist():
                yield _told(number, partial(self.job, number))
                release()


def release() -> None:
    """Give back the memory of what is done: a worker lives on, and others fill it elsewhere."""
    pa.default_memory_pool().release_unused()


def _told(number: int, do: Callable[[], object]) -> pa.RecordBatch:
    """Do something for a unit, and return what became of it."""
    try:
        told = do()
    except RedemptionAnalyticsError as error:
        # A second try would tell the same.
        told = error
    columns = [pa.array([number], pa.int64()), pa.array([pickle.dumps(told)], pa.binary())]
    return pa.record_batch(columns, ["unit", "told"])


def on_executors(session: Any, job: Job, numbers: list[int]) -> dict[int, Any]:
    """Have executors do a job for some units; return what became of each.

    Only what successful tasks tell comes here, so what a failed or a second try at one left in the
    staging directory is nobody's.

    Raises
    ------
    RedemptionAnalyticsError
        That of the first unit that could not be done.
    """
    if not numbers:
        return {}
    count = len(numbers)
    asked = session.range(0, max(numbers) + 1, 1, count) if count > max(numbers) else None
    if asked is None:
        rows = pa.table({"id": pa.array(numbers, pa.int64())})
        asked = session.createDataFrame(rows).repartition(count)
    return collected(asked.mapInArrow(_Task(job), ANSWER_SQL))


def on_partitions(frame: Any, job: ParseRows) -> dict[int, Any]:
    """Have executors parse the partitions of a frame; return what became of each, by its number.

    Raises
    ------
    RedemptionAnalyticsError
        That of the first partition that could not be done.
    """
    return collected(frame.mapInArrow(job, ANSWER_SQL))


def collected(answers: Any) -> dict[int, Any]:
    """Return what a frame of Spark's says that became of units, by their numbers.

    Raises
    ------
    RedemptionAnalyticsError
        That of the first unit that could not be done.
    """
    answers = answers.toArrow()
    told = {
        number: pickle.loads(text)
        for number, text in zip(
            answers["unit"].to_pylist(), answers["told"].to_pylist(), strict=True
        )
    }
    for _, found in sorted(told.items()):
        if isinstance(found, Exception):
            raise found
    return told
