"""Many small files are parsed in one go, and yet each row and reject names its own file."""

from __future__ import annotations

import io
import json
from collections import Counter
from typing import Any
from unittest import mock

import pytest
from answers import answer, new, old
from hypothesis import given, settings
from hypothesis import strategies as st
from pandas.testing import assert_frame_equal
from payloads import TIMES

import redemption_analytics as ra
from redemption_analytics.errors import RedemptionAnalyticsError
from redemption_analytics.flattening.flatten import Flattening
from redemption_analytics.loading.parser import Parser
from redemption_analytics.parsing import Reader
from redemption_analytics.reading import blocks

WHOLE = [
    json.dumps(answer(new("a"), new("b", id=2), coupons=[{"id": 7, "code": "c"}])),
    json.dumps(answer(old(), mobile="448"), indent=1),
    json.dumps(answer(mobile="449", success=False)),
]
DAMAGED = [
    WHOLE[0][: len(WHOLE[0]) // 2],
    WHOLE[1].replace("90", '"ten"'),
    json.dumps({"message": "Timeout"}),
    "{}",
    "",
    "no JSON",
    '{"response": {"customer": {"mobile": "447"',
    "}}",
    ', "firstname": "Ada"}}}',
]
FILES = st.lists(
    st.lists(st.sampled_from([*WHOLE, *DAMAGED]), max_size=3).map("\n".join), min_size=1, max_size=6
)


def load(*texts: str, small: int = 256 << 10) -> ra.Redemptions | str:
    """Load texts as files of their own; those not longer than ``small`` are parsed in one go."""
    files = []
    for number, text in enumerate(texts, 1):
        files.append(io.BytesIO(text.encode()))
        files[-1].name = f"2025-01-0{number}.json"
    with mock.patch.object(blocks, "_SMALL", small):
        try:
            return ra.load(files)
        except RedemptionAnalyticsError as error:
            return str(error)


def assert_same(together: ra.Redemptions | str, apart: ra.Redemptions | str) -> None:
    if isinstance(together, str) or isinstance(apart, str):
        assert together == apart
        return
    for name, frame in apart.tables.items():
        assert_frame_equal(together.tables[name], frame, obj=name)
    assert_frame_equal(together.ledger, apart.ledger)
    assert_frame_equal(together.findings, apart.findings)


@given(FILES)
@settings(max_examples=10 * TIMES, deadline=None)
def test_small_files_parsed_together_give_what_each_gives_alone(texts: list[str]) -> None:
    assert_same(load(*texts), load(*texts, small=-1))


def test_rows_name_their_file_and_their_record_in_it() -> None:
    r = load("\n".join(WHOLE), WHOLE[1], WHOLE[2])
    assert isinstance(r, ra.Redemptions)
    assert r.responses["response_id"].tolist() == [
        *(f"2025-01-01.json#{number}/1" for number in (1, 2, 3)),
        "2025-01-02.json#1/1",
        "2025-01-03.json#1/1",
    ]
    assert r.responses["exported_at"].dt.day.tolist() == [1, 1, 1, 2, 3]


def test_a_file_that_another_goes_on_with_is_not_united_with_it() -> None:
    # Put together they would be one answer.
    r = load(WHOLE[2], '{"response": {"customer": {"mobile": "1"', ', "firstname": "Ada"}}}')
    assert isinstance(r, ra.Redemptions)
    assert r.rejects["source"].tolist() == ["2025-01-02.json", "2025-01-03.json"]
    assert len(r.responses) == 1


def test_an_unknown_field_is_found_in_its_file() -> None:
    r = load(*WHOLE, json.dumps(answer(mobile="450", loyalty_tier="gold")))
    assert isinstance(r, ra.Redemptions)
    unknown = r.findings[r.findings["check"] == "unknown_fields"]
    assert unknown["example"].tolist() == ["$.response.customer.loyalty_tier in 2025-01-04.json"]


@pytest.mark.parametrize("damaged", [0, 1])
def test_small_files_are_parsed_in_one_go(damaged: int) -> None:
    calls: Counter[str] = Counter()

    def counted(*args: Any, **options: Any) -> Any:
        calls["read"] += 1
        return read(*args, **options)

    read = Reader.read
    texts = [WHOLE[0]] * 64
    texts[:damaged] = [DAMAGED[0]] * damaged
    with mock.patch.object(Reader, "read", counted):
        load(*texts)
    assert calls["read"] == 1


def test_blocks_parsed_together_are_numbered_through() -> None:
    parsed = Parser(Flattening()).parse(
        *(blocks.Block("json", text.encode()) for text in ("\n".join(WHOLE), WHOLE[0]))
    )
    assert (parsed.read.starts, parsed.read.records) == ([0, 3], 4)
