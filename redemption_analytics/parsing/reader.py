"""Reading blocks with the native reader: flat tables, rejects, and what else was met."""

from __future__ import annotations

import ctypes
import weakref
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any
from zoneinfo import ZoneInfo

import numpy as np
import pyarrow as pa

from redemption_analytics.contract import Kind, PointsType
from redemption_analytics.errors import FaultError, RedemptionAnalyticsError
from redemption_analytics.parsing.binding import library
from redemption_analytics.parsing.declaration import (
    Declaration,
    declaration,
    encoded_declaration,
)
from redemption_analytics.parsing.rejects import Refused, Reject, Texts, in_words
from redemption_analytics.parsing.wall_clock import on_the_wall
from redemption_analytics.reading.blocks import Block

#: One read takes no more memory.
MEMORY = 8 << 30

_OUTCOMES = {
    1: "a block of {size:,} bytes takes more memory than there is",
    2: "a block of {size:,} bytes is more than the reader takes: set max_record_bytes lower",
}
_NOT_UNDERSTOOD = 3
_REJECTS, _WORDS, _UNKNOWN, _STARTS = range(4)
_XML, _LINES, _BY_LINE, _BY_TEXT, _REFUSED_UNREAD, _ARRAY = 1, 2, 4, 8, 16, 32
_BEGINS = {"key": 0, "line": _BY_LINE, "text": _BY_TEXT}
_REFUSED = np.dtype([(name, "<i4" if name == "reason" else "<u4") for name in Refused._fields])
_UNKNOWN_FIELD = np.dtype(
    [("place", "<u4"), ("name", "<u4"), ("size", "<u4"), ("first", "<u4"), ("count", "<u8")]
)
_ARROW_ARRAY, _ARROW_SCHEMA = 80, 72


@dataclass(frozen=True)
class Read:
    """What blocks gave.

    Attributes
    ----------
    tables
        Columns of each list of the contract, by its name. ``_parent`` counts the rows of the table
        that it hangs below; ``_record`` of the answers is the number of the record, from 1.
    rejects
        What was refused.
    records
        How many records the blocks held.
    starts
        How many of them came before each block.
    seen
        Elements by kind that were met, whatever became of them.
    unknown
        Fields that the contract does not have, and how often they were met.
    unknown_in
        The record in which each was met first.
    """

    tables: dict[str, pa.RecordBatch]
    rejects: list[Reject]
    records: int
    starts: list[int]
    seen: Counter[str]
    unknown: Counter[str]
    unknown_in: dict[str, int]


