"""Finding exports: from whatever a user calls a source to files that can be opened."""

from __future__ import annotations

import glob
import io
import os
import stat
from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import replace
from datetime import UTC, datetime
from functools import partial
from itertools import accumulate, chain, takewhile
from pathlib import Path
from typing import Any, BinaryIO, TypeAlias

import pyarrow as pa
from pyarrow import fs

from redemption_analytics.dating import DatedBy
from redemption_analytics.errors import SourceError, kind_of
from redemption_analytics.sources.archives import members
from redemption_analytics.sources.export import (
    HIDDEN,
    Export,
    NoSourceError,
    Payload,
    has_export_name,
    in_order,
    is_hidden,
    numbered,
)
from redemption_analytics.sources.lakes import check_no_part
from redemption_analytics.sources.listing import Listed, listed
from redemption_analytics.sources.path_dates import date_in_name
from redemption_analytics.sources.payload_columns import is_frame, payloads_of
from redemption_analytics.sources.streams import ByteStream, LocalFile, Stream, spooled
from redemption_analytics.tables.outputs import (
    is_converted,
    is_converted_table,
    is_report,
    is_warehouse_directory,
)
from redemption_analytics.tables.passed_over import SAME
from redemption_analytics.visible import shortened

Source: TypeAlias = str | os.PathLike[str] | BinaryIO | Payload | Iterable[Any]


_UNREACHED = (
    "cannot be reached: give what PyArrow reads (a path, or s3://, gs://, hdfs://); what is"
    " elsewhere has to be downloaded first"
)

#: A text that stands for a path may be anything: so many characters of it are quoted.
MOST_QUOTED = 100


def find_exports(
    source: Source, exported_at: datetime | None = None, *, personal: bool = True
) -> list[Export]:
    """List the exports of a source in their order, those that are passed over too.

    Parameters
    ----------
    source
        As :func:`redemption_analytics.load` takes it.
    exported_at
        When all of them were made; by default each file's name or modification time tells.
    personal
        Whether errors may quote paths.

    Raises
    ------
    SourceError
        If a path does not exist, or there is nothing to read.
    """
    try:
        exports = _distinct(chain.from_iterable(map(members, _exports(source))))
    except NoSourceError as error:
        detail = (
            f": {shortened(error.detail, 2 * MOST_QUOTED)}" if error.detail and personal else ""
        )
        raise SourceError(f"{_quoted(error.path, personal)} {error.said}{detail}") from None
    if not exports:
        raise SourceError(
            f"{_describe(source, personal)} holds nothing to read: give a file, a directory of"
            " exports, a glob, or payloads"
        )
    if exported_at is not None:
        exports = [replace(e, exported_at=exported_at, dated_by="given") for e in exports]
    return in_order(exports)


def _quoted(path: str, personal: bool) -> str:
    return (shortened(path, MOST_QUOTED) or "''") if personal else "the path given"


def _distinct(exports: Iterable[Export]) -> list[Export]:
    """Pass over files that were found before, and give all others a name of their own.

    By which of its names a file is known does not depend on the order in which they were found.
    """
    found = list(map(_named_in_text, exports))
    alike: defaultdict[str, list[int]] = defaultdict(list)
    for place, export in enumerate(found):
        if export.identity is not None:
            alike[export.identity].append(place)
    again: set[int] = set()
    twins: dict[int, int] = {}
    for group in alike.values():
        if len(group) > 1:
            first, *others = sorted(group, key=lambda place: _preference(found[place]))
            places = {_place(found[first].name)}
            for other in others:
                if (own := _place(found[other].name)) in places:
                    again.add(other)
                else:
                    places.add(own)
                    twins[other] = first
    names: Counter[str] = Counter()
    for place, export in enumerate(found):
        if place not in again:
            names[export.name] += 1
            number = names[export.name]
            if number > 1:
                found[place] = replace(export, name=numbered(export.name, number), number=number)
    for place, first in twins.items():
        if found[place].passed_over is None:
            found[place] = replace(found[place], passed_over=SAME, twin=found[first].name)
    return [export for place, export in enumerate(found) if place not in again]


def _text(name: str) -> str:
    """Return a name as text: names of files are bytes, which need not be any."""
    return name.encode(errors="backslashreplace").decode()


