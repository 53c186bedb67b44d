"""The text of a file: unpacked, and in UTF-8 whatever it was written in."""

from __future__ import annotations

import codecs
import json
import re
from collections.abc import Callable, Iterator
from contextlib import closing, suppress
from itertools import chain
from typing import Any

from redemption_analytics.reading.blocks import Fault
from redemption_analytics.reading.detect import HEAD_BYTES
from redemption_analytics.sources.compression import unpacked
from redemption_analytics.sources.streams import UNREADABLE, ByteStream

_BOM = re.compile(b"\xff\xfe|\xfe\xff|\0\0\xfe\xff")
_XML_ENCODING = re.compile(rb"\s*<\?xml[^>]*?encoding\s*=\s*[\"']([\w.-]+)[\"']")
#: What begins with so much white space is not read further, for it might go on without end.
_BLANK_BYTES = 64 << 20
_STEP = 64 << 10


class Text:
    """The text of a file, unpacked and in UTF-8; what stops it early is kept as its fault."""

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
        """Read the text from its beginning."""
        head, chunks = peeked(self._raw())
        encoding = encoding_of(head)
        if encoding is None:
            marked = head.startswith(codecs.BOM_UTF8)
            yield from _without(len(codecs.BOM_UTF8) if marked else 0, chunks)
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
            self.fault = Fault(f"breaks off: {said(error)}")
            yield from self._before_the_break(done)

    def _before_the_break(self, done: int) -> Iterator[bytes]:
        """Read on in smaller steps, for a read that fails gives nothing of what came before."""
        for step in (_STEP, 1):
            piece = bytearray()
            with suppress(*UNREADABLE), closing(self._reopen()) as stream:
                plain = self._plain(stream)
                left = done
                while left and (skipped := plain.read(min(left, 1 << 20))):
                    left -= len(skipped)
                while read := plain.read(step):
                    done += len(read)
                    piece += read
                    if len(piece) >= _STEP:
                        yield bytes(piece)
                        piece.clear()
            if piece:
                yield bytes(piece)

    def _plain(self, stream: ByteStream) -> Any:
        return unpacked(stream, self.codec)


def peeked(chunks: Iterator[bytes], enough: int = HEAD_BYTES) -> tuple[bytes, Iterator[bytes]]:
    """Return the beginning of what chunks hold, and all the chunks."""
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


def encoding_of(head: bytes) -> str | None:
    """Return how text is encoded, None if as UTF-8."""
    encoding = json.detect_encoding(head)
    if not encoding.startswith("utf-8") and (_BOM.match(head) or _is_read_as(encoding, head)):
        return encoding
    declared = _XML_ENCODING.match(head)
    name = declared[1].decode().lower() if declared else "utf-8"
    # A declaration of UTF-16 that can be read as it stands is none.
    return None if name.startswith(("utf", "ucs", "iso-10646", "ascii", "us-ascii")) else name


def _is_read_as(encoding: str, head: bytes) -> bool:
    """Check whether text is in UTF-16 or UTF-32, and not in UTF-8 with zeros before it."""
    text = head[:HEAD_BYTES].decode(encoding, "replace").replace("\0", "")
    return 4 * sum(map(str.isascii, text)) > len(text)


def said(error: BaseException) -> str:
    """Return what an error says of itself, or what it is called."""
    return getattr(error, "strerror", None) or str(error) or type(error).__name__
