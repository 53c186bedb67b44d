"""Small exports in view: payloads of a few redemptions, that leave out what does not matter."""

import os
from collections.abc import Iterable, Mapping
from datetime import datetime
from typing import Any

import pandas as pd

import redemption_analytics as ra

#: How many times as much is drawn in tests of properties.
TIMES = int(os.environ.get("REDEMPTION_ANALYTICS_TESTS_FUZZING", "1"))

#: Columns of responses that tell where an answer came from.
PROVENANCE = ["response_id", "source", "record", "exported_at", "dated_by"]

Item = dict[str, Any]
Shares = Mapping[int | None, float]  # program_id -> points


def load(
    redemptions: Iterable[Item] = (), coupons: Iterable[Item] = (), **options: Any
) -> ra.Redemptions:
    """Load redemptions, each of the customer that it names."""
    return ra.load(answers(redemptions, coupons), **options)


def answers(redemptions: Iterable[Item] = (), coupons: Iterable[Item] = ()) -> list[Item]:
    """Write an answer for each customer whom redemptions name; for one without any otherwise."""
    customers: dict[str, dict[str, list[Item]]] = {}
    for kind, items in (("point", redemptions), ("coupon", coupons)):
        for item in items:
            who = customers.setdefault(item["customer"], {"point": [], "coupon": []})
            who[kind].append({name: value for name, value in item.items() if name != "customer"})
    found = [
        {
            "status": {"success": True},
            "customer": {
                "user_id": name,
                "redemptions": {
                    "points": {"point": who["point"]},
                    "coupons": {"coupon": who["coupon"]},
                },
            },
        }
        for name, who in customers.items()
    ] or [{"status": {"success": True}, "customer": {"user_id": "nobody"}}]
    return [{"response": answer} for answer in found]


def redemption(
    key: str,
    points: float,
    time: str | None = "2026-01-10",
    back: Iterable[Item] = (),
    *,
    program: int | None = 1,
    shares: Shares | None = None,
    store: str | None = "north",
    till: str | None = "north.till1",
    customer: str = "ada",
    custom: Mapping[str, str | None] | None = None,
    **fields: Any,
) -> Item:
    """Write a points redemption."""
    return (
        fields
        | {
            "redemption_id": key,
            "program_id": program,
            "points_redeemed": points,
            "redemption_breakup_by_program": _breakup(shares, "redeemed"),
            "reversals": list(back),
        }
        | _place(time, store, till, customer, custom)
    )


def reversal(
    number: int, points: float, time: str | None = "2026-01-20", shares: Shares | None = None
) -> Item:
    """Write a reversal."""
    return {
        "reversal_id": number,
        "points_reversed": points,
        "reversal_time": _moment(time),
        "reversal_breakup_by_program": _breakup(shares, "reversed"),
    }


def coupon(
    number: int,
    time: str | None = "2026-01-10",
    *,
    store: str | None = "north",
    till: str | None = "north.till1",
    customer: str = "ada",
    custom: Mapping[str, str | None] | None = None,
    **fields: Any,
) -> Item:
    """Write a coupon redemption."""
    return fields | {"id": number} | _place(time, store, till, customer, custom)


def table(frame: pd.DataFrame, *columns: str) -> list[tuple[Any, ...]]:
    """Read a frame as tuples: None for nulls, a date for a period."""

    def value(item: Any) -> Any:
        if pd.isna(item):
            return None
        return str(item.date()) if isinstance(item, datetime) else item

    chosen = frame[list(columns)] if columns else frame
    return [tuple(map(value, row)) for row in chosen.itertuples(index=False, name=None)]


def _place(
    time: str | None,
    store: str | None,
    till: str | None,
    customer: str,
    custom: Mapping[str, str | None] | None,
) -> Item:
    fields = [{"name": name, "value": value} for name, value in (custom or {}).items()]
    return {
        "customer": customer,
        "redeemed_time": _moment(time),
        "redeemed_store": {"code": store},
        "redeemed_till": {"code": till},
        "custom_fields": {"field": fields},
    }


def _breakup(shares: Shares | None, what: str) -> list[Item]:
    return [
        {"program_id": program, f"points_{what}": points}
        for program, points in (shares or {}).items()
    ]


def _moment(time: str | None) -> str | None:
    return time if time is None or " " in time else f"{time} 00:00:00"
