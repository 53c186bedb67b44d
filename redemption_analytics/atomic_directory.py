"""Directories that appear whole or not at all, whatever becomes of the run that writes them.

A run works in a hidden directory beside its target, and only one run at a time does::

    .report.redemption_analytics/
        lock    held open by the run; the system lets go of it when the run dies
        new/    what is being written
        old/    what was there before, where a file system cannot exchange two directories

When ``new`` is whole, and on the disk, it and the target change places in one step. What a dead run
leaves is all in there: the next run to the target puts back what was set aside, and removes the
rest.
"""

from __future__ import annotations

import ctypes
import errno
import os
import platform
import shutil
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq

from redemption_analytics.errors import UsageError, WriteError

try:
    import fcntl
except ImportError:  # Windows: there what a dead run left has to be removed by hand.
    fcntl = None  # type: ignore[assignment]

_LOCK, _NEW, _OLD = "lock", "new", "old"
_AT_FDCWD, _RENAME_EXCHANGE = -100, 2

FULL = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)
_CLOSED = (errno.EACCES, errno.EPERM, errno.EROFS)
_REMEDIES = {
    **dict.fromkeys(FULL, "make room there, or name a directory on another disk"),
    **dict.fromkeys(
        _CLOSED, "name a directory that may be written to, and whose parent directory may be"
    ),
    **dict.fromkeys(
        (errno.ENOTDIR, errno.EEXIST),
        "a file stands where a directory is needed: name another, or move the file away",
    ),
    errno.ENOENT: "no directory can be made there: name another",
    errno.ENAMETOOLONG: "choose a shorter name",
}


def write_folders(tables: Mapping[str, pa.Table], directory: Path) -> None:
    """Write each table to a folder of its own."""
    for name, table in tables.items():
        folder = directory / name
        folder.mkdir(parents=True, exist_ok=True)
        pq.write_table(table, folder / "part-0.parquet")


def check_replaceable(target: Path, own: Callable[[Path], set[str]], *, overwrite: bool) -> None:
    """Refuse a directory that must not be replaced.

    Parameters
    ----------
    target
        The directory.
    own
        Gives the relative paths of what this library wrote to a directory; none where it is not one
        that this library wrote.
    overwrite
        Whether a directory of this library's may be replaced.
    """
    if is_free(target):
        return
    if not target.is_dir():
        raise UsageError(f"{target} is a file: name a new or an empty directory")
    known = own(target)
    if not known:
        raise UsageError(f"{target} holds something else: name a new or an empty directory")
    foreign = sorted({path.relative_to(target).as_posix() for path in target.rglob("*")} - known)
    if foreign:
        raise UsageError(
            f"{target / foreign[0]} is no part of what would be replaced: move it away"
        )
    if not overwrite:
        raise UsageError(
            f"{target} exists already: name another, or replace it with overwrite=True"
        )


@contextmanager
def written_beside(
    directory: str | os.PathLike[str], check: Callable[[Path], None]
) -> Iterator[Path]:
    """Yield a new directory that takes the place of another when all went well.

    Parameters
    ----------
    directory
        The target. Where it is a link, what it leads to is replaced.
    check
        Refuses a target that must not be replaced: before the work, and again after it.

    Raises
    ------
    WriteError
        If the disk is full, the target may not be written to, or another run is writing it. What
        was there before is as it was.
    """
    # Unlike Path.resolve, this gives an endless link as it is, on every Python.
    target = Path(os.path.realpath(directory))
    with ExitStack() as stack:
        with told_as_write_error(target):
            _check_movable(target)
            work = stack.enter_context(_alone(target))
            check(target)
            fresh = work / _NEW
            fresh.mkdir()
        with told_as_write_error(target, FULL):
            yield fresh
        with told_as_write_error(target):
            check(target)
            _flush(fresh)
            _put(fresh, target, work / _OLD)


def _check_movable(target: Path) -> None:
    """Refuse what no other directory can take the place of."""
    if target.is_symlink():
        raise UsageError(f"{target} is a link that leads in a circle: name a directory")
    if os.path.ismount(target):
        raise UsageError(f"{target} is a mount point, which has to stay: name a directory in it")


@contextmanager
def told_as_write_error(target: Path, causes: tuple[int, ...] = ()) -> Iterator[None]:
    """Tell of a system error what it means for a target, and what to do about it.

    Parameters
    ----------
    target
        What is being written.
    causes
        The errors that are meant, all where none is named: what is read may fail too, and is then
        told by others.

    Raises
    ------
    WriteError
        In place of the system's.
    """
    try:
        yield
    except WriteError:
        raise
    except OSError as error:
        if causes and error.errno not in causes:
            raise
        cause = os.strerror(error.errno) if error.errno else str(error)
        remedy = _REMEDIES.get(error.errno or 0, "name another directory")
        named = f" ({error.filename})" if error.filename else ""
        raise WriteError(
            f"{target} cannot be written: {cause}{named}: {remedy}", error.errno
        ) from error


