"""The workbook of a report: what the Parquet files hold, cell for cell, and nothing in silence."""

from __future__ import annotations

import errno
import hashlib
import json
import re
import zipfile
from datetime import datetime
from decimal import Decimal
from pathlib import Path
from typing import Any

import openpyxl
import pyarrow.parquet as pq
import pytest
import xlsxwriter
from everyday import first_everyday
from hypothesis import given
from hypothesis import strategies as st
from openpyxl.worksheet.worksheet import Worksheet
from payloads import coupon, load, redemption, reversal
from typer.testing import CliRunner

import redemption_analytics as ra
from redemption_analytics.cli import app
from redemption_analytics.reports import cells, extra, sheets
from redemption_analytics.reports.contents import contents
from redemption_analytics.reports.descriptions import COLUMNS, TABLES
from redemption_analytics.reports.reported import Reported, reported
from redemption_analytics.sample import write_sample
from redemption_analytics.tables.frames import as_arrow
from redemption_analytics.tables.now import oldest_of
from redemption_analytics.visible import visible

GOOD = Path(__file__).parents[2] / "data_samples" / "2020-breakups.json"


@pytest.fixture(scope="module")
def exports(tmp_path_factory: pytest.TempPathFactory) -> Path:
    directory = tmp_path_factory.mktemp("organisation") / "exports"
    write_sample(directory, customers=60, exports=2, damage=0.02)
    return directory


