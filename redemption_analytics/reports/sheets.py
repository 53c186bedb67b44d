"""Sheets of a workbook, each of a table: a title, notes, units, names, and the rows."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime
from typing import Any

import pyarrow as pa

from redemption_analytics.options import Period
from redemption_analytics.reports.cells import DIGITS, MOST_CHARACTERS, Cell, cell, is_too_long
from redemption_analytics.reports.descriptions import COLUMNS, TABLES
from redemption_analytics.reports.looks import (
    DATE,
    DECIMAL_POINTS,
    INDENTED,
    LEFT,
    NUMBERS,
    NUMERIC,
    TIME,
    Looks,
    set_up,
)

#: How many rows a sheet has, and how long its name may be.
MOST_ROWS = 1_048_576
_LONGEST_NAME = 31

#: In characters. A date takes some ten, a number its digits with commas.
_NARROWEST, _WIDEST = 8, 60

#: Rows are made ready so many at a time.
_BATCH = 10_000


@dataclass(frozen=True)
class _Column:
    """A column of a sheet: its unit and format, how wide it is, and what is not as it was."""

    name: str
    unit: str
    points: bool
    number: str
    width: int
    as_text: int
    cut: int


@dataclass(frozen=True)
class Sheet:
    """A sheet of a table: its name, its rows, what they are and say, on what basis, and notes."""

    name: str
    rows: int
    title: str
    says: str
    basis: str
    notes: list[str]


def sheets_of(
    book: Any, looks: Looks, name: str, table: pa.Table, period: Period
) -> Iterator[Sheet]:
    """Write a table to as many sheets as it takes, and yield each."""
    described = TABLES[name]
    columns = [_column(field, table[field.name]) for field in table.schema]
    notes = _notes(name, columns)
    basis = [f"Basis: {described.basis}."] if described.basis else []
    head = [described.says, *basis, *notes]
    room = MOST_ROWS - _first_row(head)
    parts = max(1, -(-table.num_rows // room))
    for part in range(parts):
        sheet_name = _sheet_name(name, part)
        title = described.title.format(period=period)
        if parts > 1:
            title += f" (part {part + 1} of {parts})"
        rows = table.slice(part * room, room)
        _write_table(book.add_worksheet(sheet_name), looks, title, head, columns, rows)
        yield Sheet(sheet_name, rows.num_rows, title, described.says, described.basis, notes)


def _first_row(head: list[str]) -> int:
    """Count the rows above a table's: its title, notes, the way back, units and names."""
    return len(head) + 4


def _sheet_name(name: str, part: int) -> str:
    """Return the name of a sheet, of which Excel takes 31 characters.

    >>> _sheet_name("reversal_rates_settled_by_program", 0), _sheet_name("net_points_by_till", 1)
    ('reversal_rates_settled_program', 'net_points_by_till (2)')
    """
    suffix = f" ({part + 1})" if part else ""
    room = _LONGEST_NAME - len(suffix)
    shown = name if len(name) <= room else name.replace("_by_", "_")
    return shown[:room] + suffix


def _notes(name: str, columns: list[_Column]) -> list[str]:
    """Say what of a table is not in its sheet as it was."""
    notes = []
    changed = [column for column in columns if column.as_text]
    if numbers := [column.name for column in changed if _is_number(column)]:
        notes.append(
            f"Some values of {', '.join(numbers)} are texts, which sums in Excel leave out: it"
            f" keeps {DIGITS} digits of a number."
        )
    if times := [column.name for column in changed if not _is_number(column)]:
        notes.append(
            f"Some values of {', '.join(times)} are texts: Excel knows times from March 1900 on, to"
            " the second."
        )
    if cut := [column.name for column in columns if column.cut]:
        notes.append(
            f"Some texts of {', '.join(cut)} are longer than a cell may be"
            f" ({MOST_CHARACTERS:,} characters), and cut: {name}.parquet has them whole."
        )
    return notes


