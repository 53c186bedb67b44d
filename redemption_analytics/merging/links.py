"""Links: by what answers may belong together, so that merging has to look at them together.

Whatever merging decides about an answer depends on those answers only that it is linked with, by
steps: through an identity of their customer, a key of a redemption, or a reversal_id. Each link is
a number, equal for equal values; that two different values have one number is rare, and does no
harm: more is looked at together than need be.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from redemption_analytics.contract import IDENTITIES
from redemption_analytics.flattening.flatten import ANSWER, HIDDEN, PARENT, Flattening
from redemption_analytics.merging import customers
from redemption_analytics.parsing.digests import numbers_of

Numbers = npt.NDArray[np.int64]
Links = npt.NDArray[np.uint64]

#: What links answers: identities, the key of a customer as answers without more tell it, the keys
#: of redemptions, reversals, and the times of redemptions of which no customer is known.
KINDS = (*IDENTITIES, "customer_key", "points", "coupons", "reversals", "times")


@dataclass(frozen=True)
class KindOfLinks:
    """The links of one kind that the answers of a unit have, in the order of the answers.

    Attributes
    ----------
    links
        The links.
    answers
        The answer of each, ascending.
    owners
        For identities a number of the customer key that stands beside each; empty for others.
    order
        The places of the links, by which they ascend.
    """

    links: Links
    answers: npt.NDArray[np.int32]
    owners: Links
    order: npt.NDArray[np.uint32]

    @classmethod
    def of(
        cls, links: Links, answers: npt.NDArray[np.int32], owners: Links | None = None
    ) -> KindOfLinks:
        """Sort links."""
        order = np.argsort(links).astype(np.uint32)
        return cls(links, answers, np.array([], np.uint64) if owners is None else owners, order)

    def of_answers(self, answers: Numbers) -> Links:
        """Return the links of some answers, each once."""
        starts = np.searchsorted(self.answers, answers)
        ends = np.searchsorted(self.answers, answers, side="right")
        return np.unique(self.links[ranges(starts, ends)])

    def having(self, links: Links) -> tuple[Numbers, Numbers]:
        """Find the places at which some links stand, and for each which of the links it is."""
        starts = np.searchsorted(self.links, links, sorter=self.order)
        ends = np.searchsorted(self.links, links, side="right", sorter=self.order)
        which = np.repeat(np.arange(len(links)), ends - starts)
        return self.order[ranges(starts, ends)].astype(np.int64), which

    def to_arrow(self) -> pa.RecordBatch:
        """Return the links as a batch of columns, to be written."""
        columns = {"link": self.links, "answer": self.answers, "order": self.order}
        if len(self.owners):
            columns["owner"] = self.owners
        return pa.RecordBatch.from_pydict({name: pa.array(c) for name, c in columns.items()})

    @classmethod
    def from_arrow(cls, batch: pa.RecordBatch) -> KindOfLinks:
        """Read what was written."""
        owners = (
            batch["owner"].to_numpy() if "owner" in batch.schema.names else np.array([], np.uint64)
        )
        return cls(
            batch["link"].to_numpy(), batch["answer"].to_numpy(), owners, batch["order"].to_numpy()
        )


def ranges(starts: Numbers, ends: Numbers) -> Numbers:
    """Return all numbers of some ranges, one range after the other.

    >>> ranges(np.array([3, 10]), np.array([5, 11])).tolist()
    [3, 4, 10]
    """
    lengths = ends - starts
    before = np.cumsum(lengths) - lengths
    numbers: Numbers = np.repeat(starts - before, lengths) + np.arange(lengths.sum())
    return numbers


class Linking:
    """Collects the links of tables that grow, block by block.

    Parameters
    ----------
    identities
        Which identities name a customer, the first before the others.
    only_first
        Whether in the end the first of them alone does.
    hidden
        Whether identities stand as pseudonyms.
    """

    def __init__(self, identities: Sequence[str], *, only_first: bool, hidden: bool):
        self._first = identities[0]
        self._only_first = only_first
        self._columns = HIDDEN if hidden else {name: name for name in IDENTITIES}
        self._parts: dict[str, list[tuple[Links, npt.NDArray[np.int32], Links | None]]] = {
            kind: [] for kind in KINDS
        }
        self._answers = 0
        self._named = np.array([], np.int64)
        self._points = (0, np.array([], np.int64))
        self._point_rows = 0

    @classmethod
    def of(cls, flattening: Flattening) -> Linking:
        """Return what collects the links of answers that are flattened so."""
        return cls(
            flattening.identities,
            only_first=flattening.only_first,
            hidden=flattening.pseudonym is not None,
        )

    def add(self, name: str, table: pa.Table) -> None:
        """Note the links of some rows of a table; parents come before what hangs on them."""
        if name == "responses":
            answers = np.arange(self._answers, self._answers + table.num_rows)
            self._answers += table.num_rows
            self._note("customer_key", table["customer_key"], answers)
        elif name == "customers":
            self._identities(table)
        elif name == "points":
            answers = table[ANSWER].to_numpy()
            self._points = (self._point_rows, answers)
            self._point_rows += table.num_rows
            self._note("points", table["redemption_key"], answers)
            self._nobodys(table, answers)
        elif name == "coupons":
            self._note("coupons", table["redemption_key"], table[ANSWER].to_numpy())
        elif name == "reversals":
            start, answers = self._points
            self._note("reversals", table["reversal_id"], answers[table[PARENT].to_numpy() - start])

    def _identities(self, table: pa.Table) -> None:
        answers = table[ANSWER].to_numpy()
        owners = numbers_of(table["customer_key"])
        for name, column in self._columns.items():
            if column in table.column_names:
                self._note(name, table[column], answers, owners)
        if self._only_first:
            named = pc.is_valid(table[self._columns[self._first]]).to_numpy()
            self._named = answers[named]

    def _nobodys(self, table: pa.Table, answers: Numbers) -> None:
        """Note when redemptions were made whose customer may have no key in the end."""
        nobody = (
            ~np.isin(answers, self._named)
            if self._only_first
            else pc.is_null(table["customer_key"]).to_numpy()
        )
        if nobody.any():
            times = table["redeemed_time"].cast(pa.int64()).filter(pa.array(nobody))
            self._note("times", pc.fill_null(times, -1), answers[nobody])

    def _note(
        self, kind: str, values: pa.ChunkedArray, answers: Numbers, owners: Links | None = None
    ) -> None:
        valid = pc.is_valid(values).to_numpy()
        if valid.any():
            links = numbers_of(values)
            if not valid.all():
                links, answers = links[valid], answers[valid]
                owners = None if owners is None else owners[valid]
            self._parts[kind].append((links, answers.astype(np.int32), owners))

    def finish(self) -> Iterator[tuple[str, KindOfLinks]]:
        """Return what was noted, kind by kind; each is let go."""
        for kind in KINDS:
            parts = self._parts.pop(kind)
            if parts:
                links, answers = (
                    np.concatenate([part[place] for part in parts]) for place in (0, 1)
                )
                owners = [part[2] for part in parts if part[2] is not None]
                del parts
                yield (
                    kind,
                    KindOfLinks.of(links, answers, np.concatenate(owners) if owners else None),
                )


class UnitLinks:
    """The links of one unit's answers, by kind; those of a kind are read when they are asked for.

    Parameters
    ----------
    answers
        How many answers the unit has.
    kinds
        Gives the links of each kind that there is.
    """

    def __init__(self, answers: int, kinds: Mapping[str, KindOfLinks]):
        self.answers = answers
        self.kinds = kinds


@dataclass
class Affected:
    """The answers that may have to be merged anew.

    Attributes
    ----------
    answers
        For each unit a mask of its answers.
    common_before, common
        The numbers of values under more keys than one customer has: in old units, and in all.
    """

    answers: list[npt.NDArray[np.bool_]]
    common_before: dict[str, Links]
    common: dict[str, Links]

    @cached_property
    def count(self) -> int:
        """How many answers there are."""
        return sum(int(mask.sum()) for mask in self.answers)


def affected(
    units: Sequence[UnitLinks], start: Mapping[int, Numbers], *, old: int | None = None
) -> Affected:
    """Find all answers that are linked, by however many steps, with some.

    Parameters
    ----------
    units
        The units, old ones first.
    start
        The answers to start from, by the place of their unit.
    old
        How many of the units are old; all of them by default.
    """
    old = len(units) if old is None else old
    masks = [np.zeros(unit.answers, bool) for unit in units]
    frontier = dict(start)
    for place, answers in frontier.items():
        masks[place][answers] = True
    seen: dict[str, Links] = {kind: np.array([], np.uint64) for kind in KINDS}
    before: dict[str, list[Links]] = {name: [] for name in IDENTITIES}
    now: dict[str, list[Links]] = {name: [] for name in IDENTITIES}
    while frontier:
        found: dict[int, list[Numbers]] = {}
        for kind in KINDS:
            told = [
                units[place].kinds[kind].of_answers(answers)
                for place, answers in frontier.items()
                if kind in units[place].kinds
            ]
            links = (
                np.setdiff1d(np.concatenate(told), seen[kind]) if told else np.array([], np.uint64)
            )
            if not len(links):
                continue
            seen[kind] = np.union1d(seen[kind], links)
            if kind in IDENTITIES:
                too_many, too_many_now = _common(units, old, kind, links)
                before[kind].append(links[too_many])
                now[kind].append(links[too_many_now])
                links = links[~too_many]
            for place, unit in enumerate(units):
                if kind in unit.kinds:
                    places, _ = unit.kinds[kind].having(links)
                    own = unit.kinds[kind].answers[places].astype(np.int64)
                    found.setdefault(place, []).append(own)
        frontier = {}
        for place, parts in found.items():
            answers = np.unique(np.concatenate(parts))
            fresh = answers[~masks[place][answers]]
            if len(fresh):
                masks[place][fresh] = True
                frontier[place] = fresh
    return Affected(
        masks,
        {name: np.concatenate([np.array([], np.uint64), *parts]) for name, parts in before.items()},
        {name: np.concatenate([np.array([], np.uint64), *parts]) for name, parts in now.items()},
    )


def _common(
    units: Sequence[UnitLinks], old: int, kind: str, links: Links
) -> tuple[npt.NDArray[np.bool_], npt.NDArray[np.bool_]]:
    """Tell which values stand under too many keys: among the old units, and among all."""
    which, owners, of_old = [], [], []
    for place, unit in enumerate(units):
        if kind in unit.kinds:
            places, link = unit.kinds[kind].having(links)
            which.append(link)
            owners.append(unit.kinds[kind].owners[places])
            of_old.append(np.full(len(link), place < old))
    link, owner = np.concatenate(which), np.concatenate(owners)
    is_old = np.concatenate(of_old)

    def too_many(chosen: npt.NDArray[np.bool_]) -> npt.NDArray[np.bool_]:
        pairs = np.unique(np.rec.fromarrays([link[chosen], owner[chosen]]))
        counts = np.bincount(pairs["f0"], minlength=len(links))
        return counts > customers.MOST_KEYS

    return too_many(is_old), too_many(np.ones(len(link), bool))
