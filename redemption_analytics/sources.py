"""Finding exports: from whatever a user calls a source to a list of files that can be opened."""

from __future__ import annotations

import glob
import io
import os
import stat
from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import replace
from datetime import UTC, datetime
from functools import partial
from itertools import chain, takewhile
from pathlib import Path
from typing import Any, BinaryIO, TypeAlias

import pyarrow as pa
from pyarrow import fs

from redemption_analytics.archives import members
from redemption_analytics.errors import SourceError
from redemption_analytics.exports import (
    DatedBy,
    Export,
    Payload,
    has_export_name,
    is_hidden,
)
from redemption_analytics.path_dates import date_in_name
from redemption_analytics.streams import ByteStream, Stream, spooled

Source: TypeAlias = str | os.PathLike[str] | BinaryIO | Payload | Iterable[Any]


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
    exports = list(_distinct(chain.from_iterable(map(members, _exports(source)))))
    if not exports:
        raise SourceError(
            f"{_describe(source)} holds nothing to read: give a file, a directory of exports,"
            " a glob, or payloads"
        )
    if exported_at is not None:
        exports = [replace(e, exported_at=exported_at, dated_by="given") for e in exports]
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

    return Export(name, *_dated(name, _now(), "read"), open=reopen)


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
        yield _remote(filesystem, entry, name, named=False, below=uri)


def _sorted_tree(filesystem: fs.FileSystem, path: str) -> list[fs.FileInfo]:
    entries = filesystem.get_file_info(fs.FileSelector(path, recursive=True))
    return sorted(
        (e for e in entries if e.is_file and not is_hidden(e.path.removeprefix(path))),
        key=lambda entry: entry.path,
    )


def _remote(
    filesystem: fs.FileSystem, info: fs.FileInfo, name: str, *, named: bool, below: str = ""
) -> Export:
    written = info.mtime.astimezone(UTC).replace(tzinfo=None) if info.mtime else None
    return Export(
        name,
        *_dated(name, written or _now(), "modified" if written else "read", below),
        open=lambda: filesystem.open_input_file(info.path),
        size=info.size or 0,
        expected=named or has_export_name(name),
        identity=name,
    )


def _from_path(path: str) -> Iterator[Export]:
    if os.path.isdir(path):
        files = _files_below(path)
        if not files:
            raise SourceError(f"{path} holds no files: is it the right directory?")
        yield from (_local(file, named=False, below=path) for file in files)
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
    hidden_too = is_hidden(*parts[fixed:])
    for match in sorted(glob.glob(pattern, recursive=True)):
        if hidden_too or not is_hidden(*Path(match).parts[fixed:]):
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
            folders[:] = [name for name in folders if not is_hidden(name)]
            directories += filter(os.path.islink, (os.path.join(folder, f) for f in folders))
            for path in (os.path.join(folder, name) for name in names if not is_hidden(name)):
                if _is_file(path):
                    (links if os.path.islink(path) else files).append(path)
    # What has two names is known by the one that is no link.
    return sorted(files) + sorted(links)


def _is_file(path: str) -> bool:
    """Tell whether it is a file or a broken link; a FIFO would be waited for without end."""
    return os.path.isfile(path) or not os.path.exists(path)


def _local(path: str, *, named: bool, below: str = "") -> Export:
    expected = named or has_export_name(path)

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
        return Export(path, *_dated(path, _now(), "read", below), open=opener, expected=expected)
    written = datetime.fromtimestamp(status.st_mtime, UTC).replace(tzinfo=None)
    return Export(
        path,
        *_dated(path, written, "modified", below),
        open=opener,
        size=status.st_size,
        expected=expected,
        # Links, hard ones too, lead to one file.
        identity=f"{status.st_dev}:{status.st_ino}" if status.st_ino else os.path.realpath(path),
    )


def _dated(
    name: str, otherwise: datetime, by: DatedBy, below: str = ""
) -> tuple[datetime, DatedBy]:
    """Tell when an export was made: by its name, where that says it."""
    date = date_in_name(name, below)
    return (otherwise, by) if date is None else (date, "path")


def _describe(source: object) -> str:
    if isinstance(source, (str, os.PathLike)):
        return os.fsdecode(source)
    return f"the given {type(source).__name__}"


def _now() -> datetime:
    return datetime.now(UTC).replace(tzinfo=None)
