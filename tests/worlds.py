"""Answers of old and new editions, as Hypothesis draws them: corrected, reversed, moved."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from answers import TIME, answer, new, old, reversal
from hypothesis import strategies as st

#: Moved months lie in other quarters.
TIMES_TOLD = st.sampled_from(
    [TIME, TIME, "2020-02-10 00:00:00", "2021-11-05 10:00:00", None, "2062-01-01 00:00:00"]
)

REVERSALS = st.lists(
    st.builds(
        lambda id_, points, time, shares: reversal(
            id_, points, reversal_time=time, reversal_breakup_by_program=shares
        ),
        st.integers(1, 4),
        st.integers(1, 3),
        st.sampled_from([None, "2020-04-02 00:00:00", "2025-01-02 09:00:00"]),
        st.sampled_from([[], [{"program_id": 1, "points_reversed": 1}]]),
    ),
    max_size=2,
    unique_by=lambda back: back["reversal_id"],
)

TOLD = st.fixed_dictionaries(
    {
        "redeemed_time": TIMES_TOLD,
        "points_redeemed": st.sampled_from([90, 90, 80]),
        "transaction_number": st.sampled_from(["txn-6", None, "t"]),
        "program_id": st.sampled_from([469, 469, None, 7]),
        "notes": st.sampled_from([None, "", "x"]),
        "redemption_breakup_by_program": st.sampled_from(
            [
                [],
                [{"program_id": 1, "points_redeemed": 90}],
                [{"program_id": 2, "points_redeemed": 90}],
            ]
        ),
        "reversals": REVERSALS,
        "custom_fields": st.sampled_from([None, {"field": [{"name": "shift", "value": "late"}]}]),
        "surprise": st.sampled_from([None, None, 1]),
    }
).map(lambda told: {name: value for name, value in told.items() if name != "surprise" or value})

POINTS = st.one_of(
    st.builds(lambda key, told: new(key, **told), st.sampled_from("abcd"), TOLD),
    st.builds(lambda id_, told: old(**told | {"id": id_}), st.sampled_from([700, 701, 1, 2]), TOLD),
)

COUPONS = st.builds(
    lambda id_, time, code: {
        "id": id_,
        "code": code,
        "redeemed_time": time,
        "discount_type": "ABS",
    },
    st.integers(1, 3),
    TIMES_TOLD,
    st.sampled_from(["C1", None]),
)

WHO = st.fixed_dictionaries(
    {
        "mobile": st.sampled_from([None, "447", "448"]),
        "external_id": st.sampled_from([None, None, "E7", "E9"]),
        "email": st.sampled_from([None, None, "a@example.com", "b@example.com"]),
        "firstname": st.sampled_from([None, "A", "B"]),
    }
)

ANSWERS = st.builds(
    lambda points, coupons, who, success: answer(*points, coupons=coupons, success=success, **who),
    st.lists(POINTS, max_size=3),
    st.lists(COUPONS, max_size=1),
    WHO,
    st.sampled_from([True, True, True, False]),
)

#: Options that decide what is one customer, and how points are told.
OPTIONS: list[dict[str, Any]] = [
    {}, {}, {"customer_key": "mobile"}, {"points": "decimal"}, {"pii": "pseudonymize"},
]  # fmt: skip


def exports_of(least: int) -> st.SearchStrategy[list[tuple[str, list[Any]]]]:
    """Draw up to five exports, so many at least: what each is called after, and what it holds."""
    return st.lists(
        st.tuples(
            st.sampled_from(["2025-01-01", "2025-01-02", "2025-01-03T04-00", "undated"]),
            st.lists(ANSWERS, min_size=1, max_size=3),
        ),
        min_size=least,
        max_size=5,
    )


def written(folder: Path, exports: list[tuple[str, list[Any]]]) -> list[str]:
    """Write exports, each in a file; return the paths."""
    paths = []
    for number, (day, told) in enumerate(exports):
        path = folder / f"{number}-{day}.jsonl"
        # What has one content and one date is one export.
        path.write_text("\n".join(map(json.dumps, told)) + "\n" * number)
        paths.append(str(path))
    return paths
