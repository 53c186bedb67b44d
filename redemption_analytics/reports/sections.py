"""The sections of a report's page: what each says in words, its chart, and its table."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING, Any, TypeAlias

import pyarrow as pa
import pyarrow.compute as pc

from redemption_analytics.metrics import reversal_rates
from redemption_analytics.metrics.outliers import MIN_REDEMPTIONS, stands_out
from redemption_analytics.options import Period
from redemption_analytics.plot import curve, expected, flows, funnel, net, rates
from redemption_analytics.plot.groups import Groups, grouped, names_of, plain_rows, told_apart
from redemption_analytics.plot.look import number
from redemption_analytics.reports.contents import SETTLED
from redemption_analytics.reports.embedding import Embedded, embedded
from redemption_analytics.reports.tables import Columns, PageTable, page_table
from redemption_analytics.tables.periods import period_name, running_start

if TYPE_CHECKING:
    from redemption_analytics.redemptions import Redemptions

Tables: TypeAlias = Mapping[str, pa.Table]

#: How many periods the page shows; the Parquet files have them all.
_NEWEST: dict[Period, int] = {"day": 42, "week": 26, "month": 24, "quarter": 16, "year": 10}
_STORES, _FLOWS, _TILLS, _CURVE_DAYS = 6, 10, 10, (0, 1, 3, 7, 14, 30, 60, 90)


@dataclass(frozen=True)
class Section:
    """A part of the page: a heading, what it says in words, a chart, and a table."""

    name: str
    short: str
    title: str
    words: list[str]
    chart: Embedded | None = None
    table: PageTable | None = None
    table_title: str = ""
    open_table: bool = False


def sections(r: Redemptions, tables: Tables, period: Period, as_of: datetime) -> list[Section]:
    """Return the sections of the page, in their order.

    Parameters
    ----------
    r
        The bundle as it was known at ``as_of``.
    tables
        What the Parquet files hold, by file name.
    period
        The grain of time.
    as_of
        The moment of the report.
    """
    return [
        _net_points(r, tables, period, as_of),
        _rates(r, tables, as_of),
        _curve(r, tables),
        _expected(r, tables),
        _tills(r, tables),
        _flows(r, tables),
        _coupons(tables, period, as_of),
    ]


def _net_points(r: Redemptions, tables: Tables, period: Period, as_of: datetime) -> Section:
    newest = _NEWEST[period]
    # A mistyped year would stretch the chart: it ends with the period that is running.
    current = running_start(as_of, period)
    posted = tables["net_points_posted.parquet"]
    posted = posted.filter(pc.fill_null(pc.less_equal(posted[period], current), True))
    groups = grouped(r, posted, [period], "points_redeemed", newest=newest)
    amounts = ("points_redeemed", "points_reversed", "net_points")
    total = {name: sum(row[name] for row in groups.rows) for name in amounts}
    chart = embedded(net.drawn(groups, [period], plain_rows(posted), "event"))
    words = [
        f"In the {_many(period, groups)} shown, {number(total['points_redeemed'])} points were"
        f" redeemed and {number(total['points_reversed'])} came back:"
        f" {number(total['net_points'])} net.",
        f"Each reversal is booked in the {period} in which it happened.",
    ]
    columns: Columns = {
        "period": (period.capitalize(), "text"),
        "redemptions": ("Redemptions", "count"),
        "points_redeemed": ("Points redeemed", "points"),
        "points_reversed": ("Points reversed", "points"),
        "net_points": ("Net points", "points"),
    }
    table = page_table("table-net", reversed(groups.rows), columns)
    return Section(
        "net", "Net points", f"Net points by {period}", words, chart, table, "The same as a table"
    )


def _rates(r: Redemptions, tables: Tables, as_of: datetime) -> Section:
    settled = tables["reversal_rates_settled_by_program.parquet"]
    groups = grouped(r, settled, ["program_id"], "redemptions").only("redemptions")
    of_all = reversal_rates(r, within=SETTLED, as_of=as_of)
    chart = embedded(rates.drawn(groups, ["program_id"], of_all, SETTLED))
    words = [
        *chart.said,
        "Younger redemptions are left out, so that no program looks better than it is.",
    ]
    columns: Columns = {
        "label": ("Program", "text"),
        "redemptions": ("Redemptions", "count"),
        "reversed_redemptions": ("Reversed", "count"),
        "redemption_reversal_rate": ("Rate", "percent"),
        "ci_low": ("95 % from", "percent"),
        "ci_high": ("to", "percent"),
        "points_reversal_rate": ("Rate of points", "percent"),
    }
    rows = _in_order(groups)
    table = page_table("table-rates", rows, columns)
    return Section(
        "rates",
        "Reversal rates",
        "Reversal rates by program",
        words,
        chart,
        table,
        "The same as a table",
    )


def _curve(r: Redemptions, tables: Tables) -> Section:
    of_all = tables["reversal_curve.parquet"]
    chart = embedded(curve.drawn(curve.curves(r, of_all, []), [], of_all, "redemptions"))
    words = [
        *chart.said,
        "The band is the 95 % interval. Redemptions too young to tell are counted for as long as"
        " they were watched.",
    ]
    rows = [row for row in plain_rows(of_all) if row["day"] in _CURVE_DAYS]
    columns: Columns = {
        "day": ("Days since the redemption", "count"),
        "at_risk": ("At risk", "count"),
        "cumulative_rate": ("Reversed so far", "percent"),
        "ci_low": ("95 % from", "percent"),
        "ci_high": ("to", "percent"),
    }
    table = page_table("table-curve", rows, columns)
    return Section(
        "curve",
        "Reversal curve",
        "How soon points come back",
        words,
        chart,
        table,
        "Some days of it",
    )


def _expected(r: Redemptions, tables: Tables) -> Section:
    by_program = tables["expected_reversals_by_program.parquet"]
    groups = grouped(r, by_program, ["program_id"], "open_points")
    of_all = tables["expected_reversals.parquet"]
    chart = embedded(expected.drawn(groups, ["program_id"], of_all))
    words = [
        *chart.said,
        "Open points were redeemed in the last 90 days and have not come back. What is expected"
        " back is what to keep in reserve.",
    ]
    columns: Columns = {
        "label": ("Program", "text"),
        "open_redemptions": ("Open redemptions", "count"),
        "open_points": ("Open points", "points"),
        "expected_points": ("Expected back", "count"),
        "low": ("95 % from", "count"),
        "high": ("to", "count"),
    }
    table = page_table("table-expected", _in_order(groups), columns)
    return Section(
        "expected",
        "Expected back",
        "Points still expected back",
        words,
        chart,
        table,
        "The same as a table",
    )


def _tills(r: Redemptions, tables: Tables) -> Section:
    outliers = tables["reversal_outliers.parquet"]
    tests = grouped(r, outliers, ["till_code"], "redemptions", most=len(outliers)).rows
    found = [row for row in tests if stands_out(row)]
    chart = embedded(funnel.drawn(r, outliers, ["till_code"]))
    words = [
        *chart.said,
        "Each mark is a till. Between the lines lie 95 % and 99.8 % of tills of that size if they"
        " differ by chance, and by nature as those that do not stand out. A till with fewer than"
        f" {MIN_REDEMPTIONS} redemptions cannot stand out. One that does is a reason to look, not a"
        " verdict.",
    ]
    columns: Columns = {
        "label": ("Till", "text"),
        "redemptions": ("Redemptions", "count"),
        "reversed_redemptions": ("Reversed", "count"),
        "expected_reversed_redemptions": ("At the rate of the others", "days"),
        "q_value": ("q value", "small"),
    }
    table = page_table("table-tills", (found or tests)[:_TILLS], columns)
    title = "Tills that stand out" if found else "No till stands out: the most unusual ones"
    return Section(
        "tills", "Tills", "Tills against chance", words, chart, table, title, open_table=bool(found)
    )


def _flows(r: Redemptions, tables: Tables) -> Section:
    rows = tables["source_flows.parquet"].to_pylist()
    title = "Where points were earned, and where they were redeemed"
    if not rows:
        words = ["The exports do not tell where points were earned: ask for it when exporting."]
        return Section("flows", "Earned and redeemed", title, words)
    names = names_of(r, "store_code")
    chart = embedded(flows.drawn(rows, names, _STORES))
    stores = ("source_store_code", "store_code")
    codes = sorted({row[column] for row in rows for column in stores} - {None})
    # Two stores of one name are two.
    labels = told_apart({(code,): names.get(code, code) for code in codes}, [flows.UNKNOWN])
    for row in rows:
        for column in stores:
            row[column] = labels.get((row[column],), flows.UNKNOWN)
    rows.sort(key=lambda row: (-row["points_consumed"], *(row[column] for column in stores)))
    columns: Columns = {
        "source_store_code": ("Earned in", "text"),
        "store_code": ("Redeemed in", "text"),
        "points_consumed": ("Points", "points"),
        "mean_age_days": ("Mean age in days", "days"),
    }
    table = page_table("table-flows", rows[:_FLOWS], columns)
    return Section(
        "flows", "Earned and redeemed", title, chart.said, chart, table, "The largest flows"
    )


def _coupons(tables: Tables, period: Period, as_of: datetime) -> Section:
    summary = tables["coupon_performance.parquet"].to_pylist()
    if not summary:
        return Section(
            "coupons", "Coupons", "Coupons", ["There are no coupon redemptions in the data."]
        )
    # The headline's period: the last one that is over, where there is one.
    current = running_start(as_of, period)
    starts = {row[period] for row in summary if row[period] is not None}
    over = [start for start in starts if start < current] or list(starts)
    rows = [row for row in summary if over and row[period] == max(over)]
    rows.sort(key=lambda row: -row["coupons_redeemed"])
    for row in rows:
        row["series"] = "no series" if row["series_id"] is None else str(row["series_id"])
        row["share_off"] = None if row["percent_off"] is None else row["percent_off"] / 100
    if not over:
        return Section("coupons", "Coupons", "Coupons", ["No coupon redemption has a time."])
    total = sum(row["coupons_redeemed"] for row in rows)
    money = sum(row["amount_off"] or 0 for row in rows)
    words = [
        f"In {period_name(max(over), period)}, {number(total)} coupons were redeemed; those that"
        f" take off an amount took off {money:,.2f} in the organisation's currency."
    ]
    columns: Columns = {
        "series": ("Coupon series", "text"),
        "discount_type": ("Discount type", "text"),
        "coupons_redeemed": ("Coupons redeemed", "count"),
        "redeemers": ("Coupon redeemers", "count"),
        "codes": ("Codes", "count"),
        "amount_off": ("Taken off, in money", "money"),
        "share_off": ("Taken off, in percent", "percent"),
    }
    table = page_table("table-coupons", rows, columns)
    return Section(
        "coupons", "Coupons", "Coupons", words, None, table, "By series", open_table=True
    )


def _in_order(groups: Groups) -> list[dict[str, Any]]:
    return sorted(groups.rows, key=lambda row: groups.labels.index(row["label"]))


def _many(period: Period, groups: Groups) -> str:
    count = len(groups.rows)
    return period if count == 1 else f"{count} {period}s"
