"""Forgetting: a person's answers are taken out of the units, and all that followed from them."""

from __future__ import annotations

import logging
from collections import Counter
from collections.abc import Mapping, Sequence, Set
from dataclasses import dataclass, field, replace
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any
from uuid import uuid4

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from redemption_analytics.atomic_directory import FULL, told_as_write_error
from redemption_analytics.errors import UsageError
from redemption_analytics.loading.loading import Loading
from redemption_analytics.merging.links import Linking, affected
from redemption_analytics.options import NamedBy
from redemption_analytics.sources.export import by_number, numbered
from redemption_analytics.warehouse.books import READ
from redemption_analytics.warehouse.building import Building, Chosen
from redemption_analytics.warehouse.committing import (
    LATE,
    TRIES,
    changes_told,
    written_all_the_time,
)
from redemption_analytics.warehouse.delta import publish_again
from redemption_analytics.warehouse.files import NO_QUARTER, Writing, replaced, rows_of
from redemption_analytics.warehouse.forgotten_rejects import Parted, Rejects
from redemption_analytics.warehouse.log import DataFile, Entry, Log
from redemption_analytics.warehouse.mentions import TEXTS, Mentions
from redemption_analytics.warehouse.merged import Mask, Stage
from redemption_analytics.warehouse.person import Person, person_of
from redemption_analytics.warehouse.reject_times import noted, renamed
from redemption_analytics.warehouse.rewriting import Part, rewritten
from redemption_analytics.warehouse.stage import StagedUnit
from redemption_analytics.warehouse.store import Store
from redemption_analytics.warehouse.units import Unit, units_of

LOG = logging.getLogger(__name__)


@dataclass(frozen=True)
class Forgotten:
    """What a warehouse forgot.

    Attributes
    ----------
    version
        The version from which on the person is in none.
    answers
        How many answers were the person's.
    counts
        For each table that changed how many rows were added, changed and removed.
    older
        The older versions that can still be opened, and may hold the person: ``vacuum(keep=1,
        grace="0s")`` takes them and their files away.
    """

    version: int
    answers: int
    counts: Mapping[str, Mapping[str, int]] = field(default_factory=dict)
    older: tuple[int, ...] = ()

    def __str__(self) -> str:
        answers = "answer" if self.answers == 1 else "answers"
        told = [f"version {self.version}: {self.answers:,} {answers} forgotten"]
        told += changes_told(self.counts)
        if self.older:
            versions = f"versions {self.older[0]} to {self.older[-1]}"
            if len(self.older) == 1:
                versions = f"version {self.older[0]}"
            told.append(f"in {versions} until vacuumed")
        return "; ".join(told)

    __repr__ = __str__


