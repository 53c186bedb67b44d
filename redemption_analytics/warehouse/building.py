"""Building a version: merge what is new upon what there was, and write what changes by that."""

from __future__ import annotations

import logging
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any
from uuid import uuid4

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from redemption_analytics.columns import TABLES
from redemption_analytics.errors import RejectedError
from redemption_analytics.flattening.flatten import PARENT, PARENTS
from redemption_analytics.loading.loading import Loading
from redemption_analytics.loading.pipeline import GROWING, Pipeline
from redemption_analytics.loading.provenance import said
from redemption_analytics.merging.links import Links, affected
from redemption_analytics.parsing import Reject
from redemption_analytics.sources.accounts import files_table
from redemption_analytics.tables.arrow import arrow_schema_of
from redemption_analytics.tables.ledger import CASE, CASES, FINDINGS, LEDGER
from redemption_analytics.tables.parts import whole_of
from redemption_analytics.version import __version__
from redemption_analytics.warehouse.books import READ, books_of
from redemption_analytics.warehouse.changes import Change, change_of
from redemption_analytics.warehouse.compaction import compacted
from redemption_analytics.warehouse.files import (
    NO_QUARTER,
    Quarters,
    Writing,
    applied,
    placed,
    read_rows,
    replaced,
    rows_of,
)
from redemption_analytics.warehouse.known import Known
from redemption_analytics.warehouse.log import DataFile, Entry
from redemption_analytics.warehouse.merged import Mask, Merged, Stage
from redemption_analytics.warehouse.reject_times import REJECT_TIMES, noted, times_of
from redemption_analytics.warehouse.stage import StagedUnit
from redemption_analytics.warehouse.staging import Staging
from redemption_analytics.warehouse.store import Store
from redemption_analytics.warehouse.units import Unit, units_of

LOG = logging.getLogger(__name__)

#: About so much of a table is looked at together.
_TOGETHER_BYTES = 4 << 20

#: Where more answers than these are to be merged again, all are, on disk.
MOST_ANSWERS = 100_000


@dataclass(frozen=True)
class Chosen:
    """Answers that are to be merged.

    Attributes
    ----------
    stage
        The units.
    answers
        For each unit which of its answers.
    common
        The numbers of values that too many customers share, for each identity.
    """

    stage: Stage
    answers: Sequence[Mask]
    common: Mapping[str, Links]


