"""Hostile and broken input costs itself: a reject with its place; the rest is loaded."""

from __future__ import annotations

import builtins
import gzip
import io
import json
import os
import socket
import subprocess
import sys
import time
import zipfile
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest
from everyday import first_everyday

import redemption_analytics as ra
from redemption_analytics.parsing import Reader
from redemption_analytics.reading.blocks import Block
from redemption_analytics.reading.split import cut_blocks
from redemption_analytics.sources import archives, find, streams

MB = 1 << 20


def answer(key: str, **fields: Any) -> dict[str, Any]:
    point = {"redemption_id": key, "points_redeemed": 1, "notes": "x"} | fields
    customer = {"mobile": "1", "redemptions": {"points": {"point": [point]}}}
    return {"response": {"status": {"success": True, "code": 200}, "customer": customer}}


def line(key: str, **fields: Any) -> bytes:
    return json.dumps(answer(key, **fields)).encode()


def raw(written: bytes, key: str = "b", field: str = "notes") -> bytes:
    """Write an answer in which a value of a field is written just so."""
    return line(key, **{field: "@"}).replace(b'"@"', written)


def xml(key: str, inner: str = "") -> bytes:
    point = f"<redemption_id>{key}</redemption_id><points_redeemed>1</points_redeemed>{inner}"
    return (
        "<response><status><success>true</success></status><customer><mobile>1</mobile>"
        f"<redemptions><points><point>{point}</point></points></redemptions></customer></response>"
    ).encode()


def lines(*middle: bytes) -> bytes:
    return b"\n".join([line("a"), *middle, line("c")]) + b"\n"


def rooted(*middle: bytes, before: bytes = b"") -> bytes:
    return before + b"<root>\n" + b"\n".join([xml("a"), *middle, xml("c")]) + b"\n</root>"


def assert_adds_up(r: ra.Redemptions) -> None:
    ledger = r.ledger
    assert (ledger["seen"] == ledger["loaded"] + ledger["merged"] + ledger["rejected"]).all()
    assert ledger["rejected"].sum() == len(r.rejects)


ENTITIES = '<!ENTITY a0 "ha">' + "".join(
    f'<!ENTITY a{n} "{10 * f"&a{n - 1};"}">' for n in range(1, 10)
)
LAUGHS = f"<?xml version='1.0'?><!DOCTYPE root [{ENTITIES}]>".encode()
OUTSIDE = (
    b"<!DOCTYPE root SYSTEM 'http://127.0.0.1:9/x.dtd' [<!ENTITY % p SYSTEM 'file:///etc/passwd'>"
    b"%p;<!ENTITY e SYSTEM 'file:///etc/passwd'>]>"
)
LONG_ENTITY = f"<!DOCTYPE root [<!ENTITY a '{'a' * 50_000}'>]>".encode()
DEEP = 100_000


@dataclass(frozen=True)
class Case:
    """What stands between (or before) the good answers ``a`` and ``c``.

    Attributes
    ----------
    data
        All of it.
    place
        Record, line and path of the first reject; None where there is none.
    reason
        How its reason begins.
    keys
        The redemptions that are loaded.
    """

    data: bytes
    place: tuple[int | None, int | None, str | None] | None
    reason: str = ""
    keys: str = "ac"


UNDEFINED = "not valid XML: undefined entity"
NO_RESPONSE = "not an answer of this API: it has no element <response>"
NO_JSON = "not valid JSON: "
POINT = "$.response.customer.redemptions.points.point[0]"
OVER = "a record of 3,0"

