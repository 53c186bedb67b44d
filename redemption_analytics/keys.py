"""Keys of points redemptions: given since 2025, built before; and how the two are found again."""

from __future__ import annotations

import hashlib
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc

#: In what a redemption of an old edition agrees with the same one of a new edition.
AGREEING = ("customer_key", "redeemed_time", "transaction_number", "points_redeemed")


def agreement(points: dict[str, Any]) -> pa.StringArray:
    """Write what tells that a redemption of an old edition and one of a new are the same."""
    amount = points["points_redeemed"].cast(pa.decimal128(22, 3))
    written = points | {"points_redeemed": amount}
    return _joined([written[name].cast(pa.string()) for name in AGREEING])


def redemption_keys(
    columns: dict[str, Any], responses: pa.Int64Array
) -> tuple[pa.StringArray, pa.Int64Array]:
    """Give each points redemption its key, and the old ones their rank among equals.

    Since 2025 the key is the redemption_id. Older ones are told apart by what they say, and by
    their rank among those in the answer that say the same. The text is hashed, for it holds the
    customer's identity.
    """
    given = columns["redemption_id"]
    old = pc.indices_nonzero(pc.is_null(given))
    if not len(old):
        return given, pa.nulls(len(given), pa.int64())
    equals = agreement({name: column.take(old) for name, column in columns.items()})
    programs = columns["program_id"].take(old)
    answers = responses.take(old).to_numpy()
    said = _joined([equals, programs.cast(pa.string())])
    rank = _rank(answers, said)
    texts = _joined([said, pa.array(rank).cast(pa.string())]).to_pylist()
    built = pa.array(
        [hashlib.blake2b(text.encode(), digest_size=16).hexdigest() for text in texts], pa.string()
    )
    mask = pc.is_null(given)
    ranks = pa.array(_rank(answers, equals))
    return (
        pc.replace_with_mask(given, mask, built),
        pc.replace_with_mask(pa.nulls(len(given), pa.int64()), mask, ranks),
    )


def _joined(columns: list[Any]) -> pa.StringArray:
    return pc.binary_join_element_wise(
        *columns, "\x1f", null_handling="replace", null_replacement=""
    )


def _rank(answers: np.ndarray[Any, Any], texts: pa.StringArray) -> np.ndarray[Any, Any]:
    """Rank each text among its equals within its answer, from 1."""
    codes = texts.dictionary_encode().indices.to_numpy()
    groups = pd.Series(codes).groupby([answers, codes], sort=False)
    return groups.cumcount().to_numpy() + 1
