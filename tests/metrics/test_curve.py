"""Reversal curves and times to reversal, against loops over raw payloads and other libraries."""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Sequence
from datetime import datetime
from functools import cache
from pathlib import Path
from statistics import NormalDist
from typing import Any

import naive
import narwhals as nw
import numpy as np
import pandas as pd
import pytest
from cohorts import DAY, ENGINES, START, Exits, back, bundle, grouped, newest, pandas, units
from everyday import first_everyday
from hypothesis import given, settings
from hypothesis import strategies as st
from payloads import TIMES

import redemption_analytics as ra
from redemption_analytics.metrics.curve import reversal_curve
from redemption_analytics.metrics.durations import time_to_reversal
from redemption_analytics.sample import write_sample

BYS: list[tuple[str, ...]] = [
    (),
    ("program_id",),
    ("store_code",),
    ("redemption_purpose",),
    ("quarter",),
    ("program_id", "year"),
    ("store_code", "program_id", "week"),
    ("customer_key",),
]
NAMES = ["day", "at_risk", "reversed", "cumulative_rate", "ci_low", "ci_high"]


def column(r: ra.Redemptions, name: str, **options: Any) -> list[Any]:
    return list(reversal_curve(r, **options)[name])


# --- The same in loops ---------------------------------------------------------------------------


def kaplan_meier(group: list[Exits], horizon: int) -> list[tuple[float, ...]]:
    """Rows of day, at risk, reversed, rate, and the interval with each unit as a cluster."""
    rows = []
    influence = [0.0 for _ in group]
    stays = 1.0
    for day in range(horizon + 1):
        at_risk = [sum(size for out, _, size in unit if out >= day) for unit in group]
        gone = [sum(size for out, event, size in unit if event and out == day) for unit in group]
        n, e = sum(at_risk), sum(gone)
        if e < n:
            stays *= 1 - e / n
            for number, (here, went) in enumerate(zip(at_risk, gone, strict=True)):
                influence[number] += (went - e / n * here) / (n - e)
        elif n:
            stays = 0.0
        variance = sum(value * value for value in influence)
        rate = 1 - stays if group else math.nan
        rows.append((day, n, e, rate, *log_log(rate, variance)))
    return rows


def log_log(rate: float, variance: float) -> tuple[float, float]:
    if not 0 < rate < 1:
        return rate, rate
    log, z = math.log(1 - rate), NormalDist().inv_cdf(0.975)
    theta = z * math.sqrt(variance) / log
    low, high = sorted(1 - math.exp(log * math.exp(sign * theta)) for sign in (-1, 1))
    return low, high


def greenwood(at_risk: Sequence[float], gone: Sequence[float]) -> list[tuple[float, float, float]]:
    """The rate and its interval by day, from counts alone: M. Greenwood's formula."""
    rows, stays, variance = [], 1.0, 0.0
    for n, e in zip(at_risk, gone, strict=True):
        if n:
            stays *= 1 - e / n
            variance += e / (n * (n - e)) if n > e else 0.0
        rows.append((1 - stays, *log_log(1 - stays, variance)))
    return rows


