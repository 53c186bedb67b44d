"""Merging chosen answers of units again, by the rules of :mod:`redemption_analytics.merging`."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from redemption_analytics.flattening.flatten import Flattening, Tables
from redemption_analytics.loading.provenance import late_rejects, rejects_table
from redemption_analytics.merging.export_times import EXPORT, Dated, Dating
from redemption_analytics.merging.links import Links, Numbers
from redemption_analytics.merging.merge import Merging
from redemption_analytics.merging.stores import InMemory, Keep
from redemption_analytics.sources.export import by_number
from redemption_analytics.warehouse.known import ANSWERS, NUMBER, READ_AT
from redemption_analytics.warehouse.stage import StagedUnit

Mask = npt.NDArray[np.bool_]

#: So many answers are read at a time.
_AT_A_TIME = 50_000

#: So many answers are kept, to be merged once more.
_KEPT = 100_000


@dataclass(frozen=True)
class Merged:
    """What became of answers.

    Attributes
    ----------
    tables
        The tables in their final form, by parts; ``late_rejects`` and ``cases`` are among them.
    below
        How many rows of each table hung on what merging refused.
    repeats
        How many rows of each table were merged into others.
    now
        What now is, by these answers.
    """

    tables: Tables
    below: Mapping[str, int]
    repeats: Mapping[str, int]
    now: datetime | None

    @property
    def cases(self) -> pa.Table:
        """The cases of what is odd."""
        return self.tables["cases"]


class Stage:
    """The units of a warehouse, as one order of answers.

    Parameters
    ----------
    units
        The units.
    """

    def __init__(self, units: Sequence[StagedUnit]):
        self.units = units
        self.exports = [unit.exports() for unit in units]
        self._numbers: list[int] = []
        self._read: dict[tuple[int, bytes], Tables] = {}
        self.dates: list[Dated] = []
        for unit, exports in zip(units, self.exports, strict=True):
            self._numbers.append(len(self.dates))
            numbered = sorted(
                (row for row in exports.to_pylist() if row[NUMBER] is not None),
                key=lambda row: row[NUMBER],
            )
            self.dates += [
                Dated(row["exported_at"], row["dated_by"], row.get(READ_AT) or unit.unit.read_at)
                for row in numbered
            ]

    def parts(self, masks: Sequence[Mask]) -> Iterator[Tables]:
        """Return what chosen answers say, in the total order of answers.

        Parameters
        ----------
        masks
            For each unit which of its answers are chosen.
        """
        few = sum(int(mask.sum()) for mask in masks) <= _KEPT
        for place, answers in self._runs(masks):
            if not few:
                yield self._tables(place, answers)
                continue
            # What is merged without something new, and then with it, is mostly read in one run.
            key = (place, answers.tobytes())
            if key not in self._read:
                self._read[key] = self._tables(place, answers)
            yield self._read[key]

    def release(self) -> None:
        """Let go what was read of answers."""
        self._read.clear()

    def _tables(self, place: int, answers: Numbers) -> Tables:
        tables = self.units[place].tables(answers)
        for name in ("points", "coupons"):
            column = tables[name].schema.get_field_index(EXPORT)
            numbers = tables[name][EXPORT].to_numpy() + np.int32(self._numbers[place])
            tables[name] = tables[name].set_column(column, EXPORT, pa.array(numbers))
        return tables

    def _runs(self, masks: Sequence[Mask]) -> Iterator[tuple[int, Numbers]]:
        """Divide answers into runs of one unit, in the order of (exported_at, name, record)."""
        ranks = self._ranks()
        chosen = [np.flatnonzero(mask) for mask in masks]
        units = np.repeat(np.arange(len(masks)), [len(answers) for answers in chosen])
        answers = np.concatenate([np.array([], np.int64), *chosen])
        rank = np.concatenate(
            [np.array([], np.int64), *(ranks[n][answers] for n, answers in enumerate(chosen))]
        )
        order = np.lexsort((answers, units, rank))
        units, answers = units[order], answers[order]
        # In a unit of several ingests older exports may come after newer ones.
        ends_before = (np.diff(units, prepend=-1) != 0) | (np.diff(answers, prepend=-1) < 0)
        starts = np.flatnonzero(ends_before)
        yielded = False
        ends = np.append(starts, len(units))[1:]
        for start, end in zip(starts.tolist(), ends.tolist(), strict=True):
            for first in range(start, end, _AT_A_TIME):
                yield int(units[start]), answers[first : min(first + _AT_A_TIME, end)]
                yielded = True
        if not yielded:
            # The tables without rows have their columns.
            yield 0, np.array([], np.int64)

    def _ranks(self) -> list[Numbers]:
        """Return the rank of each answer's export, unit by unit."""
        every = [
            (row["exported_at"], *by_number(row["source"]), place, number)
            for place, exports in enumerate(self.exports)
            for number, row in enumerate(exports.select(["exported_at", "source"]).to_pylist())
        ]
        ranks = [np.zeros(len(exports), np.int64) for exports in self.exports]
        for rank, (_, _, _, place, number) in enumerate(sorted(every)):
            ranks[place][number] = rank
        return [
            np.repeat(own, exports[ANSWERS].to_numpy())
            for own, exports in zip(ranks, self.exports, strict=True)
        ]

    def merged(
        self,
        masks: Sequence[Mask],
        flattening: Flattening,
        common: Mapping[str, Links],
        *,
        personal: bool,
    ) -> Merged:
        """Merge chosen answers in memory.

        Parameters
        ----------
        masks
            For each unit which of its answers are chosen; all that are linked with these.
        flattening
            How answers became tables.
        common
            The numbers of values that too many customers share, for each identity.
        personal
            Whether personal data may be shown.
        """
        keep = InMemory()
        merged = self.merged_into(keep, masks, flattening, common, personal=personal)
        return replace(merged, tables={**keep.tables(), **merged.tables})

    def merged_into(
        self,
        keep: Keep,
        masks: Sequence[Mask],
        flattening: Flattening,
        common: Mapping[str, Links],
        *,
        personal: bool,
    ) -> Merged:
        """Merge chosen answers where tables can grow; return what is no table there."""
        merging = Merging(keep, Dating(self.dates), common)
        for tables in self.parts(masks):
            merging.add(tables)
        cases, now = merging.finish(flattening)
        late = rejects_table(late_rejects(merging, personal=personal))
        return Merged({"late_rejects": late, "cases": cases}, merging.below, merging.merged, now)
