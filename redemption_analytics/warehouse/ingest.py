"""Ingest: read what is new, merge again what it is linked with, and write what changes by that."""

from __future__ import annotations

import logging
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any
from uuid import uuid4

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from redemption_analytics.atomic_directory import FULL, told_as_write_error
from redemption_analytics.columns import TABLES
from redemption_analytics.dating import TELLING
from redemption_analytics.errors import RejectedError, SourceError, WriteError
from redemption_analytics.loading.pipeline import GROWING, Loading, Pipeline, odd_example
from redemption_analytics.loading.provenance import said
from redemption_analytics.memory import system_memory
from redemption_analytics.merging.cases import CASES
from redemption_analytics.merging.stores import Keep
from redemption_analytics.parsing import Reject
from redemption_analytics.sources.accounts import files_table
from redemption_analytics.sources.export import Export, by_number
from redemption_analytics.sources.find import Source
from redemption_analytics.sources.listing import WAREHOUSE
from redemption_analytics.tables.arrow import arrow_schema_of
from redemption_analytics.tables.ledger import FINDINGS, LEDGER
from redemption_analytics.tables.parts import whole_of
from redemption_analytics.version import __version__
from redemption_analytics.warehouse.books import CASES as CASES_TABLE
from redemption_analytics.warehouse.books import READ, books_of
from redemption_analytics.warehouse.changes import change_of
from redemption_analytics.warehouse.delta import is_published, publish
from redemption_analytics.warehouse.editions import renamed_apart
from redemption_analytics.warehouse.files import (
    NO_QUARTER,
    Quarters,
    Writing,
    applied,
    placed,
    read_rows,
    replaced,
)
from redemption_analytics.warehouse.known import ANSWERS, LIBRARY, NUMBER, WRITTEN, Known
from redemption_analytics.warehouse.links import Linking, affected
from redemption_analytics.warehouse.log import DataFile, Entry, Log
from redemption_analytics.warehouse.merged import Merged, Stage
from redemption_analytics.warehouse.stage import StagedUnit, Staging, Unit, units_of
from redemption_analytics.warehouse.store import Store

LOG = logging.getLogger(__name__)

#: About so much of a table is looked at together.
_TOGETHER_BYTES = 16 << 20

#: Where more answers than these are to be merged again, all are, on disk.
MOST_ANSWERS = 100_000

#: The tables whose changes are told in a line.
_TOLD = ("points", "reversals", "coupons", "customers")

#: So often another writer may be first before this one gives up.
_TRIES = 20


@dataclass(frozen=True)
class Ingested:
    """What an ingest did.

    Attributes
    ----------
    version
        The version of the warehouse after it.
    read, known
        How many exports were read, and how many were known already.
    rejected
        How many elements were refused, by kind.
    counts
        For each table that changed how many rows were added, changed and removed.
    """

    version: int
    read: int
    known: int
    rejected: Mapping[str, int] = field(default_factory=dict)
    counts: Mapping[str, Mapping[str, int]] = field(default_factory=dict)

    def __str__(self) -> str:
        exports = "export" if self.read == 1 else "exports"
        told = [
            f"version {self.version}: {self.read:,} {exports} read, {self.known:,} known already"
        ]
        for table in _TOLD:
            changes = self.counts.get(table, {})
            moved = [f"{number:,} {what}" for what, number in changes.items() if number]
            if moved:
                told.append(f"{table} {', '.join(moved)}")
        refused = sum(self.rejected.values())
        return "; ".join([*told, *([f"{refused:,} rejected"] if refused else [])])

    __repr__ = __str__