class Building:
    """Builds the versions of a warehouse.

    Parameters
    ----------
    store
        The warehouse's.
    loading
        The options, and what they make.
    options
        The options as the log writes them.
    scratch
        A directory for what grows on disk.
    """

    def __init__(self, store: Store, loading: Loading, options: Mapping[str, Any], scratch: Path):
        self._store = store
        self._loading = loading
        self._options = dict(options)
        self._scratch = scratch

    def version(
        self,
        entry: Entry | None,
        unit: Unit,
        pipeline: Pipeline,
        staging: Staging,
        known: Known,
        writing: Writing,
    ) -> tuple[Entry, dict[str, dict[str, int]]]:
        """Merge a unit upon a version; return the next one, and what changes by it."""
        before = compacted(self._store, units_of(entry), self._loading, self._scratch, writing)
        units = [*before, unit]
        below = Counter(entry.state["below"] if entry else {})
        kept: list[DataFile] = []
        if entry is None:
            counts = self._first(pipeline, staging, below, writing)
        else:
            kept, counts = self._some(entry, units, below, writing)
        kept = self._accounts(kept, pipeline, staging, known, counts, writing)
        return self.finished(entry, units, below, kept, writing), {
            name: each for name, each in counts.items() if any(each.values())
        }

    def finished(
        self,
        entry: Entry | None,
        units: Sequence[Unit],
        below: Counter[str],
        kept: Sequence[DataFile],
        writing: Writing,
    ) -> Entry:
        """Finish the files of a version, with its books, and return it.

        Parameters
        ----------
        entry
            The version before.
        units
            Its units.
        below
            How many rows of each table hang on what merging refused.
        kept
            The files that still count.
        writing
            Writes the others.
        """
        writing.finish()
        files = [*kept, *writing.written]
        decimal = self._loading.options.points == "decimal"
        for table in {*TABLES, CASES} - {file.table for file in files}:
            # Every table has a file, so that whoever reads it knows its columns.
            schema = CASE
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
        return Entry(
            (entry.version if entry else 0) + 1,
            datetime.now(UTC).replace(tzinfo=None),
            __version__,
            self._options,
            (*files, *writing.written),
            {"units": [each.to_json() for each in units], "below": dict(below)},
        )

    def _first(
        self, pipeline: Pipeline, staging: Staging, below: Counter[str], writing: Writing
    ) -> dict[str, dict[str, int]]:
        """Merge a unit by itself, and write all of it."""
        late, cases, now = pipeline.merge(self._loading.parser)
        merging = pipeline.merging
        merged = Merged({"late_rejects": late, "cases": cases}, merging.below, merging.merged, now)
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
        read = ("rejects", REJECT_TIMES)
        return [
            f
            for f in entry.files
            if f.table == "files" or (f.table in read and f.partition == READ)
        ], counts

    def _write_all(
        self, keep: Staging, merged: Merged, below: Counter[str], writing: Writing
    ) -> dict[str, dict[str, int]]:
        """Write all tables that grew, and what merging gave beside them."""
        below.update(merged.below)
        # What merging changed does not tell by numbers any more what it hangs on.
        numbered = {
            name for name, parent in PARENTS.items() if not {name, parent} & keep.merged.keys()
        }
        quarters = Quarters(numbered)
        counts: dict[str, dict[str, int]] = {}
        for name in GROWING:
            table = whole_of(name)
            each = counts.setdefault(table, {"added": 0, "changed": 0, "removed": 0})
            final = arrow_schema_of(table).names
            for batch in _gathered(
                keep.batches(name, [*final, PARENT] if name in numbered else final)
            ):
                writing.add(name, batch.select(final), quarters.of(name, batch))
                each["added"] += batch.num_rows
            writing.flush()
        for name, table in merged.tables.items():
            if table.num_rows:
                writing.add(name, table, quarters.of(name, table))
        return counts

    def _some(
        self, entry: Entry, units: Sequence[Unit], below: Counter[str], writing: Writing
    ) -> tuple[list[DataFile], dict[str, dict[str, int]]]:
        """Merge again what the last unit is linked with, and write what changes by that."""
        stage = Stage([StagedUnit(self._store, unit) for unit in units])
        last = len(units) - 1
        found = affected(
            [unit.links() for unit in stage.units],
            {last: np.arange(units[last].answers)},
            old=last,
        )
        LOG.info("%d answers to be merged again", found.count)
        before = [*found.answers[:-1], np.zeros_like(found.answers[-1])]
        return self.changed(
            entry,
            Chosen(stage, before, found.common_before),
            Chosen(stage, found.answers, found.common),
            below,
            writing,
        )

    def changed(
        self, entry: Entry, before: Chosen, after: Chosen, below: Counter[str], writing: Writing
    ) -> tuple[list[DataFile], dict[str, dict[str, int]]]:
        """Merge answers as they were and as they are, and write what changes by that.

        Where they are many, everything is merged again.

        Parameters
        ----------
        entry
            The version that they were in.
        before, after
            The answers as they were, and as they are: all that are linked with what changes.
        below
            How many rows of each table hang on what merging refused; it changes.
        writing
            Writes the rows.

        Returns
        -------
        list of DataFile
            The files that still count.
        dict
            How many rows of each table come, change and go.
        """
        if sum(int(mask.sum()) for mask in after.answers) > MOST_ANSWERS:
            return self._anew(after.stage, entry, below, writing)
        changed = self._compared(entry, before, after, below)
        kept = applied(self._store, entry.files, changed, writing)
        counts: dict[str, dict[str, int]] = {}
        for name, change in changed.items():
            if name in GROWING:
                whole = counts.setdefault(whole_of(name), {"added": 0, "changed": 0, "removed": 0})
                for what, number in change.counts.items():
                    whole[what] += number
        return kept, counts

    def _compared(
        self, entry: Entry, before: Chosen, after: Chosen, below: Counter[str]
    ) -> dict[str, Change]:
        """Merge answers as they were and as they are; return what changes, without the rest."""
        old, new = (
            chosen.stage.merged(
                chosen.answers,
                self._loading.parser.flattening,
                chosen.common,
                personal=self._loading.parser.personal,
            )
            for chosen in (before, after)
        )
        self._check_late(entry, new)
        below.update(new.below)
        below.subtract(old.below)
        before_tables, after_tables = placed(old.tables), placed(new.tables)
        changes = {
            name: change_of(whole_of(name), before_tables[name], after_tables[name])
            for name in after_tables
        }
        for chosen in (before, after):
            chosen.stage.release()
        return {name: change for name, change in changes.items() if change}

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
        made = {account.export.name: account.export.exported_at for account in pipeline.accounts}
        for table, (partition, come) in tables.items():
            shape = arrow_schema_of(table).empty_table()
            gone = shape
            if known.again:
                # Of what is tried again only the last time counts.
                rows = rows_of(self._store, kept, table, partition)
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
                if table == "rejects":
                    kept = noted(self._store, kept, gone, times_of(come, made), writing)
        return kept


def _gathered(batches: Iterator[pa.Table]) -> Iterator[pa.Table]:
    """Put small batches together: what is done with each takes its time."""
    held: list[pa.Table] = []
    size = 0
    for batch in batches:
        held.append(batch)
        size += batch.nbytes
        if size >= _TOGETHER_BYTES:
            yield pa.concat_tables(held)
            held, size = [], 0
    if held:
        yield pa.concat_tables(held)


def _together(name: str, staging: Staging) -> pa.Table:
    schema = arrow_schema_of(name)
    return pa.concat_tables([schema.empty_table(), *staging.batches(name, schema.names)])
