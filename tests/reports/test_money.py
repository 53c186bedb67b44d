"""Money beside points: exact, by program, and the same in files, page and workbook."""

from __future__ import annotations

import json
from decimal import Decimal
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from everyday import first_everyday
from payloads import load, redemption, reversal
from typer.testing import CliRunner

import redemption_analytics as ra
from redemption_analytics.cli import app

ITEMS = [
    redemption("a", 100, "2026-01-05", [reversal(1, 30, "2026-02-01")], program=1),
    redemption("b", 7, "2026-01-06", program=2, store="south"),
    redemption("c", 50, "2026-02-05", program=2),
    redemption("d", 3, "2026-02-06", program=None),
]
VALUES = {1: "0.01", 2: "0.005", None: "0"}


def run(arguments: list[str]) -> tuple[int, str]:
    result = CliRunner().invoke(app, arguments)
    return result.exit_code, result.stderr


def written(directory: Path, items: Any = ITEMS, **options: Any) -> dict[str, pa.Table]:
    points = options.pop("points", "int")
    ra.write_reports(load(items, points=points), directory, **{"page": False} | options)
    return {path.stem: pq.read_table(path) for path in directory.glob("*.parquet")}


def test_each_point_is_worth_what_its_program_says(tmp_path: Path) -> None:
    found = written(tmp_path, point_value=VALUES)
    by_program = found["net_points_by_program"].to_pylist()
    assert {(row["program_id"], row["month"].month): row["net_value"] for row in by_program} == {
        (1, 1): Decimal("0.70"),
        (2, 1): Decimal("0.035"),
        (2, 2): Decimal("0.25"),
        (None, 2): 0,
    }
    months = {row["month"].month: row["net_value"] for row in found["net_points"].to_pylist()}
    assert months == {1: Decimal("0.735"), 2: Decimal("0.25")}
    posted = found["net_points_posted"].to_pylist()
    assert {row["month"].month: row["net_value_posted"] for row in posted} == {
        1: Decimal("1.035"),
        2: Decimal("-0.05"),
    }
    stores = found["net_points_by_store"].to_pylist()
    south = [row["net_value"] for row in stores if row["store_code"] == "south"]
    assert south == [Decimal("0.035")]


@pytest.mark.parametrize("value", first_everyday([0.1, "0.1", Decimal("0.1"), 3]))
def test_one_value_is_of_all_points_and_sums_are_exact(tmp_path: Path, value: Any) -> None:
    found = written(tmp_path, point_value=value)
    for name in (
        "net_points",
        "net_points_by_program",
        "net_points_by_store",
        "net_points_by_till",
    ):
        rows = found[name].to_pylist()
        assert sum(row["net_value"] for row in rows) == 130 * Decimal(str(value))


def test_decimal_points_are_worth_their_last_place(tmp_path: Path) -> None:
    found = written(tmp_path, [redemption("a", 0.125)], points="decimal", point_value="0.001")
    assert found["net_points"]["net_value"].to_pylist() == [Decimal("0.000125")]


def test_what_is_expected_back_is_worth_what_its_programs_say(tmp_path: Path) -> None:
    items = [
        redemption(f"{program} {n}", 10, f"2026-01-{n % 28 + 1:02}", back, program=program)
        for program in (1, 2)
        for n in range(60)
        for back in [[reversal(100 * program + n, 10, "2026-01-30")] if n < 9 * program else []]
    ]
    found = written(tmp_path, items, as_of="2026-02-01", point_value=VALUES)
    by_program = found["expected_reversals_by_program"].to_pylist()
    for row in by_program:
        value = float(VALUES[row["program_id"]])
        for points, money in (
            ("expected_points", "expected_value"), ("low", "low_value"), ("high", "high_value"),
        ):  # fmt: skip
            assert row[money] == pytest.approx(row[points] * value)
    (total,) = found["expected_reversals"].to_pylist()
    each = sum(row["expected_value"] for row in by_program) / sum(
        row["expected_points"] for row in by_program
    )
    for points, money in (
        ("expected_points", "expected_value"), ("low", "low_value"), ("high", "high_value"),
    ):  # fmt: skip
        assert total[money] == pytest.approx(total[points] * each)


def test_of_one_value_what_is_expected_back_is_worth_that_for_each_point(tmp_path: Path) -> None:
    r = ra.load("data_samples/organisation")
    ra.write_reports(r, tmp_path, point_value="0.01", page=False)
    (row,) = pq.read_table(tmp_path / "expected_reversals.parquet").to_pylist()
    for points, money in (
        ("expected_points", "expected_value"), ("low", "low_value"), ("high", "high_value"),
    ):  # fmt: skip
        assert row[money] == pytest.approx(row[points] / 100)


def test_no_reserve_is_worth_more_than_all_that_is_open(tmp_path: Path) -> None:
    old = [redemption(f"old {n}", 10, "2026-01-05", program=1) for n in range(8)]
    back = [
        redemption(f"back {n}", 10, "2026-01-05", [reversal(n, 10, "2026-01-06")], program=2)
        for n in range(5)
    ]
    still = [redemption("a", 1000, "2026-03-30", program=1), redemption("b", 10, "2026-03-30")]
    still[1]["program_id"] = 2
    items = [*old, *back, *still]
    found = written(tmp_path, items, as_of="2026-03-31", point_value={1: "0.01", 2: 1})
    by_program = found["expected_reversals_by_program"].to_pylist()
    most = sum(row["open_points"] * {1: 0.01, 2: 1}[row["program_id"]] for row in by_program)
    (total,) = found["expected_reversals"].to_pylist()
    assert total["low_value"] <= total["expected_value"] <= total["high_value"] <= most + 1e-9


