"""Outliers: against SciPy, against many decimal places, and whom they accuse of nothing."""

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
from scipy.stats import betabinom, binom, chi2, false_discovery_control, fisher_exact
from statsmodels.stats.proportion import proportion_confint

import redemption_analytics as ra
from benchmarks.outliers import Tills, accused
from redemption_analytics.metrics.binomial import probabilities
from redemption_analytics.metrics.excess import excess
from redemption_analytics.metrics.inference import false_discovery_rates
from redemption_analytics.metrics.outliers import reversal_outliers, stands_out
from redemption_analytics.metrics.overdispersion import correlation, correlation_of_others
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
    n, k = (found[name].to_numpy() for name in COUNTS)
    rest = (k.sum() - k) / (n.sum() - n)
    np.testing.assert_allclose(found["expected_reversed_redemptions"], n * rest, rtol=1e-12)
    np.testing.assert_allclose(found["p_value"], by_scipy(n, k), rtol=1e-6)
    large = n >= 10
    np.testing.assert_array_equal(found["q_value"].isna(), ~large)
    expected = false_discovery_control(found.loc[large, "p_value"])
    np.testing.assert_allclose(found.loc[large, "q_value"], expected, rtol=1e-11)
    assert found.loc[large, "p_value"].is_monotonic_increasing
    assert not large[large.sum() :].any()


def by_scipy(n: Any, k: Any) -> list[float]:
    """The tail of SciPy's beta-binomial, with the rate of the others and how much these differ."""
    p_values = []
    correlations = correlation_of_others(n, k, np.ones_like(n))
    for at, (size, count, apart) in enumerate(zip(n, k, correlations, strict=True)):
        others, back = np.delete(n, at), np.delete(k, at).sum()
        m = others.sum()
        known = m / (1 + apart * (others * (others - 1)).sum() / m)
        mean = (back / m * known + 1) / (known + 1)
        weight = 1 / (1 - (1 - 1 / (known + 2)) * (1 - apart)) - 1
        law = betabinom(size, mean * weight, (1 - mean) * weight)
        p_values.append(law.pmf(np.arange(count, size + 1)).sum())
    return p_values


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


@settings(max_examples=200, deadline=None)
@given(data=st.data(), n=st.integers(1, 400), m=st.integers(1, 400))
def test_against_one_other_group_it_is_fishers_exact_test(
    data: st.DataObject, n: int, m: int
) -> None:
    k, r = data.draw(st.integers(0, n)), data.draw(st.integers(0, m))
    p_value = excess([n, m], [k, r], 1)["p_value"][0].as_py()
    expected = fisher_exact([[k, n - k], [r, m - r]], alternative="greater").pvalue
    assert p_value == pytest.approx(expected, rel=1e-9)


def test_one_of_five_beside_none_of_thirty_is_chance() -> None:
    found = reversal_outliers(tills(a=(5, 1), b=(30, 0)), min_redemptions=5)
    assert table(found.round(4), "till_code", *TESTS) == [
        ("a", 0.0, 0.1429, 0.2857),
        ("b", 6.0, 1.0, 1.0),
    ]


def test_one_of_one_does_not_stand_out() -> None:
    found = reversal_outliers(tills(a=(1, 1), b=(200, 0), c=(300, 0)))
    assert table(found.round(3), "till_code", "p_value", "q_value")[-1] == ("a", 0.002, None)
    assert not [row for row in found.to_dict("records") if stands_out(row)]


def test_a_group_below_the_floor_is_held_against_nobody_but_counts_among_the_others() -> None:
    counts = {"a": (9, 5), "b": (30, 25), "c": (500, 25), "d": (400, 22)}
    found = table(reversal_outliers(tills(**counts)), "till_code", *TESTS)
    assert [row[0] for row in found] == ["b", "d", "c", "a"]
    assert found[0][1] == pytest.approx(30 * (5 + 25 + 22) / 909)
    assert None not in [row[3] for row in found[:3]]
    assert found[3][3] is None
    lower = reversal_outliers(tills(**counts), min_redemptions=9).set_index("till_code")
    assert lower["q_value"].notna().all()
    assert table(lower, "p_value") == table(
        reversal_outliers(tills(**counts)).set_index("till_code").loc[lower.index], "p_value"
    )


@pytest.mark.parametrize("floor", [0, -1, 2.5, True, "10", None])
def test_a_floor_that_is_no_number_of_redemptions_is_refused(floor: Any) -> None:
    with pytest.raises(ra.UsageError, match="reversal_outliers: min_redemptions is"):
        reversal_outliers(load(), min_redemptions=floor)


def test_a_group_without_others_has_nothing_to_be_held_against() -> None:
    assert table(reversal_outliers(tills(a=(5, 1)))) == [("a", 5, 1, None, None, None)]


def test_the_null_program_that_only_takes_back_is_neither_tested_nor_held_against_others() -> None:
    both = redemption("a", 100, back=[reversal(1, 40)], shares={1: 60, 2: 40})
    others = [redemption(str(n), 5, program=n % 2 + 1) for n in range(7)]
    found = reversal_outliers(load([both, *others]), "program_id", min_redemptions=1)
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
    tail = probabilities(n, p)[k:].sum()
    assert tail == pytest.approx(float(exact_tail(k, n, p)), rel=1e-8, abs=0)


