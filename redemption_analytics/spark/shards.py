"""Shards: answers that are linked are decided about together, wherever their units lie.

What merging decides about an answer depends on those alone that it is linked with. So the answers
of each unit are divided: those that are linked with none are decided about where they are, the
others shard by shard, from narrow columns. A text that merging only asks whether it is told goes to
a shard without its letters. What is decided comes back unit by unit.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from redemption_analytics.flattening.flatten import ANSWER, PARENT, PARENTS, Flattening
from redemption_analytics.loading.pipeline import GROWING
from redemption_analytics.loading.provenance import late_rejects
from redemption_analytics.merging.customers import Common
from redemption_analytics.merging.export_times import Dated, Dating
from redemption_analytics.merging.fates import KEYS, Fate
from redemption_analytics.merging.merge import Final, Merging, finals, shifted
from redemption_analytics.merging.renaming import Names, Renaming, renamed
from redemption_analytics.merging.stores import Change, InMemory
from redemption_analytics.merging.told import GIVES, INTO, Given, given_columns
from redemption_analytics.parsing import Reject
from redemption_analytics.spark.unit_tables import UnitTables

Numbers = npt.NDArray[np.int64]
Bits = npt.NDArray[np.uint32]

#: The shard of answers that are linked with no other.
ALONE = -1

Piece = dict[str, pa.Table]

#: The number that a row has in its unit.
_ROW = "_row_of_unit"


def divided(unit: UnitTables, shards: Numbers) -> Iterator[tuple[int, Piece]]:
    """Divide the narrow tables of a unit by the shards of its answers.

    Parameters
    ----------
    unit
        The unit.
    shards
        The shard of each answer.

    Yields
    ------
    int
        A shard.
    dict of str to pyarrow.Table
        What of the unit is in it; rows point to their parents and answers there.
    """
    every = np.unique(shards).tolist()
    shard_of: dict[str, Numbers] = {}
    place_of: dict[str, Numbers] = {}
    pieces: dict[int, Piece] = {shard: {} for shard in every}
    for name in GROWING:
        table = unit.narrow(name)
        whose, mark = ("responses", ANSWER) if name not in PARENTS else (PARENTS[name], PARENT)
        own = shards if name == "responses" else shard_of[whose][table[mark].to_numpy()]
        order = np.argsort(own, kind="stable")
        starts = np.searchsorted(own[order], every)
        shard_of[name] = own
        place_of[name] = np.empty(len(own), np.int64)
        place_of[name][order] = np.arange(len(own))
        place_of[name] -= starts[np.searchsorted(every, own)]
        for column, of in ((ANSWER, "responses"), (PARENT, PARENTS.get(name))):
            if column in table.column_names and of is not None:
                place = table.schema.get_field_index(column)
                numbers = pa.array(place_of[of][table[column].to_numpy()])
                table = table.set_column(place, column, numbers)
        table = table.take(pa.array(order)).append_column(_ROW, pa.array(order))
        for shard, start, end in zip(every, starts, [*starts[1:], len(own)], strict=True):
            pieces[shard][name] = table.slice(start, end - start)
    yield from pieces.items()


class Shard(InMemory):
    """The tables of a shard, put together of pieces of units, which come in their order."""

    def __init__(self, pieces: Iterable[tuple[int, Piece]]) -> None:
        super().__init__()
        #: What merging changes.
        self.changes: Mapping[str, Change] = {}
        self._origins: dict[str, list[tuple[int, Numbers]]] = {name: [] for name in GROWING}
        for unit, piece in pieces:
            plain = {name: table.drop_columns([_ROW]) for name, table in piece.items()}
            for name, table in shifted(plain, self.rows).items():
                self._origins[name].append((unit, piece[name][_ROW].to_numpy()))
                self.append(name, table)

    def rewrite(self, changes: Mapping[str, Change]) -> None:  # noqa: D102
        self.changes = changes
        super().rewrite(changes)

    def origin(self, name: str) -> tuple[Numbers, Numbers]:
        """Return for each row of a table its unit, and its number there."""
        parts = self._origins[name]
        units = np.repeat([unit for unit, _ in parts], [len(rows) for _, rows in parts])
        return units.astype(np.int64), np.concatenate([rows for _, rows in parts])


class Alone(InMemory):
    """The tables of a unit of which no answer is linked with any other; read when asked for."""

    def __init__(self, number: int, unit: UnitTables):
        super().__init__()
        #: What merging changes.
        self.changes: Mapping[str, Change] = {}
        self._number = number
        self._unit = unit

    def rows(self, name: str) -> int:  # noqa: D102
        return super().rows(name) if name in self._batches else self._unit.tables[name].rows

    def batches(self, name: str, columns: Sequence[str]) -> Iterator[pa.Table]:  # noqa: D102
        if name in self._batches:
            yield from super().batches(name, columns)
        else:
            yield from self._unit.batches(name, columns)

    def rewrite(self, changes: Mapping[str, Change]) -> None:  # noqa: D102
        self.changes = changes
        for name in changes:
            self.append(name, self._unit.narrow(name))
        super().rewrite(changes)

    def origin(self, name: str) -> tuple[Numbers, Numbers]:
        """Return for each row of a table its unit, and its number there."""
        rows = np.arange(self._unit.tables[name].rows)
        return np.full(len(rows), self._number), rows


@dataclass(frozen=True)
class Outside:
    """What has to be known of answers that are not looked at together.

    Attributes
    ----------
    exports
        When each export was made that rows name by its number.
    made
        The time of the newest that tells when it was made.
    common
        For each identity the numbers of values that are nobody's, since too many share them.
    """

    exports: list[Dated]
    made: datetime | None
    common: Common


@dataclass
class Told:
    """What is told of answers beside what becomes of their rows.

    Attributes
    ----------
    merged, below
        How many rows of each table went into others, and hung on what was refused.
    late
        What was refused, each with the number of its unit and its row there.
    cases
        What is odd.
    now
        What now is.
    """

    merged: Counter[str] = field(default_factory=Counter)
    below: Counter[str] = field(default_factory=Counter)
    late: list[tuple[tuple[int, int], str, Reject]] = field(default_factory=list)
    cases: list[pa.Table] = field(default_factory=list)
    now: datetime | None = None

    def add(self, more: Told) -> None:
        """Add what is told of other answers."""
        self.merged.update(more.merged)
        self.below.update(more.below)
        self.late += more.late
        self.cases += more.cases
        self.now = max((now for now in (self.now, more.now) if now is not None), default=None)


@dataclass(frozen=True)
class Settled:
    """What becomes of the rows of a unit that some answers told.

    Attributes
    ----------
    fates
        Of each table with keys the rows that do not stay with all that hangs on them, and the bits
        that :class:`Fate` has of each.
    names
        What is put in place of keys.
    """

    fates: dict[str, tuple[Numbers, npt.NDArray[np.uint8]]]
    names: Names


@dataclass(frozen=True)
class Giving:
    """What rows of a unit give to others.

    Attributes
    ----------
    rows
        Of each table the rows that give something, the units and rows that it goes to, and the bits
        of what.
    names
        What is put in place of keys in them.
    """

    rows: dict[str, tuple[Numbers, Numbers, Numbers, Bits]]
    names: Names


@dataclass(frozen=True)
class Decided:
    """What is decided about answers that have nothing to do with others.

    Attributes
    ----------
    told
        What is told of them.
    settled
        What becomes of the rows of each unit.
    gives
        What rows of each unit give to others.
    """

    told: Told
    settled: dict[int, Settled]
    gives: dict[int, Giving]


def decide(keep: Shard | Alone, flattening: Flattening, outside: Outside) -> Decided:
    """Merge answers that have nothing to do with others, and say what becomes of their units.

    Parameters
    ----------
    keep
        Their tables.
    flattening
        How answers became tables.
    outside
        What has to be known of other answers.
    """
    keys = {
        column: _together(keep, name, column)
        for name, column in (("responses", "customer_key"), ("points", "redemption_key"))
    }
    origins = {name: keep.origin(name) for name in (*KEYS, "responses")}
    personal = flattening.pseudonym is None
    merging = Merging(keep, Dating(outside.exports, made=outside.made), outside.common)
    merging.take_over({}, old=True)
    merging.look_for_repeats(personal=personal)
    cases, now = merging.finish(flattening)
    units, rows = origins["reversals"]
    places = [(int(units[row]), int(rows[row])) for row in merging.refused.rows]
    late = [
        (place, *reject)
        for place, reject in zip(places, late_rejects(merging, personal=personal), strict=True)
    ]
    told = Told(merging.merged, merging.below, late, [cases] if len(cases) else [], now)
    changes = [change for change in keep.changes.values() if isinstance(change, Final)]
    settled = _settled(changes, origins, keys)
    return Decided(told, settled, _gives(changes, origins, settled))


def _together(keep: Shard | Alone, name: str, column: str) -> pa.ChunkedArray:
    chunks = [c for batch in keep.batches(name, [column]) for c in batch[column].chunks]
    return pa.chunked_array(chunks, pa.string())


def _settled(
    changes: Iterable[Final],
    origins: Mapping[str, tuple[Numbers, Numbers]],
    keys: Mapping[str, pa.ChunkedArray],
) -> dict[int, Settled]:
    fates: dict[str, Fate] = {}
    renamings: dict[str, Renaming] = {}
    for final in changes:
        renamings |= final.renamings
        if final.fate is not None:
            fates[final.fate.name] = final.fate
    of_units: dict[int, dict[str, tuple[Numbers, npt.NDArray[np.uint8]]]] = {}
    for name, fate in fates.items():
        changed, bits = fate.changed
        units, rows = origins[name]
        for unit, own in _by_unit(units[changed]):
            of_units.setdefault(unit, {})[name] = rows[changed[own]], bits[own]
    names: dict[int, dict[str, Renaming]] = {}
    for column, renaming in renamings.items():
        units, _ = origins["responses" if column == "customer_key" else "points"]
        old = pa.array([*renaming.names], pa.string())
        concerned = np.flatnonzero(pc.is_in(keys[column], old).to_numpy())
        for unit, own in _by_unit(units[concerned]):
            chosen = keys[column].take(pa.array(concerned[own]))
            names.setdefault(unit, {})[column] = renaming.among(chosen)
    none = Renaming()
    return {
        unit: Settled(
            of_units.get(unit, {}),
            Names(
                names.get(unit, {}).get("customer_key", none),
                names.get(unit, {}).get("redemption_key", none),
            ),
        )
        for unit in sorted({*of_units, *names})
    }


def _gives(
    changes: Iterable[Final],
    origins: Mapping[str, tuple[Numbers, Numbers]],
    settled: Mapping[int, Settled],
) -> dict[int, Giving]:
    found: dict[int, Giving] = {}
    for final in changes:
        if final.given is not None and final.given.moves is not None:
            giving, into, bits = final.given.moves
            units, rows = origins[final.name]
            for unit, own in _by_unit(units[giving]):
                # What gives goes, so there is something settled.
                giver = found.setdefault(unit, Giving({}, settled[unit].names))
                giver.rows[final.name] = (
                    rows[giving[own]],
                    units[into[own]],
                    rows[into[own]],
                    bits[own],
                )
    return found


def _by_unit(units: Numbers) -> Iterator[tuple[int, Numbers]]:
    """Yield each unit, and the places at which it stands."""
    order = np.argsort(units, kind="stable")
    found, starts = np.unique(units[order], return_index=True)
    yield from zip(found.tolist(), np.split(order, starts)[1:], strict=True)


def values_of(unit: UnitTables, giving: Sequence[Giving]) -> dict[int, dict[str, pa.Table]]:
    """Read what rows of a unit give; return it for each unit that it goes to, by table."""
    found: dict[int, dict[str, pa.Table]] = {}
    names = Names.together(each.names for each in giving)
    for name in sorted({name for each in giving for name in each.rows}):
        parts = [each.rows[name] for each in giving if name in each.rows]
        rows, units, into, bits = (np.concatenate(several) for several in zip(*parts, strict=True))
        columns = given_columns(name, bits)
        table = pa.concat_tables(unit.batches(name, columns))
        values = renamed(table.take(pa.array(rows)), names.within(name))
        values = values.append_column(INTO, pa.array(into)).append_column(GIVES, pa.array(bits))
        for number, own in _by_unit(units):
            found.setdefault(number, {})[name] = values.take(pa.array(own))
    return found


def final_of(
    unit: UnitTables, settled: Sequence[Settled], values: Sequence[Mapping[str, pa.Table]]
) -> dict[str, Final]:
    """Return what puts the tables of a unit into their final form, of those that change.

    Parameters
    ----------
    unit
        The unit.
    settled
        What becomes of its rows, those of different answers apart.
    values
        What other rows give to them, by table.
    """
    fates = {name: Fate(name, unit.tables[name].rows) for name in KEYS}
    for each in settled:
        for name, (rows, bits) in each.fates.items():
            fates[name].hold(rows, bits)
    given = {
        name: Given.holding(name, _combined([each[name] for each in values if name in each]))
        for name in sorted({name for each in values for name in each})
    }
    return finals(Names.together(each.names for each in settled), fates, given)


def _combined(values: Sequence[pa.Table]) -> pa.Table:
    """Put values together, of which some tables have columns that others have not."""
    return pa.concat_tables(values, promote_options="default").combine_chunks()
