"""Uniting customers: those who share an identity and contradict one another in none are one.

An answer knows a customer by the strongest identity that it tells, so the same one has several keys
where answers tell different ones. Which of these keys are one customer's does not depend on the
order in which they were seen, nor on what the identities look like: pseudonyms do as well.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Collection, Iterable, Iterator, Mapping
from typing import TypeAlias

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from redemption_analytics.contract import IDENTITIES, SPLITTING
from redemption_analytics.flattening.flatten import HIDDEN, Flattening
from redemption_analytics.merging.partitions import partitions
from redemption_analytics.merging.renaming import Renaming
from redemption_analytics.merging.repeats import Repeats
from redemption_analytics.merging.stores import Keep
from redemption_analytics.parsing.digests import Numbers, numbers_of

#: What more keys than these share is nobody's identity: a shop's own number, or "none".
MOST_KEYS = 50

#: For each identity numbers of values that more keys share, be they here or not.
Common: TypeAlias = Mapping[str, Numbers]

#: The columns in which identities may stand.
IDENTITY_COLUMNS = [*IDENTITIES, *HIDDEN.values()]

#: The values that keys have been seen with, for each identity.
Values = tuple[frozenset[str], ...]
_NONE: Values = (frozenset(),) * len(IDENTITIES)


def united_customers(
    keep: Keep, flattening: Flattening, repeats: Repeats, common: Common
) -> tuple[Renaming, list[tuple[str, str]]]:
    """Find the keys that are one customer's.

    The final key is the strongest identity of them all. Where one identity alone may name customers
    (``customer_key="mobile"``) those who have none of it have no key.

    Parameters
    ----------
    keep, flattening, repeats
        The customers, how they were read, and what is known of the repeats of their keys.
    common
        What is known of values that are nobody's, where not all who share them are here.

    Returns
    -------
    Renaming
        The final key of each that is not its own.
    list of tuple of str, str
        Mobiles and emails that still stand under several keys: the name of the identity, and the
        least of the keys. What too many keys share is none.
    """
    strengths = flattening.identities
    shared = {name: _shared(keep, flattening, repeats, name) for name in strengths[1:]}
    concerned = {key for groups in shared.values() for _, together in groups for key in together}
    values = _values_of(keep, flattening, concerned)
    nobodys = _nobodys(values, common, hidden=flattening.pseudonym is not None)
    clusters = clustered({key: values[key] for key in sorted(values)}, nobodys)
    order = {name: place for place, name in enumerate(strengths)}
    names: dict[str, str | None] = {}
    for cluster in clusters:
        # A key is the strongest identity of its own, so of them all one is the strongest.
        best = min(cluster, key=lambda key: (_strength(key, values[key], order), key))
        names.update({key: best for key in cluster if key != best})
    if flattening.only_first:
        for key in _weaker(keep, flattening):
            final = names.get(key) or key
            named = final in values and _strength(final, values[final], order) == 0
            names[key] = final if named else None
    split = [
        (name, min(ends))
        for name, groups in shared.items()
        if name in SPLITTING
        for value, together in groups
        # What is nobody's splits nobody.
        if value not in nobodys[IDENTITIES.index(name)]
        if len(ends := {k for key in together if (k := names.get(key, key))}) > 1
    ]
    return Renaming(names), split


def _nobodys(values: Mapping[str, Values], common: Common, *, hidden: bool) -> Values:
    """Find the values that too many keys share to be anybody's identity."""
    found = []
    for place, name in enumerate(IDENTITIES):
        counts = Counter(value for own in values.values() for value in own[place])
        many = {value for value, count in counts.items() if count > MOST_KEYS}
        known = common.get(name)
        if known is not None and len(known) and counts:
            told = list(counts)
            plain = told if hidden else [value.removeprefix(f"{name}:") for value in told]
            numbers = numbers_of(pa.chunked_array([pa.array(plain, pa.string())]))
            many |= {told[row] for row in np.flatnonzero(np.isin(numbers, known)).tolist()}
        found.append(frozenset(many))
    return tuple(found)


def clustered(values: Mapping[str, Values], nobodys: Values = _NONE) -> list[list[str]]:
    """Return the keys together that are one customer's.

    Identities are gone through from the strongest to the weakest. Those who share a value and do
    not contradict one another, in that both have values of some identity and none in common, are
    one; but who agrees with two that contradict each other stays by itself. Values that are
    nobody's, of each identity, connect no one.

    >>> none = frozenset()
    >>> old = (none, none, frozenset({"447"}), none)
    >>> new = (none, frozenset({"E9"}), frozenset({"447"}), none)
    >>> other = (none, frozenset({"E7"}), frozenset({"447"}), none)
    >>> clustered({"mobile:447": old, "external_id:E9": new})
    [['mobile:447', 'external_id:E9']]
    >>> clustered({"mobile:447": old, "external_id:E9": new, "external_id:E7": other})
    []
    """
    members = [[key] for key in values]
    known = [values[key] for key in values]
    for identity in range(len(IDENTITIES)):
        near = _agreeing(known, identity, nobodys[identity])
        for group in _components(near):
            for one in _consistent(group, near, known):
                first, *others = sorted(one)
                for other in others:
                    members[first] += members[other]
                    members[other] = []
                    known[other] = _NONE
                sets = zip(*(values[key] for key in members[first]), strict=True)
                known[first] = tuple(frozenset[str]().union(*each) for each in sets)
    return [cluster for cluster in members if len(cluster) > 1]


