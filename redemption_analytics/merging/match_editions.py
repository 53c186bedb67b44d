"""Matching redemptions without redemption_id with one another, and with those that have one.

What is settled are keys: rows of equal keys are one redemption already. Two keys can be one
redemption if they agree: in customer, time and points, and in program, transaction and bill as far
as both tell them. They are two if each has a redemption_id, if each has a real id, or if one answer
holds both.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Mapping
from itertools import pairwise

import numpy as np
import numpy.typing as npt
import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc

from redemption_analytics.flattening.flatten import ANSWER
from redemption_analytics.merging.partitions import ROW, numbered, partitions
from redemption_analytics.merging.renaming import Renaming
from redemption_analytics.merging.same_redemption import AGREEING, Named, Redemption, united
from redemption_analytics.merging.stores import Keep
from redemption_analytics.merging.versions import Mask, Numbers, codes_of

_COLUMNS = (
    *("redemption_key", "customer_key", "redeemed_time", *AGREEING),
    *("redemption_id", "id", "_rank", ANSWER),
)
#: Column that is the same where customer and time are.
_TOGETHER = "_together"

#: So many rows are looked at one by one at a time.
_ROWS_AT_A_TIME = 10_000


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
            for one in united(group):
                # A redemption_id is the key, then a real id; of equals the key that was seen first.
                names.update(dict.fromkeys(one.keys, one.key))
    return Renaming(names)


def _old_ones(keep: Keep, customers: Renaming) -> npt.NDArray[np.uint64]:
    """Return customers and times, as hashes, of redemptions that may have to be settled.

    These are old ones beside which there is another of the same customer and time.
    """
    every, old = [np.array([], np.uint64)], [np.array([], bool)]
    for batch in keep.batches("points", ["customer_key", "redeemed_time", "redemption_id"]):
        every.append(_hashes(batch, customers))
        old.append(pc.is_null(batch["redemption_id"]).to_numpy())
    hashes = np.concatenate(every)
    candidates = np.unique(hashes[np.concatenate(old)])
    hashes.sort()
    repeated = hashes[1:][hashes[1:] == hashes[:-1]]
    return np.intersect1d(candidates, repeated)


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
) -> tuple[dict[str, str | None], Iterator[list[Redemption]]]:
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
        for name in AGREEING:
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
) -> Iterator[list[Redemption]]:
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
        found: dict[int, dict[str, Redemption]] = defaultdict(dict)
        for group, row, key, _, _, *said, redemption_id, id_, rank, answer in zip(
            numbers, *columns, strict=True
        ):
            if key not in found[group]:
                named: Named = "redemption_id" if redemption_id else "nothing" if rank else "id"
                reversals = shared.get(key, frozenset())
                found[group][key] = Redemption(
                    key, named, id_ or 0, rank or 0, row, reversals=reversals
                )
            redemption = found[group][key]
            redemption.answers.add(answer)
            for values, value in zip(redemption.said, said, strict=True):
                if value is not None:
                    values.add(value)
        for redemptions in found.values():
            yield list(redemptions.values())
