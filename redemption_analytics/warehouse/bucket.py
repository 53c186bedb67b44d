"""A warehouse in a bucket (S3, Azure, Google), or in memory, by ``obstore``."""

from __future__ import annotations

import io
import os
import re
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC
from functools import cache
from pathlib import Path
from types import ModuleType
from typing import TYPE_CHECKING, Any, NamedTuple

from redemption_analytics.errors import SourceError, UsageError, WriteError
from redemption_analytics.warehouse.stored import MissingError, Stored

if TYPE_CHECKING:
    from _typeshed import WriteableBuffer

# Larger files go up in parts.
_PART = 16 << 20

# What is in memory, by address: for tests and trials.
_IN_MEMORY: dict[str, Any] = {}

_ENDPOINTS = ("AWS_ENDPOINT_URL_S3", "AWS_ENDPOINT_URL", "AWS_ENDPOINT")
_MOST = 300

# What obstore says where the environment names nobody, and no service of the machine does.
_UNKNOWN_WHO = re.compile(
    r"169\.254\.169\.254|latest/api/token|[Tt]oken request|[Aa]ccount must be"
)


class _Service(NamedTuple):
    name: str
    credentials: str


_S3 = _Service(
    "S3",
    "AWS_ACCESS_KEY_ID, AWS_SECRET_ACCESS_KEY and AWS_REGION; profiles are read where boto3 is"
    " installed",
)
_GCS = _Service("Google Cloud Storage", "GOOGLE_APPLICATION_CREDENTIALS")
_AZURE = _Service(
    "Azure", "AZURE_STORAGE_ACCOUNT_NAME and AZURE_STORAGE_ACCOUNT_KEY, or AZURE_STORAGE_SAS_TOKEN"
)
_MEMORY = _Service("memory", "nothing")

#: What each scheme of a URL leads to.
SERVICES = {
    "s3": _S3,
    "s3a": _S3,
    "gs": _GCS,
    "az": _AZURE,
    "abfs": _AZURE,
    "abfss": _AZURE,
    "memory": _MEMORY,
}


class Bucket:
    """Objects below a URL. Credentials come from the environment."""

    def __init__(self, url: str):
        self._url = url.rstrip("/")
        scheme = url.partition("://")[0]
        self._service = SERVICES[scheme]
        self._obstore = _obstore()
        self._process = _process_of_obstore()
        with self._told("be opened", UsageError):
            if scheme == "memory":
                from obstore.store import MemoryStore

                self._store: Any = _IN_MEMORY.setdefault(self._url, MemoryStore())
            else:
                self._store = _opened(url, self._service)

    def create(self, name: str, data: bytes) -> bool:
        """Write what was not there; False where it was."""
        with self._told(f"be written ({name})", WriteError):
            try:
                self._obstore.put(self._store, name, data, mode="create", use_multipart=False)
            except self._obstore.exceptions.AlreadyExistsError:
                return False
        return True

    def put(self, name: str, data: bytes | Path) -> None:
        """Write something, in the place of what may be there."""
        with self._told(f"be written ({name})", WriteError):
            self._obstore.put(self._store, name, data, chunk_size=_PART, max_concurrency=4)

    @contextmanager
    def writing(self, name: str) -> Iterator[Path]:
        """Yield the path where a new file is to be written, and send it at the end."""
        with tempfile.TemporaryDirectory(prefix="redemption_analytics-") as folder:
            path = Path(folder, name.rpartition("/")[2])
            yield path
            self.put(name, path)

    def read(self, name: str) -> bytes:
        """Return what is there."""
        with self._told(f"be read ({name})", SourceError):
            return bytes(self._obstore.get(self._store, name).bytes())

    def open(self, name: str, size: int | None = None) -> io.RawIOBase:
        """Open what is there; each read asks for its own range, and gets all of it."""
        if size is None:
            with self._told(f"be read ({name})", SourceError):
                size = int(self._obstore.head(self._store, name)["size"])
        return _Ranges(self, name, size)

    def range(self, name: str, start: int, length: int) -> Any:
        """Return some of what is there, as a buffer."""
        with self._told(f"be read ({name})", SourceError):
            return self._obstore.get_range(self._store, name, start=start, length=length)

    def path(self, name: str) -> str | None:
        """Return where it is on this machine: nowhere."""
        del name
        return None

    def names(self, prefix: str) -> list[Stored]:
        """List what is there."""
        with self._told(f"be listed ({prefix})", SourceError):
            return [
                Stored(
                    found["path"],
                    found["size"],
                    found["last_modified"].astimezone(UTC).replace(tzinfo=None),
                )
                for found in self._obstore.list(self._store, prefix or None).collect()
            ]

    def litter(self) -> list[Stored]:
        """List what dead writers left: an object is whole, or not there."""
        return []

    def top(self) -> set[str]:
        """List the first segments of names."""
        with self._told("be listed", SourceError):
            found = self._obstore.list_with_delimiter(self._store)
        return {*found["common_prefixes"], *(each["path"] for each in found["objects"])}

    def delete(self, names: list[str]) -> None:
        """Remove what is there of these names."""
        with self._told("be cleared", WriteError):
            try:
                self._obstore.delete(self._store, names)
            except FileNotFoundError:
                # Some services refuse what is gone already, and with it the rest.
                for name in names:
                    try:
                        self._obstore.delete(self._store, name)
                    except FileNotFoundError:
                        continue

    @contextmanager
    def _told(
        self, doing: str, kind: type[SourceError | WriteError | UsageError]
    ) -> Iterator[None]:
        """Return what an error of the service means, without details, which may hold secrets."""
        if os.getpid() != self._process:
            raise UsageError(
                f"{self._url} cannot {doing}: this process was forked from one that had been there,"
                ' and would wait for ever: start processes by multiprocessing.get_context("spawn")'
            )
        try:
            yield
        except (self._obstore.exceptions.BaseError, OSError, ValueError) as error:
            text = str(error)
            about = f"{self._url} cannot {doing}"
            if isinstance(error, FileNotFoundError) and not _lacks_bucket(text):
                raise MissingError(f"{about}: it is not there: was it vacuumed?") from None
            if isinstance(error, OSError) and error.errno:  # Of this machine's own disk.
                raise
            raise kind(f"{about}: {self._remedy(text)}") from None

    def _remedy(self, text: str) -> str:
        if _lacks_bucket(text):
            return f"{self._service.name} has no such bucket: make it first, or mend the address"
        if _UNKNOWN_WHO.search(text):
            return f"no credentials: set {self._service.credentials}"
        if re.search(r"\b40[13]\b|[Uu]nauthenticated|[Pp]ermission", text):
            return (
                f"{self._service.name} refuses these credentials ({_shortest(text)}): check them,"
                " and what they may do there"
            )
        if re.search(r"\b30[178]\b|redirect", text):
            return "the bucket is in another region: set AWS_REGION"
        return f"{_shortest(text)}: check the address and the network, and try again"


