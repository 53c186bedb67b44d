"""Finding exports: from whatever a user calls a source to a list of files that can be opened."""

from __future__ import annotations

import glob
import io
import os
import re
import stat
import struct
import zipfile
from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from contextlib import closing
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from functools import partial
from itertools import chain, takewhile
from pathlib import Path
from typing import Any, BinaryIO, TypeAlias

import pyarrow as pa
from pyarrow import fs

from redemption_analytics.errors import SourceError
from redemption_analytics.streams import UNREADABLE, ByteStream, Stream, spooled

Payload: TypeAlias = dict[str, Any] | bytes
Source: TypeAlias = str | os.PathLike[str] | BinaryIO | Payload | Iterable[Any]

#: Names of files that should hold exports; others in a directory are read if they plainly do.
EXPORT_SUFFIXES = frozenset(
    {".json", ".jsonl", ".ndjson", ".xml", ".txt", ".log", ".parquet"}
    | {".gz", ".bz2", ".zst", ".lz4", ".zip"}
)

#: Archives within archives are opened so deep.
_DEEPEST = 3

#: How a .zip begins.
ZIP_MAGIC = b"PK\x03\x04"

_DATE = re.compile(
    r"(?<!\d)(?P<date>(?:19|20)\d\d-\d\d-\d\d|(?:19|20)\d{6})"
    r"(?:[T_ -]?(?P<hour>\d\d)[-:.]?(?P<minute>\d\d)(?:[-:.]?(?P<second>\d\d))?)?(?!\d)"
)


@dataclass(frozen=True)
class Export:
    """One file of answers, or one run of payloads.

    Attributes
    ----------
    name
        What ``source`` says in the tables: the path as it was given.
    exported_at
        When the export was made.
    open
        Opens the bytes from their beginning; None for decoded payloads.
    payloads
        The payloads themselves, where they were given in place of a file.
    size
        Bytes as stored, 0 where unknown.
    expected
        Whether it should hold answers, so that its failing to is worth a reject: the user named it,
        or its name is that of an export.
    identity
        What tells that two of them are one file; None where nothing does.
    """

    name: str
    exported_at: datetime
    open: Callable[[], ByteStream] | None = None
    payloads: Iterable[Payload] = ()
    size: int = 0
    expected: bool = True
    identity: str | None = None


def find_exports(source: Source, exported_at: datetime | None = None) -> list[Export]:
    """List the exports of a source, the oldest first.

    Parameters
    ----------
    source
        As :func:`redemption_analytics.load` takes it.
    exported_at
        When all of them were made; by default each file's name or modification time tells.

    Raises
    ------
    SourceError
        If a path does not exist, or there is nothing to read.
    """
    exports = list(_distinct(chain.from_iterable(map(_members, _exports(source)))))
    if not exports:
        raise SourceError(
            f"{_describe(source)} holds nothing to read: give a file, a directory of exports,"
            " a glob, or payloads"
        )
    if exported_at is not None:
        exports = [replace(export, exported_at=exported_at) for export in exports]
    return sorted(exports, key=lambda export: export.exported_at)


def _distinct(exports: Iterable[Export]) -> Iterator[Export]:
    """Pass over files that were found before, and give all others a name of their own."""
    seen: set[str] = set()
    names: Counter[str] = Counter()
    for export in exports:
        if export.identity is not None:
            if export.identity in seen:
                continue
            seen.add(export.identity)
        names[export.name] += 1
        if names[export.name] > 1:
            export = replace(export, name=f"{export.name} ({names[export.name]})")
        yield export


def date_in_name(name: str) -> datetime | None:
    """Read the last date, and time if there is one, in a path.

    >>> date_in_name("exports/2026-11-20T03-00/part-7.jsonl.gz")
    datetime.datetime(2026, 11, 20, 3, 0)
    >>> date_in_name("2025-stores.json") is None
    True
    """
    for match in reversed(list(_DATE.finditer(name))):
        date = match["date"].replace("-", "")
        day = int(date[:4]), int(date[4:6]), int(date[6:])
        hour, minute, second = (int(match[part] or 0) for part in ("hour", "minute", "second"))
        for clock in ((hour, minute, second), (0, 0, 0)):
            try:
                return datetime(*day, *clock)
            except ValueError:
                continue
    return None


