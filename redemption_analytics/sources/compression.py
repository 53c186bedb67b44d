"""Compression: codecs, told from the first bytes, and the stream that is in it."""

from __future__ import annotations

import io
import lzma
import struct
from collections.abc import Iterator

import pyarrow as pa

from redemption_analytics.sources.streams import ByteStream

_CODECS = {
    b"\x1f\x8b": "gzip",
    b"BZh": "bz2",
    b"\x28\xb5\x2f\xfd": "zstd",
    b"\x04\x22\x4d\x18": "lz4",
    b"\xfd7zXZ\0": "xz",
    b"\x5d\0\0": "lzma",
}

#: What a codec is told by.
MAGIC_BYTES = 6

_ZSTD = b"\x28\xb5\x2f\xfd"
_PIECE = 1 << 20
#: A dictionary of more would be somebody's wish to fill the memory: xz itself takes 65 MiB at most.
_LZMA_MEMORY = 256 << 20


def codec_of(head: bytes) -> str | None:
    """Name the codec that packed what begins so; None if none did.

    >>> codec_of(b"BZh91AY"), codec_of(b'{"response"')
    ('bz2', None)
    """
    if _is_skippable(head):
        return "zstd"
    return next((codec for magic, codec in _CODECS.items() if head.startswith(magic)), None)


def unpacked(stream: ByteStream, codec: str | None) -> ByteStream:
    """Read what is packed in a stream, from where it stands."""
    if codec is None:
        return stream
    if codec in ("xz", "lzma"):
        return _Pieces(_lzma_pieces(stream), stream)
    if codec == "zstd":
        return pa.CompressedInputStream(_Pieces(_frames(stream), stream), codec)  # type: ignore[no-any-return]
    return pa.CompressedInputStream(stream, codec)  # type: ignore[no-any-return]


class _Pieces(io.RawIOBase):
    """A stream of the pieces that an iterator gives, read from its beginning to its end only."""

    def __init__(self, pieces: Iterator[bytes], source: ByteStream):
        self._pieces = pieces
        self._source = source
        self._rest = b""

    def readable(self) -> bool:
        return True

    def read(self, size: int | None = -1, /) -> bytes:
        wanted = -1 if size is None else size
        held, length = [self._rest], len(self._rest)
        while wanted < 0 or length < wanted:
            piece = next(self._pieces, b"")
            if not piece:
                break
            held.append(piece)
            length += len(piece)
        data = b"".join(held)
        end = len(data) if wanted < 0 else wanted
        self._rest = data[end:]
        return data[:end]

    def close(self) -> None:
        if not self.closed:
            self._source.close()
        super().close()


def _lzma_pieces(stream: ByteStream) -> Iterator[bytes]:
    """Unpack .xz and .lzma, of which several may follow each other."""
    data = stream.read(_PIECE)
    while data:
        decoder = lzma.LZMADecompressor(memlimit=_LZMA_MEMORY)
        while not decoder.eof:
            piece = decoder.decompress(data, _PIECE)
            data = b""
            if piece:
                yield piece
            if decoder.needs_input and not decoder.eof:
                data = stream.read(_PIECE)
                if not data:
                    raise EOFError("Truncated compressed stream")
        data = decoder.unused_data
        # Zeros fill streams up to a multiple of four bytes.
        while not data.lstrip(b"\0") and (more := stream.read(_PIECE)):
            data = more
        data = data.lstrip(b"\0")


def _is_skippable(magic: bytes) -> bool:
    return len(magic) >= 4 and 0x50 <= magic[0] <= 0x5F and magic[1:4] == b"\x2a\x4d\x18"


def _frames(stream: ByteStream) -> Iterator[bytes]:
    """Yield the frames of .zst without those that are to be skipped, which Arrow does not know.

    Zstandard Compression and the 'application/zstd' Media Type (RFC 8878), 3.1: frames of blocks,
    and between them, as pzstd writes, frames of anybody's own.
    """
    while magic := stream.read(4):
        if _is_skippable(magic):
            left = int.from_bytes(stream.read(4), "little")
            while left and (skipped := stream.read(min(left, _PIECE))):
                left -= len(skipped)
            continue
        yield magic
        if magic != _ZSTD:
            # What it is then, the decoder says.
            while piece := stream.read(_PIECE):
                yield piece
            return
        yield from _frame(stream)


def _frame(stream: ByteStream) -> Iterator[bytes]:
    """Yield the rest of a frame, behind its magic number."""
    descriptor = stream.read(1)
    if not descriptor:
        return
    flags = descriptor[0]
    single = flags >> 5 & 1
    content = (single, 2, 4, 8)[flags >> 6]
    yield descriptor + stream.read((1 - single) + (0, 1, 2, 4)[flags & 3] + content)
    last = False
    while not last:
        header = stream.read(3)
        if len(header) < 3:
            yield header
            return
        (said,) = struct.unpack("<I", header + b"\0")
        last = bool(said & 1)
        # A block of type 1 is one byte, repeated.
        size = 1 if said >> 1 & 3 == 1 else said >> 3
        yield header + stream.read(size)
    if flags >> 2 & 1:
        yield stream.read(4)
