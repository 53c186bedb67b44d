"""Cutting exports into blocks: wherever the cuts fall, the records are the same."""

from __future__ import annotations

import codecs
import io
import json
import time
from collections.abc import Callable
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from forms import FORMS, NOW, answers_of, compact, read, wrapped
from hypothesis import example, given, settings
from hypothesis import strategies as st
from oracle.records import read_records

from redemption_analytics.reading.blocks import Block, Fault
from redemption_analytics.reading.files import read_blocks
from redemption_analytics.sources.export import Export
from redemption_analytics.sources.find import find_exports


def values(data: bytes, size: int = 4 << 20) -> list[Any]:
    records, faults = read(data, size)
    assert not faults
    return [value for _, value, _, _ in records]


@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16", "utf-16-le", "utf-16-be"])
def test_every_form_holds_the_same_records(form: str, encoding: str) -> None:
    answers = answers_of(5)
    found = values(FORMS[form](answers).encode(encoding), size=1000)
    if form.startswith("XML"):
        whole = [json.loads(compact(value), parse_int=str) for value in found]
        assert [_told(value) for value in whole] == [_told(a) for a in answers] * (
            2 if form == "XML documents" else 1
        )
    elif form.startswith("wrapped"):
        assert found == wrapped(answers)
    else:
        assert found == answers * (3 if form == "arrays" else 1)


def _told(answer: dict[str, Any]) -> tuple[str, str]:
    customer = answer["response"]["customer"]
    return str(customer["rows"]), customer["lastname"]


@pytest.mark.parametrize("form", FORMS)
def test_blocks_of_one_byte(form: str) -> None:
    data = FORMS[form](answers_of(7, customers=2)).encode()
    assert read(data, 1) == read(data)


