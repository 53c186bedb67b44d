"""Exports overlap and repeat: what was seen more than once becomes one row."""

from __future__ import annotations

import json
from typing import Any

import pytest
from answers import (
    EXPORTS,
    TIME,
    answer,
    cells,
    export,
    found,
    ledger,
    load,
    new,
    old,
    reversal,
    same,
)
from hypothesis import given, settings
from hypothesis import strategies as st
from pandas.testing import assert_frame_equal
from payloads import TIMES

import redemption_analytics as ra


def test_a_redemption_in_three_exports_is_one_row_and_the_newest_wins() -> None:
    def seen(day: int, reversals: list[Any]) -> Any:
        shares = [{"program_id": day, "points_redeemed": 90, "program_name": f"P{day}"}]
        batches = [{"source_store": {"code": f"s{day}"}, "points_consumed": 90}] * day
        field = {"name": "channel" if day == 3 else "shop", "value": f"v{day}"}
        redemption = new(
            "AfL2vt",
            id=day,
            notes=None if day == 3 else f"note {day}",
            redemption_breakup_by_program=shares,
            redemption_breakup_by_source=batches,
            custom_fields={"field": [field]},
            reversals=reversals,
        )
        return export(f"2025-01-0{day}", answer(redemption))

    back = {"reversal_breakup_by_program": [{"program_id": 1, "points_reversed": 5}]}
    more = {"reversal_breakup_by_program": [{"program_id": 2, "points_reversed": 7}]}
    r = load(
        seen(2, [reversal(1, 5, **back), reversal(2, 6, **back)]),
        seen(3, [reversal(1, 7, **more), reversal(2, 6)]),
        seen(1, [reversal(1, 4, **back)]),
    )
    assert cells(r.points, "redemption_key", "id", "notes") == [["AfL2vt", None, "note 2"]]
    assert cells(r.program_breakups, "program_id", "program_name") == [[3, "P3"]]
    assert cells(r.source_breakups, "position", "source_store_code") == [
        [1, "s3"],
        [2, "s3"],
        [3, "s3"],
    ]
    assert cells(r.custom_fields, "name", "value") == [["channel", "v3"]]
    # A reversal's fields and breakup are those of its newest occurrence that tells them too.
    assert cells(r.reversals, "reversal_id", "points_reversed") == [[1, 7], [2, 6]]
    assert cells(r.reversal_breakups, "reversal_id", "program_id", "points_reversed") == [
        [2, 1, 5],
        [1, 2, 7],
    ]
    assert ledger(r, "points") == [3, 1, 2]
    assert ledger(r, "reversals") == [5, 2, 3]
    assert ledger(r, "source_breakups") == [6, 3, 3]
    assert ledger(r, "reversal_breakups") == [4, 2, 2]
    assert found(r, "vanished_reversals") == (0, None)


def test_reversals_are_united_and_those_that_vanished_are_found() -> None:
    first = export("2025-01-01", answer(new("a", reversals=[reversal(1), reversal(2)])))
    second = export("2025-01-02", answer(new("a", reversals=[reversal(2), reversal(3)])))
    r = load(first, second)
    assert cells(r.reversals, "reversal_id", "redemption_key") == [[1, "a"], [2, "a"], [3, "a"]]
    assert found(r, "vanished_reversals") == (1, "reversal 1 of redemption a")


def test_a_reversal_belongs_where_it_was_seen_last() -> None:
    first = export("2025-01-01", answer(new("a", reversals=[reversal(1)]), new("b")))
    second = export("2025-01-02", answer(new("a"), new("b", reversals=[reversal(1)])))
    r = load(first, second)
    assert cells(r.reversals, "reversal_id", "redemption_key") == [[1, "b"]]
    assert found(r, "vanished_reversals") == (0, None)


def test_of_equally_new_ones_the_one_whose_name_comes_last_wins() -> None:
    def seen(name: str, told: str) -> Any:
        told_so = answer(new("a", notes=told), coupons=[{"id": 1, "code": told}])
        return export(f"2025-01-01/{name}", told_so)

    for order in (("one", "two"), ("two", "one")):
        r = load(*(seen(name, name) for name in order))
        assert cells(r.points, "notes") == cells(r.coupons, "code") == ["two"]
        # What is called the same stays in the order in which it was given.
        r = load(*(seen("same", told) for told in order))
        assert cells(r.points, "notes") == cells(r.coupons, "code") == [order[-1]]
    r = load(export("2025-01-01", answer(new("a", notes="1")), answer(new("a", notes="2"))))
    assert cells(r.points, "notes") == ["2"]