class Reader:
    """Reads blocks of JSON or XML by the contract.

    Parameters
    ----------
    points
        ``"int"`` refuses fractions of a point; ``"decimal"`` takes up to three places.
    timezone
        Where given, times with a UTC offset become wall-clock time there; else they are refused.
    personal
        Whether rejects and unknown fields may show personal data.
    memory
        One read takes no more bytes than these.
    """

    def __init__(
        self,
        points: PointsType = "int",
        timezone: ZoneInfo | None = None,
        *,
        personal: bool = True,
        memory: int = MEMORY,
    ):
        self._declaration: Declaration = declaration()
        self._timezone = timezone
        self._personal = personal
        self._memory = memory
        self._library = library()
        encoded = encoded_declaration(points, offsets=timezone is not None)
        opened = ctypes.c_void_p()
        self._check(self._library.reader_open(encoded, len(encoded), ctypes.byref(opened)), 0)
        self._contract = opened
        weakref.finalize(self, self._library.reader_close, opened)

    def read(self, *blocks: Block) -> Read:
        """Read blocks.

        Raises
        ------
        RedemptionAnalyticsError
            If they take more memory than there is.
        """
        text = pa.py_buffer(
            blocks[0].data if len(blocks) == 1 else b"".join(b.data for b in blocks)
        )
        ends = np.cumsum([len(block.data) for block in blocks])
        stretches = np.empty((len(blocks), 3), np.uint32)
        stretches[:, 0] = ends - [len(block.data) for block in blocks]
        stretches[:, 1] = ends
        stretches[:, 2] = [_form(block) for block in blocks]
        result = ctypes.c_void_p()
        outcome = self._library.reader_read(
            self._contract,
            text.address,
            text.size,
            stretches.ctypes.data,
            len(blocks),
            self._memory,
            ctypes.byref(result),
        )
        self._check(outcome, text.size)
        try:
            tables = {
                table.name: self._table(result, number, text.size)
                for number, table in enumerate(self._declaration.tables)
            }
            words = self._part(result, _WORDS, 1)
            starts = np.frombuffer(self._part(result, _STARTS, 4), "<u4")
            rejects = self._rejects(
                result, Texts(memoryview(text), words), blocks, stretches, starts
            )
            unknown, unknown_in = self._unknown(result, words)
            records = self._library.reader_records(result)
        finally:
            self._library.reader_free(result)
        return Read(
            tables,
            rejects,
            records,
            starts.tolist(),
            self._seen(tables, rejects),
            unknown,
            unknown_in,
        )

    def _check(self, outcome: int, size: int) -> None:
        if outcome == _NOT_UNDERSTOOD:
            raise FaultError("the reader does not understand the contract")
        if outcome:
            raise RedemptionAnalyticsError(_OUTCOMES[outcome].format(size=size))

    def _table(self, result: ctypes.c_void_p, number: int, size: int) -> pa.RecordBatch:
        array = ctypes.create_string_buffer(_ARROW_ARRAY)
        schema = ctypes.create_string_buffer(_ARROW_SCHEMA)
        outcome = self._library.reader_table(self._contract, result, number, array, schema)
        self._check(outcome, size)
        batch = pa.RecordBatch._import_from_c(ctypes.addressof(array), ctypes.addressof(schema))
        if self._timezone is None:
            return batch
        times = [
            name for name, kind in self._declaration.tables[number].columns if kind is Kind.TIME
        ]
        return on_the_wall(batch, times, self._timezone)

    def _part(self, result: ctypes.c_void_p, part: int, width: int) -> bytes:
        size = ctypes.c_size_t()
        address = self._library.reader_part(result, part, ctypes.byref(size))
        return ctypes.string_at(address, size.value * width) if size.value else b""

    def _rejects(
        self,
        result: ctypes.c_void_p,
        texts: Texts,
        blocks: Sequence[Block],
        stretches: np.ndarray[Any, Any],
        starts: np.ndarray[Any, Any],
    ) -> list[Reject]:
        found = np.frombuffer(self._part(result, _REJECTS, _REFUSED.itemsize), _REFUSED)
        if not len(found):
            return []
        rejects = []
        of = np.searchsorted(starts, found["record"]) - 1
        for number in np.unique(of).tolist():
            block, here = blocks[number], found[of == number]
            start = int(stretches[number, 0])
            lines = _lines(block, here["place"] - start)
            rejects += [
                in_words(
                    Refused(*row), texts, block, self._declaration, at, personal=self._personal
                )
                for row, at in zip(here.tolist(), lines, strict=True)
            ]
        return rejects

    def _unknown(
        self, result: ctypes.c_void_p, words: bytes
    ) -> tuple[Counter[str], dict[str, int]]:
        data = self._part(result, _UNKNOWN, _UNKNOWN_FIELD.itemsize)
        counts, first = Counter[str](), dict[str, int]()
        for place, start, size, record, count in np.frombuffer(data, _UNKNOWN_FIELD).tolist():
            name = words[start : start + size].decode(errors="surrogatepass")
            path = f"{self._declaration.places[place].path}.{name if self._personal else '*'}"
            counts[path] += count
            first[path] = min(record, first.get(path, record))
        return counts, first

    def _seen(self, tables: dict[str, pa.RecordBatch], rejects: list[Reject]) -> Counter[str]:
        seen = Counter(reject.element for reject in rejects)
        answers, *lists = self._declaration.tables
        for table in lists:
            seen[table.element] += tables[table.name].num_rows
        # An answer without a customer, as failed ones are, is a response too.
        parents = [tables[table.name]["_parent"].to_numpy() for table in lists if table.parent == 0]
        with_somebody = len(np.unique(np.concatenate(parents)))
        seen[answers.element] += tables[answers.name].num_rows - with_somebody
        return +seen


def _form(block: Block) -> int:
    if block.refused:
        return _REFUSED_UNREAD
    form = _XML * (block.form == "xml") + _LINES * block.lines + _ARRAY * block.array
    return form + _BEGINS[block.begins]


def _lines(block: Block, places: np.ndarray[Any, Any]) -> list[int | None]:
    """Return the line of each place in a block."""
    lines: list[int | None] = [None] * len(places)
    if block.line is None:
        return lines
    at, line = 0, block.line
    for number in np.argsort(places, kind="stable").tolist():
        place = int(places[number])
        line += block.data.count(b"\n", at, place)
        at = place
        lines[number] = line
    return lines
