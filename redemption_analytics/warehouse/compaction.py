"""Compaction: small units are put together, so that a night need not look into hundreds."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from uuid import uuid4

from redemption_analytics.loading.loading import Loading
from redemption_analytics.merging.links import Linking
from redemption_analytics.warehouse.files import Writing
from redemption_analytics.warehouse.rewriting import Part, rewritten
from redemption_analytics.warehouse.stage import StagedUnit
from redemption_analytics.warehouse.store import Store
from redemption_analytics.warehouse.units import Unit

#: So many units of like size are put together.
FANOUT = 8

#: A unit of more answers stays as it is.
MOST_ANSWERS = 1_000_000


def run_of(sizes: Sequence[int]) -> int:
    """Return how many of the last units are to be put together, 0 if none.

    From the newest back, each is among them that is no larger than all after it together: so what
    is written again doubles each time, and the units that are left are few.

    Parameters
    ----------
    sizes
        How many answers each has, the oldest unit first.

    Examples
    --------
    >>> run_of([500, 1, 1, 1, 1, 1, 1, 1, 1]), run_of([8, 1, 1, 1]), run_of([8, *[1] * 8])
    (8, 0, 9)
    """
    together = count = 0
    for size in reversed(sizes):
        # A unit without answers counts, too: each is looked into.
        if size > MOST_ANSWERS or (count and size > max(together, 1)):
            break
        together += size
        count += 1
    return count if count >= FANOUT else 0


def compacted(
    store: Store, units: Sequence[Unit], loading: Loading, scratch: Path, writing: Writing
) -> list[Unit]:
    """Return the units of a version, the last of them as one where they are many and small.

    Parameters
    ----------
    store
        Holds them.
    units
        The units, in their order.
    loading
        The options that they were read with.
    scratch
        A directory for what grows.
    writing
        Removes what is written here where it is of no use.
    """
    run = run_of([unit.answers for unit in units])
    if not run:
        return list(units)
    name = uuid4().hex
    parts = [Part.whole(StagedUnit(store, unit)) for unit in units[-run:]]
    unit = rewritten(store, name, parts, Linking.of(loading.parser.flattening), scratch / name)
    writing.take(unit.paths)
    return [*units[:-run], unit]