class Ingest:
    """Takes exports into a warehouse.

    Parameters
    ----------
    store, log
        The warehouse's.
    loading
        The options, and what they make.
    options
        The options as the log writes them.
    """

    def __init__(self, store: Store, log: Log, loading: Loading, options: Mapping[str, Any]):
        self._store = store
        self._log = log
        self._loading = loading
        self._options = dict(options)
        self._scratch = Path()

    def run(self, source: Source) -> Ingested:
        """Ingest what a source holds that is not known yet.

        Raises
        ------
        SourceError
            If nothing of the source can be used.
        WriteError
            If the warehouse cannot be written, or others write it all the time.
        """
        # This warehouse may lie below its source, and has other files after each ingest.
        found = self._loading.exports(source)
        exports = _readable_again([e for e in found if e.passed_over != WAREHOUSE])
        if not exports:
            raise SourceError("the source holds nothing but warehouses: name what holds exports")
        with (
            system_memory(),
            TemporaryDirectory(prefix="redemption-analytics-") as folder,
            told_as_write_error(Path(folder), FULL),
        ):
            self._scratch = Path(folder)
            for _ in range(_TRIES):
                entry = self._log.newest()
                known = self._known(entry)
                new = known.new(exports)
                LOG.info("%d exports, of which %d are known", len(exports), len(exports) - len(new))
                if not new:
                    # Who ingested them may have died before they were published.
                    self._publish()
                    return Ingested(entry.version if entry else 0, 0, len(exports))
                alone = len(new) == len(exports) and not known.again
                done = self._ingest(entry, known, new, alone=alone)
                if done is not None:
                    return replace(done, known=len(exports) - len(new))
        raise WriteError("the warehouse is written by others all the time: try again later")

    def _publish(self) -> None:
        """Publish the versions, where others were."""
        if is_published(self._store):
            publish(self._store)

    def _known(self, entry: Entry | None) -> Known:
        stage = Stage([StagedUnit(self._store, unit) for unit in units_of(entry)])
        return Known(stage.exports, __version__, self._loading.hidden)

    def _ingest(
        self, entry: Entry | None, known: Known, new: list[Export], *, alone: bool
    ) -> Ingested | None:
        """Ingest new exports; None if another writer took some of them meanwhile.

        That nothing comes of them is an error, but for such as are tried again or passed over where
        they do not stand alone: beside those that are known they need not tell anything.
        """
        linking = Linking(
            self._loading.options.identities,
            only_first=self._loading.options.only_first,
            hidden=self._loading.hidden is not None,
        )
        folder = self._scratch / uuid4().hex
        with Staging(folder, linking) as staging:
            pipeline = self._loading.pipeline(staging)
            named = known.named_apart(new)
            self._loading.gather(pipeline, named)
            if alone or any(
                account.status != "passed over" and account.export.name not in known.again
                for account in pipeline.accounts
            ):
                self._loading.check_some(pipeline, useful=True)
            name = uuid4().hex
            with _left_out(self._store, name):
                unit = self._staged(name, pipeline, staging)
            for _ in range(_TRIES):
                with _left_out(self._store, name), Writing(self._store) as writing:
                    made, counts = self._merged(entry, unit, pipeline, staging, known, writing)
                # Where this fails it may have been done: all that was written stays.
                if self._log.commit(made):
                    self._publish()
                    LOG.info("version %d: %s", made.version, counts)
                    return Ingested(made.version, len(new), 0, unit.rejected, counts)
                LOG.info("another writer was first: once more, upon what it wrote")
                writing.throw_away()
                entry = self._log.newest()
                known = self._known(entry)
                if any(map(known.knows, new)):
                    self._store.delete(unit.paths)
                    return None
                before, named = named, known.named_apart(new)
                renamed_apart(self._store, unit, before, named, folder / "renamed.arrow")
            self._store.delete(unit.paths)
        raise WriteError("the warehouse is written by others all the time: try again later")

    def _staged(self, unit: str, pipeline: Pipeline, staging: Staging) -> Unit:
        """Put what was read into the store, as a unit."""
        numbers = pipeline.dating.numbers
        accounts = files_table(pipeline.accounts, self._loading.hidden)
        names = [account.export.name for account in pipeline.accounts]
        columns = {
            WRITTEN: pa.array([a.export.written for a in pipeline.accounts], pa.timestamp("us")),
            ANSWERS: pa.array([staging.answers_of.get(name, 0) for name in names], pa.int64()),
            NUMBER: pa.array([numbers.get(name) for name in names], pa.int32()),
            LIBRARY: pa.repeat(__version__, len(names)),
        }
        exports = accounts
        for name, column in columns.items():
            exports = exports.append_column(name, column)
        rows, links = staging.keep(self._store, unit, exports)
        telling = [
            account.export.exported_at
            for account in pipeline.accounts
            if account.export.dated_by in TELLING and staging.answers_of.get(account.export.name)
        ]
        return Unit(
            unit,
            rows,
            links,
            pipeline.dating.read.isoformat(),
            _some(pipeline.seen),
            _some(pipeline.rejected),
            max(telling).isoformat() if telling else None,
            _odd(pipeline),
        )

    def _merged(
        self,
        entry: Entry | None,
        unit: Unit,
        pipeline: Pipeline,
        staging: Staging,
        known: Known,
        writing: Writing,
    ) -> tuple[Entry, dict[str, dict[str, int]]]:
        """Merge a unit upon a version; return the next one, and what changes by it."""
        units = [*units_of(entry), unit]
        below = Counter(entry.state["below"] if entry else {})
        kept: list[DataFile] = []
        if entry is None:
            counts = self._first(pipeline, staging, below, writing)
        else:
            kept, counts = self._some(entry, units, below, writing)
        kept = self._accounts(kept, pipeline, staging, known, counts, writing)
        writing.finish()
        files = [*kept, *writing.written]
        decimal = self._loading.options.points == "decimal"
        for table in {*TABLES, CASES_TABLE} - {file.table for file in files}:
            # Every table has a file, so that whoever reads it knows its columns.
            schema = CASES
            if table in TABLES:
                schema = arrow_schema_of(table, decimal_points=decimal)
            writing.add_to(table, NO_QUARTER, schema.empty_table())
        writing.finish()
        files = [*kept, *writing.written]
        books = books_of(self._store, files, units, below)
        for table, book in zip((LEDGER, FINDINGS), books, strict=True):
            writing.add_to(table, NO_QUARTER, book)
        writing.finish()
        files = [file for file in kept if file.table not in (LEDGER, FINDINGS)]
        made = Entry(
            (entry.version if entry else 0) + 1,
            datetime.now(UTC).replace(tzinfo=None),
            __version__,
            self._options,
            (*files, *writing.written),
            {"units": [each.to_json() for each in units], "below": dict(below)},
        )
        return made, {name: each for name, each in counts.items() if any(each.values())}

    def _first(
        self, pipeline: Pipeline, staging: Staging, below: Counter[str], writing: Writing
    ) -> dict[str, dict[str, int]]:
        """Merge a unit by itself, and write all of it."""
        late, cases, now = pipeline.merge(self._loading.parser)
        merged = Merged({"late_rejects": late, "cases": cases}, pipeline.merging.below, now)
        return self._write_all(staging, merged, below, writing)

    def _anew(
        self, stage: Stage, entry: Entry, below: Counter[str], writing: Writing
    ) -> tuple[list[DataFile], dict[str, dict[str, int]]]:
        """Merge everything again, in bounded memory, and write all of it."""
        parser = self._loading.parser
        everything = [np.ones(unit.unit.answers, bool) for unit in stage.units]
        scratch = self._scratch / uuid4().hex
        with Staging(scratch) as keep:
            merged = stage.merged_into(
                keep, everything, parser.flattening, {}, personal=parser.personal
            )
            self._check_late(entry, merged)
            below.clear()
            rows = self._write_all(keep, merged, below, writing)
        counts = {}
        for table, each in rows.items():
            more = each["added"] - sum(file.rows for file in entry.tables[table])
            counts[table] = {"added": max(more, 0), "changed": 0, "removed": max(-more, 0)}
        stay = ("files", "rejects")
        return [
            f
            for f in entry.files
            if f.table in stay and (f.table == "files" or f.partition == READ)
        ], counts

    def _write_all(
        self, keep: Keep, merged: Merged, below: Counter[str], writing: Writing
    ) -> dict[str, dict[str, int]]:
        """Write all tables that grew, and what merging gave beside them."""
        below.update(merged.below)
        quarters = Quarters()
        counts: dict[str, dict[str, int]] = {}
        for name in GROWING:
            table = whole_of(name)
            each = counts.setdefault(table, {"added": 0, "changed": 0, "removed": 0})
            for batch in _gathered(keep.batches(name, arrow_schema_of(table).names)):
                writing.add(name, batch, quarters.of(name, batch))
                each["added"] += batch.num_rows
        for name, table in merged.tables.items():
            if table.num_rows:
                writing.add(name, table, quarters.of(name, table))
        return counts

    def _some(
        self, entry: Entry, units: Sequence[Unit], below: Counter[str], writing: Writing
    ) -> tuple[list[DataFile], dict[str, dict[str, int]]]:
        """Merge again what the last unit is linked with, and write what changes by that."""
        stage = Stage([StagedUnit(self._store, unit) for unit in units])
        links = [unit.links() for unit in stage.units]
        last = len(units) - 1
        found = affected(links, {last: np.arange(units[last].answers)}, old=last)
        LOG.info("%d answers to be merged again", found.count)
        if found.count > MOST_ANSWERS:
            return self._anew(stage, entry, below, writing)
        before = [*found.answers[:-1], np.zeros_like(found.answers[-1])]
        flattening, personal = self._loading.parser.flattening, self._loading.parser.personal
        old = stage.merged(before, flattening, found.common_before, personal=personal)
        new = stage.merged(found.answers, flattening, found.common, personal=personal)
        self._check_late(entry, new)
        below.update(new.below)
        below.subtract(old.below)
        before_tables, after_tables = placed(old.tables), placed(new.tables)
        changes = {
            name: change_of(whole_of(name), before_tables[name], after_tables[name])
            for name in after_tables
        }
        changed = {name: change for name, change in changes.items() if change}
        kept = applied(self._store, entry.files, changed, writing)
        counts: dict[str, dict[str, int]] = {}
        for name, change in changed.items():
            if name in GROWING:
                whole = counts.setdefault(whole_of(name), {"added": 0, "changed": 0, "removed": 0})
                for what, number in change.counts.items():
                    whole[what] += number
        return kept, counts

    def _check_late(self, entry: Entry, merged: Merged) -> None:
        """Check that merging refuses nothing that it did not before, where that is asked for."""
        if self._loading.options.strict:
            files = [f for f in entry.tables["rejects"] if f.partition != READ]
            before = [row for file in files for row in read_rows(self._store, file).to_pylist()]
            for row in merged.tables["late_rejects"].to_pylist():
                if row not in before:
                    source = row.pop("source")
                    raise RejectedError(said(source, Reject("reversals", **row)))

    def _accounts(
        self,
        kept: list[DataFile],
        pipeline: Pipeline,
        staging: Staging,
        known: Known,
        counts: dict[str, dict[str, int]],
        writing: Writing,
    ) -> list[DataFile]:
        """Add what was refused while it was read, and the files, to what is kept."""
        tables = {
            "rejects": (READ, _together("rejects", staging)),
            "files": (NO_QUARTER, files_table(pipeline.accounts, self._loading.hidden)),
        }
        for table, (partition, come) in tables.items():
            shape = arrow_schema_of(table).empty_table()
            gone = shape
            if known.again:
                # Of what is tried again only the last time counts.
                mine = [f for f in kept if (f.table, f.partition) == (table, partition)]
                rows = pa.concat_tables([shape, *(read_rows(self._store, f) for f in mine)])
                again = pc.is_in(rows["source"], pa.array(known.again, pa.string()))
                if table == "files":
                    nothing = pc.and_(
                        pc.equal(rows["records"], 0), pc.not_equal(rows["status"], "loaded")
                    )
                else:
                    nothing = pc.is_null(rows["record"])
                gone = rows.filter(pc.and_(again, nothing))
            if come.num_rows or gone.num_rows:
                counts[table] = {"added": come.num_rows, "changed": 0, "removed": gone.num_rows}
                kept = replaced(self._store, kept, (table, partition), gone, come, writing)
        return kept


