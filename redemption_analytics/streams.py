"""Streams of bytes: views of them, copies of what can be read once only, what reading may raise."""

from __future__ import annotations

import io
import os
import zipfile
import zlib
from collections.abc import Callable
from lzma import LZMAError
from tempfile import SpooledTemporaryFile
from typing import BinaryIO, Protocol

import pyarrow as pa

#: What can be read once only is held in memory up to so many bytes, and beyond that on disk.
SPOOLED_BYTES = 64 << 20

#: What reading may raise, whoever reads: a system, a codec, an archive.
UNREADABLE = (
    *(OSError, EOFError, RuntimeError),
    *(zlib.error, LZMAError, zipfile.BadZipFile, pa.ArrowException),
)


class ByteStream(Protocol):
    """What is read from: a file, a member of a .zip, an object in a store."""

    def read(self, size: int = -1, /) -> bytes: ...  # noqa: D102
    def seek(self, offset: int, whence: int = 0, /) -> int: ...  # noqa: D102
    def tell(self) -> int: ...  # noqa: D102
    def close(self) -> None: ...  # noqa: D102


class Spool(SpooledTemporaryFile[bytes]):
    """A copy of what can be read once only: in memory, and where it is large on disk."""

    def __del__(self) -> None:
        self.close()


def spooled(stream: BinaryIO) -> Spool:
    """Copy what can be read once only, to where it can be gone back in."""
    spool = Spool(max_size=SPOOLED_BYTES)
    while piece := stream.read(1 << 20):
        spool.write(piece)
    spool.seek(0)
    return spool


class Stream(io.BufferedIOBase):
    """A view of a stream.

    Parameters
    ----------
    stream
        What is read.
    on_read
        Told how many bytes were read, each time; fewer than none where it starts anew.
    start
        Where in the stream the view has its beginning.
    close
        What closing does, in place of closing the stream.
    """

    def __init__(
        self,
        stream: ByteStream,
        *,
        on_read: Callable[[int], object] | None = None,
        start: int = 0,
        close: Callable[[], object] | None = None,
    ):
        self._stream = stream
        self._on_read = on_read
        self._start = start
        self._close = close or stream.close
        self._count = 0

    def read(self, size: int | None = -1, /) -> bytes:  # noqa: D102
        data = self._stream.read(-1 if size is None else size)
        self._counted(len(data))
        return data

    def seek(self, offset: int, whence: int = 0, /) -> int:  # noqa: D102
        start = self._start if whence == os.SEEK_SET else 0
        position = self._stream.seek(start + offset, whence) - self._start
        if position == 0:
            self._counted(-self._count)
        return position

    def _counted(self, count: int) -> None:
        self._count += count
        if self._on_read:
            self._on_read(count)

    def tell(self) -> int:  # noqa: D102
        return self._stream.tell() - self._start

    def readable(self) -> bool:  # noqa: D102
        return True

    def seekable(self) -> bool:  # noqa: D102
        return True

    def close(self) -> None:  # noqa: D102
        if not self.closed:
            self._close()
        super().close()