@pytest.fixture(scope="module")
def report(exports: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    directory = tmp_path_factory.mktemp("reports") / "report"
    ra.write_reports(ra.load(exports), directory, page=False, excel=True)
    return directory


def opened(directory: Path) -> openpyxl.Workbook:
    return openpyxl.load_workbook(directory / "report.xlsx", rich_text=False)


def header_of(sheet: Worksheet, names: list[str]) -> int:
    """Find the row that holds a table's column names, and nothing else."""
    for row in sheet.iter_rows(max_row=20):
        if [cell.value for cell in row] == names:
            return row[0].row
    raise AssertionError(f"{sheet.title} has no header {names}")


def parts_of(book: openpyxl.Workbook, name: str) -> list[Worksheet]:
    """Give the sheets of a table, in order."""
    short = name if len(name) <= 31 else name.replace("_by_", "_")
    return [sheet for sheet in book if re.sub(r" \(\d+\)$", "", sheet.title) == short]


def rows_of(sheet: Worksheet, names: list[str]) -> list[list[Any]]:
    first = header_of(sheet, names) + 1
    return [[cell.value for cell in row] for row in sheet.iter_rows(min_row=first)]


def as_excel_has_it(value: Any) -> Any:
    """Say what a cell holds of a value: by hand, and only for what the tests draw."""
    if isinstance(value, int) and len(str(abs(value))) > 15:
        return str(value)
    return visible(value) if isinstance(value, str) else value


def assert_holds(directory: Path) -> int:
    """Hold each sheet against the Parquet file; give how many cells were compared."""
    book, compared = opened(directory), 0
    for path in directory.glob("*.parquet"):
        table = pq.read_table(path)
        names = table.column_names
        found = [row for part in parts_of(book, path.stem) for row in rows_of(part, names)]
        expected = [
            [as_excel_has_it(value) for value in row]
            for row in zip(*(column.to_pylist() for column in table.columns), strict=True)
        ]
        assert found == expected, path.stem
        compared += table.num_rows * table.num_columns
    return compared


def test_every_cell_is_the_value_of_the_parquet_file(report: Path) -> None:
    assert assert_holds(report) > 10_000


def test_each_table_has_a_sheet_that_the_overview_leads_to_and_says_a_line_of(report: Path) -> None:
    book = opened(report)
    overview = book.worksheets[0]
    assert overview.title == "overview"
    rows = list(overview.iter_rows())
    said = {row[0].value: row[1].value for row in rows[:12]}
    assert said["Period"] == "October 2026, by month"
    manifest = json.loads((report / "manifest.json").read_text())
    assert datetime.fromisoformat(manifest["as_of"]).strftime("%B %Y") in said["As of"]
    answers = sum(row["responses"] for row in manifest["read"])
    assert (
        f"{answers:,} answers in {len({row['source'] for row in manifest['read']})} files"
        in (said["Read"])
    )
    links = {row[0].value: row for row in rows if row[0].hyperlink}
    assert list(links) == book.sheetnames[1:]
    assert {len(parts_of(book, path.stem)) for path in report.glob("*.parquet")} == {1}
    assert len(links) == 1 + len(list(report.glob("*.parquet")))  # and the sources
    for name, row in links.items():
        assert row[0].hyperlink.location == f"'{name}'!A1"
        sheet = book[name]
        assert row[2].value == sheet["A1"].value
        header = int(re.findall(r"\d+", sheet.freeze_panes)[0]) - 1
        assert row[1].value == len(list(sheet.iter_rows(min_row=header + 1)))
    assert links["net_points"][3].value == "by redemption date"
    assert links["net_points_posted"][3].value == "posted"
    sources = rows_of(book["sources"], ["source", "exported_at", "responses"])
    assert [row[::2] for row in sources] == [
        [r["source"], r["responses"]] for r in manifest["read"]
    ]


def test_headers_are_frozen_and_say_units_and_basis(report: Path) -> None:
    book = opened(report)
    for path in report.glob("*.parquet"):
        (sheet,) = parts_of(book, path.stem)
        names = pq.read_schema(path).names
        header = header_of(sheet, names)
        assert sheet.freeze_panes == f"A{header + 1}"
        assert sheet.auto_filter.ref.startswith(f"A{header}:")
        assert len(sheet.title) <= 31
        assert all(cell.value for cell in sheet[header - 1]), sheet.title
        assert sheet.print_title_rows == f"${header - 1}:${header}"
    texts = {
        name: [row[0].value for row in book[name].iter_rows(max_row=4)] for name in book.sheetnames
    }
    assert (
        "Basis: posted: a reversal counts in the period in which it happened."
        in (texts["net_points_posted"])
    )
    assert any("by redemption date" in str(text) for text in texts["net_points"])


def formats(sheet: Worksheet, names: list[str]) -> dict[str, str]:
    row = sheet[header_of(sheet, names) + 1]
    return dict(zip(names, (cell.number_format for cell in row), strict=True))


def test_numbers_are_shown_by_what_they_are(report: Path) -> None:
    book = opened(report)
    names = pq.read_schema(report / "reversal_rates_by_program.parquet").names
    shown = formats(book["reversal_rates_by_program"], names)
    assert shown["program_id"] == "0"
    assert shown["month"] == "yyyy-mm-dd"
    assert shown["redemptions"] == shown["points_redeemed"] == "#,##0"
    assert shown["redemption_reversal_rate"] == shown["ci_low"] == "0.0%"


def about(r: ra.Redemptions, period: Any) -> Reported:
    assert r.now is not None
    return reported(oldest_of(r.tables), period, r.now)


def test_all_that_a_report_holds_is_described_and_has_units() -> None:
    r = load([redemption("a", 5)])
    found = {
        name: computed()
        for period in ("day", "week")
        for name, computed in contents(r, r, about(r, period), r.now).items()
    }
    assert {*found, "sources"} == set(TABLES)
    columns = {name for table in found.values() for name in as_arrow(table).column_names}
    assert columns - set(COLUMNS) == set()
    for description in TABLES.values():
        assert description.says.endswith(".")
        assert len(description.title.format(period="quarter")) < 60


#: Names that Excel, XML or XlsxWriter might take for something else.
NAMES = [
    "=1+1", "+1", "-1", "@SUM(A1)", "{=1}", "=cmd|' /C calc'!A0", "https://example.com",
    "internal:'overview'!A1", "mailto:a@b.c", "0012", "1e5", "TRUE", "#N/A", "'quoted",
    " spaces ", "<r>x</r>", "<r><t>x</t></r>", "]]>&lt;&amp;", "\x00\x01\x0b\x1f\x7f", "a\nb\tc\r",
    "\u202egnp.exe", "\ufffe\uffff", "Zürich 🎁 北京", "x" * 300,
]  # fmt: skip


def test_a_name_stays_the_text_that_it_is(tmp_path: Path) -> None:
    stores = [redemption(str(place), 5, store=name) for place, name in enumerate(NAMES)]
    ra.write_reports(load(stores), tmp_path / "report", page=False, excel=True)
    assert assert_holds(tmp_path / "report") > 100
    table = pq.read_table(tmp_path / "report" / "net_points_by_store.parquet")
    assert set(table["store_code"].to_pylist()) >= {"=1+1", "@SUM(A1)", "<r>x</r>", "0012"}
    sheet = opened(tmp_path / "report")["net_points_by_store"]
    header = header_of(sheet, table.column_names)
    for row in sheet.iter_rows(min_row=header + 1):
        assert row[0].data_type in ("s", "inlineStr")
        assert row[0].hyperlink is None
        assert row[0].number_format == "@"  # so that it stays text when it is edited


def test_a_name_that_looks_like_an_escape_is_escaped_as_excel_wants_it(tmp_path: Path) -> None:
    ra.write_reports(
        load([redemption("a", 5, store="_x0041_")]), tmp_path / "report", page=False, excel=True
    )
    with zipfile.ZipFile(tmp_path / "report" / "report.xlsx") as file:
        written = b"".join(file.read(name) for name in file.namelist())
    assert b"_x005F_x0041_" in written  # where _x005F_ is an underscore
    assert b">_x0041_" not in written  # which would be an A


@pytest.mark.usefixtures("reports_of_one_table")
def test_what_excel_would_round_is_text_and_its_sheet_says_so(tmp_path: Path) -> None:
    large, most = 2**53 + 1, 10**15 - 1
    r = load([redemption("a", large, "2026-01-10"), redemption("b", most, "2026-02-10")])
    ra.write_reports(r, tmp_path / "report", page=False, excel=True)
    assert_holds(tmp_path / "report")
    names = pq.read_schema(tmp_path / "report" / "net_points.parquet").names
    book = opened(tmp_path / "report")
    january, february = rows_of(book["net_points"], names)
    place = names.index("points_redeemed")
    assert (january[place], february[place]) == ("9007199254740993", 999_999_999_999_999)
    note = [row[0].value for row in book["net_points"].iter_rows(max_row=6)]
    assert any("points_redeemed, net_points are texts" in str(line) for line in note)
    about = [row[4].value for row in book["overview"].iter_rows() if row[0].value == "net_points"]
    assert "are texts" in about[0]


def test_decimal_points_are_exact_to_three_places(tmp_path: Path) -> None:
    r = load(
        [
            redemption("a", 0.1, "2026-01-10", [reversal(1, 0.001, "2026-01-11")]),
            redemption("b", 2318.125, "2026-01-11"),
            redemption("c", 100, "2026-02-01"),
            redemption("d", 1_234_567_890_123.375, "2026-03-01"),
        ],
        [coupon(1, "2026-01-09")],
        points="decimal",
    )
    ra.write_reports(r, tmp_path / "report", page=False, excel=True)
    names = pq.read_schema(tmp_path / "report" / "net_points.parquet").names
    sheet = opened(tmp_path / "report")["net_points"]
    found = [row[names.index("net_points")] for row in rows_of(sheet, names)]
    assert found == [2318.224, 100, "1234567890123.375"]
    assert formats(sheet, names)["net_points"] == "#,##0.000"


def test_a_number_is_written_with_all_its_digits(tmp_path: Path) -> None:
    third = 0.1 + 0.2  # 0.30000000000000004, of which XlsxWriter would write 0.3
    book = xlsxwriter.Workbook(str(tmp_path / "one.xlsx"))
    book.add_worksheet().write_number(0, 0, cells.cell(third))
    book.close()
    assert openpyxl.load_workbook(tmp_path / "one.xlsx").active["A1"].value == third


@given(
    st.one_of(
        st.integers(-(2**70), 2**70),
        st.decimals(
            allow_nan=False, allow_infinity=False, places=3, min_value=-(10**20), max_value=10**20
        ),
        st.floats(),
        st.text(),
        st.datetimes(),
    )
)
def test_a_cell_holds_its_value_or_a_text_that_says_it(value: Any) -> None:
    held = cells.cell(value)
    if isinstance(value, str):
        assert held == visible(value)
    elif isinstance(value, datetime):
        assert held == value or datetime.fromisoformat(str(held)) == value
    elif isinstance(held, str):
        assert Decimal(held).is_nan() if value != value else type(value)(held) == value
    elif isinstance(value, Decimal):
        assert Decimal(format(held, "")) == value
    else:
        assert held == value
        assert isinstance(value, float) or abs(value) < 10**15


@pytest.mark.parametrize("character", ["x", "🎁"])
def test_a_text_that_is_too_long_for_a_cell_is_cut_and_its_sheet_says_so(
    tmp_path: Path, character: str
) -> None:
    ra.write_reports(
        load([redemption("a", 5, store=character * 40_000)]),
        tmp_path / "report",
        page=False,
        excel=True,
    )
    sheet = opened(tmp_path / "report")["net_points_by_store"]
    text = sheet.cell(sheet.max_row, 1).value
    assert text.endswith(f"{character}…")
    assert 32_760 < len(text.encode("utf-16-le")) / 2 <= 32_767
    notes = [str(row[0].value) for row in sheet.iter_rows(max_row=6)]
    assert any("store_code are longer than a cell may be" in note for note in notes)


@pytest.mark.usefixtures("reports_of_one_table")
def test_more_rows_than_a_sheet_has_go_on_in_the_next(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sheets, "MOST_ROWS", 10)
    r = load([redemption(str(month), 5, f"2026-{month:02}-01") for month in range(1, 13)])
    ra.write_reports(r, tmp_path / "report", page=False, excel=True)
    book = opened(tmp_path / "report")
    parts = parts_of(book, "net_points")
    assert len(parts) == 3
    assert [sheet.max_row <= 10 for sheet in parts] == [True] * 3
    assert parts[2]["A1"].value == "Net points by month (part 3 of 3)"
    assert assert_holds(tmp_path / "report") == 12 * 5


@pytest.mark.parametrize("period", first_everyday(["week", "day", "quarter", "year"]))
def test_periods_are_dates(period: Any, tmp_path: Path) -> None:
    r = load([redemption("a", 5, "2026-01-10"), redemption("b", 5, None)])
    ra.write_reports(r, tmp_path / "report", period, page=False, excel=True)
    assert_holds(tmp_path / "report")
    sheet = opened(tmp_path / "report")["net_points"]
    names = pq.read_schema(tmp_path / "report" / "net_points.parquet").names
    assert formats(sheet, names)[period] == "yyyy-mm-dd"


def test_a_report_of_nothing_has_a_workbook_with_all_its_headers(tmp_path: Path) -> None:
    ra.write_reports(ra.Redemptions(), tmp_path / "report", page=False, excel=True)
    assert_holds(tmp_path / "report")
    book = opened(tmp_path / "report")
    assert len(book.sheetnames) == 2 + len(list((tmp_path / "report").glob("*.parquet")))
    assert book["overview"]["B4"].value == "nothing in the data has a time"


def test_the_same_input_gives_the_same_bytes(exports: Path, report: Path, tmp_path: Path) -> None:
    ra.write_reports(ra.load(exports), tmp_path / "again", page=False, excel=True)
    again = tmp_path / "again" / "report.xlsx"
    assert again.read_bytes() == (report / "report.xlsx").read_bytes()
    said = json.loads((report / "manifest.json").read_text())
    created = openpyxl.load_workbook(again).properties.created
    assert created == datetime.fromisoformat(said["as_of"]).replace(microsecond=0)


def test_the_manifest_lists_the_workbook_and_nothing_is_left_beside_it(report: Path) -> None:
    said = json.loads((report / "manifest.json").read_text())
    data = (report / "report.xlsx").read_bytes()
    assert said["files"]["report.xlsx"] == {
        "bytes": len(data),
        "sha256": hashlib.sha256(data).hexdigest(),
    }
    assert said["versions"]["xlsxwriter"] == xlsxwriter.__version__
    assert {path.name for path in report.iterdir()} == {"manifest.json", *said["files"]}


@pytest.mark.usefixtures("reports_of_one_table")
def test_without_being_asked_for_there_is_no_workbook(tmp_path: Path) -> None:
    files = ra.write_reports(load([redemption("a", 5)]), tmp_path / "report", page=False)
    assert "report.xlsx" not in {path.name for path in files}
    files = ra.write_reports(
        load([redemption("a", 5)]), tmp_path / "report", page=False, excel=True
    )
    assert sorted(files) == sorted((tmp_path / "report").iterdir())
    assert "report.xlsx" in {path.name for path in files}


@pytest.mark.usefixtures("reports_of_one_table")
def test_where_the_extra_is_missing_the_error_names_it_and_nothing_is_written(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(extra, "find_spec", lambda name: None)
    r = load([redemption("a", 5)])
    with pytest.raises(ra.UsageError, match=r'pip install "redemption-analytics\[excel\]"'):
        ra.write_reports(r, tmp_path / "report", page=False, excel=True)
    assert not (tmp_path / "report").exists()
    with pytest.raises(ra.UsageError, match="excel is True or False"):
        ra.write_reports(r, tmp_path / "report", excel="yes")  # type: ignore[arg-type]


@pytest.mark.usefixtures("reports_of_one_table")
def test_a_full_disk_is_told_and_the_last_report_stands(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    r, directory = load([redemption("a", 5)]), tmp_path / "report"
    ra.write_reports(r, directory, page=False, excel=True)
    before = {path.name: path.read_bytes() for path in directory.iterdir()}

    def full(book: xlsxwriter.Workbook) -> None:
        for sheet in book.worksheets():
            sheet._opt_close()
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(xlsxwriter.Workbook, "_store_workbook", full)
    with pytest.raises(ra.WriteError, match="make room there"):
        ra.write_reports(r, directory, page=False, excel=True)
    assert {path.name: path.read_bytes() for path in directory.iterdir()} == before


@pytest.mark.usefixtures("reports_of_one_table")
def test_the_command_writes_it_too(tmp_path: Path) -> None:
    target = tmp_path / "report"
    done = CliRunner().invoke(app, ["report", str(GOOD), str(target), "--no-page", "--excel"])
    assert done.exit_code == 0, done.output
    assert "3 files written" in done.output
    assert (target / "report.xlsx").exists()


@pytest.mark.usefixtures("reports_of_one_table")
@pytest.mark.parametrize("engine", ["duckdb", "polars", "pyarrow"])
def test_every_engine_writes_the_same_figures(engine: Any, tmp_path: Path) -> None:
    ra.convert(GOOD, tmp_path / "converted")
    r = ra.open(tmp_path / "converted", engine)
    ra.write_reports(r, tmp_path / "report", page=False, excel=True)
    assert assert_holds(tmp_path / "report") > 0
