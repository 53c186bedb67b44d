"""The workbook of a report: what the Parquet files hold as sheets of Excel, and an overview."""

from __future__ import annotations

import tempfile
from collections.abc import Mapping
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pyarrow as pa
import xlsxwriter
from xlsxwriter.exceptions import FileCreateError

import redemption_analytics
from redemption_analytics.moments import moment_name
from redemption_analytics.numerals import many
from redemption_analytics.reports.appearance import Appearance
from redemption_analytics.reports.cells import DIGITS
from redemption_analytics.reports.looks import INDENTED, LEFT, NUMERIC, Looks, set_up
from redemption_analytics.reports.manifest import passed_over, sources
from redemption_analytics.reports.money import Money
from redemption_analytics.reports.reported import Reported
from redemption_analytics.reports.sheets import Sheet, sheets_of
from redemption_analytics.visible import visible

if TYPE_CHECKING:
    from redemption_analytics.redemptions import Redemptions

#: Texts are written as such: not as formulas, links or numbers, whatever they begin with.
_AS_WRITTEN = {
    "strings_to_formulas": False,
    "strings_to_urls": False,
    "strings_to_numbers": False,
}

#: The first that the format of the file can hold; of a report of nothing that has a time.
_NO_TIME = datetime(1980, 1, 1)


def write_workbook(
    path: Path,
    r: Redemptions,
    tables: Mapping[str, pa.Table],
    about: Reported,
    as_of: datetime | None,
    money: Money | None,
    appearance: Appearance,
) -> None:
    """Write the workbook.

    Parameters
    ----------
    path
        The file.
    r
        All that was loaded.
    tables
        What the Parquet files hold, by file name.
    about
        The period that the report is about.
    as_of
        The moment of the report; None where nothing has a time.
    money
        What points are worth, if that is known.
    appearance
        Its title, and whose it is.
    """
    read = sources(r)
    shown = {name.removesuffix(".parquet"): table for name, table in tables.items()}
    shown["sources"] = _sources_table(read)
    # Rows that are written wait in files, beside the workbook: what they hold is no one else's.
    with tempfile.TemporaryDirectory(dir=path.parent) as folder:
        options = {**_AS_WRITTEN, "constant_memory": True, "tmpdir": folder}
        book = xlsxwriter.Workbook(str(path), options)
        book.use_zip64()
        book.set_properties({"title": visible(appearance.heading), "created": _created(as_of)})
        looks = Looks(book)
        overview = book.add_worksheet("overview")
        sheets = [
            sheet
            for name, table in shown.items()
            for sheet in sheets_of(book, looks, name, table, about.grain)
        ]
        whose = {"Organisation": visible(appearance.organisation)}
        facts = (whose if appearance.organisation else {}) | _facts(r, read, shown, about, as_of)
        title = visible(appearance.title)
        _write_overview(overview, looks, sheets, title, facts | _worth(money))
        try:
            book.close()
        except FileCreateError as error:
            raise error.args[0] from None  # the system's, that tells of a full disk


def _sources_table(read: list[dict[str, Any]]) -> pa.Table:
    times = [row["exported_at"] and datetime.fromisoformat(row["exported_at"]) for row in read]
    columns = {
        "source": pa.array([row["source"] for row in read], pa.string()),
        "exported_at": pa.array(times, pa.timestamp("us")),
        "responses": pa.array([row["responses"] for row in read], pa.int64()),
    }
    return pa.table(columns)


def _created(as_of: datetime | None) -> datetime:
    return _NO_TIME if as_of is None else max(as_of, _NO_TIME)


def _facts(
    r: Redemptions,
    read: list[dict[str, Any]],
    shown: Mapping[str, pa.Table],
    about: Reported,
    as_of: datetime | None,
) -> dict[str, str]:
    """Say what the report is of, by what each says."""
    answers = sum(row["responses"] for row in read)
    files = len({row["source"] for row in read})
    days = sorted({row["exported_at"][:10] for row in read if row["exported_at"]})
    span = f", exported {' to '.join(dict.fromkeys([days[0], days[-1]]))}" if days else ""
    left_out = len(passed_over(r))
    facts = {
        "Period": f"by {about.grain}" if as_of is None else f"{about.name}, by {about.grain}",
        "As of": "nothing in the data has a time" if as_of is None else moment_name(as_of),
        "Read": f"{many(answers, 'answer')} in {many(files, 'file')}{span}: see sources"
        + (f"; {many(left_out, 'file')} passed over: see manifest.json" if left_out else ""),
    }
    if "audit" in shown:
        found = [row["severity"] for row in shown["audit"].to_pylist() if row["count"]]
        errors, warnings = found.count("error"), found.count("warning")
        said = f"{many(errors, 'error')} and {many(warnings, 'warning')}: see audit"
        facts["Data quality"] = said if errors or warnings else "no error and no warning"
    return facts | {
        "Cells": "An empty cell is not known, or there is nothing to divide by. Numbers of more"
        f" than {DIGITS} digits are texts, for Excel would change them. In texts, what cannot be"
        " seen stands as an escape. All else is what the Parquet files hold.",
        "Written by": f"redemption_analytics {redemption_analytics.__version__}",
    }


def _worth(money: Money | None) -> dict[str, str]:
    if money is None:
        return {}
    said = [
        f"{value} {money.currency}".rstrip()
        + ("" if program == "all" else f" of program {program}")
        for program, value in money.described().items()
    ]
    return {"A point is worth": ", ".join(said)}


def _write_overview(
    sheet: Any, looks: Looks, sheets: list[Sheet], title: str, facts: Mapping[str, str]
) -> None:
    widths = {"Sheet": 32, "Rows": 11, "What it holds": 46, "Basis": 20, "About it": 90}
    for column, width in enumerate(widths.values()):
        sheet.set_column(column, column, width)
    set_up(sheet)
    sheet.write_string(0, 0, title, looks.title)
    row = 1
    for name, fact in facts.items():
        row += 1
        sheet.write_string(row, 0, name, looks.name)
        sheet.merge_range(row, 1, row, 4, "", looks.text)
        sheet.write_string(row, 1, fact, looks.text)
        sheet.set_row(row, _height(fact, 150))
    row += 2
    for column, name in enumerate(widths):
        look = NUMERIC if name == "Rows" else INDENTED if column else LEFT
        sheet.write_string(row, column, name, looks.heads[look])
    sheet.repeat_rows(row)
    for listed in sheets:
        row += 1
        sheet.write_url(row, 0, f"internal:'{listed.name}'!A1", looks.link, listed.name)
        sheet.write_number(row, 1, listed.rows, looks.count)
        about = " ".join([listed.says, *listed.notes])
        for column, text in enumerate((listed.title, listed.basis.partition(":")[0], about), 2):
            sheet.write_string(row, column, text, looks.indented)
        sheet.set_row(row, _height(about, 95))


def _height(text: str, room: int) -> int:
    """Return the height of a text in points, of which so many characters fit on a line."""
    return 15 * max(1, -(-len(text) // room))
