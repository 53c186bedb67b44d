"""Every number of net points and reversal rates, against plain loops over the raw payloads."""

from __future__ import annotations

import math
from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import Any

import naive
import pandas as pd
import pytest
from everyday import first_everyday

import redemption_analytics as ra
from redemption_analytics.sample import write_sample

BYS: list[tuple[str, ...]] = [
    (),
    ("customer_key",),
    ("program_id",),
    ("store_code",),
    ("till_code",),
    ("redemption_purpose",),
    ("day",),
    ("week",),
    ("month",),
    ("quarter",),
    ("year",),
    ("program_id", "month"),
    ("store_code", "till_code", "program_id"),
    ("customer_key", "week", "year"),
]

#: When the newest export was made, which is now.
NEWEST_EXPORT = datetime(2026, 11, 20)


@pytest.fixture(scope="module", params=["int", "decimal"])
def pair(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> tuple[ra.Redemptions, naive.Naive]:
    decimals = request.param == "decimal"
    directory = tmp_path_factory.mktemp("organisation")
    customers = 150 if decimals else 200
    exports = write_sample(directory, customers=customers, exports=3, seed=7, damage=0.02)
    return ra.load(directory, points=request.param), naive.load(exports, decimals=decimals)


def by_group(frame: pd.DataFrame, by: Sequence[str]) -> dict[tuple[Any, ...], dict[str, Any]]:
    def value(item: Any) -> Any:
        if pd.isna(item):
            return None
        return item.date() if isinstance(item, datetime) else item

    rows = frame.to_dict("records")
    found = {tuple(value(row[name]) for name in by): row for row in rows}
    assert len(found) == len(rows)
    return found


def same(ours: Any, theirs: Any) -> bool:
    if theirs is None:
        return bool(pd.isna(ours))
    return math.isclose(ours, float(theirs), rel_tol=1e-12, abs_tol=1e-12)


def assert_equal(ours: dict[Any, Any], theirs: dict[Any, dict[str, Any]]) -> None:
    assert ours.keys() == theirs.keys()
    wrong = [
        (group, name, ours[group][name], number)
        for group, numbers in theirs.items()
        for name, number in numbers.items()
        if not same(ours[group][name], number)
    ]
    assert not wrong, wrong[:5]


def test_the_tables_hold_what_the_loops_find(
    pair: tuple[ra.Redemptions, naive.Naive],
) -> None:
    r, expected = pair
    assert len(r.points) == len(expected.points)
    assert set(r.coupons["id"]) == expected.coupons.keys()
    assert set(r.reversals["reversal_id"]) == expected.reversals.keys()
    ledger = r.ledger.set_index("element")
    for element, seen in expected.seen.items():
        assert ledger.loc[element, "seen"] == seen, element
        assert ledger.loc[element, "rejected"] == expected.rejected[element], element
    assert ledger.loc["points", "merged"] > 0
    assert ledger.loc["points", "rejected"] > 0


@pytest.mark.parametrize("basis", ["redemption", "event"])
@pytest.mark.parametrize("by", BYS, ids="+".join)
def test_net_points(
    pair: tuple[ra.Redemptions, naive.Naive], by: tuple[str, ...], basis: Any
) -> None:
    r, raw = pair
    columns = ("redemptions", "points_redeemed", "points_reversed", "net_points")
    expected = {
        group: dict(zip(columns, numbers, strict=True))
        for group, numbers in naive.net_points(raw, by, basis).items()
    }
    assert_equal(by_group(ra.net_points(r, by, basis), by), expected)


@pytest.mark.parametrize(
    ("within", "as_of"),
    first_everyday(
        [
            ("30D", None),
            ("7D", datetime(2025, 12, 31, 23, 59, 59)),
            (None, None),
            (None, datetime(2025, 3, 1)),
        ],
        2,
    ),
)
@pytest.mark.parametrize("by", BYS, ids="+".join)
def test_reversal_rates(
    pair: tuple[ra.Redemptions, naive.Naive],
    by: tuple[str, ...],
    within: str | None,
    as_of: datetime | None,
) -> None:
    r, raw = pair
    span = None if within is None else timedelta(days=int(within[:-1]))
    expected = naive.reversal_rates(raw, by, span, as_of or NEWEST_EXPORT)
    assert_equal(by_group(ra.reversal_rates(r, by, within, as_of), by), expected)
