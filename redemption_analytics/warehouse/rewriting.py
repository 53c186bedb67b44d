"""Units written anew: without some of their answers, or several as one."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from redemption_analytics.contract import ELEMENTS
from redemption_analytics.dating import TELLING
from redemption_analytics.flattening.flatten import Tables
from redemption_analytics.loading.pipeline import GROWING
from redemption_analytics.merging.export_times import EXPORT
from redemption_analytics.merging.links import Linking
from redemption_analytics.merging.merge import shifted
from redemption_analytics.tables.parts import whole_of
from redemption_analytics.warehouse.known import ANSWERS, CAME_IN, NUMBER, READ_AT
from redemption_analytics.warehouse.merged import Mask
from redemption_analytics.warehouse.stage import StagedUnit
from redemption_analytics.warehouse.staging import Staging
from redemption_analytics.warehouse.store import Store
from redemption_analytics.warehouse.units import Unit, folder_of, odd_together

#: So many answers are read at a time.
_AT_A_TIME = 50_000

#: Changes what some rows of a table say, not how many there are.
Edit = Callable[[str, pa.Table], pa.Table]


@dataclass(frozen=True)
class Part:
    """What is taken of a unit.

    Attributes
    ----------
    unit
        The unit.
    answers
        Which of its answers.
    """

    unit: StagedUnit
    answers: Mask

    @classmethod
    def whole(cls, unit: StagedUnit) -> Part:
        """Take all of a unit."""
        return cls(unit, np.ones(unit.unit.answers, bool))

    def tables(self) -> Iterator[Tables]:
        """Return what the answers say, some at a time."""
        chosen = np.flatnonzero(self.answers)
        # The tables without rows have their columns.
        for first in range(0, max(len(chosen), 1), _AT_A_TIME):
            yield self.unit.tables(chosen[first : first + _AT_A_TIME])


def came_in_of(unit: Unit, exports: pa.Table) -> pa.Array | pa.ChunkedArray:
    """Return the name of the unit that each export of a unit came in."""
    if CAME_IN in exports.column_names:
        return exports[CAME_IN]
    return pa.repeat(unit.name, len(exports))


def rewritten(
    store: Store,
    name: str,
    parts: Sequence[Part],
    linking: Linking,
    scratch: Path,
    edit: Edit | None = None,
) -> Unit:
    """Write a unit of parts of others, in their order.

    Parameters
    ----------
    store
        Where it goes.
    name
        Its name.
    parts
        The parts, of one unit or more.
    linking
        Collects its links.
    scratch
        A directory for what grows.
    edit
        Changes what ``responses``, tables below and ``exports`` say.

    Returns
    -------
    Unit
        The unit. It came in the units that its parts did where all of these is in it as it was.
    """
    edit = edit or _as_it_is
    seen = Counter[str]()
    exports: list[pa.Table] = []
    numbers = 0
    with store.left_out(folder_of(name)), Staging(scratch, linking) as staging:
        for part in parts:
            before = {table: staging.rows(table) for table in GROWING}
            for tables in part.tables():
                _numbered(tables, numbers)
                for table, rows in shifted(tables, staging.rows).items():
                    staging.append(table, edit(table, rows))
            seen.update(part.unit.unit.seen)
            seen.subtract(_missing(part.unit.unit, staging, before))
            own = edit("exports", _exports(part, numbers))
            numbers += len(own) - own[NUMBER].null_count
            exports.append(own)
        whole = edit is _as_it_is and all(part.answers.all() for part in parts)
        together = pa.concat_tables(exports)
        if not whole:
            together = together.drop_columns([CAME_IN])
        rows_of, links = staging.keep(store, name, together)
    units = [part.unit.unit for part in parts]
    return Unit(
        name,
        rows_of,
        links,
        max(unit.read for unit in units),
        dict(+seen),
        dict(sum((Counter(unit.rejected) for unit in units), Counter[str]())),
        _newest(together),
        odd_together(units),
        [came_in for unit in units for came_in in unit.came_in] if whole else [],
    )


def _as_it_is(_: str, table: pa.Table) -> pa.Table:
    return table


def _numbered(tables: Tables, before: int) -> None:
    """Let redemptions name their exports by numbers that others went before."""
    for name in ("points", "coupons"):
        place = tables[name].schema.get_field_index(EXPORT)
        numbers = tables[name][EXPORT].to_numpy() + np.int32(before)
        tables[name] = tables[name].set_column(place, EXPORT, pa.array(numbers))


def _missing(unit: Unit, staging: Staging, before: Mapping[str, int]) -> Counter[str]:
    """Count the elements of a unit that were not taken over."""
    missing = Counter[str]()
    for table in GROWING:
        if whole_of(table) in ELEMENTS:
            missing[whole_of(table)] += unit.rows[table] - (staging.rows(table) - before[table])
    return missing


def _exports(part: Part, numbers: int) -> pa.Table:
    """Return the exports of a part, with how many of the answers are theirs."""
    unit, exports = part.unit.unit, part.unit.exports()
    whose = np.repeat(np.arange(len(exports)), exports[ANSWERS].to_numpy())
    answers = np.bincount(whose[part.answers], minlength=len(exports))
    columns = {
        ANSWERS: pa.array(answers, pa.int64()),
        NUMBER: pc.add(exports[NUMBER], pa.scalar(numbers, pa.int32())),
        READ_AT: exports[READ_AT]
        if READ_AT in exports.column_names
        else pa.array([unit.read_at] * len(exports), pa.timestamp("us")),
        CAME_IN: came_in_of(unit, exports),
    }
    own = [name for name in exports.column_names if name not in columns]
    return pa.table({**{name: exports[name] for name in own}, **columns})


def _newest(exports: pa.Table) -> str | None:
    """Return the time of the newest export that tells it, of those with answers."""
    telling = pc.and_(
        pc.is_in(exports["dated_by"], pa.array(TELLING)), pc.greater(exports[ANSWERS], 0)
    )
    newest = pc.max(exports["exported_at"].filter(telling)).as_py()
    return newest.isoformat() if newest is not None else None
