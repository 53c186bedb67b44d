"""Archives: a .zip or .tar of exports, which may hold more of them."""

from __future__ import annotations

import struct
import zipfile
from collections.abc import Callable, Iterator
from contextlib import closing
from dataclasses import replace
from functools import partial
from typing import Protocol

from redemption_analytics.sources.compression import MAGIC_BYTES, codec_of, unpacked
from redemption_analytics.sources.export import HIDDEN, Export, has_export_name, is_hidden
from redemption_analytics.sources.passing_over import unread_kind
from redemption_analytics.sources.path_dates import date_in_name
from redemption_analytics.sources.streams import UNREADABLE, ByteStream, Rewindable
from redemption_analytics.sources.tars import BLOCK, Member, Tar, is_tar

#: Archives within archives are opened so deep.
DEEPEST = 3

#: How a .zip begins, and one that is empty.
ZIP_MAGIC, _EMPTY_ZIP = b"PK\x03\x04", b"PK\x05\x06"

#: The flag of a member that is encrypted (.ZIP File Format Specification, 4.4.4).
_ENCRYPTED = 1

#: The member by which an office document is told, which is a .zip too.
_OFFICE = "[Content_Types].xml"


class _Archive(Protocol):
    def members(self) -> Iterator[Member]: ...


def members(export: Export, depth: int = 0) -> Iterator[Export]:
    """Yield the members of an archive, or the export itself where it is none or is empty."""
    archive = None
    if export.open is not None and export.passed_over is None and depth < DEEPEST:
        archive = _archive(
            export.open, depth, office=not export.expected or unread_kind(export.name) is not None
        )
    if archive is None:
        yield export
        return
    empty = True
    for member in archive.members():
        empty = False
        yield from _member(export, member, depth)
    if empty:
        yield replace(export, open=partial(_refuse, "an archive without files"))


def _member(export: Export, member: Member, depth: int) -> Iterator[Export]:
    name = f"{export.name}/{member.name}" if member.name else export.name
    # An archive is as good as a folder, but of two dates its own may be its making's.
    date = date_in_name(member.name, sure=True) or date_in_name(name)
    passed_over = None
    if member.open is None:
        passed_over = "a link to another file in its archive"
    elif is_hidden(member.name):
        passed_over = HIDDEN
    found = replace(
        export,
        name=name,
        exported_at=date or export.exported_at,
        dated_by="path" if date else export.dated_by,
        open=None if passed_over else member.open,
        size=member.size,
        # A spreadsheet is a .zip too, with .xml in it.
        expected=export.expected and (not member.name or has_export_name(member.name)),
        identity=export.identity and f"{export.identity}/{member.place}",
        passed_over=passed_over,
        archive=export.archive or export.name,
    )
    yield from members(found, depth + 1)


def _refuse(reason: str) -> ByteStream:
    raise OSError(f"it is {reason}")


def _archive(opener: Callable[[], ByteStream], depth: int, *, office: bool) -> _Archive | None:
    """Return what archive a file is; None if it is none, or an office document to be left alone."""
    try:
        with closing(opener()) as stream:
            head = stream.read(BLOCK)
            if head.startswith((ZIP_MAGIC, _EMPTY_ZIP)):
                stream.seek(0)
                with zipfile.ZipFile(stream) as archive:
                    files = [entry for entry in archive.infolist() if not entry.is_dir()]
                if office and any(entry.filename == _OFFICE for entry in files):
                    return None
                return _Zip(opener, files)
            codec = codec_of(head[:MAGIC_BYTES])
            if codec is not None:
                stream.seek(0)
                head = unpacked(stream, codec).read(BLOCK)
            return Tar(opener, codec, nested=depth > 0) if is_tar(head) else None
    except (*UNREADABLE, ValueError, struct.error):
        # Reading it will say what is wrong, as a reject.
        return None


class _Zip:
    """A .zip, which is open from its first member's opening to its last member's closing."""

    def __init__(self, opener: Callable[[], ByteStream], entries: list[zipfile.ZipInfo]):
        self._opener = opener
        self._entries = sorted(entries, key=lambda entry: entry.filename)
        self._stream: ByteStream | None = None
        self._zip: zipfile.ZipFile | None = None
        self._count = sum(not is_hidden(entry.filename) for entry in entries)
        self._unread = 0

    def members(self) -> Iterator[Member]:
        """Yield the members, by their names."""
        for entry in self._entries:
            opener = partial(self._open, entry)
            yield Member(entry.filename, entry.file_size, entry.header_offset, opener)

    def _open(self, entry: zipfile.ZipInfo) -> ByteStream:
        if self._zip is None:
            self._stream = self._opener()
            self._zip = zipfile.ZipFile(self._stream)
            self._unread = self._count
        try:
            if entry.flag_bits & _ENCRYPTED:
                raise OSError("it is encrypted: unpack it with its password first")
            stream = self._zip.open(entry)
        except BaseException:
            self._member_done()
            raise

        def close() -> None:
            stream.close()
            self._member_done()

        return Rewindable(stream, close)

    def _member_done(self) -> None:
        self._unread -= 1
        if not self._unread:
            self.close()

    def close(self) -> None:
        if self._zip is not None:
            self._zip.close()
        if self._stream is not None:
            self._stream.close()
        self._zip = self._stream = None

    def __del__(self) -> None:
        self.close()
