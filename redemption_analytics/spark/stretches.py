"""Large files of JSON Lines, cut into stretches that executors parse each by itself.

A stretch begins where a record does, as the blocks do that one process cuts a file into. What it
cannot know, how many records and lines came before it, is put into its rows in the end.
"""

from __future__ import annotations

import hashlib
import io
import os
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import pyarrow as pa
import pyarrow.compute as pc

from redemption_analytics.reading.blocks import REACH, Block
from redemption_analytics.reading.delimited import columns_in
from redemption_analytics.reading.detect import HEAD_BYTES, LINES, form_of, is_array, name_of
from redemption_analytics.reading.text import encoding_of
from redemption_analytics.sources.compression import codec_of
from redemption_analytics.sources.export import Export
from redemption_analytics.sources.streams import LocalFile

#: A record is looked for so far after the place where a stretch would begin.
_WINDOW_BYTES = 1 << 20
_PIECE = 1 << 20


@dataclass(frozen=True)
class Stretch:
    """Opens a stretch of a file, whichever process calls it."""

    path: str
    start: int
    end: int

    def __call__(self) -> io.BufferedIOBase:
        """Open it."""
        return _Bounded(self)


class _Bounded(io.BufferedIOBase):
    """A stretch of a file, as if it were all of it."""

    def __init__(self, stretch: Stretch):
        self._file = LocalFile(stretch.path)()
        self._start, self._end = stretch.start, stretch.end
        self._file.seek(self._start)

    def read(self, size: int | None = -1, /) -> bytes:
        left = max(0, self._end - self._file.tell())
        return self._file.read(left if size is None or size < 0 else min(size, left))

    def seek(self, offset: int, whence: int = os.SEEK_SET, /) -> int:
        places = {os.SEEK_SET: self._start, os.SEEK_CUR: self._file.tell(), os.SEEK_END: self._end}
        return self._file.seek(max(self._start, places[whence] + offset)) - self._start

    def tell(self) -> int:
        return self._file.tell() - self._start

    def readable(self) -> bool:
        return True

    def seekable(self) -> bool:
        return True

    def close(self) -> None:
        self._file.close()
        super().close()


@dataclass(frozen=True)
class Before:
    """What came in a file before a stretch.

    Attributes
    ----------
    records, lines
        How many.
    named
        What ids of answers begin with, before the number of their record.
    """

    records: int
    lines: int
    named: str

    def put_into(self, name: str, batch: pa.Table) -> pa.Table:
        """Let records and lines of responses, or of rejects, count from the file's beginning."""
        records = pc.add(batch["record"], self.records)
        batch = _with(batch, "record", records)
        if name == "rejects":
            return _with(batch, "line", pc.add(batch["line"], self.lines))
        if "response_id" not in batch.column_names:
            return batch
        place = pc.replace_substring_regex(batch["response_id"], r"(?s)^.*/", "")
        number = pc.binary_join_element_wise(self.named, records.cast(pa.string()), "#")
        return _with(batch, "response_id", pc.binary_join_element_wise(number, place, "/"))


def _with(batch: pa.Table, name: str, column: pa.ChunkedArray) -> pa.Table:
    place = batch.schema.get_field_index(name)
    return batch.set_column(place, batch.schema.field(name), column)


def stretches_of(export: Export, size: int) -> list[Export]:
    """Cut an export into stretches of about so many bytes; none where it is not cut.

    Only a plain file that begins as JSON Lines of answers is.
    """
    opener = export.open
    whole = export.size or 0
    if not isinstance(opener, LocalFile) or whole <= size or not export.expected:
        return []
    try:
        with opener() as file:
            form = _lines(file.read(HEAD_BYTES))
            if form is None:
                return []
            places = [0]
            for place in range(size, whole, size):
                file.seek(max(0, place - REACH))
                window = file.read(_WINDOW_BYTES)
                start = replace(form, data=window).start_after(min(place, REACH))
                found = max(0, place - REACH) + start
                if start < len(window) and found > places[-1]:
                    places.append(found)
    except OSError:
        return []
    ends = [*places[1:], whole]
    return [
        replace(export, open=Stretch(opener.path, start, end), size=end - start, form=LINES)
        for start, end in zip(places, ends, strict=True)
        if len(places) > 1
    ]


def _lines(head: bytes) -> Block | None:
    """Return how JSON Lines of answers are read; None where a file is something else."""
    text = head.lstrip()
    if codec_of(head) or head.startswith((b"PAR1", b"PK")) or encoding_of(head) or not text:
        return None
    if columns_in(text) is not None or is_array(text):
        return None
    form = form_of(text)
    if form is None or form.form != "json" or not form.lines or form.begins != "key":
        return None
    return form if name_of(form, text, array=False, codec=None) == LINES else None


def surveyed(path: str, ends: Sequence[int]) -> tuple[str, list[int]]:
    """Return the digest of a file, and how many lines end in each of its stretches."""
    digest = hashlib.sha256(usedforsecurity=False)
    lines, start = [], 0
    with Path(path).open("rb") as file:
        for end in ends:
            count = 0
            while start < end and (piece := file.read(min(_PIECE, end - start))):
                digest.update(piece)
                count += piece.count(b"\n")
                start += len(piece)
            lines.append(count)
    return digest.hexdigest(), lines