CASES: dict[str, Case] = {
    # XML
    "a billion laughs": Case(
        rooted(xml("b", "<notes>&a9;</notes>"), before=LAUGHS), (2, 3, "$"), UNDEFINED
    ),
    "a billion laughs within an answer": Case(
        rooted(b"<response>" + LAUGHS + b"<a>&a9;</a></response>"), (2, 3, "$"), "not valid XML: "
    ),
    "a long entity, ten thousand times": Case(
        rooted(xml("b", f"<notes>{'&a;' * 10_000}</notes>"), before=LONG_ENTITY),
        (2, 3, "$"),
        UNDEFINED,
    ),
    "entities outside": Case(
        rooted(xml("b", "<notes>&e;</notes>"), before=OUTSIDE), (2, 3, "$"), UNDEFINED
    ),
    "declarations that may be read in many ways": Case(
        b"<?a?>" * 60 + b"!" + rooted(), (1, 1, "$"), NO_RESPONSE
    ),
    "comments without end": Case(rooted(b"<!--" * 500_000), (2, 3, "$"), NO_RESPONSE),
    "document types without end": Case(
        rooted(b"<!DOCTYPE a [" * 100_000), (2, 3, "$"), NO_RESPONSE
    ),
    "instructions without end": Case(rooted(b"<?" * 500_000), (2, 3, "$"), NO_RESPONSE),
    "name spaces without end": Case(rooted(b"<a xmlns" + b" " * 100_000), (2, 3, "$"), NO_RESPONSE),
    "very many attributes": Case(
        rooted(xml("b", "<n " + " ".join(f"a{n}='1'" for n in range(20_000)) + "/>")),
        None,
        keys="abc",
    ),
    "deep XML": Case(rooted(xml("b", DEEP * "<n>" + DEEP * "</n>")), None, keys="abc"),
    # Depth
    "deep JSON": Case(
        lines(raw(b"[" * DEEP + b"]" * DEEP)),
        (2, 2, "$.response.customer.redemptions.points.point[0].notes"),
        "the value is no text",
    ),
    "deep JSON where nothing is known": Case(
        lines(raw(b"[" * DEEP + b"]" * DEEP, field="new")), None, keys="abc"
    ),
    "deep JSON of nobody": Case(
        lines(b'{"response": {"customer": {"new": ' + b"[" * DEEP + b"]" * DEEP + b"}}}"),
        (2, 2, "$.response.customer"),
        "not an answer of this API: no redemptions, but other fields",
    ),
    "deep JSON without end": Case(
        lines(b'{"response":' * DEEP), (2, 2, "$"), "not readable: nested too deeply"
    ),
    "brackets, one in a line": Case(
        lines(b'{"a": ' + b"[" * 100 + b"\n" + b" [" * 200_000), (2, 2, "$"), NO_JSON
    ),
    "a line that ends in blanks": Case(
        b'{"response":}' + b" " * 65_000 + b"x\n" + lines(), (1, 1, "$"), NO_JSON
    ),
    # Text
    "bytes that are no UTF-8": Case(
        lines(raw(b'"\xff\xfe\xc3"')), (2, 2, "$"), "not valid UTF-8 (column "
    ),
    "a byte that is no UTF-8 behind a backslash": Case(
        lines(raw(b'"\\\xff"')), (2, 2, "$"), "not valid UTF-8 (column "
    ),
    "a field of no name in UTF-8": Case(
        lines(line("b", new=1).replace(b'"new"', b'"n\xff"')), (2, 2, "$"), "not valid UTF-8"
    ),
    "NUL in a text": Case(lines(raw(b'"a\0b"')), (2, 2, "$"), NO_JSON + "Invalid control"),
    "NUL, escaped": Case(lines(raw(b'"a\\u0000b"')), None, keys="abc"),
    "a hole of zeros": Case(lines(bytes(100_000)), (2, 2, "$"), "no answer: NUL bytes"),
    "half of a surrogate pair": Case(
        lines(raw(b'"\\ud800"')), (2, 2, f"{POINT}.notes"), "the text holds half of a surrogate"
    ),
    "half of a surrogate pair in UTF-16": Case(
        b"\xff\xfe" + lines(raw(b'"@"')).decode().encode("utf-16-le").replace(b"@\0", b"\0\xd8"),
        (2, 2, "$"),
        NO_JSON,
    ),
    **{
        f"in {encoding}": Case(lines(line("b")).decode().encode(encoding), None, keys="abc")
        for encoding in ("utf-8-sig", "utf-16", "utf-16-le", "utf-16-be", "utf-32", "utf-32-be")
    },
    # Size
    "a record beyond the limit": Case(lines(raw(b'"' + b"x" * 3 * MB + b'"')), (2, 2, "$"), "a re"),
    "zeros beyond the limit": Case(lines(bytes(3 * MB)), (2, 2, "$"), "a record of 3,145,728 b"),
    "line breaks beyond the limit": Case(lines(b"\n" * 3 * MB), None),
    "blanks beyond the limit": Case(lines(b" " * 3 * MB), (2, 2, "$"), "a record of 3,145,728 b"),
}


