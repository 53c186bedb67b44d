"""Tables that lie in a staging directory unit by unit, as merging sees them: as one."""

from __future__ import annotations

import pickle
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from redemption_analytics.flattening.flatten import ANSWER, PARENT, PARENTS
from redemption_analytics.merging.export_times import EXPORT, Dated
from redemption_analytics.merging.merge import Final
from redemption_analytics.merging.stores import Change, Grown, OnDisk
from redemption_analytics.spark.deciding import decided_on_executors
from redemption_analytics.spark.jobs import Decision, Finish, Staged, on_executors
from redemption_analytics.spark.shards import Told
from redemption_analytics.spark.stretches import Before
from redemption_analytics.spark.unit_tables import UnitTables, write_unit
from redemption_analytics.tables.parts import PARTS

Numbers = npt.NDArray[np.int64]


class StagedTables:
    """Tables of units in their order: a keep, of which only narrow columns are read here.

    Parameters
    ----------
    session
        The session of Spark, whose executors rewrite.
    folder
        The staging directory.
    units
        The units.
    before
        What came in its file before each unit that is a stretch of one, by their numbers.
    scratch
        A directory for what merging does not hold in memory.
    """

    def __init__(
        self,
        session: Any,
        folder: Path,
        units: Sequence[Staged],
        before: Mapping[int, Before],
        scratch: Path,
    ):
        self.scratch: Path | None = scratch
        self._session = session
        self._folder = folder
        self._before = before
        self._tables = [dict(unit.tables) for unit in units]
        own = folder / "units" / "driver"
        (own / "beside").mkdir(parents=True)
        self._own = OnDisk(own, str(own / "beside"), PARTS)
        # By which numbers redemptions name the exports of each unit.
        dated = [len(unit.gathered.dated) for unit in units]
        self._exports = np.cumsum([0, *dated])

    def append(self, name: str, table: pa.Table) -> None:
        """Add rows to a table that executors do not write."""
        self._own.append(name, table)

    def rows(self, name: str) -> int:
        """Count the rows of a table."""
        return sum(unit[name].rows for unit in self._tables if name in unit) + self._own.rows(name)

    def batches(self, name: str, columns: Sequence[str]) -> Iterator[pa.Table]:
        """Return some columns of a table, batch by batch."""
        starts = dict.fromkeys((PARENT, ANSWER), 0)
        for number, unit in enumerate(self._tables):
            starts[EXPORT] = int(self._exports[number])
            if name in unit:
                before = self._before.get(number) if name == "responses" else None
                for batch in unit[name].batches(columns):
                    if before is not None and "record" in columns:
                        batch = before.put_into(name, batch)
                    yield _shifted(batch, starts)
            starts[ANSWER] += unit["responses"].rows
            starts[PARENT] += unit[PARENTS[name]].rows if name in PARENTS else 0

    def rewrite(self, changes: Mapping[str, Change]) -> None:
        """Have executors put those units into final form that are not yet."""
        (self._folder / "decisions").mkdir()
        names = {*changes, *(PARENTS[name] for name in changes if name in PARENTS)}
        starts = {
            name: np.cumsum([0, *(unit[name].rows for unit in self._tables)]) for name in names
        }
        decided = [
            number for number in range(len(self._tables)) if self._decide(number, changes, starts)
        ]
        self._take(on_executors(self._session, Finish(str(self._folder)), decided))

    def decide_on_executors(self, exports: list[Dated]) -> Told:
        """Have executors decide, and put units into their final form; return what is told.

        Parameters
        ----------
        exports
            When each export was made that rows name by its number.
        """
        for number, tables in enumerate(self._tables):
            before = self._before.get(number)
            unit = UnitTables(tables, before, int(self._exports[number]))
            write_unit(self._folder, number, unit)
        told, new = decided_on_executors(self._session, self._folder, len(self._tables), exports)
        self._take(new)
        return told

    def _take(self, new: Mapping[int, Mapping[str, Grown]]) -> None:
        """Let units have tables in their final form."""
        for number, tables in new.items():
            self._tables[number].update(tables)
        # From here on their files say what came before.
        self._before = {}

    def _decide(
        self, number: int, changes: Mapping[str, Change], starts: Mapping[str, Numbers]
    ) -> bool:
        """Write down what becomes of a unit; say whether it is anything."""
        before = self._before.get(number)
        decisions: dict[str, Decision] = {
            name: Decision(self._tables[number][name], before, None)
            for name in ("responses", "rejects")
            if before is not None and name in self._tables[number]
        }
        for name, change in changes.items():
            assert isinstance(change, Final)
            grown = self._tables[number][name]
            own, parents = (
                (int(starts[table][number]), int(starts[table][number + 1]))
                for table in (name, PARENTS.get(name, name))
            )
            keys = {
                column: pa.chunked_array(
                    [c for b in grown.batches([column]) for c in b[column].chunks], pa.string()
                )
                for column in change.renamings
            }
            final = change.within(own, parents, keys)
            if final is not None:
                decisions[name] = Decision(
                    grown, before if name in ("responses", "rejects") else None, final
                )
        if decisions:
            (self._folder / "decisions" / f"{number}").write_bytes(pickle.dumps(decisions))
        return bool(decisions)

    def files(self) -> dict[str, list[Path]]:
        """Return the files of each table in their order: those with rows, or else one."""
        self._own.finish()
        found: dict[str, list[Grown]] = {}
        for unit in (*self._tables, self._own.grown()):
            for name, grown in unit.items():
                found.setdefault(name, []).append(grown)
        return {
            name: [grown.path for grown in several if grown.rows] or [several[0].path]
            for name, several in found.items()
        }

    def close(self) -> None:
        """End what is written here."""
        self._own.__exit__()


def _shifted(batch: pa.Table, starts: Mapping[str, int]) -> pa.Table:
    """Let a batch of a unit count from the beginning of all of them."""
    for column, start in starts.items():
        if start and column in batch.column_names:
            place = batch.schema.get_field_index(column)
            kind = batch.schema.field(column).type
            batch = batch.set_column(place, column, pc.add(batch[column], pa.scalar(start, kind)))
    return batch
