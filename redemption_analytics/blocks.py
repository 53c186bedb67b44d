"""Reading exports: from bytes, however packed and written, to blocks of whole records."""

from __future__ import annotations

import codecs
import json
import logging
import re
import zlib
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace
from typing import Any, Literal
from zipfile import BadZipFile

import pyarrow as pa
import pyarrow.parquet as pq

from redemption_analytics.sources import ByteStream, Export, Payload

BLOCK_BYTES = 4 << 20

#: Column of a Parquet file that holds raw payload texts.
PAYLOAD_COLUMN = "payload"

_LOG = logging.getLogger(__name__)
_CODECS = {
    b"\x1f\x8b": "gzip",
    b"BZh": "bz2",
    b"\x28\xb5\x2f\xfd": "zstd",
    b"\x04\x22\x4d\x18": "lz4",
}
_ENCODINGS = (
    (codecs.BOM_UTF8, "utf-8-sig"),
    (codecs.BOM_UTF32_LE, "utf-32"),
    (codecs.BOM_UTF32_BE, "utf-32"),
    (codecs.BOM_UTF16_LE, "utf-16"),
    (codecs.BOM_UTF16_BE, "utf-16"),
    (b"{\0", "utf-16-le"),
    (b"[\0", "utf-16-le"),
    (b"<\0", "utf-16-le"),
    (b"\0{", "utf-16-be"),
    (b"\0[", "utf-16-be"),
    (b"\0<", "utf-16-be"),
)
_XML_ENCODING = re.compile(rb"<\?xml[^>]*?encoding\s*=\s*[\"']([\w.-]+)[\"']")
_FIRST_KEY = re.compile(rb'[\s\[]*\{\s*"([^"\\]+)"')
_CERTAIN = re.compile(rb'\s*\[?\s*\{\s*"response"|\s*<(\?xml|response|root)\b')
_UNREADABLE = (OSError, EOFError, RuntimeError, zlib.error, BadZipFile, pa.ArrowException)


@dataclass(frozen=True)
class Block:
    """A stretch of an export that holds whole records.

    Attributes
    ----------
    form
        ``"decoded"`` payloads are in ``decoded``; the text of the others in ``data``, as UTF-8.
    line
        Number of its first line in the file; None where records came one by one.
    one_per_line
        Whether a line break always ends a record (JSON Lines).
    key
        The first key of a record, which tells where the next one starts.
    """

    form: Literal["json", "xml", "decoded"]
    data: bytes = b""
    line: int | None = None
    one_per_line: bool = False
    key: bytes = b"response"
    decoded: tuple[dict[str, Any], ...] = ()

    def start_after(self, position: int) -> int:
        """Find where the first record after a position starts, or the end of the data."""
        if self.one_per_line:
            return self.data.find(b"\n", position) + 1 or len(self.data)
        if self.form == "xml":
            end = self.data.find(b"</response>", position)
            return len(self.data) if end < 0 else end + len(b"</response>")
        match = _boundary(self.key).search(self.data, position)
        return match.end() if match else len(self.data)

    def pieces(self, count: int) -> list[Block]:
        """Cut the block at boundaries of records into about so many pieces."""
        pieces, start, line = [], 0, self.line
        for part in range(1, count + 1):
            goal = len(self.data) * part // count
            end = len(self.data) if part == count else self.start_after(goal)
            if end > start:
                data = self.data[start:end]
                pieces.append(replace(self, data=data, line=line))
                line = None if line is None else line + data.count(b"\n")
                start = end
        return pieces


@dataclass(frozen=True)
class Fault:
    """Why a file could not be read, or not to its end."""

    reason: str
    line: int | None = None


def read_blocks(export: Export, size: int = BLOCK_BYTES) -> Iterator[Block | Fault]:
    """Read an export as blocks of whole records, each of about ``size`` bytes.

    What can be read before a fault is given first. A file that was found in a directory and is
    plainly no export (a README, a picture) gives nothing.
    """
    if export.open is None:
        yield from _payload_blocks(export.payloads, size)
        return
    try:
        stream = export.open()
    except _UNREADABLE as error:
        yield Fault(f"cannot be opened: {_said(error)}")
        return
    try:
        magic = stream.read(4)
        stream.seek(0)
        if magic == b"PAR1":
            yield from _parquet_blocks(export, stream, size)
        else:
            codec = next((name for start, name in _CODECS.items() if magic.startswith(start)), None)
            yield from _text_blocks(export, _Text(stream, codec, size))
    except _UNREADABLE as error:
        yield Fault(f"cannot be read: {_said(error)}")
    finally:
        stream.close()


