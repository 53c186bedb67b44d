"""Single values: what is read as what, what is refused and why, as plain Python reads them."""

from __future__ import annotations

import json
from datetime import datetime
from decimal import Decimal
from typing import Any
from unittest import mock
from zoneinfo import ZoneInfo

import pandas as pd
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st
from oracle.reading import OracleReader
from payloads import TIMES

from redemption_analytics.flattening.flatten import Flattening
from redemption_analytics.loading import parser
from redemption_analytics.loading.parser import Parsed, Parser
from redemption_analytics.reading.blocks import Block

# A table, a column, and how an answer holds it; @ stands for the value.
PLACES = {
    "text": ("points", "notes"),
    "integer": ("points", "program_id"),
    "points": ("points", "points_redeemed"),
    "amount": ("coupons", "discount_value"),
    "time": ("points", "redeemed_time"),
    "boolean": ("responses", "success"),
}


def payload(kind: str, value: str) -> bytes:
    """An answer that holds a value, as it is written, where a value of that kind belongs."""
    table, column = PLACES[kind]
    point = {"redemption_id": "a", "points_redeemed": 1}
    coupon: dict[str, Any] = {"id": 1}
    status: dict[str, Any] = {"code": 200}
    {"points": point, "coupons": coupon, "responses": status}[table][column] = "@"
    redemptions = {"points": {"point": [point]}, "coupons": {"coupon": [coupon]}}
    customer = {"mobile": "447", "redemptions": redemptions}
    text = json.dumps({"response": {"status": status, "customer": customer}})
    return text.replace('"@"', value).encode()


def read(kind: str, value: Any, **options: Any) -> Any:
    """The cell that a value becomes, None for null; or why it was refused."""
    parsed = parse(payload(kind, json.dumps(value)), **options)
    if parsed.read.rejects:
        (reject,) = parsed.read.rejects
        return refused(reject.reason)
    table, column = PLACES[kind]
    return parsed.tables[table][column][0].as_py()


def parse(data: bytes, points: Any = "int", zone: str | None = None) -> Parsed:
    timezone = ZoneInfo(zone) if zone else None
    return Parser(Flattening(), points, timezone).parse(Block("json", data, 1))


class refused(str):  # noqa: N801
    """A reason."""