def _column(field: pa.Field, values: pa.ChunkedArray) -> _Column:
    """Look through a column for how it is to be shown."""
    kind, unit = COLUMNS[field.name]
    if pa.types.is_timestamp(field.type) and field.name == "day":
        kind, unit = "text", "day"  # a period; else it counts those since the redemption
    points = kind == "points"
    number = NUMBERS[kind]
    if points and not pa.types.is_integer(field.type):
        number = DECIMAL_POINTS
    widest = as_text = cut = 0
    for start in range(0, len(values), _BATCH):
        for value in values.slice(start, _BATCH).to_pylist():
            shown = cell(value, points=points)
            widest = max(widest, _width(shown))
            if isinstance(value, str):
                cut += is_too_long(value)
            elif isinstance(shown, str):
                as_text += 1
            elif isinstance(shown, datetime):
                number = DATE if number != TIME and shown == _day(shown) else TIME
    width = max(widest + 2, len(field.name) + 5, _NARROWEST)
    return _Column(field.name, unit, points, number, min(width, _WIDEST), as_text, cut)


def _width(shown: Cell) -> int:
    """Tell how many characters a cell takes, roughly."""
    if isinstance(shown, str):
        return len(shown)
    if isinstance(shown, datetime):
        return 10 if shown == _day(shown) else 19
    return len(f"{shown:,.3f}") if isinstance(shown, int | float) else 0


def _day(time: datetime) -> datetime:
    return time.replace(hour=0, minute=0, second=0, microsecond=0)


def _write_table(
    sheet: Any,
    looks: Looks,
    title: str,
    head: list[str],
    columns: list[_Column],
    table: pa.Table,
) -> None:
    first = _first_row(head)
    last, right = first + max(table.num_rows, 1) - 1, len(columns) - 1
    for place, column in enumerate(columns):
        sheet.set_column(place, place, column.width)
    set_up(sheet)
    sheet.freeze_panes(first, 0)
    sheet.repeat_rows(first - 2, first - 1)
    sheet.autofilter(first - 1, 0, last, right)
    # A code of digits is a text on purpose.
    sheet.ignore_errors({"number_stored_as_text": f"A{first + 1}:XFD{last + 1}"})
    sheet.write_string(0, 0, title, looks.title)
    for row, line in enumerate(head, 1):
        sheet.write_string(row, 0, line, looks.line)
    sheet.write_url(first - 3, 0, "internal:'overview'!A1", looks.link, "to the overview")
    alignments = [_aligned(column, place) for place, column in enumerate(columns)]
    for place, column in enumerate(columns):
        sheet.write_string(first - 2, place, column.unit, looks.units[alignments[place]])
    for place, column in enumerate(columns):  # row by row: what is above is written already
        sheet.write_string(first - 1, place, column.name, looks.heads[alignments[place]])
    formats = [
        looks.cells(column.number, aligned)
        for column, aligned in zip(columns, alignments, strict=True)
    ]
    row = first
    for batch in table.to_batches(max_chunksize=_BATCH):
        for values in zip(*(column.to_pylist() for column in batch.columns), strict=True):
            for place, value in enumerate(values):
                shown = cell(value, points=columns[place].points)
                _write_cell(sheet, row, place, shown, formats[place])
            row += 1


def _is_number(column: _Column) -> bool:
    return column.number not in (NUMBERS["text"], DATE, TIME)


def _aligned(column: _Column, place: int) -> int:
    if _is_number(column):
        return NUMERIC
    return INDENTED if place else LEFT


def _write_cell(sheet: Any, row: int, column: int, shown: Cell, look: Any) -> None:
    """Write a cell by its type: what a text looks like is no matter."""
    if isinstance(shown, str) and shown.startswith("<r>") and shown.endswith("</r>"):
        # XlsxWriter takes it for markup, and lets it pass: in parts it does not.
        sheet.write_rich_string(row, column, shown[0], look, shown[1:], look)
    elif isinstance(shown, str):
        sheet.write_string(row, column, shown, look)
    elif isinstance(shown, bool):
        sheet.write_boolean(row, column, shown, look)
    elif isinstance(shown, datetime):
        sheet.write_datetime(row, column, shown, look)
    elif shown is not None:
        sheet.write_number(row, column, shown, look)
