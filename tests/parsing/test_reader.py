"""The native reader means what plain Python means, whatever an answer holds, and loses nothing."""

from __future__ import annotations

import json
from collections.abc import Iterator
from functools import partial
from typing import Any
from unittest import mock

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from oracle.reading import OracleReader
from pandas.testing import assert_frame_equal
from payloads import TIMES

import redemption_analytics as ra
from redemption_analytics.errors import RedemptionAnalyticsError
from redemption_analytics.loading import parser


class Raw(str):
    """A value as it is written, which may be no valid JSON."""

    __slots__ = ()


class Twice:
    """Two values under one key."""

    def __init__(self, first: Any, second: Any):
        self.both = (first, second)


def written(value: Any) -> str:
    if isinstance(value, Raw):
        return str(value)
    if isinstance(value, dict):
        pairs = [
            (key, one)
            for key, item in value.items()
            for one in (item.both if isinstance(item, Twice) else (item,))
        ]
        return "{" + ", ".join(f"{json.dumps(key)}: {written(one)}" for key, one in pairs) + "}"
    if isinstance(value, list):
        return "[" + ", ".join(map(written, value)) + "]"
    return json.dumps(value)


def whole_answer() -> dict[str, Any]:
    shop = {"code": "north", "name": "North"}
    fields = {"field": [{"name": "n", "value": "v"}, {"name": "m", "value": None}]}
    both: dict[str, Any] = {
        "id": 1,
        "bill_id": "-1",
        "transaction_number": "bill-1",
        "redeemed_time": "2025-01-01 00:00:00",
        "redeemed_at": "north",
        "redeemed_store": shop,
        "redeemed_till": shop,
        "custom_fields": fields,
    }
    coupon = both | {
        "code": "c",
        "series_id": "689078",
        "description": "",
        "discount_code": "D",
        "discount_type": "ABS",
        "discount_value": "50.5",
    }
    back = [{"program_id": 1, "points_reversed": 2, "program_name": "House"}]
    shares = [
        {"program_id": 1, "points_redeemed": 4, "program_name": "House"},
        {"program_id": 2, "points_redeemed": 1, "program_name": "Partner"},
    ]
    reversals = [
        {
            "reversal_id": id_,
            "points_reversed": 2,
            "reversal_time": "2025-01-02 00:00:00",
            "reversed_on_till_id": 7,
            "reversal_breakup_by_program": back,
        }
        for id_ in (10, 11)
    ]
    sources = [{"source_store": shop, "points_consumed": 5, "awarding_date": "2024-01-01 00:00:00"}]
    new = both | {
        "redemption_id": "AfL2vt",
        "program_id": 1,
        "points_redeemed": 5,
        "validation_code": "",
        "redemption_purpose": "gift",
        "notes": "a note",
        "external_reference_number": "x",
        "redemption_breakup_by_program": shares,
        "reversals": reversals,
        "redemption_breakup_by_source": sources,
        "unheard_of": [],
    }
    old = both | {"program_id": 1, "points_redeemed": "6.000"}
    customer = {
        "mobile": "447",
        "email": None,
        "external_id": "",
        "user_id": "u1",
        "firstname": "Ada",
        "rows": 4,
        "coupons_count": "1",
        "points_count": 3,
        "points_start_id": "",
        "redemptions": {
            "coupons": {"coupon": [coupon]},
            "points": {"point": [new, old, old]},
        },
    }
    status = {"success": True, "code": 200, "message": "Success"}
    return {"response": {"status": status, "customer": customer}}


def batch() -> dict[str, Any]:
    answer = whole_answer()
    status = {"success": "true", "code": 1000, "message": "Fetched"}
    failed = {"mobile": "448", "item_status": {"success": "false", "code": 816}}
    first = answer["response"]["customer"] | {"item_status": status}
    answer["response"]["customer"] = [first, failed]
    return answer


Steps = tuple[str | int, ...]


def paths(value: Any, path: Steps = ()) -> Iterator[Steps]:
    if path:
        yield path
    if isinstance(value, (dict, list)):
        for key, item in value.items() if isinstance(value, dict) else enumerate(value):
            yield from paths(item, (*path, key))


TEMPLATES = [whole_answer, batch]
PATHS = [(template, path) for template in TEMPLATES for path in paths(template())]
GONE = object()
NOTHINGS = [GONE, None, "", "  ", [], {}, [None], [[[]]]]
RIGHT = [1, "2", "3.000", 0, -1, 10**17, 2**63 - 1, True, False, "true", "False", "app", "b1"]
RIGHT += ["2025-01-02T03:04:05", "2025-01-01", "0000-00-00 00:00:00", "0", "-1", "Zoë \U0001f600"]
WRONG = ["ten", 0.5, "12.5", -5, 2**63, -(2**70), "1e400", "yesterday", "0000-01-01 00:00:00"]
WRONG += ["2025-01-01T00:00:00Z", "nul \u0000", "half \ud800", [1], ["a", None], {"code": 1}]
WRONG += map(Raw, ["NaN", "1e400", "-Infinity", "1e-99", "-0", '{"a": 1, "a": 2}', "[{}, {}]"])
VALUES = [*NOTHINGS, *RIGHT, *WRONG]


