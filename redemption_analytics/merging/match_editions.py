"""Matching redemptions without redemption_id with one another, and with those that have one.

What is settled are keys: rows of equal keys are one redemption already. Two keys can be one
redemption if they agree: in customer, time and points, and in program, transaction and bill as far
as both tell them. They are two if each has a redemption_id, if each has a real id, or if one answer
holds both.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import combinations, pairwise, product
from typing import TYPE_CHECKING, Any, Literal

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from redemption_analytics.deferred import Deferred
from redemption_analytics.flattening.flatten import ANSWER
from redemption_analytics.merging.partitions import ROW, numbered, partitions
from redemption_analytics.merging.renaming import Renaming
from redemption_analytics.merging.stores import Keep
from redemption_analytics.merging.versions import Mask, Numbers, codes_of

if TYPE_CHECKING:
    import pandas as pd
else:
    pd = Deferred("pandas")

_AGREEING = ("points_redeemed", "transaction_number", "program_id", "bill_id")
_COLUMNS = (
    *("redemption_key", "customer_key", "redeemed_time", *_AGREEING),
    *("redemption_id", "id", "_rank", ANSWER),
)
#: Column that is the same where customer and time are.
_TOGETHER = "_together"

#: So many rows are looked at one by one at a time.
_ROWS_AT_A_TIME = 10_000

#: Whether a redemption has a redemption_id, a real id, or neither.
_Named = Literal["redemption_id", "id", "nothing"]


@dataclass
class _Redemption:
    """What rows of one key say, and the keys that turned out to be this one.

    Attributes
    ----------
    said
        For each of the agreeing columns, the values that were told.
    reversals
        Those of its reversals that another key has too.
    """

    key: str
    named: _Named
    id: int
    rank: int
    row: int
    said: tuple[set[Any], ...] = field(default_factory=lambda: tuple(set() for _ in _AGREEING))
    answers: set[int] = field(default_factory=set)
    reversals: frozenset[int] = frozenset()
    keys: list[str] = field(default_factory=list)

    def agreement(self, other: _Redemption) -> int:
        """Count in how many things two agree, a reversal first of all; -1 where they are two."""
        if self.answers & other.answers:
            return -1
        told = [(a, b) for a, b in zip(self.said, other.said, strict=True) if a and b]
        if not all(a & b for a, b in told):
            return -1
        return len(told) + len(_AGREEING) * bool(self.reversals & other.reversals)

    def tells_less(self, other: _Redemption) -> bool:
        """Check whether another says something of which this one is silent."""
        return any(b and not a for a, b in zip(self.said, other.said, strict=True))

    def take_in(self, other: _Redemption) -> None:
        """Make another a part of this one."""
        for own, more in zip(self.said, other.said, strict=True):
            own |= more
        self.answers |= other.answers
        self.reversals |= other.reversals
        self.keys += [other.key, *other.keys]


def settled_editions(keep: Keep, customers: Renaming) -> Renaming:
    """Find the keys of redemptions without redemption_id that are one redemption's.

    Those with a real id are one where customer, time and id are the same. Those without any are put
    together where they say the same, by their rank among equals in their answers. Then they find
    those with a real id, and both find those with a redemption_id: the one that they agree with in
    most. Who agrees with several alike is one of them where it tells less than they do, or has no
    id of its own: they are taken in order, each once, so that no points count twice. Who tells as
    much, and has a real id, stays by itself: no points are lost.

    Parameters
    ----------
    keep
        Holds the points redemptions.
    customers
        The final keys of customers.
    """
    together = _old_ones(keep, customers)
    if not len(together):
        return Renaming()
    names: dict[str, str | None] = {}
    rows = _near(keep, customers, together)
    shared = _shared_reversals(keep)
    for partition in partitions(rows, _TOGETHER, keep.rows("points"), keep.scratch):
        plain, groups = _groups(partition, bool(customers), shared)
        names |= plain
        for group in groups:
            for one in _settled(group):
                # A redemption_id is the key, then a real id; of equals the key that was seen first.
                names.update(dict.fromkeys(one.keys, one.key))
    return Renaming(names)


def _old_ones(keep: Keep, customers: Renaming) -> npt.NDArray[np.uint64]:
    """Return customers and times, as hashes, of redemptions that may have to be settled."""
    found = [np.array([], np.uint64)]
    columns = ["customer_key", "redeemed_time", "redemption_id"]
    for batch in keep.batches("points", columns):
        old = batch.filter(pc.is_null(batch["redemption_id"]))
        if len(old):
            found.append(np.unique(_hashes(old, customers)))
    return np.unique(np.concatenate(found))


def _hashes(batch: pa.Table, customers: Renaming) -> npt.NDArray[np.uint64]:
    keys = customers.of(batch["customer_key"]).combine_chunks().dictionary_encode()
    names = pd.util.hash_array(
        np.array([*keys.dictionary.to_pylist(), ""], object), categorize=False
    )
    which = pc.fill_null(keys.indices, len(keys.dictionary)).to_numpy()
    times = pc.fill_null(batch["redeemed_time"].cast(pa.int64()), -1).to_numpy()
    hashed: npt.NDArray[np.uint64] = pd.util.hash_array(names[which] ^ times.view(np.uint64))
    return hashed


def _near(keep: Keep, customers: Renaming, together: npt.NDArray[np.uint64]) -> Iterator[pa.Table]:
    """Yield the rows of the customers and times at which there is an old redemption."""
    for batch in numbered(keep.batches("points", _COLUMNS)):
        hashes = _hashes(batch, customers)
        places = np.searchsorted(together, hashes).clip(max=len(together) - 1)
        rows = batch.append_column(_TOGETHER, pa.array(hashes)).filter(
            pa.array(together[places] == hashes)
        )
        place = rows.schema.get_field_index("customer_key")
        yield rows.set_column(place, "customer_key", customers.of(rows["customer_key"]))


def _shared_reversals(keep: Keep) -> dict[str, frozenset[int]]:
    """Find the reversals that stand under several keys, which are likely to be one redemption's."""
    found: dict[str, set[int]] = defaultdict(set)
    rows = keep.batches("reversals", ["reversal_id", "redemption_key"])
    for partition in partitions(rows, "reversal_id", keep.rows("reversals"), keep.scratch):
        frame = partition.to_pandas().drop_duplicates()
        frame = frame[frame.duplicated("reversal_id", keep=False)]
        for key, reversal in zip(frame["redemption_key"], frame["reversal_id"], strict=True):
            found[key].add(reversal)
    return {key: frozenset(reversals) for key, reversals in found.items()}


