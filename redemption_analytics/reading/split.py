"""Splitting text into blocks where records start, in bounded memory whatever the text holds."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import replace
from itertools import chain

import numpy as np

from redemption_analytics.limits import MAX_RECORD_BYTES
from redemption_analytics.reading.blocks import REACH, Block

#: Of what is refused unread so many bytes are shown, of its beginning and of its end.
_SHOWN = 500

#: From so many bytes on a line is long.
_LONG_LINE = 1_000


def cut_blocks(
    form: Block, chunks: Iterable[bytes], limit: int = MAX_RECORD_BYTES
) -> Iterator[Block]:
    """Cut text into blocks where records start; the last block holds the last record at least.

    In the place of a record of more than ``limit`` bytes there is a block that is refused.
    """
    chunks = iter(chunks)
    held: list[bytes | memoryview] = []
    rest, length, line = b"", 0, 1
    for chunk in chunks:
        start = form.mark.last(chunk)
        if start < REACH:
            # What tells of a start may lie before the chunk.
            rest, chunk = b"", rest + chunk
            start = form.mark.last(chunk)
        # A record may be much larger than a chunk: what was searched is not searched again.
        searched = start or max(0, len(chunk) - 4 * REACH)
        held += [rest, memoryview(chunk)[:searched]]
        length += len(rest) + searched
        rest = chunk[searched:]
        if not start and length + len(rest) <= limit:
            continue
        text = b"".join(held)
        if not start:
            text += rest
            end = _last_end(form, text, 0, limit)
            text, rest = text[:end], text[end:]
        held, length = [], 0
        if text and not text.isspace():
            yield from within(replace(form, data=text, line=line), limit)
        line += _breaks_in(text)
        if not start and len(rest) > limit:
            block, breaks, rest = _passed_over(replace(form, line=line), rest, chunks, limit)
            yield block
            line += breaks
    if held or rest:
        yield from within(replace(form, data=b"".join([*held, rest]), line=line), limit)


def _breaks_in(text: bytes) -> int:
    count, place = 0, text.find(b"\n")
    # Long lines are soon gone through one by one.
    if text.count(b"\n", 0, 16 * _LONG_LINE) <= 16:
        while place >= 0 and count < len(text) // _LONG_LINE:
            count += 1
            place = text.find(b"\n", place + 1)
    if place >= 0:
        # Before Python 3.13 bytes.count takes five times as long.
        rest = np.frombuffer(text, np.uint8, offset=place)
        count += int(np.count_nonzero(rest == ord("\n")))
    return count


def within(block: Block, limit: int) -> Iterator[Block]:
    """Cut out of a block the records that are larger than the limit."""
    if len(block.data) <= limit:
        yield block
        return
    places, large = [], set()
    for first, end in block.stretches():
        start = first
        while end - start > limit and len(block.data[start:end].rstrip()) > limit:
            whole = _last_end(block, block.data, start, limit)
            if whole == start:
                large.add(start)
                whole = _first_end(block, block.data, start, end)
                places += [start, whole]
            start = whole
    at = 0
    for piece in block.cut(places):
        size = len(piece.data)
        yield refused(piece, piece.data, size, limit) if at in large else piece
        at += size


def refused(block: Block, text: bytes, size: int, limit: int) -> Block:
    """Return a block in place of a record, of which the text is the beginning and the end."""
    size -= text.endswith(b"\n")
    reason = f"a record of {size:,} bytes, more than {limit:,}: load with max_record_bytes={size}"
    return replace(block, data=shown(text), refused=f"{reason} to read it")


def shown(text: bytes) -> bytes:
    """Return the beginning and the end of a text, all of it where it is short."""
    if len(text) <= 2 * _SHOWN:
        return text
    return text[:_SHOWN] + b" \xe2\x80\xa6 " + text[-_SHOWN:]


def _last_end(form: Block, data: bytes, start: int, limit: int) -> int:
    """Find the last place, within the limit, where a record is known to end."""
    mark = form.end_mark
    place = data.rfind(mark, start, start + limit + len(mark)) if mark else -1
    return start if place < 0 or not mark else place + len(mark)


def _first_end(form: Block, data: bytes, start: int, end: int) -> int:
    """Find where the first record ends, or the data."""
    mark = form.end_mark
    place = data.find(mark, start, end) if mark else -1
    return end if place < 0 or not mark else place + len(mark)


def _passed_over(
    form: Block, text: bytes, chunks: Iterator[bytes], limit: int
) -> tuple[Block, int, bytes]:
    """Read on to where a record ends; give a block for it, its line breaks, and what follows."""
    head, tail, size, breaks = text[:_SHOWN], b"", 0, 0
    for chunk in chain([text], chunks):
        data = tail + chunk
        end = _first_end(form, data, 0, form.mark.after(data, 0))
        size += end - len(tail)
        breaks += data.count(b"\n", 0, end) - tail.count(b"\n")
        tail = data[max(0, end - 4 * REACH) : end]
        rest = data[end:]
        if rest or (form.end_mark and tail.endswith(form.end_mark)):
            break
    return refused(form, head + tail, size, limit), breaks, rest
