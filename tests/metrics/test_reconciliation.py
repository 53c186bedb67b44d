"""Reconciliation: each account ties, to both bases of net points, and to plain loops."""

from __future__ import annotations

from datetime import datetime
from pathlib import Path

import naive
import pandas as pd
import pytest
from payloads import load, redemption, reversal, table

import redemption_analytics as ra
from redemption_analytics.options import Period
from redemption_analytics.sample import write_sample
from redemption_analytics.tables.periods import period_start

EARLIEST = datetime.min
ACCOUNT = ("opening_points", "points_redeemed", "points_reversed_posted", "closing_points")
BRIDGE = (
    "net_points_posted",
    "reversed_of_other_periods",
    "reversed_in_other_periods",
    "net_points",
)


@pytest.fixture(scope="module")
def exports(tmp_path_factory: pytest.TempPathFactory) -> list[Path]:
    where = tmp_path_factory.mktemp("exports")
    return write_sample(where, customers=300, exports=2, seed=4, damage=0.02)


@pytest.fixture(scope="module", params=["int", "decimal"])
def r(exports: list[Path], request: pytest.FixtureRequest) -> ra.Redemptions:
    return ra.load(exports, points=request.param)


def test_small_example_by_hand() -> None:
    r = load(
        [
            redemption("a", 100, "2026-01-30", [reversal(1, 30, "2026-02-01")]),
            redemption("b", 50, "2026-02-05", [reversal(2, 20, "2026-02-06")]),
            redemption("c", 10, "2026-02-07", [reversal(3, 10, "2026-01-31")]),
            redemption("d", 7, None, [reversal(4, 2, None), reversal(5, 1, "2026-02-01")]),
        ]
    )
    found = ra.reconciliation(r)
    assert table(found, "month", *ACCOUNT) == [
        ("2026-01-01", 0, 100, 10, 90),
        ("2026-02-01", 90, 60, 51, 99),
        (None, 99, 7, 2, 104),
    ]
    assert table(found, "month", *BRIDGE, "points_reversed") == [
        ("2026-01-01", 90, 10, 30, 70, 30),
        ("2026-02-01", 9, 31, 10, 30, 30),
        (None, 5, 0, 1, 4, 3),
    ]


def test_each_program_has_an_account_in_each_period_in_which_any_had_movements() -> None:
    r = load(
        [redemption("a", 100, "2026-01-30", program=1), redemption("b", 9, "2026-03-01", program=2)]
    )
    assert table(ra.reconciliation(r), "program_id", "month", "opening_points") == [
        (1, "2026-01-01", 0),
        (1, "2026-03-01", 100),
        (2, "2026-01-01", 0),
        (2, "2026-03-01", 0),
    ]


@pytest.mark.parametrize("period", ["day", "week", "month", "quarter", "year"])
def test_accounts_tie(r: ra.Redemptions, period: Period) -> None:
    found = ra.reconciliation(r, period)
    total = ra.net_points(r)["net_points"].sum()
    opening, redeemed, back, closing = (found[name] for name in ACCOUNT)
    pd.testing.assert_series_equal(
        (opening + redeemed - back).round(3), closing, check_names=False, check_exact=True
    )
    posted, of_others, elsewhere, net = (found[name] for name in BRIDGE)
    pd.testing.assert_series_equal(
        (posted + of_others - elsewhere).round(3), net, check_names=False, check_exact=True
    )
    for _, account in found.groupby("program_id", dropna=False):
        assert account["opening_points"].iloc[0] == 0
        assert account["opening_points"].tolist()[1:] == account["closing_points"].tolist()[:-1]
    last = found.groupby("program_id", dropna=False)["closing_points"].last()
    assert round(last.sum(), 3) == total
    for basis, name in (("redemption", "net_points"), ("event", "net_points_posted")):
        theirs = ra.net_points(r, ["program_id", period], basis)  # type: ignore[arg-type]
        both = found.merge(theirs, how="left", on=["program_id", period], suffixes=("", "_theirs"))
        assert len(both) == len(found)
        other = both["net_points_theirs"]
        pd.testing.assert_series_equal(
            both[name], other.fillna(0).astype(both[name].dtype), check_names=False
        )
        assert round(found[name].sum(), 3) == total


@pytest.mark.parametrize("period", ["week", "month"])
def test_accounts_are_those_of_plain_loops(exports: list[Path], period: Period) -> None:
    raw = naive.load(exports)
    sums: dict[tuple[int | None, datetime | None], list[int]] = {}
    programs, starts = set(), set()

    def start(time: datetime | None) -> datetime | None:
        return time and period_start(time, period)

    for key, program, back, numbers in naive._bookings(raw, ("program_id",)):
        made = start(raw.points[key]["redeemed_time"])
        booked = start(back.get("reversal_time")) if back else made
        programs.add(program)
        starts |= {made, booked}
        out = sums.setdefault((program, made), [0, 0, 0, 0, 0])
        out[0] += numbers.get("out", 0)
        out[1] += numbers.get("back", 0)
        there = sums.setdefault((program, booked), [0, 0, 0, 0, 0])
        there[2] += numbers.get("back", 0)
        if booked != made:
            there[3] += numbers["back"]
            out[4] += numbers["back"]
    expected = {}
    for program in programs:
        closing = 0
        for when in sorted(starts, key=lambda time: (time is None, time or EARLIEST)):
            redeemed, back, posted, of_others, elsewhere = sums.get((program, when), [0] * 5)
            opening, closing = closing, closing + redeemed - posted
            expected[program, when] = (
                *(opening, redeemed, posted, closing),
                *(redeemed - posted, of_others, elsewhere, redeemed - back),
            )
    ours = {
        (row[0], row[1] and datetime.fromisoformat(row[1])): row[2:]
        for row in table(
            ra.reconciliation(ra.load(exports), period), "program_id", period, *ACCOUNT, *BRIDGE
        )
    }
    assert ours == expected


def test_nothing_gives_no_account() -> None:
    assert len(ra.reconciliation(load())) == 0


def test_an_unknown_period_is_refused() -> None:
    with pytest.raises(ra.UsageError, match=r"reconciliation: period is one of day, .*'decade'"):
        ra.reconciliation(load(), "decade")  # type: ignore[arg-type]
