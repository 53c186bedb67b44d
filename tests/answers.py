"""Small answers and exports to write in view, and what their loads tell."""

from __future__ import annotations

import io
import json
from functools import lru_cache
from typing import Any

import pandas as pd
from hypothesis import strategies as st
from pandas.testing import assert_frame_equal

import redemption_analytics as ra

TIME = "2020-03-31 00:00:00"


def answer(*points: Any, mobile: Any = "447", success: bool = True, **customer: Any) -> Any:
    coupons = customer.pop("coupons", [])
    redemptions = {"points": {"point": list(points)}, "coupons": {"coupon": coupons}}
    customer = {"mobile": mobile, "redemptions": redemptions} | customer
    return {"response": {"status": {"success": success}, "customer": customer}}


def new(key: str, **fields: Any) -> dict[str, Any]:
    """A redemption as editions since 2025 have it; its id is its rank in the answer."""
    return {"id": 1, "redemption_id": key} | old(**fields) | {"id": fields.get("id", 1)}


def old(**fields: Any) -> dict[str, Any]:
    """A redemption of an edition without redemption_id."""
    base = {"id": 121655, "program_id": 469, "points_redeemed": 90}
    return base | {"transaction_number": "txn-6", "redeemed_time": TIME} | fields


def reversal(id_: int, points: int = 1, **fields: Any) -> dict[str, Any]:
    return {"reversal_id": id_, "points_reversed": points} | fields


def export(day: str, *answers: Any) -> io.BytesIO:
    stream = io.BytesIO("\n".join(map(json.dumps, answers)).encode())
    stream.name = f"{day}.jsonl"
    return stream


def load(*exports: Any, **options: Any) -> ra.Redemptions:
    return ra.load(list(exports), **options)


def cells(frame: pd.DataFrame, *columns: str) -> list[Any]:
    rows = frame[list(columns)].astype(object)
    rows = rows.where(rows.notna(), None).to_numpy().tolist()
    return [row[0] for row in rows] if len(columns) == 1 else rows


def ledger(r: ra.Redemptions, element: str) -> list[int]:
    """What was seen, loaded and merged."""
    row = r.ledger.set_index("element").loc[element]
    assert row["seen"] == row["loaded"] + row["merged"] + row["rejected"]
    return [int(row[name]) for name in ("seen", "loaded", "merged")]


@lru_cache(maxsize=2)
def _audited(r: ra.Redemptions) -> pd.DataFrame:
    return ra.audit(r).set_index("check")


def found(r: ra.Redemptions, check: str) -> tuple[int, Any]:
    row = _audited(r).loc[check]
    return int(row["count"]), None if pd.isna(row["example"]) else row["example"]


def same(one: ra.Redemptions, other: ra.Redemptions, *but: str) -> None:
    for name, frame in one.tables.items():
        if name not in but:
            assert_frame_equal(frame, other.tables[name], obj=name)


KEYS = ("aaa", "bbb", "ccc")
SHARES = st.lists(
    st.fixed_dictionaries({"program_id": st.sampled_from([1, 2]), "points_redeemed": st.just(3)}),
    max_size=2,
)
POINTS = st.builds(
    lambda key, time, fields: (
        old(redeemed_time=time, **fields) if key is None else new(key, redeemed_time=time, **fields)
    ),
    st.sampled_from([None, *KEYS]),
    st.sampled_from([TIME, "2020-04-01 00:00:00"]),
    st.fixed_dictionaries(
        {
            "notes": st.sampled_from(["x", "y", None]),
            "program_id": st.sampled_from([1, 2, None]),
            "redemption_breakup_by_program": SHARES,
            "reversals": st.lists(st.builds(reversal, st.integers(1, 4)), max_size=2),
        }
    ),
)
ANSWERS = st.builds(
    lambda points, coupons, mobile, name: answer(
        *points,
        coupons=[{"id": id_, "code": name} for id_ in coupons],
        mobile=mobile,
        firstname=name,
    ),
    st.lists(POINTS, max_size=3),
    st.lists(st.integers(1, 2), max_size=2),
    st.sampled_from(["447", "448", None]),
    st.sampled_from(["Ada", "Grace"]),
)
EXPORTS = st.lists(st.lists(ANSWERS, min_size=1, max_size=2), min_size=2, max_size=4)
