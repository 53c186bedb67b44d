"""The benchmark: it runs as a whole, its tables appear, and everybody makes the same tables."""

from __future__ import annotations

import doctest
import subprocess
import sys
from pathlib import Path

import pytest
from requirements_of_ci import needed

from benchmarks import tables, work
from benchmarks.comparisons import disagree
from benchmarks.contenders import CONTENDERS
from benchmarks.data import clean_export, shaped
from benchmarks.measuring import ContenderError, measured
from benchmarks.tables import Table
from benchmarks.work import differences

ROOT = Path(__file__).parent.parent


@pytest.fixture(scope="module")
def printed(tmp_path_factory: pytest.TempPathFactory) -> str:
    directory = tmp_path_factory.mktemp("benchmarks")
    options = "--megabytes 1 --rounds 1 --growth-factors 2 --shapes gz --markdown"
    done = subprocess.run(
        [sys.executable, "-m", "benchmarks", *options.split(), "--directory", str(directory)],
        cwd=ROOT,
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def rows(printed: str, title: str) -> dict[str, list[str]]:
    """The rows of a Markdown table, by their first cell."""
    part = printed.partition(f"**{title}")[2].partition("\n\n")[2].partition("\n\n")[0]
    cells = (line.strip("|").split("|") for line in part.splitlines())
    return {first.strip(): [cell.strip() for cell in rest] for first, *rest in cells}


@pytest.mark.parametrize("name", CONTENDERS)
def test_each_contender_is_in_the_table_of_peers(printed: str, name: str) -> None:
    if why := CONTENDERS[name].missing:
        assert f"Left out: {name}, since {why}." in printed
        needed("peers", False, why)
    seconds, *_, does = rows(printed, "1 MB of JSON Lines")[name]
    assert float(seconds) >= 0
    assert does == CONTENDERS[name].does


def test_everybody_makes_the_same_tables(printed: str) -> None:
    parsers = ("simdjson", "orjson")  # these make none
    there = [n for n, c in CONTENDERS.items() if n not in parsers and not c.missing]
    assert f"\n{', '.join(there)} agree on 18 numbers: 1,423 redemptions of " in printed


def test_the_other_tables_are_there(printed: str) -> None:
    assert "convert 2x" in rows(printed, "Growth")
    assert {"one clean file", ".gz"} <= rows(printed, "Shapes").keys()
    assert "import redemption_analytics" in rows(printed, "Imports")


def test_the_first_line_says_what_it_was_measured_on(printed: str) -> None:
    first = printed.splitlines()[0]
    assert "cores" in first
    assert f"Python {sys.version.split()[0]}" in first
    assert all(c.version in first for c in CONTENDERS.values() if not c.missing)


def test_who_does_less_is_found_out() -> None:
    mine = {"points: rows": 3, "points: sum of points_redeemed": 70}
    assert differences(mine, mine) == []
    assert differences(mine, {"points: rows": 3}) == [
        "points: sum of points_redeemed is None, not 70"
    ]
    assert disagree([Table("", (), notes=["DISAGREES with convert: dlt: rows is 2, not 3"])])
    assert not disagree([Table("", (), notes=["Medians."])])


def test_a_contender_that_fails_says_why(tmp_path: Path) -> None:
    nowhere = tmp_path / "folder" / "nowhere.jsonl"
    with pytest.raises(ContenderError, match=r"^convert failed: .*nowhere\.jsonl"):
        measured("convert", nowhere)


def test_examples_in_docstrings_hold() -> None:
    for module in (tables, work):
        assert doctest.testmod(module).failed == 0


def test_data_that_is_there_is_not_made_again(tmp_path: Path) -> None:
    export = clean_export(tmp_path, 0.05)
    small = shaped(tmp_path, export, "small-files")
    times = [path.stat().st_mtime_ns for path in (export, small)]
    assert clean_export(tmp_path, 0.05) == export
    assert shaped(tmp_path, export, "small-files") == small
    assert [path.stat().st_mtime_ns for path in (export, small)] == times
    assert [path.name for path in tmp_path.rglob("half-*")] == []
