"""Merging all tables: rows of one key become one, and what hangs on them goes or stays with it.

Exports overlap and repeat. Tables come in here in the order of the exports' times, so of two
occurrences the later row is the newer. What an answer does not tell does not erase what an older
one told: of each thing the newest occurrence that tells it counts. Which rows stay, and what they
take from those that go, is found from narrow columns; then each batch of a table is put into its
final form by itself.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from redemption_analytics.errors import FaultError
from redemption_analytics.flattening.flatten import (
    ANSWER,
    HIDDEN,
    PARENT,
    PARENTS,
    Flattening,
    Tables,
)
from redemption_analytics.merging.cases import cases_of
from redemption_analytics.merging.conflicts import Refused, refused_reversals
from redemption_analytics.merging.customers import IDENTITY_COLUMNS, Common, united_customers
from redemption_analytics.merging.export_times import Dating
from redemption_analytics.merging.fates import HANGING, KEYS, Fate, Rows, met, versions
from redemption_analytics.merging.match_editions import settled_editions
from redemption_analytics.merging.oddities import Oddities
from redemption_analytics.merging.renaming import Names, Renaming, renamed
from redemption_analytics.merging.repeats import Repeats
from redemption_analytics.merging.stores import Keep
from redemption_analytics.merging.told import Given


class Merging:
    """Merges tables that grow block by block.

    A redemption is one row, its fields and breakups those of its newest occurrence that tells them,
    its reversals those of all of them; so is a customer, a coupon, and a reversal.

    Attributes
    ----------
    merged
        How many rows of each table went into others.
    refused
        Reversals that could not stay, since another redemption has them too.
    below
        How many rows of each table hung on these.
    """

    def __init__(self, keep: Keep, dating: Dating, common: Common | None = None):
        self.merged: Counter[str] = Counter()
        self.refused = Refused()
        self.below: Counter[str] = Counter()
        self._keep = keep
        self._dating = dating
        self._common: Common = common or {}
        self._old = False
        columns = {name: [key] for name, key in KEYS.items()}
        columns["customers"] += IDENTITY_COLUMNS
        self._repeats = Repeats(columns)

    def add(self, tables: Tables) -> None:
        """Add the settled tables of a block, which are newer than those before."""
        for name, table in shifted(tables, self._keep.rows).items():
            self._keep.append(name, table)
            self._repeats.add(name, table)
        self._old |= tables["points"]["redemption_id"].null_count > 0

    def take_over(self, merged: Mapping[str, int], *, old: bool) -> None:
        """Note what was merged before in tables that the keep got otherwise.

        Parameters
        ----------
        merged
            How many rows of each table went into others.
        old
            Whether some points redemption of them has no redemption_id.
        """
        self.merged.update(merged)
        self._old |= old

    def look_for_repeats(self, *, personal: bool) -> None:
        """Look through keys that the keep got otherwise.

        Parameters
        ----------
        personal
            Whether identities stand in the tables, and not their pseudonyms beside them.
        """
        for name, columns in self._repeats.columns.items():
            hidden = HIDDEN.keys() if not personal else HIDDEN.values()
            here = [column for column in columns if column not in hidden]
            for batch in self._keep.batches(name, here):
                self._repeats.add(name, batch)

    @property
    def old(self) -> bool:
        """Whether some points redemption has no redemption_id."""
        return self._old

    def finish(self, flattening: Flattening) -> tuple[pa.Table, datetime | None]:
        """Merge what was added; return the cases of what is odd about it, and what now is.

        Raises
        ------
        FaultError
            If a key is there twice after that.
        """
        keep = self._keep
        customers, split = united_customers(keep, flattening, self._repeats, self._common)
        redemptions = settled_editions(keep, customers) if self._old else Renaming()
        rows = Rows(keep, Names(customers, redemptions), self._repeats)
        fates = {name: met(rows, name, self.refused.rows) for name in KEYS}
        self.refused = refused_reversals(rows, fates["reversals"])
        if self.refused:
            fates["reversals"] = met(rows, "reversals", self.refused.rows)
        odd = Oddities(keep)
        given = {name: self._given(rows, fate, odd) for name, fate in fates.items()}
        odd.vanished(rows, fates["points"], fates["reversals"])
        late, now = self._dating.cases(rows, fates, given)
        ids, conflicts = (
            pa.array([one[place] for one in self.refused.conflicts], pa.string())
            for place in (0, 1)
        )
        conflicting = cases_of("conflicting_reversal", "reversals", ids, conflicts)
        cases = [*odd.cases(), *late, conflicting]
        if flattening.pseudonym is not None:
            # The tables do not show it where they have no identities.
            said = [f"the {name} of customer {key}" for name, key in split]
            keys = pa.array([key for _, key in split], pa.string())
            cases.append(
                cases_of("split_customers", "customers", keys, pa.array(said, pa.string()))
            )
        self._rewrite(rows, fates, given)
        return pa.concat_tables(cases), now

    def answers(self, numbers: list[int]) -> list[tuple[str, int]]:
        """Return source and record of some answers, by their numbers."""
        wanted, places = np.unique(np.array(numbers, np.int64), return_inverse=True)
        found: list[tuple[str, int]] = []
        start = 0
        for batch in self._keep.batches("responses", ["source", "record"]):
            first, end = np.searchsorted(wanted, [start, start + batch.num_rows])
            chosen = batch.take(pa.array(wanted[first:end] - start)).to_pydict()
            found += zip(chosen["source"], chosen["record"], strict=True)
            start += batch.num_rows
        return [found[place] for place in places.tolist()]

    def _given(self, rows: Rows, fate: Fate, odd: Oddities) -> Given:
        """Decide which of the rows of one key tells what, and look for what is odd about them."""
        given = Given(fate.name, self._keep.scratch)
        if fate.several.any():
            for several in versions(rows, fate):
                given.look(several)
                for child in HANGING[fate.name]:
                    has = several.table[f"_has_{child}"].to_numpy()
                    chosen = several.rows[several.last_where(has)]
                    fate.choose(several.rows, chosen, child)
                odd.look(fate.name, several)
            if given.columns:
                given.collect(rows.batches(fate.name, given.columns))
        return given

    def _rewrite(self, rows: Rows, fates: dict[str, Fate], given: dict[str, Given]) -> None:
        """Write all tables that change in their final form."""
        changes = finals(rows.names, fates, given)
        before = {name: self._keep.rows(name) for name in changes}
        if self.refused:
            self.below["reversal_breakups"] = self._hanging_on_refused()
        self._keep.rewrite(changes)
        self.merged.update({name: before[name] - self._keep.rows(name) for name in changes})
        self.merged["reversals"] -= len(self.refused.rows)
        self.merged.subtract(self.below)
        self._check_unique(changes)
        for each in given.values():
            each.close()

    def _hanging_on_refused(self) -> int:
        return sum(
            int(np.isin(batch[PARENT].to_numpy(), self.refused.rows).sum())
            for batch in self._keep.batches("reversal_breakups", [PARENT])
        )

    def _check_unique(self, changed: Iterable[str]) -> None:
        none = np.array([], np.int64)
        for name in KEYS.keys() & changed:
            if met(Rows(self._keep), name, none).several.any():
                raise FaultError(f"{name}: a {KEYS[name]} is there twice after merging")


def finals(names: Names, fates: Mapping[str, Fate], given: Mapping[str, Given]) -> dict[str, Final]:
    """Return what puts tables into their final form, of those that change.

    Parameters
    ----------
    names
        What is put in place of keys.
    fates
        Which rows stay, of each table with keys.
    given
        What they take over, of those where rows do.
    """
    changes = {}
    for name in (*KEYS, *PARENTS, "responses"):
        # A reversal stays by its own id; other children do as their parents do.
        fate = fates.get(name) or fates.get(PARENTS.get(name, ""))
        renamings = names.within(name)
        if renamings or given.get(name) or (fate and not fate.all_stay):
            changes[name] = Final(name, renamings, fate, given.get(name))
    return changes


def shifted(tables: Tables, rows: Callable[[str], int]) -> Tables:
    """Let the tables of a block count rows from the beginning of the tables that grow.

    Parameters
    ----------
    tables
        The tables, in which ``_parent`` and ``_answer`` count the rows of the block.
    rows
        Tells how many rows of a table came before.
    """
    starts = {name: rows(name) for name in {*PARENTS.values(), "responses"}}
    found = {}
    for name, table in tables.items():
        for column, whose in ((PARENT, PARENTS.get(name)), (ANSWER, "responses")):
            if whose is not None and column in table.column_names:
                place = table.schema.get_field_index(column)
                table = table.set_column(place, column, pc.add(table[column], starts[whose]))
        found[name] = table
    return found


@dataclass(frozen=True)
class Final:
    """Puts batches of a table into their final form: the rows that stay, with all that was told.

    Attributes
    ----------
    name
        The table.
    renamings
        What is put in place of keys, by column.
    fate
        Which rows stay, its own or its parents'; None where all do.
    given
        What rows take over from those that go; None where it is nothing.
    """

    name: str
    renamings: Mapping[str, Renaming]
    fate: Fate | None
    given: Given | None

    def __call__(self, batch: pa.Table, start: int) -> pa.Table:
        """Put a batch into its final form; the number of its first row comes with it."""
        batch = renamed(batch, self.renamings)
        numbers = np.arange(start, start + batch.num_rows)
        if self.given is not None:
            batch = self.given.put_into(batch, start)
        if self.fate is not None:
            own = self.fate.name == self.name
            stays = (
                self.fate.stays(numbers)
                if own
                else self.fate.stays(batch[PARENT].to_numpy(), self.name)
            )
            if not stays.all():
                batch = batch.filter(pa.array(stays))
        # From here on nothing needs the columns any more that served merging.
        return batch.select([column for column in batch.column_names if not column.startswith("_")])

    def within(
        self, own: tuple[int, int], parents: tuple[int, int], keys: Mapping[str, pa.ChunkedArray]
    ) -> Final | None:
        """Return this for some rows alone, which count from the first; None if they are final.

        Parameters
        ----------
        own
            The number of the first row, and that after the last.
        parents
            The same of the rows that they hang on, which count from the first too.
        keys
            The columns in which keys are put in place of others.
        """
        renamings = {name: self.renamings[name].among(column) for name, column in keys.items()}
        renamings = {name: renaming for name, renaming in renamings.items() if renaming}
        fate = None
        if self.fate is not None:
            fate = self.fate.within(*(own if self.fate.name == self.name else parents))
            fate = None if fate.all_stay else fate
        given = self.given and self.given.within(*own)
        if not (renamings or fate or given):
            return None
        return Final(self.name, renamings, fate, given)
