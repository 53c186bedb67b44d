"""Outliers: the exact test and its adjustment, against SciPy and against sixty decimal places."""

from __future__ import annotations

import itertools
import math
from decimal import Decimal, localcontext
from typing import Any

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from payloads import load, redemption, reversal, table
from scipy.stats import binomtest, false_discovery_control
from statsmodels.stats.proportion import proportion_confint

import redemption_analytics as ra
from redemption_analytics.metrics.binomial import binomial_tail
from redemption_analytics.metrics.inference import false_discovery_rates
from redemption_analytics.metrics.outliers import reversal_outliers
from redemption_analytics.sample import write_sample

COUNTS = ("redemptions", "reversed_redemptions")
TESTS = ("expected_reversed_redemptions", "p_value", "q_value")


@pytest.fixture(scope="module")
def r(tmp_path_factory: pytest.TempPathFactory) -> ra.Redemptions:
    return ra.load(write_sample(tmp_path_factory.mktemp("exports"), customers=1000, exports=1))


def tills(**counts: tuple[int, int]) -> ra.Redemptions:
    """Tills with so many redemptions, and so many of them reversed."""
    numbers = itertools.count()
    return load(
        redemption(f"{till}{n}", 10, till=till, back=[reversal(next(numbers), 10)] * (n < k))
        for till, (count, k) in counts.items()
        for n in range(count)
    )


@pytest.mark.parametrize(
    "by",
    [
        "till_code",
        "store_code",
        "customer_key",
        "redemption_purpose",
        ["till_code", "year"],
        "custom:channel",
    ],
    ids=str,
)
def test_every_group_is_tested_against_all_others(r: ra.Redemptions, by: Any) -> None:
    found = reversal_outliers(r, by)
    groups = [by] if isinstance(by, str) else by
    assert list(found.columns) == [*groups, *COUNTS, *TESTS]
    rates = ra.reversal_rates(r, by)
    assert sorted(table(found, *groups, *COUNTS), key=str) == sorted(
        table(rates, *groups, *COUNTS), key=str
    )
    n, k = (found[name] for name in COUNTS)
    rest = (k.sum() - k) / (n.sum() - n)
    np.testing.assert_allclose(found["expected_reversed_redemptions"], n * rest, rtol=1e-12)
    expected = [
        binomtest(*each, alternative="greater").pvalue for each in zip(k, n, rest, strict=True)
    ]
    np.testing.assert_allclose(found["p_value"], expected, rtol=1e-11)
    np.testing.assert_allclose(found["q_value"], false_discovery_control(expected), rtol=1e-11)
    assert found["p_value"].is_monotonic_increasing


def test_the_till_that_reverses_most_is_found_and_no_other(r: ra.Redemptions) -> None:
    found = reversal_outliers(r)
    assert table(found[found["q_value"] < 0.01], "till_code") == [("station.till2",)]


def test_few_reversals_are_no_outlier() -> None:
    found = reversal_outliers(tills(a=(40, 0), b=(40, 20), c=(40, 20)))
    assert table(found, "till_code", *COUNTS)[-1] == ("a", 40, 0)
    assert found["p_value"].iloc[-1] == 1.0


def test_equal_p_values_stand_in_the_order_of_their_groups() -> None:
    assert table(reversal_outliers(tills(c=(3, 1), a=(3, 1), b=(3, 1))), "till_code") == [
        ("a",),
        ("b",),
        ("c",),
    ]


def test_where_the_others_never_reverse_the_probability_is_nothing() -> None:
    found = reversal_outliers(tills(a=(5, 1), b=(5, 0)))
    assert table(found, "till_code", *TESTS) == [("a", 0.0, 0.0, 0.0), ("b", 1.0, 1.0, 1.0)]


def test_a_group_without_others_has_nothing_to_be_held_against() -> None:
    assert table(reversal_outliers(tills(a=(5, 1)))) == [("a", 5, 1, None, None, None)]