@contextmanager
def _left_out(store: Store, unit: str) -> Iterator[None]:
    """Leave nothing of a unit if an error comes."""
    try:
        yield
    except BaseException:
        with suppress(SourceError, WriteError):
            store.delete([found.name for found in store.names(f"data/stage/{unit}")])
        raise


def _readable_again(exports: list[Export]) -> list[Export]:
    """Keep payloads beside files, which another writer may take: then all is read once more."""
    if all(export.open is None for export in exports):
        return exports
    return [
        export if export.open is not None else replace(export, payloads=list(export.payloads))
        for export in exports
    ]


def _gathered(batches: Iterator[pa.Table]) -> Iterator[pa.Table]:
    """Put small batches together: what is done with each takes its time."""
    held: list[pa.Table] = []
    size = 0
    for batch in batches:
        held.append(batch)
        size += batch.nbytes
        if size >= _TOGETHER_BYTES:
            yield pa.concat_tables(held).combine_chunks()
            held, size = [], 0
    if held:
        yield pa.concat_tables(held).combine_chunks()


def _together(name: str, staging: Staging) -> pa.Table:
    schema = arrow_schema_of(name)
    return pa.concat_tables([schema.empty_table(), *staging.batches(name, schema.names)])


def _some(counts: Counter[str]) -> dict[str, int]:
    return {name: count for name, count in counts.items() if count}


def _odd(pipeline: Pipeline) -> dict[str, dict[str, list[Any]]]:
    """Return what the reader met that is odd, each with the first place in the total order."""
    made = {account.export.name: account.export.exported_at for account in pipeline.accounts}
    return {
        check: {
            name: [
                count,
                made[met.first[name][0]].isoformat(),
                *by_number(met.first[name][0]),
                met.first[name][1],
                odd_example(check, name, *met.first[name]),
            ]
            for name, count in met.counts.items()
        }
        for check, met in pipeline.odd.items()
    }
