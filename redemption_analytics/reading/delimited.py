"""CSV and TSV: the payloads in their rows, however these are torn.

Common Format and MIME Type for Comma-Separated Values (CSV) Files (RFC 4180), with any of the
separators in use. Rows are cut here, and not by a reader of CSV, for a torn one must not take the
rows after it with it, and a payload may be long.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from redemption_analytics.contract import PAYLOAD_COLUMN

_SEPARATORS = (b",", b"\t", b";", b"|")
_LINE_END = re.compile(rb"\r\n|\n|\r")
_QUOTED = re.compile(rb'"((?:[^"]++|"")*+)"')

#: No header is longer.
_HEADER_BYTES = 64 << 10


@dataclass(frozen=True)
class Columns:
    """What the header of a table says.

    Attributes
    ----------
    separator
        What stands between cells.
    names
        Of its columns.
    place
        Which of them holds the payloads.
    """

    separator: bytes
    names: tuple[str, ...]
    place: int


@dataclass(frozen=True)
class Cell:
    """A payload, or what is there in place of one.

    Attributes
    ----------
    line
        The number of the first line of its row.
    text
        The payload; the row where that is torn.
    torn
        What is wrong with the row; None if nothing is.
    """

    line: int
    text: bytes
    torn: str | None = None


def columns_in(head: bytes) -> Columns | None:
    r"""Read the header of a table with a column of payloads; None where the text has none.

    >>> columns_in(b'id,payload\n1,"{}"').place
    1
    """
    if head.startswith((b"{", b"<")):
        return None  # Most texts are JSON or XML, and looking for a line's end in them takes long.
    end = _LINE_END.search(head, 0, _HEADER_BYTES)
    header = head[: end.start()] if end else head[:_HEADER_BYTES]
    if PAYLOAD_COLUMN.encode() not in header.lower():
        return None
    for separator in _SEPARATORS:
        cells = [cell.strip().strip(b'"').strip() for cell in header.split(separator)]
        lowered = [cell.lower() for cell in cells]
        if PAYLOAD_COLUMN.encode() in lowered:
            names = tuple(cell.decode(errors="replace") for cell in cells)
            return Columns(separator, names, lowered.index(PAYLOAD_COLUMN.encode()))
    return None


def cells(columns: Columns, chunks: Iterable[bytes], limit: int) -> Iterator[Cell]:
    """Yield the payloads of a table, row by row; the header is not one.

    Parameters
    ----------
    columns
        What its header says.
    chunks
        Its text, from the header on.
    limit
        A row of more bytes is torn.
    """
    cutter = _Cutter(columns, limit)
    for chunk in chunks:
        yield from cutter.rows(chunk)
    yield from cutter.rows(b"", last=True)


class _Cutter:
    """Cuts rows out of text that comes in chunks."""

    def __init__(self, columns: Columns, limit: int):
        self._columns = columns
        self._limit = limit
        self._held = b""
        self._line = 1
        self._headed = False
        self._unquoted = re.compile(rb"[^%b\r\n]*+" % re.escape(columns.separator))

    def rows(self, chunk: bytes, *, last: bool = False) -> Iterator[Cell]:
        """Yield the rows that end in a chunk, or the last ones."""
        data, at = self._held + chunk, 0
        while at < len(data):
            end, cell = self._row(data, at, last=last)
            if end < 0:
                break
            if cell is not None and self._headed:
                yield cell
            # Blank lines may stand before the header.
            self._headed = self._headed or cell is not None
            self._line += _breaks(data, at, end)
            at = end
        self._held = data[at:]

    def _row(self, data: bytes, start: int, *, last: bool) -> tuple[int, Cell | None]:
        """Return the end of a row, negative where it is not there yet, and its payload if any."""
        found, at, number = None, start, 0
        while True:
            text, end = self._cell(data, at)
            if text is None:
                # No quote closes it, so far; or one stands where none can.
                if end < 0 and not last and len(data) - start <= self._limit:
                    return -1, None
                return self._torn(data, start, end)
            if number == self._columns.place:
                found = text
            if end >= len(data) - 1 and not last:
                return -1, None
            number += 1
            if data[end : end + 1] == self._columns.separator:
                at = end + 1
                continue
            line_end = _LINE_END.match(data, end)
            after = line_end.end() if line_end else end
            return after, self._judged(data[start:end], found, number)

    def _cell(self, data: bytes, start: int) -> tuple[bytes | None, int]:
        """Return a cell's text and its end; no text where quotes are wrong, and where, if known."""
        if not data.startswith(b'"', start):
            match = self._unquoted.match(data, start)
            assert match is not None
            return match[0], match.end()
        quoted = _QUOTED.match(data, start)
        if quoted is None:
            return None, -1
        end = quoted.end()
        if end < len(data) and data[end : end + 1] not in (self._columns.separator, b"\r", b"\n"):
            return None, end
        return quoted[1].replace(b'""', b'"'), end

    def _judged(self, row: bytes, found: bytes | None, number: int) -> Cell | None:
        if found is not None and found.strip():
            return Cell(self._line, found)
        if found is not None or not row.strip():
            return None
        return Cell(
            self._line,
            row,
            f'the row has {number} of {len(self._columns.names)} columns: none is "payload"',
        )

    def _torn(self, data: bytes, start: int, wrong: int) -> tuple[int, Cell]:
        """Give up on a row; the next begins with the line in which a quote is wrong."""
        reason = "the row is torn: its quotes do not match"
        if wrong < 0:
            end = len(data) if len(data) - start <= self._limit else data.rfind(b"\n", start) + 1
        else:
            end = data.rfind(b"\n", start, wrong) + 1
            if end <= start:
                end = data.find(b"\n", wrong) + 1
        end = end if end > start else len(data)
        return end, Cell(self._line, data[start:end].rstrip(), reason)


def _breaks(data: bytes, start: int, end: int) -> int:
    """Count lines; those of a Macintosh of old end with a carriage return."""
    breaks = data.count(b"\n", start, end)
    return breaks or data.count(b"\r", start, end)
