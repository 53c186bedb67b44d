"""The native reader under sanitizers: some seconds here, more in CI."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest
from fuzzing.native import run
from payloads import TIMES
from requirements_of_ci import needed

pytestmark = pytest.mark.slow


def test_no_input_breaks_the_native_reader(tmp_path: Path) -> None:
    needed("clang", run.clang() is not None, run.LACKS)
    assert run.run(3 * TIMES, tmp_path) > 500


def test_the_sanitizers_see_a_read_beyond_the_input(tmp_path: Path) -> None:
    needed("clang", run.clang() is not None, run.LACKS)
    sources = tmp_path / "src"
    sources.mkdir()
    for path in run.SOURCES.glob("*.?pp"):
        (sources / path.name).write_bytes(path.read_bytes())
    reader = sources / "reader.cpp"
    reads = "    result->input_size = size;\n"
    assert reads in reader.read_text()
    reader.write_text(reader.read_text().replace(reads, reads + "    limit += !data[size] & 1;\n"))
    run.build(tmp_path / "target", sources, "-O0")
    run.prepare(tmp_path, [b"\0\0\0{}"])
    done = subprocess.run(
        [tmp_path / "target", *(tmp_path / "seeds").iterdir()],
        env={"READER_DECLARATIONS": str(tmp_path / "declarations")},
        capture_output=True,
        check=False,
    )
    assert b"heap-buffer-overflow" in done.stderr
