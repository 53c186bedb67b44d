"""The headline of a report: the figures of the last whole period against the one before."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime

import pyarrow as pa

from redemption_analytics.options import Period
from redemption_analytics.plot.look import number
from redemption_analytics.tables.periods import period_name, period_start, running_start

#: Column, file that has it, name for people, what it counts.
_FIGURES = (
    ("points_redeemed", "kpis", "Points redeemed", "points taken from customers"),
    ("points_reversed", "net_points_posted", "Points reversed", "points given back"),
    ("net_points", "net_points_posted", "Net points", "redeemed less reversed"),
    ("redemption_bills", "kpis", "Point redemption bills", "distinct transactions"),
    ("redeemers", "kpis", "Redeemers", "distinct customers who redeemed points"),
    ("coupons_redeemed", "kpis", "Coupons redeemed", "coupon redemptions"),
)


@dataclass(frozen=True)
class Card:
    """One figure: its name, value, change, and what it counts."""

    name: str
    value: str
    change: str
    meaning: str


@dataclass(frozen=True)
class Headline:
    """The figures of a period.

    Attributes
    ----------
    period, before : str
        The names of the period and of the one it is compared with; ``before`` is empty where
        there is none.
    over : bool
        Whether the period is over.
    running : str
        The period that is not over, empty where the figures are of it, or none has begun.
    cards : list of Card
        The figures.
    """

    period: str
    before: str
    over: bool
    running: str
    cards: list[Card]


def headline(tables: Mapping[str, pa.Table], period: Period, as_of: datetime) -> Headline:
    """Compare the last period that is over at a moment with the one before that.

    Where the data has no whole period, the figures are those of the period that is not over.
    """
    current = running_start(as_of, period)
    values = {name: _by_period(tables[f"{name}.parquet"], period) for _, name, *_ in _FIGURES}
    starts = [start for found in values.values() for start in found]
    first = min(starts, default=current)
    last = period_start(current, period, -1) if first < current else current
    before = period_start(last, period, -1) if first < last else None
    cards = []
    for column, name, title, meaning in _FIGURES:
        value = _value(values[name], last, column)
        earlier = None if before is None else _value(values[name], before, column)
        cards.append(Card(title, number(value), _change(value, earlier), meaning))
    return Headline(
        period_name(last, period),
        "" if before is None else period_name(before, period),
        last < current,
        period_name(current, period) if last < current < as_of else "",
        cards,
    )


def _by_period(table: pa.Table, period: Period) -> dict[datetime, dict[str, float]]:
    return {row[period]: row for row in table.to_pylist() if row[period] is not None}


def _value(rows: Mapping[datetime, Mapping[str, float]], at: datetime, column: str) -> float:
    row = rows.get(at)
    return row[column] if row else 0


def _change(value: float, earlier: float | None) -> str:
    if earlier is None:
        return ""
    if value == earlier:
        return "unchanged from "
    direction = "up" if value > earlier else "down"
    if not earlier:
        return f"{direction} from {number(earlier)} in "
    return f"{direction} {abs(value - earlier) / abs(earlier) * 100:,.1f} % from "