def _groups(
    partition: pa.Table, renamed: bool, shared: Mapping[str, frozenset[int]]
) -> tuple[dict[str, str | None], Iterator[list[_Redemption]]]:
    """Find where there is something to settle: what is plain, and the redemptions of other groups.

    A group is what one customer redeemed at one time. Real ids tell redemptions apart, so where
    there is nothing else, only customers who were united are a reason to look. It is plain that the
    only one with a redemption_id and the only one without are the same where nothing is told in two
    ways.
    """
    groups = _codes(partition["customer_key"]) * len(partition) + _codes(partition["redeemed_time"])
    groups = np.unique(groups, return_inverse=True)[1]
    key = _codes(partition["redemption_key"])
    new = pc.is_valid(partition["redemption_id"]).to_numpy()
    ranked = pc.is_valid(partition["_rank"]).to_numpy()
    keys, news = _distinct(groups, key), _distinct(groups, np.where(new, key, -1))
    some_ranked = _distinct(groups, np.where(ranked, 0, -1)) > 0
    wanted = (keys > 1) & (((news > 0) & (news < keys)) | some_ranked | renamed)
    plain = wanted & (keys == 2) & (news == 1)
    if plain.any():
        for name in _AGREEING:
            plain &= _distinct(groups, _codes(partition[name], none=-1)) < 2
        in_answers = groups * len(partition) + _codes(partition[ANSWER])
        _, first, places = np.unique(in_answers, return_index=True, return_inverse=True)
        plain[groups[first[_distinct(places, key) > 1]]] = False
    ends = []
    for rows in (plain[groups] & ~new, plain[groups] & new):
        _, first = np.unique(groups[rows], return_index=True)
        ends.append(partition["redemption_key"].take(pa.array(np.flatnonzero(rows)[first])))
    names = dict(zip(ends[0].to_pylist(), ends[1].to_pylist(), strict=True))
    return names, _redemptions(partition, groups, (wanted & ~plain)[groups], shared)


def _codes(values: pa.ChunkedArray, none: int | None = None) -> Numbers:
    """Return a number for each value of a column; nothing is a value too, or has one given."""
    if none is None:
        return codes_of(values)[0]
    codes = values.combine_chunks().dictionary_encode().indices
    filled: Numbers = pc.fill_null(codes.cast(pa.int64()), none).to_numpy()
    return filled


