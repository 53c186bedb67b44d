"""Tables as CSV, for people who open them in a spreadsheet."""

from __future__ import annotations

import csv
import io
from datetime import datetime
from decimal import Decimal
from typing import Any

import pyarrow as pa

from redemption_analytics.visible import visible

#: A spreadsheet takes a text for a formula that begins with one of these.
_FORMULA = ("=", "+", "-", "@", "\t", "\r")


def csv_of(table: pa.Table) -> bytes:
    r"""Write a table as CSV that Excel opens right.

    It is UTF-8 with a byte order mark, and lines end in CRLF. A text that a spreadsheet would take
    for a formula gets an apostrophe before it, and what cannot be seen in a text, line breaks too,
    stands there as an escape. Numbers stay as they are, a null is an empty field, and times are as
    ``2026-10-31 18:00:00``.

    Parameters
    ----------
    table
        The table.

    Examples
    --------
    >>> csv_of(pa.table({"store": ["=1+1", "a,b", None], "points": [-5, 0, None]}))[3:].decode()
    'store,points\r\n\'=1+1,-5\r\n"a,b",0\r\n,\r\n'
    """
    out = io.StringIO()
    writer = csv.writer(out)
    writer.writerow([_cell(name) for name in table.column_names])
    for batch in table.to_batches():
        columns = (column.to_pylist() for column in batch.columns)
        writer.writerows([_cell(value) for value in row] for row in zip(*columns, strict=True))
    return out.getvalue().encode("utf-8-sig")


def _cell(value: Any) -> Any:
    if isinstance(value, datetime):
        return value.isoformat(" ")
    if isinstance(value, Decimal):
        return f"{value:f}"  # as a text it may be 0E-12
    if not isinstance(value, str):
        return value
    return visible(f"'{value}" if value.startswith(_FORMULA) else value)
