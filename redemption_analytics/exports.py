"""An export: one file of answers that can be opened."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any, Literal, TypeAlias

from redemption_analytics.streams import ByteStream

Payload: TypeAlias = dict[str, Any] | bytes

#: How it is known when an export was made: the caller said so, its path says so, or (which does not
#: tell it, for copies have new times) its file was modified, or it was read, at that time.
DatedBy = Literal["given", "path", "modified", "read"]

#: Names of files that should hold exports; others in a directory are read if they plainly do.
EXPORT_SUFFIXES = frozenset(
    {".json", ".jsonl", ".ndjson", ".xml", ".txt", ".log", ".parquet"}
    | {".gz", ".bz2", ".zst", ".lz4", ".xz", ".lzma", ".zip"}
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
    dated_by
        How that is known.
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
    dated_by: DatedBy = "read"
    open: Callable[[], ByteStream] | None = None
    payloads: Iterable[Payload] = ()
    size: int = 0
    expected: bool = True
    identity: str | None = None


def is_hidden(*paths: str) -> bool:
    """Tell whether some part of some path is hidden, or set aside by an underscore."""
    parts = (part for path in paths for part in Path(path).parts)
    return any(part.startswith((".", "_")) and part != ".." for part in parts)


def has_export_name(name: str) -> bool:
    """Tell whether a file of that name should hold answers."""
    # A path object would take long, for each of thousands of files.
    return os.path.splitext(name)[1].lower() in EXPORT_SUFFIXES  # noqa: PTH122
