"""pandas: ``json_normalize`` with ``record_path`` and ``meta``, once for each table."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pandas as pd

from benchmarks.work import Tables

_IDENTITIES = ("user_id", "external_id", "mobile", "email")
_COUPONS = ["response", "customer", "redemptions", "coupons", "coupon"]
_POINTS = ["response", "customer", "redemptions", "points", "point"]
_PLACES = {
    f"redeemed_{place}.{part}": f"{place}_{part}"
    for place in ("store", "till")
    for part in ("code", "name")
}
_NESTED = [
    "redemption_breakup_by_program",
    "redemption_breakup_by_source",
    "reversals",
    "custom_fields.field",
    "redeemed_store",
    "redeemed_till",
]


def _answers(source: Path) -> list[dict[str, Any]]:
    with source.open(encoding="utf-8") as lines:
        answers = [json.loads(line) for line in lines]
    for answer in answers:
        customer = answer["response"]["customer"]
        known = ((name, customer.get(name)) for name in _IDENTITIES)
        answer["customer_key"] = next((f"{name}:{value}" for name, value in known if value), None)
    return answers


def _rows(answers: list[dict[str, Any]], path: list[str]) -> pd.DataFrame:
    # json_normalize stops at an answer without the path: such are left out before.
    kind = path[3]
    known = [a for a in answers if kind in a["response"]["customer"]["redemptions"]]
    frame = pd.json_normalize(known, record_path=path, meta=["customer_key"])
    frame = frame.drop(columns=_NESTED, errors="ignore").rename(columns=_PLACES)
    return frame.assign(redeemed_time=_time(frame["redeemed_time"]))


def _inner(answers: list[dict[str, Any]], name: str) -> pd.DataFrame:
    known = [a for a in answers if "points" in a["response"]["customer"]["redemptions"]]
    known = [a for a in known if a["response"]["customer"]["redemptions"]["points"]["point"]]
    for answer in known:  # not every answer tells of breakups
        for point in answer["response"]["customer"]["redemptions"]["points"]["point"]:
            point.setdefault(name, [])
    key = [*_POINTS, "redemption_id"]
    frame = pd.json_normalize(known, record_path=[*_POINTS, name], meta=[key])
    return frame.rename(columns={".".join(key): "redemption_key"})


def _time(text: pd.Series[str]) -> pd.Series[pd.Timestamp]:
    # The zero time is the only text that is no time, and becomes null.
    return pd.to_datetime(text, format="%Y-%m-%d %H:%M:%S", errors="coerce")


def run(source: Path, target: Path) -> Tables:
    """Decode the export whole, normalize it into each table, and write that."""
    target.mkdir()
    answers = _answers(source)
    paths = {}

    def write(name: str, frame: pd.DataFrame) -> None:
        paths[name] = target / f"{name}.parquet"
        frame.to_parquet(paths[name], index=False)

    coupons = _rows(answers, _COUPONS)
    value = coupons["discount_value"].astype("float64")
    write("coupons", coupons.assign(discount_value=value))
    write("points", _rows(answers, _POINTS))
    write("program_breakups", _inner(answers, "redemption_breakup_by_program"))
    reversals = _inner(answers, "reversals").drop(columns="reversal_breakup_by_program")
    write("reversals", reversals.assign(reversal_time=_time(reversals["reversal_time"])))
    return paths
