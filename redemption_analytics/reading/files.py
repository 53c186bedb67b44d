"""Reading exports: from bytes, however packed and written, to blocks of whole records."""

from __future__ import annotations

import codecs
import json
import logging
import re
from collections.abc import Callable, Iterable, Iterator
from contextlib import closing
from dataclasses import replace
from itertools import chain
from typing import Any

import pyarrow.parquet as pq

from redemption_analytics.contract import PAYLOAD_COLUMN
from redemption_analytics.limits import MAX_RECORD_BYTES
from redemption_analytics.reading.blocks import (
    BLOCK_BYTES,
    BY_KEY,
    Block,
    Fault,
    array_ends,
    as_run,
)
from redemption_analytics.reading.delimited import Cell, cells, columns_in
from redemption_analytics.reading.split import cut_blocks, shown, within
from redemption_analytics.records import is_encoded
from redemption_analytics.sources.accounts import Account
from redemption_analytics.sources.archives import ZIP_MAGIC
from redemption_analytics.sources.compression import MAGIC_BYTES, codec_of, unpacked
from redemption_analytics.sources.export import HIDDEN, Export, Payload
from redemption_analytics.sources.passing_over import (
    NO_PAYLOADS,
    is_harmless,
    reason_of,
    reason_of_hidden,
)
from redemption_analytics.sources.streams import UNREADABLE, ByteStream, Stream
from redemption_analytics.xml_answers import ANSWER_START, opened_in, wrapper

_LOG = logging.getLogger(__name__)
_BOM = re.compile(b"\xff\xfe|\xfe\xff|\0\0\xfe\xff")
_XML_ENCODING = re.compile(rb"\s*<\?xml[^>]*?encoding\s*=\s*[\"']([\w.-]+)[\"']")

#: What a file is, is told by so many bytes at its beginning.
HEAD_BYTES = 64 << 10
#: What holds no answer there is searched for one so far.
_SEARCHED_BYTES = 4 << 20
#: What begins with so much white space is not read further, for it might go on without end.
_BLANK_BYTES = 64 << 20
_BLANK = "holds nothing but white space as far as it was read"
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
# A text of JSON ends with its line.
_TEXTS = Block("json", lines=True, begins="text")
_DECODER = json.JSONDecoder()


def read_blocks(
    export: Export,
    size: int = BLOCK_BYTES,
    limit: int = MAX_RECORD_BYTES,
    account: Account | None = None,
) -> Iterator[Block | Fault]:
    """Read an export as blocks of whole records, each of about ``size`` bytes.

    In the place of a record of more than ``limit`` bytes there is a block that is refused.

    What can be read before a fault is given first. A file that was found in a directory and is
    plainly no export (a README, a picture) gives nothing: why, its account tells.
    """
    account = account or Account(export)
    if export.passed_over is not None:
        account.passed_over = _why_hidden(export)
    elif export.open is None:
        account.form = export.form or "payloads"
        yield from _payload_blocks(export.payloads, size, limit)
    else:
        yield from _file_blocks(export, size, limit, account)


def _file_blocks(
    export: Export, size: int, limit: int, account: Account
) -> Iterator[Block | Fault]:
    def opened() -> ByteStream:
        assert export.open is not None
        return Stream(export.open(), on_data=account.take)

    try:
        with closing(opened()) as stream:
            magic = stream.read(MAGIC_BYTES)
            stream.seek(0)
            if magic.startswith(b"PAR1"):
                account.form = "parquet"
                yield from _parquet_blocks(export, stream, size, limit, account)
            elif magic.startswith(ZIP_MAGIC):
                if export.expected:
                    yield Fault(
                        "is a .zip that cannot be opened: it is damaged, breaks off, or is deep in"
                        " other archives"
                    )
                else:
                    account.passed_over = reason_of(export.name, magic)
            else:
                text = _Text(stream, opened, codec_of(magic), size)
                yield from _text_blocks(export, text, limit, account)
            account.finish(stream)
    except UNREADABLE as error:
        yield Fault(f"cannot be read: {_said(error)}")


