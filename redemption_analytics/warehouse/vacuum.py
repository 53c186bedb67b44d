"""Vacuuming: what no kept version names, and nobody can be about to name, goes."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

from redemption_analytics.warehouse.log import DATA, Log
from redemption_analytics.warehouse.store import Store
from redemption_analytics.warehouse.units import units_of


@dataclass(frozen=True)
class Vacuumed:
    """What was vacuumed.

    Attributes
    ----------
    versions
        The versions that cannot be opened any more.
    files, size
        How many files went, and their bytes.
    waiting
        How many more versions would have gone, but were the newest too lately.
    """

    versions: tuple[int, ...]
    files: int
    size: int
    waiting: int = 0


def vacuum(store: Store, log: Log, keep: int, grace: timedelta) -> Vacuumed:
    """Take away old versions, and all files that no version names.

    Parameters
    ----------
    store, log
        The warehouse's.
    keep
        How many versions stay at least.
    grace
        Versions that were the newest so long ago stay too, for who opened one may still read it;
        and so do files that are no older, for an ingest writes files before a version names them.
    """
    until = datetime.now(UTC).replace(tzinfo=None) - grace
    # What is listed before the versions are read cannot be named by one of them later on.
    stored = [found for found in store.names(DATA) if "/_delta_log/" not in found.name]
    entries = [log.read(version) for version in log.versions()]
    superseded = [entry.committed_at for entry in entries[1:]]
    beyond = entries[: max(len(entries) - keep, 0)]
    old = [entry.version for entry, since in zip(beyond, superseded, strict=False) if since < until]
    taken = log.vacuum(max(old) + 1) if old else []
    named: set[str] = set()
    for entry in entries:
        if entry.version not in taken:
            named.update(file.path for file in entry.files)
            named.update(path for unit in units_of(entry) for path in unit.paths)
    gone = [
        found
        for found in [*stored, *store.litter()]
        if found.last_modified < until and found.name not in named
    ]
    store.delete([found.name for found in gone])
    size = sum(found.size for found in gone)
    return Vacuumed(tuple(taken), len(gone), size, len(beyond) - len(old))
