"""An export: one file of answers that can be opened; and whether its name is that of one."""

from __future__ import annotations

import os
import re
from collections.abc import Callable, Iterable
from dataclasses import dataclass, replace
from datetime import datetime
from pathlib import Path
from typing import Any, TypeAlias

import pyarrow as pa

from redemption_analytics.dating import DatedBy
from redemption_analytics.privacy import Pseudonym
from redemption_analytics.sources.streams import ByteStream

Payload: TypeAlias = dict[str, Any] | bytes

_NAME_DIGITS = 16

#: What is called as another is has a number behind its name.
_NUMBERED = re.compile(r"(.*) \(([0-9]+)\)", re.DOTALL)

#: Names of files that should hold exports; others in a directory are read if they plainly do.
EXPORT_SUFFIXES = frozenset(
    {".json", ".jsonl", ".ndjson", ".xml", ".parquet"}
    | {".gz", ".bz2", ".zst", ".lz4", ".xz", ".lzma"}
    | {".zip", ".tar", ".tgz", ".tbz", ".tbz2", ".txz", ".tzst"}
)

#: Names of files that hold exports, or notes of those who made them: read if they hold JSON or XML.
_NOTE_SUFFIXES = frozenset({".txt", ".log"})

#: Why what is hidden is passed over.
HIDDEN = 'hidden: a name in its path begins with "." or "_"'


class NoSourceError(Exception):
    """What is wrong with a path: it is quoted in one place only, for it may be anything."""

    def __init__(self, path: str, said: str, detail: object = ""):
        super().__init__(said)
        self.path = path
        self.said = said
        #: What a system says of it, which may quote it again.
        self.detail = str(detail)


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
    form
        What kind of thing it is, where that is known before it is read.
    size
        Bytes as stored; None where unknown.
    expected
        Whether it should hold answers, so that its failing to is worth a reject: the user named it,
        or its name is that of an export.
    identity
        What tells that two of them are one file; None where nothing does.
    passed_over
        Why it is not read; None if it is.
    twin
        The name of the export that is the same file.
    written
        When the file was last modified, in UTC; None where nothing says it.
    edition
        What tells answers of it from those of others that had its name before, in a warehouse.
    link
        Whether its name is a link's.
    archive
        The name of the archive that it is a member of.
    number
        Which of those it is that are called so; from the second on the name says it too.
    """

    name: str
    exported_at: datetime
    dated_by: DatedBy = "read"
    open: Callable[[], ByteStream] | None = None
    payloads: Iterable[Payload] = ()
    form: str | None = None
    size: int | None = None
    expected: bool = True
    identity: str | None = None
    passed_over: str | None = None
    twin: str | None = None
    written: datetime | None = None
    edition: str = ""
    link: bool = False
    archive: str | None = None
    number: int = 1


def is_hidden(*paths: str) -> bool:
    """Check whether some part of some path is hidden, or set aside by an underscore."""
    parts = (part for path in paths for part in Path(path).parts)
    return any(part.startswith((".", "_")) and part != ".." for part in parts)


def has_export_name(name: str) -> bool:
    """Check whether a file of that name should hold answers."""
    # A path object would take long, for each of thousands of files.
    return os.path.splitext(name)[1].lower() in EXPORT_SUFFIXES  # noqa: PTH122


def has_note_name(name: str) -> bool:
    """Check whether a file of that name may hold answers, or somebody's notes."""
    return os.path.splitext(name)[1].lower() in _NOTE_SUFFIXES  # noqa: PTH122


def in_order(exports: Iterable[Export]) -> list[Export]:
    """Sort exports by their times, and those of one time by their names.

    Of two that tell of one redemption the later one counts. The names are those that stand in the
    tables, pseudonyms too: who sees only these, as in what was loaded before, finds the same order.
    What was called the same stays as it was given, by its number.
    """
    return sorted(exports, key=lambda export: (export.exported_at, *by_number(export.name)))


def by_number(name: str) -> tuple[str, int]:
    """Return the name that several are called, and which of them one is.

    >>> by_number("payloads (2)"), by_number("payloads")
    (('payloads', 2), ('payloads', 1))
    """
    found = _NUMBERED.fullmatch(name) if name.endswith(")") else None
    return (name, 1) if found is None else (found[1], int(found[2]))


def numbered(name: str, number: int) -> str:
    """Return the name of one of several that are called so.

    >>> numbered("payloads", 1), numbered("payloads", 2)
    ('payloads', 'payloads (2)')
    """
    return name if number == 1 else f"{name} ({number})"


def renamed(exports: list[Export], pseudonym: Pseudonym) -> list[Export]:
    """Rename exports so that names tell nothing: a file may be called after a customer.

    The first 16 digits of the HMAC of ``source:`` and the name stand for it, so that who has the
    key can tell which file is meant; those of an archive stand below its name, and so together in
    the order. The number of one of several with that name stays.
    """
    names = [_without_number(export) for export in exports]
    every = {*names, *(export.archive for export in exports if export.archive)}
    texts = pa.array([f"source:{name}" for name in every], pa.string())
    hidden = {
        name: digits[:_NAME_DIGITS]
        for name, digits in zip(every, pseudonym(texts).to_pylist(), strict=True)
    }
    new = {}
    for export, name in zip(exports, names, strict=True):
        own = hidden[name]
        if export.archive and export.archive != name:
            own = f"{hidden[export.archive]}/{own}"
        new[export.name] = numbered(f"source-{own}", export.number)
    return [
        replace(export, name=new[export.name], twin=export.twin and new[export.twin])
        for export in exports
    ]


def _without_number(export: Export) -> str:
    return export.name[: len(export.name) - len(numbered("", export.number))]