def _why_hidden(export: Export) -> str:
    """Say why an export is passed over, and whether it may hold answers: so much is looked at."""
    reason = export.passed_over or ""
    if reason != HIDDEN:
        return reason
    head = _head(export)
    form = _form(head.lstrip())
    answers = form is not None and _is_certain(form, head.lstrip(), export)
    return reason_of_hidden(export.name, head, reason, answers=answers)


def _head(export: Export) -> bytes:
    """Read the beginning of a file's text; nothing where it cannot be read."""
    if export.open is None or is_harmless(export.name):
        return b""
    try:
        with closing(export.open()) as stream:
            magic = stream.read(MAGIC_BYTES)
            stream.seek(0)
            return bytes(unpacked(stream, codec_of(magic)).read(HEAD_BYTES))
    except UNREADABLE:
        return b""


def _said(error: BaseException) -> str:
    return getattr(error, "strerror", None) or str(error) or type(error).__name__


class _Text:
    """Chunks of UTF-8 text of a file; what stops it early is kept as its fault."""

    def __init__(
        self,
        stream: ByteStream,
        reopen: Callable[[], ByteStream],
        codec: str | None,
        size: int,
    ):
        self._stream = stream
        self._reopen = reopen
        self.codec = codec
        self._size = size
        self.fault: Fault | None = None

    def chunks(self) -> Iterator[bytes]:
        head, chunks = _peeked(self._raw())
        encoding = _encoding(head)
        if encoding is None:
            yield from _without(head.startswith(codecs.BOM_UTF8) * 3, chunks)
            return
        try:
            head[:HEAD_BYTES].decode(encoding, "backslashreplace")
            decoder = codecs.getincrementaldecoder(encoding)("backslashreplace")
        except (LookupError, UnicodeError):
            self.fault = Fault(f"is written in {encoding}, an encoding that is not known", line=1)
            return
        for chunk in chunks:
            yield decoder.decode(chunk).encode(errors="backslashreplace")
        yield decoder.decode(b"", True).encode(errors="backslashreplace")

    def _raw(self) -> Iterator[bytes]:
        done = 0
        try:
            plain = self._plain(self._stream)
            while chunk := plain.read(self._size):
                done += len(chunk)
                yield chunk
        except UNREADABLE as error:
            self.fault = Fault(f"breaks off: {_said(error)}")
            yield from self._before_the_break(done)

    def _before_the_break(self, done: int) -> Iterator[bytes]:
        """Read on in smaller steps, for a read that fails gives nothing of what came before."""
        for step in (64 << 10, 1):
            try:
                with closing(self._reopen()) as stream:
                    plain = self._plain(stream)
                    left = done
                    while left and (skipped := plain.read(min(left, 1 << 20))):
                        left -= len(skipped)
                    while piece := plain.read(step):
                        done += len(piece)
                        yield piece
            except UNREADABLE:
                continue

    def _plain(self, stream: ByteStream) -> Any:
        return unpacked(stream, self.codec)


def _peeked(chunks: Iterator[bytes], enough: int = HEAD_BYTES) -> tuple[bytes, Iterator[bytes]]:
    """Look at the beginning of what chunks hold."""
    head = bytearray()
    held = []
    for chunk in chunks:
        held.append(chunk)
        head += chunk
        if len(head) >= enough and (len(head) >= _BLANK_BYTES or not head.isspace()):
            break
    return bytes(head), chain(held, chunks)


def _without(start: int, chunks: Iterator[bytes]) -> Iterator[bytes]:
    for chunk in chunks:
        yield chunk[start:]
        start = max(0, start - len(chunk))


def _encoding(head: bytes) -> str | None:
    """Tell how text is encoded, None if as UTF-8."""
    encoding = json.detect_encoding(head)
    if not encoding.startswith("utf-8") and (_BOM.match(head) or _is_read_as(encoding, head)):
        return encoding
    declared = _XML_ENCODING.match(head)
    name = declared[1].decode().lower() if declared else "utf-8"
    # A declaration of UTF-16 that can be read as it stands is none.
    return None if name.startswith(("utf", "ucs", "iso-10646", "ascii", "us-ascii")) else name


