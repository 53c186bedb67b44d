"""The headline of a report: the figures of its period against earlier ones."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime

import pyarrow as pa

from redemption_analytics.numerals import fixed, many, number, percent
from redemption_analytics.reports.money import Money
from redemption_analytics.reports.reported import Reported

#: Column, file that has it, name for people, what it counts.
_FIGURES = (
    ("points_redeemed", "kpis", "Points redeemed", "points taken from customers"),
    (
        "points_reversed_posted",
        "net_points_posted",
        "Points reversed, posted",
        "points given back in the period, whenever they had been redeemed",
    ),
    (
        "net_points_posted",
        "net_points_posted",
        "Net points, posted",
        "redeemed less reversed in the period",
    ),
    ("redemption_bills", "kpis", "Point redemption bills", "distinct transactions"),
    ("redeemers", "kpis", "Redeemers", "distinct customers who redeemed points"),
    ("coupons_redeemed", "kpis", "Coupons redeemed", "coupon redemptions"),
)


@dataclass(frozen=True)
class Card:
    """One figure: its name, value, what changed against earlier periods, and what it counts."""

    name: str
    value: str
    changes: list[str]
    meaning: str


def headline(
    tables: Mapping[str, pa.Table], about: Reported, money: Money | None = None
) -> list[Card]:
    """Return the figures of a period, compared with those before, and of the year before.

    Parameters
    ----------
    tables
        What the Parquet files hold, by file name.
    about
        The period.
    money
        What points are worth, if that is known.
    """
    cards = []
    for column, name, title, meaning in _FIGURES:
        values = _by_period(tables[f"{name}.parquet"], about, column)
        value = values.get(about.start, 0)
        changes = [
            f"{_change(value, values.get(earlier, 0))}{about.name_of(earlier)}"
            for earlier in about.earlier
        ]
        if money is not None and name == column:
            amounts = _by_period(tables[f"{name}.parquet"], about, "net_value_posted")
            meaning = f"{meaning}: {money.text(amounts.get(about.start, 0))}"
        cards.append(Card(title, number(value), changes, meaning))
    return [*cards, *_rate(tables, about)]


def _by_period(table: pa.Table, about: Reported, column: str) -> dict[datetime, float]:
    return {row[about.grain]: row[column] for row in table.to_pylist()}


def _change(value: float, earlier: float) -> str:
    if value == earlier:
        return "unchanged from "
    direction = "up" if value > earlier else "down"
    if not earlier:
        return f"{direction} from {number(earlier)} in "
    return f"{direction} {percent(abs(value - earlier) / abs(earlier))} from "


def _rate(tables: Mapping[str, pa.Table], about: Reported) -> list[Card]:
    """Tell the reversal rate, and its changes as far as chance does not make them."""
    rows = tables["reversal_rates.parquet"].to_pylist()
    here = next((row for row in rows if row[about.grain] == about.start), None)
    if here is None or not here["redemptions"]:
        return []
    compared = tables["reversal_rates_compared.parquet"].to_pylist()
    return [
        Card(
            "Reversal rate so far",
            percent(here["redemption_reversal_rate"]),
            [_change_of_rate(row, about) for row in compared],
            f"of {many(here['redemptions'], 'redemption')} of the period; earlier ones as they were"
            " at the same age",
        )
    ]


def _change_of_rate(row: Mapping[str, float | datetime | None], about: Reported) -> str:
    earlier = about.name_of(row["compared_with"])  # type: ignore[arg-type]
    change, low, high = (row[name] for name in ("change", "ci_low", "ci_high"))
    if not isinstance(change, float) or not isinstance(low, float) or not isinstance(high, float):
        return f"no redemptions to compare with in {earlier}"
    ends = " to ".join(fixed(end * 100, 1, signed=True) for end in (low, high))
    said = f"{_difference(change)} from {earlier} (95 %: {ends})"
    return said if low > 0 or high < 0 else f"{said}, no more than chance"


def _difference(share: float) -> str:
    """Write a difference of shares; "points" alone would be those of a loyalty program.

    >>> _difference(0.0123), _difference(-0.02)
    ('+1.2 %-points', '-2.0 %-points')
    """
    return f"{fixed(share * 100, 1, signed=True)} %-points"