def _distinct(groups: Numbers, codes: Numbers) -> Numbers:
    """Count the different codes of each group; those below zero are none."""
    told = codes >= 0
    size = int(codes.max(initial=0)) + 1
    both = np.unique(groups[told] * size + codes[told])
    counts: Numbers = np.bincount(both // size, minlength=int(groups.max(initial=-1)) + 1)
    return counts


def _redemptions(
    partition: pa.Table, groups: Numbers, wanted: Mask, shared: Mapping[str, frozenset[int]]
) -> Iterator[list[_Redemption]]:
    """Yield the redemptions of some groups, group by group."""
    rows = np.flatnonzero(wanted)
    rows = rows[np.argsort(groups[rows], kind="stable")]
    starts = np.flatnonzero(np.diff(groups[rows], prepend=-1))
    # Objects are large: only those of a few groups are there at a time.
    cuts = np.searchsorted(starts, np.arange(0, len(rows), _ROWS_AT_A_TIME))
    bounds = [*starts[np.unique(cuts[cuts < len(starts)])], len(rows)]
    for start, end in pairwise(bounds):
        chosen = pa.array(rows[start:end])
        numbers = groups[rows[start:end]].tolist()
        columns = [partition[name].take(chosen).to_pylist() for name in (ROW, *_COLUMNS)]
        found: dict[int, dict[str, _Redemption]] = defaultdict(dict)
        for group, row, key, _, _, *said, redemption_id, id_, rank, answer in zip(
            numbers, *columns, strict=True
        ):
            if key not in found[group]:
                named: _Named = "redemption_id" if redemption_id else "nothing" if rank else "id"
                reversals = shared.get(key, frozenset())
                found[group][key] = _Redemption(
                    key, named, id_ or 0, rank or 0, row, reversals=reversals
                )
            redemption = found[group][key]
            redemption.answers.add(answer)
            for values, value in zip(redemption.said, said, strict=True):
                if value is not None:
                    values.add(value)
        for redemptions in found.values():
            yield list(redemptions.values())


def _settled(redemptions: list[_Redemption]) -> list[_Redemption]:
    """Unite the redemptions of one customer at one time that are the same."""
    by_name: dict[_Named, list[_Redemption]] = {"redemption_id": [], "id": [], "nothing": []}
    for redemption in redemptions:
        by_name[redemption.named].append(redemption)
    with_id = _of_one_id(by_name["id"])
    without = _not_found_again(_of_one_form(by_name["nothing"]), with_id)
    old = sorted([*with_id, *without], key=_order)
    new = sorted(by_name["redemption_id"], key=_order)
    return [*new, *_not_found_again(old, new)]


def _order(redemption: _Redemption) -> tuple[int, int, str]:
    # Of those that have one, a redemption_id; the id beside it is a rank in some answer.
    id_ = 0 if redemption.named == "redemption_id" else redemption.id
    return id_, redemption.rank, redemption.key


def _of_one_id(redemptions: list[_Redemption]) -> list[_Redemption]:
    """Unite those of one real id: customers may have been united since their keys were built."""
    first: dict[int, _Redemption] = {}
    for redemption in sorted(redemptions, key=lambda r: r.row):
        if redemption.id in first:
            first[redemption.id].take_in(redemption)
        else:
            first[redemption.id] = redemption
    return sorted(first.values(), key=_order)


def _of_one_form(redemptions: list[_Redemption]) -> list[_Redemption]:
    """Unite those without any id that say the same, those of equal rank among equals with another.

    Two that contradict each other are never united by way of a third that tells less: it is found
    to be one of them.
    """
    forms: dict[Any, list[_Redemption]] = defaultdict(list)
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
    groups: list[list[_Redemption]] = []
    for form in said:
        if form not in left:
            continue
        alike = [form, *(o for o in said if o in near[form] & clear)] if form in clear else [form]
        by_rank: dict[int, _Redemption] = {}
        for redemption in (r for one in alike for r in left.pop(one, [])):
            if redemption.rank in by_rank:
                by_rank[redemption.rank].take_in(redemption)
            else:
                by_rank[redemption.rank] = redemption
        groups.append(sorted(by_rank.values(), key=_order))
    united: list[_Redemption] = []
    for group in sorted(groups, key=lambda g: (-sum(map(bool, g[0].said)), _order(g[0]))):
        united = sorted([*united, *_not_found_again(group, united)], key=_order)
    return united


def _not_found_again(old: Sequence[_Redemption], new: Sequence[_Redemption]) -> list[_Redemption]:
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