def changed(answer: Any, path: Steps, value: Any, twice: bool) -> Any:
    """The answer with another value at the end of a path."""
    if not path:
        return value
    step, copy = path[0], None
    if isinstance(answer, dict) and step in answer:
        copy = dict(answer)
    elif isinstance(answer, list) and isinstance(step, int) and step < len(answer):
        copy = list(answer)
    if copy is None:  # an earlier change took it away
        return answer
    if len(path) > 1:
        copy[step] = changed(copy[step], path[1:], value, twice)
    elif value is GONE:
        del copy[step]
    elif twice and isinstance(copy, list):
        copy.insert(step, value)
    elif twice and not isinstance(copy[step], Twice):
        copy[step] = Twice(copy[step], value)
    else:
        copy[step] = value
    return copy


@st.composite
def answers(draw: st.DrawFn) -> str:
    """Whole answers in which a few things are not what they should be."""
    template = draw(st.sampled_from(TEMPLATES))
    answer = template()
    places = [path for of, path in PATHS if of is template]
    for _ in range(draw(st.integers(0, 4))):
        path, value = draw(st.sampled_from(places)), draw(st.sampled_from(VALUES))
        answer = changed(answer, path, value, draw(st.integers(0, 9)) == 0)
    return written(answer)


def damaged(text: bytes, how: str) -> bytes:
    middle = len(text) // 2
    return {
        "cut": text[:middle],
        "not UTF-8": text[:middle] + b"\xff" + text[middle:],
        "nested": text[:-1] + b', "deep": ' + b"[" * 100_000 + text[-1:],
        "unquoted": text.replace(b'": "', b'": 2020-03-13 ', 1),
        "no answer": b'["not", "an", "answer"]',
        "message": b'{"message": "Timeout"}',
        "number": b"7",
    }[how]


DAMAGE = ["cut", "not UTF-8", "nested", "unquoted", "no answer", "message", "number"]


@st.composite
def records(draw: st.DrawFn) -> bytes:
    data = draw(answers()).encode()
    return damaged(data, draw(st.sampled_from(DAMAGE))) if draw(st.integers(0, 9)) == 0 else data


def outcome(data: bytes, **options: Any) -> ra.Redemptions | str:
    try:
        return ra.load(data, exported_at="2026-01-01", **options)
    except RedemptionAnalyticsError as error:
        return str(error)


def assert_readers_agree(data: bytes, **options: Any) -> None:
    # The native reader reads the last bytes of a block otherwise than those before.
    for end in (b"", b"\n" * 64):
        assert_tables_agree(data + end, **options)


def assert_tables_agree(data: bytes, **options: Any) -> None:
    native = outcome(data, **options)
    with mock.patch.object(parser, "Reader", OracleReader):
        plain = outcome(data, **options)
    if isinstance(plain, str) or isinstance(native, str):
        assert native == plain
        return
    for name, frame in plain.tables.items():
        assert_frame_equal(native.tables[name], frame, obj=name)
    assert_frame_equal(native.ledger, plain.ledger)
    assert_frame_equal(native.findings, plain.findings)
    assert_adds_up(native)
    native.validate()


def assert_adds_up(r: ra.Redemptions) -> None:
    ledger = r.ledger.set_index("element")
    placed = ledger["loaded"] + ledger["merged"] + ledger["rejected"]
    assert ledger["seen"].equals(placed.rename("seen"))
    assert ledger["rejected"].sum() == len(r.rejects)


quick = partial(settings, deadline=None, suppress_health_check=list(HealthCheck))


# The native reader reads the last bytes of a block otherwise than those before.
@given(
    st.lists(records(), min_size=1, max_size=4),
    st.sampled_from(["int", "decimal"]),
    st.sampled_from([b"", b"\n" * 64]),
)
@quick(max_examples=16 * TIMES)
def test_both_readers_give_equal_tables(several: list[bytes], points: str, end: bytes) -> None:
    assert_readers_agree(b"\n".join(several) + end, points=points)


