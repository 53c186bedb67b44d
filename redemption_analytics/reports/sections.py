"""The sections of a report's page: what each says in words, its chart, and its table."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import TYPE_CHECKING, Any, TypeAlias

import pyarrow as pa
import pyarrow.compute as pc

from redemption_analytics.contract import DECIMAL_PLACES
from redemption_analytics.metrics import reversal_rates
from redemption_analytics.metrics.expected import ADVICE
from redemption_analytics.metrics.outliers import MIN_REDEMPTIONS, stands_out
from redemption_analytics.moments import moment_name
from redemption_analytics.numerals import fixed, many, number
from redemption_analytics.options import Period
from redemption_analytics.plot import curve, expected, flows, funnel, net, rates
from redemption_analytics.plot.groups import Groups, grouped, names_of, plain_rows, told_apart
from redemption_analytics.reports.contents import SETTLED
from redemption_analytics.reports.embedding import Embedded, embedded
from redemption_analytics.reports.money import Money
from redemption_analytics.reports.reported import Reported
from redemption_analytics.reports.tables import Columns, PageTable, page_table
from redemption_analytics.tables.periods import period_start

if TYPE_CHECKING:
    from redemption_analytics.redemptions import Redemptions

Tables: TypeAlias = Mapping[str, pa.Table]

#: How many periods the page shows; the Parquet files have them all.
_NEWEST: dict[Period, int] = {"day": 42, "week": 26, "month": 24, "quarter": 16, "year": 10}
#: How many stores the page lists, and how many periods their lines have.
_STORES_LISTED, _TREND = 100, 12
_STORES, _FLOWS, _TILLS, _CURVE_DAYS = 6, 10, 10, (0, 1, 3, 7, 14, 30, 60, 90)


@dataclass(frozen=True)
class Shown:
    """A table on the page, that opens where its title is clicked, or is open."""

    title: str
    table: PageTable
    open: bool = False
    sortable: bool = True


@dataclass(frozen=True)
class Section:
    """A part of the page: a heading, what it covers, what it says in words, a chart, and tables."""

    name: str
    short: str
    title: str
    covers: str
    words: list[str]
    chart: Embedded | None = None
    tables: list[Shown] = field(default_factory=list)


def sections(
    r: Redemptions, tables: Tables, about: Reported, as_of: datetime, money: Money | None = None
) -> list[Section]:
    """Return the sections of the page, in their order.

    Parameters
    ----------
    r
        The bundle as it was known at ``as_of``.
    tables
        What the Parquet files hold, by file name.
    about
        The period that the report is about.
    as_of
        The moment of the report.
    money
        What points are worth, if that is known.
    """
    return [
        _net_points(r, tables, about, as_of),
        _reconciliation(r, tables, about),
        _stores(r, tables, about),
        _rates(r, tables, about, as_of),
        _curve(r, tables, as_of),
        _expected(r, tables, as_of, money),
        _tills(r, tables, about, as_of),
        _flows(r, tables, about, as_of),
        _coupons(tables, about),
    ]


def _net_points(r: Redemptions, tables: Tables, about: Reported, as_of: datetime) -> Section:
    period = about.grain
    posted = tables["net_points_posted.parquet"]
    # A chart of either basis takes the names that the metric has.
    posted = posted.rename_columns([name.removesuffix("_posted") for name in posted.column_names])
    groups = grouped(r, posted, [period], "points_redeemed", newest=_NEWEST[period], as_of=as_of)
    amounts = ("points_redeemed", "points_reversed", "net_points")
    total = {name: sum(row[name] for row in groups.rows) for name in amounts}
    chart = embedded(net.drawn(groups, [period], "event")) if groups.rows else None
    words = [
        f"In the {many(groups.periods, period)} shown, {number(total['points_redeemed'])} points"
        f" were redeemed and {number(total['points_reversed'])} came back:"
        f" {number(total['net_points'])} net.",
        f"Each reversal is booked in the {period} in which it happened.",
        *(f"{about.name_of(start)} is not over, and faded." for start in [about.running] if start),
    ]
    columns: Columns = {
        "period": (period.capitalize(), "text"),
        "redemptions": ("Redemptions", "count"),
        "points_redeemed": ("Points redeemed", "points"),
        "points_reversed": ("Points reversed (posted)", "points"),
        "net_points": ("Net points (posted)", "points"),
    }
    table = page_table("net", reversed(groups.rows), columns)
    return Section(
        "net",
        "Net points",
        f"Net points by {period}, posted",
        f"The newest {many(groups.periods, period)} until {moment_name(as_of)}.",
        words,
        chart,
        [Shown("The same as a table", table)],
    )


def _reconciliation(r: Redemptions, tables: Tables, about: Reported) -> Section:
    here = _accounts(tables["reconciliation.parquet"], about)
    groups = grouped(r, here, ["program_id"], "closing_points")
    rows = _in_order(groups)
    numbers = [name for name in here.column_names if name != "program_id"]
    total = {name: pc.sum(here[name]).as_py() or 0 for name in numbers}
    if len(rows) < len(here):
        others = {
            name: round(total[name] - sum(row[name] for row in rows), DECIMAL_PLACES)
            for name in numbers
        }
        rows.append(others | {"label": many(len(here) - len(rows), "other program")})
    words = [
        f"{number(total['opening_points'])} points were redeemed and had not come back when the"
        f" {about.grain} began; {number(total['points_redeemed'])} were redeemed in it and"
        f" {number(total['points_reversed_posted'])} came back:"
        f" {number(total['closing_points'])} at its end.",
        f"By redemption date the {about.grain} has {number(total['net_points'])} net points, as"
        f" posted {number(total['net_points_posted'])}:"
        f" {number(total['reversed_of_other_periods'])} points came back in it of redemptions of"
        f" other {about.grain}s, and {number(total['reversed_in_other_periods'])} of its own in"
        " others.",
        *([groups.order] if groups.order else []),
    ]
    account: Columns = {
        "label": ("Program", "text"),
        "opening_points": ("Opening", "points"),
        "points_redeemed": ("Redeemed (+)", "points"),
        "points_reversed_posted": ("Reversed (-)", "points"),
        "closing_points": ("Closing (=)", "points"),
    }
    bases: Columns = {
        "label": ("Program", "text"),
        "net_points_posted": ("Net points (posted)", "points"),
        "reversed_of_other_periods": (f"Reversed of other {about.grain}s (+)", "points"),
        "reversed_in_other_periods": (f"Reversed in other {about.grain}s (-)", "points"),
        "net_points": ("Net points by redemption date (=)", "points"),
    }
    rows.append(total | {"label": "All programs"})
    return Section(
        "reconciliation",
        "Reconciliation",
        "Reconciliation",
        f"{about.name}, and for the opening all before it, on both bases.",
        words,
        None,
        [
            Shown(title, table, open=True, sortable=False)
            for title, table in (
                ("What was open, what moved, what is open", page_table("account", rows, account)),
                ("From one basis to the other", page_table("bases", rows, bases)),
            )
        ],
    )


def _accounts(accounts: pa.Table, about: Reported) -> pa.Table:
    """Return the account of each program in a period; nothing may have moved in it."""
    until = accounts.filter(pc.less_equal(accounts[about.grain], about.start)).to_pylist()
    newest = {row["program_id"]: row for row in until}
    rows = []
    for row in newest.values():
        if row[about.grain] < about.start:
            still = dict.fromkeys(row, 0) | {"program_id": row["program_id"]}
            row = still | dict.fromkeys(("opening_points", "closing_points"), row["closing_points"])
        rows.append({name: value for name, value in row.items() if name != about.grain})
    schema = accounts.schema
    return pa.Table.from_pylist(rows, schema.remove(schema.get_field_index(about.grain)))


def _stores(r: Redemptions, tables: Tables, about: Reported) -> Section:
    points, reversals = (
        tables[f"{name}_by_store.parquet"] for name in ("net_points", "reversal_rates")
    )
    starts = [period_start(about.start, about.grain, -back) for back in range(_TREND)][::-1]
    trends: dict[str | None, dict[datetime, float]] = {}
    for row in points.filter(pc.is_in(points[about.grain], pa.array(starts))).to_pylist():
        trends.setdefault(row["store_code"], {})[row[about.grain]] = row["net_points"]
    rates = {
        row["store_code"]: row
        for row in reversals.filter(pc.equal(reversals[about.grain], about.start)).to_pylist()
    }
    all_here = points.filter(pc.equal(points[about.grain], about.start)).drop_columns([about.grain])
    ranked = all_here.sort_by([("net_points", "descending"), ("store_code", "ascending")])
    here = ranked[:_STORES_LISTED]
    groups = grouped(r, here, ["store_code"], "net_points", most=_STORES_LISTED)
    if not groups.rows:
        words = [f"Nothing was redeemed in {about.name}."]
        return Section("stores", "Stores", "Stores", f"{about.name}.", words)
    rows = sorted(groups.rows, key=lambda row: (-row["net_points"], row["label"]))
    for row in rows:
        row |= rates[row["store_code"]]
        trend = trends[row["store_code"]]
        row["trend"] = [trend.get(start, 0) for start in starts]
    words = [
        f"{many(len(all_here), 'store')}, by net points, the most first, by the date of the"
        " redemption.",
        *([f"The first {number(len(here))} are shown."] if len(here) < len(all_here) else []),
        f"The line is of the net points of {many(len(starts), about.grain)}.",
    ]
    columns: Columns = {
        "label": ("Store", "text"),
        "points_redeemed": ("Points redeemed", "points"),
        "net_points": ("Net points", "points"),
        "trend": ("Trend", "line"),
        "redemptions": ("Redemptions", "count"),
        "redemption_reversal_rate": ("Reversal rate so far", "percent"),
        "ci_low": ("95 % from", "percent"),
        "ci_high": ("to", "percent"),
    }
    shown = [Shown("Ranked by net points", page_table("stores", rows, columns), True)]
    return Section("stores", "Stores", "Stores", f"{about.name}.", words, None, shown)


def _rates(r: Redemptions, tables: Tables, about: Reported, as_of: datetime) -> Section:
    settled = tables["reversal_rates_settled_by_program.parquet"]
    groups = grouped(r, settled, ["program_id"], "redemptions").only("redemptions")
    of_all = reversal_rates(r, within=SETTLED, as_of=as_of)
    chart = None
    if groups.rows:
        chart = embedded(rates.drawn(groups, ["program_id"], of_all, SETTLED))
    by_program = tables["reversal_rates_by_program.parquet"]
    here = by_program.filter(pc.equal(by_program[about.grain], about.start))
    of_period = grouped(r, here.drop_columns([about.grain]), ["program_id"], "redemptions")
    words = [
        *(chart.said if chart else ["No redemption is that old."]),
        "Younger redemptions are left out, so that no program looks better than it is.",
        f"Those of {about.name} are in a table of their own, with what came back of them so far.",
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
    rows = _in_order(of_period.only("redemptions"))
    found = pc.sum(pc.greater(here["redemptions"], 0)).as_py() or 0
    which = "" if len(rows) == found else f", the {len(rows)} largest of {number(found)} programs"
    return Section(
        "rates",
        "Reversal rates",
        "Reversal rates by program",
        f"All redemptions that are 30 days old, and those of {about.name}, by redemption date.",
        words,
        chart,
        [
            Shown(
                f"Redemptions of {about.name}{which}",
                page_table("rates-of-period", rows, columns),
                True,
            ),
            Shown("The chart as a table", page_table("rates", _in_order(groups), columns)),
        ],
    )


def _curve(r: Redemptions, tables: Tables, as_of: datetime) -> Section:
    of_all = tables["reversal_curve.parquet"]
    watched = plain_rows(of_all)
    if not watched or not watched[0]["at_risk"]:
        title, words = "How soon points come back", ["No redemption was watched for a day."]
        return Section("curve", "Reversal curve", title, f"Until {moment_name(as_of)}.", words)
    chart = embedded(curve.drawn(curve.curves(r, of_all, []), [], of_all, "redemptions"))
    words = [
        *chart.said,
        "The band is the 95 % interval. Redemptions too young to tell are counted for as long as"
        " they were watched.",
    ]
    rows = [row for row in watched if row["day"] in _CURVE_DAYS]
    columns: Columns = {
        "day": ("Days since the redemption", "count"),
        "at_risk": ("At risk", "count"),
        "cumulative_rate": ("Reversed so far", "percent"),
        "ci_low": ("95 % from", "percent"),
        "ci_high": ("to", "percent"),
    }
    return Section(
        "curve",
        "Reversal curve",
        "How soon points come back",
        f"All redemptions until {moment_name(as_of)}.",
        words,
        chart,
        [Shown("Some days of it", page_table("curve", rows, columns))],
    )


def _expected(r: Redemptions, tables: Tables, as_of: datetime, money: Money | None) -> Section:
    by_program = tables["expected_reversals_by_program.parquet"]
    groups = grouped(r, by_program, ["program_id"], "open_points")
    of_all = tables["expected_reversals.parquet"]
    covers = f"Redemptions of the 90 days before {moment_name(as_of)}."
    if not groups.rows:
        title, words = "Points still expected back", ["No points were redeemed in these days."]
        return Section("expected", "Expected back", title, covers, words)
    chart = embedded(expected.drawn(groups, ["program_id"], of_all))
    words = [
        *chart.said,
        "Open points were redeemed in the last 90 days and have not come back.",
        ADVICE,
    ]
    if money is not None:
        (row,) = of_all.to_pylist()
        words.append(
            f"That is {money.text(row['high_value'])};"
            f" {money.text(row['expected_value'])} are expected."
        )
    columns: Columns = {
        "label": ("Program", "text"),
        "open_redemptions": ("Open redemptions", "count"),
        "open_points": ("Open points", "points"),
        "expected_points": ("Expected back", "count"),
        "low": ("95 % from", "count"),
        "high": ("to: the reserve", "count"),
        **({} if money is None else {"high_value": ("The reserve in money", "money")}),
    }
    return Section(
        "expected",
        "Expected back",
        "Points still expected back",
        covers,
        words,
        chart,
        [Shown("The same as a table", page_table("expected", _in_order(groups), columns))],
    )


def _tills(r: Redemptions, tables: Tables, about: Reported, as_of: datetime) -> Section:
    of_period = tables["reversal_outliers_of_period.parquet"]
    # Vega would look for an extent of nothing, and say so.
    some = pc.any(pc.is_valid(of_period["p_value"])).as_py()
    chart = embedded(funnel.drawn(r, of_period, ["till_code"])) if some else None
    words = [
        *(chart.said if chart else [f"No till has redemptions to compare in {about.name}."]),
        f"Each mark is a till. One with fewer than {MIN_REDEMPTIONS} redemptions cannot stand out."
        " One that does is a reason to look, not a verdict.",
    ]
    everything = tables["reversal_outliers.parquet"]
    if not len(everything):
        words = ["No redemption names its till."]
    return Section(
        "tills",
        "Tills",
        "Tills against chance",
        f"Redemptions of {about.name}, and beside them all until {moment_name(as_of)}.",
        words,
        chart,
        [
            _outliers(r, tests, when, name)
            for tests, when, name in (
                (of_period, about.name, "tills-of-period"),
                (everything, "all time", "tills"),
            )
            if len(tests)
        ],
    )


def _outliers(r: Redemptions, outliers: pa.Table, when: str, name: str) -> Shown:
    tests = grouped(r, outliers, ["till_code"], "redemptions", most=len(outliers)).rows
    found = [row for row in tests if stands_out(row)]
    columns: Columns = {
        "label": ("Till", "text"),
        "redemptions": ("Redemptions", "count"),
        "reversed_redemptions": ("Reversed", "count"),
        "expected_reversed_redemptions": ("At the rate of the others", "days"),
        "q_value": ("q value", "small"),
    }
    title = "tills that stand out" if found else "no till stands out, the most unusual ones"
    if len(found) > _TILLS:
        title = f"the {_TILLS} least likely of {number(len(found))} tills that stand out"
    # The metric has the least likely first.
    table = page_table(name, (found or tests)[:_TILLS], columns)
    return Shown(f"Of {when}: {title}", table, bool(found))


def _flows(r: Redemptions, tables: Tables, about: Reported, as_of: datetime) -> Section:
    title = "Where points were earned, and where they were redeemed"
    covers = f"Redemptions of {about.name}, and beside them all until {moment_name(as_of)}."
    everything = tables["source_flows.parquet"].to_pylist()
    if not everything:
        words = ["The exports do not tell where points were earned: ask for it when exporting."]
        return Section("flows", "Earned and redeemed", title, covers, words)
    names = names_of(r, "store_code")
    of_period = tables["source_flows_of_period.parquet"].to_pylist()
    shown = [
        Shown(f"The largest flows of {when}", _largest_flows(name, rows, names))
        for name, when, rows in (
            ("flows-of-period", about.name, of_period),
            ("flows", "all time", everything),
        )
        if rows
    ]
    if not of_period:
        words = [f"No redemption of {about.name} tells where its points were earned."]
        return Section("flows", "Earned and redeemed", title, covers, words, None, shown)
    chart = embedded(flows.drawn(of_period, names, _STORES))
    return Section("flows", "Earned and redeemed", title, covers, chart.said, chart, shown)


def _largest_flows(name: str, rows: list[dict[str, Any]], names: Mapping[Any, str]) -> PageTable:
    stores = ("source_store_code", "store_code")
    codes = sorted({row[column] for row in rows for column in stores} - {None})
    # Two stores of one name are two.
    labels = told_apart({(code,): names.get(code, code) for code in codes}, [flows.UNKNOWN])
    named = [
        row | {column: labels.get((row[column],), flows.UNKNOWN) for column in stores}
        for row in rows
    ]
    named.sort(key=lambda row: (-row["points_consumed"], *(row[column] for column in stores)))
    columns: Columns = {
        "source_store_code": ("Earned in", "text"),
        "store_code": ("Redeemed in", "text"),
        "points_consumed": ("Points", "points"),
        "mean_age_days": ("Mean age in days", "days"),
    }
    return page_table(name, named[:_FLOWS], columns)


def _coupons(tables: Tables, about: Reported) -> Section:
    everything = tables["coupon_performance.parquet"].to_pylist()
    rows = [row for row in everything if row[about.grain] == about.start]
    if not rows:
        when = f"of {about.name} " if everything else ""
        words = [f"There are no coupon redemptions {when}in the data."]
        return Section("coupons", "Coupons", "Coupons", f"{about.name}.", words)
    rows.sort(key=lambda row: -row["coupons_redeemed"])
    for row in rows:
        row["series"] = "no series" if row["series_id"] is None else str(row["series_id"])
        row["share_off"] = None if row["percent_off"] is None else row["percent_off"] / 100
    total = sum(row["coupons_redeemed"] for row in rows)
    money = sum(row["amount_off"] or 0 for row in rows)
    words = [
        f"{many(total, 'coupon')} {'was' if total == 1 else 'were'} redeemed; those that"
        f" take off an amount took off {fixed(money, 2)} in the organisation's currency."
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
    shown = [Shown("By series", page_table("coupons", rows, columns), True)]
    return Section("coupons", "Coupons", "Coupons", f"{about.name}.", words, None, shown)


def _in_order(groups: Groups) -> list[dict[str, Any]]:
    return sorted(groups.rows, key=lambda row: groups.labels.index(row["label"]))
