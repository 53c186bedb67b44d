"""The books of a version: its ledger, and its findings, from what its units and its files say."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence
from datetime import datetime, time, timedelta

import pyarrow as pa
import pyarrow.compute as pc

from redemption_analytics.columns import TABLES
from redemption_analytics.merging.cases import LATE, findings_of
from redemption_analytics.tables.ledger import CASES, NOW, Finding, findings, ledger
from redemption_analytics.warehouse.files import read_rows
from redemption_analytics.warehouse.log import DataFile
from redemption_analytics.warehouse.store import Store
from redemption_analytics.warehouse.units import Unit, odd_together

#: The part of ``rejects`` that holds what was refused while it was read.
READ = "read"

_TIMES = (
    ("points", "redemption", "redemption_key", "redeemed_time"),
    ("coupons", "coupon redemption", "redemption_key", "redeemed_time"),
    ("reversals", "reversal", "reversal_id", "reversal_time"),
)


def books_of(
    store: Store, files: Sequence[DataFile], units: Sequence[Unit], below: Counter[str]
) -> tuple[pa.Table, pa.Table]:
    """Return the ledger and the findings of a version.

    Parameters
    ----------
    store
        Holds the files.
    files, units
        Those of the version.
    below
        How many rows of each table hung on what merging refused.
    """
    cases = pa.concat_tables([read_rows(store, f) for f in files if f.table == CASES])
    return _ledger(store, files, units, below), findings(
        [*findings_of(cases), *_odd(units), _now(store, files, units, cases)]
    )


def _ledger(
    store: Store, files: Sequence[DataFile], units: Sequence[Unit], below: Counter[str]
) -> pa.Table:
    seen, rejected, met = Counter[str](), Counter[str](), Counter[str]()
    for unit in units:
        seen.update(unit.seen)
        rejected.update(unit.rejected)
    seen.subtract(below)
    for file in files:
        # What was tried again is in this table once, and in several units.
        if file.table == "files":
            met.update(read_rows(store, file, ["status"])["status"].to_pylist())
    seen["files"], rejected["files"] = met.total(), met["rejected"]
    loaded = Counter[str]()
    for file in files:
        if file.table == "rejects" and file.partition != READ:
            rejected["reversals"] += file.rows
        elif file.table in TABLES:
            loaded[file.table] += file.rows
    loaded["files"] = met["loaded"]
    merged = Counter(
        {name: seen[name] - loaded[name] - rejected[name] for name in seen if name != "files"}
    )
    return ledger(seen, loaded, merged, rejected, {"files": met["passed over"]})


def _odd(units: Iterable[Unit]) -> list[Finding]:
    """Return what the reader met of what it does not know, the first of it as the example."""
    return [
        Finding(check, count, example)
        for check, names in sorted(odd_together(units).items())
        for _, (count, *_, example) in sorted(names.items())
    ]


def _now(
    store: Store, files: Sequence[DataFile], units: Sequence[Unit], cases: pa.Table
) -> Finding:
    """Return what now is, as :mod:`redemption_analytics.merging.export_times` says it."""
    made = max((datetime.fromisoformat(unit.newest) for unit in units if unit.newest), default=None)
    now = made
    if made is None or made.time() == time.min:
        late = cases.filter(pc.equal(cases["check"], LATE))["example"].combine_chunks()
        late = pc.utf8_slice_codeunits(late, 0, -len(", exported 2026-11-20"))
        times = [
            found
            for table, kind, key, column in _TIMES
            for file in files
            if file.table == table and file.rows
            for found in [_newest(store, file, kind, key, column, made, late)]
            if found is not None
        ]
        now = max(times, default=made)
    return Finding(NOW, int(now is not None), None if now is None else now.isoformat())


def _newest(
    store: Store,
    file: DataFile,
    kind: str,
    key: str,
    column: str,
    day: datetime | None,
    late: pa.StringArray,
) -> datetime | None:
    """Return the newest plausible time of a file, on one day or ever."""
    rows = read_rows(store, file, [column] if not len(late) else [key, column])
    if day is not None:
        on_day = pc.and_(
            pc.greater_equal(rows[column], day), pc.less(rows[column], day + timedelta(days=1))
        )
        rows = rows.filter(on_day)
    if len(late) and rows.num_rows:
        days = rows[column].cast(pa.date32(), safe=False).cast(pa.string())
        keys = rows[key].cast(pa.string())
        names = pc.binary_join_element_wise(f"{kind} ", keys, ": ", days, "")
        rows = rows.filter(pc.invert(pc.is_in(names, late)))
    newest: datetime | None = pc.max(rows[column]).as_py()
    return newest
