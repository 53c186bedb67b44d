"""Differences of rates: against statsmodels, and which row is compared with which."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd
import pytest
from engines import KINDS, Bundles, of_every_kind, same, write_exports
from everyday import first_everyday
from payloads import load, redemption, reversal, table
from statsmodels.stats.proportion import confint_proportions_2indep

import redemption_analytics as ra
from redemption_analytics.tables.frames import as_arrow


def rates(by: Any = (), **stores: tuple[int, int]) -> pd.DataFrame:
    """Rates of stores with so many redemptions, and so many of them reversed."""
    redemptions = [
        redemption(f"{store}{n}", 10, store=store, back=[reversal(f"{store}{n}", 10)] * (n < k))
        for store, (count, k) in stores.items()
        for n in range(count)
    ]
    for number, item in enumerate(redemptions):
        for back in item["reversals"]:
            back["reversal_id"] = number
    return ra.reversal_rates(load(redemptions), by)


@pytest.mark.parametrize(
    ("first", "second"),
    [((56, 3), (70, 12)), ((10, 0), (20, 0)), ((5, 5), (7, 0)), ((1, 1), (1, 1))],
)
def test_the_interval_is_newcombes(first: tuple[int, int], second: tuple[int, int]) -> None:
    found = ra.compare_rates(rates(a=first), rates(a=second)).iloc[0]
    low, high = confint_proportions_2indep(
        second[1], second[0], first[1], first[0], method="newcomb", compare="diff"
    )
    assert found["change"] == pytest.approx(second[1] / second[0] - first[1] / first[0])
    assert (found["ci_low"], found["ci_high"]) == pytest.approx((low, high), abs=1e-12)
    assert (found["redemptions_before"], found["redemptions_after"]) == (first[0], second[0])


def test_one_row_is_compared_with_one_row_whatever_they_are_of() -> None:
    both = rates("store_code", north=(20, 4), south=(30, 3))
    found = ra.compare_rates(both.head(1), both.tail(1))
    columns = ("redemptions_before", "redemptions_after", "rate_before", "rate_after")
    assert table(found, *columns) == [(20, 30, 0.2, 0.1)]
    assert "store_code" not in found


def test_groups_are_compared_with_themselves_and_one_that_lacks_has_no_change() -> None:
    before = rates("store_code", north=(20, 4), south=(30, 3), gone=(5, 1))
    after = rates("store_code", south=(10, 2), north=(40, 4), new=(8, 0))
    found = ra.compare_rates(before, after)
    columns = ("store_code", "redemptions_before", "redemptions_after", "rate_after")
    assert table(found, *columns) == [
        ("gone", 5, 0, None),
        ("new", 0, 8, 0.0),
        ("north", 20, 40, 0.1),
        ("south", 30, 10, 0.2),
    ]
    assert found["change"].isna().tolist() == [True, True, False, False]


def test_periods_are_compared_by_what_on_names() -> None:
    r = load(
        redemption(f"{month}{store}{n}", 10, f"2026-{month}-05", store=store)
        for month in ("01", "02")
        for store in ("north", "south")
        for n in range(3)
    )
    by = ra.reversal_rates(r, ["store_code", "month"])
    january, february = by[by["month"] == "2026-01"], by[by["month"] == "2026-02"]
    found = ra.compare_rates(january, february, on="store_code")
    assert table(found, "store_code", "change") == [("north", 0.0), ("south", 0.0)]
    with pytest.raises(ra.UsageError, match="after has several rows of one group"):
        ra.compare_rates(january, by, on="store_code")


def test_rows_taken_out_of_a_frame_are_told_by_their_groups_not_by_their_places() -> None:
    before = rates("store_code", east=(5, 1), north=(20, 4), south=(30, 3))
    after = rates("store_code", north=(20, 4), south=(30, 3))
    found = ra.compare_rates(before[before["store_code"] != "east"], after)
    assert table(found, "store_code", "change") == [("north", 0.0), ("south", 0.0)]


def test_the_null_group_is_compared_with_the_null_group() -> None:
    unplaced = load([redemption("a", 5, store=None), redemption("b", 5)])
    found = ra.compare_rates(*[ra.reversal_rates(unplaced, "store_code")] * 2)
    assert table(found, "store_code", "redemptions_after") == [("north", 1), (None, 1)]


def test_what_is_no_rate_is_refused() -> None:
    good = rates(a=(3, 1))
    with pytest.raises(ra.UsageError, match="compare_rates: before is rates, as reversal_rates"):
        ra.compare_rates(good.drop(columns="ci_low"), good)
    with pytest.raises(ra.UsageError, match=r"compare_rates: after is rates.*not 0.5"):
        ra.compare_rates(good, 0.5)
    named = rates("store_code", a=(3, 1), b=(2, 0))
    with pytest.raises(ra.UsageError, match=r"on is of the groups.*Did you mean 'store_code'"):
        ra.compare_rates(named, named, on="store")


@pytest.fixture(scope="module")
def bundles(tmp_path_factory: pytest.TempPathFactory) -> Bundles:
    exports, converted = (tmp_path_factory.mktemp(name) for name in ("exports", "converted"))
    write_exports(exports)
    return of_every_kind(exports, converted, "int")


@pytest.mark.parametrize(
    "by", first_everyday([["store_code", "redemption_purpose"], "program_id", []]), ids=str
)
def test_a_comparison_is_the_same_on_every_engine(bundles: Bundles, by: Any) -> None:
    def compared(r: ra.Redemptions) -> Any:
        old, new = r.filter(until="2025-12"), r.filter(since="2026-01")
        return ra.compare_rates(*(ra.reversal_rates(part, by) for part in (old, new)))

    expected = as_arrow(compared(bundles["pandas"])).to_pylist()
    assert np.isfinite([row["change"] for row in expected if row["change"] is not None]).any()
    for kind in KINDS:
        found = compared(bundles[kind])
        assert type(found) is type(bundles[kind].points)
        for one, other in zip(as_arrow(found).to_pylist(), expected, strict=True):
            assert one.keys() == other.keys()
            assert all(same(one[name], other[name]) for name in other), (kind, one, other)
