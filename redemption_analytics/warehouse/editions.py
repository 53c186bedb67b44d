"""What tells answers of one export from those of another that had its name before."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import pyarrow as pa
import pyarrow.compute as pc

from redemption_analytics.sources.export import Export
from redemption_analytics.warehouse.store import Store
from redemption_analytics.warehouse.units import Unit


def renamed_apart(
    store: Store, unit: Unit, before: Sequence[Export], after: Sequence[Export], scratch: Path
) -> None:
    """Give answers of a unit that no version names yet the names of later editions.

    Another writer may have taken their names meanwhile, and payloads cannot be read once more.

    Parameters
    ----------
    store
        Holds the unit.
    unit
        The unit.
    before, after
        Its exports, with the editions that its answers are named after, and those that they get.
    scratch
        A file to write.
    """
    pairs = zip(before, after, strict=True)
    changed = [(was, becomes) for was, becomes in pairs if was.edition != becomes.edition]
    if not changed:
        return
    with store.open(unit.path("responses.arrow")) as source, pa.ipc.open_file(source) as old:
        options = pa.ipc.IpcWriteOptions(compression="lz4")
        with pa.ipc.new_file(str(scratch), old.schema, options=options) as new:
            for number in range(old.num_record_batches):
                rows = old.get_batch(number)
                ids = rows["response_id"]
                for was, becomes in changed:
                    rest = pc.utf8_slice_codeunits(ids, len(was.name + was.edition))
                    named = pc.binary_join_element_wise(becomes.name + becomes.edition, rest, "")
                    ids = pc.if_else(pc.equal(rows["source"], was.name), named, ids)
                columns = {
                    **dict(zip(rows.schema.names, rows.columns, strict=True)),
                    "response_id": ids,
                }
                new.write_batch(pa.record_batch(list(columns.values()), schema=old.schema))
    store.put(unit.path("responses.arrow"), scratch)
