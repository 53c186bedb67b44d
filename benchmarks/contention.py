"""What it is measured on, and how much of that others took meanwhile."""

from __future__ import annotations

import hashlib
import os
import platform
import statistics
import time
from concurrent.futures import ThreadPoolExecutor
from importlib.metadata import version

from benchmarks.contenders import CONTENDERS

_BLOCK = bytes(1 << 20)
_BLOCKS = 32  # some tens of milliseconds
_HAS_LOAD = hasattr(os, "getloadavg")


def cores() -> int:
    """Count the cores that may be used."""
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


def machine() -> str:
    """Describe what it is measured on."""
    there = (one.needs[0] for one in CONTENDERS.values() if not one.missing)
    packages = dict.fromkeys((*there, "pyarrow"))
    versions = ", ".join(f"{package} {version(package)}" for package in packages)
    system = f"{platform.system()} {platform.machine()}"
    load = f", load {os.getloadavg()[0]:.1f} before" if _HAS_LOAD else ""
    return f"{cores()} cores{load}, {system}, Python {platform.python_version()}; {versions}"


class Contention:
    """How much others use the machine: a fixed work on every core at once, timed again and again.

    With the machine to ourselves it takes as long each time; what it takes more is how much slower
    a measurement beside it was, by the clock.
    """

    def __init__(self) -> None:
        self._spins: list[float] = []
        self._told = 0
        for _ in range(5):  # what it takes at best is not known by one
            self.look()

    def look(self) -> None:
        """Do the work once more: before each measurement."""
        start = time.perf_counter()
        with ThreadPoolExecutor(cores()) as pool:
            list(pool.map(_spin, range(cores())))
        self._spins.append(time.perf_counter() - start)

    def told(self) -> str:
        """Say how it was since this was last asked."""
        first, self._told = self._told, len(self._spins)
        return self._say(self._spins[first:] or self._spins[-1:], "meanwhile")

    def told_of_all(self) -> str:
        """Say how it was from the beginning."""
        return self._say(self._spins, "over all")

    def _say(self, spins: list[float], when: str) -> str:
        best = min(self._spins)
        load = f"load {os.getloadavg()[0]:.1f} on {cores()} cores; " if _HAS_LOAD else ""
        return (
            f"Contention: {load}a fixed spin on every core took {best * 1000:.0f} ms at best, "
            f"{statistics.median(spins) / best:.2f} times that in the median {when}, and "
            f"{max(spins) / best:.2f} times at worst."
        )


def _spin(_core: int) -> None:
    digest = hashlib.blake2b()
    for _ in range(_BLOCKS):
        digest.update(_BLOCK)  # lets the other threads run meanwhile
