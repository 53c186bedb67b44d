"""Blocks: stretches of an export that hold whole records, cut where records start."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, replace
from typing import Literal

from redemption_analytics.reading.markup import ANSWER_START
from redemption_analytics.sources.export import Export

BLOCK_BYTES = 4 << 20

#: Blocks of so many bytes, or fewer, are parsed together.
_SMALL = 256 << 10

#: What may stand between records beside white space: they may be the elements of arrays.
_SEPARATORS = b" \t\r\n,[]"
_OPENING = b" \t\r\n["
# Of brackets that go on and on each would be looked at once for every one before it. The outermost
# repeat is not possessive: that keeps what a failed alternative took, before Python 3.11.5.
_BETWEEN = re.compile(
    r"(?:[\s,\]\ufeff]++|\[\s*+(?:\[\s*+){0,99}+(?=[{\]]|\"(?:\\[nrt]| )*+\{|\Z))*"
)

_DECODER = json.JSONDecoder()
#: What is left of a value, or of an escape in a text, that breaks off.
_STUMP = re.compile(
    r"(?:t(?:ru?)?|f(?:a(?:ls?)?)?|n(?:ul?)?|-|[.eE][+-]?|\\?u[0-9a-fA-F]{0,4}|(?:\\x[0-9a-f]{2})+)?\s*"
)

#: How far a record's beginning is looked for before its first key.
REACH = 1024

#: How a text begins that holds an object in JSON, before the object's first key.
_TEXT_START = re.compile(rb'(?<!\\)"(?:\\[nrt]|[ \[])*\{(?:\\[nrt]| )*\Z')


@dataclass(frozen=True)
class _Mark:
    """What tells that a record starts, without parsing what comes before it.

    Attributes
    ----------
    text
        Stands at or near the start of each record.
    start
        Tells from the data and the place of a mark where the record starts, or 0 if none does.
    """

    text: bytes
    start: Callable[[bytes, int], int]

    def after(self, data: bytes, position: int) -> int:
        """Find the first start after a position, or the end of the data."""
        place = data.find(self.text, max(position, 0))
        while place >= 0:
            start = self.start(data, place)
            if start > position:
                return start
            place = data.find(self.text, place + 1)
        return len(data)

    def last(self, data: bytes) -> int:
        """Find the last start, or 0."""
        place = data.rfind(self.text)
        while place >= 0:
            start = self.start(data, place)
            if start:
                return start
            place = data.rfind(self.text, 0, place)
        return 0


def _before_key(data: bytes, place: int) -> int:
    # No string can hold a brace and this key: its quotes would be escaped. So it is a start,
    # however damaged what is before it. Where it is a mere field of something, a colon precedes it.
    before = data[max(0, place - REACH) : place].rstrip()
    if not before.endswith(b"{"):
        return 0
    outside = before[:-1].rstrip(_OPENING)
    # What a colon follows that is no key, as in a line of a log, holds nothing.
    nested = outside.endswith(b":") and outside[:-1].rstrip().endswith(b'"')
    nested = nested and not before.endswith(b"\n{")
    if nested or not before[:-1].rstrip(_SEPARATORS):
        return 0
    return max(0, place - REACH) + len(before) - 1


def _before_text(data: bytes, place: int) -> int:
    before = data[max(0, place - REACH) : place]
    start = _TEXT_START.search(before)
    if start is None or not before[: start.start()].rstrip(_SEPARATORS):
        return 0
    return max(0, place - REACH) + start.start()


def _at_tag(data: bytes, place: int) -> int:
    return place if ANSWER_START.match(data, place) else 0


BY_KEY = _Mark(b'"response"', _before_key)
_MARKS = {
    "key": BY_KEY,
    "line": _Mark(b"\n{", lambda _, place: place + 1),
    "text": _Mark(b'\\"response\\"', _before_text),
}
_BY_TAG = _Mark(b"<response", _at_tag)


@dataclass(frozen=True)
class Block:
    """A stretch of an export that holds whole records.

    Attributes
    ----------
    form
        How the text in ``data`` is written, as UTF-8.
    line
        Number of its first line in the file; None where records came one by one.
    lines
        Whether a record that does not decode ends with its line (JSON Lines).
    array
        Whether it begins with the bracket of an array of records.
    begins
        What tells where records of JSON start: their key ``response``, a line that starts with a
        brace, or a text that holds an answer, as JSON has that was encoded twice.
    refused
        Why its only record is refused unread; ``data`` then shows the beginning and end of it.
    """

    form: Literal["json", "xml"]
    data: bytes = b""
    line: int | None = None
    lines: bool = False
    array: bool = False
    begins: Literal["key", "line", "text"] = "key"
    refused: str | None = None

    @property
    def mark(self) -> _Mark:
        """What tells where records start."""
        return _BY_TAG if self.form == "xml" else _MARKS[self.begins]

    @property
    def end_mark(self) -> bytes | None:
        """What ends a record, however damaged; None where only the start of the next one does."""
        return b"</response>" if self.form == "xml" else b"\n" if self.lines else None

    def start_after(self, position: int) -> int:
        """Find where the first record after a position starts, or the end of the data."""
        return self.mark.after(self.data, position)

    def stretches(self) -> Iterator[tuple[int, int]]:
        """Yield the start and end of each record together with what follows it up to the next."""
        start = 0
        while start < len(self.data):
            end = self.start_after(start)
            yield start, end
            start = end

    def cut(self, places: Iterable[int]) -> list[Block]:
        """Cut the block at some places, given in their order."""
        pieces, start, line = [], 0, self.line
        for end in (*places, len(self.data)):
            if end > start:
                data = self.data[start:end]
                pieces.append(replace(self, data=data, line=line))
                line = None if line is None else line + data.count(b"\n")
                start = end
        return pieces


@dataclass(frozen=True)
class Fault:
    """Why a file could not be read, or not to its end."""

    reason: str
    line: int | None = None


def batched(
    reads: Iterable[tuple[Export, Block | Fault]], size: int = BLOCK_BYTES
) -> Iterator[list[tuple[Export, Block]] | tuple[Export, Fault]]:
    """Batch small blocks, as thousands of files of one answer give, up to ``size`` bytes."""
    batch: list[tuple[Export, Block]] = []
    length = 0
    for export, block in reads:
        weight = size
        if isinstance(block, Block) and _is_small(block):
            weight = len(block.data)
        if batch and length + weight > size:
            yield batch
            batch, length = [], 0
        if isinstance(block, Fault):
            yield export, block
        else:
            batch.append((export, block))
            length += weight
    if batch:
        yield batch


def _is_small(block: Block) -> bool:
    return len(block.data) <= _SMALL


def array_ends(last: Block) -> bool:
    """Check by a file's last block whether its array of answers has an end."""
    if last.refused:
        return last.data.rstrip().endswith(b"]")
    text = last.data[last.mark.last(last.data) :].decode(errors="backslashreplace")
    end = 0
    while (start := after_separators(text, end)) < len(text):
        try:
            _, end = _DECODER.raw_decode(text, start)
        except (ValueError, RecursionError) as error:
            return not breaks_off(error) and text.rstrip().endswith("]")
    return "]" in text[end:]


def after_separators(text: str, position: int) -> int:
    """Find where the next JSON value starts: commas and brackets may stand between records."""
    match = _BETWEEN.match(text, position)
    return match.end() if match else position


def breaks_off(error: Exception) -> bool:
    """Check whether JSON did not decode because it ends in the middle."""
    return isinstance(error, json.JSONDecodeError) and (
        error.msg.startswith("Unterminated") or bool(_STUMP.fullmatch(error.doc, error.pos))
    )