def _said(error: BaseException) -> str:
    return getattr(error, "strerror", None) or str(error) or type(error).__name__


class _Text:
    """Chunks of UTF-8 text of a stream; what stops it early is kept as its fault."""

    def __init__(self, stream: ByteStream, codec: str | None, size: int):
        self._stream = stream
        self._codec = codec
        self._size = size
        self.fault: Fault | None = None

    def chunks(self) -> Iterator[bytes]:
        chunks = self._raw()
        first = next(chunks, b"")
        encoding = next((name for start, name in _ENCODINGS if first.startswith(start)), None)
        declared = _XML_ENCODING.match(first)
        if encoding is None and declared:
            encoding = declared[1].decode()
        if encoding is None or encoding.lower() in ("utf-8", "utf8", "ascii", "us-ascii"):
            yield first
            yield from chunks
            return
        try:
            decoder = codecs.getincrementaldecoder(encoding)(errors="backslashreplace")
        except LookupError:
            self.fault = Fault(f"is written in {encoding}, an encoding that is not known")
            return
        yield decoder.decode(first).encode()
        for chunk in chunks:
            yield decoder.decode(chunk).encode()
        yield decoder.decode(b"", True).encode()

    def _raw(self) -> Iterator[bytes]:
        plain = self._plain()
        done = 0
        while True:
            try:
                chunk = plain.read(self._size)
            except _UNREADABLE as error:
                self.fault = Fault(f"breaks off: {_said(error)}")
                yield self._before_the_break(done)
                return
            if not chunk:
                return
            done += len(chunk)
            yield chunk

    def _plain(self) -> Any:
        return pa.CompressedInputStream(self._stream, self._codec) if self._codec else self._stream

    def _before_the_break(self, done: int) -> bytes:
        """Read again up to the break, byte by byte at the end: a failed read gives none of its."""
        pieces = []
        try:
            self._stream.seek(0)
            plain = self._plain()
            for start in range(0, done, self._size):
                plain.read(min(self._size, done - start))
            for step in (1 << 16, 1 << 8, 1):
                try:
                    while piece := plain.read(step):
                        pieces.append(piece)
                except _UNREADABLE:
                    self._stream.seek(0)
                    plain = self._plain()
                    again = done + sum(map(len, pieces))
                    for start in range(0, again, self._size):
                        plain.read(min(self._size, again - start))
        except _UNREADABLE:
            pass
        return b"".join(pieces)


def _text_blocks(export: Export, text: _Text) -> Iterator[Block | Fault]:
    chunks = text.chunks()
    first = b""
    for chunk in chunks:
        first += chunk
        if first.strip():
            break
    start = first.lstrip()[:1]
    if not export.expected and not _CERTAIN.match(first):
        _LOG.info("%s is no export, and passed over", export.name)
        return
    if (start and start in b"{[") or re.search(rb"^\s*[{\[]", first, re.MULTILINE):
        yield from _json_blocks(first, chunks)
    elif start == b"<" or b"<response" in first:
        yield from _cut(Block("xml"), first, chunks, _last_xml_end)
    elif not first.strip():
        text.fault = text.fault or Fault("is empty: an export that broke off before its start?")
    else:
        text.fault = Fault("is no export: it holds neither JSON nor XML", line=1)
    if text.fault:
        yield text.fault


def _json_blocks(first: bytes, chunks: Iterator[bytes]) -> Iterator[Block | Fault]:
    key = _FIRST_KEY.match(first)
    array = re.match(rb"\s*\[\s*\{", first)
    lines = not array and _is_lines(first)
    form = Block("json", key=key[1] if key else b"response", one_per_line=lines)
    if not array:
        yield from _cut(form, first, chunks, _last_json_end(form))
        return
    # An array of answers: its brackets and commas become blanks, and records follow each other.
    between = re.compile(
        rb'(\}|\A)(\s*)(?:,|\](\s*),?(\s*)\[)(\s*\{\s*"' + re.escape(form.key) + rb'"\s*:)'
    )
    last: Block | None = None
    for block in _cut(form, first.replace(b"[", b" ", 1), chunks, _last_json_end(form)):
        if last:
            yield last
        last = replace(block, data=between.sub(rb"\1\2 \3 \4\5", block.data))
    if last is None:
        return
    end = last.data.rstrip().removesuffix(b",").rstrip()
    if end.endswith(b"]"):
        yield replace(last, data=end[:-1])
    else:
        yield replace(last, data=end)
        yield Fault("breaks off: the array of answers has no end")