class _Ranges(io.RawIOBase):
    """An object as a file that reads by ranges."""

    def __init__(self, bucket: Bucket, name: str, size: int):
        super().__init__()
        self._bucket, self._name, self._size, self._at = bucket, name, size, 0

    def readable(self) -> bool:
        return True

    def seekable(self) -> bool:
        return True

    def tell(self) -> int:
        return self._at

    def seek(self, offset: int, whence: int = io.SEEK_SET) -> int:
        start = {io.SEEK_SET: 0, io.SEEK_CUR: self._at, io.SEEK_END: self._size}[whence]
        self._at = max(0, start + offset)
        return self._at

    def readall(self) -> bytes:
        return self.read(self._size - self._at) or b""

    def readinto(self, buffer: WriteableBuffer) -> int:
        view = memoryview(buffer).cast("B")
        length = min(len(view), self._size - self._at)
        if length <= 0:
            return 0
        view[:length] = memoryview(self._bucket.range(self._name, self._at, length))
        self._at += length
        return length


def _obstore() -> ModuleType:
    try:
        import obstore
        import obstore.exceptions
    except ImportError:
        raise UsageError(
            "a warehouse that is no directory of this machine needs the package obstore: pip"
            ' install "redemption-analytics[warehouse]"'
        ) from None
    return obstore


@cache
def _process_of_obstore() -> int:
    """Return the process whose threads do the work: a fork of it has none."""
    return os.getpid()


def _opened(url: str, service: _Service) -> Any:
    from obstore.store import from_url

    if service is not _S3:
        return from_url(url)
    endpoint = next(filter(None, map(os.environ.get, _ENDPOINTS)), "")
    options: dict[str, Any] = {}
    if endpoint.startswith("http://"):
        options["client_options"] = {"allow_http": True}
    if not os.environ.get("AWS_ACCESS_KEY_ID"):
        options["credential_provider"] = _profile()
    return from_url(url, **options)


def _profile() -> Any:
    """Return what finds credentials as other programs for AWS do, if it is here and finds any."""
    try:
        from obstore.auth.boto3 import Boto3CredentialProvider
    except ImportError:
        return None
    try:
        return Boto3CredentialProvider()
    except Exception:  # A profile that is not there, or none at all: a class for each.
        return None


def _lacks_bucket(text: str) -> bool:
    return bool(re.search(r"NoSuchBucket|ContainerNotFound|bucket does not exist", text))


def _shortest(text: str) -> str:
    """Return the first line of an error; no parameters of addresses, which may be signatures."""
    code = re.search(r"<Code>(\w+)</Code>", text)
    line = re.sub(r"\?[^\s)\"']*", "", text.partition("\n")[0].partition(": <?xml")[0])
    line = line.replace("\r", " ")
    return (f"{line} ({code[1]})" if code else line)[:_MOST]