@pytest.mark.parametrize("name", CASES)
def test_what_is_hostile_costs_itself_and_no_more(name: str) -> None:
    case = CASES[name]
    r = ra.load(case.data, max_record_bytes=2 * MB)
    assert_adds_up(r)
    assert "".join(r.points["redemption_id"]) == case.keys
    if case.place is None:
        assert r.rejects.empty
        return
    first = r.rejects.iloc[0]
    assert (first["record"], first["line"], first["path"]) == case.place
    assert first["reason"].startswith(case.reason)


# Very many


def seconds_to_read(one: bytes, count: int) -> float:
    """Measure how long it takes to read one thing so many times between two answers."""
    block = Block("json", lines(*[one] * count), 1, lines=True)
    start = time.process_time()
    read = Reader().read(block)
    seconds = time.process_time() - start
    assert [reject.line for reject in read.rejects] == [*range(2, count + 2)]
    return seconds


@pytest.mark.parametrize(
    ("one", "few"), [(b'{"a": 1}', 2000), (b"[1]", 2000), (b"oops" + b" " * 4000 + b".", 60)]
)
def test_foreign_lines_take_no_longer_each_where_there_are_many(one: bytes, few: int) -> None:
    least = min(seconds_to_read(one, few) for _ in range(3))
    most = min(seconds_to_read(one, 8 * few) for _ in range(2))
    assert most < 8 * 3 * least


def test_a_value_may_go_on_in_other_lines_however_long_it_is() -> None:
    long = json.dumps(answer("b", redemption_purpose="y" * 5 * MB), indent=1).encode()
    read = Reader().read(Block("json", lines(b"oops", long, b"12"), 1, lines=True))
    assert read.records == 5
    assert [reject.record for reject in read.rejects] == [2, 4]
    assert read.tables["points"].num_rows == 3


# Records beyond the limit


def pretty(one: bytes) -> bytes:
    return json.dumps(json.loads(one), indent=1).encode()


LARGE = "x" * 300_000
FORMS: dict[str, tuple[bytes, int]] = {
    # Text, and the line of the large record in it
    "lines": (lines(line("b", notes=LARGE)), 2),
    "one after another": (line("a") + line("b", notes=LARGE) + line("c"), 1),
    "array": (b"[" + b",".join([line("a"), line("b", notes=LARGE), line("c")]) + b"]", 1),
    "array, one in a line": (
        b"[\n" + b",\n".join([line("a"), line("b", notes=LARGE), line("c")]) + b"\n]\n",
        3,
    ),
    "pretty": (b"\n".join(map(pretty, (line("a"), line("b", notes=LARGE), line("c")))), 23),
    "XML": (rooted(xml("b", f"<notes>{LARGE}</notes>")), 3),
}


@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize("packed", [False, True], ids=["plain", "packed"])
def test_a_record_beyond_the_limit_costs_itself_in_every_form(form: str, packed: bool) -> None:
    text, place = FORMS[form]
    data = gzip.compress(text) if packed else text
    r = ra.load(data, max_record_bytes=100_000)
    assert r.points["redemption_id"].tolist() == ["a", "c"]
    (reject,) = r.rejects.itertuples(index=False)
    assert (reject.record, reject.line, reject.path) == (2, place, "$")
    assert reject.reason.startswith("a record of 300,")
    assert "more than 100,000: load with max_record_bytes=300" in reject.reason
    assert len(reject.raw) < 2000
    assert_adds_up(r)
    # What the remedy says helps.
    enough = int(reject.reason.split("max_record_bytes=")[1].split()[0])
    assert ra.load(data, max_record_bytes=enough).points["redemption_id"].tolist() == [*"abc"]


@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize("size", [1000, 65_536, 1 << 22])
def test_how_a_file_is_read_does_not_change_what_is_beyond_the_limit(form: str, size: int) -> None:
    text, _ = FORMS[form]
    kind = (
        Block("xml")
        if form == "XML"
        else Block("json", lines=form.endswith("line") or form == "lines")
    )
    chunks = (text[at : at + size] for at in range(0, len(text), size))
    blocks = list(cut_blocks(kind, chunks, 100_000))
    assert [bool(block.refused) for block in blocks].count(True) == 1
    assert all(len(block.data) <= 100_000 + size for block in blocks)
    kept = b"".join(block.data for block in blocks if not block.refused)
    assert all(f'"{key}"'.encode() in kept or f">{key}<".encode() in kept for key in "ac")
    for block, after in pairwise(blocks):
        if not block.refused:
            assert after.line == block.line + block.data.count(b"\n")
    assert blocks[-1].line <= text.count(b"\n") + 1


