"""Decoding a block record by record, in Python: what the slow road and the samples read."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from dataclasses import dataclass
from decimal import Decimal

from redemption_analytics.blocks import Block
from redemption_analytics.conform import Steps
from redemption_analytics.xml_answers import Node, XmlError, xml_records

_SPACE = re.compile(r"[\s]*")
_DECODER = json.JSONDecoder(parse_float=Decimal, parse_constant=str)
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

    def line_of(self, steps: Steps) -> int | None:
        if self.line is None:
            return None
        end = _position_of(self.source, self.start, steps)
        return self.line + self.source.count("\n", self.start, end)

    def text_of(self, steps: Steps, value: object) -> str:  # noqa: ARG002
        start = _position_of(self.source, self.start, steps)
        _, end = _DECODER.raw_decode(self.source, start)
        return self.source[start:end]


@dataclass(frozen=True)
class _XmlRecord(Record):
    def line_of(self, steps: Steps) -> int | None:
        line, value = self.line, self.value
        for step in steps if line is not None else ():
            if isinstance(value, dict):
                value = value.get(step)
            elif isinstance(value, list) and isinstance(step, int) and step < len(value):
                value = value[step]
            line = value.line if isinstance(value, Node) else line
        return line


def read_records(block: Block) -> Iterator[Record]:
    """Decode the records of a block, one after the other."""
    if block.form == "decoded":
        for value in block.decoded:
            yield Record(value)
    elif block.form == "xml":
        yield from _xml(block)
    else:
        yield from _json(block)


def record_at(block: Block, start: int) -> object:
    """Decode the record that starts at a position; None where that fails."""
    end = block.start_after(start + 1)
    try:
        return json.loads(block.data[start:end])
    except _DECODING_ERRORS:
        return None


def _json(block: Block) -> Iterator[Record]:
    text = block.data.decode(errors="backslashreplace")
    line = block.line or 1
    position = _skip(text, 0)
    counted = 0

    def line_at(place: int) -> int | None:
        return None if block.line is None else line + text.count("\n", counted, place)

    while position < len(text):
        line += text.count("\n", counted, position)
        counted = position
        try:
            value, end = _DECODER.raw_decode(text, position)
        except _DECODING_ERRORS as error:
            end = _resume(text, position, block)
            failed = error.pos if isinstance(error, json.JSONDecodeError) else position
            reason = _why(error, cut=block.one_per_line and failed >= end)
            yield Record(None, reason, line_at(min(failed, end)), text[position:end].strip())
        else:
            yield _JsonRecord(value, line=line_at(position), source=text, start=position)
        position = _skip(text, end)


def _why(error: Exception, *, cut: bool) -> str:
    if cut or (isinstance(error, json.JSONDecodeError) and error.msg.startswith("Unterminated")):
        return "not valid JSON: it breaks off in the middle"
    if isinstance(error, json.JSONDecodeError):
        return f"not valid JSON: {error.msg} (column {error.colno})"
    if isinstance(error, RecursionError):
        return "not readable: nested too deeply"
    return f"not valid JSON: {error}"


def _resume(text: str, position: int, block: Block) -> int:
    """Find where the next record may start after one that does not decode."""
    if block.one_per_line:
        end = text.find("\n", position)
        return len(text) if end < 0 else end
    key = re.escape(block.key.decode())
    start = re.compile(r'\n(?=[{\[])|\}\s*,?\s*(?=\{\s*"' + key + r'"\s*:)')
    match = start.search(text, position)
    return match.end() if match else len(text)


def _skip(text: str, position: int) -> int:
    match = _SPACE.match(text, position)
    return match.end() if match else position


def _position_of(text: str, position: int, steps: Steps) -> int:
    """Find where the value at the end of some steps starts; at its parent, where it is absent."""
    for step in steps:
        found = None
        inside = _skip(text, position + 1)
        index = 0
        while text[inside] not in "}]":
            if text[position] == "{":
                name, end = _DECODER.raw_decode(text, inside)
                inside = _skip(text, _skip(text, end) + 1)
            else:
                name = index
            if name == step:
                found = inside
            _, end = _DECODER.raw_decode(text, inside)
            inside = _skip(text, end)
            if text[inside] == ",":
                inside = _skip(text, inside + 1)
            index += 1
        if found is None:
            break
        position = found
    return position


def _xml(block: Block) -> Iterator[Record]:
    for text, value in xml_records(block.data, block.line or 1):
        line = None if block.line is None else value.line
        if isinstance(value, XmlError):
            yield Record(None, str(value), line, text.decode(errors="backslashreplace"))
        else:
            yield _XmlRecord(value, line=line)


def _written(value: object) -> str:
    try:
        return json.dumps(value, ensure_ascii=False, default=str)
    except (ValueError, RecursionError):
        return repr(value)
