"""Which redemptions of one customer at one time are the same, by what they say."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from itertools import combinations, product
from typing import Any, Literal

#: What two have to agree in, as far as both tell it.
AGREEING = ("points_redeemed", "transaction_number", "program_id", "bill_id")

#: Whether a redemption has a redemption_id, a real id, or neither.
Named = Literal["redemption_id", "id", "nothing"]


@dataclass
class Redemption:
    """What rows of one key say, and the keys that turned out to be this one.

    Attributes
    ----------
    id
        What an edition without redemption_id calls it; 0 beside one.
    said
        For each of the agreeing columns, the values that were told.
    reversals
        Those of its reversals that another key has too.
    """

    key: str
    named: Named
    id: int
    rank: int
    row: int
    said: tuple[set[Any], ...] = field(default_factory=lambda: tuple(set() for _ in AGREEING))
    answers: set[int] = field(default_factory=set)
    reversals: frozenset[int] = frozenset()
    keys: list[str] = field(default_factory=list)

    def agreement(self, other: Redemption) -> int:
        """Count in how many things two agree, a reversal first of all; -1 where they are two."""
        if self.answers & other.answers:
            return -1
        told = [(a, b) for a, b in zip(self.said, other.said, strict=True) if a and b]
        if not all(a & b for a, b in told):
            return -1
        return len(told) + len(AGREEING) * bool(self.reversals & other.reversals)

    def tells_less(self, other: Redemption) -> bool:
        """Check whether another says something of which this one is silent."""
        return any(b and not a for a, b in zip(self.said, other.said, strict=True))

    def take_in(self, other: Redemption) -> None:
        """Make another a part of this one."""
        for own, more in zip(self.said, other.said, strict=True):
            own |= more
        self.answers |= other.answers
        self.reversals |= other.reversals
        self.keys += [other.key, *other.keys]


def united(redemptions: list[Redemption]) -> list[Redemption]:
    """Unite the redemptions of one customer at one time that are the same."""
    by_name: dict[Named, list[Redemption]] = {"redemption_id": [], "id": [], "nothing": []}
    for redemption in redemptions:
        by_name[redemption.named].append(redemption)
    with_id = _of_one_id(by_name["id"])
    without = _not_found_again(_of_one_form(by_name["nothing"]), with_id)
    old = sorted([*with_id, *without], key=_order)
    new = sorted(by_name["redemption_id"], key=_order)
    return [*new, *_not_found_again(old, new)]


def _order(redemption: Redemption) -> tuple[int, int, str]:
    return redemption.id, redemption.rank, redemption.key


def _of_one_id(redemptions: list[Redemption]) -> list[Redemption]:
    """Unite those of one real id: customers may have been united since their keys were built."""
    first: dict[int, Redemption] = {}
    for redemption in sorted(redemptions, key=lambda r: r.row):
        if redemption.id in first:
            first[redemption.id].take_in(redemption)
        else:
            first[redemption.id] = redemption
    return sorted(first.values(), key=_order)


def _of_one_form(redemptions: list[Redemption]) -> list[Redemption]:
    """Unite those without any id that say the same, those of equal rank among equals with another.

    Two that contradict each other are never united by way of a third that tells less: it is found
    to be one of them.
    """
    forms: dict[Any, list[Redemption]] = defaultdict(list)
    for redemption in redemptions:
        forms[tuple(map(frozenset, redemption.said))].append(redemption)
    said = sorted(forms, key=lambda form: min(r.row for r in forms[form]))
    near = {
        form: {
            other
            for other in said
            if other != form
            and all(a.agreement(b) >= 0 for a, b in product(forms[form], forms[other]))
        }
        for form in said
    }
    clear = {
        form for form in said if all(two in near[one] for one, two in combinations(near[form], 2))
    }
    left = dict(forms)
    groups: list[list[Redemption]] = []
    for form in said:
        if form not in left:
            continue
        alike = [form, *(o for o in said if o in near[form] & clear)] if form in clear else [form]
        by_rank: dict[int, Redemption] = {}
        for redemption in (r for one in alike for r in left.pop(one, [])):
            if redemption.rank in by_rank:
                by_rank[redemption.rank].take_in(redemption)
            else:
                by_rank[redemption.rank] = redemption
        groups.append(sorted(by_rank.values(), key=_order))
    distinct: list[Redemption] = []
    for group in sorted(groups, key=lambda g: (-sum(map(bool, g[0].said)), _order(g[0]))):
        distinct = sorted([*distinct, *_not_found_again(group, distinct)], key=_order)
    return distinct


def _not_found_again(old: Sequence[Redemption], new: Sequence[Redemption]) -> list[Redemption]:
    """Match the redemptions of one list with those of another; return those without a match.

    No two of one list are the same redemption.
    """
    by_points: dict[Any, list[int]] = defaultdict(list)
    for place, redemption in enumerate(new):
        for points in redemption.said[0]:
            by_points[points].append(place)
    candidates: list[dict[int, int]] = []
    loose: set[int] = set()
    for own, redemption in enumerate(old):
        near = dict.fromkeys(n for points in redemption.said[0] for n in by_points[points])
        agreeing = ((place, redemption.agreement(new[place])) for place in near)
        candidates.append({place: degree for place, degree in agreeing if degree >= 0})
        if redemption.named == "nothing" or any(
            redemption.tells_less(new[place]) for place in candidates[own]
        ):
            loose.add(own)
    found: dict[int, int] = {}
    given_up: set[int] = set()
    for degree in sorted({d for each in candidates for d in each.values()}, reverse=True):
        while pairs := _pairs(candidates, degree, found, given_up, loose):
            found.update(pairs)
        taken = set(found.values())
        given_up.update(
            place
            for place, each in enumerate(candidates)
            if place not in found and any(d == degree and n not in taken for n, d in each.items())
        )
    for place, other in sorted(found.items()):
        new[other].take_in(old[place])
    return [redemption for place, redemption in enumerate(old) if place not in found]


def _pairs(
    candidates: Sequence[Mapping[int, int]],
    degree: int,
    found: Mapping[int, int],
    given_up: set[int],
    loose: set[int],
) -> dict[int, int]:
    """Pair up those that agree to a degree: who has one candidate, then who has few, in order.

    Where more are there than look for them, only the loose ones find any.
    """
    taken = set(found.values())
    looking: dict[tuple[int, ...], list[int]] = defaultdict(list)
    for place, each in enumerate(candidates):
        if place not in found and place not in given_up:
            free = tuple(sorted(n for n, d in each.items() if d == degree and n not in taken))
            if free:
                looking[free].append(place)
    single = {free[0]: places[0] for free, places in looking.items() if len(free) == 1}
    if single:
        return {place: other for other, place in single.items()}
    for free in sorted(looking, key=len):
        places = looking[free]
        if len(free) != len(places):
            places = [place for place in places if place in loose]
        if places:
            return dict(zip(places, free, strict=False))
    return {}
