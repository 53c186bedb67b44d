"""Rejects in words: what the native reader refused, said as people read it."""

from __future__ import annotations

import json
import re
from decimal import Decimal
from typing import Any, NamedTuple
from xml.parsers import expat

from redemption_analytics.contract import EXACT_POINTS
from redemption_analytics.parsing.declaration import Declaration
from redemption_analytics.reading.blocks import Block, breaks_off

#: What is said of a value, which goes before; in the order of the reader's reasons. Those that
#: begin with a colon say all by themselves.
REASONS = (
    "",
    "",
    ":the value is no object",
    ":{names} is missing",
    ':"{name}" comes twice',
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
    "cannot be held to three decimal places: decimal points are 64-bit floats, which hold"
    f" all below {EXACT_POINTS:,}",
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
    ":",
)
_MISSING = 3
_TWICE = 4
_FOREIGN = (21, 25)
_UNDECODABLE = 26
_REFUSED_UNREAD = 29
_RAW_SAID, _IS_TEXT, _IS_HIDDEN = 1, 2, 4
_SHOWN = 60

_DECODER = json.JSONDecoder(parse_float=Decimal, parse_constant=str)
# Python refuses to read integers of very many digits as such.
_LONG_DECODER = json.JSONDecoder(parse_float=Decimal, parse_int=Decimal, parse_constant=str)
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
_LAST_STEP = re.compile(r"[.\[]")
_TOO_DEEP = "not readable: nested too deeply"


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
        What was read.
    words
        Values and paths, and what was encoded twice.
    """

    data: Any
    words: bytes


def in_words(
    refused: Refused,
    texts: Texts,
    block: Block,
    said: Declaration,
    line: int | None,
    *,
    personal: bool,
) -> Reject:
    """Say what was refused and why.

    Parameters
    ----------
    refused
        What the reader tells.
    texts
        What it points into.
    block
        Where it was found.
    said
        The contract that was read by.
    line
        The line of the value that is wrong.
    personal
        Whether personal data may be shown.
    """
    encoded = bool(refused.flags & _RAW_SAID)
    text = bytes((texts.words if encoded else texts.data)[refused.start : refused.end])
    raw = text.decode(errors="backslashreplace")
    path = texts.words[refused.path : refused.path + refused.path_size].decode()
    xml = text[:1] == b"<" if encoded else block.form == "xml"
    if refused.reason == _REFUSED_UNREAD:
        reason = str(block.refused)
    elif refused.reason == _UNDECODABLE:
        reason, further, raw = (_not_xml if xml else _not_json)(text)
        line = None if line is None or encoded else line + further
    else:
        reason = _sentence(refused, texts, said, text, xml=xml, path=path, personal=personal)
    element = said.elements[refused.table]
    return Reject(element, refused.record, line, path, reason, raw if personal else None)


def _sentence(
    refused: Refused,
    texts: Texts,
    said: Declaration,
    text: bytes,
    *,
    xml: bool,
    path: str,
    personal: bool,
) -> str:
    reason = REASONS[refused.reason]
    if not reason.startswith(":"):
        return f"{_shown(refused, texts) if personal else 'the value'} {reason}"
    reason = reason[1:]
    if refused.reason == _MISSING:
        return reason.format(names=" or ".join(said.missing(refused.parameter)))
    if refused.reason == _TWICE:
        return reason.format(name=_LAST_STEP.split(path)[-1].rstrip("]"))
    if refused.reason in _FOREIGN and personal:
        known = said.places[refused.parameter].shape.known
        foreign = _listed(_names(text, xml) - known)
        return f"{reason}: {foreign}" if foreign else reason
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
    """Return the names that an object has which stands in a text."""
    if not xml:
        try:
            value = _value(text.decode())
        except RecursionError:
            # The reader in C++ reads deeper than Python does.
            return set()
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


def _not_json(data: bytes) -> tuple[str, int, str]:
    """Say what is wrong with a text that is no JSON, how many lines further on, and show it."""
    text = data.decode(errors="surrogateescape")
    raw = data.decode(errors="backslashreplace")
    rubbish = _RUBBISH.fullmatch(text)
    if rubbish:
        return f"no answer: {_RUBBISH_IS[str(rubbish.lastgroup)]}", 0, _ZEROS.sub("\0", raw)
    whole = _HALF_CHARACTER.sub("", text)
    odd = _NO_UTF8.search(whole)
    if odd:
        column = odd.start() - whole.rfind("\n", 0, odd.start())
        return f"not valid UTF-8 (column {column})", whole.count("\n", 0, odd.start()), raw
    try:
        _raw_decoded(whole)
    except json.JSONDecodeError as error:
        said = (
            "it breaks off in the middle"
            if breaks_off(error)
            else f"{error.msg} (column {error.colno})"
        )
        return f"not valid JSON: {said}", error.lineno - 1, raw
    except RecursionError:
        return _TOO_DEEP, 0, raw
    return "not valid JSON: other text follows a value", 0, raw


def _raw_decoded(text: str) -> object:
    try:
        return _DECODER.raw_decode(text)
    except json.JSONDecodeError:
        raise
    except ValueError:
        return _LONG_DECODER.raw_decode(text)


def _not_xml(text: bytes) -> tuple[str, int, str]:
    """Say what is wrong with a text that is no XML, how many lines further on, and show it."""
    raw = text.decode(errors="backslashreplace")
    parser = expat.ParserCreate("utf-8")
    try:
        parser.Parse(text, True)
    except expat.ExpatError as error:
        return f"not valid XML: {expat.ErrorString(error.code)}", error.lineno - 1, raw
    return _TOO_DEEP, 0, raw
