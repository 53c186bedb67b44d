"""The summary of coupon redemptions: against plain loops, and what its sum of money is over."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import naive
import pytest
from payloads import coupon, load, redemption, table

import redemption_analytics as ra
from redemption_analytics.metrics.coupons import coupon_performance, coupon_summary
from redemption_analytics.sample import write_sample

BYS: list[tuple[str, ...]] = [
    (),
    ("customer_key",),
    ("store_code", "till_code"),
    ("series_id",),
    ("discount_type", "series_id"),
    ("code",),
    ("day",),
    ("series_id", "month"),
]
PERIODS = ("day", "month")


@pytest.fixture(scope="module")
def exports(tmp_path_factory: pytest.TempPathFactory) -> list[Path]:
    return write_sample(tmp_path_factory.mktemp("exports"), customers=250, exports=2, seed=12)


@pytest.fixture(scope="module")
def r(exports: list[Path]) -> ra.Redemptions:
    return ra.load(exports)


@pytest.fixture(scope="module")
def raw(exports: list[Path]) -> naive.Naive:
    return naive.load(exports)


@pytest.mark.parametrize("by", BYS, ids="+".join)
def test_the_summary_is_what_loops_count(
    r: ra.Redemptions, raw: naive.Naive, by: tuple[str, ...]
) -> None:
    groups: dict[Any, list[dict[str, Any]]] = {}
    for row in raw.coupons.values():
        group = naive._group(by, row, row["redeemed_time"])
        named = zip(by, group, strict=True)
        key = tuple(str(v) if name in PERIODS and v else v for name, v in named)
        groups.setdefault(key, []).append(row)
    expected = {
        key: (
            len(rows),
            len({row["customer_key"] for row in rows} - {None}),
            len({row["code"] for row in rows} - {None}),
            float(
                sum(
                    row["discount_value"]
                    for row in rows
                    if row["discount_type"] in ("FLAT", "ABS") and row["discount_value"]
                )
            ),
        )
        for key, rows in groups.items()
    }
    found = coupon_summary(r, by)
    assert list(found.columns)[len(by) :] == [
        "coupons_redeemed",
        "redeemers",
        "codes",
        "discount_value",
    ]
    assert {row[: len(by)]: row[len(by) :] for row in table(found)} == expected


def test_only_amounts_of_money_are_added_up() -> None:
    worth = [("FLAT", "50.5"), ("ABS", 500), ("PERC", 10), ("BOGO", 7), (None, 3), ("FLAT", None)]
    coupons = [
        coupon(number, discount_type=kind, discount_value=value)
        for number, (kind, value) in enumerate(worth)
    ]
    r = load(coupons=coupons)
    assert table(coupon_summary(r), "coupons_redeemed", "discount_value") == [(6, 550.5)]
    by_type = table(coupon_summary(r, "discount_type"), "discount_type", "discount_value")
    assert by_type == [("ABS", 500.0), ("BOGO", 0.0), ("FLAT", 50.5), ("PERC", 0.0), (None, 0.0)]


def test_a_sum_of_money_shows_no_binary_fractions() -> None:
    coupons = [coupon(n, discount_type="FLAT", discount_value="0.1") for n in range(3)]
    assert table(coupon_summary(load(coupons=coupons)), "discount_value") == [(0.3,)]


def test_customers_and_codes_count_once_and_missing_ones_not_at_all() -> None:
    coupons = [
        coupon(1, code="X"),
        coupon(2, code="X", customer="bob"),
        coupon(3, code="Y"),
        coupon(4),
    ]
    columns = ("coupons_redeemed", "redeemers", "codes")
    assert table(coupon_summary(load(coupons=coupons)), *columns) == [(4, 2, 2)]
    assert table(coupon_summary(load(coupons=coupons), "code"), "code", *columns) == [
        ("X", 2, 2, 1),
        ("Y", 1, 1, 1),
        (None, 1, 1, 0),
    ]


def test_points_redemptions_are_none_of_its_business() -> None:
    assert table(coupon_summary(load([redemption("a", 10)])), "coupons_redeemed") == [(0,)]


@pytest.mark.parametrize("name", ["program_id", "redemption_purpose"])
def test_what_only_points_have_is_refused(name: str) -> None:
    with pytest.raises(ra.UsageError, match=r"it takes customer_key, .*series_id, .*custom:NAME"):
        coupon_summary(load(), name)


# --- Series --------------------------------------------------------------------------------------

COLUMNS = ("coupons_redeemed", "redeemers", "codes", "amount_off", "percent_off")


@pytest.mark.parametrize("by", [(), ("month",), ("store_code", "code")], ids=str)
def test_performance_is_what_loops_count(
    r: ra.Redemptions, raw: naive.Naive, by: tuple[str, ...]
) -> None:
    groups: dict[Any, list[dict[str, Any]]] = {}
    for row in raw.coupons.values():
        group = naive._group(("series_id", "discount_type", *by), row, row["redeemed_time"])
        named = zip(("series_id", "discount_type", *by), group, strict=True)
        key = tuple(str(v) if name in PERIODS and v else v for name, v in named)
        groups.setdefault(key, []).append(row)
    expected = {}
    for key, rows in groups.items():
        told = [row["discount_value"] for row in rows if row["discount_value"] is not None]
        amount = key[1] in ("FLAT", "ABS")
        expected[key] = (
            len(rows),
            len({row["customer_key"] for row in rows} - {None}),
            len({row["code"] for row in rows} - {None}),
            sum(map(float, told)) if told and amount else None,
            sum(map(float, told)) / len(told) if told and key[1] == "PERC" else None,
        )
    found = coupon_performance(r, by)
    assert tuple(found.columns[len(by) + 2 :]) == COLUMNS
    assert {row[: len(by) + 2]: row[len(by) + 2 :] for row in table(found)} == expected


def test_ten_percent_are_ten_percent_and_no_money() -> None:
    worth = [(1, "PERC", 10), (1, "PERC", 20), (1, "ABS", 500), (2, "PERC", None), (2, None, 7)]
    r = load(
        coupons=[
            coupon(n, series_id=series, discount_type=kind, discount_value=value)
            for n, (series, kind, value) in enumerate(worth)
        ]
    )
    found = coupon_performance(r)
    assert table(found, "series_id", "discount_type", "amount_off", "percent_off") == [
        (1, "ABS", 500.0, None),
        (1, "PERC", None, 15.0),
        (2, "PERC", None, None),
        (2, None, None, None),
    ]


def test_counts_over_series_add_up_to_the_summary(r: ra.Redemptions) -> None:
    total = table(coupon_summary(r), "coupons_redeemed", "discount_value")[0]
    found = coupon_performance(r)
    assert found["coupons_redeemed"].sum() == total[0] > 0
    assert found["amount_off"].sum() == pytest.approx(total[1])


@pytest.mark.parametrize("name", ["series_id", "discount_type", "program_id"])
def test_what_performance_is_grouped_by_already_is_refused(name: str) -> None:
    with pytest.raises(ra.UsageError, match="cannot group by"):
        coupon_performance(load(), name)