@settings(max_examples=300, deadline=None)
@given(
    n=st.integers(1, 3_000),
    rate=st.floats(1e-6, 1 - 1e-6),
    apart=st.just(0.0) | st.floats(1e-6, 0.9),
)
def test_probabilities_are_scipys(n: int, rate: float, apart: float) -> None:
    x = np.arange(n + 1)
    weight = 1 / apart - 1 if apart else 0.0
    expected = (
        betabinom.pmf(x, n, rate * weight, (1 - rate) * weight) if apart else binom.pmf(x, n, rate)
    )
    np.testing.assert_allclose(probabilities(n, rate, apart), expected, rtol=1e-7, atol=1e-250)


@pytest.mark.parametrize(
    ("n", "rate", "expected"), [(3, 0.0, [1, 0, 0, 0]), (3, 1.0, [0, 0, 0, 1]), (0, 0.5, [1])]
)
def test_probabilities_at_their_ends(n: int, rate: float, expected: list[float]) -> None:
    assert probabilities(n, rate, 0.25).tolist() == expected


# --- Groups that differ by nature ----------------------------------------------------------------


def squares(n: Any, k: Any, apart: float) -> float:
    """Squared deviations from the weighted mean, each in terms of its variance."""
    weights = [size / (1 + (size - 1) * apart) for size in n]
    rates = [count / size for count, size in zip(k, n, strict=True)]
    mean = sum(w * p for w, p in zip(weights, rates, strict=True)) / sum(weights)
    deviations = sum(w * (p - mean) ** 2 for w, p in zip(weights, rates, strict=True))
    return float(deviations / (mean * (1 - mean)))


def test_the_correlation_is_that_at_which_deviations_are_what_is_to_be_expected() -> None:
    n, k = np.array([120, 80, 400, 300, 60, 1]), np.array([10, 9, 60, 20, 2, 0])
    apart = correlation(n, k)
    assert squares(n[:5], k[:5], apart) == pytest.approx(4, rel=0.01)
    assert correlation(n, np.array([9, 6, 30, 22, 5, 0])) == 0


def test_the_limit_for_the_others_is_that_at_which_deviations_are_rarely_so_few() -> None:
    n = np.arange(200, 1200, 25)
    k = (n * np.tile([0.09, 0.11, 0.13], 14)[: len(n)]).astype(int)
    limits = correlation_of_others(n, k, np.ones_like(n))
    for at in (0, 20, 39):
        others = (np.delete(n, at), np.delete(k, at))
        low = chi2.ppf(0.05, len(n) - 2)
        assert squares(*others, limits[at]) == pytest.approx(low, rel=0.02)


def test_of_few_others_no_more_is_supposed_than_is_common_unless_they_show_it() -> None:
    alike = (np.array([100, 100, 100]), np.array([9, 13, 40]), np.ones(3, int))
    mean = 0.11
    assert correlation_of_others(*alike)[2] == pytest.approx(0.25 * mean / (1 - mean))
    assert correlation_of_others(*alike)[0] > 0.25 * 0.25 / 0.75
    assert correlation_of_others(*(column[:2] for column in alike)).tolist() == [0, 0]


def test_groups_with_the_same_numbers_are_each_others_others() -> None:
    n, k = np.array([50, 80, 20]), np.array([5, 20, 1])
    once = correlation_of_others(np.repeat(n, 3), np.repeat(k, 3), np.ones(9, int))
    np.testing.assert_allclose(once[::3], correlation_of_others(n, k, np.full(3, 3)), rtol=1e-9)


def test_several_bad_tills_do_not_hide_one_another() -> None:
    n = np.full(40, 300)
    k = np.array([84, 80, 90] + [21, 18, 24, 20] * 9 + [21])
    q_values = excess(n.tolist(), k.tolist(), 10)["q_value"].to_pylist()
    assert [q < 0.01 for q in q_values] == [True] * 3 + [False] * 37


@pytest.mark.slow
@pytest.mark.parametrize(
    "tills",
    [Tills(3, 0.3), Tills(12, 0), Tills(12, 0.5), Tills(37, 0.3), Tills(37, 0.3, "log")],
    ids=str,
)
def test_where_no_till_is_bad_hardly_a_list_names_one(tills: Tills) -> None:
    lists = 400
    wrong, _ = accused(tills, lists, seed=7, level=0.01)
    # As many as one of a thousand times, where one of a hundred lists names somebody.
    assert wrong * lists <= binom.ppf(0.999, lists, 0.01)


def test_a_test_that_takes_tills_for_alike_would_accuse_many() -> None:
    """What it is all for: the same tills, of which none is bad, under Fisher's test."""
    random, wrong = np.random.default_rng(7), 0
    for _ in range(50):
        n = np.maximum(1, random.lognormal(np.log(150), 1.0, 12)).astype(int)
        k = random.binomial(n, Tills(12, 0.5).rates(random))
        p_values = [
            fisher_exact([[a, b - a], [k.sum() - a, (n.sum() - n - k.sum() + k)[i]]], "greater")[1]
            for i, (a, b) in enumerate(zip(k, n, strict=True))
        ]
        wrong += false_discovery_control(p_values).min() < 0.01
    assert wrong > 15


def test_a_bad_till_is_found_among_others_that_differ() -> None:
    _, found = accused(Tills(37, 0.3, bad=1), 60, seed=7, level=0.01)
    assert found > 0.3


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
