"""Keys of points redemptions: their redemption_id since 2025, built from what they say before."""

from __future__ import annotations

from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from redemption_analytics.contract import DECIMAL_PLACES
from redemption_analytics.parsing.digests import digests_of

#: What tells a redemption without any id of its own from others.
_SAID = (
    *("customer_key", "redeemed_time", "transaction_number", "points_redeemed"),
    *("program_id", "bill_id"),
)


def redemption_keys(
    columns: dict[str, Any], answers: pa.Int64Array
) -> tuple[pa.StringArray, pa.Int64Array]:
    """Return the key of each points redemption, and the rank of those without an id among equals.

    Since 2025 the key is the redemption_id. An older one has a real id, which with its customer and
    its time makes the key. Where the id is but its place in the answer's list (1, 2, 3 …), or no
    more than 0, it tells nothing: such redemptions are told apart by what they say, and by their
    rank among those in the answer that say the same. The text is hashed, for it holds the
    customer's identity.

    Parameters
    ----------
    columns
        The columns of the redemptions.
    answers
        The answer of each, ascending.
    """
    given = columns["redemption_id"]
    old = pc.indices_nonzero(pc.is_null(given))
    ranks = pa.nulls(len(given), pa.int64())
    if not len(old):
        return given, ranks
    every = answers.to_numpy()
    places = np.arange(len(every)) - np.searchsorted(every, every) + 1
    said = {name: columns[name].take(old) for name in ("id", *_SAID)}
    ranked = pc.or_(pc.equal(said["id"], pa.array(places).take(old)), pc.less(said["id"], 1))
    whole = said["points_redeemed"].cast(pa.decimal128(22, DECIMAL_PLACES))
    written = [(said | {"points_redeemed": whole})[name].cast(pa.string()) for name in _SAID]
    by_id = _joined([*written[:2], pa.scalar("id"), said["id"].cast(pa.string())])
    rank = pa.array(_rank(every[old.to_numpy()], _joined(written)))
    by_rank = _joined([*written, rank.cast(pa.string())])
    built = digests_of(pc.if_else(ranked, by_rank, by_id))
    mask = pc.is_null(given)
    rank = pc.if_else(ranked, rank, pa.scalar(None, pa.int64()))
    return pc.replace_with_mask(given, mask, built), pc.replace_with_mask(ranks, mask, rank)


def _joined(columns: list[Any]) -> pa.StringArray:
    return pc.binary_join_element_wise(
        *columns, "\x1f", null_handling="replace", null_replacement=""
    )


def _rank(answers: np.ndarray[Any, Any], texts: pa.StringArray) -> np.ndarray[Any, Any]:
    """Rank each text among its equals within its answer, from 1."""
    encoded = texts.dictionary_encode()
    pairs = answers * max(1, len(encoded.dictionary)) + encoded.indices.to_numpy()
    in_order = np.sort(pairs)
    if not (in_order[1:] == in_order[:-1]).any():
        # Mostly no two say the same.
        return np.ones(len(pairs), np.int64)
    order = np.argsort(pairs, kind="stable")
    in_order = pairs[order]
    ranks = np.empty(len(order), np.int64)
    ranks[order] = np.arange(len(order)) - np.searchsorted(in_order, in_order) + 1
    return ranks
