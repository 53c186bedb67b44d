"""Opening versions of a warehouse as bundles."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from redemption_analytics.columns import TABLES
from redemption_analytics.errors import SourceError, UsageError
from redemption_analytics.flattening.flatten import Tables
from redemption_analytics.loading.loading import Loading
from redemption_analytics.loading.open import Reader
from redemption_analytics.loading.pipeline import GROWING
from redemption_analytics.merging.cases import findings_of
from redemption_analytics.moments import moment_name
from redemption_analytics.redemptions import Redemptions
from redemption_analytics.tables.ledger import (
    CASES,
    FINDINGS,
    LEDGER,
    NOW,
    Finding,
    findings,
)
from redemption_analytics.tables.parts import whole_of
from redemption_analytics.visible import shortened
from redemption_analytics.warehouse.books import READ, ledger_of, odd_until
from redemption_analytics.warehouse.files import read_rows
from redemption_analytics.warehouse.known import ANSWERS
from redemption_analytics.warehouse.log import Entry, Log
from redemption_analytics.warehouse.merged import Mask, Stage
from redemption_analytics.warehouse.reject_times import told_until
from redemption_analytics.warehouse.rewriting import came_in_of
from redemption_analytics.warehouse.stage import StagedUnit
from redemption_analytics.warehouse.store import Store
from redemption_analytics.warehouse.units import units_of


def opened(store: Store, entry: Entry, reader: Reader) -> Redemptions:
    """Open a version.

    Parameters
    ----------
    store
        Holds its files.
    entry
        The version.
    reader
        Makes frames of them.
    """
    frames = {}
    for name in (*TABLES, LEDGER, FINDINGS, CASES):
        files = entry.tables[name]
        paths = [path for file in files if (path := store.path(file.path)) is not None]
        if len(paths) < len(files):
            table = pa.concat_tables([read_rows(store, file) for file in files])
            frames[name] = reader.of_arrow(table, name)
            continue
        try:
            frames[name] = reader.of_files(paths, name)
        except (OSError, ValueError, pa.ArrowException) as error:
            raise SourceError(
                f"{store.location}: the table {name} of version {entry.version} cannot be read"
                f" ({shortened(str(error).splitlines()[0], 200)}): was it vacuumed meanwhile? Else"
                " put its files back from a copy"
            ) from error
    return Redemptions(**frames)


def known_on(
    store: Store,
    log: Log,
    newest: Entry,
    moment: datetime,
    loading: Callable[[], Loading],
    reader: Reader,
) -> Redemptions:
    """Open what exports told that had been made until a moment.

    Where a version consists of just these, it is opened; else their answers are merged again, in
    memory.

    Parameters
    ----------
    store, log
        The warehouse's.
    newest
        Its newest version.
    moment
        The moment.
    loading
        How the warehouse reads exports; asked only where it is needed, for it may need a key.
    reader
        Makes frames.

    Raises
    ------
    UsageError
        If no export had been made.
    """
    units = units_of(newest)
    stage = Stage([StagedUnit(store, unit) for unit in units])
    made = [pc.less_equal(exports["exported_at"], moment).to_numpy() for exports in stage.exports]
    if not any(mask.any() for mask in made):
        raise UsageError(f"no export had been made by {moment_name(moment)}: the first was later")
    known, later = set[str](), set[str]()
    for unit, exports, mask in zip(units, stage.exports, made, strict=True):
        came_in = came_in_of(unit, exports)
        known.update(came_in.filter(pa.array(mask)).to_pylist())
        later.update(came_in.filter(pa.array(~mask)).to_pylist())
    if not known & later:
        for version in reversed(log.versions()):
            entry = log.read(version)
            if {name for unit in units_of(entry) for name in unit.came_in} == known:
                return opened(store, entry, reader)
    return _merged_again(store, newest, stage, made, moment, loading(), reader)


def _merged_again(
    store: Store,
    newest: Entry,
    stage: Stage,
    made: list[Mask],
    moment: datetime,
    loading: Loading,
    reader: Reader,
) -> Redemptions:
    """Merge the answers of some exports."""
    masks = [
        np.repeat(mask, exports[ANSWERS].to_numpy())
        for mask, exports in zip(made, stage.exports, strict=True)
    ]
    parser = loading.parser
    merged = stage.merged(masks, parser.flattening, {}, personal=parser.personal)
    tables: Tables = {}
    for name in (*GROWING, "late_rejects"):
        table, own = whole_of(name), merged.tables[name]
        tables[table] = pa.concat_tables([tables[table], own]) if table in tables else own
    # What was tried again is among the exports of several units, and once among the files.
    files = pa.concat_tables([read_rows(store, file) for file in newest.tables["files"]])
    tables["files"] = files.filter(pc.less_equal(files["exported_at"], moment))
    read = [read_rows(store, file) for file in newest.tables["rejects"] if file.partition == READ]
    rejects = pa.concat_tables([tables["rejects"].slice(0, 0), *read])
    here = pc.is_in(rejects["source"], tables["files"]["source"])
    rejects = told_until(store, newest.files, rejects.filter(here), moment)
    late = tables["rejects"].num_rows
    tables["rejects"] = pa.concat_tables([rejects, tables["rejects"]])
    odd = odd_until([unit.unit for unit in stage.units], made, moment)
    now = [] if merged.now is None else [Finding(NOW, 1, merged.now.isoformat())]
    return Redemptions(
        **{name: reader.of_arrow(table, name) for name, table in tables.items()},
        ledger=reader.of_arrow(ledger_of(tables, merged.repeats, late), LEDGER),
        findings=reader.of_arrow(findings([*findings_of(merged.cases), *odd, *now]), FINDINGS),
        cases=reader.of_arrow(merged.cases, CASES),
    )