@given(EXPORTS, st.randoms(use_true_random=False))
@settings(max_examples=5 * TIMES, deadline=None)
def test_the_order_of_files_makes_no_difference(several: list[Any], random: Any) -> None:
    files = [(f"2025-01-0{day}", answers) for day, answers in enumerate(several, 1)]
    in_order = load(*(export(day, *answers) for day, answers in files))
    random.shuffle(files)
    shuffled = load(*(export(day, *answers) for day, answers in files))
    same(in_order, shuffled)
    assert_frame_equal(in_order.ledger, shuffled.ledger)
    assert_frame_equal(in_order.findings, shuffled.findings)


@given(EXPORTS)
@settings(max_examples=5 * TIMES, deadline=None)
def test_loading_twice_equals_loading_once(several: list[Any]) -> None:
    files = [(f"2025-01-0{day}", answers) for day, answers in enumerate(several, 1)]
    once = load(*(export(day, *answers) for day, answers in files))
    twice = load(*(export(day, *answers) for day, answers in files for _ in range(2)))
    assert len(twice.responses) == 2 * len(once.responses)
    in_order = {  # rows stand where they were seen last
        name: frame.sort_values(list(frame.columns), ignore_index=True)
        for r in (once, twice)
        for name, frame in [(f"{name} {r is twice}", f) for name, f in r.tables.items()]
        if not name.startswith("responses")
    }
    for name in once.tables:
        if name not in ("responses", "rejects", "files"):
            assert_frame_equal(in_order[f"{name} True"], in_order[f"{name} False"], obj=name)
    for element in once.ledger["element"]:
        seen, loaded, merged = ledger(once, element)
        again = ledger(twice, element)
        if element not in ("files", "responses"):
            refused = seen - loaded - merged
            assert again == [2 * seen, loaded, merged + seen - refused]


BOTH_ORDERS = pytest.mark.parametrize("old_first", [True, False])


def mixed(old_answers: list[Any], new_answers: list[Any], old_first: bool) -> ra.Redemptions:
    days = ("2020-06-30", "2025-06-30") if old_first else ("2026-06-30", "2025-06-30")
    return load(export(days[0], *old_answers), export(days[1], *new_answers))


@BOTH_ORDERS
def test_an_old_redemption_that_agrees_with_one_that_has_an_id_is_that_one(old_first: bool) -> None:
    of_2018 = old(program_id=None, points_redeemed="90.000", reversals=[reversal(1)])
    of_2020 = old(notes="old", reversals=[reversal(1), reversal(2)])
    r = mixed([answer(of_2018), answer(of_2020)], [answer(new("AfL2vt", notes="new"))], old_first)
    assert cells(r.points, "redemption_key", "redemption_id", "notes") == [
        ["AfL2vt", "AfL2vt", "new" if old_first else "old"]
    ]
    assert cells(r.reversals, "reversal_id", "redemption_key") == [[1, "AfL2vt"], [2, "AfL2vt"]]
    assert ledger(r, "points") == [3, 1, 2]


@BOTH_ORDERS
@pytest.mark.parametrize(
    "other",
    [
        {"redeemed_time": "2020-03-31 00:00:01"},
        {"redeemed_time": None},
        {"transaction_number": "txn-7"},
        {"points_redeemed": 91},
        {"mobile": "448"},
    ],
)
def test_one_that_does_not_agree_is_another(other: dict[str, Any], old_first: bool) -> None:
    mobile = other.pop("mobile", "447")
    r = mixed([answer(old(**other), mobile=mobile)], [answer(new("AfL2vt"))], old_first)
    other |= {"mobile": mobile} if mobile != "447" else {}
    assert len(r.points) == 2
    assert cells(r.points, "redemption_id").count(None) == 1


