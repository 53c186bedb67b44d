"""Streams of bytes: views of them, copies of what can be read once only, what reading may raise."""

from __future__ import annotations

import io
import os
import zipfile
import zlib
from collections.abc import Callable
from dataclasses import dataclass
from lzma import LZMAError
from tempfile import SpooledTemporaryFile
from typing import BinaryIO, Protocol

import pyarrow as pa

#: What can be read once only is held in memory up to so many bytes, and beyond that on disk.
SPOOLED_BYTES = 64 << 20

#: So much is copied at most: what unpacks to more is to be unpacked by those who want it so.
MOST_SPOOLED = 4 << 30

#: So much of its beginning can be gone back in without a copy.
_KEPT_BYTES = 64 << 10

#: What reading may raise, whoever reads: a system, a codec, an archive.
UNREADABLE = (
    *(OSError, EOFError, RuntimeError),
    *(zlib.error, LZMAError, zipfile.BadZipFile, pa.ArrowException),
)


class Readable(Protocol):
    """What can be read once."""

    def read(self, size: int = -1, /) -> bytes: ...  # noqa: D102


class ByteStream(Readable, Protocol):
    """What is read from: a file, a member of a .zip, an object in a store."""

    def seek(self, offset: int, whence: int = 0, /) -> int: ...  # noqa: D102
    def tell(self) -> int: ...  # noqa: D102
    def close(self) -> None: ...  # noqa: D102


@dataclass(frozen=True)
class LocalFile:
    """Opens a file of this system, whichever process calls it."""

    path: str

    def __call__(self) -> BinaryIO:
        """Open it."""
        return open(self.path, "rb")


class Spool(SpooledTemporaryFile[bytes]):
    """A copy of what can be read once only: in memory, and where it is large on disk."""

    def __del__(self) -> None:
        self.close()


def spooled(stream: Readable, head: bytes = b"", most: int | None = None) -> Spool:
    """Copy what can be read once only, to where it can be gone back in.

    Parameters
    ----------
    stream
        What is copied, from where it stands.
    head
        What was read of it before.
    most
        More bytes than these are an error; none where it is None.
    """
    spool = Spool(max_size=SPOOLED_BYTES)
    spool.write(head)
    length = len(head)
    while piece := stream.read(1 << 20):
        length += len(piece)
        if most is not None and length > most:
            spool.close()
            raise OSError(f"it unpacks to more than {most:,} bytes: unpack it first")
        spool.write(piece)
    spool.seek(0)
    return spool


def skipped(stream: Readable, count: int) -> int:
    """Read over so many bytes; give how many were there."""
    left = count
    while left and (piece := stream.read(min(left, 1 << 20))):
        left -= len(piece)
    return count - left


class Rewindable(io.BufferedIOBase):
    """A view of what can be read once only, in which one can go to and fro.

    Near the beginning that costs nothing; further on all of it is copied, as Parquet needs.
    """

    def __init__(self, stream: Readable, close: Callable[[], object]):
        self._stream = stream
        self._close = close
        self._kept = b""
        self._position = 0
        self._spool: Spool | None = None

    def read(self, size: int | None = -1, /) -> bytes:  # noqa: D102
        wanted = -1 if size is None else size
        if self._spool is not None:
            return self._spool.read(wanted)
        end = None if wanted < 0 else self._position + wanted
        data = self._kept[self._position : end]
        if wanted < 0 or len(data) < wanted:
            more = self._stream.read(-1 if wanted < 0 else wanted - len(data))
            if len(self._kept) <= _KEPT_BYTES:
                self._kept += more
            data += more
        self._position += len(data)
        return data

    def seek(self, offset: int, whence: int = 0, /) -> int:  # noqa: D102
        if self._spool is None:
            target = self._position + offset if whence == os.SEEK_CUR else offset
            near = self._position <= len(self._kept)
            if whence != os.SEEK_END and near and 0 <= target <= len(self._kept):
                self._position = target
                return target
            if not near:
                raise OSError("it cannot be gone back in")
            self._spool = spooled(self._stream, self._kept, MOST_SPOOLED)
            self._spool.seek(self._position)
        return self._spool.seek(offset, whence)

    def tell(self) -> int:  # noqa: D102
        return self._position if self._spool is None else self._spool.tell()

    def readable(self) -> bool:  # noqa: D102
        return True

    def seekable(self) -> bool:  # noqa: D102
        return True

    def close(self) -> None:  # noqa: D102
        if not self.closed:
            if self._spool is not None:
                self._spool.close()
            self._close()
        super().close()


class Stream(io.BufferedIOBase):
    """A view of a stream.

    Parameters
    ----------
    stream
        What is read.
    on_read
        Told how many bytes were read, each time; fewer than none where it starts anew.
    on_data
        Told what was read, and from which place.
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
        on_data: Callable[[int, bytes], object] | None = None,
        start: int = 0,
        close: Callable[[], object] | None = None,
    ):
        self._stream = stream
        self._on_read = on_read
        self._on_data = on_data
        self._place = 0
        self._start = start
        self._close = close or stream.close
        self._count = 0

    def read(self, size: int | None = -1, /) -> bytes:  # noqa: D102
        data = self._stream.read(-1 if size is None else size)
        if self._on_data and (data or size):
            self._on_data(self._place, data)
        self._place += len(data)
        self._counted(len(data))
        return data

    def seek(self, offset: int, whence: int = 0, /) -> int:  # noqa: D102
        start = self._start if whence == os.SEEK_SET else 0
        position = self._place = self._stream.seek(start + offset, whence) - self._start
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
