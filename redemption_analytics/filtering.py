"""Filtering a bundle: some redemptions, and all that belongs to them."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from datetime import date, datetime
from functools import reduce
from operator import and_
from typing import TYPE_CHECKING, Any

import narwhals as nw

from redemption_analytics.errors import UsageError, nearest
from redemption_analytics.metrics.grouping import Frame, frame, instant, native
from redemption_analytics.metrics.postings import Movements, postings

if TYPE_CHECKING:
    from redemption_analytics.redemptions import Redemptions

#: What redemptions are chosen by, and in which tables the column is.
CONDITIONS: Mapping[str, tuple[str, ...]] = {
    "customer_key": ("points", "coupons"),
    "store_code": ("points", "coupons"),
    "till_code": ("points", "coupons"),
    "program_id": ("points",),
    "redemption_purpose": ("points",),
    "series_id": ("coupons",),
    "discount_type": ("coupons",),
    "code": ("coupons",),
}


def filtered(
    r: Redemptions,
    since: str | date | datetime | None,
    until: str | date | datetime | None,
    as_of: str | date | datetime | None,
    conditions: Mapping[str, Any],
) -> dict[str, Any]:
    """Give the tables of those redemptions that meet all conditions."""
    known = instant(as_of, "as_of")
    for name in conditions:
        if name not in CONDITIONS:
            raise UsageError(
                f"cannot filter by {name!r}: it takes since, until, as_of, {', '.join(CONDITIONS)}."
                + nearest(name, CONDITIONS)
            )
    points = _seen(_chosen(r, "points", since, until, conditions), "redeemed_time", known)
    coupons = _seen(_chosen(r, "coupons", since, until, conditions), "redeemed_time", known)
    reversals = _belonging(r.reversals, points, "redemption_key")
    reversals = _seen(reversals, "reversal_time", known)
    buyers = nw.concat([points.select("customer_key"), coupons.select("customer_key")]).unique()
    fields = frame(r.custom_fields)
    fields_of = {
        kind: _belonging(fields.filter(nw.col("redemption_type") == kind), rows, "redemption_key")
        for kind, rows in (("points", points), ("coupon", coupons))
    }
    tables = {
        "points": points,
        "coupons": coupons,
        "customers": _belonging(r.customers, buyers, "customer_key"),
        "program_breakups": _belonging(r.program_breakups, points, "redemption_key"),
        "source_breakups": _belonging(r.source_breakups, points, "redemption_key"),
        "reversals": reversals,
        "reversal_breakups": _belonging(r.reversal_breakups, reversals, "reversal_id"),
        "custom_fields": nw.concat(list(fields_of.values())),
    }
    if since is None and until is None and known is None and conditions.keys() <= {"customer_key"}:
        # Answers tell what a customer has in all: they fit only where customers are whole.
        tables["responses"] = _meeting(frame(r.responses), conditions)
    return {name: native(rows) for name, rows in tables.items()}


def _chosen(
    r: Redemptions,
    table: str,
    since: str | date | datetime | None,
    until: str | date | datetime | None,
    conditions: Mapping[str, Any],
) -> Frame:
    rows = frame(getattr(r, table))
    # A condition on what a table does not have is met by none of its rows.
    here = {name: value for name, value in conditions.items() if table in CONDITIONS[name]}
    if len(here) < len(conditions):
        return rows.filter(nw.col("redemption_key").is_null())
    if (first := instant(since, "since")) is not None:
        rows = rows.filter(nw.col("redeemed_time") >= first)
    if (end := instant(until, "until")) is not None:
        rows = rows.filter(nw.col("redeemed_time") < end)
    if "program_id" in here:
        program = {"program_id": here.pop("program_id")}
        drew = _meeting(postings(Movements.of(r), ["program_id"]), program)
        rows = _belonging(rows, drew.select("redemption_key").unique(), "redemption_key")
    return _meeting(rows, here)


def _seen(rows: Frame, time: str, as_of: datetime | None) -> Frame:
    """Leave out what happened later; of what has no time, it is not known that it did."""
    if as_of is None:
        return rows
    return rows.filter(nw.col(time).is_null() | (nw.col(time) <= as_of))


def _meeting(rows: Frame, conditions: Mapping[str, Any]) -> Frame:
    tests = [_is_one_of(nw.col(name), value) for name, value in conditions.items()]
    return rows.filter(reduce(and_, tests)) if tests else rows


def _is_one_of(column: nw.Expr, value: Any) -> nw.Expr:
    several = isinstance(value, Iterable) and not isinstance(value, str)
    values = list(value) if several else [value]
    known = [item for item in values if item is not None]
    test = column.is_in(known) if known else column.is_null()
    return test | column.is_null() if None in values else test & ~column.is_null()


def _belonging(rows: Any, parents: Frame, key: str) -> Frame:
    return frame(rows).join(parents.select(key), on=key, how="semi")