def test_the_null_program_that_only_takes_back_is_neither_tested_nor_held_against_others() -> None:
    both = redemption("a", 100, back=[reversal(1, 40)], shares={1: 60, 2: 40})
    others = [redemption(str(n), 5, program=n % 2 + 1) for n in range(7)]
    found = reversal_outliers(load([both, *others]), "program_id")
    assert table(found) == [
        (1, 5, 0, 0.0, 1.0, 1.0),
        (2, 4, 0, 0.0, 1.0, 1.0),
        (None, 0, 1, None, None, None),
    ]


def test_without_names_there_is_nothing_to_compare() -> None:
    with pytest.raises(ra.UsageError, match="till_code"):
        reversal_outliers(load(), ())


def exact_tail(k: int, n: int, p: float) -> Decimal:
    """Add up to sixty places, starting from an exact binomial coefficient."""
    with localcontext(prec=60):
        q = 1 - Decimal(p)
        term = Decimal(math.comb(n, k)) * Decimal(p) ** k * q ** (n - k)
        total = term
        for at in range(k, n):
            term *= Decimal(n - at) / (at + 1) * Decimal(p) / q
            total += term
            if term < total * Decimal("1e-40"):
                break
        return total


@pytest.mark.parametrize(
    ("k", "n", "p"),
    [
        (1, 1, 0.3),
        (2, 2, 0.999),
        (1, 50, 1e-9),
        (7, 15, 0.1),
        (16, 17, 0.9),
        (60, 886, 0.07),
        (270, 886, 0.07),
        (52, 73, 1e-6),
        (1, 1_000_000, 1e-7),
        (100, 1_000_000, 1e-4),
        (101, 1_000_000, 1e-4),
        (190, 1_000_000, 1e-4),
        (9_800, 1_000_000, 0.01),
        (10_500, 1_000_000, 0.01),
        (13_500, 1_000_000, 0.01),
        (999_000, 1_000_000, 0.9985),
        (999_990, 1_000_000, 0.9985),
    ],
)
def test_the_tail_is_exact_to_twelve_places(k: int, n: int, p: float) -> None:
    assert binomial_tail(k, n, p) == pytest.approx(float(exact_tail(k, n, p)), rel=1e-12, abs=0)


@settings(max_examples=300, deadline=None)
@given(data=st.data(), n=st.integers(1, 3_000), p=st.floats(1e-6, 1 - 1e-6))
def test_the_tail_is_what_scipy_says(data: st.DataObject, n: int, p: float) -> None:
    k = data.draw(st.integers(0, n))
    expected = binomtest(k, n, p, alternative="greater").pvalue
    if 0 < expected < 1e-250:  # there SciPy is right to six places only
        expected = float(exact_tail(k, n, p))
    assert binomial_tail(k, n, p) == pytest.approx(expected, rel=1e-10, abs=1e-300)


@pytest.mark.parametrize(
    ("k", "n", "p", "tail"),
    [(0, 5, 0.2, 1.0), (0, 5, 0.0, 1.0), (1, 5, 0.0, 0.0), (5, 5, 1.0, 1.0), (6, 5, 0.5, 0.0)],
)
def test_the_tail_at_its_ends(k: int, n: int, p: float, tail: float) -> None:
    assert binomial_tail(k, n, p) == tail


@settings(max_examples=100, deadline=None)
@given(st.lists(st.floats(0, 1) | st.sampled_from([0.0, 0.01, 0.05, 1.0]), max_size=20))
def test_the_adjustment_is_what_scipy_does(p_values: list[float]) -> None:
    found = false_discovery_rates(np.array(p_values, float))
    expected = false_discovery_control(p_values) if p_values else np.array([])
    np.testing.assert_allclose(found, expected, rtol=1e-12)


def test_wilsons_interval_is_what_statsmodels_says(r: ra.Redemptions) -> None:
    rates: pd.DataFrame = ra.reversal_rates(r, ["till_code", "year"])
    low, high = proportion_confint(
        rates["reversed_redemptions"], rates["redemptions"], alpha=0.05, method="wilson"
    )
    np.testing.assert_allclose(rates["ci_low"], low, rtol=1e-9, atol=1e-12)
    np.testing.assert_allclose(rates["ci_high"], high, rtol=1e-9)