WHOLE: list[tuple[Any, Any]] = [
    (20, 20),
    ("20", 20),
    (" 20\t", 20),
    ("+20", 20),
    ("020", 20),
    ("101.000", 101),
    (101.0, 101),
    ("1e2", 100),
    ("20.", 20),
    ("", None),
    ("  ", None),
    (None, None),
    ([], None),
    ({}, None),
    ("ten", refused("'ten' is no number")),
    ("1,000", refused("'1,000' is no number")),
    ("1_000", refused("'1_000' is no number")),
    ("0x10", refused("'0x10' is no number")),
    ("\u0661", refused("'\u0661' is no number")),
    ("NaN", refused("'NaN' is no number")),
    ("Infinity", refused("'Infinity' is no number")),
    ("2\u00000", refused("'2\\x000' is no number")),
    (True, refused("True is no number")),
    ([1], refused("the value is no number")),
    ({"a": 1}, refused("the value is no number")),
    ("1e400", refused("'1e400' is too large")),
    ("x" * 99, refused(f"'{'x' * 59}… is no number")),
]
CASES: dict[str, list[tuple[Any, Any]]] = {
    "integer": [
        *WHOLE,
        (-7, -7),
        (2**63 - 1, 2**63 - 1),
        (str(-(2**63)), -(2**63)),
        (2**63, refused("9223372036854775808 does not fit 64 bits")),
        (12.5, refused("12.5 is no whole number")),
        ("12.5", refused("'12.5' is no whole number")),
    ],
    "points": [
        *((value, cell) for value, cell in WHOLE if cell is not None),
        (0, 0),
        ("-0", 0),
        (10**18 - 1, 10**18 - 1),
        (-5, refused("-5 is negative")),
        ("-5.000", refused("'-5.000' is negative")),
        (10**18, refused("1000000000000000000 is too large for points")),
        *(
            (value, refused(f'{said} is no whole number of points: load with points="decimal"'))
            for value, said in ((12.5, "12.5"), ("12.5", "'12.5'"), ("-1e-3", "'-1e-3'"))
        ),
        *((nothing, refused("points_redeemed is missing")) for nothing in (None, "", " ", [])),
    ],
    "amount": [
        *WHOLE,
        (-7.25, -7.25),
        ("50.5", 50.5),
        (225.39, 225.39),
        ("0.1234567890123", 0.1234567890123),
        (10**30, 1e30),
        (10**31, refused(f"{10**31} is too large")),
    ],
    "text": [
        ("app", "app"),
        ("  two  ", "  two  "),
        ("Zoë 東京 \U0001f600", "Zoë 東京 \U0001f600"),
        ("a\u0000b", "a\u0000b"),
        (7, "7"),
        (-1.5, "-1.5"),
        (2**70, str(2**70)),
        (True, "true"),
        (False, "false"),
        ("", None),
        (" \t\r\n\f\v", None),
        ("\u00a0", "\u00a0"),
        (None, None),
        ([], None),
        ({}, None),
        ("half \ud800", refused("the text holds half of a surrogate pair")),
        (["a"], refused("the value is no text")),
        ({"a": 1}, refused("the value is no text")),
    ],
    "time": [
        ("2025-03-10 14:37:11", datetime(2025, 3, 10, 14, 37, 11)),
        ("2025-03-10T14:37:11", datetime(2025, 3, 10, 14, 37, 11)),
        (" 2025-03-10 14:37:11 ", datetime(2025, 3, 10, 14, 37, 11)),
        ("2025-03-10 14:37:11.25", datetime(2025, 3, 10, 14, 37, 11, 250_000)),
        ("2025-03-10 14:37", datetime(2025, 3, 10, 14, 37)),
        ("2025-03-10", datetime(2025, 3, 10)),
        ("2024-02-29 00:00:00", datetime(2024, 2, 29)),
        ("0001-01-01 00:00:00", None),
        ("9999-12-31 23:59:59.999999", datetime.max),
        ("0000-00-00 00:00:00", None),
        ("0000-00-00", None),
        ("", None),
        (" ", None),
        (None, None),
        ([], None),
        *(
            (text, refused(f"'{text}' is no time of the form YYYY-MM-DD HH:MM:SS"))
            for text in (
                "yesterday",
                "10/03/2025",
                "2025-02-29 00:00:00",
                "2025-03-10 24:00:00",
                "2025-03-10 23:59:60",
                "0000-01-01 00:00:00",
                "2025-W10-1",
                "20250310",
                "2025-03-10+0530",
                "2025-03-10-0530",
                "2025-03-10Z",
                "2025-03-10 14:37:11.1234567",
            )
        ),
        (1741617431, refused("1741617431 is no time")),
        (True, refused("True is no time")),
        (["2025"], refused("the value is no time")),
        (
            "2025-03-10T14:37:11Z",
            refused(
                "'2025-03-10T14:37:11Z' carries a UTC offset: name the organisation's zone, as in"
                ' timezone="Europe/Paris", to read it as wall-clock time there'
            ),
        ),
    ],
    "boolean": [
        *((yes, True) for yes in (True, "true", "TRUE", " true ", "1", 1)),
        *((no, False) for no in (False, "false", "False", "0", 0)),
        *((nothing, True) for nothing in (None, "", " ", [], {})),  # no failure was told
        ("yes", refused("'yes' is neither true nor false")),
        (2, refused("2 is neither true nor false")),
        (["true"], refused("the value is neither true nor false")),
    ],
}


@pytest.mark.parametrize("kind", CASES)
def test_what_is_read_as_what(kind: str) -> None:
    for value, expected in CASES[kind]:
        got = read(kind, value)
        if isinstance(expected, refused) and "points=" in expected:
            got = refused(got.removesuffix(" to keep it"))
        assert (type(got) is refused, got) == (type(expected) is refused, expected), repr(value)


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        ("12.5", 12.5),
        (12.125, 12.125),
        ("12.5000", 12.5),
        ("101.000", 101.0),
        ("6262.190", 6262.19),
        (7, 7.0),
        ("999999999999.999", 999999999999.999),
        ("0.0001", refused("'0.0001' has more than three decimal places")),
        ("1e17", 1e17),
        ("1e18", refused("'1e18' is too large for points")),
        ("-0.001", refused("'-0.001' is negative")),
        ("ten", refused("'ten' is no number")),
        ("", refused("points_redeemed is missing")),
    ],
)
def test_decimal_points(value: Any, expected: Any) -> None:
    assert read("points", value, points="decimal") == expected


@given(st.integers(0, 10**15 - 1))
@settings(max_examples=25 * TIMES, deadline=None)
def test_decimal_points_are_the_nearest_float(thousandths: int) -> None:
    exact = Decimal(thousandths) / 1000
    parsed = parse(payload("points", f'"{exact}"'), points="decimal")
    assert parsed.tables["points"]["points_redeemed"].to_pylist() == [float(exact)]


