"""Cohorts: against plain loops over raw payloads, and what cannot be observed yet."""

from __future__ import annotations

from datetime import datetime
from pathlib import Path
from typing import Any

import naive
import numpy as np
import pandas as pd
import pytest
from everyday import first_everyday
from payloads import load, redemption, reversal, table

import redemption_analytics as ra
from redemption_analytics.sample import write_sample

COLUMNS = ("month", "months_after", "points_reversed", "cumulative_points_reversed")


@pytest.fixture(scope="module")
def exports(tmp_path_factory: pytest.TempPathFactory) -> list[Path]:
    return write_sample(tmp_path_factory.mktemp("exports"), customers=300, exports=2, seed=4)


@pytest.fixture(scope="module")
def r(exports: list[Path]) -> ra.Redemptions:
    return ra.load(exports)


def index(time: datetime) -> int:
    return time.year * 12 + time.month - 1


@pytest.mark.parametrize("by", [(), ("program_id",), ("store_code", "redemption_purpose")], ids=str)
@pytest.mark.parametrize("as_of", first_everyday([datetime(2026, 5, 31, 23, 59, 59, 999999), None]))
def test_the_triangle_is_that_of_plain_loops(
    exports: list[Path], r: ra.Redemptions, by: tuple[str, ...], as_of: datetime | None
) -> None:
    raw, months = naive.load(exports), 5
    moment = as_of or r.now
    assert moment is not None
    sizes: dict[Any, list[int]] = {}
    cells: dict[Any, int] = {}
    for key, program, back, numbers in naive._bookings(raw, by):
        row = raw.points[key]
        born, time = row["redeemed_time"], back.get("reversal_time")
        if born is None or born > moment or (back and (time is None or time > moment)):
            continue
        group = (*naive._group(by, row | {"program_id": program}, born), index(born))
        size = sizes.setdefault(group, [0, 0])
        if back:
            cell = (*group, max(index(time) - index(born), 0))
            cells[cell] = cells.get(cell, 0) + numbers["back"]
        else:
            size[0] += numbers.get("n", 0)
            size[1] += numbers["out"]
    expected = {}
    last = index(moment) if as_of is None else index(moment) + 1
    for group, (many, points) in sizes.items():
        so_far = 0
        for after in range(months + 1):
            cell = cells.get((*group, after), 0)
            so_far += cell
            seen = group[-1] + after < last
            rate = so_far / points if points > 0 and seen else None
            measures = (cell, so_far) if seen else (None, None)
            expected[(*group, after)] = (many, points, *measures, rate)
    found = ra.cohorts(r, by, months, as_of)
    ours = {
        (*row[: len(by)], index(datetime.fromisoformat(row[len(by)])), row[len(by) + 3]): (
            *row[len(by) + 1 : len(by) + 3],
            *row[len(by) + 4 :],
        )
        for row in table(found)
    }
    assert ours == expected


def test_small_example_by_hand() -> None:
    r = load(
        [
            redemption("a", 100, "2026-01-30", [reversal(1, 30, "2026-02-01")]),
            redemption("b", 50, "2026-01-05", [reversal(2, 20, "2026-03-31")]),
            redemption("c", 10, "2026-03-01", [reversal(3, 10, "2026-04-02")]),
        ]
    )
    found = ra.cohorts(r, months=2, as_of="2026-03-31")
    assert table(found, *COLUMNS, "cumulative_rate") == [
        ("2026-01-01", 0, 0, 0, 0.0),
        ("2026-01-01", 1, 30, 30, 0.2),
        ("2026-01-01", 2, 20, 50, pytest.approx(1 / 3)),
        ("2026-03-01", 0, 0, 0, 0.0),
        ("2026-03-01", 1, None, None, None),
        ("2026-03-01", 2, None, None, None),
    ]
    assert table(found, "redemptions", "points_redeemed")[0] == (2, 150)