def _named_in_text(export: Export) -> Export:
    """Return an export under names that are text, which those of files need not be."""
    name, archive = _text(export.name), export.archive and _text(export.archive)
    if (name, archive) == (export.name, export.archive):
        return export
    return replace(export, name=name, archive=archive)


def _preference(export: Export) -> tuple[bool, bool, bool, str, int, str]:
    """Say which of the names of a file it is known by: the least, of those by which it is read."""
    name = export.name
    read = (export.passed_over is not None, not export.expected, export.link)
    return *read, os.path.normpath(name), len(name), name


def _place(name: str) -> str:
    """Return the one path of a file, however its folder is called; of a link it is the link's."""
    folder, own = os.path.split(name)
    return os.path.join(os.path.realpath(folder), own)


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
    elif is_frame(source):
        yield Export("frame", _now(), payloads=payloads_of(source), form="frame")
    elif isinstance(source, Iterable):
        yield from _from_iterable(iter(source))
    else:
        raise SourceError(
            f"a source cannot be {kind_of(source)}: give the path of a file or directory, an open"
            " binary file, a payload (dict or bytes), a frame with a column payload, or a list of"
            " these"
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
        f"a payload cannot be {kind_of(item)}: give dict or bytes, and paths in a list of their own"
    )


def _from_payloads(payloads: Iterable[Payload]) -> Export:
    return Export("payloads", _now(), payloads=payloads, form="payloads")


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
        raise NoSourceError(name, "cannot be read", error) from error
    start = stream.tell()

    def reopen() -> ByteStream:
        stream.seek(start)
        return Stream(stream, start=start, close=lambda: None)

    return Export(name, *_dated(name, _now(), "read"), open=reopen)


def _from_uri(uri: str) -> Iterator[Export]:
    try:
        filesystem, path = fs.FileSystem.from_uri(uri)
        info = filesystem.get_file_info(path)
        folder = info.type is fs.FileType.Directory
        chosen = fs.FileSelector(path, recursive=True)
        entries = filesystem.get_file_info(chosen) if folder else []
    except (OSError, ValueError, pa.ArrowException) as error:
        raise NoSourceError(uri, _UNREACHED, error) from None
    if info.type is fs.FileType.NotFound:
        raise NoSourceError(uri, "does not exist")
    if not folder:
        yield _remote(filesystem, info, uri, named=True)
        return
    found = {entry.path.removeprefix(path).lstrip("/"): entry for entry in entries if entry.is_file}
    root = uri.rstrip("/")
    files = listed(sorted(found), root)
    _check_some_are_there(files, uri)
    for file in files:
        if file.payloads is not None:
            yield _of_table(file, f"{root}/{file.path}".rstrip("/"), root)
        else:
            entry = found.get(file.path, fs.FileInfo(f"{path}/{file.path}"))
            export = _remote(filesystem, entry, f"{root}/{file.path}", named=False, below=root)
            yield replace(export, passed_over=file.passed_over)


def _remote(
    filesystem: fs.FileSystem, info: fs.FileInfo, name: str, *, named: bool, below: str = ""
) -> Export:
    written = info.mtime.astimezone(UTC).replace(tzinfo=None) if info.mtime else None
    return Export(
        name,
        *_dated(name, written or _now(), "modified" if written else "read", below),
        open=lambda: filesystem.open_input_file(info.path),
        size=info.size,
        expected=named or has_export_name(name),
        identity=name,
        written=written,
    )


def _of_table(file: Listed, name: str, below: str) -> Export:
    dated = _dated(name, _now(), "read", below)
    return Export(name, *dated, payloads=file.payloads or (), form="delta")


def _check_some_are_there(files: Sequence[Listed | Export], named: str) -> None:
    if not files:
        raise NoSourceError(named, "holds no files: is it the right directory?")


def _from_path(path: str) -> Iterator[Export]:
    if os.path.isdir(path):
        yield from _from_directory(path)
    elif os.path.exists(path):
        yield _local(path, named=True)
    elif path.lstrip("\ufeff \t\r\n").startswith(("{", "[{", "<")):
        raise SourceError("text is taken for a path, and this is none: give it as bytes")
    elif glob.has_magic(path) and "\0" not in path:
        yield from _from_glob(path)
    elif path.startswith("~"):
        raise NoSourceError(path, "does not exist: write it out, for ~ is the shell's")
    else:
        raise NoSourceError(path, "does not exist")


