"""Rejects in words: what the native reader refused, said as people read it."""

from __future__ import annotations

import json
import re
from decimal import Decimal
from typing import Any, NamedTuple
from xml.parsers import expat

from redemption_analytics.native.declaration import Declaration

#: What is said of a value, which goes before; in the order of the reader's reasons. Those that
#: begin with a colon say all by themselves.
REASONS = (
    "",
    "",
    ":the value is no object",
    ":{names} is missing",
    ":the key stands twice in its object",
    ":the text holds half of a surrogate pair",
    "is no text",
    "is no number",
    "is too large",
    "is no whole number",
    "does not fit 64 bits",
    'is no whole number of points: load with points="decimal" to keep it',
    "is negative",
    "is too large for points",
    "has more than three decimal places",
    "has more digits than a float holds to three decimal places",
    "is no time",
    "is no time of the form YYYY-MM-DD HH:MM:SS",
    "carries a UTC offset: name the organisation's zone, as in"
    ' timezone="Europe/Paris", to read it as wall-clock time there',
    "is out of range",
    "is neither true nor false",
    ":not an answer of this API: no redemptions, but other fields",
    ":not an answer of this API: the record is no object",
    ':not an answer of this API: it has no object "response"',
    ':not an answer of this API: neither "status" nor "customer"',
    ":not an answer of this API: no customer, but other fields",
    ":not readable",
    ":not an answer of this API: it has no element <response>",
    ":not valid XML: the answer is cut off before </response>",
)
_MISSING = 3
_FOREIGN = (21, 25)
_UNDECODABLE = 26
_RAW_DECODED, _IS_TEXT, _IS_HIDDEN = 1, 2, 4
_SHOWN = 60

_DECODER = json.JSONDecoder(parse_float=Decimal, parse_constant=str)
# Python refuses to read integers of very many digits as such.
_LONG_DECODER = json.JSONDecoder(parse_float=Decimal, parse_int=Decimal, parse_constant=str)
_NO_UTF8 = re.compile("[\udc80-\udcff]")
_HALF_CHARACTER = re.compile("[\udc80-\udcff]{1,3}\\Z")
_STUMP = re.compile(
    r"(?:t(?:ru?)?|f(?:a(?:ls?)?)?|n(?:ul?)?|-|[.eE][+-]?|\\?u[0-9a-fA-F]{0,4}|(?:\\x[0-9a-f]{2})+)?\s*"
)


class Reject(NamedTuple):
    """A refused element, as the table ``rejects`` and the ledger need it."""

    element: str
    record: int | None
    line: int | None
    path: str | None
    reason: str
    raw: str | None


class Refused(NamedTuple):
    """A refused element as the reader tells it: numbers, and places in texts."""

    reason: int
    table: int
    record: int
    start: int
    end: int
    place: int
    value: int
    value_size: int
    path: int
    path_size: int
    parameter: int
    flags: int


class Texts(NamedTuple):
    """The texts that refused elements point into.

    Attributes
    ----------
    data
        The block.
    decoded
        What was encoded twice, decoded once.
    words
        Values and paths.
    xml
        Whether the block holds XML.
    """

    data: Any
    decoded: bytes
    words: bytes
    xml: bool


def in_words(
    refused: Refused, texts: Texts, said: Declaration, line: int | None, *, personal: bool
) -> Reject:
    """Say what was refused and why.

    Parameters
    ----------
    refused
        What the reader tells.
    texts
        What it points into.
    said
        The contract that was read by.
    line
        The line of the value that is wrong.
    personal
        Whether personal data may be shown.
    """
    source = texts.decoded if refused.flags & _RAW_DECODED else texts.data
    text = bytes(source[refused.start : refused.end])
    raw = text.decode(errors="backslashreplace")
    path = texts.words[refused.path : refused.path + refused.path_size].decode()
    if refused.reason == _UNDECODABLE:
        reason, further = (_not_xml if texts.xml else _not_json)(text)
        line = None if line is None else line + further
    else:
        reason = _sentence(refused, texts, said, text, personal)
    element = said.elements[refused.table]
    return Reject(element, refused.record, line, path, reason, raw if personal else None)


def _sentence(
    refused: Refused, texts: Texts, said: Declaration, text: bytes, personal: bool
) -> str:
    reason = REASONS[refused.reason]
    if not reason.startswith(":"):
        return f"{_shown(refused, texts) if personal else 'the value'} {reason}"
    reason = reason[1:]
    if refused.reason == _MISSING:
        return reason.format(names=" or ".join(said.missing(refused.parameter)))
    if refused.reason in _FOREIGN and personal:
        known = said.places[refused.parameter].shape.known
        return f"{reason}: {_listed(_names(text, texts.xml) - known)}"
    return reason


def _shown(refused: Refused, texts: Texts) -> str:
    if refused.flags & _IS_HIDDEN:
        return "the value"
    written = texts.words[refused.value : refused.value + refused.value_size]
    text = written.decode(errors="surrogatepass")
    if refused.flags & _IS_TEXT:
        shown = repr(text)
    else:
        value = _value(text)
        shown = str(value) if isinstance(value, Decimal) else repr(value)
    return shown if len(shown) <= _SHOWN else f"{shown[:_SHOWN]}…"


def _value(text: str) -> Any:
    try:
        return _DECODER.decode(text)
    except json.JSONDecodeError:
        raise
    except ValueError:
        return _LONG_DECODER.decode(text)


def _names(text: bytes, xml: bool) -> set[str]:
    """Give the names that an object has which stands in a text."""
    if not xml:
        value = _value(text.decode())
        return set(value.get("response", value)) if isinstance(value, dict) else set()
    depth, names = 0, set()

    def start(tag: str, _: object) -> None:
        nonlocal depth
        if depth == 1:
            names.add(tag)
        depth += 1

    def end(_: str) -> None:
        nonlocal depth
        depth -= 1

    parser = expat.ParserCreate("utf-8")
    parser.StartElementHandler, parser.EndElementHandler = start, end
    parser.Parse(text, True)
    return names


def _listed(names: set[str]) -> str:
    listed = ", ".join(sorted(map(str, names))[:5])
    return listed[:200].encode(errors="backslashreplace").decode()


def _not_json(data: bytes) -> tuple[str, int]:
    """Say what is wrong with a text that is no JSON, and how many lines further on."""
    whole = _HALF_CHARACTER.sub("", data.decode(errors="surrogateescape"))
    odd = _NO_UTF8.search(whole)
    if odd:
        column = odd.start() - whole.rfind("\n", 0, odd.start())
        return f"not valid UTF-8 (column {column})", whole.count("\n", 0, odd.start())
    try:
        _raw_decoded(whole)
    except json.JSONDecodeError as error:
        cut = error.msg.startswith("Unterminated") or _STUMP.fullmatch(error.doc, error.pos)
        wrong = "it breaks off in the middle" if cut else f"{error.msg} (column {error.colno})"
        return f"not valid JSON: {wrong}", error.lineno - 1
    except RecursionError:
        pass
    return "not readable: nested too deeply", 0


def _raw_decoded(text: str) -> object:
    try:
        return _DECODER.raw_decode(text)
    except json.JSONDecodeError:
        raise
    except ValueError:
        return _LONG_DECODER.raw_decode(text)


def _not_xml(text: bytes) -> tuple[str, int]:
    """Say what is wrong with a text that is no XML, and how many lines further on."""
    parser = expat.ParserCreate("utf-8")
    try:
        parser.Parse(text, True)
    except expat.ExpatError as error:
        return f"not valid XML: {expat.ErrorString(error.code)}", error.lineno - 1
    return "not readable: nested too deeply", 0
