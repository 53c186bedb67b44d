"""Units, as the log names them: what one ingest read, or several did that were put together."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import asdict, dataclass, field
from datetime import datetime
from typing import Any

from redemption_analytics.loading.pipeline import GROWING
from redemption_analytics.warehouse.log import Entry


@dataclass(frozen=True)
class Unit:
    """A unit, as the log names it.

    Attributes
    ----------
    name
        The name of its folder.
    rows
        How many rows each of its tables has.
    links
        The kinds of links that its answers have.
    read
        When it was read, in UTC.
    seen, rejected
        How many elements of each kind were met, and refused.
    newest
        The time of the newest export that tells it, of those with answers.
    odd
        For the findings that a reader makes (``unknown_fields``, ``epoch_times``) and each name how
        often it was met, where first (the export's time, its name and number, and the record), and
        what to say of that.
    parts
        The names of the units that it was written of; none where it is what one ingest read.
    """

    name: str
    rows: dict[str, int]
    links: list[str]
    read: str
    seen: dict[str, int]
    rejected: dict[str, int]
    newest: str | None
    odd: dict[str, dict[str, list[Any]]] = field(default_factory=dict)
    parts: list[str] = field(default_factory=list)

    @property
    def came_in(self) -> list[str]:
        """The names of the units that its exports came in."""
        return self.parts or [self.name]

    @property
    def answers(self) -> int:
        """How many answers it has."""
        return self.rows["responses"]

    @property
    def read_at(self) -> datetime:
        """When it was read, in UTC."""
        return datetime.fromisoformat(self.read)

    def to_json(self) -> dict[str, Any]:
        """Return what the log writes."""
        return asdict(self)

    def path(self, name: str) -> str:
        """Return the name of one of its files in the store."""
        return f"{folder_of(self.name)}/{name}"

    @property
    def paths(self) -> list[str]:
        """The names of all its files in the store."""
        names = [*GROWING, *(f"links-{kind}" for kind in self.links)]
        files = (*(f"{name}.arrow" for name in (*names, "rows")), "exports.parquet")
        return [self.path(file) for file in files]


def folder_of(unit: str) -> str:
    """Return where the files of a unit lie in the store."""
    return f"data/stage/{unit}"


def units_of(entry: Entry | None) -> list[Unit]:
    """Return the units of a version."""
    return [] if entry is None else [Unit(**unit) for unit in entry.state["units"]]


def odd_together(units: Iterable[Unit]) -> dict[str, dict[str, list[Any]]]:
    """Return what the reader met of what it does not know, in some units as in one."""
    found: dict[str, dict[str, list[Any]]] = {}
    for unit in units:
        for check, names in unit.odd.items():
            own = found.setdefault(check, {})
            for name, (count, *first) in names.items():
                before, *others = own.get(name, [0])
                own[name] = [before + count, *min(first, others or first)]
    return found
