"""Which exports a warehouse knows already, so that they are not read again."""

from __future__ import annotations

import hashlib
import os
from collections import Counter, defaultdict
from collections.abc import Iterable, Sequence
from contextlib import closing
from dataclasses import dataclass, field, replace
from datetime import datetime

import pyarrow as pa

from redemption_analytics.dating import TELLING
from redemption_analytics.privacy import Pseudonym
from redemption_analytics.sources.accounts import keyed
from redemption_analytics.sources.export import Export
from redemption_analytics.sources.streams import UNREADABLE

_PIECE = 1 << 20

#: Columns beside those of ``files`` that a unit keeps of its exports.
WRITTEN, ANSWERS, NUMBER, RELEASE = "_written", "_answers", "_number", "_release"

#: Columns that units have besides which were written of several: when each export was read, and in
#: which unit it came.
READ_AT, CAME_IN = "_read_at", "_came_in"


@dataclass(frozen=True)
class _Met:
    """What became of an export, under the name that it had; final is what stays so by itself."""

    source: str
    status: str
    reason: str | None
    final: bool


@dataclass
class Known:
    """The exports that were ingested before.

    An export is known by its content and its date; where only the modification of its file dates
    it, which copies do not keep, by its content. Where neither its name nor its size, its date and
    its file's modification differ from a known one's, its content is not looked at. What is
    passed over is known by these alone. How the folder of a name is written does not matter.

    Parameters
    ----------
    exports
        What units keep of their exports.
    hidden
        What replaced digests; None where they stand.
    """

    exports: Iterable[pa.Table]
    release: str
    hidden: Pseudonym | None = None
    #: Exports of which nothing came, that can be otherwise now: by another version of the library,
    #: or since they were passed over or unreadable, and have changed. Only the last time counts.
    again: list[str] = field(default_factory=list)

    def __post_init__(self) -> None:
        self._seen: dict[tuple[str, int | None, datetime, datetime | None], _Met] = {}
        self._by_size: defaultdict[int | None, list[tuple[str, datetime, str]]] = defaultdict(list)
        self._times: Counter[str] = Counter()
        self._nothing: dict[str, _Met] = {}
        self._folders: dict[str, str] = {}
        for table in self.exports:
            for row in table.to_pylist():
                self._times[row["source"]] += row[ANSWERS] > 0
                final = row["status"] == "loaded" or row[RELEASE] == self.release or row["records"]
                met = _Met(row["source"], row["status"], row["reason"], bool(final))
                nothing = row["status"] == "passed over" or (
                    not row["records"] and row["digest"] is None
                )
                for name in self._names(row["source"]):
                    self._seen[name, row["size"], row["exported_at"], row[WRITTEN]] = met
                    if nothing:
                        self._nothing[name] = met
                    else:
                        self._nothing.pop(name, None)
                if row["digest"] is not None and final:
                    # The size of a stream is not known before it is read.
                    for size in (row["size"], None):
                        self._by_size[size].append(
                            (row["digest"], row["exported_at"], row["dated_by"])
                        )

    def new(self, exports: Sequence[Export]) -> list[Export]:
        """Choose the exports that were not ingested before; of several that are alike the first."""
        sizes = Counter((export.size, export.exported_at) for export in exports)
        found = []
        met: set[tuple[datetime, str]] = set()
        for export in exports:
            if self.knows(export):
                continue
            if sizes[export.size, export.exported_at] > 1 and export.open is not None:
                digest = None if export.passed_over else self._digest(export)
                if digest is not None:
                    if (export.exported_at, digest) in met:
                        continue
                    met.add((export.exported_at, digest))
            found.append(export)
        return found

    def named_apart(self, exports: Sequence[Export]) -> list[Export]:
        """Let answers of exports whose names are known have names of their own."""
        return [
            replace(export, edition=f"~{self._times[export.name] + 1}")
            if self._times[export.name]
            else export
            for export in exports
        ]

    def knows(self, export: Export) -> bool:
        """Check whether an export was ingested before."""
        if export.written is not None or export.passed_over is not None:
            told = export.size, export.exported_at, export.written
            for name in self._names(export.name):
                found = self._seen.get((name, *told))
                if found is None:
                    continue
                if export.passed_over is not None and found.status == "passed over":
                    return True
                if not found.final:
                    self.again += {export.name, found.source}
                return found.final
        if export.open is None and export.passed_over is None:
            return False
        if export.passed_over is None and self._is_alike(export):
            return True
        for name in self._names(export.name):
            if name in self._nothing:
                self.again += {export.name, self._nothing[name].source}
                break
        return False

    def nothing_new(self, files: pa.Table) -> bool:
        """Check whether files are again passed over or unreadable, as they were before."""
        return all(
            any(
                met is not None and (met.status, met.reason) == (row["status"], row["reason"])
                for met in map(self._nothing.get, self._names(row["source"]))
            )
            for row in files.select(["source", "status", "reason"]).to_pylist()
        )

    def _names(self, name: str) -> tuple[str, str]:
        """Return a name as it stands, and as it is however its folder is written."""
        folder, own = os.path.split(name)
        if "://" not in name and folder not in self._folders:
            self._folders[folder] = os.path.realpath(folder)
        return name, os.path.join(self._folders.get(folder, folder), own)

    def _is_alike(self, export: Export) -> bool:
        """Check whether an export has the content and the date of one that was ingested."""
        alike = [
            digest
            for digest, made, dated_by in self._by_size.get(export.size, ())
            if made == export.exported_at
            or (export.dated_by not in TELLING and dated_by not in TELLING)
        ]
        return bool(alike) and self._digest(export) in alike

    def _digest(self, export: Export) -> str | None:
        digest = hashlib.sha256(usedforsecurity=False)
        try:
            with closing(export.open()) as stream:  # type: ignore[misc]
                while piece := stream.read(_PIECE):
                    digest.update(piece)
        except (*UNREADABLE, ValueError):
            return None
        found = pa.array([digest.hexdigest()], pa.string())
        if self.hidden is None:
            return str(found[0])
        return str(keyed(pa.chunked_array([found]), self.hidden)[0])
