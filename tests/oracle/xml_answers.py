"""Answers written as XML, in both dialects, decoded into the objects that JSON would give."""

from __future__ import annotations

import re
from collections.abc import Iterator
from itertools import pairwise
from typing import Any
from xml.etree import ElementTree
from xml.parsers import expat

from redemption_analytics.reading.markup import ANSWER_START

_ANSWER_END = re.compile(rb"</response\s*>|<response(?:\s[^<>]*)?/>")

_DECLARATIONS = rb"<\?.*?\?>|<!--.*?-->|<!DOCTYPE[^\[>]*(?:\[.*?\]\s*)?>"
# Elements around answers hold nothing themselves, so their tags may have any name.
_BETWEEN = re.compile(
    rb"(?:\s|%b|</?[A-Za-z_][\w.:-]*+(?:\s++xmlns[^<>]*+|\s*+)>|<(?:root|responses)\s*/>"
    rb"|<(?:/[\w.:-]*)?\s*\Z|\xef\xbb\xbf)*+" % _DECLARATIONS,
    re.DOTALL,
)


class XmlError(ValueError):
    """A stretch of XML that holds no well-formed answer."""

    def __init__(self, reason: str, line: int):
        super().__init__(reason)
        self.line = line


class Node(dict[str, Any]):
    """An element with children: its line, and where its text starts and ends in its answer."""

    __slots__ = ("end", "line", "start")

    def __init__(self, line: int, start: int):
        super().__init__()
        self.line = line
        self.start = start
        self.end = start


class Leaf(str):
    """An element with text only: its line, and where its text starts and ends in its answer."""

    __slots__ = ("end", "line", "start")

    line: int
    start: int
    end: int


def xml_records(data: bytes, line: int) -> Iterator[tuple[bytes, int, dict[str, Any] | XmlError]]:
    """Decode each answer of a stretch of XML.

    Each ``<response>`` is parsed by itself, so a damaged one costs only itself. Declarations,
    document types and wrapping elements between them are passed over, never interpreted: no entity
    is defined, none resolved.

    Parameters
    ----------
    data
        UTF-8 text.
    line
        Number of its first line.

    Yields
    ------
    tuple of bytes, int and (dict or XmlError)
        The text of an answer, the number of its first line, or of that where it is wrong, and the
        decoded answer or what is wrong with it.
    """
    starts = [match.start() for match in ANSWER_START.finditer(data)]
    first = starts[0] if starts else len(data)
    yield from _between(data[:first], line)
    line += data.count(b"\n", 0, first)
    for start, stop in pairwise([*starts, len(data)]):
        match = _ANSWER_END.search(data, start, stop)
        if match:
            text = data[start : match.end()]
            value = decoded(text) or placed(text, line)
            yield text, value.line if isinstance(value, XmlError) else line, value
            after = line + text.count(b"\n")
            yield from _between(data[match.end() : stop], after)
        else:
            reason = "not valid XML: the answer is cut off before </response>"
            yield data[start:stop].strip(), line, XmlError(reason, line)
        line += data.count(b"\n", start, stop)


def _between(data: bytes, line: int) -> Iterator[tuple[bytes, int, XmlError]]:
    if not _BETWEEN.fullmatch(data):
        line += data.count(b"\n", 0, len(data) - len(data.lstrip()))
        reason = "not an answer of this API: it has no element <response>"
        yield data.strip(), line, XmlError(reason, line)


def decoded(text: bytes) -> dict[str, Any] | None:
    """Decode an answer; None where only :func:`placed` can tell what it means."""
    if b"xmlns" in text:
        return None
    try:
        root = ElementTree.fromstring(text)
        return {root.tag: _value(root)}
    except (ElementTree.ParseError, RecursionError):
        return None


def _value(element: ElementTree.Element) -> Any:
    if not len(element):
        return (element.text or "").strip() or None
    node: dict[str, Any] = {}
    for child in element:
        _put(node, child.tag, _value(child))
    return _unwrapped(node)


def _unwrapped(node: dict[str, Any]) -> Any:
    """Take the element <element> for what it stands for: the items of a list."""
    if len(node) != 1 or "element" not in node:
        return node
    value = node["element"]
    return value if isinstance(value, list) else [value]


def _put(node: dict[str, Any], tag: str, value: Any) -> None:
    if tag not in node:
        node[tag] = value
    elif isinstance(node[tag], Repeated):
        node[tag].append(value)
    else:
        node[tag] = Repeated([node[tag], value])


def placed(text: bytes, line: int) -> Node | XmlError:
    """Decode an answer into the same, and tell where in its text each element stands.

    Parameters
    ----------
    text
        The answer.
    line
        The number of its first line.
    """
    parser = expat.ParserCreate("utf-8")
    parser.buffer_text = True
    node = root = Node(line, 0)
    root.end = len(text)
    stack: list[tuple[Node, str]] = []
    pieces: list[str] = []

    def start(tag: str, _attributes: dict[str, str]) -> None:
        nonlocal node
        pieces.clear()
        stack.append((node, tag))
        node = Node(line + parser.CurrentLineNumber - 1, parser.CurrentByteIndex)

    def end(_tag: str) -> None:
        nonlocal node
        value: Any = node
        # Of an empty element this is the place of its only tag, of others that of their end tag.
        node.end = text.find(b">", parser.CurrentByteIndex) + 1
        if not node:
            written = "".join(pieces).strip()
            value = None
            if written:
                value = Leaf(written)
                value.line, value.start, value.end = node.line, node.start, node.end
        else:
            value = _unwrapped(node)
        pieces.clear()
        node, tag = stack.pop()
        _put(node, tag, value)

    parser.StartElementHandler = start
    parser.EndElementHandler = end
    parser.CharacterDataHandler = pieces.append
    try:
        parser.Parse(text, True)
    except expat.ExpatError as error:
        reason = expat.ErrorString(error.code)
        return XmlError(f"not valid XML: {reason}", line + error.lineno - 1)
    return root


class Repeated(list[Any]):
    """Values of a tag that was repeated, as against one value that is a list."""