def test_the_last_record_of_an_array_may_be_beyond_the_limit() -> None:
    text = b"[" + line("a") + b", " + line("b", notes=LARGE)
    for end, broken in ((b"]", False), (b"", True)):
        r = ra.load(text + end, max_record_bytes=100_000)
        assert r.points["redemption_id"].tolist() == ["a"]
        assert [reason.startswith("a record of") for reason in r.rejects["reason"]] == (
            [True, False] if broken else [True]
        )
        assert_adds_up(r)


@pytest.mark.parametrize("over", [0, 1])
def test_the_limit_is_exact_for_lines(over: int) -> None:
    text = lines(line("b", notes=LARGE))
    size = len(text.split(b"\n")[1])
    r = ra.load(text, max_record_bytes=size - over)
    assert len(r.points) == 3 - over


def test_payloads_have_the_limit_too(tmp_path: Path) -> None:
    payloads = [line("a"), line("b", notes=LARGE), line("c")]
    r = ra.load(payloads, max_record_bytes=100_000)
    assert r.points["redemption_id"].tolist() == ["a", "c"]
    assert r.rejects["record"].tolist() == [2]
    with pytest.raises(ra.RejectedError, match=r"payloads, record 2, \$: a record of 300,"):
        ra.load(payloads, max_record_bytes=100_000, on_error="raise")
    path = tmp_path / "x.parquet"
    pa.parquet.write_table(pa.table({"payload": payloads}), path)
    assert len(ra.load(path, max_record_bytes=100_000).rejects) == 1
    with pytest.raises(ra.UsageError, match="max_record_bytes is 1 or more, not 0"):
        ra.load(payloads, max_record_bytes=0)


def test_personal_data_of_a_record_beyond_the_limit_does_not_stay() -> None:
    r = ra.load(lines(line("b", notes=LARGE)), max_record_bytes=100_000, pii="drop")
    assert r.rejects["raw"].isna().all()


# Archives and what is packed