def _is_read_as(encoding: str, head: bytes) -> bool:
    """Tell text in UTF-16 or UTF-32 from zeros that stand before other text."""
    text = head[:HEAD_BYTES].decode(encoding, "replace").replace("\0", "")
    return 4 * sum(map(str.isascii, text)) > len(text)


def _text_blocks(
    export: Export, text: _Text, limit: int, account: Account
) -> Iterator[Block | Fault]:
    head, chunks = _peeked(text.chunks())
    blank = len(head) >= HEAD_BYTES and head.isspace()
    further, head = head, head.lstrip()[:HEAD_BYTES]
    columns = columns_in(head)
    if columns is not None:
        kind = "tsv" if columns.separator == b"\t" else "csv"
        account.form = f"{kind}, {text.codec}" if text.codec else kind
        yield from _cell_blocks(cells(columns, chunks, limit), limit)
        if text.fault:
            yield text.fault
        return
    form = _form(head)
    if form is None and len(further) >= HEAD_BYTES and not blank:
        # Much may stand before the first answer.
        further, chunks = _peeked(chunks, _SEARCHED_BYTES)
        head = further.lstrip()[:_SEARCHED_BYTES]
        form = _form(head)
    broken = None if head else text.fault
    if not export.expected and not (form and _is_certain(form, head, export)) and not broken:
        _LOG.info("%s is no export, and passed over", export.name)
        account.passed_over = reason_of(export.name, head)
        return
    if form is None:
        yield broken or (Fault(_BLANK) if blank else _foreign(head, export))
        return
    array = form.form == "json" and _is_array(head)
    account.form = _called(form, head, array=array, codec=text.codec)
    around = wrapper(head) if form.form == "xml" else b""
    opened, last = 0, form
    for last in cut_blocks(form, chunks, limit):
        opened += opened_in(last.data, around) if around else 0
        yield as_run(last) if array else last
    line = (last.line or 1) + (0 if last.refused else last.data.rstrip().count(b"\n"))
    if text.fault:
        yield replace(text.fault, line=line)
    elif opened or (array and not array_ends(last)):
        # Of an answer that is cut off its own reject tells; of what held it, nothing else would.
        yield Fault("breaks off: what holds the answers has no end", line)


def _called(form: Block, head: bytes, *, array: bool, codec: str | None) -> str:
    """Name a form as people call it, and what it is packed with."""
    if form.form == "json":
        one = b"\n" not in head.rstrip()
        name = "json array" if array else "json lines" if form.lines and not one else "json"
    else:
        name = form.form
    return f"{name}, {codec}" if codec else name


def _form(head: bytes) -> Block | None:
    """Tell what a text is by its beginning; None if it is no export."""
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


def _foreign(head: bytes, export: Export) -> Fault:
    if not head:
        return Fault("is empty: an export that broke off before its start?")
    if _is_tar(head):
        return Fault("is a tar archive: unpack it first")
    if export.name.lower().endswith((".csv", ".tsv")):
        return Fault(f'is no export: it has no column "{PAYLOAD_COLUMN}" of payload texts', line=1)
    return Fault("is no export: it holds neither JSON nor XML answers", line=1)


def _is_tar(head: bytes) -> bool:
    return head[257:262] == b"ustar"


def _is_certain(form: Block, head: bytes, export: Export) -> bool:
    """Tell whether what no name calls an export is one: an answer begins a line of it.

    What people wrote may show an answer, and is none.
    """
    if form.form == "xml":
        return head.startswith(b"<")
    if _ANSWER_FIRST.match(head):
        return True
    begins = (_ANSWER_BEGINS if form.begins == "key" else _TEXT_BEGINS).search(head)
    return begins is not None and not _DOCUMENT.search(export.name)


def _is_array(head: bytes) -> bool:
    """Tell an array of answers from a record that is a list, which is no answer."""
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
    """Tell JSON Lines from answers that are spread over lines."""
    if len(head) < HEAD_BYTES and b"\n" not in head.rstrip():
        return True
    try:
        json.loads(head.split(b"\n", 1)[0])
    except (ValueError, RecursionError):
        return _ANSWER_LINE.search(head) is not None
    return True