@st.composite
def damages(draw: st.DrawFn) -> Callable[[bytes], bytes]:
    """A text cut short, or in which something is missing, added, or repeated."""
    kind = draw(st.sampled_from(["whole", "cut", "gap", "extra", "again"]))
    at, to = draw(st.floats(0, 1)), draw(st.floats(0, 1))
    extra = draw(st.sampled_from([b"{", b"}", b'"', b"]", b"\n", b"<", b"null,", b'{"response":']))

    def damage(data: bytes) -> bytes:
        here, there = int(at * len(data)), int(to * len(data))
        return {
            "whole": data,
            "cut": data[:here],
            "gap": data[:here] + data[here + 1 + there // 50 :],
            "extra": data[:here] + extra + data[here:],
            "again": data[:here] + data[there:],
        }[kind]

    return damage


@settings(max_examples=300, deadline=None)
@given(
    form=st.sampled_from(sorted(FORMS)),
    seed=st.integers(0, 50),
    edition=st.sampled_from(["2018", "2020", "2025-12"]),
    encoding=st.sampled_from(["utf-8", "utf-8", "utf-16"]),
    damage=damages(),
    size=st.integers(20, 20_000),
)
def test_the_size_of_blocks_does_not_matter(
    form: str,
    seed: int,
    edition: str,
    encoding: str,
    damage: Callable[[bytes], bytes],
    size: int,
) -> None:
    data = damage(FORMS[form](answers_of(seed, edition=edition)).encode(encoding))
    assert read(data, size) == read(data)


def test_blocks_are_about_as_large_as_was_asked_for() -> None:
    answers = answers_of(3, customers=60)
    for form, write in FORMS.items():
        data = write(answers).encode()
        blocks = list(read_blocks(Export("x", NOW, open=lambda d=data: io.BytesIO(d)), 20_000))
        largest = max(len(block.data) for block in blocks if isinstance(block, Block))
        # Where nothing tells where records start, they stay together.
        assert largest < 40_000 or form in ("wrapped array",), form
    assert len(list(read_blocks(Export("x", NOW, payloads=answers), 1))) == len(answers)


def test_a_first_record_that_is_no_answer_changes_nothing() -> None:
    answers = answers_of(3, customers=9)
    for first in ('{"message":"Timeout"}', "null", '{"a":[{"a":1},{"a":2}]}', '["x"]'):
        for joined in (
            "\n".join([first, *map(compact, answers)]),
            f"[{','.join([first, *map(compact, answers)])}]",
            f"[{first}," + json.dumps(answers, indent=1)[1:],
        ):
            assert [v for v in values(joined.encode(), 800) if v in answers] == answers, joined[:40]


def test_line_numbers_are_those_of_the_file() -> None:
    answers = answers_of(2, customers=4)
    for form, write in FORMS.items():
        text = write(answers)
        lines = text.split("\n")
        for line, _, _, _ in read(text.encode(), 700)[0]:
            assert "{" in lines[line - 1] or "<response" in lines[line - 1], form


@pytest.mark.parametrize(
    "text",
    [
        '{"response": {"x": "' + 30 * "a {b: 1}, {" + '"}}',
        '{"response": {"response": {"x": 1}, "list": [{"x": {"response": 2}}]}}',
        '{"response": {"x": "\\"}, {\\"response\\": 1"}}',
        '{"response":' + 3000 * " " + '{"x": 1}}',
        "{" + 3000 * " " + '"response": {"x": 1}}',
    ],
    ids=["braces in text", "a field of that name", "escaped", "a long way after", "before"],
)
def test_what_only_looks_like_the_start_of_a_record(text: str) -> None:
    for data in (text + text, text + "\n" + text, f"[{text},{text}]"):
        for size in (1, 50, 10_000):
            assert values(data.encode(), size) == 2 * [json.loads(text)]


@pytest.mark.parametrize("form", ["json", "xml"])
def test_a_record_much_larger_than_a_block_is_searched_once(form: str) -> None:
    text = 40_000_000 * "x"
    data = {
        "json": f'{{"response": {{"x": "{text}"}}}}\n',
        "xml": f"<response><x>{text}</x></response>\n",
    }[form].encode()
    started = time.process_time()
    blocks = list(read_blocks(Export("x", NOW, open=lambda: io.BytesIO(2 * data)), 1 << 16))
    assert [len(block.data) for block in blocks if isinstance(block, Block)] == 2 * [len(data)]
    # Searched or copied anew for each chunk, it would take a minute.
    assert time.process_time() - started < 2


@pytest.mark.parametrize("spread", [False, True])
def test_many_rejects_in_one_record_take_no_longer_for_its_size(spread: bool) -> None:
    count = 3000
    answer = {"response": {"list": [{"id": n, "text": 1000 * "x"} for n in range(count)]}}
    data = json.dumps(answer, indent=1 if spread else None).encode()
    (record,) = read_records(Block("json", data, 1))
    started = time.process_time()
    for n in range(count):
        at = ("response", "list", n)
        assert json.loads(record.text_of(at, None))["id"] == n
        assert record.line_of((*at, "text")) == (1 + 2 + 4 * n + 3 if spread else 1)
    assert time.process_time() - started < 5


def texts(kind: pa.DataType, payloads: list[str | None]) -> Export:
    column = pa.array(payloads, pa.string()).cast(kind)
    sink = io.BytesIO()
    pq.write_table(pa.table({"n": range(len(payloads)), "payload": column}), sink)
    return Export("x.parquet", NOW, open=lambda: io.BytesIO(sink.getvalue()))


@example(0)
@example(1)
@given(st.integers(0, 5000))
@settings(max_examples=10, deadline=None)
def test_payloads_in_batches_of_any_size(size: int) -> None:
    answers = answers_of(4, customers=6)
    kinds: list[Any] = [
        answers[0],
        compact(answers[1]).encode(),
        json.dumps(answers[2], indent=1).encode(),
        codecs.BOM_UTF8 + compact(answers[3]).encode() + b"\n",
        compact(answers[4]).encode("utf-16"),
        bytearray(compact(answers[5]).encode()),
    ]
    (export,) = find_exports(iter(kinds))
    found = [record for block in read_blocks(export, size) for record in read_records(block)]
    assert [record.value for record in found] == answers
    assert {record.line for record in found} == {None}


def test_a_damaged_payload_costs_only_itself() -> None:
    answers = [compact(answer).encode() for answer in answers_of(4, customers=4)]
    payloads = [
        answers[0][:300],
        answers[1],
        b'{"message":',
        b'["x"]',
        b"",
        answers[2],
        b"nonsense",
    ]
    (export,) = find_exports(payloads)
    (block,) = read_blocks(export)
    records = list(read_records(block))
    assert [record.error is None for record in records] == [False, True, False, True, True, False]
    assert [record.text for record in records if record.error] == [
        payloads[0].decode(),
        '{"message":',
        "nonsense",
    ]


@pytest.mark.parametrize("kind", [pa.string(), pa.large_string(), pa.binary(), pa.large_binary()])
def test_a_column_of_payloads(kind: pa.DataType) -> None:
    answers = answers_of(6, customers=5)
    rows = [compact(a) for a in answers]
    export = texts(kind, [rows[0], None, *rows[1:]])
    for size in (1, 4 << 20):
        found = [r.value for block in read_blocks(export, size) for r in read_records(block)]
        assert found == answers


@pytest.mark.parametrize(
    ("table", "reason"),
    [
        ({"text": ["{}"], "n": [1]}, 'has no column "payload" of payload texts, but text, n'),
        ({"payload": [1, 2]}, 'has a column "payload" of int64, no text'),
    ],
)
def test_parquet_that_holds_no_payloads(table: dict[str, Any], reason: str) -> None:
    sink = io.BytesIO()
    pq.write_table(pa.table(table), sink)
    export = Export("x.parquet", NOW, open=lambda: io.BytesIO(sink.getvalue()))
    assert list(read_blocks(export)) == [Fault(reason)]


def test_of_a_parquet_file_with_damage_all_other_row_groups_are_read() -> None:
    answers = [compact(answer) for answer in answers_of(6, customers=6)]
    sink = io.BytesIO()
    # Neither packed nor as a dictionary, so that the text stands there as it is.
    plain: dict[str, Any] = {"compression": "none", "use_dictionary": False}
    pq.write_table(pa.table({"payload": answers}), sink, row_group_size=1, **plain)
    data = bytearray(sink.getvalue())
    at = data.index(answers[4].encode()) - 4
    data[at : at + 4] = b"\xff\xff\xff\x7f"
    *blocks, fault = read_blocks(Export("x.parquet", NOW, open=lambda: io.BytesIO(data)))
    found = [r.value for block in blocks if isinstance(block, Block) for r in read_records(block)]
    assert found == [json.loads(answer) for answer in answers[:4] + answers[5:]]
    assert isinstance(fault, Fault)
    assert fault.reason.startswith("cannot be read in row group 4: ")
