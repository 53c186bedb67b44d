"""Filtering a bundle: some redemptions, and all that belongs to them."""

from __future__ import annotations

import math
import re
from collections.abc import Iterable, Mapping
from datetime import datetime
from functools import reduce
from numbers import Integral
from operator import and_
from typing import Any

import narwhals as nw
import pandas as pd

from redemption_analytics.errors import UsageError, nearest, refused
from redemption_analytics.moments import Moment, end, period_of
from redemption_analytics.tables.attribution import postings
from redemption_analytics.tables.dimensions import TABLES_OF
from redemption_analytics.tables.frames import schema_of
from redemption_analytics.tables.lazy import Frame, frame, native
from redemption_analytics.tables.movements import Movements
from redemption_analytics.tables.times import moment_in


def filtered(
    tables: Mapping[str, Any],
    since: Moment | None,
    until: Moment | None,
    as_of: Moment | None,
    given: Mapping[str, Any],
) -> dict[str, Any]:
    """Return the tables of those redemptions that meet all conditions."""
    known = end(as_of, "as_of")
    period = period_of(since, until)
    for name in given:
        if name not in TABLES_OF:
            raise UsageError(
                f"cannot filter by {name!r}: it takes since, until, as_of, {', '.join(TABLES_OF)}."
                + nearest(name, TABLES_OF)
            )
    conditions = {name: _read(name, value) for name, value in given.items()}
    points = _seen(_chosen(tables, "points", period, conditions), "redeemed_time", known)
    coupons = _seen(_chosen(tables, "coupons", period, conditions), "redeemed_time", known)
    reversals = _belonging(tables["reversals"], points, "redemption_key")
    reversals = _seen(reversals, "reversal_time", known)
    buyers = nw.concat([points.select("customer_key"), coupons.select("customer_key")]).unique()
    fields = frame(tables["custom_fields"])
    fields_of = {
        kind: _belonging(fields.filter(nw.col("redemption_type") == kind), rows, "redemption_key")
        for kind, rows in (("points", points), ("coupon", coupons))
    }
    chosen = {
        "points": points,
        "coupons": coupons,
        "customers": _belonging(tables["customers"], buyers, "customer_key"),
        "program_breakups": _belonging(tables["program_breakups"], points, "redemption_key"),
        "source_breakups": _belonging(tables["source_breakups"], points, "redemption_key"),
        "reversals": reversals,
        "reversal_breakups": _belonging(tables["reversal_breakups"], reversals, "reversal_id"),
        "custom_fields": nw.concat(list(fields_of.values())),
    }
    if period == (None, None) and known is None and conditions.keys() <= {"customer_key"}:
        # Answers tell what a customer has in all: they fit only where customers are whole.
        chosen["responses"] = _meeting(frame(tables["responses"]), conditions)
    return {name: native(rows) for name, rows in chosen.items()}


def _chosen(
    tables: Mapping[str, Any],
    table: str,
    period: tuple[datetime | None, datetime | None],
    conditions: Mapping[str, list[Any]],
) -> Frame:
    rows = frame(tables[table])
    # A condition on what a table does not have is met by none of its rows.
    here = {name: value for name, value in conditions.items() if table in TABLES_OF[name]}
    if len(here) < len(conditions):
        return rows.filter(nw.col("redemption_key").is_null())
    first, last = period
    if first is not None:
        rows = rows.filter(nw.col("redeemed_time") >= moment_in(rows, first))
    if last is not None:
        rows = rows.filter(nw.col("redeemed_time") <= moment_in(rows, last))
    if "program_id" in here:
        program = {"program_id": here.pop("program_id")}
        drew = _meeting(postings(Movements.of(tables), ["program_id"]), program)
        rows = _belonging(rows, drew.select("redemption_key").unique(), "redemption_key")
    return _meeting(rows, here)


def _seen(rows: Frame, time: str, as_of: datetime | None) -> Frame:
    """Filter out what happened later; of what has no time, it is not known that it did."""
    if as_of is None:
        return rows
    return rows.filter(nw.col(time).is_null() | (nw.col(time) <= moment_in(rows, as_of)))


def _meeting(rows: Frame, conditions: Mapping[str, list[Any]]) -> Frame:
    tests = [_is_one_of(nw.col(name), values) for name, values in conditions.items()]
    return rows.filter(reduce(and_, tests)) if tests else rows


def _is_one_of(column: nw.Expr, values: list[Any]) -> nw.Expr:
    known = [item for item in values if item is not None]
    test = column.is_in(known) if known else column.is_null()
    return test | column.is_null() if None in values else test & ~column.is_null()


def _read(name: str, value: Any) -> list[Any]:
    """Read the values of a condition as its column holds them.

    Engines compare 469 with "469" each in its own way.
    """
    several = isinstance(value, Iterable) and not isinstance(value, (str, bytes, Mapping))
    values = value.tolist() if hasattr(value, "tolist") else value
    column = schema_of(TABLES_OF[name][0]).columns[name]
    read = _whole if str(column.dtype).lower() == "int64" else _text
    return [read(name, item) for item in (values if several else [values])]


def _whole(name: str, value: Any) -> int | None:
    if _is_nothing(value):
        return None
    try:
        if isinstance(value, bool) or not isinstance(value, (int, float, str, Integral)):
            raise ValueError
        # Of texts Python takes "4_69" and the digits of every script.
        if isinstance(value, str) and not re.fullmatch(r"\s*[+-]?[0-9]+\s*", value):
            raise ValueError
        number = int(value)
        if number != (number if isinstance(value, str) else value) or abs(number) >= 2**63:
            raise ValueError
    except (ValueError, OverflowError):
        raise refused(name, "a whole number, such as 469, or a list of these", value) from None
    return number


def _text(name: str, value: Any) -> str | None:
    if _is_nothing(value):
        return None
    if not isinstance(value, str):
        raise refused(name, f"text, such as {str(value)!r}, or a list of these", value)
    return str(value)


def _is_nothing(value: Any) -> bool:
    return value is None or value is pd.NA or (isinstance(value, float) and math.isnan(value))


def _belonging(rows: Any, parents: Frame, key: str) -> Frame:
    return frame(rows).join(parents.select(key), on=key, how="semi")
