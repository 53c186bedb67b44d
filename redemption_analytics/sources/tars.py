"""Tape archives: a .tar, packed or not, read forward.

Python's own reader holds whatever a header says in memory, and ends in silence at a damaged one.
"""

from __future__ import annotations

import tarfile
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import partial

from redemption_analytics.sources.compression import unpacked
from redemption_analytics.sources.export import is_hidden
from redemption_analytics.sources.streams import (
    MOST_SPOOLED,
    UNREADABLE,
    ByteStream,
    Rewindable,
    skipped,
    spooled,
)

#: All in a .tar stands in blocks of so many bytes.
BLOCK = 512

#: What says more of the next file: its long name, or more (POSIX.1-2017, pax).
_LONG_NAME, _LONG_LINK, _PAX, _GLOBAL = b"L", b"K", (b"x", b"X"), b"g"
#: No name is longer.
_MOST_SAID = 1 << 20
_NO_FILES = (tarfile.DIRTYPE, tarfile.CHRTYPE, tarfile.BLKTYPE, tarfile.FIFOTYPE)
_LINKS = (tarfile.LNKTYPE, tarfile.SYMTYPE)

#: A packed archive is begun anew so often before it is copied to where one can go to and fro.
_RESTARTS = 2


@dataclass(frozen=True)
class Member:
    """A file in an archive.

    Attributes
    ----------
    name
        What the archive calls it; "" stands for the archive itself, where that is damaged.
    size
        Its bytes.
    place
        Where it stands in the archive, which no other does.
    open
        Opens it; None for a link to another.
    """

    name: str
    size: int
    place: int
    open: Callable[[], ByteStream] | None


def is_tar(head: bytes) -> bool:
    """Check whether what begins so is a .tar, though its first block may be damaged."""
    return head[257:262] == b"ustar" or _header(head[:BLOCK]) is not None


def _header(block: bytes) -> tarfile.TarInfo | None:
    try:
        header = tarfile.TarInfo.frombuf(block, "utf-8", "backslashreplace")
    except tarfile.HeaderError:
        return None
    return header if header.size >= 0 else None


