"""What later exports tell otherwise: restated redemptions, and reversals in two of them."""

from __future__ import annotations

from typing import Any

import pytest
from answers import answer, cells, export, found, ledger, load, new, old, reversal

import redemption_analytics as ra


def shares(**points: int) -> list[dict[str, Any]]:
    return [{"program_id": int(name[1:]), "points_redeemed": n} for name, n in points.items()]


RESTATED: dict[str, tuple[list[dict[str, Any]], str]] = {
    "fewer points": (
        [{"points_redeemed": 90}, {"points_redeemed": 80}],
        "redemption a: 90, then 80; 10 points moved in all",
    ),
    "there and back": (
        [{"points_redeemed": 90}, {"points_redeemed": 80}, {"points_redeemed": 90}],
        "redemption a: 90, then 80, then 90; 20 points moved in all",
    ),
    "another program": (
        [{"program_id": 1}, {"program_id": 2}],
        "redemption a: 90, by other shares; 90 points moved in all",
    ),
    "other shares": (
        [
            {"redemption_breakup_by_program": shares(p1=60, p2=30)},
            {"redemption_breakup_by_program": shares(p1=50, p2=40)},
        ],
        "redemption a: 90, by other shares; 10 points moved in all",
    ),
    "a reversal": (
        [{"reversals": [reversal(7, 5)]}, {"reversals": [reversal(7, 8)]}],
        "redemption a, reversal 7: 5, then 8; 3 points moved in all",
    ),
}


@pytest.mark.parametrize("what", RESTATED)
def test_what_a_later_export_tells_otherwise_is_told_with_the_points_that_moved(what: str) -> None:
    versions, said = RESTATED[what]
    r = load(*(export(f"2025-01-0{n}", answer(new("a", **v))) for n, v in enumerate(versions, 1)))
    assert found(r, "restated") == (1, said)


def test_a_redemption_told_twice_in_one_answer_may_be_restated_too() -> None:
    r = load(export("2025-01-01", answer(new("a"), new("a", points_redeemed=85))))
    assert found(r, "restated") == (1, "redemption a: 90, then 85; 5 points moved in all")
    assert cells(r.points, "points_redeemed") == [85]


def test_what_is_told_for_the_first_time_restates_nothing() -> None:
    poor = new("a", program_id=None)
    rich = new(
        "a", redemption_breakup_by_program=shares(p469=60, p7=30), reversals=[reversal(7, 5)]
    )
    for first, then in ((poor, rich), (rich, poor)):
        r = load(export("2025-01-01", answer(first)), export("2025-01-02", answer(then)))
        assert found(r, "restated") == (0, None)


def test_the_redemption_that_the_newest_export_tells_keeps_the_reversal() -> None:
    first = export("2025-01-01", answer(new("a", reversals=[reversal(7, 5)])))
    second = export("2025-01-02", answer(new("b", reversals=[reversal(7, 6)])))
    r = load(first, second)
    assert cells(r.reversals, "reversal_id", "redemption_key", "points_reversed") == [[7, "b", 6]]
    assert found(r, "conflicting_reversal") == (1, "reversal 7 of redemption b and of a")
    (reject,) = r.rejects.to_dict("records")
    assert (reject["source"], reject["record"]) == ("2025-01-01.jsonl", 1)
    assert reject["reason"] == (
        "reversal_id 7 of redemption a is also that of a reversal of redemption b, which keeps it"
    )
    assert '"points_reversed": 5' in reject["raw"]
    assert ledger(r, "reversals") == [2, 1, 0]


def test_what_hangs_below_a_refused_reversal_is_a_part_of_it() -> None:
    back = {"reversal_breakup_by_program": [{"program_id": 1, "points_reversed": 5}]}
    both = answer(*(new(key, reversals=[reversal(7, 5, **back)]) for key in "ab"))
    r = load(export("2025-01-01", both))
    assert cells(r.reversals, "redemption_key") == ["a"]
    assert ledger(r, "reversal_breakups") == [1, 1, 0]
    with pytest.raises(ra.RejectedError, match="reversal_id 7"):
        load(export("2025-01-01", both), on_error="raise")


def test_one_redemption_under_an_old_and_a_new_key_is_no_conflict() -> None:
    first = export("2020-06-30", answer(old(reversals=[reversal(7, 5)])))
    second = export("2025-06-30", answer(new("a", reversals=[reversal(7, 5)])))
    r = load(first, second)
    assert cells(r.reversals, "reversal_id", "redemption_key") == [[7, "a"]]
    assert found(r, "conflicting_reversal") == (0, None)