@BOTH_ORDERS
def test_where_several_agree_it_stays_by_itself(old_first: bool) -> None:
    r = mixed([answer(old())], [answer(new("a"), new("b", id=2))], old_first)
    assert sorted(cells(r.points, "redemption_id"), key=str) == [None, "a", "b"]


@BOTH_ORDERS
@pytest.mark.parametrize(
    ("less", "count"),
    [
        ([old(id=1, program_id=None)], 2),
        ([old(id=121655, program_id=None)], 2),
        ([old(id=1, program_id=None, transaction_number="")], 2),
        ([old(id=1, program_id=None), old(id=2, program_id=None)], 2),
        ([old(id=n, program_id=None) for n in (1, 2, 3)], 3),
        ([old(id=1, program_id=3)], 3),
    ],
)
@pytest.mark.parametrize(
    "known",
    [
        [new("a"), new("b", program_id=7)],
        [old(id=300614), old(id=300615, program_id=7)],
        [old(id=1), old(id=2, program_id=7)],
    ],
    ids=["redemption_id", "real id", "rank"],
)
def test_who_tells_less_and_agrees_with_several_is_one_of_them(
    less: list[Any], count: int, known: list[Any], old_first: bool
) -> None:
    if known[0]["id"] > 1 and less[0]["id"] > 3:
        count += 1  # Different real ids are two redemptions.
    r = mixed([answer(*less)], [answer(*known)], old_first)
    assert len(r.points) == count
    assert r.points["points_redeemed"].sum() == 90 * count
    again = mixed([answer(*less), answer(*less)], [answer(*known)], old_first)
    assert len(again.points) == count


def test_an_id_of_zero_or_less_tells_nothing() -> None:
    r = load(export("2020-01-01", answer(old(id=0), old(id=0, points_redeemed=30))))
    assert sorted(cells(r.points, "points_redeemed")) == [30, 90]
    r = load(
        export("2020-01-01", answer(old(id=-1))), export("2020-01-02", answer(old(id=1, bill_id=5)))
    )
    assert cells(r.points, "bill_id") == [5]


@BOTH_ORDERS
def test_of_two_equal_old_ones_only_one_is_the_one_that_has_an_id(old_first: bool) -> None:
    r = mixed([answer(old(), old(id=121656))], [answer(new("a"))], old_first)
    assert sorted(cells(r.points, "redemption_id"), key=str) == [None, "a"]


@BOTH_ORDERS
def test_as_many_equals_as_ids_pair_up(old_first: bool) -> None:
    equals = [old(id=id_, notes=str(id_)) for id_ in (1, 2, 3)]
    ids = [new(key) for key in "bca"]
    r = mixed([answer(*equals), answer(*equals)], [answer(*ids)], old_first)
    assert sorted(cells(r.points, "redemption_id")) == ["a", "b", "c"]
    if not old_first:
        assert sorted(cells(r.points, "notes")) == ["1", "2", "3"]


def test_equal_redemptions_in_one_answer_are_as_many_redemptions() -> None:
    twins = [old(reversals=[reversal(1)]), old(id=121656, reversals=[reversal(2)])]
    r = load(export("2020-01-01", answer(*twins)), export("2020-01-02", answer(*twins)))
    assert len(r.points) == 2
    assert r.points["redemption_key"].is_unique
    assert r.reversals["redemption_key"].tolist() == r.points["redemption_key"].tolist()
    once = load(export("2020-01-01", answer(old()), answer(old())))
    assert len(once.points) == 1


def test_equal_redemptions_of_two_programs_are_two_redemptions() -> None:
    r = load(export("2020-01-01", answer(old(id=1), old(id=2, program_id=1))))
    assert r.points["redemption_key"].nunique() == 2
    r = load(export("2020-01-01", answer(old(id=1)), answer(old(id=1, program_id=1))))
    assert r.points["redemption_key"].nunique() == 2


def built(*points: Any, mobile: Any = "447", **options: Any) -> list[str]:
    return cells(ra.load([answer(*points, mobile=mobile)], **options).points, "redemption_key")


