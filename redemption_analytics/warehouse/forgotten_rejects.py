"""Rejects of whom a warehouse forgets: those of their answers go, others lose what they quote."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np
import pyarrow as pa

from redemption_analytics.tables.arrow import arrow_schema_of
from redemption_analytics.warehouse.books import READ
from redemption_analytics.warehouse.files import rows_of
from redemption_analytics.warehouse.log import Entry
from redemption_analytics.warehouse.mentions import Mentions, element_of
from redemption_analytics.warehouse.merged import Mask
from redemption_analytics.warehouse.stage import StagedUnit
from redemption_analytics.warehouse.store import Store
from redemption_analytics.warehouse.units import Unit

#: Stands for what a reject says where that may be the person's.
_FORGOTTEN = "the value was refused, and is forgotten"


@dataclass(frozen=True)
class Parted:
    """A unit of which answers go.

    Attributes
    ----------
    was
        The unit as it was.
    gone
        Which of its answers are the person's.
    touched
        Which others say something else afterwards.
    """

    was: StagedUnit
    gone: Mask
    touched: Mask

    @property
    def stays(self) -> Mask:
        """Which of its answers stay."""
        return ~self.gone


@dataclass(frozen=True)
class Rejects:
    """What was refused of a person's answers, or quotes the person.

    Attributes
    ----------
    gone
        The rejects that go.
    changed, come
        Those of them that stay, as they were, and without what they quoted.
    counts
        How many elements of each kind that are refused no more, by source and record.
    """

    gone: pa.Table
    changed: pa.Table
    come: pa.Table
    counts: Mapping[tuple[str, int], Counter[str]]

    @classmethod
    def of(
        cls,
        store: Store,
        entry: Entry,
        parted: Sequence[Parted],
        mentions: Mentions,
        names: Mapping[str, str],
    ) -> Rejects:
        """Find them."""
        rows = rows_of(store, entry.files, "rejects", READ)
        mine, others = set[tuple[str, int]](), set[tuple[str, int]]()
        for each in parted if rows.num_rows else ():
            for place, (source, record) in enumerate(_records(each.was)):
                (mine if each.gone[place] else others).add((source, record))
        gone, changed, come, counts = [], [], [], dict[tuple[str, int], Counter[str]]()
        for row in rows.to_pylist():
            where = (row["source"], row["record"])
            quoted = any(mentions.named_by(row[name] or "") for name in ("path", "reason", "raw"))
            new = {**row, "source": names.get(row["source"], row["source"])}
            if where in mine and where not in others:
                counts.setdefault(where, Counter())[element_of(row["path"])] += 1
                gone.append(row)
                continue
            if where in mine or quoted:
                new |= {"path": None, "reason": _FORGOTTEN, "raw": None}
            if new != row:
                gone.append(row)
                changed.append(row)
                come.append(new)
        schema = arrow_schema_of("rejects")
        return cls(
            pa.Table.from_pylist(gone, schema),
            pa.Table.from_pylist(changed, schema),
            pa.Table.from_pylist(come, schema),
            counts,
        )

    def left_of(self, unit: Unit, parted: Parted) -> Unit:
        """Take what is refused no more out of what a unit counts."""
        fewer = Counter[str]()
        if self.counts and parted.gone.any():
            records = _records(parted.was)
            for where in {records[place] for place in np.flatnonzero(parted.gone).tolist()}:
                fewer += self.counts.get(where, Counter())
        if not fewer:
            return unit
        seen, rejected = Counter(unit.seen), Counter(unit.rejected)
        seen.subtract(fewer)
        rejected.subtract(fewer)
        return replace(unit, seen=dict(seen), rejected=dict(+rejected))


def _records(unit: StagedUnit) -> list[tuple[str, int]]:
    """Return source and record of the answers of a unit."""
    return [
        where
        for batch in unit.batches("responses", ["source", "record"])
        for where in zip(batch["source"].to_pylist(), batch["record"].to_pylist(), strict=True)
    ]
