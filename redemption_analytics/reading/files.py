"""Files as blocks of whole records, whatever they hold and however they are packed."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from contextlib import closing
from dataclasses import replace
from itertools import chain
from typing import Any

import pyarrow.parquet as pq

from redemption_analytics.contract import PAYLOAD_COLUMN
from redemption_analytics.limits import MAX_RECORD_BYTES
from redemption_analytics.reading.blocks import (
    BLOCK_BYTES,
    Block,
    Fault,
    array_ends,
)
from redemption_analytics.reading.delimited import cells, columns_in
from redemption_analytics.reading.detect import (
    HEAD_BYTES,
    LINES,
    form_of,
    is_array,
    is_certain,
    name_of,
    why_foreign,
)
from redemption_analytics.reading.markup import opened_in, wrapper
from redemption_analytics.reading.payloads import cell_blocks, payload_blocks
from redemption_analytics.reading.split import cut_blocks
from redemption_analytics.reading.text import Text, peeked, said
from redemption_analytics.sources.accounts import Account
from redemption_analytics.sources.archives import ZIP_MAGIC
from redemption_analytics.sources.compression import MAGIC_BYTES, codec_of, unpacked
from redemption_analytics.sources.export import HIDDEN, Export
from redemption_analytics.sources.passing_over import (
    NO_PAYLOADS,
    is_harmless,
    reason_of,
    reason_of_hidden,
    unread_kind,
)
from redemption_analytics.sources.streams import UNREADABLE, ByteStream, Stream

_LOG = logging.getLogger(__name__)

#: What holds no answer there is searched for one so far.
_SEARCHED_BYTES = 4 << 20
_CLOSED = "a .zip that cannot be opened: it is damaged, breaks off, or is deep in other archives"
_BLANK = "holds nothing but white space as far as it was read"


def read_blocks(
    export: Export,
    size: int = BLOCK_BYTES,
    limit: int = MAX_RECORD_BYTES,
    account: Account | None = None,
) -> Iterator[Block | Fault]:
    """Read an export as blocks of whole records, each of about ``size`` bytes.

    In the place of a record of more than ``limit`` bytes there is a block that is refused.

    What can be read before a fault is given first. A file that was found in a directory and is
    plainly no export (a README, a picture) gives nothing, and its account says why.
    """
    account = account or Account(export)
    if export.passed_over is not None:
        account.passed_over = _why_hidden(export)
    elif export.open is None:
        account.form = export.form or "payloads"
        yield from payload_blocks(export.payloads, size, limit)
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
                    kind = unread_kind(export.name)
                    yield Fault(f"is {kind or _CLOSED}")
                else:
                    account.passed_over = reason_of(export.name, magic)
            else:
                text = Text(stream, opened, codec_of(magic), size)
                yield from _text_blocks(export, text, limit, account)
            account.finish(stream)
    except UNREADABLE as error:
        yield Fault(f"cannot be read: {said(error)}")


def _why_hidden(export: Export) -> str:
    """Return why an export is passed over, having looked whether it may hold answers."""
    reason = export.passed_over or ""
    if reason != HIDDEN:
        return reason
    head = _head(export)
    form = form_of(head.lstrip())
    answers = form is not None and is_certain(form, head.lstrip(), export)
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


def _text_blocks(
    export: Export, text: Text, limit: int, account: Account
) -> Iterator[Block | Fault]:
    head, chunks = peeked(text.chunks())
    blank = len(head) >= HEAD_BYTES and head.isspace()
    further, head = head, head.lstrip()[:HEAD_BYTES]
    # A part of a file is read as the file is, whatever it begins with itself.
    known = Block("json", lines=True) if export.form == LINES else None
    columns = None if known else columns_in(head)
    if columns is not None:
        kind = "tsv" if columns.separator == b"\t" else "csv"
        account.form = f"{kind}, {text.codec}" if text.codec else kind
        yield from cell_blocks(cells(columns, chunks, limit), limit)
        if text.fault:
            yield text.fault
        return
    form = known or form_of(head)
    if form is None and len(further) >= HEAD_BYTES and not blank:
        # Much may stand before the first answer.
        further, chunks = peeked(chunks, _SEARCHED_BYTES)
        head = further.lstrip()[:_SEARCHED_BYTES]
        form = form_of(head)
    broken = None if head else text.fault
    if not export.expected and not (form and is_certain(form, head, export)) and not broken:
        _LOG.info("%s is no export, and passed over", export.name)
        account.passed_over = reason_of(export.name, head)
        return
    if form is None:
        yield broken or (Fault(_BLANK) if blank else why_foreign(head, export))
        return
    array = known is None and form.form == "json" and is_array(head)
    account.form = LINES if known else name_of(form, head, array=array, codec=text.codec)
    around = wrapper(head) if form.form == "xml" else b""
    opened, last = 0, form
    for last in cut_blocks(replace(form, array=array), chunks, limit):
        opened += opened_in(last.data, around) if around else 0
        yield last
    line = (last.line or 1) + (0 if last.refused else last.data.rstrip().count(b"\n"))
    if text.fault:
        yield replace(text.fault, line=line)
    elif opened or (array and not array_ends(last)):
        # Of an answer that is cut off its own reject tells; of what held it, nothing else would.
        yield Fault("breaks off: what holds the answers has no end", line)


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
                faults.append(Fault(f"cannot be read in row group {group}: {said(error)}"))

    rows = texts()
    first = next(rows, b"")
    if isinstance(first, (bytes, dict)):
        yield from payload_blocks(chain([first], rows), size, limit)
    else:
        kind = schema.field(PAYLOAD_COLUMN).type
        faults.append(Fault(f'has a column "{PAYLOAD_COLUMN}" of {kind}, no text'))
    yield from faults[:1]
