"""Finding exports: from whatever a user calls a source to a list of files that can be opened."""

from __future__ import annotations

import glob
import io
import logging
import os
import re
import zipfile
from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from functools import partial
from itertools import chain
from pathlib import Path
from typing import Any, BinaryIO, Protocol, TypeAlias

from pyarrow import fs

from redemption_analytics.errors import SourceError

Payload: TypeAlias = dict[str, Any] | bytes
Source: TypeAlias = str | os.PathLike[str] | BinaryIO | Payload | Iterable[Any]

#: Names of files that should hold exports; others in a directory are read if they plainly do.
EXPORT_SUFFIXES = frozenset(
    {".json", ".jsonl", ".ndjson", ".xml", ".txt", ".log", ".parquet"}
    | {".gz", ".bz2", ".zst", ".lz4", ".zip"}
)


class ByteStream(Protocol):
    """What is read from: a file, a member of a .zip, an object in a store."""

    def read(self, size: int = -1, /) -> bytes: ...  # noqa: D102
    def seek(self, offset: int, whence: int = 0, /) -> int: ...  # noqa: D102
    def tell(self) -> int: ...  # noqa: D102
    def close(self) -> None: ...  # noqa: D102


_LOG = logging.getLogger(__name__)
_DATE = re.compile(
    r"(?<!\d)(?P<date>(?:19|20)\d\d-\d\d-\d\d|(?:19|20)\d{6})"
    r"(?:[T_ -]?(?P<hour>\d\d)[-:.]?(?P<minute>\d\d)(?:[-:.]?(?P<second>\d\d))?)?(?!\d)"
)
_ZIP = b"PK\x03\x04"


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
    named
        Whether the user named it, so that it has to be an export, or it was found in a directory.
    identity
        What tells that two of them are one file; None where nothing does.
    """

    name: str
    exported_at: datetime
    open: Callable[[], ByteStream] | None = None
    payloads: Iterable[Payload] = ()
    size: int = 0
    named: bool = True
    identity: str | None = None

    @property
    def expected(self) -> bool:
        """Whether it should hold answers, so that its failing to is worth a reject."""
        return self.named or Path(self.name).suffix.lower() in EXPORT_SUFFIXES


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
        clock = "".join(match[part] or "00" for part in ("hour", "minute", "second"))
        for written in (date + clock, date + "000000"):
            try:
                return datetime.strptime(written, "%Y%m%d%H%M%S")
            except ValueError:
                continue
    return None


def _exports(source: Source) -> Iterator[Export]:
    if isinstance(source, (str, os.PathLike)):
        path = os.fspath(source)
        yield from _from_uri(path) if "://" in path else _from_path(path)
    elif isinstance(source, (dict, bytes, bytearray)):
        yield _from_payloads([source if isinstance(source, dict) else bytes(source)])
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
        rest = (_payload(item) for item in items)
        yield _from_payloads(chain([_payload(first)], rest))
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
    if isinstance(stream, io.TextIOBase):
        raise SourceError('the file is open as text: open it as binary, with mode "rb"')
    name = str(getattr(stream, "name", "")) or "stream"
    if not stream.seekable():
        # Its first bytes are looked at more than once.
        stream = io.BytesIO(stream.read())
    start = stream.tell()

    def reopen() -> ByteStream:
        stream.seek(start)
        return Stream(stream, keep_open=True)

    return Export(name, date_in_name(name) or _now(), open=reopen)


class Stream(io.BufferedIOBase):
    """A stream that tells how much is read of it, and may outlive its reader."""

    def __init__(
        self,
        stream: ByteStream,
        *,
        on_read: Callable[[int], object] | None = None,
        keep_open: bool = False,
    ):
        self._stream = stream
        self._on_read = on_read
        self._keep_open = keep_open

    def read(self, size: int | None = -1, /) -> bytes:  # noqa: D102
        data = self._stream.read(-1 if size is None else size)
        if self._on_read:
            self._on_read(len(data))
        return data

    def seek(self, offset: int, whence: int = 0, /) -> int:  # noqa: D102
        return self._stream.seek(offset, whence)

    def tell(self) -> int:  # noqa: D102
        return self._stream.tell()

    def readable(self) -> bool:  # noqa: D102
        return True

    def seekable(self) -> bool:  # noqa: D102
        return True

    def close(self) -> None:  # noqa: D102
        if not self._keep_open:
            self._stream.close()
        super().close()


def _from_uri(uri: str) -> Iterator[Export]:
    try:
        filesystem, path = fs.FileSystem.from_uri(uri)
        info = filesystem.get_file_info(path)
    except (OSError, ValueError) as error:
        raise SourceError(f"{uri} cannot be reached: {error}") from error
    prefix = uri.removesuffix("/")
    if info.type is fs.FileType.NotFound:
        raise SourceError(f"{uri} does not exist")
    if info.type is fs.FileType.Directory:
        for entry in _sorted_tree(filesystem, path):
            name = f"{prefix}/{entry.path.removeprefix(path).lstrip('/')}"
            yield _remote(filesystem, entry, name, named=False)
    else:
        yield _remote(filesystem, info, uri, named=True)


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
        named=named,
        identity=name,
    )


def _from_path(path: str) -> Iterator[Export]:
    if os.path.isdir(path):
        files = list(_files_below(path))
        if not files:
            raise SourceError(f"{path} holds no files: is it the right directory?")
        yield from (_local(file, named=False) for file in files)
    elif os.path.exists(path):
        yield _local(path, named=True)
    elif glob.has_magic(path):
        matches = sorted(glob.glob(path, recursive=True))
        if not matches:
            raise SourceError(f"{path} matches no file")
        yield from chain.from_iterable(map(_from_path, matches))
    else:
        raise SourceError(f"{path} does not exist")


def _files_below(directory: str) -> Iterator[str]:
    for folder, folders, files in os.walk(directory):
        folders[:] = sorted(name for name in folders if not _hidden(name))
        for name in sorted(files):
            path = os.path.join(folder, name)
            # A FIFO or a socket would be waited for without end.
            if not _hidden(name) and (os.path.isfile(path) or os.path.islink(path)):
                yield path


def _hidden(path: str) -> bool:
    return any(part.startswith((".", "_")) for part in Path(path).parts)


def _local(path: str, *, named: bool) -> Export:
    try:
        status = os.stat(path)
    except OSError:
        # It vanished since it was listed; opening it says so, as a reject.
        return Export(
            path, date_in_name(path) or _now(), open=lambda: open(path, "rb"), named=named
        )
    written = datetime.fromtimestamp(status.st_mtime, UTC).replace(tzinfo=None)
    return Export(
        path,
        date_in_name(path) or written,
        open=lambda: open(path, "rb"),
        size=status.st_size,
        named=named,
        identity=os.path.realpath(path),
    )


def _members(export: Export) -> Iterator[Export]:
    """Give the members of a .zip, or the export itself."""
    archive = _archive(export)
    if archive is None:
        yield export
        return
    for member in sorted(archive.infolist(), key=lambda member: member.filename):
        if member.is_dir() or _hidden(member.filename):
            continue
        name = f"{export.name}/{member.filename}"
        yield replace(
            export,
            name=name,
            exported_at=date_in_name(name) or export.exported_at,
            open=partial(archive.open, member),
            size=member.compress_size,
            named=False,
            identity=export.identity and f"{export.identity}/{member.filename}",
        )


def _archive(export: Export) -> zipfile.ZipFile | None:
    if export.open is None:
        return None
    try:
        stream = export.open()
        if stream.read(len(_ZIP)) == _ZIP:
            stream.seek(0)
            return zipfile.ZipFile(stream)
        stream.close()
    except (OSError, zipfile.BadZipFile):
        # Reading it will say what is wrong, as a reject.
        pass
    return None


def _describe(source: object) -> str:
    if isinstance(source, (str, os.PathLike)):
        return os.fspath(source)
    return f"the given {type(source).__name__}"


def _now() -> datetime:
    return datetime.now(UTC).replace(tzinfo=None, microsecond=0)