def _exports(source: Source) -> Iterator[Export]:
    if isinstance(source, (str, os.PathLike)):
        path = os.fsdecode(source)
        yield from _from_uri(path) if "://" in path else _from_path(path)
    elif isinstance(source, dict):
        yield _from_payloads([source])
    elif isinstance(source, (bytes, bytearray)):
        # On its own it may be a whole file's content, in any form that a file can have.
        yield Export("payloads", _now(), open=partial(io.BytesIO, bytes(source)), size=len(source))
    elif hasattr(source, "read"):
        yield _from_stream(source)
    elif isinstance(source, Iterable):
        yield from _from_iterable(iter(source))
    else:
        raise SourceError(
            f"a {type(source).__name__} is no source: give a path, an open binary file,"
            " a payload (dict or bytes), or a list of these"
        )


def _from_iterable(items: Iterator[Any]) -> Iterator[Export]:
    for first in items:
        if not isinstance(first, (dict, bytes, bytearray)):
            yield from _exports(first)
            continue
        # Payloads stream: the rest of the iterable belongs to this one export.
        yield _from_payloads(map(_payload, chain([first], items)))
        return


def _payload(item: object) -> Payload:
    if isinstance(item, dict):
        return item
    if isinstance(item, (bytes, bytearray)):
        return bytes(item)
    raise SourceError(
        f"a {type(item).__name__} among payloads: give them as dict or bytes (text is taken for a"
        " path), and load paths by a list of their own"
    )


def _from_payloads(payloads: Iterable[Payload]) -> Export:
    return Export("payloads", _now(), payloads=payloads)


def _from_stream(stream: Any) -> Export:
    name = getattr(stream, "name", None)
    name = os.fsdecode(name) if isinstance(name, (str, bytes, os.PathLike)) else "stream"
    try:
        if isinstance(stream.read(0), str):
            raise SourceError('the file is open as text: open it as binary, with mode "rb"')
        if not (hasattr(stream, "seekable") and stream.seekable()):
            # Its first bytes are looked at more than once.
            stream = spooled(stream)
    except (OSError, ValueError) as error:
        raise SourceError(f"{name} cannot be read: {error}") from error
    start = stream.tell()

    def reopen() -> ByteStream:
        stream.seek(start)
        return Stream(stream, start=start, close=lambda: None)

    return Export(name, date_in_name(name) or _now(), open=reopen)


def _from_uri(uri: str) -> Iterator[Export]:
    try:
        filesystem, path = fs.FileSystem.from_uri(uri)
        info = filesystem.get_file_info(path)
        found = _sorted_tree(filesystem, path) if info.type is fs.FileType.Directory else []
    except (OSError, ValueError, pa.ArrowException) as error:
        raise SourceError(f"{uri} cannot be reached: {error}") from error
    if info.type is fs.FileType.NotFound:
        raise SourceError(f"{uri} does not exist")
    if info.type is not fs.FileType.Directory:
        yield _remote(filesystem, info, uri, named=True)
    elif not found:
        raise SourceError(f"{uri} holds no files: is it the right directory?")
    for entry in found:
        name = f"{uri.rstrip('/')}/{entry.path.removeprefix(path).lstrip('/')}"
        yield _remote(filesystem, entry, name, named=False)


def _sorted_tree(filesystem: fs.FileSystem, path: str) -> list[fs.FileInfo]:
    entries = filesystem.get_file_info(fs.FileSelector(path, recursive=True))
    return sorted(
        (e for e in entries if e.is_file and not _hidden(e.path.removeprefix(path))),
        key=lambda entry: entry.path,
    )


def _remote(filesystem: fs.FileSystem, info: fs.FileInfo, name: str, *, named: bool) -> Export:
    written = info.mtime.astimezone(UTC).replace(tzinfo=None) if info.mtime else _now()
    return Export(
        name,
        date_in_name(name) or written,
        open=lambda: filesystem.open_input_file(info.path),
        size=info.size or 0,
        expected=named or _has_export_name(name),
        identity=name,
    )


def _from_path(path: str) -> Iterator[Export]:
    if os.path.isdir(path):
        files = _files_below(path)
        if not files:
            raise SourceError(f"{path} holds no files: is it the right directory?")
        yield from (_local(file, named=False) for file in files)
    elif os.path.exists(path):
        yield _local(path, named=True)
    elif path.lstrip("\ufeff \t\r\n").startswith(("{", "[{", "<")):
        raise SourceError("text is taken for a path, and this is none: give it as bytes")
    elif glob.has_magic(path):
        files = list(_glob(path))
        if not files:
            raise SourceError(f"{path} matches no file")
        # A pattern such as *.dat names what it finds, and exports/* does not.
        suffix = Path(path).suffix
        named = bool(suffix) and not glob.has_magic(suffix)
        yield from (_local(file, named=named) for file in files)
    else:
        raise SourceError(f"{path} does not exist")