class Forgetting:
    """Takes a person out of a warehouse.

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

    def run(self, entry: Entry, name: NamedBy, value: str) -> Forgotten:
        """Forget a person.

        Parameters
        ----------
        entry
            The newest version.
        name, value
            What the person is named by.

        Raises
        ------
        UsageError
            If nobody or several customers are named so.
        WriteError
            If the warehouse cannot be written, or others write it all the time.
        """
        with (
            TemporaryDirectory(prefix="redemption-analytics-") as folder,
            told_as_write_error(Path(folder), FULL),
        ):
            for number in range(TRIES):
                done = self._forget(entry, name, value, Path(folder) / str(number))
                if done is not None:
                    publish_again(self._store)
                    LOG.info("version %d: %d answers forgotten", done.version, done.answers)
                    return done
                LOG.info(LATE)
                entry = self._log.newest() or entry
        raise written_all_the_time()

    def _forget(self, entry: Entry, name: NamedBy, value: str, scratch: Path) -> Forgotten | None:
        """Commit a version without the person; None if another writer was first."""
        stage = Stage([StagedUnit(self._store, unit) for unit in units_of(entry)])
        person = person_of(stage.units, self._loading.parser.flattening, name, value)
        if person is None:
            # Who forgot them may have died before that was published.
            publish_again(self._store)
            raise UsageError(
                f"the warehouse holds nobody with this {name}: write it as the exports do"
            )
        with Writing(self._store) as writing:
            made, counts = self._without(entry, stage, person, scratch, writing)
        # Where this fails it may have been done: all that was written stays.
        if not self._log.commit(made):
            writing.throw_away()
            return None
        older = tuple(version for version in self._log.versions() if version < made.version)
        answers = sum(int(mask.sum()) for mask in person.answers)
        return Forgotten(made.version, answers, counts, older)

    def _without(
        self, entry: Entry, stage: Stage, person: Person, scratch: Path, writing: Writing
    ) -> tuple[Entry, dict[str, dict[str, int]]]:
        mentions = Mentions(person.identities)
        names = _new_names(stage, mentions)
        parted = [
            Parted(unit, gone, ~gone & (mentions.answers_of(unit) | _of_sources(unit, names)))
            for unit, gone in zip(stage.units, person.answers, strict=True)
        ]
        rejects = Rejects.of(self._store, entry, parted, mentions, names)
        units = [
            self._rewritten(each, mentions, names, scratch, writing)
            if _says_something_else(each, mentions, {*names, *rejects.gone["source"].to_pylist()})
            else each.was.unit
            for each in parted
        ]
        units = [rejects.left_of(unit, each) for unit, each in zip(units, parted, strict=True)]
        building = Building(self._store, self._loading, self._options, scratch)
        below = Counter[str](entry.state["below"])
        before, after = self._linked(stage, units, parted, scratch)
        kept, counts = building.changed(entry, before, after, below, writing)
        times = renamed(self._store, kept, rejects.changed, rejects.come)
        kept = noted(self._store, kept, rejects.gone, times, writing)
        kept = replaced(self._store, kept, ("rejects", READ), rejects.gone, rejects.come, writing)
        kept = self._accounts(kept, mentions, names, writing)
        made = building.finished(entry, units, below, kept, writing)
        return made, {table: each for table, each in counts.items() if any(each.values())}

    def _rewritten(
        self,
        unit: Parted,
        mentions: Mentions,
        names: Mapping[str, str],
        scratch: Path,
        writing: Writing,
    ) -> Unit:
        """Write what stays of a unit."""

        def edit(table: str, rows: pa.Table) -> pa.Table:
            if table in TEXTS:
                rows = mentions.without(rows, TEXTS[table])
            if table == "exports":
                rows = mentions.without(rows, "reason")
            return _renamed(rows, names) if table in ("responses", "exports") else rows

        name = uuid4().hex
        part = Part(unit.was, unit.stays)
        linking = Linking.of(self._loading.parser.flattening)
        made = rewritten(self._store, name, [part], linking, scratch / name, edit)
        writing.take(made.paths)
        odd = {
            check: {
                name: _placed(said, names)
                for name, said in found.items()
                if not mentions.named_by(name)
            }
            for check, found in made.odd.items()
        }
        return replace(made, odd=odd)

    def _linked(
        self, stage: Stage, units: Sequence[Unit], parted: Sequence[Parted], scratch: Path
    ) -> tuple[Chosen, Chosen]:
        """Find all answers that are linked with those that go or say something else.

        What goes is to what stays as what an ingest brings is to what was there.
        """
        store, last = Store(scratch / "gone"), len(units)
        parts = [Part(each.was, each.gone) for each in parted if each.gone.any()]
        linking = Linking.of(self._loading.parser.flattening)
        gone = StagedUnit(store, rewritten(store, "gone", parts, linking, scratch / "growing"))
        new = Stage([StagedUnit(self._store, unit) for unit in units])
        start = {last: np.arange(gone.unit.answers)}
        for place, each in enumerate(parted):
            if each.touched.any():
                start[place] = np.flatnonzero(each.touched[each.stays])
        links = [unit.links() for unit in (*new.units, gone)]
        found = affected(links, start, old=last)
        masks = found.answers[:last]
        before = []
        for each, mask in zip(parted, masks, strict=True):
            old = each.gone.copy()
            old[np.flatnonzero(each.stays)[mask]] = True
            before.append(old)
        return Chosen(stage, before, found.common), Chosen(new, masks, found.common_before)

    def _accounts(
        self,
        kept: Sequence[DataFile],
        mentions: Mentions,
        names: Mapping[str, str],
        writing: Writing,
    ) -> list[DataFile]:
        """Rename files that are called after the person."""
        if not names:
            return list(kept)
        rows = rows_of(self._store, kept, "files", NO_QUARTER)
        gone = rows.filter(pc.is_in(rows["source"], pa.array(list(names), pa.string())))
        come = _with_texts(gone, "source", [names[name] for name in gone["source"].to_pylist()])
        come = mentions.without(come, "reason")
        return replaced(self._store, kept, ("files", NO_QUARTER), gone, come, writing)


def _new_names(stage: Stage, mentions: Mentions) -> dict[str, str]:
    """Return new names of exports that are called after the person, and are known by content."""
    found = {}
    for exports in stage.exports if mentions else ():
        read = exports.filter(pc.is_valid(exports["digest"]))
        for name in read["source"].to_pylist():
            if mentions.named_by(name) and name not in found:
                found[name] = mentions.replaced(name, f"forgotten-{uuid4().hex[:8]}")
    return found


def _of_sources(unit: StagedUnit, names: Mapping[str, str]) -> Mask:
    """Tell which answers of a unit came from exports of some names."""
    found = np.zeros(unit.unit.answers, bool)
    if names:
        wanted = pa.array(list(names), pa.string())
        parts = [pc.is_in(b["source"], wanted) for b in unit.batches("responses", ["source"])]
        found[:] = np.concatenate([np.array([], bool), *(part.to_numpy() for part in parts)])
    return found


def _says_something_else(unit: Parted, mentions: Mentions, changed: Set[str]) -> bool:
    """Check whether a unit is to be written anew, for what is in it or in some exports' rejects.

    Else an older version of just this unit would be taken for what was known on a day.
    """
    sources = unit.was.exports()["source"].to_pylist() if changed else ()
    odd = (name for found in unit.was.unit.odd.values() for name in found)
    return bool(
        unit.gone.any()
        or unit.touched.any()
        or any(source in changed for source in sources)
        or any(mentions.named_by(name) for name in odd)
    )


def _renamed(rows: pa.Table, names: Mapping[str, str]) -> pa.Table:
    """Give exports other names, and their answers the ids that go with these."""
    if not names:
        return rows
    sources = rows["source"].to_pylist()
    if "response_id" in rows.column_names:
        ids = [
            names.get(source, source) + answer[len(source) :]
            for source, answer in zip(sources, rows["response_id"].to_pylist(), strict=True)
        ]
        rows = _with_texts(rows, "response_id", ids)
    return _with_texts(rows, "source", [names.get(source, source) for source in sources])


def _with_texts(rows: pa.Table, column: str, texts: list[str]) -> pa.Table:
    place = rows.schema.get_field_index(column)
    return rows.set_column(place, rows.schema.field(place), pa.array(texts, pa.string()))


def _placed(said: list[Any], names: Mapping[str, str]) -> list[Any]:
    """Give the export another name in which something odd was met first."""
    count, made, name, number, record, example = said
    source = numbered(name, number)
    if source not in names:
        return said
    new = names[source]
    return [count, made, *by_number(new), record, example.removesuffix(source) + new]