@given(st.lists(answers(), min_size=1, max_size=3))
@quick(max_examples=5 * TIMES)
def test_on_error_raise_names_the_first_reject(several: list[str]) -> None:
    data = "\n".join(several).encode()
    kept = outcome(data)
    if isinstance(kept, ra.Redemptions) and len(kept.rejects):
        first = kept.rejects.iloc[0]
        with pytest.raises(ra.RejectedError) as raised:
            ra.load(data, on_error="raise")
        assert str(raised.value) == f"payloads, line {first.line}, {first.path}: {first.reason}"


def answer(*points: Any, **customer: Any) -> dict[str, Any]:
    several = {"redemptions": {"points": {"point": list(points)}}} if points else {}
    status = {"success": True}
    return {"response": {"status": status, "customer": {"mobile": "447"} | several | customer}}


def point(key: str = "a", **fields: Any) -> dict[str, Any]:
    return {"redemption_id": key, "points_redeemed": 1} | fields


def lines(*answers: Any) -> bytes:
    return b"\n".join(
        one if isinstance(one, bytes) else json.dumps(one).encode() for one in answers
    )


WHOLE_ANSWERS = [answer(point(key)) for key in "abcdefgh"]


@pytest.mark.parametrize("how", DAMAGE)
@pytest.mark.parametrize("place", [0, 3, 6])
def test_one_damaged_record_costs_only_itself(how: str, place: int) -> None:
    whole = [json.dumps(one).encode() for one in WHOLE_ANSWERS]
    data = [*whole[:place], damaged(whole[place], how), *whole[place + 1 :]]
    assert_readers_agree(lines(*data))
    r = ra.load(lines(*data))
    assert r.points["redemption_id"].tolist() == [k for k in "abcdefgh" if k != "abcdefgh"[place]]
    assert r.rejects[["record", "line"]].to_numpy().tolist() == [[place + 1, place + 1]]


DIALECTS = {
    "success as text": {"response": {"status": {"success": "true"}, "customer": {"mobile": "2"}}},
    "a list of customers": {"response": {"customer": [{"mobile": "3"}, {"mobile": "4"}]}},
    "an empty list of customers": {"response": {"status": {}, "customer": []}},
    "nothing in the list": {"response": {"status": {}, "customer": [{}, None, {"mobile": "5"}]}},
    "only nothing in the list": {"response": {"status": {}, "customer": [{}]}},
    "only nothing, no status": {"response": {"customer": [{}]}},
    "nobody": {"response": {"customer": {}}},
    "only a status": {"response": {"status": {"success": False}}},
    "nothing at all": {"response": {}},
    "null": {"response": None},
    "wrapped": {"response": {"customers": {"customer": [{"mobile": "6"}]}}},
    "wrapped, and bare": {"response": {"status": {}, "customers": {"mobile": "9"}}},
    "a bare redemption": answer(redemptions={"points": {"point": point("b")}}),
    "a bare coupon": answer(redemptions={"coupons": {"coupon": {"id": 1}}}),
    "no coupons": answer(redemptions={"coupons": {"coupon": None}, "points": ""}),
    "null among redemptions": answer(point("c"), None, {}, point("d")),
    "an item status": {"response": {"customer": [{"mobile": "7", "item_status": {"code": 1}}]}},
    "item success as text": {
        "response": {"customer": [{"mobile": "8", "item_status": {"success": "false"}}]}
    },
    "a key twice": b'{"response": {"status": {}, "customer": {"mobile": "1", "mobile": "2"}}}',
    "an unknown key": {"response": {"status": {}, "new": [1]}, "newer": {"a": [{}, 1]}},
    "an unknown key of half a pair": {"response": {"status": {}, "\ud800": 1}},
    "a BOM of another kind": b'{"response": {"status": {"message": "\xef\xbb\xbf"}}}',
}


@pytest.mark.parametrize("first", DIALECTS)
def test_dialects_may_mix_in_one_block(first: str) -> None:
    assert_readers_agree(lines(DIALECTS[first], answer(point("a")), *DIALECTS.values()))


@pytest.mark.parametrize("key", ["customer", "customers"])
def test_a_list_of_one_customer_may_be_bare(key: str) -> None:
    whole = answer(point("a"))["response"]
    customer = whole.pop("customer")
    r = ra.load([{"response": whole | {key: customer}}])
    assert r.points["customer_key"].tolist() == ["mobile:447"]


def test_a_key_that_comes_twice_refuses_what_holds_it() -> None:
    data = json.dumps(answer(point("a"))).encode()
    data = data.replace(b'"points_redeemed": 1', b'"points_redeemed": 1, "points_redeemed": 2')
    assert_readers_agree(data)
    r = ra.load(data)
    assert r.points.empty
    assert r.rejects["line"].tolist() == [1]


TWICE = [
    '{"point": [@], "point": null}',
    '{"point": null, "point": [@]}',
    '{"point": @, "point": []}',
]


