"""Ingest: read what is new, merge again what it is linked with, and write what changes by that."""

from __future__ import annotations

import logging
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any
from uuid import uuid4

import pyarrow as pa

from redemption_analytics.atomic_directory import FULL, told_as_write_error
from redemption_analytics.dating import TELLING
from redemption_analytics.errors import SourceError
from redemption_analytics.loading.loading import Loading
from redemption_analytics.loading.pipeline import Pipeline, odd_example
from redemption_analytics.merging.links import Linking
from redemption_analytics.sources.accounts import files_table
from redemption_analytics.sources.export import Export, by_number
from redemption_analytics.sources.find import Source
from redemption_analytics.sources.listing import WAREHOUSE
from redemption_analytics.version import __version__
from redemption_analytics.warehouse.books import READ
from redemption_analytics.warehouse.building import Building
from redemption_analytics.warehouse.committing import (
    LATE,
    TRIES,
    changes_told,
    written_all_the_time,
)
from redemption_analytics.warehouse.delta import publish_again
from redemption_analytics.warehouse.editions import renamed_apart
from redemption_analytics.warehouse.files import (
    Writing,
)
from redemption_analytics.warehouse.known import ANSWERS, NUMBER, RELEASE, WRITTEN, Known
from redemption_analytics.warehouse.log import Entry, Log
from redemption_analytics.warehouse.merged import Stage
from redemption_analytics.warehouse.stage import StagedUnit
from redemption_analytics.warehouse.staging import Staging
from redemption_analytics.warehouse.store import Store
from redemption_analytics.warehouse.units import Unit, folder_of, units_of

LOG = logging.getLogger(__name__)


@dataclass(frozen=True)
class Ingested:
    """What an ingest did.

    Attributes
    ----------
    version
        The version of the warehouse after it.
    read, known
        How many exports were read, and how many were known already.
    seen, rejected
        How many elements were met in what was read, and how many were refused, by kind; of
        reversals also those that were met before, and stand under two redemptions now.
    counts
        For each table that changed how many rows were added, changed and removed.
    """

    version: int
    read: int
    known: int
    seen: Mapping[str, int] = field(default_factory=dict)
    rejected: Mapping[str, int] = field(default_factory=dict)
    counts: Mapping[str, Mapping[str, int]] = field(default_factory=dict)

    def __str__(self) -> str:
        exports = "export" if self.read == 1 else "exports"
        told = f"version {self.version}: {self.read:,} {exports} read, {self.known:,} known already"
        refused = sum(self.rejected.values())
        parts = [told, *changes_told(self.counts), f"{refused:,} rejected" if refused else ""]
        return "; ".join(filter(None, parts))

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
            TemporaryDirectory(prefix="redemption-analytics-") as folder,
            told_as_write_error(Path(folder), FULL),
        ):
            self._scratch = Path(folder)
            for _ in range(TRIES):
                entry = self._log.newest()
                known = self._known(entry)
                new = known.new(exports)
                LOG.info("%d exports, of which %d are known", len(exports), len(exports) - len(new))
                if not new:
                    # Who ingested them may have died before they were published.
                    publish_again(self._store)
                    return Ingested(entry.version if entry else 0, 0, len(exports))
                alone = len(new) == len(exports) and not known.again
                done = self._ingest(entry, known, new, alone=alone)
                if done is not None:
                    return replace(done, known=len(exports) - len(new))
        raise written_all_the_time()

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
        linking = Linking.of(self._loading.parser.flattening)
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
            files = files_table(pipeline.accounts, self._loading.hidden)
            if entry is not None and known.nothing_new(files):
                publish_again(self._store)
                return Ingested(entry.version, 0, 0, _some(pipeline.seen), _some(pipeline.rejected))
            name = uuid4().hex
            with self._store.left_out(folder_of(name)):
                unit = self._staged(name, files, pipeline, staging)
            building = Building(self._store, self._loading, self._options, self._scratch)
            for _ in range(TRIES):
                with self._store.left_out(folder_of(name)), Writing(self._store) as writing:
                    made, counts = building.version(entry, unit, pipeline, staging, known, writing)
                # Where this fails it may have been done: all that was written stays.
                if self._log.commit(made):
                    publish_again(self._store)
                    LOG.info("version %d: %s", made.version, counts)
                    refused = Counter(unit.rejected) + Counter(_refused_late(entry, made))
                    return Ingested(made.version, len(new), 0, unit.seen, refused, counts)
                LOG.info(LATE)
                writing.throw_away()
                entry = self._log.newest()
                known = self._known(entry)
                if any(map(known.knows, new)):
                    self._store.delete(unit.paths)
                    return None
                before, named = named, known.named_apart(new)
                renamed_apart(self._store, unit, before, named, folder / "renamed.arrow")
            self._store.delete(unit.paths)
        raise written_all_the_time()

    def _staged(self, unit: str, files: pa.Table, pipeline: Pipeline, staging: Staging) -> Unit:
        """Put what was read into the store, as a unit."""
        numbers = pipeline.dating.numbers
        names = [account.export.name for account in pipeline.accounts]
        columns = {
            WRITTEN: pa.array([a.export.written for a in pipeline.accounts], pa.timestamp("us")),
            ANSWERS: pa.array([staging.answers_of.get(name, 0) for name in names], pa.int64()),
            NUMBER: pa.array([numbers.get(name) for name in names], pa.int32()),
            RELEASE: pa.repeat(__version__, len(names)),
        }
        for name, column in columns.items():
            files = files.append_column(name, column)
        rows, links = staging.keep(self._store, unit, files)
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


def _readable_again(exports: list[Export]) -> list[Export]:
    """Keep payloads beside files, which another writer may take: then all is read once more."""
    if all(export.open is None for export in exports):
        return exports
    return [
        export if export.open is not None else replace(export, payloads=list(export.payloads))
        for export in exports
    ]


def _refused_late(before: Entry | None, after: Entry) -> dict[str, int]:
    """Count how many more elements a version refuses for what others tell."""
    rows = [
        sum(file.rows for file in entry.tables["rejects"] if file.partition != READ)
        for entry in (before, after)
        if entry is not None
    ]
    return {"reversals": rows[-1] - sum(rows[:-1])}


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
