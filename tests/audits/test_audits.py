"""The audit: each check finds what it is for, says where, and nothing else."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pandas as pd
import pytest
from answers import export
from payloads import coupon, load, redemption, reversal

import redemption_analytics as ra

SAMPLES = Path(__file__).parents[2] / "data_samples"

CHECKS = [
    "truncated_points",
    "truncated_coupons",
    "surplus_points",
    "surplus_coupons",
    "breakup_mismatch",
    "reversal_breakup_mismatch",
    "source_breakup_mismatch",
    "over_reversed",
    "reversed_before_redeemed",
    "times_after_export",
    "undated_overlaps",
    "vanished_reversals",
    "restated",
    "conflicting_reversal",
    "conflicting_customer",
    "split_customers",
    "unknown_discount_type",
    "unknown_fields",
    "failed_responses",
    "missing_redeemed_time",
    "missing_reversal_time",
    "epoch_times",
    "merged_duplicates",
    "passed_over_files",
    "rejected",
    "as_of_after_now",
]


def found(r: ra.Redemptions) -> dict[str, tuple[int, Any]]:
    rows = ra.audit(r)
    return {
        row.check: (row.count_, row.example)
        for row in rows.rename(columns={"count": "count_"}).itertuples()
        if row.count_
    }


def customer(**fields: Any) -> dict[str, Any]:
    return {"response": {"status": {"success": True}, "customer": fields}}


def with_points(point: dict[str, Any], **fields: Any) -> dict[str, Any]:
    points = {"points": {"point": [{"redemption_id": "aB0001", "points_redeemed": 10} | point]}}
    return customer(redemptions=points, **fields)


CASES: dict[str, tuple[Callable[[], ra.Redemptions], int, str]] = {
    "truncated_points": (
        lambda: ra.load([customer(mobile="1", points_count=3), customer(mobile="1", rows=0)]),
        1,
        "payloads#1/1: 3 said, 0 here",
    ),
    "truncated_coupons": (
        lambda: ra.load(customer(coupons_count="2")),
        1,
        "payloads#1/1: 2 said, 0 here",
    ),
    "surplus_points": (
        lambda: ra.load([with_points({**_TIMED}, mobile="1", points_count=0)]),
        1,
        "payloads#1/1: 0 said, 1 here",
    ),
    "surplus_coupons": (
        lambda: ra.load(customer(coupons_count=1, redemptions={"coupons": {"coupon": _COUPONS}})),
        1,
        "payloads#1/1: 1 said, 2 here",
    ),
    "breakup_mismatch": (
        lambda: load([redemption("aB0001", 10, shares={1: 4, 2: 5})]),
        1,
        "redemption aB0001: 9 in parts, 10 in all",
    ),
    "reversal_breakup_mismatch": (
        lambda: load([redemption("aB0001", 10, back=[reversal(7, 5, shares={1: 6})])]),
        1,
        "reversal 7: 6 in parts, 5 in all",
    ),
    "source_breakup_mismatch": (
        lambda: load([redemption("aB0001", 10, redemption_breakup_by_source=[_batch(9)])]),
        1,
        "redemption aB0001: 9 in parts, 10 in all",
    ),
    "over_reversed": (
        lambda: load([redemption("aB0001", 10, back=[reversal(7, 6), reversal(8, 5)])]),
        1,
        "redemption aB0001: 10 redeemed, 11 reversed",
    ),
    "reversed_before_redeemed": (
        lambda: load([redemption("aB0001", 10, back=[reversal(7, 6, "2026-01-09")])]),
        1,
        "reversal 7",
    ),
    "split_customers": (
        lambda: ra.load([customer(user_id=n, email="a@example.com") for n in ("1", "2")]),
        1,
        "the email in payloads#1/1",
    ),
    "unknown_discount_type": (
        lambda: load([], [{"customer": "a", "id": 4, "discount_type": "BOGO", **_TIMED}]),
        1,
        "coupon redemption 4: BOGO",
    ),
    "unknown_fields": (
        lambda: ra.load([customer(rows=0, loyalty_tier="gold")] * 2),
        2,
        "$.response.customer.loyalty_tier in payloads",
    ),
    "failed_responses": (
        lambda: ra.load({"response": {"status": {"success": "false", "code": 500}}}),
        1,
        "payloads#1/1",
    ),
    "missing_redeemed_time": (
        lambda: load([redemption("aB0001", 10, None)], [{"customer": "a", "id": 4}]),
        2,
        "coupon redemption 4",
    ),
    "missing_reversal_time": (
        lambda: load([redemption("aB0001", 10, "2026-01-05", [reversal(7, 4, None)])]),
        1,
        "reversal 7",
    ),
    "rejected": (
        lambda: ra.load([with_points({"redeemed_time": "soon"})]),
        1,
        "payloads, record 1, $.response.customer.redemptions.points.point[0].redeemed_time",
    ),
}
_TIMED = {"redeemed_time": "2026-01-01 00:00:00"}
_COUPONS = [{"id": 1, **_TIMED}, {"id": 2, **_TIMED}]


def _batch(points: int) -> dict[str, Any]:
    return {"points_consumed": points, "source_store": {"code": "north", "name": "North"}}


@pytest.mark.parametrize("check", CASES)
def test_a_check_finds_its_case_and_no_other_does(check: str) -> None:
    bundle, count, example = CASES[check]
    assert found(bundle()) == {check: (count, example)}


def test_merging_is_told_with_what_was_odd_about_it() -> None:
    seen = [
        with_points({"redeemed_time": "2026-01-01", "reversals": [reversal(7, 5)]}, mobile="1"),
        with_points({"redeemed_time": "2026-01-01", "reversals": [reversal(8, 5)]}, mobile="2"),
    ]
    assert found(ra.load(seen)) == {
        "vanished_reversals": (1, "reversal 7 of redemption aB0001"),
        "conflicting_customer": (1, "redemption aB0001"),
        "merged_duplicates": (1, "1 of points"),
    }


def test_every_check_has_its_row_and_its_severity_always() -> None:
    for r in (ra.Redemptions(), ra.load(SAMPLES)):
        rows = ra.audit(r)
        assert rows["check"].tolist() == CHECKS
        assert set(rows["severity"]) == {"error", "warning", "info"}
        assert rows.dtypes["count"] == "int64"
        assert (rows["example"].isna() == (rows["count"] == 0)).all()


def test_a_truncated_answer_is_found_once_however_often_it_is_exported(tmp_path: Path) -> None:
    text = (SAMPLES / "2025-stores.json").read_text()
    for day in ("2026-01-01", "2026-01-02"):
        (tmp_path / day).mkdir()
        (tmp_path / day / "2025-stores.json").write_text(text)
    once, twice = ra.load(tmp_path / "2026-01-01"), ra.load(tmp_path)
    for name, frame in once.tables.items():
        if name not in ("responses", "files"):  # the log of what was read
            pd.testing.assert_frame_equal(frame, twice.tables[name])
    for r in (once, twice):
        count, example = found(r)["truncated_points"]
        assert (count, example.split(": ")[1]) == (1, "3 said, 2 here")


def test_pages_of_one_customer_are_not_truncated_if_they_are_all_there() -> None:
    def page(*keys: str) -> dict[str, Any]:
        points = [{"redemption_id": key, "points_redeemed": 1, **_TIMED} for key in keys]
        return customer(mobile="1", points_count=3, redemptions={"points": {"point": points}})

    assert found(ra.load([page("a", "b"), page("c")])) == {}
    assert "truncated_points" in found(ra.load([page("a", "b"), page("b")]))


def test_what_an_older_answer_said_is_outdated_and_no_surplus() -> None:
    def seen(day: int, keys: str, count: int | None) -> Any:
        points = [{"redemption_id": key, "points_redeemed": 1, **_TIMED} for key in keys]
        told = customer(mobile="1", points_count=count, redemptions={"points": {"point": points}})
        return export(f"2026-02-0{day}", told)

    assert found(ra.load([seen(1, "a", 1), seen(2, "b", 2)])).keys() == set()
    # The newest answer does not say how many there are.
    assert found(ra.load([seen(1, "a", 1), seen(2, "ab", None)])).keys() == {"merged_duplicates"}
    # Nor does one that shows none outdate what was said before.
    surplus = found(ra.load([seen(1, "a", 1), seen(2, "bc", 2), seen(3, "", None)]))
    assert surplus == {"surplus_points": (1, "2026-02-02.jsonl#1/1: 2 said, 3 here")}


def test_decimal_parts_that_add_up_are_no_mismatch() -> None:
    point = redemption("aB0001", 0.3, shares={1: 0.1, 2: 0.2}, back=[reversal(7, 0.3)])
    assert found(load([point], points="decimal")) == {}


def test_examples_name_no_person() -> None:
    examples = ra.audit(ra.load(SAMPLES))["example"].dropna()
    assert not examples.str.contains("mobile:|email:|EXT-|example.com|4477", regex=True).any()


def test_a_column_of_objects_that_holds_nothing_is_one_of_its_type() -> None:
    r = load([redemption("a", 5, store=None)], [coupon(1)])
    objects = r.points.assign(**{name: r.points[name].astype(object) for name in ("store_code",)})
    objects["store_code"] = None
    found = ra.audit(ra.Redemptions(**{**r.tables, "points": objects}))
    expected = ra.audit(ra.Redemptions(**r.tables))
    pd.testing.assert_frame_equal(found, expected)