@contextmanager
def _alone(target: Path) -> Iterator[Path]:
    """Hold the directory beside a target in which one run at a time works, and clear it up."""
    missing = [path for path in target.parents if not path.exists()]
    target.parent.mkdir(parents=True, exist_ok=True)
    work = target.with_name(f".{target.name}.redemption_analytics")
    lock = _locked(work, target)
    try:
        _clear(work, target)
        yield work
    finally:
        with suppress(OSError):
            _clear(work, target)
        with suppress(OSError):
            # Removed before it is let go: who opened it meanwhile sees that it is gone.
            (work / _LOCK).unlink(missing_ok=True)
            work.rmdir()
        if lock is not None:
            os.close(lock)
        for path in missing:
            with suppress(OSError):
                path.rmdir()


def _clear(work: Path, target: Path) -> None:
    """Put back what was set aside, where nothing took its place; remove all else."""
    old = work / _OLD
    if old.is_dir() and is_free(target):
        with suppress(FileNotFoundError):
            target.rmdir()
        old.rename(target)
    for path in (work / _NEW, old):
        with suppress(FileNotFoundError):
            shutil.rmtree(path)


def _locked(work: Path, target: Path) -> int | None:
    """Make a directory and lock it; give the open lock.

    A directory that is there already is a living run's, a dead run's, or not ours; it is taken from
    the dead only.
    """
    while True:
        try:
            work.mkdir(mode=0o700)
            made = True
        except FileExistsError:
            made = False
        if fcntl is None:
            if made:
                return None
            raise _left(work, target)
        try:
            if work.is_symlink() or {path.name for path in work.iterdir()} - {_LOCK, _NEW, _OLD}:
                raise WriteError(f"{work} is in the way, and not this library's: move it away")
            lock = os.open(work / _LOCK, os.O_RDWR | os.O_CREAT, 0o600)
        except FileNotFoundError:
            continue  # Another run has just ended.
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            if _is_open_at(lock, work / _LOCK):
                _sign(lock)
                return lock
        except BlockingIOError as error:
            other = os.read(lock, 1000).decode(errors="replace") or "which has just begun"
            os.close(lock)
            raise WriteError(
                f"{target} is being written by another run ({other}): wait for its end",
                error.errno,
            ) from None
        except OSError:
            # Some file systems have no locks.
            if made:
                return lock
            os.close(lock)
            raise _left(work, target) from None
        os.close(lock)


def _sign(lock: int) -> None:
    """Say in a lock whose it is, if there is room: what fills a disk may be what is swept next."""
    with suppress(OSError):
        os.truncate(lock, 0)
        os.write(lock, f"process {os.getpid()} on {platform.node()}".encode())


def _left(work: Path, target: Path) -> WriteError:
    return WriteError(
        f"{target} is being written by another run, or {work} was left by one that died: remove it"
        " when none is at work",
        errno.EEXIST,
    )


def _is_open_at(file: int, path: Path) -> bool:
    """Check whether an open file still stands at a path."""
    try:
        return os.path.samestat(os.fstat(file), os.stat(path))
    except FileNotFoundError:
        return False


def is_free(target: Path) -> bool:
    """Check whether nothing is there, or an empty directory."""
    return not target.exists() or (target.is_dir() and not any(target.iterdir()))


def _flush(directory: Path) -> None:
    """Flush a directory with all that it holds to the disk, so that no power cut can tear it."""
    for folder, _, names in os.walk(directory):
        for name in names:
            _sync(os.path.join(folder, name))
        _sync(folder)


def _sync(path: str | Path) -> None:
    if os.name == "nt":  # It cannot open directories, nor sync what is open for reading.
        return
    opened = os.open(path, os.O_RDONLY)
    try:
        os.fsync(opened)
    finally:
        os.close(opened)


def _put(fresh: Path, target: Path, old: Path) -> None:
    """Put a directory in the place of another."""
    if target.exists():
        # Who may read it was somebody's choice.
        shutil.copymode(target, fresh)
        if not _exchanged(fresh, target):
            target.rename(old)
            fresh.rename(target)
    else:
        fresh.rename(target)
    _sync(target.parent)


def _exchanged(one: Path, other: Path) -> bool:
    """Exchange two directories in one step; return False where the system cannot (Linux can)."""
    try:
        renameat2 = ctypes.CDLL(None, use_errno=True).renameat2
    except (AttributeError, OSError, TypeError):
        return False
    paths = os.fsencode(one), os.fsencode(other)
    if renameat2(_AT_FDCWD, paths[0], _AT_FDCWD, paths[1], _RENAME_EXCHANGE) == 0:
        return True
    code = ctypes.get_errno()
    if code in (errno.ENOSYS, errno.EINVAL, errno.EOPNOTSUPP):
        return False
    raise OSError(code, os.strerror(code), str(other))
