"""What is said to occur once does, whatever the values; where nothing is known, nothing is said."""

from __future__ import annotations

from collections import defaultdict

import pyarrow as pa
from hypothesis import given, settings
from hypothesis import strategies as st

from redemption_analytics.merging.repeats import Repeats
from redemption_analytics.parsing.digests import NOTHING, numbers_of

#: Few values, so that many are equal.
TEXTS = st.lists(st.one_of(st.none(), st.text("ab", max_size=3)), max_size=12)
PAIRS = st.lists(st.tuples(st.sampled_from([None, "", "a", "b"]), st.sampled_from("xyz")))


def noted(pairs: list[tuple[object, object]], batch: int = 3, most_rows: int = 99) -> Repeats:
    found = Repeats({"t": ["one", "other"]}, most_rows)
    for start in range(0, max(1, len(pairs)), batch):
        part = pairs[start : start + batch]
        kind = pa.int64() if any(isinstance(one, int) for one, _ in pairs) else pa.string()
        one = pa.array([pair[0] for pair in part], kind)
        other = pa.array([pair[1] for pair in part], pa.string())
        found.add("t", pa.table({"one": one, "other": other}))
    return found


@given(TEXTS)
@settings(deadline=None)
def test_texts_that_all_differ_are_found_to(values: list[str | None]) -> None:
    once = None not in values and len(set(values)) == len(values)
    assert noted([(value, "x") for value in values]).none("t", "one") == once


@given(st.lists(st.integers(-3, 3) | st.integers(-(2**63), 2**63 - 1), max_size=8))
@settings(deadline=None)
def test_numbers_said_to_differ_do(values: list[int]) -> None:
    if noted([(value, "x") for value in values]).none("t", "one"):
        assert len(set(values)) == len(values)
    elif 0 not in values:
        assert len(set(values)) < len(values)


@given(PAIRS)
@settings(deadline=None)
def test_a_value_beside_two_others_is_found(pairs: list[tuple[str | None, str]]) -> None:
    beside = defaultdict(set)
    for one, other in pairs:
        if one is not None:
            beside[one].add(other)
    several = any(len(others) > 1 for others in beside.values())
    assert noted(pairs).none_of_two("t", "one", "other") != several


def test_of_more_rows_than_are_held_nothing_is_known() -> None:
    found = noted([(str(number), "x") for number in range(9)], most_rows=4)
    assert not found.none("t", "one")
    assert not found.none_of_two("t", "one", "other")


def test_of_columns_that_were_not_noted_nothing_is_known() -> None:
    assert Repeats({}).none("t", "one") is False


@given(st.lists(st.text(max_size=40), unique=True, max_size=30), st.integers(0, 2))
@settings(deadline=None)
def test_equal_texts_have_equal_numbers_and_others_do_not(texts: list[str], before: int) -> None:
    column = pa.chunked_array([["before"] * before + texts, [None, *texts]], pa.string())
    numbers = numbers_of(column.slice(before)).tolist()
    assert numbers[: len(texts)] == numbers[len(texts) + 1 :]
    assert len(set(numbers)) == len(texts) + 1
    assert numbers[len(texts)] == NOTHING
