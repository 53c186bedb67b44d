"""Every function on every kind of frame: the numbers are pandas', the kind is the one given."""

from __future__ import annotations

import itertools
from collections.abc import Callable
from functools import cache
from typing import Any

import pyarrow as pa
import pytest
from engines import KINDS, Bundles, of_every_kind, same, write_exports

import redemption_analytics as ra
from redemption_analytics.tables.frames import as_arrow

BYS = [
    (),
    "customer_key",
    ["program_id", "month"],
    ["store_code", "redemption_purpose"],
    ["day", "week", "year"],
    ["quarter", "custom:channel", "program_id", "till_code"],
    "custom:channel",
]
COUPON_BYS = [
    (),
    ["store_code", "till_code"],
    ["series_id", "month"],
    ["discount_type", "week", "custom:channel"],
    "code",
]

#: What is called, and with which values of its arguments: all combinations are tried.
CURVE_BYS = [(), "program_id", ["store_code", "program_id", "quarter"]]
FUNCTIONS: list[tuple[Callable[..., Any], dict[str, list[Any]]]] = [
    (ra.net_points, {"by": BYS, "basis": ["redemption", "event"]}),
    (ra.reversal_rates, {"by": BYS}),
    (ra.reversal_rates, {"by": BYS[:3], "within": ["30D"], "as_of": [None, "2025-03-01"]}),
    (ra.coupon_summary, {"by": COUPON_BYS}),
    (ra.coupon_performance, {"by": [(), "month", ["store_code", "custom:channel"]]}),
    (ra.kpis, {"by": BYS}),
    (ra.source_flows, {}),
    (ra.programs, {}),
    (ra.stores, {}),
    (ra.tills, {}),
    (ra.reversal_outliers, {"by": [by for by in BYS if by]}),
    (ra.cohorts, {"by": [(), "program_id", ["store_code", "custom:channel"]], "months": [4]}),
    (ra.customers_to_review, {"min_reversed": [1], "false_alarms": [1.0]}),
    (ra.reversal_curve, {"by": CURVE_BYS, "weight": ["redemptions", "points"]}),
    (ra.time_to_reversal, {"by": BYS}),
    (ra.expected_reversals, {"by": CURVE_BYS[:2], "as_of": [None, "2026-06-30"]}),
    (ra.expected_reversals, {"by": [["program_id", "redemption_purpose", "quarter"]]}),
    (ra.reconciliation, {"period": ["month", "week"]}),
    (ra.audit, {}),
    (ra.audit_cases, {"check": [None, "over_reversed"]}),
]
CALLS = [
    (function, dict(zip(arguments, values, strict=True)))
    for function, arguments in FUNCTIONS
    for values in itertools.product(*arguments.values())
]
#: Decimal points are another type in the same code, and opened frames are of the same engines as
#: those in memory, as are Polars' frames of its lazy ones: fewer calls with them will do. Every day
#: all calls are held against DuckDB.
ALL_CALLS = ("polars lazy", "pyarrow", "duckdb")
FEWER_BYS = ((), ["program_id", "month"], ["series_id", "month"])
FEWER = [call for call, (_, arguments) in enumerate(CALLS) if arguments.get("by", ()) in FEWER_BYS]
CASES = [
    *(("int", call, kind) for call in range(len(CALLS)) for kind in ALL_CALLS),
    *(("int", call, kind) for call in FEWER for kind in KINDS if kind not in ALL_CALLS),
    # The audit's examples are texts, in which PyArrow writes 50.0 as 50.
    *(
        ("decimal", call, kind)
        for call in FEWER
        for kind in ALL_CALLS
        if CALLS[call][0] not in (ra.audit, ra.audit_cases)
    ),
]


@pytest.fixture(scope="module")
def bundles(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Bundles]:
    """The same redemptions, with whole and with decimal points, as frames of every kind."""
    exports, converted = (tmp_path_factory.mktemp(name) for name in ("exports", "converted"))
    write_exports(exports)
    return {points: of_every_kind(exports, converted, points) for points in ("int", "decimal")}


@pytest.mark.parametrize("kind", ["pandas", *KINDS])
def test_a_custom_field_that_nobody_has_is_refused_on_every_engine(
    bundles: dict[str, Bundles], kind: str
) -> None:
    r = bundles["int"][kind]
    for function, _ in FUNCTIONS[:1] + FUNCTIONS[3:5]:
        with pytest.raises(ra.UsageError, match=r"'custom:nobody has it': .*, but custom:channel"):
            function(r, "custom:nobody has it")
    north = r.filter(store_code="nowhere")
    assert len(as_arrow(ra.net_points(north, "custom:channel"))) == 0


@cache
def by_pandas(r: ra.Redemptions, call: int) -> pa.Table:
    function, arguments = CALLS[call]
    return as_arrow(function(r, **arguments))


def case(points: str, call: int, kind: str) -> Any:
    """Name a case, and say which is for every day."""
    everyday = points == "int" and kind == "duckdb"
    function, arguments = CALLS[call]
    name = f"{function.__name__}-{arguments}-{points}-{kind}"
    return pytest.param(points, call, kind, id=name, marks=() if everyday else pytest.mark.slow)


@pytest.mark.parametrize(("points", "call", "kind"), [case(*of) for of in CASES])
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
