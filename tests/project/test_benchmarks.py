"""The benchmark: it runs as a whole, its tables appear, and everybody makes the same tables."""

from __future__ import annotations

import doctest
import json
import re
import subprocess
import sys
from pathlib import Path

import pandas as pd
import pytest
from requirements_of_ci import needed

import redemption_analytics as ra
from benchmarks import goals, scaling, tables, warehouse, work
from benchmarks.comparisons import Plan, compare_growth, disagree
from benchmarks.contenders import CONTENDERS
from benchmarks.contention import Contention
from benchmarks.data import DATA, NEWEST, clean_export
from benchmarks.foreign import foreign_lines
from benchmarks.goals import compare_with_goals
from benchmarks.measuring import ContenderError, measured, timed
from benchmarks.shapes import shaped
from benchmarks.tables import Table
from benchmarks.work import differences

pytestmark = pytest.mark.slow

ROOT = Path(__file__).parents[2]


def run(options: str, directory: Path) -> str:
    arguments = f"--quick --markdown {options} --directory {directory}".split()
    done = subprocess.run(
        [sys.executable, "-m", "benchmarks", *arguments], cwd=ROOT, capture_output=True, text=True
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


@pytest.fixture(scope="module")
def directory(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("benchmarks")


@pytest.fixture(scope="module")
def peers(directory: Path) -> str:
    return run("--tables peers", directory)


@pytest.fixture(scope="module")
def others(directory: Path) -> str:
    return run("--tables shapes start growth --shapes zst small-files --data foreign", directory)


def rows(printed: str, title: str) -> dict[str, list[str]]:
    """The rows of a Markdown table, by their first cell."""
    part = printed.partition(f"**{title}")[2].partition("\n\n")[2].partition("\n\n")[0]
    cells = (line.strip("|").split("|") for line in part.splitlines())
    return {first.strip(): [cell.strip() for cell in rest] for first, *rest in cells}


@pytest.mark.parametrize("data", DATA)
@pytest.mark.parametrize("name", CONTENDERS)
def test_each_contender_is_in_the_table_of_peers(peers: str, name: str, data: str) -> None:
    if why := CONTENDERS[name].missing:
        assert peers.count(f"Left out: {name}, since {why}.") == len(DATA)
        needed("peers", False, why)
    seconds, *_, does = rows(peers, f"1 MB of JSON Lines to four tables, {data} data")[name]
    assert float(seconds) > 0
    assert does == CONTENDERS[name].does


def test_everybody_makes_the_same_tables_of_both_data_sets(peers: str) -> None:
    parsers = ("simdjson", "orjson")  # these make none
    there = [n for n, c in CONTENDERS.items() if n not in parsers and not c.missing]
    who = f"\n{', '.join(there)} agree on 18 numbers: "
    assert f"{who}1,423 redemptions of " in peers
    assert f"{who}205 redemptions of " in peers


def test_goals_stand_beside_what_each_data_set_gave(peers: str, others: str) -> None:
    goal, *numbers, reached = rows(peers, "Goals")["DuckDB, 2 threads: its time / convert's"]
    assert goal == "at least 3.5"
    assert len([float(number) for number in numbers]) == len(DATA)
    assert reached in ("yes", "no")
    assert {
        ".zst: MB/s / clean",
        "10,000 small files: MB/s / the same in one",
        "convert of one small file: time / import pandas, pyarrow",
        "peak of the larger exports / of the smallest",
    } <= rows(others, "Goals").keys()


def test_a_goal_is_reached_where_the_less_flattering_data_reach_it() -> None:
    def reached(own: float, foreign: float, name: str) -> str:
        return compare_with_goals({"own": {name: own}, "foreign": {name: foreign}}).rows[0][-1]

    assert reached(3.6, 3.5, "duckdb seconds") == "yes"
    assert reached(9.9, 3.4, "duckdb seconds") == "no"
    assert reached(1.1, 1.2, "small file") == "yes"
    assert reached(1.3, 1.0, "small file") == "no"


def test_the_other_tables_are_there(others: str) -> None:
    assert "convert 2x" in rows(others, "Growth, foreign data")
    shapes = rows(others, "Shapes, with convert, foreign data")
    assert {"one clean file", ".zst", "the small files in one", "77 small files"} <= shapes.keys()
    start = rows(others, "Start, foreign data")
    assert {"import pandas, pyarrow", "convert of one small file"} <= start.keys()


def test_the_first_line_says_what_it_was_measured_on(peers: str) -> None:
    first = peers.splitlines()[0]
    assert "cores" in first
    assert f"Python {sys.version.split()[0]}" in first
    assert all(c.version in first for c in CONTENDERS.values() if not c.missing)


def test_each_table_says_how_busy_the_machine_was(others: str) -> None:
    told = re.findall(r"Contention: .* ms at best, ([\d.]+) times .*, and ([\d.]+) times", others)
    assert len(told) == 4  # the goals are the fourth
    assert all(1 <= float(median) <= float(worst) for median, worst in told)


def test_processor_time_is_that_of_all_that_a_process_starts() -> None:
    burn = "import time\nwhile time.process_time() < 0.4: pass"
    alone = timed(("-c", burn), "alone")
    child = timed(
        ("-c", f"import subprocess, sys; subprocess.run([sys.executable, '-c', {burn!r}])"), ""
    )
    assert 0.4 <= alone.cpu <= alone.seconds * 1.1
    assert child.cpu >= 0.4


def test_growth_begins_only_where_the_disk_has_room(tmp_path: Path) -> None:
    plan = Plan(tmp_path, 1, 1, Contention())
    with pytest.raises(SystemExit, match=r"takes [\d.]+ GB of disk.*--growth-factors"):
        compare_growth(plan, DATA["own"], ["convert"], 500, [1, 10_000_000])
    assert list(tmp_path.iterdir()) == []


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
    for module in (goals, scaling, tables, work):
        assert doctest.testmod(module).failed == 0


@pytest.mark.parametrize("mode", ["threads", "processes"])
def test_scaling_tells_the_parts_of_a_conversion(mode: str, tmp_path: Path) -> None:
    found = scaling.converted(scaling.sources(tmp_path, 0.2)["40 files, .gz"], mode, 2)
    assert found["seconds"] > 0
    assert 0 < found["main"] <= found["all"]
    assert found["encode"] > 0
    assert (found["children"] > 0.1) == (mode == "processes")
    assert (found["parse"] > found["outside"] > 0) == (mode == "threads")


def test_a_warehouse_is_measured_beside_convert(tmp_path: Path) -> None:
    export, night = warehouse.exports_of(tmp_path, 4)
    lake = ra.Warehouse(tmp_path / "lake")
    lake.ingest(export)
    counts = lake.ingest(night).counts
    assert all(counts["coupons"][what] > 0 for what in ("added", "changed"))
    assert counts["coupons"]["removed"] == 0
    table = warehouse.compare(tmp_path, 4, 1)
    assert [row[0] for row in table.rows] == list(warehouse.CONTENDERS)
    assert all(float(cell) > 0 for row in table.rows for cell in row[1:])
    assert {path.name for path in tmp_path.iterdir()} == {"foreign", "lake"}


def test_data_that_is_there_is_not_made_again(tmp_path: Path) -> None:
    for data in DATA.values():
        export = clean_export(tmp_path, data, 0.05)
        small = shaped(data, export, "small-files")
        times = [path.stat().st_mtime_ns for path in (export, small)]
        assert clean_export(tmp_path, data, 0.05) == export
        assert shaped(data, export, "small-files") == small
        assert [path.stat().st_mtime_ns for path in (export, small)] == times
    assert [path.name for path in tmp_path.rglob("half-*")] == []


@pytest.fixture(scope="module")
def foreign_export(directory: Path) -> Path:
    return clean_export(directory, DATA["foreign"], 1)


def test_a_foreign_customer_follows_from_its_number() -> None:
    def some(customers: int) -> list[str]:
        return list(foreign_lines("2025-12", NEWEST, customers))

    assert some(20) == some(20)
    assert some(40)[:20] == some(20)


def test_foreign_data_are_of_another_make_than_the_sample(
    directory: Path, foreign_export: Path
) -> None:
    own = ra.load(clean_export(directory, DATA["own"], 1))
    foreign = ra.load(foreign_export)
    assert len(own.rejects) == len(foreign.rejects) == 0
    assert len(own.coupons) < len(own.points)
    assert len(foreign.coupons) > 3 * len(foreign.points)
    assert len(own.reversals) > 0.05 * len(own.points)
    assert 0 < len(foreign.reversals) < 0.02 * len(foreign.points)
    assert len(own.source_breakups) > 0 == len(foreign.source_breakups)
    lengths = [r.custom_fields["value"].str.len().mean() for r in (own, foreign)]
    assert lengths[0] < 20 < 60 < lengths[1]
    texts = foreign.custom_fields["value"]
    assert all(
        texts.str.contains(part, regex=False).any() for part in ('"', "\n\t", "\\", "請", "🚪")
    )


def test_foreign_servers_write_json_in_several_ways(foreign_export: Path) -> None:
    lines = foreign_export.read_text(encoding="utf-8").splitlines()
    assert sum(line.startswith('{"response": {"customer": {"redemptions": ') for line in lines) > 50
    assert sum(line.startswith('{"response" : {"customer" : {"') for line in lines) > 5
    escaped = [line for line in lines if line.isascii() and "\\u" in line and "\\/" in line]
    assert len(escaped) > 10


@pytest.mark.parametrize("shape", ["array", "pretty", "xml", "xml-2018"])
def test_foreign_shapes_hold_the_same(foreign_export: Path, shape: str) -> None:
    clean = ra.load(foreign_export)
    same = ra.load(shaped(DATA["foreign"], foreign_export, shape))
    assert len(same.rejects) == 0
    for name in ("customers", "coupons", "points", "program_breakups", "reversals"):
        pd.testing.assert_frame_equal(same.tables[name], clean.tables[name])
    pd.testing.assert_frame_equal(same.custom_fields, clean.custom_fields)


@pytest.mark.parametrize("edition", ["2018", "2020"])
def test_foreign_editions_of_old_hold_what_they_should(directory: Path, edition: str) -> None:
    path = directory / f"2026-11-20-{edition}.jsonl"
    lines = list(foreign_lines(edition, NEWEST, 40))
    path.write_text("".join(lines), encoding="utf-8")
    r = ra.load(path)
    kinds = [json.loads(line)["response"]["customer"]["redemptions"] for line in lines]
    coupons = [kind["coupons"]["coupon"] for kind in kinds if "coupons" in kind]
    assert any(isinstance(one, dict) for one in coupons)  # the bare object in place of a list
    assert len(r.coupons) == sum(len(one) if isinstance(one, list) else 1 for one in coupons)
    assert len(r.rejects) == 0
    assert r.points["redemption_id"].isna().all()
    assert r.points["id"].min() >= 700_000_000
    assert r.points["program_id"].isna().all() == (edition == "2018")
