"""Tables, printed as text or as Markdown."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field


@dataclass
class Table:
    """What a comparison found.

    Attributes
    ----------
    title
        What is compared.
    header
        Names of the columns. A name that begins with ``<`` is of text, and set to the left.
    rows
        Cells, as text.
    notes
        What has to be known to read it.
    """

    title: str
    header: Sequence[str]
    rows: list[Sequence[str]] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)


def text(table: Table) -> str:
    """Write a table as aligned text.

    Examples
    --------
    >>> print(text(Table("Speed", ("<", "MB/s"), [("convert", "125"), ("dlt", "3")], ["A note."])))
    Speed
             MB/s
    convert   125
    dlt         3
    A note.
    """
    rows = [[name.removeprefix("<") for name in table.header], *table.rows]
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    lines = [table.title]
    for row in rows:
        cells = zip(row, widths, table.header, strict=True)
        aligned = (c.ljust(w) if n.startswith("<") else c.rjust(w) for c, w, n in cells)
        lines.append("  ".join(aligned).rstrip())
    return "\n".join((*lines, *table.notes))


def markdown(table: Table) -> str:
    """Write a table as Markdown.

    Examples
    --------
    >>> print(markdown(Table("Speed", ("<", "MB/s"), [("convert", "125")], ["A note."])))
    **Speed**
    <BLANKLINE>
    | | MB/s |
    | --- | ---: |
    | convert | 125 |
    <BLANKLINE>
    A note.
    """
    names = [name.removeprefix("<") for name in table.header]
    rule = ["---" if name.startswith("<") else "---:" for name in table.header]
    rows = [_row(row) for row in (names, rule, *table.rows)]
    notes = ["", "  \n".join(table.notes)] if table.notes else []
    return "\n".join((f"**{table.title}**", "", *rows, *notes))


def _row(cells: Sequence[str]) -> str:
    return "|" + "".join(f" {cell} |" if cell else " |" for cell in cells)
