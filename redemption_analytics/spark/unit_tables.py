"""The tables of a unit, as executors find them in the staging directory: whole, or narrow.

In narrow tables a text that merging only asks whether it is told has lost its letters.
"""

from __future__ import annotations

import pickle
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import pyarrow as pa
import pyarrow.compute as pc

from redemption_analytics.merging.customers import IDENTITY_COLUMNS
from redemption_analytics.merging.export_times import EXPORT
from redemption_analytics.merging.fates import BREAKUPS, KEYS
from redemption_analytics.merging.same_redemption import AGREEING
from redemption_analytics.merging.stores import Grown
from redemption_analytics.spark.stretches import Before

#: Texts that are compared; of others merging only asks whether they are told.
_COMPARED_TEXTS = frozenset(
    {
        *("customer_key", "redemption_key", "redemption_id", "source", "dated_by"),
        *AGREEING,
        *IDENTITY_COLUMNS,
        *(column for columns in BREAKUPS.values() for column in columns),
    }
)


@dataclass(frozen=True)
class UnitTables:
    """The tables of a unit, as they were parsed.

    Attributes
    ----------
    tables
        The tables.
    before
        What came in its file before it; None where nothing did.
    exports
        How many exports of the units before have numbers.
    """

    tables: Mapping[str, Grown]
    before: Before | None
    exports: int

    def batches(self, name: str, columns: Sequence[str]) -> Iterator[pa.Table]:
        """Return some columns of a table, records and exports counted through all units."""
        for batch in self.tables[name].batches(columns):
            if name == "responses" and self.before is not None and "record" in columns:
                batch = self.before.put_into(name, batch)
            if EXPORT in columns:
                place = batch.schema.get_field_index(EXPORT)
                kind = batch.schema.field(EXPORT).type
                numbers = pc.add(batch[EXPORT], pa.scalar(self.exports, kind))
                batch = batch.set_column(place, batch.schema.field(EXPORT), numbers)
            yield batch

    def narrow(self, name: str) -> pa.Table:
        """Return what merging may ask of a table."""
        schema = self.tables[name].schema
        wanted, hollow = [], []
        for each in schema:
            if not pa.types.is_string(each.type) or each.name in _COMPARED_TEXTS:
                wanted.append(each.name)
            elif name in KEYS and each.nullable:
                wanted.append(each.name)
                hollow.append(each.name)
        table = pa.concat_tables(self.batches(name, wanted)).combine_chunks()
        for column in hollow:
            place = table.schema.get_field_index(column)
            table = table.set_column(place, table.schema.field(column), _hollow(table[column]))
        return table


def write_unit(folder: Path, number: int, unit: UnitTables) -> None:
    """Write down for executors where the tables of a unit lie."""
    (folder / "staged").mkdir(exist_ok=True)
    (folder / "staged" / f"{number}").write_bytes(pickle.dumps(unit))


def unit_tables(folder: str, number: int) -> UnitTables:
    """Return the tables of a unit, where :func:`write_unit` says that they lie."""
    unit: UnitTables = pickle.loads((Path(folder) / "staged" / f"{number}").read_bytes())
    return unit


def _hollow(texts: pa.ChunkedArray) -> pa.Array:
    """Return an empty text for each text, and nothing for nothing."""
    told = pc.is_valid(texts)
    return pc.if_else(told, pa.scalar(""), pa.scalar(None, pa.string())).combine_chunks()
