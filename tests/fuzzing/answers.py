"""Strategies for answers, drawn from the contract: right for the most part, and odd here and there.

What a field is, and of which objects a list is, the contract says; only what values a kind of field
may have, and which of them do not fit, stands here.
"""

from __future__ import annotations

from typing import Any

from hypothesis import strategies as st

from fuzzing.packing import Raw, Twice
from redemption_analytics.contract import ANSWER, CUSTOMER, Kind, Many, Shape

#: Values that fit as most answers write them, so that Arrow reads them. What names something comes
#: from few values: redemptions meet again.
RIGHT: dict[Kind, list[Any]] = {
    Kind.TEXT: ["a", "north", "Zoë \U0001f600", "7", "gift", "{}", "<b> & ]]>", ""],
    Kind.INTEGER: [1, "2", "3.000", 0, "-1", -1, 2**53 + 1, Raw("1e2"), Raw("4.0")],
    Kind.POINTS: [0, 1, "20", "101.000", 90, Raw("2.0"), Raw("1E+2"), 2**40],
    Kind.AMOUNT: ["50.5", 12.25, 0, Raw("-0.0"), Raw("225.39"), "1e3", 10**17],
    Kind.TIME: [
        *("2025-01-01 00:00:00", "2020-03-31T10:00:00", "2024-02-29", "2025-06-30 23:59:59.5"),
        *("0000-00-00 00:00:00", "0000-00-00", "", "1999-12-31 12:00"),
    ],
    Kind.BOOLEAN: [*[True] * 8, False],
}
NAMES: dict[str, list[Any]] = {
    "id": [1, 2, "3", 121614],
    "redemption_id": ["a", "b", "c", "1"],
    "reversal_id": [1, 2, "3", 4],
    "program_id": [469, "973", 1],
    "mobile": ["447", "448"],
    "email": ["a@example.com", "b@example.com"],
    "user_id": ["u1", "2"],
    "external_id": ["e1", "1"],
    "name": ["n", "m", "colour"],
    "transaction_number": ["bill-1", "bill-2"],
}

#: Values that mean something, or nothing, but are seldom written so.
LOOSE: list[Any] = [
    *("", " ", "\t\n", [], {}, [None], [""], [[[]]], [{}], {"element": None}),
    *(True, False, "true", "false", "True", "1", "0", 0, 1, 7, "7", Raw("7.0"), Raw("1e1"), "07"),
]

#: Values that are odd wherever they stand: wrong, extreme, or of another type.
ODD: list[Any] = [
    *(
        "ten",
        "12.5",
        0.5,
        "-5",
        -5,
        True,
        "1_000",
        "0x10",
        "+7",
        ".5",
        "5.",
        "1e",
        "١٢",
        "NaN",
        "null",
    ),
    *(2**63 - 1, 2**63, -(2**63), -(2**63) - 1, 2**64, 10**18, 10**18 - 1, str(10**18 - 1), 10**40),
    *("0" * 30 + "7", "9" * 400, "9" * 31, "0." + "0" * 30, "1." + "0" * 12, "1.0005", "0.0004"),
    *map(Raw, ["NaN", "Infinity", "-Infinity", "-0", "-0.0", "1e400", "1E-400", "1e-99", "5e-324"]),
    *map(Raw, ["1e999999999", "0e999999999", "1e-999999999", "1.5e1", "12e-1", "120e-1", "1e17"]),
    *map(Raw, ["1" * 5000, "0.1" + "0" * 40, "123456789012345678.5", "9007199254740993.0", "1.e5"]),
    *map(
        Raw,
        ['"\\u0031"', '"\\u002d5"', '"\\ud83d\\ude00"', '"\\ud800"', '"\\u0000"', '"1\\u0065-40"'],
    ),
    *map(
        Raw,
        ['{"a": 1, "a": 2}', "[{}, {}]", '[1, "a"]', '{"code": {"code": 1}}', '"a\nb"', '"\n{"'],
    ),
    *(
        "yesterday",
        "2025-02-30",
        "2025-13-01 00:00:00",
        "2025-01-01 24:00:00",
        "0000-01-01 00:00:00",
    ),
    *("0001-01-01 00:00:00", "9999-12-31 23:59:59.999999", "10000-01-01", "2025-01-01T00:00:00Z"),
    *("2025-01-01 00:00:00+05:30", "0001-01-01T00:00:00+14:00", "2025-1-1", " 2025-01-01 00:00:00"),
    *("2025-01-01 00:00:60", "2025-01-01 00:00:00.1234567", "2025-01-01t00:00:00", "20250101", 0),
    *(
        "\ud800",
        "a\udc80b",
        "\u0000",
        "\x1f",
        "\x1c",
        "\x85",
        "\xa0",
        "\u2028",
        "\ufeff",
        "\u3000",
        "\x7f",
    ),
    *('{"response": {}}', "\n{", "</response>", "<response>", "]}", "\\", '"', "a" * 3000),
    *([1], ["a", None], {"code": 1}, {"element": 1}, {"point": {}}, [[1]], {"": ""}, {"\ud800": 1}),
]

