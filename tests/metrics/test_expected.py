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
from cohorts import DAY, ENGINES, START, back, bundle, grouped, newest, pandas, units
from engines import in_polars

import redemption_analytics as ra
from redemption_analytics.metrics.expected import _interval, expected_reversals
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


def forecast(
    parts: list[tuple[int, int, int]], exits: Sequence[Any], horizon: int
) -> tuple[float, ...]:
    """The expected points and their interval, the curve's share of it by moving each weight."""
    here, gone = np.zeros((2, len(exits), horizon + 1))
    for number, unit in enumerate(exits):
        for day, event, size in unit:
            here[number, : day + 1] += size
            if event:
                gone[number, day] += size
    points = np.zeros(horizon + 1)
    for day, _, size in parts:
        points[day] += size

    def total(step: float) -> Any:
        """What is expected if each unit in turn weighed so much more."""
        stays = 1 - (gone.sum(axis=0) + step * gone) / np.maximum(
            here.sum(axis=0) + step * here, 1e-300
        )
        left = np.cumprod(stays, axis=1)
        return ((1 - left[:, [-1]] / left) * points).sum(axis=1)

    step = 1e-4
    estimate = (((total(step) - total(-step)) / (2 * step)) ** 2).sum()
    chances = [1 - math.prod(stay(gone, here, day, horizon)) for day, _, _ in parts]
    sizes = [size for _, _, size in parts]
    pairs = list(zip(sizes, chances, strict=True))
    mean = sum(n * p for n, p in pairs)
    variance = sum(n**2 * p * (1 - p) for n, p in pairs) + estimate
    third = sum(n**3 * p * (1 - p) * (1 - 2 * p) for n, p in pairs)
    nothing = math.prod(1 - p for p in chances)
    low, high = pearson(mean, variance, third)
    low = 0.0 if nothing > 0.025 else max(low, 0.0)
    redemptions = sum(counts for _, counts, _ in parts)
    return redemptions, sum(sizes), mean, low, min(max(high, mean), sum(sizes))


def stay(gone: Any, here: Any, day: int, horizon: int) -> list[float]:
    out, back = here.sum(axis=0), gone.sum(axis=0)
    return [1 - back[d] / out[d] if out[d] else 1.0 for d in range(day + 1, horizon + 1)]


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


@pytest.mark.parametrize(("horizon", "as_of"), [(90, None), (30, datetime(2025, 12, 31))])
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
    curves = units(raw, curved, moment, "points", horizon)
    places = [by.index(name) for name in curved]
    parts = open_points(raw, by, moment, horizon)
    ours = grouped(expected_reversals(r, by, f"{horizon}D", as_of), by)
    assert ours.keys() == parts.keys()
    for group, rows in ours.items():
        exits = curves[tuple(group[place] for place in places)]
        # The loops know nothing of groups younger than the horizon.
        if all(max(day for day, _, _ in unit) <= horizon for unit in exits):
            continue
        expected = forecast(parts[group], exits, horizon)
        np.testing.assert_allclose(rows[NAMES].iloc[0].astype(float), expected, rtol=1e-5)


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
    assert forecast["expected_points"][0] == pytest.approx(30 * 0.5)
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
            "high": 0.0,
        }
    ]


def test_periods_share_the_curve_of_the_rest_of_by() -> None:
    old = [{"redeemed_time": START - 40 * DAY}] * 2
    r = bundle([*old, {}], [back("r0", -30)])
    forecast = expected_reversals(r, "month", "20D", START + DAY)
    assert list(forecast["month"]) == [START.replace(hour=0)]
    assert forecast["expected_points"][0] == pytest.approx(5)


def test_new_store_goes_on_with_the_curve_of_all() -> None:
    """No redemption of the new store was ever 10 days old, on which one of two in the old came."""
    old = {"redeemed_time": START - 40 * DAY, "store_code": "old"}
    new = {"store_code": "new"}
    r = bundle([old, old, new, new], [back("r0", -30), back("r2", 1)])
    forecast = expected_reversals(r, "store_code", "20D", START + 2 * DAY)
    assert list(forecast["store_code"]) == ["new"]
    assert list(forecast["open_points"]) == [10]
    assert forecast["expected_points"][0] == pytest.approx(5)


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