@given(st.decimals(-(10**9), 10**9, places=4))
@settings(max_examples=25 * TIMES, deadline=None)
def test_amounts_are_the_nearest_float(exact: Decimal) -> None:
    parsed = parse(payload("amount", str(exact)))
    assert parsed.tables["coupons"]["discount_value"].to_pylist() == [float(exact)]


@pytest.mark.parametrize(
    ("written", "there"),
    [
        ("2025-01-15T12:00:00Z", "2025-01-15 13:00:00"),
        ("2025-07-15T12:00:00Z", "2025-07-15 14:00:00"),
        ("2025-07-15 12:00:00+05:30", "2025-07-15 08:30:00"),
        ("2025-07-15 12:00+0530", "2025-07-15 08:30:00"),
        ("2025-07-15 12:00:00.5-04:00", "2025-07-15 18:00:00.500000"),
        ("2025-03-30T00:59:59Z", "2025-03-30 01:59:59"),  # clocks go forward
        ("2025-03-30T01:00:00Z", "2025-03-30 03:00:00"),
        ("2025-10-26T00:30:00Z", "2025-10-26 02:30:00"),  # and back: an hour comes twice
        ("2025-10-26T01:30:00Z", "2025-10-26 02:30:00"),
        ("2025-07-15 12:00:00", "2025-07-15 12:00:00"),
        ("0000-00-00 00:00:00", None),
    ],
)
def test_times_with_an_offset_become_wall_clock_time_of_the_zone(
    written: str, there: str | None
) -> None:
    got = read("time", written, zone="Europe/Paris")
    assert got == (None if there is None else pd.Timestamp(there))


@pytest.mark.parametrize(
    ("written", "reason"),
    [
        ("2025-07-15+0530", "is no time of the form YYYY-MM-DD HH:MM:SS"),
        ("2025-07-15 12:00:00+25:00", "is no time of the form YYYY-MM-DD HH:MM:SS"),
        ("9999-12-31T23:59:59-05:00", "is out of range"),
    ],
)
def test_what_a_time_zone_does_not_help(written: str, reason: str) -> None:
    assert read("time", written, zone="Asia/Tokyo") == f"{written!r} {reason}"


def told(parsed: Parsed) -> Any:
    tables = {n: t.to_pydict() for n, t in parsed.tables.items()}
    return tables, parsed.read


DIGITS = st.text("0123456789.+-eE \u0661", max_size=24)
ODD = ["NaN", "Infinity", "-Infinity", "1e400", "1e-400", "-0", "-0.0", "1E+2", "0e9999", "00"]
ODD += ['"\\u0000"', '"\\ud800"', '"\\ud83d\\ude00"', '"tr\\u0075e"', "null", "[]", "{}", "[[]]"]
WRITTEN = st.one_of(
    st.sampled_from(ODD),
    st.integers().map(str),
    st.integers(-(2**66), 2**66).map(str),
    st.floats().map(json.dumps),
    st.decimals(allow_nan=False, allow_infinity=False).map(str),
    st.decimals(-(10**20), 10**20, places=3).map(str),
    st.booleans().map(json.dumps),
    st.text(max_size=12).map(json.dumps),
    DIGITS.map(json.dumps),
    st.decimals(places=4, allow_nan=False, allow_infinity=False).map(lambda d: f'"{d}"'),
    st.datetimes().map(lambda t: f'"{t}"'),
    st.datetimes().map(lambda t: f'"{t.isoformat()}Z"'),
    st.datetimes().flatmap(lambda t: st.integers(0, 26).map(lambda end: json.dumps(str(t)[:end]))),
    st.text("0123456789-: TZ.+", min_size=8, max_size=20).map(json.dumps),
    st.sampled_from(["true", "TRUE", "False", "0", "1", "yes", " true"]).map(json.dumps),
)


@pytest.mark.parametrize("kind", PLACES)
@given(written=WRITTEN, points=st.sampled_from(["int", "decimal"]))
@example(written='"2025-01-01+0530"', points="int")
@example(written='"0000-12-31 00:00:00"', points="int")
@example(written="1e-400", points="int")
@settings(max_examples=25 * TIMES, deadline=None)
def test_both_readers_read_a_value_alike(kind: str, written: str, points: str) -> None:
    data = payload(kind, written)
    with mock.patch.object(parser, "Reader", OracleReader):
        plain = told(parse(data, points))
    assert told(parse(data, points)) == plain
