"""Expected reversals, against loops, against what came back, and against a chain ladder."""

from __future__ import annotations

import math
from collections.abc import Sequence
from datetime import date, datetime, timedelta
from functools import cache
from pathlib import Path
from statistics import NormalDist
from typing import Any

import naive
import numpy as np
import pandas as pd
import pytest
from cohorts import DAY, ENGINES, START, back, bundle, followed, grouped, newest, pandas
from engines import in_polars
from everyday import first_everyday
from scipy.stats import beta, binom

import redemption_analytics as ra
from benchmarks.reserve import coverage, errors
from redemption_analytics.metrics.expected import expected_reversals
from redemption_analytics.metrics.forecast import _interval
from redemption_analytics.sample import Organisation, write_sample

BYS: list[tuple[str, ...]] = [
    (),
    ("program_id",),
    ("store_code",),
    ("month",),
    ("store_code", "week"),
    ("day",),
    ("program_id", "redemption_purpose", "quarter"),
]
NAMES = ["open_redemptions", "open_points", "expected_points", "low", "high"]
PERIODS = ("day", "week", "month", "quarter", "year")


@pytest.fixture(scope="module")
def directory(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("organisation")
    write_sample(folder, customers=150, exports=3, seed=3)
    return folder


@pytest.fixture(scope="module")
def raw(directory: Path) -> naive.Naive:
    return naive.load([path for path in directory.rglob("*") if path.is_file()])


@pytest.fixture(scope="module")
def bundles(directory: Path, tmp_path_factory: pytest.TempPathFactory) -> dict[str, ra.Redemptions]:
    folder = tmp_path_factory.mktemp("converted")
    ra.convert(directory, folder)
    return {engine: ra.open(folder, engine=engine) for engine in ENGINES}


# --- The same in loops ---------------------------------------------------------------------------


def open_points(
    raw: naive.Naive, by: Sequence[str], as_of: datetime, horizon: int
) -> dict[naive.Group, list[tuple[int, int, int]]]:
    """Group -> age, whether it counts as a redemption there, open points; of each part."""
    parts: dict[Any, dict[Any, list[int]]] = {}
    for key, program, reversal, numbers in naive._bookings(raw, by):
        time = reversal.get("reversal_time")
        if not (time and time > as_of):
            part = parts.setdefault(key, {}).setdefault(program, [0, 0, 0])
            for place, name in enumerate(("n", "out", "back")):
                part[place] += numbers.get(name, 0)
    found: dict[naive.Group, list[tuple[int, int, int]]] = {}
    for key, programs in parts.items():
        row = raw.points[key]
        born = row["redeemed_time"]
        if born is None or born > as_of or (as_of - born) // DAY >= horizon:
            continue
        known = sorted(programs, key=lambda program: (program is None, program))
        left = sum(out - gone for _, out, gone in programs.values())
        shares = [max(programs[program][1] - programs[program][2], 0) for program in known]
        upto = np.cumsum([0, *shares]) * max(left, 0) // max(sum(shares), 1)
        for program, share in zip(known, np.diff(upto), strict=True):
            if share > 0:
                group = naive._group(by, row | {"program_id": program}, born)
                part = ((as_of - born) // DAY, programs[program][0], int(share))
                found.setdefault(group, []).append(part)
    return found


Followed = list[tuple[int, Any]]


def hazards(units: Followed, horizon: int) -> list[float | None]:
    """Share of those at risk that is reversed on a day; who leaves is there for half of it."""
    found: list[float | None] = []
    for day in range(horizon + 1):
        here = sum(size for _, exits in units for at, _, size in exits if at >= day)
        gone = sum(size for _, exits in units for at, back, size in exits if back and at == day)
        left = sum(size for _, exits in units for at, back, size in exits if not back and at == day)
        found.append(min(gone / (here - left / 2), 1.0) if here else None)
    return found


def shape(hazard: Sequence[float], otherwise: Sequence[float]) -> list[float]:
    """By the middle of each day and at the end, the share back of what is back at the end."""
    out, back = 1.0, []
    for each in hazard:
        back.append(1 - out * (1 - each / 2))
        out *= 1 - each
    return [each / (1 - out) for each in (*back, 1 - out)] if out < 1 else list(otherwise)


def delays(units: dict[naive.Group, Followed], horizon: int) -> dict[naive.Group, list[float]]:
    everyone = [unit for rows in units.values() for unit in rows]
    all_ = [hazard or 0.0 for hazard in hazards(everyone, horizon)]
    return {group: _delays(mine, everyone, all_, horizon) for group, mine in units.items()}


def _delays(mine: Followed, everyone: Followed, all_: list[float], horizon: int) -> list[float]:
    even = [*((day + 0.5) / (horizon + 1) for day in range(horizon + 1)), 1.0]
    own = [all_[day] if h is None else h for day, h in enumerate(hazards(mine, horizon))]

    def mixed(one: Sequence[float], weight: float, other: Sequence[float], its: float) -> Any:
        pairs = zip(one, other, strict=True)
        return [(weight * a + its * b) / (weight + its) for a, b in pairs]

    of_all = mixed(shape(all_, even), reversals(everyone), even, 1)
    return list(mixed(shape(own, of_all), reversals(mine), of_all, 10))


def reversals(units: Followed) -> int:
    return sum(any(back for _, back, _ in exits) for _, exits in units)


def level(units: Sequence[tuple[int, Any, Sequence[float]]]) -> tuple[float, float]:
    """Actual points back over those that would be if all came back, and of how many redemptions."""
    ages = sorted(since for since, exits, _ in units if any(back for _, back, _ in exits))
    half = min(max(ages[59] if len(ages) > 59 else 730, 14), 730)
    back = exposure = squares = 0.0
    for since, exits, delay in units:
        weight, size = 0.5 ** (since / half), sum(part for _, _, part in exits)
        due = delay[min(since, len(delay) - 1)]
        back += weight * sum(part for _, event, part in exits if event)
        exposure += weight * size * due
        squares += weight**2 * size**2 * due
    return (min(back / exposure, 1), exposure**2 / squares) if exposure else (0, 0)


def levels(
    groups: dict[Any, Followed], delay: dict[Any, list[float]], group: Any
) -> tuple[float, float, float, float]:
    """The rate of a group, and mean, variance and third moment of what it may be."""
    told = {name: [(*unit, delay[name]) for unit in rows] for name, rows in groups.items()}
    rate, known_of = level([unit for rows in told.values() for unit in rows])
    first = beta(rate * known_of + 0.5, (1 - rate) * known_of + 0.5)
    mean, variance, skew = (float(moment) for moment in first.stats("mvs"))
    third = skew * variance**1.5
    if len(groups) == 1:
        return rate, mean, variance, third
    mine, known = level(told[group])
    alike = 4 * (1 - mean) / mean
    own = known / (known + alike)
    law = beta(mine * known + mean * alike, (1 - mine) * known + (1 - mean) * alike)
    its_mean, its_variance, its_skew = (float(moment) for moment in law.stats("mvs"))
    return (
        own * mine + (1 - own) * rate,
        its_mean,
        its_variance + (1 - own) ** 2 * variance,
        its_skew * its_variance**1.5 + (1 - own) ** 3 * third,
    )


def forecast(
    parts: list[tuple[int, int, int]], delay: Sequence[float], moments: tuple[float, ...]
) -> tuple[float, ...]:
    """The expected points, and the interval that holds chance and what is not known of the rate."""
    rate, mean, variance, third_of_rate = moments

    def chances(rate: float) -> list[float]:
        return [rate * (1 - delay[day]) / (1 - rate * delay[day]) for day, _, _ in parts]

    sizes = [size for _, _, size in parts]
    expected = sum(n * p for n, p in zip(sizes, chances(rate), strict=True))
    pairs = list(zip(sizes, chances(mean), strict=True))
    middle = sum(n * p for n, p in pairs)
    steep = middle / mean
    second = sum(n**2 * p * (1 - p) for n, p in pairs) + steep**2 * variance
    third = sum(n**3 * p * (1 - p) * (1 - 2 * p) for n, p in pairs)
    third += third_of_rate * steep**3
    nothing = math.prod(1 - p for _, p in pairs)
    low, high = pearson(middle, second, third)
    low = 0.0 if nothing > 0.025 else min(max(low, 0.0), expected)
    if nothing < 0.975:
        high = max(high, sum(n**2 * p for n, p in pairs) / middle)
    redemptions = sum(counts for _, counts, _ in parts)
    return redemptions, sum(sizes), expected, low, min(max(high, expected), sum(sizes))


def pearson(mean: float, variance: float, third: float) -> tuple[float, float]:
    """The middle of a shifted gamma distribution with these moments, by Wilson and Hilferty."""
    if variance == 0:
        return mean, mean
    skew, z = third / variance**1.5, NormalDist().inv_cdf(0.975)
    low, high = (
        mean
        + math.sqrt(variance)
        * (2 / skew)
        * (max(1 + skew * side / 6 - skew * skew / 36, 0) ** 3 - 1)
        for side in (-z, z)
    )
    return low, high


@pytest.mark.parametrize(
    ("horizon", "as_of"), first_everyday([(30, datetime(2025, 12, 31)), (90, None)])
)
@pytest.mark.parametrize("by", BYS, ids="+".join)
def test_expectation_is_that_of_plain_loops(
    bundles: dict[str, ra.Redemptions],
    raw: naive.Naive,
    by: tuple[str, ...],
    horizon: int,
    as_of: datetime | None,
) -> None:
    r = bundles["pandas"]
    moment = as_of or newest(r)
    curved = [name for name in by if name not in PERIODS]
    units = followed(raw, curved, moment, "points", horizon)
    delay = delays(units, horizon)
    places = [by.index(name) for name in curved]
    parts = open_points(raw, by, moment, horizon)
    ours = grouped(expected_reversals(r, by, f"{horizon}D", as_of), by)
    assert ours.keys() == parts.keys()
    for group, rows in ours.items():
        curve = tuple(group[place] for place in places)
        expected = forecast(parts[group], delay[curve], levels(units, delay, curve))
        np.testing.assert_allclose(rows[NAMES].iloc[0].astype(float), expected, rtol=1e-9)


@pytest.mark.parametrize("skewness", [0.0, 0.3, 1.0, 2.0])
def test_interval_is_close_to_that_of_the_distribution(skewness: float) -> None:
    from scipy.stats import pearson3

    third = np.array([skewness * 2.0**3])
    low, high = _interval(np.array([7.0]), np.array([4.0]), third)
    expected = pearson3.interval(0.95, skewness, 7, 2)
    np.testing.assert_allclose([low[0], high[0]], expected, atol=2 * 0.05)


# --- Rules ---------------------------------------------------------------------------------------


def test_small_example_by_hand() -> None:
    """Of three old redemptions one came back on day 1 and one on day 3; a new one is a day old."""
    born = {"redeemed_time": START + 19 * DAY, "points_redeemed": 30}
    r = bundle([{}, {}, {}, born], [back("r0", 1), back("r1", 3)])
    forecast = expected_reversals(r, horizon="4D", as_of=START + 20 * DAY)
    # On day 1, 60 points are at risk, 10 come back; on day 3, 20 are, and 10 come back.
    assert forecast["open_redemptions"][0] == 1
    assert forecast["open_points"][0] == 30
    assert forecast["expected_points"][0] == pytest.approx(30 * 0.5, rel=0.05)
    assert forecast["low"][0] == 0
    assert forecast["high"][0] == 30


def test_points_that_came_back_are_no_longer_open() -> None:
    parts = [back("r0", 1, points_reversed=4), back("r1", 2), back("r2", None, points_reversed=1)]
    r = bundle([{}, {}, {}], parts)
    forecast = expected_reversals(r, as_of=START + 5 * DAY)
    assert list(forecast["open_redemptions"]) == [2]
    assert list(forecast["open_points"]) == [15]


def test_redemptions_are_open_while_younger_than_the_horizon() -> None:
    r = bundle([{}, {"redeemed_time": START + 0.5 * DAY}, {"redeemed_time": None}])
    assert list(expected_reversals(r, horizon="3D", as_of=START + 3 * DAY)["open_points"]) == [10]
    assert list(expected_reversals(r, horizon="4D", as_of=START + 3 * DAY)["open_points"]) == [20]


def test_what_is_expected_never_came_back_where_nothing_ever_did() -> None:
    forecast = expected_reversals(bundle([{}, {}]), as_of=START + 5 * DAY)
    assert forecast.to_dict("records") == [
        {
            "open_redemptions": 2,
            "open_points": 20,
            "expected_points": 0.0,
            "low": 0.0,
            "high": 20.0,
        }
    ]


def test_periods_share_the_curve_of_the_rest_of_by() -> None:
    old = [{"redeemed_time": START - 40 * DAY}] * 2
    r = bundle([*old, {}], [back("r0", -30)])
    forecast = expected_reversals(r, "month", "20D", START + DAY)
    assert list(forecast["month"]) == [START.replace(hour=0)]
    assert forecast["expected_points"][0] == pytest.approx(5, rel=0.05)


def test_new_store_goes_on_with_the_curve_of_all() -> None:
    """No redemption of the new store was ever 10 days old, on which one of two in the old came."""
    old = {"redeemed_time": START - 40 * DAY, "store_code": "old"}
    new = {"store_code": "new"}
    r = bundle([old, old, new, new], [back("r0", -30), back("r2", 1)])
    forecast = expected_reversals(r, "store_code", "20D", START + 2 * DAY)
    assert list(forecast["store_code"]) == ["new"]
    assert list(forecast["open_points"]) == [10]
    assert 5 <= forecast["expected_points"][0] < 10
    # Without the reversal on day 10 in the old store, the new one would have seen all there is.
    r = bundle([old, old, new, new], [back("r2", 1)])
    less = expected_reversals(r, "store_code", "20D", START + 2 * DAY)
    assert less["expected_points"][0] < forecast["expected_points"][0]


def test_from_one_reversed_redemption_nothing_is_certain() -> None:
    old = {"redeemed_time": START - 200 * DAY}
    r = bundle([old, {"points_redeemed": 100}], [back("r0", -190)])
    forecast = expected_reversals(r, as_of=START + DAY).iloc[0]
    assert (forecast["low"], forecast["high"]) == (0, 100)


def test_where_many_never_came_back_less_of_the_open_points_may() -> None:
    widths = []
    for many in (1, 30, 3000):
        old = [{"redeemed_time": START - (200 + n % 100) * DAY} for n in range(many)]
        forecast = expected_reversals(bundle([*old, *[{}] * 20]), as_of=START + DAY).iloc[0]
        assert forecast["expected_points"] == forecast["low"] == 0
        widths.append(forecast["high"] / forecast["open_points"])
    assert widths[0] > 0.5 > 2 * widths[1] > 4 * widths[2]


def test_a_small_group_leans_on_all_together_and_a_large_one_on_itself() -> None:
    """In the large store every tenth comes back, in the small one one of two, elsewhere nothing."""
    stores = {"large": 2000, "small": 2, "none": 4000}
    rows = [
        {"store_code": store, "redeemed_time": START - (n % 300) * DAY}
        for store, many in stores.items()
        for n in range(many)
    ]
    backs = [
        {"redemption_key": f"r{n}", "reversal_time": rows[n]["redeemed_time"] + 5 * DAY}
        for n in [*range(0, 2000, 10), 2000]
        if rows[n]["redeemed_time"] < START - 5 * DAY
    ]
    forecast = expected_reversals(bundle(rows, backs), "store_code", as_of=START)
    chance = forecast.set_index("store_code").eval("expected_points / open_points")
    assert chance["none"] < 0.001 < chance["large"] < 0.02


@pytest.mark.slow
@pytest.mark.parametrize("trend", ["rising", "falling"])
def test_the_estimate_follows_rates_that_change(trend: str) -> None:
    found = errors(15, trend, times=2, seed=3)
    off = found[["expected", "ladder", "curve"]].sub(found["truth"], axis=0)
    mean, bias = off.abs().mean(), off.mean().abs()
    assert mean["expected"] < min(mean["ladder"], mean["curve"])
    assert bias["expected"] < 0.8 * bias["curve"]


@pytest.mark.parametrize("many", [5, 500])
def test_intervals_hold_the_truth_however_few_the_data(many: int) -> None:
    times = 25
    held, _, _ = coverage(many, "rising", times, seed=11)
    # As few as one of a thousand times, where the promised 95 % are held.
    assert held * times >= binom.ppf(0.001, times, 0.95)


def test_points_back_of_no_known_program_are_taken_from_each_in_proportion() -> None:
    breakups = [
        {"redemption_key": "r0", "program_id": program, "points_redeemed": points}
        for program, points in ((1, 3), (2, 3), (3, 4))
    ]
    r = bundle([{}], [back("r0", 1, points_reversed=5)], program_breakups=breakups)
    forecast = expected_reversals(r, "program_id", as_of=START + 2 * DAY)
    assert list(forecast["open_points"]) == [1, 2, 2]
    r = bundle([{}], [back("r0", 1)], program_breakups=breakups)
    assert expected_reversals(r, "program_id", as_of=START + 2 * DAY).empty


def test_decimal_points_keep_three_places() -> None:
    breakups = [
        {"redemption_key": "r0", "program_id": program, "points_redeemed": points}
        for program, points in ((1, 0.1), (2, 0.2))
    ]
    r = bundle(
        [{"points_redeemed": 0.3}],
        [back("r0", 1, points_reversed=0.1)],
        decimal=True,
        program_breakups=[],
    )
    r.program_breakups = pd.DataFrame(breakups).astype({"program_id": "Int64"})
    assert list(expected_reversals(r)["open_points"]) == [0.2]
    assert list(expected_reversals(r, "program_id")["open_points"]) == [0.067, 0.133]


@pytest.mark.parametrize("by", BYS, ids="+".join)
def test_open_points_over_groups_add_up_to_the_total(
    bundles: dict[str, ra.Redemptions], by: tuple[str, ...]
) -> None:
    total = expected_reversals(bundles["pandas"])["open_points"][0]
    assert expected_reversals(bundles["pandas"], by)["open_points"].sum() == total > 0


def test_as_of_hides_what_happened_later(bundles: dict[str, ra.Redemptions]) -> None:
    r, as_of = bundles["pandas"], datetime(2025, 12, 24, 18)
    points = r.points[~(r.points["redeemed_time"] > as_of)]
    known = r.reversals["redemption_key"].isin(points["redemption_key"])
    earlier = ra.Redemptions(
        points=points, reversals=r.reversals[known & ~(r.reversals["reversal_time"] > as_of)]
    )
    pd.testing.assert_frame_equal(
        expected_reversals(r, "store_code", as_of=as_of),
        expected_reversals(earlier, "store_code", as_of=as_of),
    )


def test_empty_bundle_expects_nothing() -> None:
    forecast = expected_reversals(ra.Redemptions())
    assert forecast.to_dict("records") == [dict.fromkeys(NAMES, 0)]
    assert expected_reversals(ra.Redemptions(), "program_id").empty


def test_what_makes_no_sense_is_refused() -> None:
    with pytest.raises(ra.UsageError, match="horizon is a duration"):
        expected_reversals(bundle([{}]), horizon="-3D")
    with pytest.raises(ra.UsageError, match="Did you mean 'month'"):
        expected_reversals(bundle([{}]), "moth")


@cache
def _by_pandas(r: ra.Redemptions, by: tuple[str, ...]) -> pd.DataFrame:
    return expected_reversals(r, by)


@pytest.mark.parametrize("engine", ENGINES[1:])
@pytest.mark.parametrize("by", [("store_code", "week"), ("day",)], ids="+".join)
def test_expectation_is_the_same_on_every_engine(
    bundles: dict[str, ra.Redemptions], by: tuple[str, ...], engine: str
) -> None:
    ours = expected_reversals(bundles[engine], by)
    assert type(ours) is type(bundles[engine].points)
    pd.testing.assert_frame_equal(
        pandas(ours),
        _by_pandas(bundles["pandas"], by),
        rtol=1e-9,
        check_dtype=False,
        check_column_type=False,
    )


# --- What came back ------------------------------------------------------------------------------


def chain_ladder(known: pd.DataFrame, months: pd.PeriodIndex, lags: int = 4) -> float:
    """What is still to come by T. Mack's chain ladder, of points reversed by month and delay."""
    month = known["redeemed_time"].dt.to_period("M")
    lag = (known["reversal_time"].dt.to_period("M") - month).map(
        lambda gap: min(max(gap.n, 0), lags - 1)
    )
    triangle = np.zeros((len(months), lags))
    np.add.at(triangle, (months.get_indexer(month), lag), known["points_reversed"])
    triangle = triangle.cumsum(axis=1)
    rows, to_come = len(months), 0.0
    factors = [
        triangle[: rows - lag - 1, lag + 1].sum() / max(triangle[: rows - lag - 1, lag].sum(), 1)
        for lag in range(lags - 1)
    ]
    for lag in range(lags - 1):
        to_come += triangle[rows - 1 - lag, lag] * (math.prod(factors[lag:]) - 1)
    return to_come


def backtest(seed: int) -> pd.DataFrame:
    """At 24 month ends: what was expected, what the ladder says, and what came back in 90 days."""
    organisation = Organisation(1000, seed, start=date(2023, 1, 1), end=date(2025, 12, 31))
    loaded = ra.load(organisation.answers("2025-12", as_of=datetime(2026, 6, 30)))
    r = in_polars(loaded)
    times = loaded.points[["redemption_key", "redeemed_time"]]
    all_back = loaded.reversals.merge(times, on="redemption_key").dropna(subset="redeemed_time")
    rows = []
    for end in pd.date_range("2024-01-01", periods=24, freq="MS"):
        made = all_back[all_back["redeemed_time"] <= end]
        late = made["reversal_time"] > end
        soon = made["reversal_time"] <= end + timedelta(days=90)
        months = pd.period_range("2023-01", end.to_period("M") - 1, freq="M")
        (forecast,) = expected_reversals(r, as_of=end).to_dicts()
        rows.append(
            {
                "expected": forecast["expected_points"],
                "low": forecast["low"],
                "high": forecast["high"],
                "ladder": chain_ladder(made[~late], months),
                "came": made.loc[late & soon, "points_reversed"].sum(),
            }
        )
    return pd.DataFrame(rows)


@pytest.mark.slow
def test_backtest_covers_what_came_back_and_errs_less_than_a_chain_ladder() -> None:
    tests = {seed: backtest(seed) for seed in range(3)}
    every = pd.concat(tests)
    covered = every["came"].between(every["low"], every["high"])
    assert covered.mean() >= 0.9
    error = (every["expected"] - every["came"]).abs().groupby(level=0).mean()
    ladder = (every["ladder"] - every["came"]).abs().groupby(level=0).mean()
    assert (error < ladder).all()
    assert every["expected"].sum() == pytest.approx(every["came"].sum(), rel=0.15)
    # An interval so wide that it always holds would be worth nothing.
    assert (every["high"] - every["low"]).mean() < 3.5 * every["expected"].mean()