def test_without_a_value_no_money_is_told(tmp_path: Path) -> None:
    found = written(tmp_path)
    names = {name for table in found.values() for name in table.column_names}
    money = {"net_value", "net_value_posted", "expected_value", "low_value", "high_value"}
    assert not money & names
    assert "point_value" not in json.loads((tmp_path / "manifest.json").read_text())


def test_page_and_manifest_tell_the_value_and_its_currency(tmp_path: Path) -> None:
    written(tmp_path, point_value=VALUES, currency="EUR", page=True, as_of="2026-02-28")
    page = (tmp_path / "report.html").read_text("utf-8")
    assert "redeemed less reversed in the period: -0.05 EUR" in page
    said = json.loads((tmp_path / "manifest.json").read_text())
    assert (said["point_value"], said["currency"]) == (
        {"1": "0.01", "2": "0.005", "none": "0"}, "EUR",
    )  # fmt: skip


def test_the_workbook_has_the_amounts_of_the_files(tmp_path: Path) -> None:
    openpyxl = pytest.importorskip("openpyxl")
    pytest.importorskip("xlsxwriter")
    found = written(tmp_path, point_value="0.01", currency="EUR", excel=True)
    book = openpyxl.load_workbook(tmp_path / "report.xlsx")
    rows = list(book["net_points"].values)
    head = next(n for n, row in enumerate(rows) if "net_value" in row)
    column = rows[head].index("net_value")
    amounts = [row[column] for row in rows[head + 1 :] if row[column] is not None]
    assert amounts == [float(amount) for amount in found["net_points"]["net_value"].to_pylist()]
    overview = [text for row in book["overview"].values for text in row]
    assert "0.01 EUR" in overview


def test_a_column_of_money_in_the_workbook_is_of_numbers(tmp_path: Path) -> None:
    openpyxl = pytest.importorskip("openpyxl")
    pytest.importorskip("xlsxwriter")
    written(
        tmp_path,
        [redemption("a", 9_000_003, "2026-01-05"), redemption("b", 1, "2026-02-05")],
        point_value="0.00833333",
        excel=True,
    )
    rows = list(openpyxl.load_workbook(tmp_path / "report.xlsx")["net_points"].values)
    head = next(n for n, row in enumerate(rows) if "net_value" in row)
    column = rows[head].index("net_value")
    assert [row[column] for row in rows[head + 1 :]][:2] == [74999.99499999, 0.00833333]


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({"point_value": -1}, "what a point is worth, a number from 0 on"),
        ({"point_value": "much"}, "what a point is worth, a number from 0 on"),
        ({"point_value": True}, "what a point is worth, a number from 0 on"),
        ({"point_value": float("nan")}, "what a point is worth, a number from 0 on"),
        ({"point_value": {"1": 1}}, "a mapping of each program_id to its number"),
        ({"point_value": {1: 1}}, "no value of these programs: 2, none"),
        ({"point_value": {}}, "a mapping of each program_id to its number"),
        ({"point_value": 1 / 3}, "with at most 12 decimal places"),
        ({"point_value": "1e40"}, "below 1,000,000,000"),
        ({"point_value": "1e-40"}, "with at most 12 decimal places"),
        ({"point_value": "1_000"}, "a number from 0 on"),
        ({"point_value": "٣"}, "a number from 0 on"),
        ({"currency": "EUR"}, "currency is of point_value"),
        ({"point_value": 1, "currency": 5}, "a text such as 'EUR'"),
    ],
    ids=str,
)
def test_what_is_no_value_is_refused(tmp_path: Path, options: Any, said: str) -> None:
    with pytest.raises(ra.UsageError, match=said):
        written(tmp_path / "report", **options)
    assert not (tmp_path / "report").exists()


def test_the_command_takes_a_value_for_each_program(tmp_path: Path) -> None:
    source = "data_samples/2020-breakups.json"
    values = ["--point-value=469=0.01", "--point-value=1234=0.02", "--point-value=none=0"]
    report = ["report", source, str(tmp_path / "report"), "--no-page"]
    assert run([*report, *values, "--currency=EUR"]) == (0, "")
    found = pq.read_table(tmp_path / "report" / "net_points_by_program.parquet").to_pylist()
    worth = {469: Decimal("0.01"), 1234: Decimal("0.02"), None: Decimal(0)}
    assert found
    for row in found:
        assert row["net_value"] == row["net_points"] * worth[row["program_id"]]
    for wrong in ("=3", "x=3", "469=", "much"):
        code, said = run([*report, f"--point-value={wrong}", "--point-value=469=1"])
        assert code == 2
        assert "point_value" in said or "--point-value" in said


def test_two_values_of_one_program_are_refused_by_the_command(tmp_path: Path) -> None:
    values = ["--point-value", "1=1", "--point-value", "1=2"]
    code, err = run(["report", "data_samples/2020-breakups.json", str(tmp_path / "r"), *values])
    assert (code, "gives program 1 two values" in err) == (2, True)
