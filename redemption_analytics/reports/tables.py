"""Tables of a report's page, made with Great Tables, each with itself as a CSV file."""

from __future__ import annotations

import base64
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal, TypeAlias

import great_tables as gt
import pandas as pd
import pyarrow as pa

from redemption_analytics.numerals import fixed, marks, number, percent
from redemption_analytics.plot.look import BLUE
from redemption_analytics.tables.separated import csv_of
from redemption_analytics.visible import shortened

Kind = Literal["text", "count", "points", "money", "percent", "days", "small", "line"]

#: For each column that a table shows, its title and what it holds.
Columns: TypeAlias = Mapping[str, tuple[str, Kind]]

#: The size of a line in a cell, in pixels; it keeps off the edges by a pixel and a half.
_WIDE, _HIGH, _EDGE = 120, 24, 1.5


def line(numbers: Sequence[float]) -> str:
    """Draw numbers as a line for a cell, its lowest at the bottom; readers of texts are told some.

    >>> line([3, 1, 2])[:46]
    '<svg role="img" aria-label="3 values from 1 to'
    """
    low, high = min(numbers), max(numbers)
    step = (_WIDE - 2 * _EDGE) / max(len(numbers) - 1, 1)
    rise = (_HIGH - 2 * _EDGE) / (high - low) if high > low else 0
    points = " ".join(
        f"{_EDGE + step * place:.1f},{_HIGH - _EDGE - rise * (value - low):.1f}"
        for place, value in enumerate(numbers)
    )
    *_, last = numbers
    said = f"{len(numbers)} values from {number(low)} to {number(high)}, the last {number(last)}"
    return (
        f'<svg role="img" aria-label="{said}" viewBox="0 0 {_WIDE} {_HIGH}" width="{_WIDE}"'
        f' height="{_HIGH}"><polyline points="{points}" fill="none" stroke="{BLUE}"'
        ' stroke-width="1.5"/></svg>'
    )


_FORMATS: dict[Kind, Callable[[gt.GT, list[str]], gt.GT]] = {
    "text": lambda table, _: table,
    "count": lambda table, names: table.fmt_integer(names),
    "points": lambda table, names: table.fmt_number(names, decimals=3, drop_trailing_zeros=True),
    "money": lambda table, names: table.fmt_number(names, decimals=2),
    "percent": lambda table, names: table.fmt_percent(names, decimals=1),
    "days": lambda table, names: table.fmt_number(names, decimals=1),
    "small": lambda table, names: table.fmt_scientific(names, n_sigfig=2),
    "line": lambda table, names: table.fmt(_drawn, columns=names),
}


#: The same in a locale: as the words beside a table write numbers.
_WORDS: dict[Kind, Callable[[float], str]] = {
    "count": lambda value: fixed(value, 0),
    "points": number,
    "money": lambda value: fixed(value, 2),
    "percent": percent,
    "days": lambda value: fixed(value, 1),
}


def _formed(table: gt.GT, kind: Kind, names: list[str]) -> gt.GT:
    found = marks()
    if found is not None and kind in _WORDS:
        write = _WORDS[kind]
        # What is not there is put in later, as in any table.
        return table.fmt(lambda value: "" if pd.isna(value) else write(float(value)), columns=names)
    if found is not None and kind == "small":
        return table.fmt_scientific(names, n_sigfig=2, dec_mark=found[0], sep_mark=found[1])
    return _FORMATS[kind](table, names)


@dataclass(frozen=True)
class PageTable:
    """A table to put into a page.

    Attributes
    ----------
    name
        What it is called among the tables of its page.
    html
        What is shown.
    csv
        The address of the same rows as a CSV file, which holds the file itself.
    """

    name: str
    html: str
    csv: str


def page_table(name: str, rows: Iterable[Mapping[str, Any]], columns: Columns) -> PageTable:
    """Return rows as a table for a page; texts from the data are escaped, and shortened.

    Numbers are rounded where they are shown, and plain in the CSV file.

    Parameters
    ----------
    name
        What it is called among the tables of its page.
    rows
        What it shows.
    columns
        For each column that is shown, its title and what it holds.
    """
    shown = [{column: row[column] for column in columns} for row in rows]
    return PageTable(name, _html(f"table-{name}", shown, columns), _csv(shown, columns))


def csv_address(table: pa.Table) -> str:
    """Return an address that holds a table as a CSV file.

    >>> csv_address(pa.table({"points": [5]}))
    'data:text/csv;charset=utf-8;base64,77u/cG9pbnRzDQo1DQo='
    """
    return f"data:text/csv;charset=utf-8;base64,{base64.b64encode(csv_of(table)).decode()}"


def _csv(rows: list[dict[str, Any]], columns: Columns) -> str:
    # NaN is pandas' way to say that nothing is there: such a cell is empty.
    values = {
        title: pa.array([row[column] for row in rows], from_pandas=True)
        for column, (title, kind) in columns.items()
        if kind != "line"
    }
    return csv_address(pa.table(values))


def _html(name: str, rows: list[dict[str, Any]], columns: Columns) -> str:
    frame = pd.DataFrame(
        [[_cell(value) for value in row.values()] for row in rows], columns=list(columns)
    )
    table = gt.GT(frame, id=name).cols_label(
        cases={column: title for column, (title, _) in columns.items()}
    )
    for kind in _FORMATS:
        here = [column for column, (_, its_kind) in columns.items() if its_kind == kind]
        table = _formed(table, kind, here) if here else table
    texts = [column for column, (_, kind) in columns.items() if kind == "text"]
    table = table.sub_missing(missing_text="-").cols_align("left", texts)
    plain = table.tab_options(table_width="100%", table_font_size="14px", data_row_padding="4px")
    return str(plain.as_raw_html())


def _drawn(cell: str) -> str:
    return line([float(text) for text in cell.split(",")])


def _cell(value: Any) -> Any:
    if isinstance(value, list):
        return ",".join(map(str, value))
    return shortened(value) if isinstance(value, str) else value
