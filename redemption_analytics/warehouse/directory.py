"""A warehouse in a directory of this machine, or of what is mounted like one."""

from __future__ import annotations

import ctypes
import errno
import os
import shutil
import sys
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from datetime import UTC, datetime
from pathlib import Path
from typing import BinaryIO
from uuid import uuid4

from redemption_analytics.atomic_directory import FULL, told_as_write_error
from redemption_analytics.errors import SourceError
from redemption_analytics.warehouse.stored import STAGED, MissingError, Stored

_PART = ".part"
_AT_FDCWD, _RENAME_NOREPLACE, _RENAME_EXCL = -100, 1, 4

# Of file systems that cannot flush what they hold.
_NO_FLUSH = (errno.EINVAL, errno.ENOSYS, errno.ENOTSUP)


class Directory:
    """Files below a directory.

    What is put appears whole: it is written beside its place, under a name that begins with a dot,
    flushed, and moved. Some file systems cannot move anything (Databricks Volumes, of which neither
    links nor renames are to be had); there it is written in its place.
    """

    def __init__(self, root: str):
        self._root = Path(root)

    def create(self, name: str, data: bytes) -> bool:
        """Write what was not there; False where it was."""
        target = self._root / name
        with told_as_write_error(target):
            if target.exists():
                return False
            with _staged(target, data) as staged:
                made = _linked(staged, target)
            _sync(target.parent)
        return made

    def put(self, name: str, data: bytes | Path) -> None:
        """Write something, in the place of what may be there."""
        target = self._root / name
        with told_as_write_error(target):
            with _staged(target, data) as staged:
                try:
                    staged.replace(target)
                except OSError:
                    _write(target, data)
            _sync(target.parent)

    @contextmanager
    def writing(self, name: str) -> Iterator[Path]:
        """Yield the path where a new file is to be written, and flush it at the end."""
        target = self._root / name
        with told_as_write_error(target):
            _make(target.parent)
        try:
            with told_as_write_error(target, FULL):
                yield target
        except BaseException:
            with suppress(OSError):
                target.unlink()
            raise
        with told_as_write_error(target):
            _sync(target)
            _sync(target.parent)

    def read(self, name: str) -> bytes:
        """Return what is there."""
        with _told_as_source_error(self._root / name):
            return (self._root / name).read_bytes()

    def open(self, name: str, size: int | None = None) -> BinaryIO:
        """Open what is there."""
        del size
        with _told_as_source_error(self._root / name):
            return open(self._root / name, "rb")

    def path(self, name: str) -> str | None:
        """Return where it is."""
        return str(self._root / name)

    def names(self, prefix: str) -> list[Stored]:
        """List what is whole."""
        return [found for found in self._walk(prefix) if not _is_staged(found.name)]

    def litter(self) -> list[Stored]:
        """List what is being written, or was when its writer died."""
        return [found for found in self._walk("") if _is_staged(found.name)]

    def top(self) -> set[str]:
        """List the first segments of names, but for what is hidden."""
        with _told_as_source_error(self._root):
            try:
                names = {path.name for path in self._root.iterdir()}
            except FileNotFoundError:
                return set()
        return {name for name in names if not name.startswith(".")}

    def delete(self, names: list[str]) -> None:
        """Remove what is there of these names."""
        for name in names:
            with told_as_write_error(self._root / name):
                (self._root / name).unlink(missing_ok=True)

    def _walk(self, prefix: str) -> Iterator[Stored]:
        def fail(error: OSError) -> None:
            if not isinstance(error, FileNotFoundError):
                raise error

        start = len(str(self._root)) + 1
        with _told_as_source_error(self._root / prefix):
            for folder, _, files in os.walk(self._root / prefix, onerror=fail):
                for file in files:
                    path = os.path.join(folder, file)
                    with suppress(FileNotFoundError):  # Another has just removed it.
                        told = os.stat(path)
                        modified = datetime.fromtimestamp(told.st_mtime, UTC).replace(tzinfo=None)
                        name = path[start:].replace(os.sep, "/")
                        yield Stored(name, told.st_size, modified)


def _is_staged(name: str) -> bool:
    last = name.rpartition("/")[2]
    return last.startswith(STAGED) and last.endswith(_PART)


@contextmanager
def _told_as_source_error(path: Path) -> Iterator[None]:
    """Return what a system error means for what is read."""
    try:
        yield
    except FileNotFoundError:
        raise MissingError(f"{path} is not there: was it removed, or was it vacuumed?") from None
    except OSError as error:
        cause = os.strerror(error.errno) if error.errno else str(error)
        raise SourceError(f"{path} cannot be read: {cause}: check who may read it") from error


@contextmanager
def _staged(target: Path, data: bytes | Path) -> Iterator[Path]:
    """Yield a file beside its place that holds all it has to; it is gone afterwards."""
    _make(target.parent)
    staged = target.with_name(f"{STAGED}{uuid4().hex}{_PART}")
    try:
        _write(staged, data)
        yield staged
    finally:
        with suppress(OSError):
            staged.unlink(missing_ok=True)


def _write(path: Path, data: bytes | Path, mode: str = "wb") -> None:
    """Write a file, and flush it, so that no power cut can tear it."""
    with open(path, mode) as file:
        if isinstance(data, Path):
            with open(data, "rb") as source:
                shutil.copyfileobj(source, file, 1 << 20)
        else:
            file.write(data)
        file.flush()
        _flush(file.fileno())


def _linked(staged: Path, target: Path) -> bool:
    """Give a file its name if nothing has it; False where something does.

    By a link, where the file system has them; by a rename that replaces nothing, where the system
    knows one; else the file is made anew, which a kill in the middle may tear.
    """
    for way in (os.link, _renamed):
        try:
            way(staged, target)
        except FileExistsError:
            # A link that NFS made may be told of as one that was there: the answer got lost.
            return way is os.link and staged.stat().st_nlink > 1
        except OSError:
            continue
        return True
    data = staged.read_bytes()
    try:
        _write(target, data, "xb")
    except FileExistsError:
        return False
    except OSError:
        # Not all of it is there, and no other writer can have made it.
        with suppress(OSError):
            target.unlink()
        raise
    return True


def _renamed(staged: Path, target: Path) -> None:
    """Rename a file, which fails where something has the name already."""
    if os.name == "nt":
        staged.rename(target)
        return
    paths = os.fsencode(staged), os.fsencode(target)
    try:
        library = ctypes.CDLL(None, use_errno=True)
        if sys.platform == "darwin":
            failed = library.renamex_np(*paths, _RENAME_EXCL)
        else:
            failed = library.renameat2(_AT_FDCWD, paths[0], _AT_FDCWD, paths[1], _RENAME_NOREPLACE)
    except (AttributeError, TypeError) as error:
        raise OSError(errno.ENOSYS, os.strerror(errno.ENOSYS)) from error
    if failed:
        code = ctypes.get_errno()
        raise OSError(code, os.strerror(code), str(target))


def _make(folder: Path) -> None:
    """Make a directory, with those above it, for good."""
    missing = [path for path in (folder, *folder.parents) if not path.exists()]
    folder.mkdir(parents=True, exist_ok=True)
    for path in missing:
        _sync(path.parent)


def _sync(path: Path) -> None:
    if os.name == "nt":  # It cannot open directories, nor flush what is open for reading.
        return
    opened = os.open(path, os.O_RDONLY)
    try:
        _flush(opened)
    finally:
        os.close(opened)


def _flush(opened: int) -> None:
    try:
        os.fsync(opened)
    except OSError as error:
        if error.errno not in _NO_FLUSH:
            raise
