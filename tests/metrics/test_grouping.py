"""What metrics are grouped by, and how groups are added up."""

from __future__ import annotations

from typing import Any

import pandas as pd
import pytest
from payloads import load, redemption, table

import redemption_analytics as ra
from redemption_analytics.metrics.coupons import coupon_summary
from redemption_analytics.metrics.grouping import names
from redemption_analytics.metrics.kpis import kpis
from redemption_analytics.metrics.outliers import reversal_outliers
from redemption_analytics.metrics.sums import combined, counted, distinct, summed
from redemption_analytics.options import PERIODS
from redemption_analytics.tables.custom_fields import with_custom_fields
from redemption_analytics.tables.dimensions import DIMENSIONS
from redemption_analytics.tables.lazy import frame, native


def test_one_name_is_a_list_of_one_and_a_name_given_twice_counts_once() -> None:
    assert names("month") == ["month"]
    assert names(name for name in ("month", "program_id", "month")) == ["month", "program_id"]
    assert names(()) == []


@pytest.mark.parametrize(
    "function", [ra.net_points, ra.reversal_rates, kpis, coupon_summary, reversal_outliers]
)
def test_an_unknown_name_is_refused_with_those_known_and_the_nearest(function: Any) -> None:
    with pytest.raises(ra.UsageError) as error:
        function(load(), ["month", "store"])
    text = str(error.value)
    assert text.startswith("cannot group by 'store': it takes customer_key, ")
    assert all(name in text for name in ("store_code", "custom:NAME", *PERIODS))
    assert text.endswith("Did you mean 'store_code'?")


@pytest.mark.parametrize("name", ["custom:", "custom", "Custom:channel", "channel", 5, None, ""])
def test_what_names_no_custom_field_is_refused(name: Any) -> None:
    with pytest.raises(ra.UsageError, match="cannot group by"):
        names([name], custom_of=load())


def test_custom_fields_are_refused_where_a_metric_does_not_know_them() -> None:
    with pytest.raises(ra.UsageError, match=r"year\.$"):
        names("custom:channel")


@pytest.mark.parametrize("by", [None, 5])
def test_what_is_no_list_of_names_is_refused(by: Any) -> None:
    with pytest.raises(ra.UsageError, match="a name or a list of names"):
        names(by)


@pytest.mark.parametrize("name", ['a "b" c', "a:b", "a.b", "^a.*$", "customer_key", "ä"])
def test_a_custom_field_may_have_any_name(name: str) -> None:
    r = load([redemption("1", 10, custom={name: "x", "b": "y"})])
    by = f"custom:{name}"
    assert table(ra.net_points(r, [by, "customer_key"]), by, "net_points") == [("x", 10)]


def test_custom_fields_of_points_and_of_coupons_are_told_apart() -> None:
    rows = frame(pd.DataFrame({"redemption_key": ["1", "2"]}))
    fields = pd.DataFrame(
        {
            "redemption_key": ["1", "1", "1"],
            "name": ["channel", "channel", "desk"],
            "redemption_type": ["points", "coupon", "points"],
            "value": ["app", "web", "7"],
        }
    )
    for kind, value in (("points", "app"), ("coupon", "web")):
        found = native(with_custom_fields(rows, frame(fields), kind, ["custom:channel", "month"]))
        assert table(found) == [("1", value), ("2", None)]


GROUPS = pd.DataFrame(
    {
        "store": ["b", None, "a", None, "b"],
        "who": ["x", "x", None, "y", "x"],
        "points": [1, 2, 3, 4, 5],
    }
)


def test_groups_are_sorted_with_nulls_last_and_sums_keep_their_type() -> None:
    sums = native(summed(frame(GROUPS), ["store"], ["points"]))
    assert table(sums) == [("a", 3), ("b", 6), (None, 6)]
    assert sums["points"].dtype == "int64"
    decimals = frame(GROUPS.assign(points=[0.1, 0.1, 0.1, 0.1, 0.2]))
    assert table(native(summed(decimals, ["store"], ["points"]))) == [
        ("a", 0.1),
        ("b", 0.3),
        (None, 0.2),
    ]


def test_the_sum_of_no_rows_is_one_row_of_zeros_and_no_group() -> None:
    empty = frame(GROUPS.head(0))
    assert table(native(summed(empty, [], ["points"]))) == [(0,)]
    assert table(native(summed(empty, ["store"], ["points"]))) == []


def test_sums_above_what_floats_hold_are_exact() -> None:
    large = pd.DataFrame({"store": ["a", "a"], "points": [2**53, 1]})
    rows = frame(large)
    assert table(native(summed(rows, ["store"], ["points"]))) == [("a", 2**53 + 1)]
    parts = [summed(rows, ["store"], ["points"]), counted(rows, ["store"], "rows")]
    assert table(native(combined(parts, ["store"], ["points", "rows"]))) == [("a", 2**53 + 1, 2)]


def test_distinct_counts_each_once_in_a_group_and_nulls_never() -> None:
    rows = frame(GROUPS)
    assert table(native(distinct(rows, [], ["who"], "people"))) == [(2,)]
    found = table(native(distinct(rows, ["store"], ["who"], "people")))
    assert sorted(found, key=str) == [("b", 1), (None, 2)]
    assert table(native(distinct(rows, ["who"], ["store", "who"], "pairs"))) == [("x", 2), ("y", 1)]


def test_combined_puts_numbers_side_by_side_and_null_groups_together() -> None:
    rows = frame(GROUPS)
    parts = [
        summed(rows, ["store"], ["points"]),
        distinct(rows, ["store"], ["who"], "people"),
        counted(rows, [], "all"),
    ]
    assert table(native(combined(parts, ["store"], ["points", "people", "all"]))) == [
        ("a", 3, 0, 0),
        ("b", 6, 1, 0),
        (None, 6, 2, 5),
    ]


def test_dimensions_are_columns_of_points() -> None:
    assert set(DIMENSIONS) <= set(load().points.columns)
