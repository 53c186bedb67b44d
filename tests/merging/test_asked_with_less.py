"""An answer that was asked with less erases nothing, wherever it comes among the exports."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any

import narwhals as nw
from answers import export, reversal
from hypothesis import given, settings
from hypothesis import strategies as st
from pandas.testing import assert_frame_equal
from payloads import TIMES

import redemption_analytics as ra

#: Ways of saying nothing.
NOTHING = st.sampled_from([None, "", []])
#: What an answer tells of a redemption only when asked for, or not yet in its edition.
BRANCHES = [
    *("redemption_breakup_by_program", "redemption_breakup_by_source", "custom_fields"),
    *("reversals", "redeemed_store", "redeemed_till", "program_id", "bill_id", "notes"),
    *("transaction_number", "redemption_purpose"),
]
BYS: list[Any] = [(), "customer_key", "program_id", "store_code", "till_code", "month"]


def _redemption(number: int) -> dict[str, Any]:
    """Write a redemption with all that can be told; points tell it from others."""
    points = 100 + number
    back = reversal(
        1000 + number,
        10,
        reversal_time=f"2025-03-{1 + number:02} 10:00:00",
        reversal_breakup_by_program=[{"program_id": 7, "points_reversed": 10}],
    )
    return {
        "redemption_id": f"r{number}",
        "program_id": 1,
        "points_redeemed": points,
        "transaction_number": f"bill-{number}",
        "bill_id": 50 + number,
        "redeemed_time": "2025-02-01 00:00:00",
        "redemption_purpose": "gift",
        "notes": f"note {number}",
        "redeemed_store": {"code": f"s{number % 2}", "name": "S"},
        "redeemed_till": {"code": f"t{number % 3}", "name": "T"},
        "custom_fields": {"field": [{"name": "channel", "value": "app"}]},
        "redemption_breakup_by_program": [
            {"program_id": 1, "points_redeemed": points - 60},
            {"program_id": 7, "points_redeemed": 60},
        ],
        "redemption_breakup_by_source": [
            {
                "source_store": {"code": "earned"},
                "points_consumed": points,
                "awarding_date": "2024-12-01 00:00:00",
            }
        ],
        "reversals": [back] if number % 2 else [],
    }


def _coupon(number: int) -> dict[str, Any]:
    return {
        "id": 9000 + number,
        "code": f"C{number}",
        "series_id": 3,
        "discount_type": "ABS",
        "discount_value": 5,
        "redeemed_time": "2025-02-03 10:00:00",
        "redeemed_store": {"code": "s0", "name": "S"},
        "custom_fields": {"field": [{"name": "channel", "value": "app"}]},
    }


def _answer(who: dict[str, str], points: list[Any], coupons: list[Any], **more: Any) -> Any:
    branches = {"points": {"point": points}, "coupons": {"coupon": coupons}}
    redemptions = {name: branch for name, branch in branches.items() if branch is not None}
    return {"response": {"customer": {**who, **more, "redemptions": redemptions}}}


def _person(number: int) -> dict[str, str]:
    return {
        "external_id": f"E{number}",
        "mobile": f"44{number}",
        "email": f"{number}@example.com",
        "firstname": "Ada",
    }


def _ranked(points: list[Any]) -> list[Any]:
    return [{"id": rank} | one for rank, one in enumerate(points, 1)]


@st.composite
def _with_less(draw: st.DrawFn, points: list[Any]) -> list[Any]:
    """Tell less of some redemptions, or of none; of an edition without redemption_id perhaps."""
    edition = draw(st.sampled_from(["new", "real ids", "ranks"]))
    shown = draw(st.lists(st.sampled_from(points), unique_by=id)) if points else []
    # Where no id tells redemptions apart they may not lose all that does.
    shown = [one for one in points if any(one is other for other in shown)]
    less = []
    for rank, one in enumerate(shown, 1):
        left_out = draw(st.sets(st.sampled_from(BRANCHES)))
        told = {name: value for name, value in one.items() if name not in left_out}
        told |= {name: draw(NOTHING) for name in left_out if draw(st.booleans())}
        told["id"] = rank
        if edition != "new":
            told.pop("redemption_id")
        if edition == "real ids":
            told["id"] = 300_000 + one["points_redeemed"]
        less.append(told)
    return less


@st.composite
def _archives(draw: st.DrawFn) -> tuple[list[tuple[str, list[Any]]], tuple[str, list[Any]], int]:
    """Draw full exports, and one asked with less that comes after some of them."""
    days = draw(st.integers(1, 3))
    people = draw(st.integers(1, 2))
    of = {
        person: [_redemption(10 * person + n) for n in range(draw(st.integers(0, 3)))]
        for person in range(people)
    }
    born = {id(one): draw(st.integers(1, days)) for own in of.values() for one in own}
    exports = []
    for day in range(1, days + 1):
        answers = [
            _answer(
                _person(person),
                _ranked([one for one in own if born[id(one)] <= day]),
                [_coupon(person)],
            )
            for person, own in of.items()
        ]
        exports.append((f"2025-06-0{day}", answers))
    place = draw(st.integers(1, days))
    person = draw(st.sampled_from(sorted(of)))
    known = _person(person)
    who = draw(st.sampled_from([known, {"mobile": known["mobile"]}, {"email": known["email"]}]))
    points = draw(_with_less([one for one in of[person] if born[id(one)] <= place]))
    coupons = draw(st.sampled_from([[], None, [{"id": 9000 + person}]]))
    return exports, (f"2025-06-0{place}", [_answer(who, points, coupons)]), place


Asked = Callable[[ra.Redemptions], Any]
GROUPED = (ra.net_points, ra.reversal_rates, ra.kpis, ra.time_to_reversal)
#: Every number of every metric.
NUMBERS: dict[str, Asked] = {
    **{
        f"{function.__name__} by {by}": partial(function, by=by)
        for function in GROUPED
        for by in BYS
    },
    **{f"event by {by}": partial(ra.net_points, by=by, basis="event") for by in BYS},
    "within": partial(ra.reversal_rates, within="30D"),
    "curve": ra.reversal_curve,
    "expected": ra.expected_reversals,
    "coupons": partial(ra.coupon_summary, by="series_id"),
    "flows": ra.source_flows,
    "outliers": ra.reversal_outliers,
}
#: To ask for all of them each time takes long.
SOME = st.lists(st.sampled_from(sorted(NUMBERS)), min_size=6, max_size=6, unique=True)


def assert_same_numbers(one: ra.Redemptions, other: ra.Redemptions, asked: list[str]) -> None:
    for name in asked:
        ours, theirs = (nw.from_native(NUMBERS[name](r)).to_pandas() for r in (one, other))
        assert_frame_equal(theirs, ours, obj=name)


@given(_archives(), SOME)
@settings(max_examples=5 * TIMES, deadline=None)
def test_an_answer_asked_with_less_changes_no_number(archive: Any, asked: list[str]) -> None:
    full, (day, less), place = archive
    several = [*full[:place], (day, less), *full[place:]]
    before = ra.load([export(day, *answers) for day, answers in full])
    after = ra.load([export(day, *answers) for day, answers in several])
    assert_same_numbers(before, after, asked)
    assert len(after.points) == len(before.points)
    # What an export left out is no other history.
    audit = ra.audit(after).set_index("check")["count"]
    assert audit[["restated", "vanished_reversals", "conflicting_customer"]].sum() == 0


@given(_archives(), st.randoms(use_true_random=False), SOME)
@settings(max_examples=4 * TIMES, deadline=None)
def test_how_pages_are_split_over_files_makes_no_difference(
    archive: Any, random: Any, asked: list[str]
) -> None:
    full, (day, less), _ = archive
    pages = []
    for date, answers in [*full, (day, less)]:
        for answer in answers:
            customer = answer["response"]["customer"]
            who = {n: v for n, v in customer.items() if n != "redemptions"}
            redemptions = customer["redemptions"]
            points = redemptions["points"]["point"]
            cut = random.randint(0, len(points))
            coupons = redemptions.get("coupons", {}).get("coupon")
            pages.append((date, _answer(who, points[:cut], coupons)))
            pages.append((date, _answer(who, points[cut:], None)))
    whole = ra.load([export(date, *answers) for date, answers in [*full, (day, less)]])
    split = ra.load([export(*page) for page in pages])
    assert_same_numbers(whole, split, asked)