def _parquet_blocks(
    export: Export, stream: ByteStream, size: int, limit: int, account: Account
) -> Iterator[Block | Fault]:
    file = pq.ParquetFile(stream)
    schema = file.schema_arrow
    if PAYLOAD_COLUMN not in schema.names:
        if export.expected:
            yield Fault(
                f'has no column "{PAYLOAD_COLUMN}" of payload texts, but '
                + ", ".join(schema.names[:20])
            )
        else:
            account.passed_over = NO_PAYLOADS
        return
    faults: list[Fault] = []

    def texts() -> Iterator[Any]:
        for group in range(file.num_row_groups):
            try:
                for batch in file.iter_batches(256, row_groups=[group], columns=[PAYLOAD_COLUMN]):
                    for row in batch.column(0).to_pylist():
                        if row is not None:
                            yield row.encode() if isinstance(row, str) else row
            except UNREADABLE as error:
                faults.append(Fault(f"cannot be read in row group {group}: {_said(error)}"))

    rows = texts()
    first = next(rows, b"")
    if isinstance(first, (bytes, dict)):
        yield from _payload_blocks(chain([first], rows), size, limit)
    else:
        kind = schema.field(PAYLOAD_COLUMN).type
        faults.append(Fault(f'has a column "{PAYLOAD_COLUMN}" of {kind}, no text'))
    yield from faults[:1]


def _payload_blocks(payloads: Iterable[Payload], size: int, limit: int) -> Iterator[Block]:
    """Batch payloads; each keeps the kind of road that it needs."""
    run: list[Any] = []
    kind, length = Block("decoded"), 0
    for payload in payloads:
        if isinstance(payload, dict):
            item: Any = payload
            form, weight = Block("decoded"), 1 + size // 512
        else:
            item = _payload_text(payload)
            form = _payload_form(item)
            weight = len(item)
        if run and (form != kind or length + weight > size):
            yield from within(_payload_block(kind, run), limit)
            run, length = [], 0
        kind = form
        run.append(item)
        length += weight
    if run:
        yield from within(_payload_block(kind, run), limit)


def _cell_blocks(found: Iterable[Cell], limit: int, size: int = BLOCK_BYTES) -> Iterator[Block]:
    """Batch the payloads of a table as text, as far as their lines are as in the table."""
    run: list[bytes] = []
    kind, line, expected, length = Block("json"), 1, 1, 0
    for cell in found:
        text = cell.text if cell.torn else _payload_text(cell.text)
        form = _payload_form(text)
        if run and (cell.torn or form != kind or cell.line != expected or length > size):
            yield from within(replace(kind, data=b"\n".join(run), line=line), limit)
            run, length = [], 0
        if cell.torn:
            yield Block("json", shown(text), cell.line, lines=True, refused=cell.torn)
            continue
        if not run:
            kind, line, expected = form, cell.line, cell.line
        run.append(text)
        length += len(text)
        expected += text.count(b"\n") + 1
    if run:
        yield from within(replace(kind, data=b"\n".join(run), line=line), limit)


def _payload_form(item: bytes) -> Block:
    if item.startswith(b"<"):
        return Block("xml")
    spread = b"\n" in item
    if item.startswith((b"{", b"[")):
        return Block("json", lines=not spread)
    return _form(item[:HEAD_BYTES]) or Block("json", lines=not spread)


def _payload_text(payload: bytes) -> bytes:
    try:
        encoding = _encoding(payload)
        text = payload.decode(encoding, "backslashreplace").encode() if encoding else payload
    except (LookupError, UnicodeError):
        text = payload
    return text.removeprefix(codecs.BOM_UTF8).strip()


def _payload_block(kind: Block, run: list[Any]) -> Block:
    if kind.form == "decoded":
        return replace(kind, decoded=tuple(run))
    return replace(kind, data=b"\n".join(run))
