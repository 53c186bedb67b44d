"""The foreign organisation's exports as XML, by a writer of their own."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from xml.sax.saxutils import escape

_QUOTES = {'"': "&quot;", "'": "&#39;"}
_ASCII, _UTF8 = ("ascii", "xmlcharrefreplace"), ("utf-8", "strict")


def write_foreign_xml(export: Path, to: Path, elements: bool) -> None:
    """Write a JSON Lines export as indented XML, in some answers with references for all but ASCII.

    Parameters
    ----------
    export, to
        What to read, and where to write.
    elements
        Whether a list is written as an ``<element>`` for each, as in 2020, or by repeating its tag.
    """
    with export.open("rb") as lines, to.open("wb") as out:
        out.write(b'<?xml version="1.0" encoding="utf-8" ?>\n<root>\n')
        for number, line in enumerate(lines):
            text = "".join(_tags("response", json.loads(line)["response"], elements, "   "))
            encoding, errors = _ASCII if number % 4 == 3 else _UTF8
            out.write(text.encode(encoding, errors))
        out.write(b"</root>\n")


def _tags(name: str, value: Any, elements: bool, indent: str) -> Iterator[str]:
    if isinstance(value, list) and not elements:
        for inner in value:
            yield from _tags(name, inner, elements, indent)
    elif value is None or value == "" or value == []:
        yield f"{indent}<{name}/>\n"
    elif isinstance(value, dict | list):
        inside = value.items() if isinstance(value, dict) else (("element", v) for v in value)
        yield f"{indent}<{name}>\n"
        for key, inner in inside:
            yield from _tags(key, inner, elements, indent + "   ")
        yield f"{indent}</{name}>\n"
    else:
        text = str(value).lower() if isinstance(value, bool) else str(value)
        yield f"{indent}<{name}>{escape(text, _QUOTES)}</{name}>\n"