def _is_lines(first: bytes) -> bool:
    """Tell JSON Lines from answers that are spread over lines, by the first two of them."""
    lines = [line for line in first.split(b"\n", 64) if line.strip()][:2]
    try:
        json.loads(lines[0])
    except (ValueError, RecursionError, IndexError):
        return len(lines) == 2 and lines[1].startswith((b'{"', b"{ "))
    return True


def _cut(form: Block, first: bytes, chunks: Iterator[bytes], last_end: Any) -> Iterator[Block]:
    carried, line = first, 1
    searched = 0
    for chunk in chunks:
        # A record may be much larger than a chunk: what was searched is not searched again.
        end = last_end(carried, searched)
        if end:
            yield replace(form, data=carried[:end], line=line)
            line += carried.count(b"\n", 0, end)
            carried, searched = carried[end:] + chunk, 0
        else:
            searched = max(0, len(carried) - 4096)
            carried += chunk
    if carried.strip():
        yield replace(form, data=carried, line=line)


def _boundary(key: bytes) -> re.Pattern[bytes]:
    # No string can hold this: its quotes would be escaped. So it is a boundary, at any depth of
    # damage before it.
    return re.compile(rb'\}\s*,?\s*(?=\{\s*"' + re.escape(key) + rb'"\s*:)')


def _last_json_end(form: Block) -> Any:
    if form.one_per_line:
        return lambda data, searched: data.rfind(b"\n", searched) + 1
    quoted = b'"' + form.key + b'"'
    before = re.compile(rb"\}(\s*(?:,|\]\s*,?\s*\[)?\s*)\{\s*$")

    def last_end(data: bytes, searched: int) -> int:
        position = len(data)
        while True:
            position = data.rfind(quoted, searched, position)
            if position < 0:
                return 0
            # The separator stays with the block that it ends, where an array's comma is blanked.
            match = before.search(data, max(0, position - 4096), position)
            if match:
                return match.start() + 1

    return last_end


def _last_xml_end(data: bytes, searched: int) -> int:
    end = data.rfind(b"</response>", searched)
    return 0 if end < 0 else end + len(b"</response>")


def _parquet_blocks(export: Export, stream: ByteStream, size: int) -> Iterator[Block | Fault]:
    file = pq.ParquetFile(stream)
    if PAYLOAD_COLUMN not in file.schema_arrow.names:
        if export.expected:
            yield Fault(
                f'has no column "{PAYLOAD_COLUMN}" of payload texts, but '
                + ", ".join(file.schema_arrow.names[:20])
            )
        return
    texts = (
        value.encode() if isinstance(value, str) else value
        for batch in file.iter_batches(batch_size=1024, columns=[PAYLOAD_COLUMN])
        for value in batch.column(0).to_pylist()
        if value is not None
    )
    yield from _payload_blocks(texts, size)


def _payload_blocks(payloads: Iterable[Payload], size: int) -> Iterator[Block]:
    """Batch payloads; each keeps the kind of road that it needs."""
    run: list[Any] = []
    form, length = "", 0
    for payload in payloads:
        item: Any = payload
        if isinstance(payload, dict):
            kind, weight = "decoded", size // 512
        else:
            item = payload.removeprefix(codecs.BOM_UTF8).strip()
            kind, weight = "xml" if item.startswith(b"<") else "json", len(item)
        if run and (kind != form or length + weight > size):
            yield _payload_block(form, run)
            run, length = [], 0
        form = kind
        run.append(item)
        length += weight
    if run:
        yield _payload_block(form, run)


def _payload_block(form: str, run: list[Any]) -> Block:
    if form == "decoded":
        return Block("decoded", decoded=tuple(run))
    if form == "xml":
        return Block("xml", b"\n".join(run))
    return Block("json", b"\n".join(run), one_per_line=not any(b"\n" in item for item in run))