def _agreeing(known: list[Values], identity: int, nobodys: frozenset[str]) -> dict[int, set[int]]:
    """Find for each who shares a value of an identity with it and does not contradict it."""
    having: defaultdict[str, list[int]] = defaultdict(list)
    for number, values in enumerate(known):
        for value in values[identity] - nobodys:
            having[value].append(number)
    near: defaultdict[int, set[int]] = defaultdict(set)
    for together in having.values():
        for place, one in enumerate(together):
            for other in together[:place]:
                if not _contradict(known[one], known[other]):
                    near[one].add(other)
                    near[other].add(one)
    return near


def _contradict(one: Values, other: Values) -> bool:
    return any(a and b and not a & b for a, b in zip(one, other, strict=True))


def _components(near: Mapping[int, set[int]]) -> Iterator[set[int]]:
    met: set[int] = set()
    for start in near:
        if start not in met:
            group, open_ = {start}, [start]
            while open_:
                found = near[open_.pop()] - group
                group |= found
                open_ += found
            met |= group
            yield group


def _consistent(
    group: set[int], near: Mapping[int, set[int]], known: list[Values]
) -> Iterator[set[int]]:
    """Yield the parts of a group that are one customer each."""
    if _one([known[each] for each in group]):
        yield group
        return
    clear = {each for each in group if _one([known[each], *(known[n] for n in near[each])])}
    for part in _components({each: near[each] & clear for each in clear}):
        if len(part) > 1 and _one([known[each] for each in part]):
            yield part


def _one(several: Collection[Values]) -> bool:
    """Check for every identity that shared values of it connect all who have any."""
    for sets in zip(*several, strict=True):
        pieces: list[frozenset[str]] = []
        for values in filter(None, sets):
            apart = [piece for piece in pieces if not piece & values]
            pieces = [*apart, values.union(*(piece for piece in pieces if piece & values))]
        if len(pieces) > 1:
            return False
    return True


def _strength(key: str, values: Values, order: Mapping[str, int]) -> int:
    """Return which identity a key is of, the strongest being 0."""
    return min(order[name] for name, own in zip(IDENTITIES, values, strict=True) if key in own)


def _columns(flattening: Flattening) -> dict[str, str]:
    """Name the columns in which the identities stand."""
    return HIDDEN if flattening.pseudonym else {name: name for name in IDENTITIES}


def _identities(keep: Keep, flattening: Flattening, names: Iterable[str]) -> Iterator[pa.Table]:
    """Yield some identities of all customers as keys would be written, and their keys."""
    columns = _columns(flattening)
    wanted = ["customer_key", *(columns[name] for name in names)]
    for batch in keep.batches("customers", wanted):
        identities = {
            name: batch[columns[name]]
            if flattening.pseudonym
            else pc.binary_join_element_wise(name, batch[columns[name]], ":")
            for name in names
        }
        yield pa.table({"customer_key": batch["customer_key"], **identities})


def _shared(
    keep: Keep, flattening: Flattening, repeats: Repeats, name: str
) -> list[tuple[str, list[str]]]:
    """Find the values of an identity that keys share, and these keys."""
    column = _columns(flattening)[name]
    if repeats.none_of_two("customers", column, "customer_key"):
        return []
    rows = (
        batch.rename_columns(["customer_key", name]).filter(pc.is_valid(batch[column]))
        for batch in keep.batches("customers", ["customer_key", column])
    )
    found = []
    for partition in partitions(rows, name, keep.rows("customers"), keep.scratch):
        encoded = partition[name].combine_chunks().dictionary_encode()
        values = encoded.indices.to_numpy()
        keys = partition["customer_key"].combine_chunks().dictionary_encode()
        count = max(1, len(keys.dictionary))
        if not len(values):
            continue
        pairs = np.unique(values.astype(np.int64) * count + keys.indices.to_numpy())
        values, codes = pairs // count, pairs % count
        starts = np.flatnonzero(np.diff(values, prepend=-1))
        ends = np.append(starts[1:], len(values))
        for start, end in zip(starts, ends, strict=True):
            if end - start > 1:
                value = encoded.dictionary[int(values[start])].as_py()
                told = value if flattening.pseudonym else f"{name}:{value}"
                found.append((told, keys.dictionary.take(pa.array(codes[start:end])).to_pylist()))
    return found


def _values_of(keep: Keep, flattening: Flattening, keys: set[str]) -> dict[str, Values]:
    """Collect all that some keys have been seen with."""
    if not keys:
        return {}
    wanted = pa.array(sorted(keys), pa.string())
    seen: defaultdict[str, tuple[set[str], ...]] = defaultdict(
        lambda: tuple(set() for _ in IDENTITIES)
    )
    for batch in _identities(keep, flattening, IDENTITIES):
        rows = batch.filter(pc.is_in(batch["customer_key"], wanted)).to_pydict()
        for place, name in enumerate(IDENTITIES):
            for key, value in zip(rows["customer_key"], rows[name], strict=True):
                if value is not None:
                    seen[key][place].add(value)
    return {key: tuple(map(frozenset, values)) for key, values in seen.items()}


def _weaker(keep: Keep, flattening: Flattening) -> set[str]:
    """Find the keys that are not of the one identity that may name customers."""
    first = flattening.identities[0]
    found: set[str] = set()
    for batch in _identities(keep, flattening, [first]):
        found.update(batch.filter(pc.is_null(batch[first]))["customer_key"].unique().to_pylist())
    return found
