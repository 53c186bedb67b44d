"""Every function on every kind of frame: the numbers are pandas', the kind is the one given."""

from __future__ import annotations

import itertools
import json
import math
from collections.abc import Callable
from functools import cache
from pathlib import Path
from typing import Any

import duckdb
import polars as pl
import pyarrow as pa
import pytest
from payloads import answers, coupon, redemption, reversal

import redemption_analytics as ra
from redemption_analytics.frames import as_arrow
from redemption_analytics.sample import write_sample

Bundles = dict[str, ra.Redemptions]

BYS = [
    (),
    "customer_key",
    ["program_id", "month"],
    ["store_code", "redemption_purpose"],
    ["day", "week", "year"],
    ["quarter", "custom:channel", "program_id", "till_code"],
    "custom:nobody has it",
]
COUPON_BYS = [
    (),
    ["store_code", "till_code"],
    ["series_id", "month"],
    ["discount_type", "week", "custom:nobody has it"],
    "code",
]

#: What is called, and with which values of its arguments: all combinations are tried.
CURVE_BYS = [(), "program_id", ["store_code", "year"]]
FUNCTIONS: list[tuple[Callable[..., Any], dict[str, list[Any]]]] = [
    (ra.net_points, {"by": BYS, "basis": ["redemption", "event"]}),
    (ra.reversal_rates, {"by": BYS}),
    (ra.reversal_rates, {"by": BYS[:3], "within": ["30D"], "as_of": [None, "2025-03-01"]}),
    (ra.coupon_summary, {"by": COUPON_BYS}),
    (ra.kpis, {"by": BYS}),
    (ra.source_flows, {}),
    (ra.reversal_outliers, {"by": [by for by in BYS if by]}),
    (ra.reversal_curve, {"by": CURVE_BYS, "weight": ["redemptions", "points"]}),
    (ra.time_to_reversal, {"by": BYS}),
    (ra.expected_reversals, {"by": CURVE_BYS, "as_of": [None, "2026-06-30"]}),
    (ra.audit, {}),
]
CALLS = [
    (function, dict(zip(arguments, values, strict=True)))
    for function, arguments in FUNCTIONS
    for values in itertools.product(*arguments.values())
]
#: Decimal points are another type in the same code, so fewer calls with them will do; the audit's
#: examples are texts, in which PyArrow writes 50.0 as 50.
DECIMAL_BYS = ((), ["program_id", "month"], ["series_id", "month"])
CASES = [("int", call) for call in range(len(CALLS))] + [
    ("decimal", call)
    for call, (function, arguments) in enumerate(CALLS)
    if arguments.get("by", ()) in DECIMAL_BYS and function is not ra.audit
]

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


@pytest.fixture(scope="module")
def bundles(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Bundles]:
    """The same redemptions, with whole and with decimal points, as frames of every kind."""
    exports, converted = (tmp_path_factory.mktemp(name) for name in ("exports", "converted"))
    write_sample(exports, customers=120, exports=2, seed=5, damage=0.02)
    (exports / "2026-11-30.json").write_text(json.dumps(answers(ODD, ODD_COUPONS)))
    return {points: of_every_kind(exports, converted, points) for points in ("int", "decimal")}


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
    frames = r.tables | {"ledger": r.ledger, "findings": r.findings}
    tables = {name: as_arrow(frame).replace_schema_metadata() for name, frame in frames.items()}
    made = {
        kind: ra.Redemptions(**{name: kinds[kind](table) for name, table in tables.items()})
        for kind in IN_MEMORY
    }
    opened = {f"open {engine}": ra.open(converted / points, engine=engine) for engine in OPENED}  # type: ignore[arg-type]
    return {"pandas": r, **made, **opened}


@cache
def by_pandas(r: ra.Redemptions, call: int) -> pa.Table:
    function, arguments = CALLS[call]
    return as_arrow(function(r, **arguments))


@pytest.mark.parametrize("kind", [*IN_MEMORY, *(f"open {engine}" for engine in OPENED)])
@pytest.mark.parametrize(
    ("points", "call"),
    CASES,
    ids=[f"{CALLS[call][0].__name__}-{CALLS[call][1]}-{points}" for points, call in CASES],
)
def test_numbers_are_those_of_pandas_and_frames_of_the_kind_given(
    bundles: dict[str, Bundles], points: str, call: int, kind: str
) -> None:
    r = bundles[points][kind]
    function, arguments = CALLS[call]
    result = function(r, **arguments)
    assert type(result) is type(r.points)
    ours, theirs = as_arrow(result), by_pandas(bundles[points]["pandas"], call)
    assert types(ours) == types(theirs)
    assert len(ours) == len(theirs) > 0
    wrong = [
        (one, other)
        for one, other in zip(ours.to_pylist(), theirs.to_pylist(), strict=True)
        if not all(same(one[name], other[name]) for name in other)
    ]
    assert not wrong, wrong[:3]


def types(table: pa.Table) -> dict[str, str]:
    return {field.name: str(field.type).removeprefix("large_") for field in table.schema}


def same(one: Any, other: Any) -> bool:
    if isinstance(one, float) and isinstance(other, float):
        return math.isclose(one, other, rel_tol=1e-12, abs_tol=1e-15) or one != one != other
    return bool(one == other)
