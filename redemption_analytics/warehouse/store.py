"""Where a warehouse keeps its bytes: on disk, or in a bucket, by the same few verbs."""

from __future__ import annotations

import os
import re
from collections.abc import Iterable, Iterator
from contextlib import contextmanager, suppress
from io import RawIOBase
from pathlib import Path
from typing import BinaryIO
from urllib.parse import unquote, urlsplit
from urllib.request import url2pathname

import pyarrow as pa

from redemption_analytics.errors import SourceError, UsageError, WriteError, nearest
from redemption_analytics.warehouse.bucket import SERVICES, Bucket
from redemption_analytics.warehouse.directory import Directory
from redemption_analytics.warehouse.stored import Stored, checked

__all__ = ["Store", "Stored"]


class Store:
    """Bytes under names below a location.

    Names are relative, with ``/`` between segments of letters, digits and ``_ = - .``. A store can
    be pickled; what it holds in memory (``memory://``) stays in its process.

    Parameters
    ----------
    location
        A directory, which need not be there yet, or a URL: ``s3://``, ``gs://``, ``az://``,
        ``abfs://``, ``file://``, or ``memory://`` for trials. Credentials come from the
        environment.

    Raises
    ------
    UsageError
        If the location is of no known kind, or the package ``obstore`` is missing for it.

    Examples
    --------
    >>> store = Store("memory://an-example")
    >>> store.create("log/1.json", b"one"), store.create("log/1.json", b"two")
    (True, False)
    >>> store.read("log/1.json")
    b'one'
    """

    def __init__(self, location: str | os.PathLike[str]):
        #: The absolute path, or the URL.
        self.location, self._kept = _kept(os.fspath(location))

    def __reduce__(self) -> tuple[type[Store], tuple[str]]:
        return Store, (self.location,)

    def __repr__(self) -> str:
        return f"Store({self.location!r})"

    def create(self, name: str, data: bytes) -> bool:
        """Write data under a name that nothing has, whole or not at all.

        Of all that try at once one does, whatever dies in the middle.

        Returns
        -------
        bool
            Whether it was written: False where something has the name.

        Raises
        ------
        WriteError
            If it cannot be written.
        """
        return self._kept.create(checked(name), data)

    def put(self, name: str, data: bytes | Path) -> None:
        """Write data, or what a file holds, in the place of what may be there.

        Raises
        ------
        WriteError
            If it cannot be written.
        """
        self._kept.put(checked(name), data)

    @contextmanager
    def writing(self, name: str) -> Iterator[Path]:
        """Yield the path where a new file is to be written; at the end it is kept, for good.

        On disk that is its place already, so nobody may know its name before the end. An error in
        the block leaves nothing.

        Raises
        ------
        WriteError
            If it cannot be written.
        """
        with self._kept.writing(checked(name)) as path:
            yield path

    def read(self, name: str) -> bytes:
        """Return what has a name.

        Raises
        ------
        MissingError
            If nothing has it.
        SourceError
            If it cannot be read.
        """
        return self._kept.read(checked(name))

    def open(self, name: str, size: int | None = None) -> BinaryIO | RawIOBase:
        """Open what has a name, as a file to seek in; remotely it is read by ranges.

        With its size, where that is known, one request less is made.

        Raises
        ------
        MissingError
            If nothing has it.
        SourceError
            If it cannot be read.
        """
        return self._kept.open(checked(name), size)

    @contextmanager
    def left_out(self, folder: str) -> Iterator[None]:
        """Leave nothing below a folder if an error comes in the block."""
        try:
            yield
        except BaseException:
            with suppress(SourceError, WriteError):
                self.delete([found.name for found in self.names(folder)])
            raise

    @contextmanager
    def reading(self, name: str) -> Iterator[None]:
        """Tell of a file that holds something else than was written.

        Raises
        ------
        SourceError
            If Arrow cannot read it.
        """
        try:
            yield
        except pa.ArrowException as error:
            raise SourceError(
                f"{self.location}: {name} is damaged ({str(error).splitlines()[0]}): put it back"
                " from a copy, or ingest all exports into a new warehouse"
            ) from error

    def path(self, name: str) -> str | None:
        """Return the path on this machine, None where there is none."""
        return self._kept.path(checked(name))

    def names(self, prefix: str = "") -> list[Stored]:
        """List what is below a folder, in the order of the names.

        What is being written is not among it, but for files in the making by :meth:`writing`.

        Raises
        ------
        SourceError
            If it cannot be listed.
        """
        return sorted(self._kept.names(checked(prefix) if prefix else ""))

    def litter(self) -> list[Stored]:
        """List what is being written, or was when its writer died: the old among it may go."""
        return sorted(self._kept.litter())

    def top(self) -> set[str]:
        """List the first segments of all names, by one request."""
        return self._kept.top()

    def delete(self, names: Iterable[str]) -> None:
        """Remove what has these names; what has gone already is no error.

        Raises
        ------
        WriteError
            If something cannot be removed.
        """
        listed = list(names)
        if listed:
            self._kept.delete(listed)


def _kept(location: str) -> tuple[str, Directory | Bucket]:
    if not re.match(r"[A-Za-z][A-Za-z0-9+.-]+://", location):
        if not location:
            raise UsageError("location is empty: name a directory or a URL")
        path = str(Path(location).absolute())
        return path, Directory(path)
    url = urlsplit(location)
    if url.scheme == "file":
        path = str(Path(url2pathname(unquote(url.path))).absolute())
        return path, Directory(path)
    if url.scheme not in SERVICES:
        raise UsageError(
            f"a warehouse cannot be at {url.scheme}://: it takes a directory, or"
            f" {', '.join(f'{scheme}://' for scheme in SERVICES)}.{nearest(url.scheme, SERVICES)}"
        )
    if url.password or url.query or (url.username and not url.scheme.startswith("abfs")):
        raise UsageError(
            f"the address of a warehouse ({url.scheme}://…) takes no credentials and no"
            " parameters: set those in the environment"
        )
    if not url.netloc:
        raise UsageError(f"{location} names no bucket: {url.scheme}://bucket/folder")
    return location, Bucket(location)