@pytest.fixture(scope="module")
def directory(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("organisation")
    write_sample(folder, customers=120, exports=3, seed=11)
    return folder


@pytest.fixture(scope="module")
def raw(directory: Path) -> naive.Naive:
    return naive.load([path for path in directory.rglob("*") if path.is_file()])


@pytest.fixture(scope="module")
def bundles(directory: Path, tmp_path_factory: pytest.TempPathFactory) -> dict[str, ra.Redemptions]:
    folder = tmp_path_factory.mktemp("converted")
    ra.convert(directory, folder)
    bundles = {engine: ra.open(folder, engine=engine) for engine in ENGINES}
    eager = {name: frame.collect() for name, frame in bundles["polars"].tables.items()}
    return bundles | {"polars-eager": ra.Redemptions(**eager)}


# --- Numbers -------------------------------------------------------------------------------------


@pytest.mark.parametrize("weight", ["redemptions", "points"])
@pytest.mark.parametrize(
    ("by", "horizon", "as_of"),
    first_everyday(
        [
            ((), 45, datetime(2025, 3, 1, 13)),
            (("program_id", "year"), 30, datetime(2026, 10, 1)),
            (("redemption_purpose", "quarter"), 10, None),
            ((), 90, None),
            (("program_id",), 60, None),
            (("program_id",), 20, datetime(2026, 10, 1)),
            (("store_code",), 30, None),
        ],
        3,
    ),
)
def test_curve_is_that_of_plain_loops(
    bundles: dict[str, ra.Redemptions],
    raw: naive.Naive,
    by: tuple[str, ...],
    horizon: int,
    as_of: datetime | None,
    weight: Any,
) -> None:
    r = bundles["pandas"]
    expected = units(raw, by, as_of or newest(r), weight, horizon)
    ours = grouped(reversal_curve(r, by, f"{horizon}D", as_of, weight), by)
    assert ours.keys() == expected.keys()
    for group, rows in ours.items():
        theirs = kaplan_meier(expected[group], horizon)
        np.testing.assert_allclose(rows[NAMES], theirs, rtol=1e-10, atol=1e-12)


def durations(r: ra.Redemptions, store: str | None = None) -> tuple[pd.Series, pd.Series]:
    """Days watched and whether reversed then, as survival libraries take them."""
    points = r.points[r.points["redeemed_time"].notna()]
    if store:
        points = points[points["store_code"] == store]
    first = r.reversals.groupby("redemption_key")["reversal_time"].min()
    times = points["redemption_key"].map(first)
    watched = times.fillna(newest(r)) - points["redeemed_time"]
    return watched.dt.days.clip(lower=0), times.notna()


@pytest.mark.parametrize("store", [None, "station", "cafe"])
def test_curve_is_that_of_lifelines(bundles: dict[str, ra.Redemptions], store: str | None) -> None:
    lifelines = pytest.importorskip("lifelines")
    r = bundles["pandas"]
    ours = grouped(reversal_curve(r, "store_code"), ["store_code"])[(store,)] if store else None
    ours = reversal_curve(r) if ours is None else ours
    fitted = lifelines.KaplanMeierFitter().fit(*durations(r, store), timeline=range(91))
    rate, band = fitted.cumulative_density_, fitted.confidence_interval_cumulative_density_
    expected = np.column_stack([rate, band])
    np.testing.assert_allclose(
        ours[["cumulative_rate", "ci_low", "ci_high"]], expected, rtol=0, atol=1e-9
    )
    events = fitted.event_table.reindex(range(91)).fillna({"observed": 0})
    assert list(ours["reversed"]) == list(events["observed"])
    seen = events["at_risk"].notna().to_numpy()
    assert list(ours["at_risk"][seen]) == list(events["at_risk"][seen])


def test_curve_is_that_of_statsmodels(bundles: dict[str, ra.Redemptions]) -> None:
    from statsmodels.duration.survfunc import SurvfuncRight

    watched, reversed_ = durations(bundles["pandas"])
    fitted = SurvfuncRight(watched.to_numpy(), reversed_.to_numpy())
    ours = reversal_curve(bundles["pandas"]).set_index("day").loc[fitted.surv_times]
    np.testing.assert_allclose(1 - ours["cumulative_rate"], fitted.surv_prob, rtol=1e-12)
    assert list(ours["at_risk"]) == list(fitted.n_risk)
    # Greenwood's standard error, found again from the log-log interval.
    reach = np.log(np.log(1 - ours["ci_high"]) / np.log(1 - ours["ci_low"]))
    log = np.log(1 - ours["cumulative_rate"])
    error = -reach / 2 / NormalDist().inv_cdf(0.975) * log * (1 - ours["cumulative_rate"])
    np.testing.assert_allclose(error, fitted.surv_prob_se, rtol=1e-9)


def test_variance_for_points_is_the_infinitesimal_jackknife_of_redemptions() -> None:
    """How much the curve moves when a redemption weighs a little more, squared and summed."""
    random = np.random.default_rng(5)
    group: list[Exits] = []
    points, reversals = [], []
    for number in range(40):
        size, age = int(random.integers(1, 500)), int(random.integers(0, 30))
        exits: Exits = []
        if random.random() < 0.5:
            first, second = sorted(int(day) for day in random.choice(age + 1, 2))
            parts = {first: size // 2, second: size // 3}
            exits += [(day, True, part) for day, part in parts.items() if part]
        exits.append((age, False, size - sum(part for _, _, part in exits)))
        group.append(exits)
        born = START - age * DAY
        points.append({"redeemed_time": born, "points_redeemed": size})
        reversals += [
            {
                "redemption_key": f"r{number}",
                "reversal_time": born + day * DAY,
                "points_reversed": part,
            }
            for day, event, part in exits
            if event
        ]
    ours = reversal_curve(bundle(points, reversals), (), "20D", START, "points")

    def log_stays(weights: Sequence[float]) -> Any:
        logs, total = [], 0.0
        for day in range(21):
            n = e = 0.0
            for weight, unit in zip(weights, group, strict=True):
                n += weight * sum(size for out, _, size in unit if out >= day)
                e += weight * sum(size for out, event, size in unit if event and out == day)
            total += math.log(1 - e / n)
            logs.append(total)
        return np.array(logs)

    variance, step = np.zeros(21), 1e-4
    for number in range(len(group)):
        up, down = (
            [1 + sign * step * (other == number) for other in range(len(group))] for sign in (1, -1)
        )
        variance += ((log_stays(up) - log_stays(down)) / (2 * step)) ** 2
    expected = [log_log(*pair) for pair in zip(ours["cumulative_rate"], variance, strict=True)]
    np.testing.assert_allclose(ours[["ci_low", "ci_high"]], expected, rtol=1e-6)


# --- Rules ---------------------------------------------------------------------------------------


def test_small_example_by_hand() -> None:
    r = bundle(
        [{}, {}, {"redeemed_time": START + DAY}, {"redeemed_time": START + 2.5 * DAY}],
        [back("r0", 1.5)],
    )
    curve = reversal_curve(r, horizon="4D", as_of=START + 3 * DAY)
    assert list(curve["day"]) == [0, 1, 2, 3, 4]
    assert list(curve["at_risk"]) == [4, 3, 2, 1, 0]
    assert list(curve["reversed"]) == [0, 1, 0, 0, 0]
    np.testing.assert_allclose(curve["cumulative_rate"], [0, 1 / 3, 1 / 3, 1 / 3, 1 / 3])


def test_parts_of_a_redemption_come_back_on_several_days() -> None:
    parts = [back("r0", 1, points_reversed=4), back("r0", 3.2, points_reversed=5)]
    r = bundle([{}, {}], parts)
    options: dict[str, Any] = {"horizon": "4D", "as_of": START + 9 * DAY}
    assert column(r, "reversed", **options) == [0, 1, 0, 0, 0]
    assert column(r, "reversed", weight="points", **options) == [0, 4, 0, 5, 0]
    assert column(r, "at_risk", weight="points", **options) == [20, 20, 16, 16, 11]


def test_redemption_is_watched_until_as_of_by_default_the_newest_time() -> None:
    r = bundle([{}, {"redeemed_time": START + 2 * DAY}], [back("r0", 5)])
    assert column(r, "at_risk", horizon="6D") == [2, 2, 2, 2, 1, 1, 0]
    r = bundle([{}, {"redeemed_time": START + 7 * DAY}], [back("r0", 5)])
    assert column(r, "at_risk", horizon="8D") == [2, 1, 1, 1, 1, 1, 0, 0, 0]


def test_reversals_are_seen_before_redemptions_leave_on_the_same_day() -> None:
    r = bundle([{}, {}], [back("r0", 2)])
    assert column(r, "cumulative_rate", horizon="3D", as_of=START + 2 * DAY) == [0, 0, 0.5, 0.5]


@pytest.mark.parametrize("weight", ["redemptions", "points"])
def test_reversal_before_its_redemption_counts_on_day_0(weight: Any) -> None:
    r = bundle([{}, {}], [back("r0", -3)])
    rates = column(r, "cumulative_rate", horizon="1D", as_of=START + DAY, weight=weight)
    assert rates == [0.5, 0.5]
    assert list(time_to_reversal(r)["mean_days"]) == [0.0]


@pytest.mark.parametrize("weight", ["redemptions", "points"])
def test_redemption_without_a_time_is_left_out(weight: Any) -> None:
    r = bundle([{}, {"redeemed_time": None}], [back("r1", 1)])
    curve = reversal_curve(r, horizon="1D", as_of=START + DAY, weight=weight)
    assert list(curve["at_risk"]) == [1, 1] if weight == "redemptions" else [10, 10]
    assert list(curve["reversed"]) == [0, 0]
    assert list(time_to_reversal(r)["reversals"]) == [0]


def test_redemption_reversed_nobody_knows_when_is_left_out() -> None:
    r = bundle([{}, {}, {}], [back("r0", None), back("r1", 1)])
    assert column(r, "at_risk", horizon="2D", as_of=START + 9 * DAY) == [2, 2, 1]
    assert column(r, "cumulative_rate", horizon="2D", as_of=START + 9 * DAY) == [0, 0.5, 0.5]


def test_reversal_without_a_time_gives_way_to_one_with_a_time() -> None:
    parts = [back("r0", None, points_reversed=4), back("r0", 1, points_reversed=5)]
    r = bundle([{}, {}], parts)
    options: dict[str, Any] = {"horizon": "2D", "as_of": START + 9 * DAY}
    assert column(r, "reversed", **options) == [0, 1, 0]
    assert column(r, "at_risk", weight="points", **options) == [16, 16, 11]


def test_over_reversed_redemption_counts_with_its_points_and_no_more() -> None:
    r = bundle([{}, {}], [back("r0", 1, points_reversed=7), back("r0", 2, points_reversed=70)])
    curve = reversal_curve(r, horizon="3D", as_of=START + 9 * DAY, weight="points")
    assert list(curve["reversed"]) == [0, 7, 3, 0]
    assert list(curve["at_risk"]) == [20, 20, 13, 10]


def test_reversal_of_no_points_is_none() -> None:
    r = bundle([{}], [back("r0", 1, points_reversed=0)])
    assert column(r, "reversed", horizon="2D") == [0, 0, 0]
    assert list(time_to_reversal(r)["reversals"]) == [0]


def test_redemption_of_no_points_is_at_risk_as_a_redemption() -> None:
    r = bundle([{"points_redeemed": 0}, {}])
    assert column(r, "at_risk", horizon="0D") == [2]
    assert column(r, "at_risk", horizon="0D", weight="points") == [10]


def test_decimal_points_keep_three_places() -> None:
    r = bundle(
        [{"points_redeemed": 0.1}, {"points_redeemed": 0.2}, {"points_redeemed": 0.7}],
        [back("r0", 0, points_reversed=0.1), back("r2", 1, points_reversed=0.333)],
        decimal=True,
    )
    curve = reversal_curve(r, horizon="2D", as_of=START + 9 * DAY, weight="points")
    assert list(curve["at_risk"]) == [1.0, 0.9, 0.567]
    assert list(curve["reversed"]) == [0.1, 0.333, 0.0]


def test_redemption_is_at_risk_in_each_program_and_reversed_where_points_came_back() -> None:
    r = bundle(
        [{}, {"program_id": 2}, {"program_id": None}],
        [back("r0", 1, points_reversed=3), back("r2", 2)],
        program_breakups=[
            {"redemption_key": "r0", "program_id": 1, "points_redeemed": 6},
            {"redemption_key": "r0", "program_id": 2, "points_redeemed": 4},
        ],
        reversal_breakups=[{"reversal_id": 0, "program_id": 2, "points_reversed": 3}],
    )
    curve = reversal_curve(r, "program_id", "2D", START + 9 * DAY)
    assert list(curve["program_id"].fillna(0)) == [1, 1, 1, 2, 2, 2, 0, 0, 0]
    assert list(curve["at_risk"]) == [1, 1, 1, 2, 2, 1, 1, 1, 1]
    assert list(curve["reversed"]) == [0, 0, 0, 0, 1, 0, 0, 0, 1]
    curve = reversal_curve(r, "program_id", "2D", START + 9 * DAY, "points")
    assert list(curve["at_risk"]) == [6, 6, 6, 14, 14, 11, 10, 10, 10]
    assert list(curve["reversed"]) == [0, 0, 0, 0, 3, 0, 0, 0, 10]


def test_points_back_of_no_known_program_are_in_the_curve_of_none() -> None:
    r = bundle(
        [{}],
        [back("r0", 1)],
        program_breakups=[
            {"redemption_key": "r0", "program_id": 1, "points_redeemed": 6},
            {"redemption_key": "r0", "program_id": 2, "points_redeemed": 4},
        ],
    )
    for weight in ("redemptions", "points"):
        curve = reversal_curve(r, "program_id", "1D", weight=weight)
        assert list(curve["program_id"]) == [1, 1, 2, 2]
        assert list(curve["reversed"]) == [0, 0, 0, 0]
    assert list(time_to_reversal(r, "program_id")["program_id"].isna()) == [True]


def test_points_redeemed_of_no_known_program_are_at_risk_as_points_alone() -> None:
    breakups = [
        {"redemption_key": "r0", "program_id": program, "points_redeemed": 3} for program in (1, 2)
    ]
    r = bundle([{}], program_breakups=breakups)
    assert column(r, "at_risk", by="program_id", horizon="0D") == [1, 1]
    assert column(r, "at_risk", by="program_id", horizon="0D", weight="points") == [3, 3, 4]


def test_null_stores_are_a_group_of_their_own() -> None:
    r = bundle(
        [{}, {"store_code": "north"}, {}, {"store_code": "north"}], [back("r0", 1), back("r1", 2)]
    )
    curve = reversal_curve(r, ["store_code", "month"], "2D", START + 9 * DAY)
    assert list(curve["store_code"].fillna("none")) == ["north"] * 3 + ["none"] * 3
    assert set(curve["month"]) == {datetime(2025, 1, 1)}
    assert list(curve["reversed"]) == [0, 0, 1, 0, 1, 0]
    assert list(time_to_reversal(r, "store_code")["mean_days"]) == [2.0, 1.0]


def test_custom_fields_are_groups() -> None:
    field = {"redemption_key": "r0", "redemption_type": "points", "name": "channel", "value": "app"}
    r = bundle([{}, {}], [back("r0", 1)], custom_fields=[field])
    curve = reversal_curve(r, "custom:channel", "1D", START + 9 * DAY)
    assert list(curve["custom:channel"].fillna("none")) == ["app", "app", "none", "none"]
    assert list(curve["cumulative_rate"]) == [0, 1, 0, 0]


@pytest.mark.parametrize("weight", ["redemptions", "points"])
def test_empty_bundle_has_nobody_at_risk(weight: Any) -> None:
    curve = reversal_curve(ra.Redemptions(), horizon="2D", weight=weight)
    assert list(curve["day"]) == [0, 1, 2]
    assert list(curve["at_risk"]) == list(curve["reversed"]) == [0, 0, 0]
    assert curve[["cumulative_rate", "ci_low", "ci_high"]].isna().all(axis=None)
    assert reversal_curve(ra.Redemptions(), "store_code", weight=weight).empty
    assert list(time_to_reversal(ra.Redemptions())["reversals"]) == [0]
    assert time_to_reversal(ra.Redemptions(), "program_id").empty


def test_what_makes_no_sense_is_refused() -> None:
    r = bundle([{}])
    with pytest.raises(ra.UsageError, match="weight is 'redemptions' or 'points', not 'bills'"):
        reversal_curve(r, weight="bills")  # type: ignore[arg-type]
    with pytest.raises(ra.UsageError, match="horizon is a duration"):
        reversal_curve(r, horizon="soon")
    with pytest.raises(ra.UsageError, match="as_of is a moment"):
        reversal_curve(r, as_of="soon")
    with pytest.raises(ra.UsageError, match="Did you mean 'store_code'"):
        reversal_curve(r, "stor_code")
    with pytest.raises(ra.UsageError, match="cannot group by 'day'"):
        reversal_curve(r, "day")
    with pytest.raises(ra.UsageError, match="cannot group by 'series_id'"):
        time_to_reversal(r, "series_id")


@pytest.mark.parametrize("weight", ["redemptions", "points"])
@pytest.mark.parametrize("by", [(), ("store_code",), ("program_id",)], ids="+".join)
def test_as_of_hides_what_happened_later(
    bundles: dict[str, ra.Redemptions], by: tuple[str, ...], weight: Any
) -> None:
    r, as_of = bundles["pandas"], datetime(2025, 7, 14, 15, 30)
    points = r.points[~(r.points["redeemed_time"] > as_of)]
    known = r.reversals["redemption_key"].isin(points["redemption_key"])
    earlier = ra.Redemptions(
        points=points,
        reversals=r.reversals[known & ~(r.reversals["reversal_time"] > as_of)],
        program_breakups=r.program_breakups,
        reversal_breakups=r.reversal_breakups,
    )
    pd.testing.assert_frame_equal(
        reversal_curve(r, by, "90D", as_of, weight),
        reversal_curve(earlier, by, "90D", as_of, weight),
    )


# --- Properties ----------------------------------------------------------------------------------

REDEMPTIONS = st.lists(
    st.tuples(
        st.integers(0, 40),  # points
        st.integers(0, 12),  # age at as_of
        st.lists(st.tuples(st.integers(-2, 14), st.integers(0, 30)), max_size=3),  # day, points
    ),
    max_size=12,
)


def made(rows: list[tuple[int, int, list[tuple[int, int]]]]) -> ra.Redemptions:
    points, reversals = [], []
    for number, (size, age, parts) in enumerate(rows):
        born = START - age * DAY
        points.append({"redeemed_time": born, "points_redeemed": size})
        reversals += [
            {
                "redemption_key": f"r{number}",
                "reversal_time": born + day * DAY,
                "points_reversed": part,
            }
            for day, part in parts
        ]
    return bundle(points, reversals)


@settings(max_examples=4 * TIMES, deadline=None)
@given(REDEMPTIONS, st.sampled_from(["redemptions", "points"]))
def test_curve_never_decreases_and_lies_in_its_band(rows: Any, weight: Any) -> None:
    curve = reversal_curve(made(rows), horizon="10D", as_of=START, weight=weight)
    rate = curve["cumulative_rate"]
    if curve["at_risk"][0] == 0:
        assert rate.isna().all()
        return
    assert (rate.diff()[1:] >= 0).all()
    assert (curve["at_risk"].diff()[1:] <= -curve["reversed"].shift()[1:]).all()
    assert ((curve["ci_low"] <= rate + 1e-12) & (rate <= curve["ci_high"] + 1e-12)).all()
    assert (curve["ci_low"] >= 0).all()
    assert (curve["ci_high"] <= 1).all()


@settings(max_examples=4 * TIMES, deadline=None)
@given(REDEMPTIONS)
def test_where_nothing_is_censored_the_curve_ends_at_the_raw_rate(rows: Any) -> None:
    r = made(rows)
    late = START + 40 * DAY
    raw = ra.reversal_rates(r, as_of=late)
    count = reversal_curve(r, horizon="15D", as_of=late)
    np.testing.assert_allclose(
        count["cumulative_rate"].iloc[-1], raw["redemption_reversal_rate"][0], atol=1e-12
    )
    back_of = [min(size, sum(part for _, part in parts)) for size, _, parts in rows]
    total = sum(size for size, _, _ in rows)
    points = reversal_curve(r, horizon="15D", as_of=late, weight="points")
    assert points["reversed"].sum() == sum(back_of)
    share = sum(back_of) / total if total else math.nan
    np.testing.assert_allclose(points["cumulative_rate"].iloc[-1], share, atol=1e-12)


@settings(max_examples=4 * TIMES, deadline=None)
@given(st.lists(st.tuples(st.integers(0, 12), st.none() | st.integers(0, 14)), max_size=15))
def test_points_and_redemptions_agree_where_each_has_one_point(rows: Any) -> None:
    r = made([(1, age, [] if day is None else [(day, 1)]) for age, day in rows])
    count, points = (
        reversal_curve(r, horizon="10D", as_of=START, weight=weight)
        for weight in ("redemptions", "points")
    )
    pd.testing.assert_frame_equal(count, points, rtol=1e-12)
    if rows:
        expected = greenwood(list(points["at_risk"]), list(points["reversed"]))
        np.testing.assert_allclose(
            points[["cumulative_rate", "ci_low", "ci_high"]], expected, rtol=1e-9, atol=1e-12
        )


# --- Engines -------------------------------------------------------------------------------------


@cache
def _by_pandas(r: ra.Redemptions, by: tuple[str, ...], weight: Any) -> pd.DataFrame:
    return reversal_curve(r, by, "30D", weight=weight)


@pytest.mark.parametrize("engine", [*ENGINES[1:], "polars-eager"])
@pytest.mark.parametrize(
    ("by", "weight"),
    [(("customer_key",), "redemptions"), (("redemption_purpose",), "points")],
    ids=["customer_key", "redemption_purpose"],
)
def test_curve_is_the_same_on_every_engine(
    bundles: dict[str, ra.Redemptions], by: tuple[str, ...], weight: Any, engine: str
) -> None:
    expected = _by_pandas(bundles["pandas"], by, weight)
    ours = reversal_curve(bundles[engine], by, "30D", weight=weight)
    assert type(ours) is type(bundles[engine].points)
    pd.testing.assert_frame_equal(
        pandas(ours), expected, rtol=1e-12, check_dtype=False, check_column_type=False
    )


@pytest.mark.parametrize(
    "by",
    [("store_code", "program_id", "week"), ("customer_key", "redemption_purpose", "quarter")],
    ids="+".join,
)
def test_groups_have_the_types_that_they_have_elsewhere(
    bundles: dict[str, ra.Redemptions], by: tuple[str, ...]
) -> None:
    for r in bundles.values():
        frames = [ra.net_points(r, by), reversal_curve(r, by, "1D"), time_to_reversal(r, by)]
        kinds = [nw.from_native(frame).collect_schema() for frame in frames]
        assert len({tuple(kind[name] for name in by) for kind in kinds}) == 1


def test_relations_can_be_joined_with_those_of_the_bundle(
    bundles: dict[str, ra.Redemptions],
) -> None:
    r = bundles["duckdb"]
    curve = nw.from_native(reversal_curve(r, "store_code", "1D"))
    joined = nw.from_native(r.points).join(curve, on="store_code", how="inner")
    assert len(joined.collect()) > 0


# --- Times to reversal ---------------------------------------------------------------------------


def test_times_to_reversal_by_day_of_the_redemption() -> None:
    r = bundle([{}, {"redeemed_time": START + DAY}], [back("r0", 1.25), back("r1", 2)])
    times = time_to_reversal(r, "day")
    assert list(times["day"]) == [datetime(2025, 1, 1), datetime(2025, 1, 2)]
    assert list(times["mean_days"]) == [1.25, 1.0]


def test_times_to_reversal_are_interpolated_between_reversals() -> None:
    r = bundle([{}] * 4, [back("r0", 1.25), back("r1", 2), back("r2", 4), back("r2", None)])
    assert time_to_reversal(r).to_dict("records") == [
        {"reversals": 3, "mean_days": 7.25 / 3, "median_days": 2.0, "p90_days": 3.6}
    ]


@pytest.mark.parametrize("by", BYS, ids="+".join)
def test_times_to_reversal_are_those_of_plain_loops(
    bundles: dict[str, ra.Redemptions], raw: naive.Naive, by: tuple[str, ...]
) -> None:
    times: dict[tuple[naive.Group, int], list[Any]] = defaultdict(lambda: [0, 0.0])
    for key, program, reversal, numbers in naive._bookings(raw, by):
        row = raw.points[key] | {"program_id": program}
        if reversal and row["redeemed_time"] and reversal["reversal_time"]:
            days = (reversal["reversal_time"] - row["redeemed_time"]) / DAY
            cell = times[naive._group(by, row, row["redeemed_time"]), reversal["reversal_id"]]
            cell[:] = cell[0] + numbers["back"], max(days, 0.0)
    groups: dict[naive.Group, list[float]] = defaultdict(list)
    for (group, _), (points, days) in times.items():
        if points > 0:
            groups[group].append(days)
    ours = grouped(time_to_reversal(bundles["pandas"], by), by)
    assert ours.keys() == groups.keys()
    for group, days in groups.items():
        expected = [[len(days), np.mean(days), np.median(days), np.percentile(days, 90)]]
        np.testing.assert_allclose(
            ours[group][["reversals", "mean_days", "median_days", "p90_days"]], expected, rtol=1e-12
        )


@pytest.mark.parametrize("engine", [*ENGINES[1:], "polars-eager"])
@pytest.mark.parametrize("by", [("store_code", "program_id", "week")], ids="+".join)
def test_times_to_reversal_are_the_same_on_every_engine(
    bundles: dict[str, ra.Redemptions], by: tuple[str, ...], engine: str
) -> None:
    ours = time_to_reversal(bundles[engine], by)
    assert type(ours) is type(bundles[engine].points)
    pd.testing.assert_frame_equal(
        pandas(ours),
        time_to_reversal(bundles["pandas"], by),
        rtol=1e-12,
        check_dtype=False,
        check_column_type=False,
    )
