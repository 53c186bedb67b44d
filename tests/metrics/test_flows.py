"""Flows between stores: sums, and how old points were when they were burnt."""

from __future__ import annotations

from typing import Any

import pytest
from payloads import Item, load, redemption, reversal, table

import redemption_analytics as ra
from redemption_analytics.metrics.flows import source_flows
from redemption_analytics.sample import write_sample


def batch(store: str | None, points: float, awarded: str | None) -> Item:
    return {
        "source_store": {"code": store},
        "points_consumed": points,
        "awarding_date": awarded,
    }


def flows(*points: Item, **options: Any) -> list[tuple[Any, ...]]:
    return table(source_flows(load(points, **options)))


def test_points_flow_from_the_store_that_awarded_them_to_the_one_that_took_them() -> None:
    one = [batch("north", 30, "2026-01-01 00:00:00"), batch("south", 10, "2026-01-08 12:00:00")]
    two = [batch("north", 5, "2026-01-19 00:00:00")]
    assert flows(
        redemption("a", 40, "2026-01-11", redemption_breakup_by_source=one),
        redemption("b", 5, "2026-01-20", store="south", redemption_breakup_by_source=two),
    ) == [
        ("north", "north", 30, 10.0),
        ("north", "south", 5, 1.0),
        ("south", "north", 10, 2.5),
    ]


def test_the_mean_age_is_weighted_by_points() -> None:
    batches = [batch("north", 30, "2026-01-01 00:00:00"), batch("north", 10, "2026-01-09 00:00:00")]
    a = redemption("a", 40, "2026-01-11", redemption_breakup_by_source=batches)
    assert flows(a) == [("north", "north", 40, (30 * 10 + 10 * 2) / 40)]


def test_points_of_unknown_age_are_in_the_sum_and_not_in_the_mean() -> None:
    batches = [batch("north", 30, None), batch("north", 10, "2026-01-09 00:00:00")]
    a = redemption("a", 40, "2026-01-11", redemption_breakup_by_source=batches)
    b = redemption(
        "b", 7, None, redemption_breakup_by_source=[batch("north", 7, "2026-01-09 00:00:00")]
    )
    assert flows(a, b) == [("north", "north", 47, 2.0)]
    assert flows(b) == [("north", "north", 7, None)]


def test_no_points_have_no_age() -> None:
    batches = [batch("north", 0, "2026-01-09 00:00:00")]
    a = redemption("a", 0, "2026-01-11", redemption_breakup_by_source=batches)
    assert flows(a) == [("north", "north", 0, None)]


def test_unknown_stores_are_stores_of_their_own() -> None:
    batches = [batch(None, 30, None), batch("north", 10, None)]
    a = redemption("a", 40, store=None, redemption_breakup_by_source=batches)
    assert flows(a) == [("north", None, 10, None), (None, None, 30, None)]


def test_reversals_do_not_tell_which_batches_they_give_back() -> None:
    batches = [batch("north", 40, "2026-01-10 00:00:00")]
    a = redemption("a", 40, "2026-01-11", [reversal(1, 40)], redemption_breakup_by_source=batches)
    assert flows(a) == [("north", "north", 40, 1.0)]


def test_redemptions_without_a_source_are_in_no_flow() -> None:
    assert flows(redemption("a", 40)) == []
    assert list(source_flows(load()).columns) == [
        "source_store_code",
        "store_code",
        "points_consumed",
        "mean_age_days",
    ]


def test_batches_of_unknown_redemptions_flow_to_no_known_store() -> None:
    batches = [batch("north", 40, "2026-01-10 00:00:00")]
    r = load([redemption("a", 40, redemption_breakup_by_source=batches)])
    alone = ra.Redemptions(source_breakups=r.source_breakups)
    assert table(source_flows(alone)) == [("north", None, 40, None)]


def test_decimal_points_flow_too() -> None:
    batches = [
        batch("north", 0.1, "2026-01-10 00:00:00"),
        batch("north", 0.2, "2026-01-08 00:00:00"),
    ]
    a = redemption("a", 0.3, "2026-01-11", redemption_breakup_by_source=batches)
    [(*_, points, age)] = flows(a, points="decimal")
    assert points == 0.3
    assert age == pytest.approx(0.7 / 0.3, rel=1e-12)


def test_flows_are_what_loops_find(tmp_path: Any) -> None:
    r = ra.load(write_sample(tmp_path, customers=300, exports=1, seed=13))
    homes = {row["redemption_key"]: row for row in r.points.to_dict("records")}
    sums: dict[Any, list[float]] = {}
    for row in r.source_breakups.to_dict("records"):
        home = homes[row["redemption_key"]]
        pair = row["source_store_code"], home["store_code"]
        cell = sums.setdefault(tuple(None if v != v else v for v in pair), [0, 0, 0])
        days = (home["redeemed_time"] - row["awarding_date"]).total_seconds() / 86_400
        cell[0] += row["points_consumed"]
        if days == days:
            cell[1] += row["points_consumed"]
            cell[2] += row["points_consumed"] * days
    found = {row[:2]: row[2:] for row in table(source_flows(r))}
    assert found.keys() == sums.keys()
    assert len(found) > 100
    for pair, (consumed, aged, weighted) in sums.items():
        assert found[pair] == (consumed, pytest.approx(weighted / aged, rel=1e-12))
