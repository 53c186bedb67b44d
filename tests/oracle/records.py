"""Decoding a block record by record, in Python: what the slow road and the samples read."""

from __future__ import annotations

import json
import re
from bisect import bisect_left
from collections.abc import Iterator
from dataclasses import dataclass, field
from decimal import Decimal
from functools import cached_property
from typing import Any

from oracle.conform import Steps, Twice
from oracle.xml_answers import Leaf, Node, XmlError, placed, xml_records
from redemption_analytics.reading.blocks import Block, after_separators, breaks_off
from redemption_analytics.reading.detect import is_encoded


def _object(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    return found if len(found) == len(pairs) else Twice(pairs)


_BRACKET = re.compile(rb"\s*\[")
_SPACE = re.compile(r"\s*")
_READING: dict[str, Any] = {
    "parse_float": Decimal,
    "parse_constant": str,
    "object_pairs_hook": _object,
}
_DECODER = json.JSONDecoder(**_READING)
# Python refuses to read integers of very many digits as such.
_LONG_DECODER = json.JSONDecoder(**_READING, parse_int=Decimal)
_DECODING_ERRORS = (ValueError, RecursionError)
#: What stands in place of bytes that are no UTF-8, and at the end of a text of half a character.
_NO_UTF8 = re.compile("[\udc80-\udcff]")
_HALF_CHARACTER = re.compile("[\udc80-\udcff]{1,3}\\Z")
#: What stands between answers in one piece: zeros of a sparse copy, what HTTP says, a page.
_RUBBISH = re.compile(
    r"(?P<zeros>\0[\0\s]*)"
    r"|(?P<headers>(?:HTTP/\d[^\n]*(?:\n[!#$%&'*+.^`|~\w-]+:[^\n]*)*\s*)+)"
    r"|(?P<page><(?:!doctype\s+)?html\b.*?(?:</html\s*>|\Z))",
    re.ASCII | re.DOTALL | re.IGNORECASE,
)
_RUBBISH_IS = {
    "zeros": "NUL bytes, as the copy of a file has that is not whole",
    "headers": "headers of HTTP",
    "page": "a page of HTML",
}
_ZEROS = re.compile(r"\0{2,}")
#: What follows a number, true, false or null that is a record.
_ALONE = re.compile(r"[ \t\r]*(?:[\n,\]]|\Z)")


@dataclass(frozen=True)
class Record:
    """One record: its decoded value, or why it could not be decoded.

    Attributes
    ----------
    line
        Line on which it starts; where decoding failed, the line on which it failed.
    text
        Its text, where it could not be decoded.
    """

    value: object
    error: str | None = None
    line: int | None = None
    text: str | None = None

    def line_of(self, steps: Steps) -> int | None:
        """Give the line of the value at the end of some steps, None where there are no lines."""
        return self.line

    def text_of(self, steps: Steps, value: object) -> str:
        """Give the text of the value at the end of some steps."""
        return _written(value)


class _Source:
    """The text that records are a part of, and the number of its first line."""

    def __init__(self, text: str, line: int | None):
        self.text = text
        self._line = line

    def line_at(self, position: int) -> int | None:
        """Give the line of a place."""
        return None if self._line is None else self._line + bisect_left(self._breaks, position)

    @cached_property
    def _breaks(self) -> list[int]:
        return [match.start() for match in re.finditer("\n", self.text)]


@dataclass(frozen=True)
class _JsonRecord(Record):
    source: _Source = field(default_factory=lambda: _Source("", None))
    start: int = 0
    _inner: dict[int, dict[str | int, int]] = field(default_factory=dict, repr=False)

    def line_of(self, steps: Steps) -> int | None:
        return self.source.line_at(self._position_of(steps))

    def text_of(self, steps: Steps, value: object) -> str:
        start = self._position_of(steps)
        _, end = value_at(self.source.text, start)
        return self.source.text[start:end]

    def _position_of(self, steps: Steps) -> int:
        """Find where the value at the end of some steps starts; its parent, where it is absent."""
        position = self.start
        for step in steps:
            # A record may hold many refused elements: what was found is not looked for again.
            if position not in self._inner:
                self._inner[position] = _places_in(self.source.text, position)
            if step not in self._inner[position]:
                break
            position = self._inner[position][step]
        return position


@dataclass(frozen=True)
class _XmlRecord(Record):
    source: bytes = b""

    def line_of(self, steps: Steps) -> int | None:
        return None if self.line is None else self._element_at(steps).line

    def text_of(self, steps: Steps, value: object) -> str:
        element = self._element_at(steps)
        return self.source[element.start : element.end].decode(errors="backslashreplace")

    @cached_property
    def _placed(self) -> Any:
        return placed(self.source, self.line or 1)

    def _element_at(self, steps: Steps) -> Node | Leaf:
        """Find the element at the end of some steps; the one around it, where it is absent."""
        value: Any = self._placed
        element: Node | Leaf = value
        for step in steps:
            if isinstance(value, dict):
                value = value.get(str(step))
            elif isinstance(value, list) and isinstance(step, int):
                value = value[step]
            if isinstance(value, (Node, Leaf)):
                element = value
        return element


@dataclass(frozen=True)
class _InText(Record):
    """A record in a text, as JSON has that was encoded twice: all of it is on the text's line."""

    inner: Record = field(default_factory=lambda: Record(None))

    def text_of(self, steps: Steps, value: object) -> str:
        return self.inner.text_of(steps, value)


def read_records(block: Block) -> Iterator[Record]:
    """Decode the records of a block, one after the other."""
    if block.refused:
        yield Record(None, block.refused, block.line, block.data.decode(errors="backslashreplace"))
    elif block.form == "xml":
        yield from _xml(block)
    else:
        yield from _json(block)


def value_at(text: str, position: int) -> tuple[Any, int]:
    """Decode the JSON value that starts at a position; give where it ends, too."""
    try:
        return _DECODER.raw_decode(text, position)
    except json.JSONDecodeError:
        raise
    except ValueError:
        return _LONG_DECODER.raw_decode(text, position)


def decoded(data: bytes) -> object:
    """Decode the text of one record, however often it was encoded; None where that fails."""
    value: object = data
    try:
        while isinstance(value, (bytes, str)):
            value = json.loads(value)
    except _DECODING_ERRORS:
        return None
    return value


def _json(block: Block) -> Iterator[Record]:
    line = block.line
    for start, end in block.stretches():
        if not start and block.array and (opening := _BRACKET.match(block.data, 0, end)):
            # A blank in place of the bracket, so that all stays where it is.
            text = block.data[: opening.end() - 1] + b" " + block.data[opening.end() : end]
            yield from _decoded(text.decode(errors="surrogateescape"), line, block)
            line = None if line is None else line + text.count(b"\n")
            continue
        text = block.data[start:end].decode(errors="surrogateescape")
        yield from _decoded(text, line, block)
        line = None if line is None else line + block.data.count(b"\n", start, end)


def _decoded(text: str, line: int | None, block: Block) -> Iterator[Record]:
    source = _Source(text, line)
    odd = not text.isascii() and _NO_UTF8.search(text) is not None
    position = after_separators(text, 0)
    while position < len(text):
        try:
            value, end = value_at(text, position)
            if odd and _NO_UTF8.search(text, position, end):
                raise ValueError
            if not isinstance(value, (dict, list, str)) and not _ALONE.match(text, end):
                raise ValueError
        except _DECODING_ERRORS:
            end = _end_of_broken(text, position, block)
            broken = _without_separators(text[position:end], block)
            yield _undecodable(broken, source.line_at(position))
        else:
            line = source.line_at(position)
            if isinstance(value, str) and is_encoded(value):
                yield from _encoded(value, line)
            else:
                yield _JsonRecord(value, line=line, source=source, start=position)
        position = after_separators(text, end)


def _encoded(text: str, line: int | None) -> Iterator[Record]:
    """Decode the answers that a text holds; they may be in texts again."""
    data = text.encode(errors="backslashreplace")
    if data.lstrip().startswith(b"<"):
        records = _xml(Block("xml", data))
    else:
        records = _decoded(data.decode(), None, Block("json"))
    for record in records:
        yield _InText(record.value, record.error, line, record.text, record)


def _end_of_broken(text: str, position: int, block: Block) -> int:
    """Find where that ends which is no record."""
    rubbish = _RUBBISH.match(text, position)
    if rubbish:
        return rubbish.end()
    end = text.find("\n", position) if block.lines else -1
    return len(text) if end < 0 else end


def _without_separators(text: str, block: Block) -> str:
    if block.lines:
        return text.rstrip("\n\r\t ")
    whole = text.rstrip("\n\r\t ,[]")
    if whole.endswith('"' if block.begins == "text" else "}"):
        return whole
    return text.rstrip("\n\r\t ,")


def _undecodable(text: str, line: int | None) -> Record:
    # Decoded again by itself, so that what follows it does not change what is said of it.
    rubbish = _RUBBISH.fullmatch(text)
    if rubbish:
        kind = str(rubbish.lastgroup)
        return Record(None, f"no answer: {_RUBBISH_IS[kind]}", line, _ZEROS.sub("\0", text))
    whole = _HALF_CHARACTER.sub("", text)
    odd = _NO_UTF8.search(whole)
    text = text.encode(errors="surrogateescape").decode(errors="backslashreplace")
    if odd:
        line = None if line is None else line + whole.count("\n", 0, odd.start())
        column = odd.start() - whole.rfind("\n", 0, odd.start())
        return Record(None, f"not valid UTF-8 (column {column})", line, text)
    reason = "not valid JSON: other text follows a value"
    try:
        value_at(whole, 0)
    except json.JSONDecodeError as error:
        line = None if line is None else line + error.lineno - 1
        cut = breaks_off(error)
        said = "it breaks off in the middle" if cut else f"{error.msg} (column {error.colno})"
        reason = f"not valid JSON: {said}"
    except RecursionError:
        reason = "not readable: nested too deeply"
    return Record(None, reason, line, text)


def _places_in(text: str, position: int) -> dict[str | int, int]:
    """Give the place of each value in an object or array; of a key that comes twice the second."""
    places: dict[str | int, int] = {}
    twice = set()
    for name, place in _values_in(text, position):
        if name not in twice:
            twice.update({name} & places.keys())
            places[name] = place
    return places


def _values_in(text: str, position: int) -> Iterator[tuple[str | int, int]]:
    """Give the name or number, and the place, of each value in an object or array."""
    if text[position] not in "{[":
        return
    named = text[position] == "{"
    position = _skip(text, position + 1)
    index = 0
    while text[position] not in "}]":
        name: str | int = index
        if named:
            name, position = value_at(text, position)
            position = _skip(text, _skip(text, position) + 1)
        yield name, position
        _, position = value_at(text, position)
        position = _skip(text, position)
        if text[position] == ",":
            position = _skip(text, position + 1)
        index += 1


def _skip(text: str, position: int) -> int:
    match = _SPACE.match(text, position)
    return match.end() if match else position


def _xml(block: Block) -> Iterator[Record]:
    for text, found, value in xml_records(block.data, block.line or 1):
        line = None if block.line is None else found
        if isinstance(value, XmlError):
            yield Record(None, str(value), line, text.decode(errors="backslashreplace"))
        else:
            yield _XmlRecord(value, line=line, source=text)


def _written(value: object) -> str:
    try:
        return json.dumps(value, ensure_ascii=False, default=str)
    except (ValueError, RecursionError):
        return "a value that cannot be written out"