class Tar:
    """A .tar, open from its first member's opening to its last member's closing.

    Parameters
    ----------
    opener
        Opens the archive.
    codec
        What it is packed with.
    nested
        Whether it stands in another archive, in which going back is dear.
    """

    def __init__(
        self,
        opener: Callable[[], ByteStream],
        codec: str | None,
        *,
        nested: bool,
    ):
        self._opener = opener
        self._codec = codec
        self._dear = self._forward = nested or codec is not None
        self._stream: ByteStream | None = None
        self._position = 0
        self._restarts = 0
        self._count = self._unread = 0

    def members(self) -> Iterator[Member]:
        """Yield the members in their order; where the archive is damaged, one that says so."""
        self._unread = -1
        try:
            for header, start in self._headers():
                if header.type in _NO_FILES:
                    continue
                opener = None
                if header.type not in _LINKS:
                    opener = partial(self._open, header, start)
                    self._count += not is_hidden(header.name)
                yield Member(header.name, header.size, start, opener)
        except UNREADABLE as error:
            yield Member("", 0, -1, partial(_fail, error))
        finally:
            self.close()
            self._restarts = 0

    def _headers(self) -> Iterator[tuple[tarfile.TarInfo, int]]:
        """Yield the header of each file, and where the file begins."""
        place, ended = 0, False
        said: dict[str, str] = {}
        while block := self._at(place).read(BLOCK):
            self._position += len(block)
            place += BLOCK
            if not block.strip(b"\0") and len(block) == BLOCK:
                ended = True
                continue
            header = _header(block)
            if header is None:
                raise OSError(f"its header at byte {place - BLOCK:,} is damaged")
            ended = False
            size = header.size
            if header.type in (_LONG_NAME, _LONG_LINK, _GLOBAL, *_PAX):
                said |= self._said(header, place)
            else:
                sparse = header.type == tarfile.GNUTYPE_SPARSE
                if sparse:
                    place = self._behind_map(place, more=block[482])
                header.name = said.get("GNU.sparse.name") or said.get("path") or header.name
                size = header.size = _size(said.get("size"), header.size)
                if sparse or any(key.startswith("GNU.sparse.") for key in said):
                    # A few bytes may stand for any number of zeros.
                    header.type = tarfile.GNUTYPE_SPARSE
                yield header, place
                said = {}
                if header.type in (*_LINKS, *_NO_FILES):
                    size = 0
            place += -(-size // BLOCK) * BLOCK
        if not ended:
            raise EOFError("it breaks off: the archive has no end")

    def _said(self, header: tarfile.TarInfo, place: int) -> dict[str, str]:
        """Read what is said of the next file."""
        if header.type in (_LONG_LINK, _GLOBAL):
            return {}
        if header.size > _MOST_SAID:
            raise OSError(f"its header at byte {place - BLOCK:,} is damaged")
        text = self._at(place).read(header.size)
        self._position += len(text)
        if header.type == _LONG_NAME:
            return {"path": text.rstrip(b"\0").decode(errors="backslashreplace")}
        found = {}
        while text:
            length, _, _ = text.partition(b" ")
            if not length.isdigit() or not 0 < int(length) <= len(text):
                break
            record, text = text[len(length) + 1 : int(length)], text[int(length) :]
            key, _, value = record.removesuffix(b"\n").partition(b"=")
            found[key.decode(errors="replace")] = value.decode(errors="backslashreplace")
        return found

    def _behind_map(self, place: int, *, more: int) -> int:
        """Pass over the blocks that tell where a sparse file has holes."""
        while more:
            block = self._at(place).read(BLOCK)
            self._position += len(block)
            place += BLOCK
            more = block[504] if len(block) == BLOCK else 0
        return place

    def _open(self, header: tarfile.TarInfo, start: int) -> ByteStream:
        if not self._unread:
            self._unread = self._count
        try:
            if header.type == tarfile.GNUTYPE_SPARSE:
                raise OSError("it is a sparse file: unpack it first")
            self._at(start)
        except BaseException:
            self._member_done()
            raise
        return Rewindable(_Window(self, start, header.size), self._member_done)

    def read_at(self, place: int, size: int) -> bytes:
        """Read on from a place."""
        data = self._at(place).read(size)
        self._position += len(data)
        return data

    def _at(self, place: int) -> ByteStream:
        """Return the stream, standing at a place."""
        if self._stream is None or (self._forward and self._position > place):
            self._begin()
        if self._forward:
            self._position += skipped(self._begun, place - self._position)
            if self._position < place:
                raise EOFError("it breaks off: the archive has no end")
        elif self._position != place:
            self._position = self._begun.seek(place)
        return self._begun

    @property
    def _begun(self) -> ByteStream:
        assert self._stream is not None
        return self._stream

    def _begin(self) -> None:
        """Open the archive; where that was done often enough, copy it."""
        if self._stream is not None:
            self._stream.close()
            self._restarts += 1
        self._stream, self._position = unpacked(self._opener(), self._codec), 0
        if self._forward and self._restarts > _RESTARTS:
            packed = self._stream
            self._stream = spooled(packed, most=MOST_SPOOLED)
            packed.close()
            self._forward = False

    def _member_done(self) -> None:
        self._unread -= self._unread > 0
        if not self._unread:
            self.close()

    def close(self) -> None:
        """Close the archive, which is opened again when it is needed."""
        if self._stream is not None:
            self._stream.close()
        self._stream = None
        self._unread = 0
        self._forward = self._dear

    def __del__(self) -> None:
        self.close()


class _Window:
    """The bytes of one member."""

    def __init__(self, tar: Tar, start: int, size: int):
        self._tar = tar
        self._place = start
        self._end = start + size

    def read(self, size: int = -1, /) -> bytes:
        left = self._end - self._place
        wanted = left if size < 0 else min(size, left)
        data = self._tar.read_at(self._place, wanted) if wanted else b""
        self._place += len(data)
        if wanted and not data:
            raise EOFError("the archive has no end")
        return data


def _fail(error: BaseException) -> ByteStream:
    raise error


def _size(said: str | None, otherwise: int) -> int:
    return int(said) if said is not None and said.isdecimal() else otherwise