def test_a_built_key_is_the_same_however_the_redemption_was_read() -> None:
    (key,) = built(old(id=1))
    assert built(old(id=1), points="decimal") == [key]
    written = json.dumps(answer(old(id=1))).encode()
    assert cells(ra.load(written).points, "redemption_key") == [key]
    assert cells(ra.load(written, points="decimal").points, "redemption_key") == [key]
    as_text = old(
        id=1, points_redeemed="90.000", program_id="469", redeemed_time=TIME.replace(" ", "T")
    )
    assert built(as_text) == [key]
    assert built(old(id=1, notes="n", validation_code="v")) == [key]
    alone, rank = built(old(id=1), old(id=2))
    assert alone == key != rank
    with_fraction = [
        built(old(id=1, points_redeemed=v), points="decimal") for v in (90.125, "90.1250")
    ]
    assert with_fraction[0] == with_fraction[1] != [key]


@pytest.mark.parametrize(
    "other",
    [
        {"redeemed_time": "2020-03-31 00:00:01"},
        {"transaction_number": "txn-7"},
        {"program_id": 470},
        {"program_id": None},
        {"points_redeemed": 91},
        {"mobile": "448"},
        {"mobile": None},
    ],
)
def test_a_built_key_tells_redemptions_apart(other: dict[str, Any]) -> None:
    mobile = other.get("mobile", "447")
    changed = {name: value for name, value in other.items() if name != "mobile"}
    assert built(old(id=1, **changed), mobile=mobile) != built(old(id=1))


def test_beside_a_redemption_id_an_id_is_a_rank_and_none_of_its_fields() -> None:
    one, other = (load(export("2025-01-01", answer(new("a", id=rank)))) for rank in (1, 9))
    assert cells(one.points, "id") == [None]
    same(one, other, "files")
    # What an edition without redemption_id called it stays.
    for days in (("2020-01-01", "2025-01-01"), ("2026-01-01", "2025-01-01")):
        r = load(export(days[0], answer(old())), export(days[1], answer(new("a", id=1))))
        assert cells(r.points, "redemption_key", "id") == [["a", 121655]]


def test_id_is_never_a_key() -> None:
    r = load(export("2025-01-01", answer(new("a", id=1)), answer(new("b", id=1), mobile="448")))
    assert cells(r.points, "redemption_key") == ["a", "b"]
    r = load(export("2020-01-01", answer(old(), old(redeemed_time="2020-04-01 00:00:00"))))
    assert len(r.points) == 2
    r = load(export("2020-01-01", answer(old(id=1))), export("2020-01-02", answer(old(id=2))))
    assert cells(r.points, "id") == [2]


def test_a_coupon_is_known_by_its_id_and_its_newest_occurrence_wins() -> None:
    def coupon(code: str, name: str) -> Any:
        return {"id": "3", "code": code, "custom_fields": {"field": {"name": name, "value": code}}}

    r = load(
        export("2025-01-02", answer(coupons=[coupon("new", "n")])),
        export("2025-01-01", answer(coupons=[coupon("old", "o"), coupon("older", "o")])),
    )
    assert cells(r.coupons, "redemption_key", "code") == [["3", "new"]]
    assert cells(r.custom_fields, "name", "value") == [["n", "new"]]
    assert ledger(r, "coupons") == [3, 1, 2]


def test_a_coupon_and_a_points_redemption_may_have_the_same_key() -> None:
    def field(value: str) -> Any:
        return {"field": [{"name": "n", "value": value}]}

    r = load(
        export(
            "2025-01-01",
            answer(
                new("3", custom_fields=field("of points")),
                coupons=[{"id": 3, "custom_fields": field("of the coupon")}],
            ),
        )
    )
    assert cells(r.points, "redemption_key") == cells(r.coupons, "redemption_key") == ["3"]
    assert cells(r.custom_fields, "redemption_key", "redemption_type", "value") == [
        ["3", "points", "of points"],
        ["3", "coupon", "of the coupon"],
    ]


