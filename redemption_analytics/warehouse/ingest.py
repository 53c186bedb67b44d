"""Ingest: read what is new, merge again what it is linked with, and write what changes by that."""

from __future__ import annotations

import logging
from collections import Counter
from collections.abc import Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any
from uuid import uuid4

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

import redemption_analytics
from redemption_analytics.columns import TABLES
from redemption_analytics.errors import SourceError, WriteError
from redemption_analytics.flattening.flatten import Tables
from redemption_analytics.loading.pipeline import Loading, Pipeline
from redemption_analytics.sources.accounts import files_table
from redemption_analytics.sources.export import Export
from redemption_analytics.sources.find import Source
from redemption_analytics.tables.arrow import arrow_schema_of
from redemption_analytics.warehouse.books import books_of
from redemption_analytics.warehouse.changes import Change, change_of
from redemption_analytics.warehouse.files import (
    NO_QUARTER,
    Quarters,
    Writing,
    applied,
    read_rows,
)
from redemption_analytics.warehouse.known import ANSWERS, LIBRARY, NUMBER, WRITTEN, Known
from redemption_analytics.warehouse.links import Linking, affected
from redemption_analytics.warehouse.log import DataFile, Entry, Log
from redemption_analytics.warehouse.merged import Stage
from redemption_analytics.warehouse.stage import STAGED, StagedUnit, Staging, Unit, units_of
from redemption_analytics.warehouse.store import Store

LOG = logging.getLogger(__name__)

#: The parts that merging gives, parents before what hangs on them.
PARTS = (*STAGED, "late_rejects", "cases")

#: The part of ``rejects`` that holds what was refused while it was read.
READ = "read"

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


@dataclass
class _Read:
    """What an ingest read.

    Attributes
    ----------
    unit
        The unit.
    accounts, rejects
        Rows for the tables ``files`` and ``rejects``.
    merged
        The pipeline that read it, which can merge it by itself.
    """

    unit: Unit
    accounts: pa.Table
    rejects: pa.Table
    known: Known


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
        exports = self._loading.exports(source)
        with TemporaryDirectory(prefix="redemption-analytics-") as folder:
            self._scratch = Path(folder)
            for _ in range(_TRIES):
                entry = self._log.newest()
                known = self._known(entry)
                new = [export for export in exports if not known.knows(export)]
                LOG.info("%d exports, of which %d are known", len(exports), len(exports) - len(new))
                if not new:
                    return Ingested(entry.version if entry else 0, 0, len(exports))
                done = self._ingest(entry, known, new)
                if done is not None:
                    return replace(done, known=len(exports) - len(new))
        raise WriteError("the warehouse is written by others all the time: try again later")

    def _known(self, entry: Entry | None) -> Known:
        stage = Stage([StagedUnit(self._store, unit) for unit in units_of(entry)])
        return Known(stage.exports, redemption_analytics.__version__, self._loading.hidden)

    def _ingest(self, entry: Entry | None, known: Known, new: list[Export]) -> Ingested | None:
        """Ingest new exports; None if another writer took some of them meanwhile."""
        linking = Linking(
            self._loading.options.identities,
            only_first=self._loading.options.only_first,
            hidden=self._loading.hidden is not None,
        )
        folder = self._scratch / uuid4().hex
        with Staging(folder, linking) as staging:
            pipeline = self._loading.pipeline(staging)
            self._loading.gather(pipeline, known.named_apart(new), useful=True)
            unit = self._staged(pipeline, staging, known)
            for _ in range(_TRIES):
                writing = Writing(self._store, folder)
                made, counts = self._merged(entry, unit, pipeline, staging, known, writing)
                if self._log.commit(made):
                    LOG.info("version %d: %s", made.version, counts)
                    return Ingested(made.version, len(new), 0, unit.rejected, counts)
                LOG.info("another writer was first: once more, upon what it wrote")
                self._store.delete([file.path for file in writing.written])
                entry = self._log.newest()
                if any(map(self._known(entry).knows, new)):
                    self._store.delete(unit.paths)
                    return None
        raise WriteError("the warehouse is written by others all the time: try again later")
