"""The books of a version: its ledger, and its findings, from what its units and its files say."""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import replace
from datetime import datetime, time, timedelta
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc

from redemption_analytics.columns import TABLES
from redemption_analytics.flattening.flatten import Tables
from redemption_analytics.merging.cases import LATE, findings_of
from redemption_analytics.tables.ledger import CASES, NOW, Finding, findings, ledger
from redemption_analytics.tables.parts import whole_of
from redemption_analytics.warehouse.files import read_rows
from redemption_analytics.warehouse.log import DataFile
from redemption_analytics.warehouse.mentions import element_of
from redemption_analytics.warehouse.merged import Mask
from redemption_analytics.warehouse.store import Store
from redemption_analytics.warehouse.units import Unit, odd_together

#: The part of ``rejects`` that holds what was refused while it was read.
READ = "read"

#: Follows the example of what was counted together with what came later.
_MORE = ", and perhaps more: exports that came by one ingest were counted together"

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
        [*findings_of(cases), *odd_of(units), _now(store, files, units, cases)]
    )


def ledger_of(tables: Tables, repeats: Mapping[str, int], late: int) -> pa.Table:
    """Return the ledger of tables in their final form.

    Parameters
    ----------
    tables
        All tables.
    repeats
        How many rows of each, or of each part of one, were merged into others.
    late
        How many of the rejects were refused when answers were merged.
    """
    met = Counter(tables["files"]["status"].to_pylist())
    loaded = Counter({name: table.num_rows for name, table in tables.items()})
    merged = Counter[str]()
    for name, count in repeats.items():
        merged[whole_of(name)] += count
    # Where nothing names a record, a file was refused.
    read = tables["rejects"].slice(0, tables["rejects"].num_rows - late)
    own = read.filter(pc.is_valid(read["record"]))
    rejected = Counter(map(element_of, own["path"].to_pylist()))
    rejected["reversals"] += late
    rejected["files"], loaded["files"] = met["rejected"], met["loaded"]
    passed_over = Counter({"files": met["passed over"]})
    return ledger(loaded + merged + rejected + passed_over, loaded, merged, rejected, passed_over)


def odd_until(units: Sequence[Unit], made: Sequence[Mask], moment: datetime) -> list[Finding]:
    """Return what the reader met of what it does not know, in the exports until a moment.

    Parameters
    ----------
    units
        The units.
    made
        For each which of its exports had been made.
    moment
        The moment.
    """
    known: list[Unit] = []
    more = set[tuple[str, str]]()
    for unit, mask in zip(units, made, strict=True):
        if mask.all():
            known.append(unit)
            continue
        odd: dict[str, dict[str, list[Any]]] = {}
        for check, names in unit.odd.items():
            for name, (count, first, *rest) in names.items():
                # Of the exports of a unit only the first is known that has it.
                if mask.any() and datetime.fromisoformat(first) <= moment:
                    odd.setdefault(check, {})[name] = [1, first, *rest]
                    if count > 1:
                        more.add((check, name))
        known.append(replace(unit, odd=odd))
    return odd_of(known, more)


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


def odd_of(units: Iterable[Unit], more: Collection[tuple[str, str]] = ()) -> list[Finding]:
    """Return what the reader met of what it does not know, the first of it as the example.

    Of some names it may have met more.
    """
    return [
        Finding(check, count, example + (_MORE if (check, name) in more else ""))
        for check, names in sorted(odd_together(units).items())
        for name, (count, *_, example) in sorted(names.items())
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
