"""Digests are those of hashlib, wherever in a column the texts lie."""

from __future__ import annotations

import hashlib

import pyarrow as pa
from hypothesis import given, settings
from hypothesis import strategies as st

from redemption_analytics.parsing.digests import digests_of


def plain(text: str) -> str:
    return hashlib.blake2b(text.encode(), digest_size=16).hexdigest()


@given(st.lists(st.text(max_size=300), max_size=20), st.integers(0, 3))
@settings(deadline=None)
def test_a_digest_is_that_of_hashlib(texts: list[str], before: int) -> None:
    column = pa.array(["before"] * before + texts, pa.string())[before:]
    assert digests_of(column).to_pylist() == [plain(text) for text in texts]


def test_texts_of_whole_blocks_and_of_one_more_byte() -> None:
    texts = ["x" * size for size in (0, 1, 127, 128, 129, 255, 256, 257, 10_000)]
    assert digests_of(pa.array(texts)).to_pylist() == [plain(text) for text in texts]
