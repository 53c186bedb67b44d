"""Which of several like cases are tried every day: the rest is slow, and tried by `.ci/run`."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import pytest


def first_everyday(cases: Iterable[Any], everyday: int = 1) -> list[Any]:
    """Mark all cases but the first as slow, which may be tuples of several arguments."""
    return [
        case
        if place < everyday
        else pytest.param(*(case if isinstance(case, tuple) else (case,)), marks=pytest.mark.slow)
        for place, case in enumerate(cases)
    ]