@pytest.mark.parametrize("points", ["int", "decimal"])
def test_shares_of_the_same_program_are_added_up(points: Any) -> None:
    tenths = 10 if points == "decimal" else 1

    def shares(column: str) -> list[Any]:
        parts = ((1, 1, "House"), (2, 5, "P"), (1, 2, None), (None, 3, None), (None, 4, "none"))
        return [
            {"program_id": program, column: points / tenths, "program_name": name}
            for program, points, name in parts
        ]

    back = reversal(1, 2, reversal_breakup_by_program=shares("points_reversed"))
    redemption = new("a", redemption_breakup_by_program=shares("points_redeemed"), reversals=[back])
    r = load(export("2025-01-01", answer(redemption)), points=points)
    expected = [[1, "House", 3 / tenths], [2, "P", 5 / tenths], [None, "none", 7 / tenths]]
    assert cells(r.program_breakups, "program_id", "program_name", "points_redeemed") == expected
    assert cells(r.reversal_breakups, "program_id", "program_name", "points_reversed") == expected
    assert ledger(r, "program_breakups") == [5, 3, 2]


def test_shares_keep_their_order_where_some_are_added_up() -> None:
    programs = {"a": [0], "b": [None, 0], "c": [1, 0, None, 1], "d": [None], "e": [None]}
    redemptions = [
        new(
            key,
            redemption_breakup_by_program=[{"program_id": p, "points_redeemed": 1} for p in ids],
        )
        for key, ids in programs.items()
    ]
    r = load(export("2025-01-01", answer(*redemptions)))
    assert cells(r.program_breakups, "redemption_key", "program_id") == [
        [key, program] for key, ids in programs.items() for program in dict.fromkeys(ids)
    ]


def test_of_custom_fields_of_one_name_the_last_wins() -> None:
    fields = [{"name": name, "value": value} for name, value in ("a1", "b2", "a3", ("b", None))]
    r = load(export("2025-01-01", answer(new("a", custom_fields={"field": fields}))))
    assert cells(r.custom_fields, "name", "value") == [["a", "3"], ["b", None]]


def test_the_newest_successful_answer_tells_who_a_customer_is() -> None:
    r = load(
        export("2025-01-02", answer(firstname="Ada", email="ada@example.com")),
        export("2025-01-01", answer(firstname="Grace", lastname="Hopper")),
        export("2025-01-03", answer(firstname="nobody", success=False)),
        export("2025-01-03", answer(mobile="999", success=False)),
        export("2025-01-03", answer(mobile=None, firstname="anonymous")),
    )
    assert cells(r.customers, "customer_key", "firstname", "lastname", "email") == [
        ["mobile:447", "Ada", "Hopper", "ada@example.com"]
    ]
    assert len(r.responses) == 5


def test_a_redemption_with_two_customers_is_found() -> None:
    def seen(mobile: Any) -> ra.Redemptions:
        first = export("2025-01-01", answer(new("a"), new("b"), coupons=[{"id": 1}]))
        return load(first, export("2025-01-02", answer(new("a"), mobile=mobile)))

    r = seen("448")
    assert cells(r.points, "redemption_key", "customer_key") == [
        ["b", "mobile:447"],
        ["a", "mobile:448"],
    ]
    assert found(r, "conflicting_customer") == (1, "redemption a")
    # Nobody is no other customer.
    assert found(seen(None), "conflicting_customer") == (0, None)


def test_which_identity_names_a_customer() -> None:
    known = {"user_id": "u", "external_id": "e", "mobile": "m", "email": "@"}
    for name, first in (("user_id", "u"), ("external_id", "e"), ("mobile", "m"), ("email", "@")):
        r = ra.load([answer(new("a"), **known)])
        assert cells(r.points, "customer_key") == [f"{name}:{first}"]
        assert cells(r.customers, "customer_key") == [f"{name}:{first}"]
        del known[name]
        known["mobile"] = known.get("mobile", " ")
    r = ra.load([answer(new("a"), user_id="u")], customer_key="mobile")
    assert cells(r.points, "customer_key") == ["mobile:447"]
    r = ra.load([answer(new("a"), user_id="u")], customer_key="email")
    assert cells(r.points, "customer_key") == [None]
    assert r.customers.empty


def test_a_rank_tells_nothing_where_an_element_before_it_is_refused() -> None:
    wrong = old(id=1, points_redeemed="many")
    pages = [answer(wrong, old(id=2, transaction_number=bill)) for bill in ("one", "two")]
    r = load(export("2026-01-01", *pages))
    assert cells(r.points, "transaction_number") == ["one", "two"]
    assert found(r, "restated") == (0, None)