@pytest.mark.parametrize("points", TWICE)
def test_below_a_list_that_comes_twice_unknown_fields_are_told(points: str) -> None:
    redemption = json.dumps(point("a", unheard_of=[]))
    data = json.dumps(answer(redemptions={"points": "@"})).replace(
        '"@"', points.replace("@", redemption)
    )
    assert_readers_agree(data.encode())
    found = ra.load(data.encode()).findings.set_index("check")["count"]
    assert found["unknown_fields"] == 1


TINY = ["1e-39", "5.1e-67", '"1e-40"', "1E-99", '"0.5e-2147483640"', '"1\\u0065-2147483640"']


@pytest.mark.parametrize("number", TINY)
@pytest.mark.parametrize("points", ["int", "decimal"])
def test_tiny_numbers_are_no_zeros(number: str, points: str) -> None:
    data = lines(answer(point("a", points_redeemed="@")), answer(point("b")))
    data = data.replace(b'"@"', number.encode())
    assert_readers_agree(data, points=points)
    r = ra.load(data, points=points)
    assert r.points["redemption_id"].tolist() == ["b"]
    assert len(r.rejects) == 1


BARE = point(
    "b", reversals={"reversal_id": 1, "points_reversed": 1}, custom_fields={"field": {"name": "n"}}
)
OLD = {
    "texts that look like tiny numbers": [
        answer(point("a", transaction_number=text))
        for text in ("invoice-1042", "e-99", "12e4567e-e29b-41d4", "x 1e-99", "\u2028 é")
    ],
    "bare objects in place of lists": [
        answer(redemptions={"points": {"point": BARE}, "coupons": {"coupon": {"id": 1}}}),
        answer(point("c", notes='{"point": {"a": [}')),
        answer(BARE, {"id": 7, "points_redeemed": "2.000", "notes": "Zoë {"}),
    ],
    "numbers as text": [answer(point("a", points_redeemed="101.000", bill_id="-1"))],
}


@pytest.mark.parametrize("what", OLD)
def test_what_old_editions_write_is_read(what: str) -> None:
    data = lines(*OLD[what])
    assert_readers_agree(data)
    r = ra.load(data)
    assert len(r.responses) == len(OLD[what])
    assert r.rejects.empty


@pytest.mark.parametrize("depth", [3, 50, 900, 100_000])
@pytest.mark.parametrize(
    "field", ["notes", "redeemed_store", "reversals", "points_redeemed", "new"]
)
def test_nesting_is_no_danger(field: str, depth: int) -> None:
    data = lines(answer(point("a", **{field: "@"})), answer(point("b")))
    r = outcome(data.replace(b'"@"', b"[" * depth + b"]" * depth))
    assert isinstance(r, ra.Redemptions)
    assert "b" in r.points["redemption_id"].tolist()
    assert_adds_up(r)


def test_decoded_payloads_may_hold_anything() -> None:
    wrong = [
        "\ud800",
        {"\ud800": "\ud800"},
        float("nan"),
        float("inf"),
        object(),
        b"bytes",
        {1, 2},
        (1, 2),
        {1: 2},
        2**70,
    ]
    for name in ("points_redeemed", "notes", "redeemed_store", "reversals", "redeemed_time", "new"):
        for value in wrong:
            payload = answer(point("a", **{name: value}), point("b"))
            r = outcome([payload])  # type: ignore[arg-type]
            assert isinstance(r, ra.Redemptions), r
            assert r.points["redemption_id"].tolist()[-1] == "b"
            assert_adds_up(r)


def test_a_block_of_very_many_small_records() -> None:
    failed = b'{"response": {"status": {"code": ""}}}\n' * 30_000
    r = ra.load(failed + json.dumps(answer(point("a"))).encode())
    assert len(r.responses) == 30_001
    assert r.responses["record"].tolist() == list(range(1, 30_002))


@pytest.mark.parametrize(
    "bad",
    [
        b'{"response": {"status": {"success": true}, "customer": {"mobile": "4',
        answer(point(points_redeemed="ten")),
        answer(point(points_redeemed=-5)),
        answer(point(redeemed_time="yesterday")),
        answer({"points_redeemed": 5}),
        answer(point(reversals=[{"reversal_id": 1, "points_reversed": -3}])),
        answer(point(reversals=[{"points_reversed": 3}])),
    ],
    ids=str,
)
def test_damage_costs_the_records_near_it_and_not_the_block(bad: Any) -> None:
    clean = [answer(point(f"p{number}")) for number in range(3000)]
    data = lines(*clean[:1000], bad, *clean[1000:1999], bad, *clean[1999:])
    r = ra.load(data)
    assert r.rejects["record"].tolist() == [1001, 2001]
    assert len(r.points) >= len(clean)
    assert_readers_agree(data)
