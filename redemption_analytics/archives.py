"""Archives: a .zip of exports, which may hold more of them."""

from __future__ import annotations

import struct
import zipfile
from collections.abc import Callable, Iterator
from contextlib import closing
from dataclasses import replace
from functools import partial

from redemption_analytics.exports import Export, has_export_name, is_hidden
from redemption_analytics.path_dates import date_in_name
from redemption_analytics.streams import UNREADABLE, ByteStream, Stream

#: Archives within archives are opened so deep.
DEEPEST = 3

#: How a .zip begins.
ZIP_MAGIC = b"PK\x03\x04"

#: The flag of a member that is encrypted (.ZIP File Format Specification, 4.4.4).
_ENCRYPTED = 1


def members(export: Export, depth: int = 0) -> Iterator[Export]:
    """Give the members of a .zip, or the export itself."""
    archive = _Archive(export.open) if export.open and depth < DEEPEST else None
    found = archive.members() if archive else None
    if archive is None or found is None:
        yield export
        return
    for member in found:
        name = f"{export.name}/{member.filename}"
        # An archive is as good as a folder, but of two dates its own may be its making's.
        date = date_in_name(member.filename, sure=True) or date_in_name(name)
        yield from members(
            replace(
                export,
                name=name,
                exported_at=date or export.exported_at,
                dated_by="path" if date else export.dated_by,
                open=partial(archive.open, member),
                size=member.compress_size,
                # A spreadsheet is a .zip too, with .xml in it.
                expected=export.expected and has_export_name(member.filename),
                identity=export.identity and f"{export.identity}/{member.header_offset}",
            ),
            depth + 1,
        )


class _Archive:
    """A .zip, which is open from its first member's opening to its last member's closing."""

    def __init__(self, opener: Callable[[], ByteStream]):
        self._opener = opener
        self._stream: ByteStream | None = None
        self._zip: zipfile.ZipFile | None = None
        self._count = 0
        self._unread = 0

    def members(self) -> list[zipfile.ZipInfo] | None:
        """List the members, None if it is no .zip."""
        try:
            with closing(self._opener()) as stream:
                if stream.read(len(ZIP_MAGIC)) != ZIP_MAGIC:
                    return None
                stream.seek(0)
                with zipfile.ZipFile(stream) as archive:
                    members = archive.infolist()
        except (*UNREADABLE, ValueError, struct.error):
            # Reading it will say what is wrong, as a reject.
            return None
        members = [m for m in members if not m.is_dir() and not is_hidden(m.filename)]
        self._count = len(members)
        return sorted(members, key=lambda member: member.filename)

    def open(self, member: zipfile.ZipInfo) -> ByteStream:
        """Open a member."""
        if self._zip is None:
            self._stream = self._opener()
            self._zip = zipfile.ZipFile(self._stream)
            self._unread = self._count
        try:
            if member.flag_bits & _ENCRYPTED:
                raise OSError("it is encrypted: unpack it with its password first")
            stream = self._zip.open(member)
        except BaseException:
            self._member_done()
            raise

        def close() -> None:
            stream.close()
            self._member_done()

        return Stream(stream, close=close)

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
