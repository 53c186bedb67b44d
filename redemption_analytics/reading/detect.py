"""What a file holds, told by how its text begins."""

from __future__ import annotations

import json
import re

from redemption_analytics.contract import PAYLOAD_COLUMN
from redemption_analytics.reading.blocks import BY_KEY, Block, Fault
from redemption_analytics.reading.markup import ANSWER_START, wrapper
from redemption_analytics.sources.export import Export
from redemption_analytics.sources.passing_over import is_called_table, reason_of
from redemption_analytics.tables.passed_over import MAY_HOLD

#: What a file is, is told by so many bytes at its beginning.
HEAD_BYTES = 64 << 10

#: What a file with a record in each line is called.
LINES = "json lines"

_FIRST_KEY = re.compile(rb'[\s,\[]*\{\s*"([^"\\]*)"')
_JSON = re.compile(rb'[\s\[]*(?:\{\s*(?:["}]|\Z)|\]|\Z)')
_ANSWER = re.compile(rb'\{\s*"response"\s*:')
_ANSWER_FIRST = re.compile(rb'[\s\[]*\{\s*"response"\s*:')
# An answer in a text, as JSON has that was encoded twice; however deep, or as XML.
_TEXT = re.compile(
    rb'"(?:\\[nrt]|[ \[])*(?:\\+"|\{(?:\\[nrt]| )*(?:\\"|\})|<(?:[?!]|response|root))'
)
_TEXT_FIRST = re.compile(rb"[\s\[]*" + _TEXT.pattern)
_ANSWER_TEXT = re.compile(rb'"(?:\\[nrt]|[ \[])*\{(?:\\[nrt]| )*\\"response\\"')
_ANSWER_BEGINS = re.compile(rb'(?:^|[\0}\]])[ \t\r\[]*\{\s*"response"\s*:\s*\{', re.MULTILINE)
_TEXT_BEGINS = re.compile(rb"^[ \t\r\[]*" + _ANSWER_TEXT.pattern, re.MULTILINE)
#: Names of what people write.
_DOCUMENT = re.compile(
    r"(?i)(?:^|[/\\])(?:readme|changelog|contributing|license)[^/\\]*$"
    r"|\.(?:md|rst|adoc|html?|tex|py|ipynb|js|ts|java|go|rs|rb|php|sh|ya?ml|toml|docx?|pdf)$"
)
_ANSWER_LINE = re.compile(rb'^\{\s*"response"\s*:.*\}[ \t\r]*+,?[ \t\r]*+$', re.MULTILINE)
#: A line that an object fills, and one that goes on with what an earlier line began.
_OBJECT_LINE = re.compile(rb"^\[?\{.*\}[ \t\r]*+,?[ \t\r]*+$", re.MULTILINE)
_FURTHER_LINE = re.compile(rb'^[ \t]*+["}\]]', re.MULTILINE)
# A text of JSON ends with its line.
_TEXTS = Block("json", lines=True, begins="text")
_DECODER = json.JSONDecoder()
_ENCODED = re.compile(r"[\s\[]*[{\"<]")


def form_of(head: bytes) -> Block | None:
    """Return what a text holds, by its beginning; None if it holds no answers."""
    if _is_tar(head):
        return None
    answers = ANSWER_START.search(head)
    if head.startswith(b"<") and (answers or wrapper(head) in (b"root", b"responses")):
        return Block("xml")
    if _TEXT_FIRST.match(head):
        return _TEXTS
    if head and (_JSON.match(head) or _ANSWER.search(head)):
        key = _FIRST_KEY.match(head)
        strange = key is not None and key[1] != b"response"
        by_line = strange and BY_KEY.after(head, 0) == len(head)
        return Block("json", lines=_are_lines(head), begins="line" if by_line else "key")
    if _ANSWER_TEXT.search(head):
        return _TEXTS
    return Block("xml") if answers else None


def name_of(form: Block, head: bytes, *, array: bool, codec: str | None) -> str:
    """Return what people call a form, and what it is compressed with."""
    if form.form == "json":
        one = b"\n" not in head.rstrip()
        name = "json array" if array else LINES if form.lines and not one else "json"
    else:
        name = form.form
    return f"{name}, {codec}" if codec else name


def why_foreign(head: bytes, export: Export) -> Fault:
    """Return the fault that says why a file that should be an export is none."""
    if not head:
        return Fault("is empty: an export that broke off before its start?")
    if _is_tar(head):
        return Fault("is a tar archive: unpack it first")
    if is_called_table(export.name):
        said = (
            f'it has no column "{PAYLOAD_COLUMN}" of payload texts: call the one so that holds them'
        )
        return Fault(f"is no export: {said}", line=1)
    may_hold = reason_of(export.name, head)
    if may_hold.startswith(MAY_HOLD):
        return Fault(f"is {may_hold.removeprefix(MAY_HOLD)}", line=1)
    return Fault("is no export: it holds neither JSON nor XML answers", line=1)


def _is_tar(head: bytes) -> bool:
    return head[257:262] == b"ustar"


def is_certain(form: Block, head: bytes, export: Export) -> bool:
    """Check whether a file is an export although its name does not say so.

    An answer has to begin a line of it: a document may show an answer, and is no export.
    """
    if form.form == "xml":
        return head.startswith(b"<")
    if _ANSWER_FIRST.match(head):
        return True
    begins = (_ANSWER_BEGINS if form.begins == "key" else _TEXT_BEGINS).search(head)
    return begins is not None and not _DOCUMENT.search(export.name)


def is_array(head: bytes) -> bool:
    """Check whether JSON is an array of answers, not one record that is a list of other things."""
    if not head.startswith(b"["):
        return False
    try:
        value, _ = _DECODER.raw_decode(head.decode(errors="replace"))
    except (ValueError, RecursionError):
        return True
    return not value or any(
        isinstance(item, (dict, list)) or (isinstance(item, str) and is_encoded(item))
        for item in value
    )


def _are_lines(head: bytes) -> bool:
    """Check whether JSON has an answer in each line, rather than answers spread over lines.

    One line does not tell: the first of an answer that is spread over lines may look whole, and a
    line of many may be torn in two.
    """
    if len(head) < HEAD_BYTES and b"\n" not in head.rstrip():
        return True
    try:
        json.loads(head.split(b"\n", 1)[0])
    except (ValueError, RecursionError):
        if _ANSWER_LINE.search(head) is None:
            return False
    further = _count(_FURTHER_LINE, head)
    return not further or further < _count(_OBJECT_LINE, head)


def _count(lines: re.Pattern[bytes], head: bytes) -> int:
    return sum(1 for _ in lines.finditer(head))


def is_encoded(text: str) -> bool:
    """Check whether a text holds an answer, as JSON has that was encoded twice."""
    return _ENCODED.match(text) is not None
