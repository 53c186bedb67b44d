"""The vendor's key figures: against plain loops, and what is one transaction."""

from __future__ import annotations

from collections import defaultdict
from pathlib import Path
from typing import Any

import naive
import pytest
from payloads import coupon, load, redemption, reversal, table

import redemption_analytics as ra
from redemption_analytics.metrics.kpis import kpis
from redemption_analytics.sample import write_sample

COLUMNS = [
    "points_redeemed",
    "redemption_bills",
    "redeemers",
    "coupons_redeemed",
    "coupon_redeemers",
    "net_points",
]
BYS: list[tuple[str, ...]] = [
    (),
    ("customer_key",),
    ("program_id",),
    ("store_code",),
    ("till_code", "redemption_purpose"),
    ("week",),
    ("program_id", "month"),
    ("store_code", "program_id", "year"),
]


@pytest.fixture(scope="module")
def exports(tmp_path_factory: pytest.TempPathFactory) -> list[Path]:
    return write_sample(tmp_path_factory.mktemp("exports"), customers=250, exports=2, seed=11)


@pytest.fixture(scope="module")
def r(exports: list[Path]) -> ra.Redemptions:
    return ra.load(exports)


@pytest.fixture(scope="module")
def raw(exports: list[Path]) -> naive.Naive:
    return naive.load(exports)


def by_loops(raw: naive.Naive, by: tuple[str, ...]) -> dict[Any, tuple[int, ...]]:
    cells: dict[Any, dict[str, Any]] = defaultdict(
        lambda: {"out": 0, "back": 0, "bills": set(), "who": set(), "coupons": 0, "buyers": set()}
    )
    for key, program, _, numbers in naive._bookings(raw, by):
        row = raw.points[key] | {"program_id": program}
        cell = cells[naive._group(by, row, row["redeemed_time"])]
        cell["out"] += numbers.get("out", 0)
        cell["back"] += numbers.get("back", 0)
        if not numbers.get("n"):
            continue
        cell["who"] |= {row["customer_key"]} - {None}
        if row["transaction_number"]:
            where = row["customer_key"], row["store_code"], row["transaction_number"]
            cell["bills"].add(where)
        elif row["bill_id"]:
            cell["bills"].add(row["bill_id"])
    for row in raw.coupons.values():
        whole = row | {"program_id": None, "redemption_purpose": None}
        cell = cells[naive._group(by, whole, row["redeemed_time"])]
        cell["coupons"] += 1
        cell["buyers"] |= {row["customer_key"]} - {None}
    return {
        tuple(str(value) if name in ("week", "month", "year") and value else value
              for name, value in zip(by, group, strict=True)): (
            cell["out"],
            len(cell["bills"]),
            len(cell["who"]),
            cell["coupons"],
            len(cell["buyers"]),
            cell["out"] - cell["back"],
        )
        for group, cell in cells.items()
    }  # fmt: skip


@pytest.mark.parametrize("by", BYS, ids="+".join)
def test_key_figures_are_what_loops_count(
    r: ra.Redemptions, raw: naive.Naive, by: tuple[str, ...]
) -> None:
    found = kpis(r, by)
    assert list(found.columns) == [*by, *COLUMNS]
    rows = {row[: len(by)]: row[len(by) :] for row in table(found)}
    assert len(rows) == len(found)
    assert rows == by_loops(raw, by)


def bills(*points: Any, by: Any = ()) -> list[tuple[Any, ...]]:
    return table(kpis(load(points), by), *by, "redemption_bills")


def test_redemptions_of_one_transaction_are_one_bill() -> None:
    one = redemption("a", 10, transaction_number="b-1", bill_id=88)
    # The vendor did not know the bill's id yet when this one was redeemed.
    two = redemption("b", 20, transaction_number="b-1", bill_id=-1)
    assert bills(one, two) == [(1,)]


@pytest.mark.parametrize(
    "other",
    [
        {"transaction_number": "b-2"},
        {"transaction_number": "b-1", "store": "south"},
        {"transaction_number": "b-1", "store": None},
        {"transaction_number": "b-1", "customer": "bob"},
    ],
    ids=str,
)
def test_a_number_names_a_transaction_of_its_customer_in_its_store_only(other: Any) -> None:
    one = redemption("a", 10, transaction_number="b-1")
    assert bills(one, redemption("b", 20, **other)) == [(2,)]


def test_the_till_and_the_day_do_not_tell_transactions_apart() -> None:
    one = redemption("a", 10, "2026-01-10 23:59:59", transaction_number="b-1")
    two = redemption("b", 20, "2026-01-11", transaction_number="b-1", till="north.till2")
    assert bills(one, two) == [(1,)]
    # In both days there was a redemption for it.
    assert bills(one, two, by=["day"]) == [("2026-01-10", 1), ("2026-01-11", 1)]


def test_where_the_number_is_missing_the_bill_id_names_the_transaction() -> None:
    points = [
        redemption("a", 10, transaction_number="", bill_id=88),
        redemption("b", 20, transaction_number=None, bill_id="88", store="south"),
        redemption("c", 20, bill_id=89),
    ]
    assert bills(*points) == [(2,)]


def test_a_redemption_without_number_and_bill_belongs_to_no_transaction() -> None:
    points = [redemption("a", 10, bill_id=0), redemption("b", 10, bill_id="-1")]
    figures = kpis(load(points))
    assert table(figures, "redemption_bills", "redeemers") == [(0, 1)]


def test_redeemers_and_bills_count_in_every_program_that_their_redemption_drew_on() -> None:
    back = [reversal(1, 30)]
    both = redemption("a", 100, back=back, shares={1: 60, 2: 30}, transaction_number="b-1")
    r = load([both], [coupon(1), coupon(2, customer="bob")])
    assert table(kpis(r, "program_id")) == [
        (1, 60, 1, 1, 0, 0, 60),
        (2, 30, 1, 1, 0, 0, 30),
        # Points that no program is known of, drawn on by nobody; and coupons, which have none.
        (None, 10, 0, 0, 2, 2, -20),
    ]
    assert table(kpis(r)) == [(100, 1, 1, 2, 2, 70)]


def test_by_purpose_coupons_stand_in_the_null_group() -> None:
    points = [redemption("a", 10, redemption_purpose="Gift"), redemption("b", 5)]
    by = ["redemption_purpose", "store_code"]
    r = load(points, [coupon(1), coupon(2, store="south")])
    assert table(kpis(r, by), *by, "points_redeemed", "coupons_redeemed") == [
        ("Gift", "north", 10, 0),
        (None, "north", 5, 1),
        (None, "south", 0, 1),
    ]


def test_without_coupons_there_is_no_group_for_them() -> None:
    assert table(kpis(load([redemption("a", 10)]), "program_id"), "program_id") == [(1,)]


def test_decimal_points_add_up_without_binary_fractions() -> None:
    points = [redemption(key, 0.1, back=[reversal(ord(key), 0.3)]) for key in "abc"]
    figures = kpis(load(points, points="decimal"))
    assert table(figures, "points_redeemed", "net_points") == [(0.3, -0.6)]