def gz_bomb(path: Path, before: bytes, size: int, after: bytes) -> None:
    member = gzip.compress(bytes(16 * MB))
    path.write_bytes(gzip.compress(before) + member * (size // (16 * MB)) + gzip.compress(after))


def zst_bomb(path: Path, before: bytes, size: int, after: bytes) -> None:
    with pa.CompressedOutputStream(str(path), "zstd") as stream:
        stream.write(before)
        for _ in range(size // (16 * MB)):
            stream.write(bytes(16 * MB))
        stream.write(after)


def zip_bomb(path: Path, before: bytes, size: int, after: bytes) -> None:
    with (
        zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as file,
        file.open("x.jsonl", "w", force_zip64=True) as member,
    ):
        member.write(before)
        for _ in range(size // (16 * MB)):
            member.write(bytes(16 * MB))
        member.write(after)


MEASURED = """
import json, re, sys, redemption_analytics as ra
r = ra.load(sys.argv[1], max_record_bytes=int(sys.argv[2]), threads=2)
found = r.responses["points_loaded"].tolist(), r.rejects["reason"].tolist()
# What getrusage tells begins with what the parent had.
status = open("/proc/self/status").read()
print(json.dumps([*found, int(re.search(r"VmHWM:\\s+(\\d+)", status)[1])]))
"""


@pytest.mark.slow
@pytest.mark.skipif(sys.platform != "linux", reason="memory is told in other units")
def test_a_bomb_is_refused_in_little_memory(tmp_path: Path) -> None:
    size = 256 * MB
    for bomb in (gz_bomb, zst_bomb, zip_bomb):
        path = tmp_path / f"{bomb.__name__}.json"
        bomb(path, line("a") + b"\n", size, b"\n" + line("c"))
        assert path.stat().st_size < MB
    command = [sys.executable, "-c", MEASURED, str(tmp_path), str(8 * MB)]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    points, reasons, peak = json.loads(done.stdout)
    assert points == 6 * [1]
    assert reasons == 3 * [
        f"a record of {size:,} bytes, more than {8 * MB:,}: load with max_record_bytes={size} to"
        " read it"
    ]
    # Python, pandas and Arrow alone take 160 MB; to hold one of the bombs would take 256 more.
    assert peak < 400 << 10


def test_white_space_is_not_read_for_ever(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("redemption_analytics.reading.text._BLANK_BYTES", MB)
    blanks = gzip.compress(b" " * 8 * MB)
    with pytest.raises(ra.SourceError, match="holds nothing but white space as far as it was"):
        ra.load(blanks * 100 + gzip.compress(line("a")))


def zipped(members: dict[str, bytes]) -> bytes:
    stream = io.BytesIO()
    with zipfile.ZipFile(stream, "w", zipfile.ZIP_DEFLATED) as file:
        for name, data in members.items():
            file.writestr(name, data)
    return stream.getvalue()


def test_names_of_members_lead_nowhere(tmp_path: Path) -> None:
    names = ["/etc/a.json", "../../b.json", "C:\\c.json", "x/../d.json", "e/f/../../../e.json"]
    path = tmp_path / "exports" / "names.zip"
    path.parent.mkdir()
    path.write_bytes(zipped({name: line(str(n)) for n, name in enumerate(names)}))
    before = sorted(tmp_path.rglob("*"))
    r = ra.load(path)
    assert sorted(r.points["redemption_id"]) == [*"01234"]
    assert all(source.startswith(f"{path}/") for source in r.responses["source"])
    assert sorted(tmp_path.rglob("*")) == before


def test_archives_are_opened_only_so_deep(tmp_path: Path) -> None:
    data = line("a")
    for depth in range(1, 300):
        data = zipped({"b.json" if depth == 1 else "b.zip": data})
        if depth <= archives.DEEPEST:
            assert len(ra.load(data).points) == 1
    (tmp_path / "deep.zip").write_bytes(data)
    (tmp_path / "good.json").write_bytes(line("c"))
    r = ra.load(tmp_path)
    assert r.points["redemption_id"].tolist() == ["c"]
    assert r.rejects["reason"].str.endswith("or is deep in other archives").tolist() == [True]


def test_a_damaged_archive_is_a_reject_wherever_the_damage_is(tmp_path: Path) -> None:
    (tmp_path / "a.json").write_bytes(line("a"))
    data = zipped({"b.json": line("b"), "inner.zip": zipped({"c.json": line("c")})})
    for place in range(len(data)):
        spoilt = bytearray(data)
        spoilt[place] ^= 0xA5
        (tmp_path / f"{place}.zip").write_bytes(spoilt)
    r = ra.load(tmp_path)
    assert_adds_up(r)
    assert set("abc") <= set(r.points["redemption_id"])


# Truncation


def packed_by_arrow(codec: str, data: bytes) -> bytes:
    sink = pa.BufferOutputStream()
    with pa.CompressedOutputStream(sink, codec) as stream:
        stream.write(data)
    return sink.getvalue().to_pybytes()


TWO = [line("a"), line("b")]
WHOLE: dict[str, bytes] = {
    "lines": b"\n".join(TWO) + b"\n",
    "pretty": b"\n".join(map(pretty, TWO)),
    "array": b"[" + b",\n".join(TWO) + b"]",
    "XML": b"<root>" + xml("a") + xml("b") + b"</root>",
    "gz": gzip.compress(b"\n".join(TWO)),
    "zst": packed_by_arrow("zstd", b"\n".join(TWO)),
    "zip": zipped({"x.json": b"\n".join(TWO)}),
}


@pytest.mark.parametrize("form", first_everyday(WHOLE, 2))
def test_a_file_may_break_off_at_every_byte(form: str, tmp_path: Path) -> None:
    data = WHOLE[form]
    for cut in range(len(data) + 1):
        (tmp_path / f"{cut:04}.json").write_bytes(data[:cut])
    r = ra.load(tmp_path)
    assert_adds_up(r)
    start = len(str(tmp_path)) + 1
    found = Counter(int(source[start : start + 4]) for source in r.responses["source"])
    rejected = {int(source[start : start + 4]) for source in r.rejects["source"]}
    assert found[len(data)] == 2
    assert len(data) not in rejected
    # After the first of answers that nothing holds, nothing tells that another one was to follow.
    first = {"lines": len(TWO[0]), "pretty": len(pretty(TWO[0]))}.get(form, -2)
    for cut in range(len(data)):
        assert found[cut] == 2 or cut in rejected or cut in (first, first + 1), data[:cut]


# Twice the same key, and numbers


def both(text: bytes) -> list[Any]:
    """What both roads give: of a text, and of the same read record by record."""
    found = []
    for data in (text, text + b"\nx"):
        r = ra.load(data)
        assert_adds_up(r)
        found.append(
            [r.points.drop(columns="redemption_key"), len(r.rejects) - data.endswith(b"x")]
        )
    assert found[0][0].equals(found[1][0])
    assert found[0][1] == found[1][1]
    return found[0]


@pytest.mark.parametrize(
    ("once", "twice"),
    [
        (b'"points_redeemed": 1', b'"points_redeemed": 2, "points_redeemed": 1'),
        (b'"points_redeemed": 1', b'"points_redeemed": "x", "points_redeemed": 1'),
        (b'"mobile": "1"', b'"mobile": "2", "mobile": "1"'),
        (b'"notes": "x"', b'"notes": "y", "notes": null'),
    ],
)
def test_a_key_that_comes_twice_refuses_what_holds_it_on_both_roads(
    once: bytes, twice: bytes
) -> None:
    text = line("a")
    assert once in text
    points, rejects = both(text.replace(once, twice))
    assert (len(points), rejects) == (0, 1)


NUMERIC: dict[str, Callable[[str], bytes]] = {
    **{
        name: lambda written, name=name: raw(written.encode(), field=name)
        for name in ("id", "program_id", "points_redeemed", "bill_id")
    },
    "reversal_id": lambda w: line(
        "b", reversals=[{"reversal_id": "@", "points_reversed": 1}]
    ).replace(b'"@"', w.encode()),
    "points_reversed": lambda w: line(
        "b", reversals=[{"reversal_id": 1, "points_reversed": "@"}]
    ).replace(b'"@"', w.encode()),
    "points_consumed": lambda w: line(
        "b", redemption_breakup_by_source=[{"points_consumed": "@"}]
    ).replace(b'"@"', w.encode()),
    "rows": lambda w: line("b").replace(b'"mobile"', b'"rows": %b, "mobile"' % w.encode()),
    "discount_value": lambda w: line("b").replace(
        b'{"points"',
        b'{"coupons": {"coupon": {"id": 1, "discount_value": %b}}, "points"' % w.encode(),
    ),
}
NO_NUMBERS = ["NaN", "Infinity", "-Infinity", "1e400", "-1e400", "9" * 40, "1" + "0" * 5000]


@pytest.mark.parametrize("written", NO_NUMBERS, ids=lambda written: written[:10])
def test_what_is_no_number_of_this_world_refuses_its_element_on_both_roads(written: str) -> None:
    text = lines(*(write(written) for write in NUMERIC.values()))
    points, rejects = both(text)
    assert rejects == len(NUMERIC)
    assert {"a", "c"} <= set(points["redemption_id"])
    found = ra.load(text).rejects
    assert found["record"].tolist() == found["line"].tolist() == [*range(2, 2 + len(NUMERIC))]
    assert found["path"].str.split(".").str[-1].tolist() == list(NUMERIC)
    assert found["reason"].str.contains("is no number$|is too large").all()


@pytest.mark.parametrize("value", ["9223372036854775808", "-9223372036854775809"])
@pytest.mark.parametrize("field", ["id", "program_id", "bill_id"])
def test_an_integer_beyond_64_bits_refuses_its_element_on_both_roads(
    field: str, value: str
) -> None:
    text = lines(raw(value.encode(), field=field))
    assert both(text)[1] == 1
    assert ra.load(text).rejects["reason"].tolist() == [f"{value} does not fit 64 bits"]


@pytest.mark.parametrize("field", ["notes", "points_redeemed", "redeemed_time", "new"])
@pytest.mark.parametrize("wrapped", [False, True])
def test_decoded_integers_may_have_any_number_of_digits(field: str, wrapped: bool) -> None:
    value = [10**5000] if wrapped else 10**5000
    r = ra.load([answer("a"), answer("b", **{field: value})])
    assert_adds_up(r)
    fits = field == "new" or (field == "notes" and not wrapped)
    assert len(r.points) == 1 + fits


# Files that cannot be read, and what is no file


def test_files_that_vanish_after_they_were_found_are_rejects(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for key in "abc":
        (tmp_path / f"{key}.json").write_bytes(line(key))
    found = find.find_exports(tmp_path)
    (tmp_path / "b.json").unlink()
    monkeypatch.setattr("redemption_analytics.loading.loading.find_exports", lambda *_, **__: found)
    r = ra.load(tmp_path)
    assert r.points["redemption_id"].tolist() == ["a", "c"]
    assert r.rejects["reason"].tolist() == ["the file cannot be read: No such file or directory"]
    assert_adds_up(r)


def test_a_file_that_may_not_be_read_is_a_reject(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for key in "abc":
        (tmp_path / f"{key}.json").write_bytes(line(key))

    def refusing(path: Any, *args: Any, real: Any = builtins.open, **options: Any) -> Any:
        if str(path).endswith("b.json"):
            raise PermissionError(13, "Permission denied", str(path))
        return real(path, *args, **options)

    monkeypatch.setattr(builtins, "open", refusing)
    r = ra.load(tmp_path)
    assert r.points["redemption_id"].tolist() == ["a", "c"]
    assert r.rejects["reason"].tolist() == ["the file cannot be read: Permission denied"]


@pytest.mark.skipif(sys.platform == "win32", reason="no FIFOs here")
def test_a_directory_with_all_that_a_directory_may_hold(tmp_path: Path) -> None:
    folder = tmp_path / "exports"
    folder.mkdir()
    (folder / "a.json").write_bytes(line("a"))
    (folder / "table.csv").write_text("a,b\n1,2\n")
    (folder / "picture.png").write_bytes(b"\x89PNG\r\n\x1a\n" + bytes(range(256)))
    (folder / ".hidden.json").write_bytes(line("hidden"))
    (folder / "error.json").write_text("<!DOCTYPE html><html><body>502 Bad Gateway</body></html>")
    os.mkfifo(folder / "fifo.json")
    (folder / "round").symlink_to(folder)
    (folder / "itself.json").symlink_to("itself.json")
    (folder / "device.json").symlink_to("/dev/zero")
    with socket.socket(socket.AF_UNIX) as bound:
        os.chdir(folder) if len(str(folder)) > 90 else None
        bound.bind(str(folder / "s.json") if len(str(folder)) <= 90 else "s.json")
        r = ra.load(folder)
        with pytest.raises(ra.SourceError, match=r"s\.json: the file cannot be read: "):
            ra.load(folder / "s.json")
    assert r.points["redemption_id"].tolist() == ["a"]
    assert dict(zip(r.rejects["source"], r.rejects["reason"], strict=True)) == {
        str(folder / "error.json"): (
            "the file is an HTML page, as servers send in place of answers: ask for them again"
        ),
        str(folder / "itself.json"): "the file cannot be read: Too many levels of symbolic links",
    }


@pytest.mark.skipif(not Path("/dev/zero").is_char_device(), reason="no devices here")
@pytest.mark.parametrize("device", ["/dev/zero", "/dev/null"])
def test_a_device_is_no_source(device: str) -> None:
    with pytest.raises(ra.SourceError, match=f"{device} is a device, which may have no end"):
        ra.load(device)


class OnlyRead(io.RawIOBase):
    """A pipe: it can be read once, and not be gone back in."""

    def __init__(self, data: bytes):
        self._stream = io.BytesIO(data)

    def read(self, size: int = -1, /) -> bytes:
        return self._stream.read(size)

    def readable(self) -> bool:
        return True


def test_of_a_pipe_only_so_much_is_held_in_memory(monkeypatch: pytest.MonkeyPatch) -> None:
    held: list[int] = []
    real = streams.Spool.rollover
    monkeypatch.setattr(streams, "SPOOLED_BYTES", 50_000)
    monkeypatch.setattr(
        streams.Spool, "rollover", lambda self: (held.append(self.tell()), real(self))
    )
    r = ra.load(OnlyRead(lines(line("b", notes="x" * 100_000))))
    assert r.points["redemption_id"].tolist() == ["a", "b", "c"]
    assert held


# Answers of other APIs

CUSTOMER = {"mobile": "447", "email": "a@example.com", "item_status": {"success": "true"}}
GET = CUSTOMER | {"lifetime_points": 100, "registered_on": "2020-01-01 00:00:00"}
OK: dict[str, Any] = {"success": "true", "code": 200, "message": "SUCCESS"}
NOT_OURS = "not an answer of this API: "
FOREIGN: dict[str, tuple[Any, str, str]] = {
    # Answer, path and reason
    "customer/get": (
        {"response": {"status": OK, "customers": {"customer": [GET]}}},
        "$.response.customers.customer[0]",
        NOT_OURS + "no redemptions, but other fields: lifetime_points, registered_on",
    ),
    "customer/get of one": (
        {"response": {"status": OK | {"success": True}, "customer": GET}},
        "$.response.customer",
        NOT_OURS + "no redemptions, but other fields: lifetime_points, registered_on",
    ),
    "customer/get of several": (
        {"response": {"status": OK, "customer": [GET]}},
        "$.response.customer[0]",
        NOT_OURS + "no redemptions, but other fields: lifetime_points, registered_on",
    ),
    "transactions of a customer": (
        {"response": {"status": OK, "customer": {"mobile": "1", "transactions": {"a": [1]}}}},
        "$.response.customer",
        NOT_OURS + "no redemptions, but other fields: transactions",
    ),
    "transactions": (
        {"response": {"status": OK, "transactions": {"transaction": [{"id": 1}]}}},
        "$",
        NOT_OURS + "no customer, but other fields: transactions",
    ),
    "numbers": ([1, 2, 3], "$", NOT_OURS + "the record is no object"),
    "a Swagger document": (
        {"swagger": "2.0", "paths": {"/x": {"get": {"response": {"status": {}}}}}},
        "$",
        NOT_OURS + 'it has no object "response"',
    ),
    "an empty response": ({"response": {}}, "$", NOT_OURS + 'neither "status" nor "customer"'),
}


@pytest.mark.parametrize(
    ("name", "how"),
    [
        (name, how)
        for name, (foreign, *_) in FOREIGN.items()
        for how in ("a line among others", "decoded", "a file of its own")
        # A list is no payload, but many.
        if isinstance(foreign, dict) or how != "decoded"
    ],
)
def test_an_answer_of_another_api_is_not_taken_for_an_empty_one(
    name: str, how: str, tmp_path: Path
) -> None:
    foreign, path, reason = FOREIGN[name]
    text = json.dumps(foreign).encode()
    if how == "decoded":
        r = ra.load([answer("a"), foreign, answer("c")])
    elif how == "a line among others":
        r = ra.load(lines(text))
    else:
        (tmp_path / "good.jsonl").write_bytes(lines())
        (tmp_path / "other.json").write_bytes(text)
        r = ra.load(tmp_path)
    assert r.points["redemption_id"].tolist() == ["a", "c"]
    assert len(r.responses) == 2
    assert_adds_up(r)
    (reject,) = r.rejects.itertuples(index=False)
    if not (name == "numbers" and how == "a file of its own"):
        assert (reject.path, reject.reason) == (path, reason)


@pytest.mark.parametrize(
    "customer",
    [
        CUSTOMER,
        {"mobile": "447", "rows": 0, "tier": "gold"},
        {"mobile": "447", "redemptions": "", "tier": "gold"},
        {"mobile": "447", "coupons_start_id": "", "tier": "gold"},
        {"mobile": "447", "item_status": {"success": "false", "code": 1012}, "tier": "gold"},
    ],
)
def test_a_customer_without_redemptions_stays_one(customer: dict[str, Any]) -> None:
    for success in ("true", True):
        r = ra.load(
            lines(
                json.dumps(
                    {"response": {"status": {"success": success}, "customer": customer}}
                ).encode()
            )
        )
        assert len(r.responses) == 3
        assert r.rejects.empty


@pytest.mark.parametrize("success", ["false", False])
def test_a_failed_answer_may_hold_anything(success: Any) -> None:
    status = {"success": success, "code": 500}
    for answered in ({"customer": {"mobile": "1", "x": 1}}, {"x": 1}, {}):
        r = ra.load(lines(json.dumps({"response": {"status": status, **answered}}).encode()))
        assert len(r.responses) == 3
        assert r.rejects.empty