def test_the_month_that_runs_is_not_observable_yet() -> None:
    r = load([redemption("a", 10, "2026-02-03", [reversal(1, 10, "2026-03-02")])])
    early, whole = (ra.cohorts(r, months=1, as_of=day) for day in ("2026-03-30", "2026-03-31"))
    assert early["points_reversed"].isna().tolist() == [False, True]
    assert whole["points_reversed"].tolist() == [0, 10]


def test_a_diagonal_is_what_is_posted_in_its_month(r: ra.Redemptions) -> None:
    posted = ra.net_points(r, "month", basis="event").set_index("month")["points_reversed"]
    found = ra.cohorts(r, months=200).dropna(subset="points_reversed")
    month = found["month"].dt.to_period("M") + found["months_after"]
    diagonal = found["points_reversed"].groupby(month.dt.to_timestamp()).sum()
    diagonal = diagonal[diagonal > 0].drop(pd.NaT, errors="ignore")
    untimed = r.points.loc[r.points["redeemed_time"].isna(), "redemption_key"]
    early = r.reversals.merge(r.points[["redemption_key", "redeemed_time"]])
    odd = early["redemption_key"].isin(untimed) | (early["reversal_time"] < early["redeemed_time"])
    other = set(early.loc[odd, "reversal_time"].dt.to_period("M").dt.to_timestamp())
    other |= set(early.loc[odd, "redeemed_time"].dropna().dt.to_period("M").dt.to_timestamp())
    plain = [start for start in diagonal.index if start not in other]
    assert len(plain) > 20
    assert diagonal[plain].tolist() == posted[plain].tolist()


def test_points_back_of_no_known_program_have_a_cohort_of_nothing() -> None:
    both = redemption(
        "a", 100, "2026-01-10", [reversal(1, 40, "2026-01-12")], shares={1: 60, 2: 40}
    )
    found = ra.cohorts(load([both]), "program_id", 1, "2026-01-31")
    columns = ("program_id", "redemptions", "points_redeemed", "points_reversed", "cumulative_rate")
    assert table(found[found["months_after"] == 0], *columns) == [
        (1, 1, 60, 0, 0.0),
        (2, 1, 40, 0, 0.0),
        (None, 0, 0, 40, None),
    ]


def test_without_a_time_there_is_no_cohort_and_no_cell() -> None:
    r = load(
        [
            redemption("a", 10, None, [reversal(1, 5, "2026-01-20")]),
            redemption("b", 10, "2026-01-10", [reversal(2, 5, None)]),
        ]
    )
    found = ra.cohorts(r, months=1, as_of="2026-02-28")
    assert table(found, "month", "redemptions", "points_reversed") == [
        ("2026-01-01", 1, 0),
        ("2026-01-01", 1, 0),
    ]


def test_a_reversal_before_its_redemption_counts_in_the_month_of_that() -> None:
    r = load([redemption("a", 10, "2026-02-01", [reversal(1, 10, "2026-01-30")])])
    assert ra.cohorts(r, months=1, as_of="2026-02-28")["points_reversed"].tolist()[0] == 10


def test_decimal_points_show_no_binary_fractions() -> None:
    backs = [reversal(n, 0.1, f"2026-0{n}-20") for n in (1, 2, 3)]
    r = load([redemption("a", 1.5, "2026-01-10", backs)], points="decimal")
    found = ra.cohorts(r, months=3, as_of="2026-03-31")
    so_far = found["cumulative_points_reversed"].to_numpy()
    np.testing.assert_array_equal(so_far, [0.1, 0.2, 0.3, np.nan])


@pytest.mark.parametrize("months", [0, -1, 2.0, "3", True])
def test_what_is_no_number_of_months_is_refused(months: Any) -> None:
    with pytest.raises(ra.UsageError, match="cohorts: months is"):
        ra.cohorts(load(), months=months)


def test_periods_are_refused_for_the_month_is_there_already() -> None:
    with pytest.raises(ra.UsageError, match="cannot group by 'month'"):
        ra.cohorts(load(), "month")
