"""The same redemptions as frames of every kind that the library takes."""

from __future__ import annotations

import json
import math
from collections.abc import Callable
from pathlib import Path
from typing import Any

import duckdb
import polars as pl
import pyarrow as pa
from payloads import answers, coupon, redemption, reversal

import redemption_analytics as ra
from redemption_analytics.sample import write_sample
from redemption_analytics.tables.frames import as_arrow

Bundles = dict[str, ra.Redemptions]

#: What the synthetic organisation does not have: nothing to divide by, and nulls everywhere.
ODD = [
    redemption("odd-1", 0, program=9, store="odd"),
    redemption("odd-2", 30, None, [reversal(1, 10, None)], program=None, shares={1: 20, None: 5}),
    redemption("odd-3", 50, back=[reversal(2, 20)], shares={1: 30, 2: 20}, store=None, till=None),
    redemption(
        "odd-4",
        7,
        None,
        store="odd",
        custom={"channel": None},
        redemption_breakup_by_source=[{"source_store": {"code": "odd"}, "points_consumed": 7}],
    ),
]
ODD_COUPONS = [
    coupon(1, None, store=None, till=None, discount_type="FLAT"),
    coupon(2, store="odd", custom={"channel": "app"}, code="X", discount_type="BOGO"),
]

IN_MEMORY = ("polars", "polars lazy", "pyarrow", "duckdb")
OPENED = ("pandas", "polars", "pyarrow", "duckdb")


KINDS = (*IN_MEMORY, *(f"open {engine}" for engine in OPENED))


def write_exports(directory: Path) -> None:
    """Write exports of a small organisation, and one of oddities."""
    write_sample(directory, customers=120, exports=2, seed=5, damage=0.02)
    (directory / "2026-11-30.json").write_text(json.dumps(answers(ODD, ODD_COUPONS)))


def of_every_kind(exports: Path, converted: Path, points: Any) -> Bundles:
    r = ra.load(exports, points=points)
    ra.convert(exports, converted / points, points=points)
    # One connection for all: relations of different ones cannot be joined.
    connection = duckdb.connect()
    kinds: dict[str, Callable[[pa.Table], Any]] = {
        "polars": pl.from_arrow,
        "polars lazy": lambda table: pl.DataFrame(table).lazy(),
        "pyarrow": lambda table: table,
        "duckdb": connection.from_arrow,
    }
    frames = r.tables | {"ledger": r.ledger, "findings": r.findings, "cases": r.cases}
    tables = {name: as_arrow(frame).replace_schema_metadata() for name, frame in frames.items()}
    made = {
        kind: ra.Redemptions(**{name: kinds[kind](table) for name, table in tables.items()})
        for kind in IN_MEMORY
    }
    opened = {f"open {engine}": ra.open(converted / points, engine=engine) for engine in OPENED}  # type: ignore[arg-type]
    return {"pandas": r, **made, **opened}


def in_polars(r: ra.Redemptions) -> ra.Redemptions:
    """The same on Polars, which takes a fifth of pandas' time for little data."""
    frames = r.tables | {"ledger": r.ledger, "findings": r.findings, "cases": r.cases}
    return ra.Redemptions(**{name: pl.DataFrame(as_arrow(frame)) for name, frame in frames.items()})


def same(one: Any, other: Any) -> bool:
    if isinstance(one, float) and isinstance(other, float):
        return math.isclose(one, other, rel_tol=1e-12, abs_tol=1e-15) or one != one != other
    return bool(one == other)
