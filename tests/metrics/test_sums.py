"""Points of any size that a load takes: they add up right, or an error says that they do not."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from engines import KINDS, Bundles, of_every_kind
from payloads import answers, redemption, reversal

import redemption_analytics as ra
from redemption_analytics.tables.frames import as_arrow

EVERY = ("pandas", *KINDS)

#: The most points that a redemption may have; so many redemptions stay below 2^63 together.
MOST = 10**18 - 1
FIT = 9

FUNCTIONS = {
    "net_points": ra.net_points,
    "reversal_rates": ra.reversal_rates,
    "reversal_curve": lambda r: ra.reversal_curve(r, weight="points", horizon="30D"),
    "time_to_reversal": ra.time_to_reversal,
    "expected_reversals": ra.expected_reversals,
    "reversal_outliers": ra.reversal_outliers,
    "source_flows": ra.source_flows,
    "kpis": ra.kpis,
}


def bundles(many: int, directory: Path) -> Bundles:
    """Half of each redemption is back, of no known program: of two that it drew on."""
    redemptions = [
        redemption(
            f"large-{number}",
            MOST,
            f"2026-10-{1 + number:02} 10:00:00",
            [reversal(number, MOST // 2, "2026-10-20 10:00:00")],
            program=469,
            shares={469: MOST - 1, 1234: 1},
            redemption_breakup_by_source=[
                {
                    "source_store": {"code": "south"},
                    "points_consumed": MOST,
                    "awarding_date": "2021-10-01 10:00:00",
                }
            ],
        )
        for number in range(many)
    ]
    (directory / "exports").mkdir()
    (directory / "exports" / "2026-11-01.json").write_text(json.dumps(answers(redemptions)))
    return of_every_kind(directory / "exports", directory / "converted", "int")


@pytest.fixture(scope="module")
def fitting(tmp_path_factory: pytest.TempPathFactory) -> Bundles:
    return bundles(FIT, tmp_path_factory.mktemp("fitting"))


@pytest.fixture(scope="module")
def too_many(tmp_path_factory: pytest.TempPathFactory) -> Bundles:
    return bundles(FIT + 1, tmp_path_factory.mktemp("too_many"))


def rows(frame: Any) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = as_arrow(frame).to_pylist()
    return found


@pytest.mark.parametrize("kind", EVERY)
def test_up_to_2_to_the_63_sums_are_exact(fitting: Bundles, kind: str) -> None:
    r = fitting[kind]
    (total,) = rows(ra.net_points(r))
    assert total["points_redeemed"] == FIT * MOST
    assert total["net_points"] == FIT * (MOST - MOST // 2)
    by_program = rows(ra.net_points(r, by="program_id"))
    assert [row["points_redeemed"] for row in by_program if row["program_id"] == 1234] == [FIT]
    assert sum(row["points_redeemed"] for row in by_program) == FIT * MOST
    (rates,) = rows(ra.reversal_rates(r))
    assert rates["points_reversal_rate"] == pytest.approx(0.5)
    (flow,) = rows(ra.source_flows(r))
    assert flow["points_consumed"] == FIT * MOST
    assert flow["mean_age_days"] == pytest.approx(1826 + 4)
    last = rows(FUNCTIONS["reversal_curve"](r))[-1]
    assert last["cumulative_rate"] == pytest.approx(0.5)


@pytest.mark.parametrize("name", FUNCTIONS)
@pytest.mark.parametrize("kind", EVERY)
def test_past_2_to_the_63_every_engine_says_so_in_the_same_words(
    too_many: Bundles, kind: str, name: str
) -> None:
    with pytest.raises(ra.ValidationError) as caught:
        FUNCTIONS[name](too_many[kind])
    assert "points: points_redeemed adds up to 9,999,999,999,999,999,990, and" in str(caught.value)


def test_points_of_sources_alone_are_looked_at_too(too_many: Bundles) -> None:
    r = ra.Redemptions(source_breakups=too_many["polars"].source_breakups)
    with pytest.raises(ra.ValidationError, match="source_breakups: points_consumed adds up to"):
        ra.source_flows(r)


@pytest.mark.parametrize("kind", EVERY)
def test_of_too_many_points_some_can_be_chosen_and_the_audit_works(
    too_many: Bundles, kind: str
) -> None:
    r = too_many[kind]
    for chosen in (r.filter(until="2026-10-04"), r.filter(until="2026-10-04", program_id=1234)):
        (total,) = rows(ra.net_points(chosen))
        assert total["points_redeemed"] == 4 * MOST
    assert "over_reversed" in {row["check"] for row in rows(ra.audit(r)) if not row["count"]}


@pytest.mark.parametrize("kind", EVERY)
def test_what_came_back_of_no_program_is_shared_without_overflow(
    fitting: Bundles, kind: str
) -> None:
    found = rows(ra.expected_reversals(fitting[kind], by="program_id", as_of="2026-10-20"))
    still_open = {row["program_id"]: row["open_points"] for row in found}
    assert sum(still_open.values()) == FIT * (MOST - MOST // 2)
    assert still_open[469] == pytest.approx(FIT * MOST / 2)
