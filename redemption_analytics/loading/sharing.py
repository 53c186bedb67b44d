"""Sharing out: which exports processes of their own read and parse, and which this one does."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from itertools import groupby
from pathlib import Path

from redemption_analytics.options import Pii
from redemption_analytics.sources.export import Export
from redemption_analytics.sources.streams import LocalFile

#: Up to so many at once, threads do all: reading in order and writing keep no more of them busy.
MOST_THREADS = 4

#: Nor do more processes than these gain anything by the measured shares: see benchmarks.scaling.
MOST_PROCESSES = 8

#: Less than so much is done before processes are started.
WORTH_BYTES = 1 << 30

#: Small files are handed over together, up to so much.
UNIT_BYTES = 8 << 20

#: Opening a file takes as long as reading so much.
_FILE_BYTES = 64 << 10

#: What is packed is so much larger.
_PACKED = {".gz": 8, ".bz2": 8, ".xz": 8, ".lzma": 8, ".zst": 8, ".lz4": 4}


@dataclass(frozen=True)
class Share:
    """Exports that follow each other.

    Attributes
    ----------
    exports
        The exports.
    elsewhere
        Whether another process reads and parses them.
    """

    exports: list[Export]
    elsewhere: bool = False


def shares(exports: list[Export], threads: int | None, pii: Pii) -> tuple[list[Share], int]:
    """Share exports out, in their order; return the shares, and how many may be at work at once.

    Files of this system go to other processes; archives, streams and payloads stay here, for only
    this one can read them, and sending their text takes as long as parsing it. So does a file that
    is so large that the others would wait for it, which threads parse block by block.

    Parameters
    ----------
    exports
        The exports.
    threads
        How many may be at work at once; None where nobody said it: as many as there are cores, of
        processes up to 8 and of threads up to 4.
    pii
        What becomes of personal data: a random key does not leave the process that drew it.
    """
    workers = threads or max(2, min(_cores(), MOST_PROCESSES))
    here = [Share(exports)], threads or min(workers, MOST_THREADS)
    if workers <= MOST_THREADS or pii == "drop" or not _can_start():
        return here
    weights = [_weight(export) for export in exports]
    total = sum(weights)
    apart = [
        isinstance(export.open, LocalFile) and weight * workers <= total
        for export, weight in zip(exports, weights, strict=True)
    ]
    if sum(weight for weight, goes in zip(weights, apart, strict=True) if goes) < WORTH_BYTES:
        return here
    rows = zip(exports, weights, apart, strict=True)
    found: list[Share] = []
    for elsewhere, group in groupby(rows, key=lambda row: row[2]):
        together = [(export, weight) for export, weight, _ in group]
        units = _units(together, UNIT_BYTES) if elsewhere else [[one for one, _ in together]]
        found += [Share(unit, elsewhere) for unit in units]
    return found, workers


def _cores() -> int:
    """Count the cores that this process may use."""
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


def _can_start() -> bool:
    """Check whether this program is a Python that others can be started of."""
    return bool(sys.executable) and not getattr(sys, "frozen", False)


def units_of(exports: Iterable[Export], size: int) -> list[list[Export]]:
    """Put exports that follow each other together, up to so many bytes of plain text."""
    return list(_units(((export, _weight(export)) for export in exports), size))


def _units(weighed: Iterable[tuple[Export, int]], size: int) -> Iterator[list[Export]]:
    unit: list[Export] = []
    held = 0
    for export, weight in weighed:
        if unit and held + weight > size:
            yield unit
            unit, held = [], 0
        unit.append(export)
        held += weight
    if unit:
        yield unit


def _weight(export: Export) -> int:
    """Estimate what an export takes, in bytes of plain text."""
    if export.passed_over is not None or not isinstance(export.open, LocalFile):
        return _FILE_BYTES
    packed = _PACKED.get(Path(export.open.path).suffix.lower(), 1)
    return (export.size or 0) * packed + _FILE_BYTES
