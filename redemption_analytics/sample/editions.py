"""How each edition of the API writes a customer's redemptions."""

from __future__ import annotations

from datetime import datetime
from typing import Any, Literal

from redemption_analytics.sample.history import Customer, Payload, Redemption

Edition = Literal["2018", "2020", "2025-02", "2025-12"]

# What the older editions know.
_COUPON_2018 = ("id code series_id description discount_code discount_type transaction_number"
                " redeemed_time redeemed_at")  # fmt: skip
_POINT_2018 = "id points_redeemed transaction_number redeemed_time redeemed_at"
_POINT_2020 = (_POINT_2018 + " program_id validation_code notes redeemed_store redeemed_till"
               " reversals redemption_breakup_by_program")  # fmt: skip


def _written(item: Redemption, edition: Edition, as_of: datetime, rank: int) -> Payload:
    """Write a redemption the way `edition` does, without what came after `as_of`."""
    wire, coupon = dict(item.wire), "series_id" in item.wire
    if not coupon:
        wire["id"] = rank if edition >= "2025" else 100_000 + item.number
        wire["reversals"] = [r for r in wire["reversals"] if r["reversal_time"] <= str(as_of)]
    if edition == "2025-02":
        wire.pop("redemption_breakup_by_source", None)
    if edition >= "2025":
        return wire
    if coupon and wire["discount_type"] == "ABS":
        wire["discount_type"] = "FLAT"
    if edition == "2018" and wire["redeemed_store"]:
        wire["redeemed_at"] = f"{wire['redeemed_store']['name']}  {wire['redeemed_at']}"
    known = _COUPON_2018 if coupon else _POINT_2018 if edition == "2018" else _POINT_2020
    # Where there is nothing to tell, the edition of 2020 tells so or leaves it out.
    return {
        key: wire[key]
        for key in known.split()
        if wire[key] or wire[key] == "" or (wire[key] == [] and item.number % 2)
    }


def record_of(customer: Customer, edition: Edition, as_of: datetime, limit: int) -> Payload:
    """Write a customer the way `edition` does, newest redemptions first."""
    new = edition >= "2025"
    record = {k: v for k, v in customer.wire.items() if v or edition != "2020"}
    if new:
        record["user_groups2"] = []
    if edition == "2025-12" and customer.number % 50 == 3:
        record["loyalty_tier"] = "gold"
    redemptions: Payload = {}
    rows = 0
    for kind, history in (("coupons", customer.coupons), ("points", customer.points)):
        known = [item for item in reversed(history) if item.time <= as_of]
        known = [item for item in known if edition == "2025-12" or not item.twin]
        here = [_written(item, edition, as_of, n) for n, item in enumerate(known[:limit], 1)]
        rows += len(here)
        if known:
            numeric = int if new and kind == "points" else str
            record[f"{kind}_count"] = numeric(len(known))
            record[f"{kind}_start_id"] = numeric(here[0]["id"]) if here else ""
            # The old editions write the bare object in place of a list of one.
            bare = len(here) == 1 and (edition == "2018" or (not new and kind == "coupons"))
            redemptions[kind] = {kind[:-1]: here[0] if bare else here}
        elif new and customer.number % 2:
            record |= {f"{kind}_count": None, f"{kind}_start_id": ""}
            redemptions[kind] = {kind[:-1]: None}
    record |= {"rows": rows if new else str(rows), "redemptions": redemptions}
    return record if edition != "2018" else _strings(record)


def _strings(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: _strings(inner) for key, inner in value.items()}
    if isinstance(value, list):
        return [_strings(inner) for inner in value]
    return "" if value is None else str(value)


def answer_with(records: list[Payload], edition: Edition, batch: bool = False) -> Payload:
    """Write an answer with customers' records; a batch tells of each whether it was fetched."""
    status: Payload = {"success": True, "code": 200, "message": "Success"}
    if edition < "2025":
        status = {"success": "true", "code": "200", "message": "SUCCESS"}
    if not batch:
        return {"response": {"status": status, "customer": records[0]}}
    fetched = {"success": "true", "code": 1000, "message": "Fetched"}
    records = [{"item_status": fetched} | record for record in records]
    found = sum(record["item_status"] is fetched for record in records)
    status |= {"total": str(len(records)), "success_count": str(found)}
    return {"response": {"status": status, "customer": records}}