def _from_directory(path: str) -> Iterator[Export]:
    if is_converted(path):
        raise NoSourceError(
            path,
            "was converted already, and is no export: open it with redemption_analytics.open,"
            " or give it to the commands report and audit",
        )
    if is_converted_table(path):
        raise NoSourceError(
            path, "is one table of a converted directory, and no export: open that directory"
        )
    if is_warehouse_directory(path):
        raise NoSourceError(
            path, "is a warehouse, and no export: open it with redemption_analytics.Warehouse"
        )
    if is_report(path):
        raise NoSourceError(
            path, "holds a report, and no export: load what the report was made from"
        )
    exports = list(_below(path))
    _check_some_are_there(exports, path)
    yield from exports


def _below(path: str, *, hidden: bool = False) -> Iterator[Export]:
    """Yield all files below a directory."""
    check_no_part(path, path)
    found = _files_below(path)
    for file in listed(sorted(found), path):
        name = os.path.join(path, file.path) if file.path else path
        if file.payloads is not None:
            yield _of_table(file, name, path)
        else:
            reason = file.passed_over or (HIDDEN if hidden else None)
            export = _local(name, named=False, below=path)
            yield replace(export, passed_over=reason) if reason else export


def _from_glob(pattern: str) -> Iterator[Export]:
    parts = Path(pattern).parts
    # What is there is taken as it is written, before it is a pattern.
    there = sum(1 for _ in takewhile(os.path.exists, accumulate(parts, os.path.join)))
    literal = os.path.join("", *parts[:there])
    rest = parts[there:]
    fixed = there + sum(1 for _ in takewhile(lambda part: not glob.has_magic(part), rest))
    hidden_too = is_hidden(*parts[fixed:])
    # A pattern such as *.dat names what it finds, and exports/* does not.
    suffix = Path(pattern).suffix
    named = bool(suffix) and not glob.has_magic(suffix)
    found = False
    matches = sorted(glob.glob(os.path.join(glob.escape(literal), *rest), recursive=True))
    for folder in {os.path.dirname(match) for match in matches}:  # noqa: PTH120
        check_no_part(os.path.join(folder, "any"), pattern)
    for match in matches:
        hidden = not hidden_too and is_hidden(*Path(match).parts[fixed:])
        if os.path.isdir(match):
            for export in _below(match, hidden=hidden):
                found = True
                yield export
        elif _is_file(match):
            found = True
            yield replace(_local(match, named=named), passed_over=HIDDEN if hidden else None)
    if not found:
        raise NoSourceError(pattern, "matches no file")


def _files_below(directory: str) -> list[str]:
    """List all files below a directory, by their paths in it."""
    files: list[str] = []
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
            directories += filter(os.path.islink, (os.path.join(folder, f) for f in folders))
            files.extend(filter(_is_file, (os.path.join(folder, name) for name in names)))
    return [file.removeprefix(directory).lstrip(os.sep) for file in files]


def _is_file(path: str) -> bool:
    """Check whether it is a file or a broken link; a FIFO would be waited for without end."""
    return os.path.isfile(path) or not os.path.exists(path)


def _local(path: str, *, named: bool, below: str = "") -> Export:
    expected = named or has_export_name(path)
    opener = LocalFile(path)
    try:
        status = os.stat(path)
        if stat.S_ISCHR(status.st_mode) or stat.S_ISBLK(status.st_mode):
            raise NoSourceError(path, "is a device, which may have no end: give a file")
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
        written=written,
        link=os.path.islink(path),
    )


def _dated(
    name: str, otherwise: datetime, by: DatedBy, below: str = ""
) -> tuple[datetime, DatedBy]:
    """Return when an export was made, and what says so: its name, where that has a date."""
    date = date_in_name(name, below)
    return (otherwise, by) if date is None else (date, "path")


def _describe(source: object, personal: bool) -> str:
    if isinstance(source, (str, os.PathLike)):
        return _quoted(os.fsdecode(source), personal)
    return f"the given {type(source).__name__}"


def _now() -> datetime:
    return datetime.now(UTC).replace(tzinfo=None)