#: What is no JSON at all, and so takes its record out.
BROKEN = [
    *map(
        Raw, ["01", "+1", ".5", "tru", "nul", "'a'", "2020-03-13 18:02:34", "{", "]", ",", '"\\x"']
    ),
    *map(
        Raw,
        ["[" * 2000, '{"a":' * 2000, '"\\ud8', "{]", "[}", '"a" "b"', "{1: 2}", '"\x01"', "1,,2"],
    ),
]


def seldom(one: st.SearchStrategy[Any], else_: st.SearchStrategy[Any], of: int) -> Any:
    """Draw from one strategy once in so many times; ``one_of`` would draw from each as often."""
    return st.sampled_from([else_] * (of - 1) + [one]).flatmap(lambda chosen: chosen)


_RIGHT = {kind: st.sampled_from(values) for kind, values in RIGHT.items()}
_NAMES = {name: st.sampled_from(values) for name, values in NAMES.items()}
_ODD = seldom(st.sampled_from(BROKEN), st.sampled_from([*ODD, *LOOSE * 2]), 40)
_PERCENT = st.integers(0, 99)
_FEW = st.sampled_from([1, 1, 1, 2, 0])

#: Names that the contract does not have.
_UNKNOWN = ["new", "\ud800", "Mobile", ""]

#: How many of a hundred fields are odd.
_ODDNESS = st.sampled_from([0, 1, 0, 1, 2, 4, 10, 40])


def _field(draw: st.DrawFn, name: str, node: Kind | Shape | Many, odd: int) -> Any:
    if draw(_PERCENT) >= 100 - odd:
        return draw(_ODD)
    if isinstance(node, Kind):
        return draw(_NAMES[name] if name in _NAMES else _RIGHT[node])
    if isinstance(node, Shape):
        return _object(draw, node, odd)
    items = [_item(draw, node.shape, odd) for _ in range(draw(_FEW))]
    bare = len(items) == 1 and draw(_PERCENT) < (90 if name == "customer" else 10)
    return items[0] if bare else items


def _item(draw: st.DrawFn, shape: Shape, odd: int) -> Any:
    return draw(_ODD) if draw(_PERCENT) >= 100 - odd else _object(draw, shape, odd)


def _object(draw: st.DrawFn, shape: Shape, odd: int) -> dict[str, Any]:
    made: dict[str, Any] = {}
    needed = {names[0] for names in shape.required if len(names) == 1}
    for name, node in shape.fields.items():
        seldom = odd if name in needed else 30 if isinstance(node, Kind) else 8
        how = draw(_PERCENT)
        if how < seldom // 3:
            made[name] = None
        elif how >= 100 - odd // 4:
            made[name] = Twice(_field(draw, name, node, odd), _field(draw, name, node, odd))
        elif how >= seldom:
            made[name] = _field(draw, name, node, odd)
    if draw(_PERCENT) >= 100 - odd:
        made[draw(st.sampled_from(_UNKNOWN + sorted(shape.unused)))] = draw(_ODD)
    return made


@st.composite
def answers(draw: st.DrawFn, oddness: st.SearchStrategy[int] = _ODDNESS) -> Any:
    """Answers of any edition: of one customer, of several, or failed."""
    odd = draw(oddness)
    answer = _object(draw, ANSWER, odd)
    response = answer.get("response")
    if isinstance(response, dict) and isinstance(response.get("customer"), dict):
        several = draw(_PERCENT)
        if several >= 92:
            response["customers"] = {"customer": response.pop("customer")}
        elif several >= 90:
            response["customers"] = [_object(draw, CUSTOMER, odd)]
    return answer


#: Records that are no answers, or hold nothing.
NO_ANSWERS: list[Any] = [
    *({}, [], None, 7, "text", ["not", "an", "answer"], {"message": "Timeout"}, [[]], [{}], True),
    *({"response": None}, {"response": {}}, {"response": []}, {"response": {"customers": []}}),
    *({"response": {"customer": [{}]}}, {"response": {"status": {}}}, {"a": {"response": {}}}),
]

#: What all forms can hold: nothing in it is odd.
RIGHT_ANSWERS = answers(st.just(0)).map(
    lambda answer: {"response": (answer.get("response") or {}) | {"status": {"success": True}}}
)

RECORDS = seldom(st.sampled_from(NO_ANSWERS), answers(), 16)
