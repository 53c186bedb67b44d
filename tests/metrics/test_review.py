"""Customers to review: who is listed, and who is not."""

from __future__ import annotations

import itertools
from datetime import datetime
from typing import Any

import numpy as np
import polars as pl
import pytest
from payloads import load, redemption, reversal, table
from scipy.stats import binom, false_discovery_control

import redemption_analytics as ra
from redemption_analytics.metrics.review import customers_to_review
from redemption_analytics.sample import write_sample


def bundle(*counts: tuple[str, str | None, int, int]) -> ra.Redemptions:
    """Customers at tills with so many redemptions, and so many of them reversed."""
    numbers = itertools.count()
    return load(
        redemption(
            f"{customer}-{till}-{n}",
            10,
            customer=customer,
            till=till,
            back=[reversal(next(numbers), 10)] * (n < k),
        )
        for customer, till, many, k in counts
        for n in range(many)
    )


Counts = list[tuple[str, str, int, int]]


def others(many: int = 60, *, till: str = "till", every: int = 3) -> Counts:
    """Customers of whom every third has one of ten redemptions reversed."""
    return [(f"{till} {n}", till, 10, int(n % every == 0)) for n in range(many)]


def listed(r: ra.Redemptions, **arguments: Any) -> list[tuple[Any, ...]]:
    return table(customers_to_review(r, **arguments), "about", "customer_key", "till_code")


def test_who_redeems_and_reverses_again_and_again_is_listed() -> None:
    r = bundle(*others(), ("eve", "till", 12, 11))
    found = customers_to_review(r)
    columns = ("about", "customer_key", "redemptions", "reversed_redemptions", "points_reversed")
    assert table(found, *columns) == [
        ("customer", "user_id:eve", 12, 11, 110),
        ("customer at till", "user_id:eve", 12, 11, 110),
    ]
    assert found["till_code"].isna().tolist() == [True, False]
    assert found["expected_reversed_redemptions"].between(0.3, 1.5).all()


def test_few_redemptions_or_few_reversals_are_no_habit() -> None:
    r = bundle(*others(200, every=20), ("twice", "till", 20, 2), ("new", "till", 4, 4))
    assert listed(r, false_alarms=0.5, min_redemptions=4) != []
    assert listed(r, false_alarms=0.5) == []
    assert {row[1] for row in listed(r, false_alarms=1, min_reversed=2)} == {"user_id:twice"}


def test_what_a_till_does_to_all_is_not_held_against_its_customers() -> None:
    hot = [(f"regular {n}", "hot", 12, 5) for n in range(20)]
    assert listed(bundle(*others(150), *hot)) == []


def test_a_customer_at_one_till_is_listed_if_neither_does_so_otherwise() -> None:
    pals = [("eve", "till", 30, 2), ("eve", "corner", 14, 12)]
    r = bundle(*others(), *others(30, till="corner"), *pals)
    assert ("customer at till", "user_id:eve", "corner") in listed(r)
    assert ("customer at till", "user_id:eve", "till") not in listed(r, false_alarms=0.5)


def test_of_nobody_and_no_till_there_are_no_pairs() -> None:
    r = bundle(*others(), ("eve", None, 12, 11))
    assert listed(r) == [("customer", "user_id:eve", None)]
    r.points["customer_key"] = r.points["customer_key"].where(r.points["till_code"].notna(), None)
    assert listed(r) == []


def test_q_values_are_of_all_that_are_large_enough_not_of_those_listed() -> None:
    r = bundle(*others(), ("eve", "till", 12, 11), ("small", "till", 4, 1))
    every = customers_to_review(r, min_reversed=1, false_alarms=1)
    nothing_back = 2 * 40  # customers and pairs, each for certain
    expected = false_discovery_control([*every["p_value"], *[1.0] * nothing_back])
    np.testing.assert_allclose(every["q_value"], expected[: len(every)], rtol=1e-12)


def test_nobody_is_listed_where_there_is_nobody_else_or_nothing() -> None:
    assert listed(bundle(("eve", "till", 20, 20))) == []
    assert listed(ra.Redemptions()) == []


@pytest.mark.parametrize("share", [0, -0.1, 1.5, True, "1 %", None, float("nan")])
def test_a_share_that_is_none_is_refused(share: Any) -> None:
    with pytest.raises(ra.UsageError, match="customers_to_review: false_alarms is a share"):
        customers_to_review(load(), false_alarms=share)


def test_nobody_of_the_sample_is_accused_for_the_till_that_reverses_most(tmp_path: Any) -> None:
    r = ra.load(write_sample(tmp_path, customers=1000, exports=1))
    assert listed(r) == []
    assert len(listed(r, false_alarms=1)) > 20


@pytest.mark.slow
def test_where_customers_differ_by_nature_hardly_a_list_names_one() -> None:
    random, lists, wrong = np.random.default_rng(5), 60, 0
    for _ in range(lists):
        sizes = np.minimum(random.geometric(0.12, 80), 60)
        rates = random.beta(0.07 * 50, 0.93 * 50, 80)
        backs = random.binomial(sizes, rates)
        counts = [
            (f"c{n}", f"till {n % 5}", int(size), int(back))
            for n, (size, back) in enumerate(zip(sizes, backs, strict=True))
        ]
        wrong += len(customers_to_review(small(counts))) > 0
    assert wrong <= binom.ppf(0.999, lists, 0.01)


def small(counts: Counts) -> ra.Redemptions:
    """The same as a bundle of Polars frames, which take the least time."""
    rows = [
        (f"{customer} {till} {n}", customer, till, n < k, 10, datetime(2026, 1, 10))
        for customer, till, many, k in counts
        for n in range(many)
    ]
    names = ["redemption_key", "customer_key", "till_code", "back", "points", "time"]
    told = pl.DataFrame(rows, schema=names, orient="row")
    return ra.Redemptions(
        points=told.drop("back").rename({"points": "points_redeemed", "time": "redeemed_time"}),
        reversals=told.filter("back")
        .select("redemption_key", points_reversed="points", reversal_time="time")
        .with_row_index("reversal_id"),
    )