def _glob(pattern: str) -> Iterator[str]:
    parts = Path(pattern).parts
    fixed = sum(1 for _ in takewhile(lambda part: not glob.has_magic(part), parts))
    hidden_too = _hidden(*parts[fixed:])
    for match in sorted(glob.glob(pattern, recursive=True)):
        if hidden_too or not _hidden(*Path(match).parts[fixed:]):
            if os.path.isdir(match):
                yield from _files_below(match)
            elif _is_file(match):
                yield match


def _files_below(directory: str) -> list[str]:
    files: list[str] = []
    links: list[str] = []
    walked: set[str] = set()
    directories = [directory]
    for top in directories:
        for folder, folders, names in os.walk(top, onerror=lambda e: files.append(e.filename)):
            place = os.path.realpath(folder)
            if place in walked:
                # A link led here before, or back to a directory above.
                folders.clear()
                continue
            walked.add(place)
            folders[:] = [name for name in folders if not _hidden(name)]
            directories += filter(os.path.islink, (os.path.join(folder, f) for f in folders))
            for path in (os.path.join(folder, name) for name in names if not _hidden(name)):
                if _is_file(path):
                    (links if os.path.islink(path) else files).append(path)
    # What has two names is known by the one that is no link.
    return sorted(files) + sorted(links)


def _is_file(path: str) -> bool:
    """Tell whether it is a file or a broken link; a FIFO would be waited for without end."""
    return os.path.isfile(path) or not os.path.exists(path)


def _hidden(*paths: str) -> bool:
    parts = (part for path in paths for part in Path(path).parts)
    return any(part.startswith((".", "_")) and part != ".." for part in parts)


def _has_export_name(name: str) -> bool:
    # A path object would take long, for each of thousands of files.
    return os.path.splitext(name)[1].lower() in EXPORT_SUFFIXES  # noqa: PTH122


def _local(path: str, *, named: bool) -> Export:
    expected = named or _has_export_name(path)

    def opener() -> BinaryIO:
        return open(path, "rb")

    try:
        status = os.stat(path)
        if stat.S_ISCHR(status.st_mode) or stat.S_ISBLK(status.st_mode):
            raise SourceError(f"{path} is a device, which may have no end: give a file")
        if not (stat.S_ISREG(status.st_mode) or stat.S_ISDIR(status.st_mode)):
            # A FIFO such as the shell's <(…): it can be read once only.
            with opener() as stream:
                return _from_stream(stream)
    except OSError:
        # Reading it will say what is wrong, as a reject.
        return Export(path, date_in_name(path) or _now(), open=opener, expected=expected)
    written = datetime.fromtimestamp(status.st_mtime, UTC).replace(tzinfo=None)
    return Export(
        path,
        date_in_name(path) or written,
        open=opener,
        size=status.st_size,
        expected=expected,
        # Links, hard ones too, lead to one file.
        identity=f"{status.st_dev}:{status.st_ino}" if status.st_ino else os.path.realpath(path),
    )


def _members(export: Export, depth: int = 0) -> Iterator[Export]:
    """Give the members of a .zip, or the export itself."""
    archive = _Archive(export.open) if export.open and depth < _DEEPEST else None
    members = archive.members() if archive else None
    if archive is None or members is None:
        yield export
        return
    for member in members:
        name = f"{export.name}/{member.filename}"
        yield from _members(
            replace(
                export,
                name=name,
                exported_at=date_in_name(name) or export.exported_at,
                open=partial(archive.open, member),
                size=member.compress_size,
                # A spreadsheet is a .zip too, with .xml in it.
                expected=export.expected and _has_export_name(member.filename),
                identity=export.identity and f"{export.identity}/{member.header_offset}",
            ),
            depth + 1,
        )


#: The bit of a member's flags that says so (.ZIP File Format Specification, 4.4.4).
_ENCRYPTED = 1


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
        members = [m for m in members if not m.is_dir() and not _hidden(m.filename)]
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


def _describe(source: object) -> str:
    if isinstance(source, (str, os.PathLike)):
        return os.fsdecode(source)
    return f"the given {type(source).__name__}"


def _now() -> datetime:
    return datetime.now(UTC).replace(tzinfo=None, microsecond=0)
