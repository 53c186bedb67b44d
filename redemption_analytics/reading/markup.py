"""XML around answers: where they start, and what they stand in."""

from __future__ import annotations

import re

#: Where an answer starts. Answers hold no answers, so another start ends one that has no end.
ANSWER_START = re.compile(rb"<response(?=[\s/>])")

_DECLARATIONS = rb"<\?.*?\?>|<!--.*?-->|<!DOCTYPE[^\[>]*(?:\[.*?\]\s*)?>"
# Possessive: what was passed over is not looked at again, however the text goes on.
_FIRST_NAME = re.compile(rb"(?:\s|%b)*+<([A-Za-z_][\w.:-]*)" % _DECLARATIONS, re.DOTALL)


def wrapper(head: bytes) -> bytes:
    """Return the name of the element around the answers, by a text's beginning; empty if none."""
    first = _FIRST_NAME.match(head)
    return b"" if first is None or first[1] == b"response" else first[1]


def opened_in(data: bytes, name: bytes) -> int:
    """Count the elements of a name that a stretch of XML opens, less those that it closes."""
    closed = sum(data.count(tag % name) for tag in (b"</%b>", b"</%b >", b"<%b/>", b"<%b />"))
    return data.count(b"<" + name) - closed
