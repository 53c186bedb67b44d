"""Provenance: where the rows of blocks and what was refused of them come from."""

from __future__ import annotations

from bisect import bisect_left
from dataclasses import dataclass

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from redemption_analytics.flattening.flatten import ANSWER, Tables
from redemption_analytics.merging.conflicts import PATH
from redemption_analytics.merging.export_times import EXPORT, Dating
from redemption_analytics.merging.merge import Merging
from redemption_analytics.parsing import Reject
from redemption_analytics.sources.export import Export
from redemption_analytics.tables.arrow import arrow_schema_of, declared


@dataclass(frozen=True)
class Origin:
    """Where the records of some blocks come from.

    Attributes
    ----------
    exports
        The export of each block.
    starts
        How many records of all the blocks came before it.
    before
        How many records of its export came before it.
    """

    exports: list[Export]
    starts: list[int]
    before: list[int]

    def place(self, reject: Reject) -> tuple[str, Reject]:
        """Return the source of a reject, and the reject with the number of its record there."""
        if reject.record is None:
            return self.exports[0].name, reject
        source, record = self.of(reject.record)
        return source, reject._replace(record=record)

    def of(self, number: int) -> tuple[str, int]:
        """Return the source of a record, and its number there."""
        block = bisect_left(self.starts, number) - 1
        return self.exports[block].name, number - self.starts[block] + self.before[block]


def with_provenance(tables: Tables, origin: Origin, dating: Dating) -> Tables:
    """Say in the tables of some blocks where their rows come from.

    Parameters
    ----------
    tables
        The tables; ``responses`` have the number of their record in the blocks.
    origin
        Where the blocks come from.
    dating
        Gives the exports numbers, by which redemptions name them.
    """
    rows = tables["responses"]
    numbers = rows["record"].to_numpy()
    blocks = np.searchsorted(origin.starts, numbers) - 1
    records = pa.array(numbers + np.subtract(origin.before, origin.starts)[blocks])
    rows_of = pa.array(blocks)
    names = pa.array([export.name for export in origin.exports], pa.string())
    named = pa.array([export.name + export.edition for export in origin.exports], pa.string())
    made = pa.array([export.exported_at for export in origin.exports], pa.timestamp("us"))
    dated_by = pa.array([export.dated_by for export in origin.exports], pa.string())
    sources = names.take(rows_of)
    ids = pc.binary_join_element_wise(
        pc.binary_join_element_wise(named.take(rows_of), records.cast(pa.string()), "#"),
        rows["position"].cast(pa.string()),
        "/",
    )
    responses = (
        rows.drop_columns(["record", "position"])
        .append_column("response_id", ids)
        .append_column("source", sources)
        .append_column("record", records)
        .append_column("exported_at", made.take(rows_of))
        .append_column("dated_by", dated_by.take(rows_of))
    )
    exports = np.array([dating.number(export) for export in origin.exports], np.int32)[blocks]
    dated = {
        name: tables[name].append_column(EXPORT, pa.array(exports[tables[name][ANSWER].to_numpy()]))
        for name in ("points", "coupons")
    }
    return tables | dated | {"responses": declared("responses", responses)}


def rejects_table(placed: list[tuple[str, Reject]]) -> pa.Table:
    """Return rejects as a table, each with its source."""
    schema = arrow_schema_of("rejects")
    columns = [[source for source, _ in placed]] + [
        [getattr(reject, name) for _, reject in placed] for name in schema.names[1:]
    ]
    return pa.table([pa.array(c, f.type) for c, f in zip(columns, schema, strict=True)], schema)


def late_rejects(merging: Merging, *, personal: bool) -> list[tuple[str, Reject]]:
    """Return what merging refused, with its source: reversals that two redemptions have.

    Parameters
    ----------
    merging
        What merged.
    personal
        Whether personal data may be shown.
    """
    refused = merging.refused
    places = merging.answers([reversal.answer for reversal in refused.reversals])
    return [
        (source, Reject("reversals", record, None, PATH, one.reason, one.raw if personal else None))
        for (source, record), one in zip(places, refused.reversals, strict=True)
    ]


def said(source: str, reject: Reject) -> str:
    """Return where something was refused, and why."""
    place = [source]
    if reject.line is not None:
        place.append(f"line {reject.line}")
    elif reject.record is not None:
        place.append(f"record {reject.record}")
    if reject.path is not None:
        place.append(reject.path)
    return f"{', '.join(place)}: {reject.reason}"
