"""What is true of every export, of some that are drawn anew each time: see ``fuzzing``."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from fuzzing.answers import RIGHT_ANSWERS
from fuzzing.invariants import FINE, Case, assert_forms_agree, check
from fuzzing.targets import TARGETS
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st
from payloads import TIMES

CORPUS = sorted(path for path in (Path(__file__).parent / "fuzzing" / "corpus").iterdir())


def drawn(examples: int) -> settings:
    return settings(
        deadline=None,
        suppress_health_check=list(HealthCheck),
        max_examples=examples * TIMES,
        report_multiple_bugs=False,
        # Others are drawn at length: a run of the tests must not fail by chance.
        derandomize=True,
        # To make a case small takes minutes: that is for fuzzing at length.
        phases=[Phase.generate],
    )


@pytest.mark.parametrize("target", TARGETS)
def test_invariants_hold(target: str) -> None:
    drawn(4)(given(TARGETS[target])(check))()


@given(st.lists(RIGHT_ANSWERS, min_size=1, max_size=3), st.sampled_from(["int", "decimal"]))
@drawn(4)
def test_answers_mean_the_same_in_every_form(records: list[Any], points: str) -> None:
    assert_forms_agree(records, points)


@pytest.mark.parametrize("path", CORPUS, ids=lambda path: path.name)
def test_what_broke_something_once_does_not_any_more(path: Path) -> None:
    case = Case((path.read_bytes(),))
    for points, fine in zip(("int", "decimal", "int"), FINE, strict=True):
        check(replace(case, points=points, fine=fine))
