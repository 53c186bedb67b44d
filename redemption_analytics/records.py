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

from redemption_analytics.blocks import Block, after_separators, breaks_off
from redemption_analytics.conform import Steps
from redemption_analytics.xml_answers import Leaf, Node, XmlError, placed, xml_records

_SPACE = re.compile(r"\s*")
_DECODER = json.JSONDecoder(parse_float=Decimal, parse_constant=str)
# Python refuses to read integers of very many digits as such.
_LONG_DECODER = json.JSONDecoder(parse_float=Decimal, parse_int=Decimal, parse_constant=str)
_DECODING_ERRORS = (ValueError, RecursionError)


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

    def line_of(self, steps: Steps) -> int | None:  # noqa: ARG002
        """Give the line of the value at the end of some steps, None where there are no lines."""
        return self.line

    def text_of(self, steps: Steps, value: object) -> str:  # noqa: ARG002
        """Give the text of the value at the end of some steps."""
        return _written(value)


@dataclass(frozen=True)
class _JsonRecord(Record):
    source: str = ""
    start: int = 0
    _inner: dict[int, dict[str | int, int]] = field(default_factory=dict, repr=False)

    def line_of(self, steps: Steps) -> int | None:
        if self.line is None:
            return None
        return self.line + bisect_left(self._line_breaks, self._position_of(steps))

    def text_of(self, steps: Steps, value: object) -> str:  # noqa: ARG002
        start = self._position_of(steps)
        _, end = value_at(self.source, start)
        return self.source[start:end]

    @cached_property
    def _line_breaks(self) -> list[int]:
        return [m.start() for m in re.compile("\n").finditer(self.source, self.start)]

    def _position_of(self, steps: Steps) -> int:
        """Find where the value at the end of some steps starts; its parent, where it is absent."""
        position = self.start
        for step in steps:
            # A record may hold many refused elements: what was found is not looked for again.
            if position not in self._inner:
                self._inner[position] = dict(_values_in(self.source, position))
            if step not in self._inner[position]:
                break
            position = self._inner[position][step]
        return position


@dataclass(frozen=True)
class _XmlRecord(Record):
    source: bytes = b""

    def line_of(self, steps: Steps) -> int | None:
        return None if self.line is None else self._element_at(steps).line

    def text_of(self, steps: Steps, value: object) -> str:  # noqa: ARG002
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


def read_records(block: Block) -> Iterator[Record]:
    """Decode the records of a block, one after the other."""
    if block.refused:
        yield Record(None, block.refused, block.line, block.data.decode(errors="backslashreplace"))
    elif block.form == "decoded":
        for value in block.decoded:
            yield Record(value)
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
    """Decode the text of one record; None where that fails."""
    try:
        return json.loads(data)
    except _DECODING_ERRORS:
        return None


def _json(block: Block) -> Iterator[Record]:
    line = block.line
    for start, end in block.stretches():
        text = block.data[start:end].decode(errors="backslashreplace")
        yield from _decoded(text, line, block)
        line = None if line is None else line + block.data.count(b"\n", start, end)


def _decoded(text: str, line: int | None, block: Block) -> Iterator[Record]:
    position, counted = after_separators(text, 0), 0
    while position < len(text):
        if line is not None:
            line += text.count("\n", counted, position)
            counted = position
        try:
            value, end = value_at(text, position)
        except _DECODING_ERRORS:
            end = text.find("\n", position) if block.lines else -1
            end = len(text) if end < 0 else end
            yield _undecodable(
                text[position:end].rstrip("\n\r\t " if block.lines else "\n\r\t ,"), line
            )
        else:
            yield _JsonRecord(value, line=line, source=text, start=position)
        position = after_separators(text, end)


def _undecodable(text: str, line: int | None) -> Record:
    # Decoded again by itself, so that what follows it does not change what is said of it.
    reason = "not readable: nested too deeply"
    try:
        value_at(text, 0)
    except json.JSONDecodeError as error:
        line = None if line is None else line + error.lineno - 1
        cut = breaks_off(error)
        said = "it breaks off in the middle" if cut else f"{error.msg} (column {error.colno})"
        reason = f"not valid JSON: {said}"
    except RecursionError:
        pass
    return Record(None, reason, line, text)


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
