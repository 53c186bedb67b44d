"""Answers written as XML, in both dialects, decoded into the objects that JSON would give."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any
from xml.parsers import expat

_RESPONSE = re.compile(rb"<response\b[^>]*?(?:/>|>.*?</response\s*>)", re.DOTALL)
_BETWEEN = re.compile(
    rb"<\?.*?\?>|<!--.*?-->|<!DOCTYPE[^\[>]*(?:\[.*?\]\s*)?>|</?(?:root|responses)\b[^>]*>",
    re.DOTALL,
)


class XmlError(ValueError):
    """A stretch of XML that holds no well-formed answer."""

    def __init__(self, reason: str, line: int):
        super().__init__(reason)
        self.line = line


class Node(dict[str, Any]):
    """An element with children, and the line on which it starts."""

    __slots__ = ("line",)

    def __init__(self, line: int):
        super().__init__()
        self.line = line


def xml_records(data: bytes, line: int) -> Iterator[tuple[bytes, Node | XmlError]]:
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
    tuple of bytes and (Node or XmlError)
        The text of an answer, and the decoded answer or what is wrong with it.
    """
    end = 0
    for match in _RESPONSE.finditer(data):
        yield from _rest(data[end : match.start()], line)
        line += data.count(b"\n", end, match.start())
        text = match.group()
        yield text, _decode(text, line)
        line += text.count(b"\n")
        end = match.end()
    yield from _rest(data[end:], line)


def _rest(data: bytes, line: int) -> Iterator[tuple[bytes, XmlError]]:
    left = _BETWEEN.sub(b"", data)
    if left.strip():
        line += data.count(b"\n", 0, len(data) - len(data.lstrip()))
        if b"<response" in left:
            reason = "not valid XML: the answer is cut off before </response>"
        else:
            reason = "not an answer of this API: it has no element <response>"
        yield data.strip(), XmlError(reason, line)


def _decode(text: bytes, line: int) -> Node | XmlError:
    parser = expat.ParserCreate("utf-8")
    parser.buffer_text = True
    root = Node(line)
    stack: list[tuple[Node, str]] = []
    node = root
    pieces: list[str] = []

    def start(tag: str, _attributes: dict[str, str]) -> None:
        nonlocal node
        pieces.clear()
        stack.append((node, tag))
        node = Node(line + parser.CurrentLineNumber - 1)

    def end(_tag: str) -> None:
        nonlocal node
        value: Any = node
        if not node:
            value = "".join(pieces).strip() or None
        elif node.keys() == {"element"}:
            value = node["element"]
            value = value if isinstance(value, list) else [value]
        pieces.clear()
        node, tag = stack.pop()
        if tag not in node:
            node[tag] = value
        elif isinstance(node[tag], _Repeated):
            node[tag].append(value)
        else:
            node[tag] = _Repeated([node[tag], value])

    parser.StartElementHandler = start
    parser.EndElementHandler = end
    parser.CharacterDataHandler = pieces.append
    try:
        parser.Parse(text, True)
    except expat.ExpatError as error:
        reason = expat.ErrorString(error.code)
        return XmlError(f"not valid XML: {reason}", line + error.lineno - 1)
    return root


class _Repeated(list[Any]):
    """Values of a tag that was repeated, as against one value that is a list."""
