"""What all that commit versions share: how often they try, and how they tell what changed."""

from __future__ import annotations

from collections.abc import Mapping

from redemption_analytics.errors import WriteError

#: So often another writer may be first before one gives up.
TRIES = 20

#: How many rows of each table were added, changed and removed.
Counts = Mapping[str, Mapping[str, int]]

#: The tables whose changes are told in a line.
_TOLD = ("points", "reversals", "coupons", "customers")

LATE = "another writer was first: once more, upon what it wrote"


def written_all_the_time() -> WriteError:
    """Return the error of who never gets first."""
    return WriteError("the warehouse is written by others all the time: try again later")


def changes_told(counts: Counts) -> list[str]:
    """Say in words what changed in the main tables.

    >>> changes_told({"points": {"added": 1200, "changed": 0, "removed": 3}, "files": {"added": 1}})
    ['points 1,200 added, 3 removed']
    """
    told = []
    for table in _TOLD:
        moved = [f"{number:,} {what}" for what, number in counts.get(table, {}).items() if number]
        if moved:
            told.append(f"{table} {', '.join(moved)}")
    return told
