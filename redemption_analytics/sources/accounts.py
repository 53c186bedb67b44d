"""What became of each file that was met, for the table ``files``."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Sequence
from concurrent.futures import Executor, Future
from dataclasses import dataclass, field

import pyarrow as pa

from redemption_analytics.privacy import Pseudonym
from redemption_analytics.sources.export import Export
from redemption_analytics.sources.streams import UNREADABLE, ByteStream
from redemption_analytics.tables.arrow import arrow_schema_of

_PIECE = 1 << 20
#: What is no larger is hashed at once.
_LARGE = 256 << 10


@dataclass(frozen=True)
class Seen:
    """What reading a file told of it.

    Attributes
    ----------
    form, passed_over, size, digest
        As those of its account.
    """

    form: str | None
    passed_over: str | None
    size: int | None
    digest: str | None


@dataclass
class Account:
    """What became of a file.

    Attributes
    ----------
    export
        The file.
    form
        What it holds and how that is packed; None where it was not read.
    passed_over
        Why it was not read, or holds nothing to read; None if it was.
    rejected
        Why it could not be read, or not to its end.
    records
        How many answers it gave, good ones and bad ones.
    hasher
        Takes the digest beside the reading, one piece after the other.
    """

    export: Export
    form: str | None = None
    passed_over: str | None = None
    rejected: str | None = None
    records: int = 0
    hasher: Executor | None = None
    _hashed: Future[None] | None = None
    _digest: hashlib._Hash = field(default_factory=lambda: hashlib.sha256(usedforsecurity=False))
    _length: int = 0
    _whole: bool = False
    _seen: Seen | None = None

    def __post_init__(self) -> None:
        if self.passed_over is None:
            self.passed_over = self.export.passed_over

    def take(self, position: int, data: bytes) -> None:
        """Note what was read of the file's bytes, in whatever order."""
        if position <= self._length < position + len(data):
            new = memoryview(data)[self._length - position :]
            self._hash(new)
            self._length += len(new)
        elif position == self._length:
            self._whole = True

    def _hash(self, data: memoryview) -> None:
        if self._hashed is not None:
            self._hashed.result()
            self._hashed = None
        if self.hasher is not None and len(data) >= _LARGE:
            self._hashed = self.hasher.submit(self._digest.update, data)
        else:
            self._digest.update(data)

    def finish(self, stream: ByteStream) -> None:
        """Read what was not read, so that the digest is that of the whole file."""
        if self.passed_over is not None or self._whole:
            return
        try:
            stream.seek(self._length)
            while stream.read(_PIECE):
                pass
        except (*UNREADABLE, ValueError):
            return

    def seen(self) -> Seen:
        """Return what reading told, once the file was read."""
        return Seen(self.form, self.passed_over, self.size, self.digest)

    def take_over(self, seen: Seen) -> None:
        """Note what reading told elsewhere."""
        self.form, self.passed_over, self._seen = seen.form, seen.passed_over, seen

    @property
    def size(self) -> int | None:
        """The file's bytes; None where they are not known."""
        if self._seen is not None:
            return self._seen.size
        known = self.export.size
        return self._length if known is None and self._whole else known

    @property
    def digest(self) -> str | None:
        """The SHA-256 of the file's bytes, None where they were not all read."""
        if self._seen is not None:
            return self._seen.digest
        if not self._whole or self.passed_over is not None:
            return None
        self._hash(memoryview(b""))
        return self._digest.hexdigest()

    @property
    def reason(self) -> str | None:
        """Why it was not loaded; None if it was."""
        if self.passed_over is not None and self.export.twin is not None:
            return f"{self.passed_over} {self.export.twin}"
        return self.passed_over or self.rejected

    @property
    def status(self) -> str:
        """What became of it, in a word or two."""
        if self.passed_over is not None:
            return "passed over"
        return "loaded" if self.rejected is None else "rejected"


def files_table(accounts: Sequence[Account], hidden: Pseudonym | None) -> pa.Table:
    """Write accounts as a table.

    Parameters
    ----------
    accounts
        In the order of the rows.
    hidden
        What replaces personal data: contents may be so short that their digests can be guessed.
    """
    rows = [
        {
            "source": account.export.name,
            "size": account.size,
            "digest": account.digest,
            "form": account.form,
            "exported_at": account.export.exported_at,
            "dated_by": account.export.dated_by,
            "records": account.records,
            "status": account.status,
            "reason": account.reason,
        }
        for account in accounts
    ]
    table = pa.Table.from_pylist(rows, arrow_schema_of("files"))
    if hidden is None:
        return table
    place = table.schema.get_field_index("digest")
    return table.set_column(place, table.schema.field(place), keyed(table["digest"], hidden))


def keyed(digests: pa.ChunkedArray, hidden: Callable[[pa.Array], pa.Array]) -> pa.Array:
    """Return what stands for digests where contents may be so short that they can be guessed."""
    texts = [f"digest:{digest}" for digest in digests.to_pylist()]
    return pa.array(
        [
            None if digest is None else keyed
            for digest, keyed in zip(
                digests.to_pylist(), hidden(pa.array(texts, pa.string())).to_pylist(), strict=True
            )
        ],
        pa.string(),
    )
