"""The reader's instructions can be counted, and hardly depend on anything but the reader."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest
from requirements_of_ci import needed

from benchmarks.data import DATA
from benchmarks.instructions import exports, instructions

pytestmark = pytest.mark.slow


def test_twice_as_much_takes_twice_as_many_instructions(tmp_path: Path) -> None:
    needed("valgrind", shutil.which("valgrind") is not None, "needs valgrind")
    text = exports(tmp_path, DATA["own"], 0.2)["JSON Lines"].read_bytes()
    counts = []
    for times in (1, 2):
        path = tmp_path / f"{times}.jsonl"
        path.write_bytes(text * times)
        counts.append(instructions(path, 2))
    assert 1.7 < counts[1] / counts[0] < 2.1
    assert counts[0] / len(text) < 100
