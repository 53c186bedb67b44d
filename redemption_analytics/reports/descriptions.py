"""What the tables of a report say: their basis, and the units of their columns, declared once."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

#: On what basis reversals are booked.
BY_REDEMPTION = "by redemption date: a reversal counts in the period of its redemption"
POSTED = "posted: a reversal counts in the period in which it happened"

#: What a column holds, which says how it is shown.
Kind = Literal[
    "text", "code", "count", "points", "estimate", "money", "share", "percent", "days", "small"
]


@dataclass(frozen=True)
class Description:
    """What a table says.

    Attributes
    ----------
    title
        What it is called, where ``{period}`` stands for the grain of time.
    says
        What its rows are, and what to know about them.
    basis
        On what basis reversals are booked, where any are.
    """

    title: str
    says: str
    basis: str = ""


_NET = "Points redeemed, points that came back, and what is left."
_FLOWS = (
    "Points that were reversed later are in. Redemptions of which the exports do not tell where"
    " their points were earned are in no row."
)
_TILLS = (
    "The least likely first. A q_value below 0.01 stands out: a reason to look, not a verdict."
    " Tills with few redemptions have none."
)
_OF_PERIOD = (
    "Redemptions of the period that the report is about, and what came back of them so far."
)
_RATES = (
    "Which share of redemptions, and of points, has come back so far; the younger, the less it had"
    " time to. ci_low and ci_high are the 95 % interval (Wilson) of redemption_reversal_rate."
)
_CURVE = (
    "Which share of redemptions has come back by each day after (Kaplan-Meier), with its 95 %"
    " interval."
)
_EXPECTED = (
    "Points redeemed in the last 90 days that have not come back, and how many of these will,"
    " with the 95 % interval."
)

#: The tables, by the names that :func:`~redemption_analytics.reports.contents.contents` gives them.
TABLES: dict[str, Description] = {
    "net_points": Description("Net points by {period}", _NET, BY_REDEMPTION),
    "reversal_rates": Description("Reversal rates by {period}", _RATES, BY_REDEMPTION),
    **{
        f"{name}_by_{cut}": Description(f"{title} by {cut} and {{period}}", says, BY_REDEMPTION)
        for cut in ("program", "store", "till")
        for name, title, says in (
            ("net_points", "Net points", _NET),
            ("reversal_rates", "Reversal rates", _RATES),
        )
    },
    "reversal_rates_settled_by_program": Description(
        "Reversal rates by program, within 30 days",
        "Only reversals up to 30 days after the redemption count, and only redemptions that are"
        " older than that: programs may be compared.",
        "by redemption date",
    ),
    "net_points_posted": Description("Net points by {period}, posted", _NET, POSTED),
    "reconciliation": Description(
        "Reconciliation by program and {period}",
        "An account for each program: opening_points + points_redeemed - points_reversed_posted ="
        " closing_points. And what ties the two bases: net_points = net_points_posted +"
        " reversed_of_other_periods - reversed_in_other_periods. What has no time is posted last.",
        "both: posted, and by redemption date",
    ),
    "reversal_rates_compared": Description(
        "Reversal rate of the period against earlier ones",
        "The period that the report is about against the one before, and the same of the year"
        " before, each as it was known at the same age. ci_low and ci_high are the 95 % interval"
        " of the change (Newcombe): where it has 0 within, chance alone may make the change.",
        BY_REDEMPTION,
    ),
    "kpis": Description(
        "Key figures by {period}",
        "Under the names of the vendor's dashboards. A bill is a distinct transaction, a redeemer a"
        " distinct customer: they may be in several periods.",
        BY_REDEMPTION,
    ),
    "coupon_summary": Description(
        "Coupons by {period}",
        "Coupon redemptions, and what those that take off an amount of money (FLAT, ABS) took off.",
    ),
    "coupon_performance": Description(
        "Coupon series by {period}",
        "What each series took off: amounts of money and percentages apart. percent_off is the mean"
        " of the percentages.",
    ),
    "reversal_curve": Description("Reversal curve", _CURVE),
    "reversal_curve_by_program": Description("Reversal curve by program", _CURVE),
    "expected_reversals": Description("Points still expected back", _EXPECTED),
    "expected_reversals_by_program": Description(
        "Points still expected back by program", _EXPECTED
    ),
    "reversal_outliers": Description("Tills against chance", _TILLS),
    "reversal_outliers_of_period": Description(
        "Tills against chance, in the period", f"{_OF_PERIOD} {_TILLS}", BY_REDEMPTION
    ),
    "source_flows": Description("Where points were earned, and where they were redeemed", _FLOWS),
    "source_flows_of_period": Description(
        "Where points were earned that were redeemed in the period", _FLOWS
    ),
    **{
        f"{name}s": Description(
            f"{name.capitalize()}s and their names",
            f"Each {name} with its newest name, and when it was first and last seen.",
        )
        for name in ("program", "store", "till")
    },
    "audit": Description(
        "Audit",
        "What to know before trusting the figures, of all that was read: how many cases each check"
        " found, and one of them.",
    ),
    "ledger": Description(
        "Ledger",
        "What became of all that was read: seen = loaded + merged + rejected + passed_over.",
    ),
    "rejects": Description(
        "Rejects", "What did not fit the interface's contract, by its place; it is in no figure."
    ),
    "sources": Description(
        "Sources", "What was read, when each was exported, and how many answers it gave."
    ),
}

_REDEMPTIONS: tuple[Kind, str] = ("count", "redemptions")
_POINTS: tuple[Kind, str] = ("points", "points")
_OF_REDEMPTIONS: tuple[Kind, str] = ("share", "of redemptions")
_CUSTOMERS: tuple[Kind, str] = ("count", "distinct customers")
_COUPONS: tuple[Kind, str] = ("count", "coupon redemptions")
_MONEY: tuple[Kind, str] = ("money", "organisation's currency")
_WORTH: tuple[Kind, str] = ("money", "in money")
_ELEMENTS: tuple[Kind, str] = ("count", "elements")
_FIRST_DAY: tuple[Kind, str] = ("text", "its first day")

#: What the columns of these tables hold, and their units; a period is a date in any case.
COLUMNS: dict[str, tuple[Kind, str]] = {
    "week": _FIRST_DAY,
    "month": _FIRST_DAY,
    "quarter": _FIRST_DAY,
    "year": _FIRST_DAY,
    "program_id": ("code", "program"),
    "store_code": ("text", "store"),
    "till_code": ("text", "till"),
    "program_name": ("text", "newest name"),
    "store_name": ("text", "newest name"),
    "till_name": ("text", "newest name"),
    "first_seen": ("text", "time"),
    "last_seen": ("text", "time"),
    "source_store_code": ("text", "store, earned"),
    "series_id": ("code", "coupon series"),
    "discount_type": ("text", "type"),
    "redemptions": _REDEMPTIONS,
    "reversed_redemptions": _REDEMPTIONS,
    "fully_reversed_redemptions": _REDEMPTIONS,
    "expected_reversed_redemptions": ("estimate", "redemptions, at the others' rate"),
    "points_redeemed": _POINTS,
    "points_reversed": _POINTS,
    "net_points": _POINTS,
    "points_consumed": _POINTS,
    "points_reversed_posted": _POINTS,
    "net_points_posted": _POINTS,
    "net_value": _WORTH,
    "net_value_posted": _WORTH,
    "expected_value": _WORTH,
    "low_value": ("money", "in money, 95 % from"),
    "high_value": ("money", "in money, 95 % to"),
    "opening_points": _POINTS,
    "closing_points": _POINTS,
    "reversed_of_other_periods": _POINTS,
    "reversed_in_other_periods": _POINTS,
    "compared_with": ("text", "first day of a period"),
    "redemptions_before": _REDEMPTIONS,
    "redemptions_after": ("count", "redemptions of the period"),
    "rate_before": _OF_REDEMPTIONS,
    "rate_after": ("share", "of redemptions of the period"),
    "change": ("share", "difference of shares"),
    "points_reversal_rate": ("share", "of points"),
    "redemption_reversal_rate": _OF_REDEMPTIONS,
    "full_reversal_rate": _OF_REDEMPTIONS,
    "cumulative_rate": _OF_REDEMPTIONS,
    "ci_low": ("share", "95 % from"),
    "ci_high": ("share", "95 % to"),
    "redemption_bills": ("count", "distinct transactions"),
    "redeemers": _CUSTOMERS,
    "coupon_redeemers": _CUSTOMERS,
    "coupons_redeemed": _COUPONS,
    "codes": ("count", "distinct codes"),
    "discount_value": _MONEY,
    "amount_off": _MONEY,
    "percent_off": ("percent", "percent"),
    "day": ("count", "days since redemption"),
    "at_risk": _REDEMPTIONS,
    "reversed": _REDEMPTIONS,
    "open_redemptions": _REDEMPTIONS,
    "open_points": _POINTS,
    "expected_points": ("estimate", "points"),
    "low": ("estimate", "points, 95 % from"),
    "high": ("estimate", "points, 95 % to"),
    "p_value": ("small", "probability"),
    "q_value": ("small", "false alarms"),
    "mean_age_days": ("days", "days"),
    "check": ("text", "check"),
    "severity": ("text", "how bad"),
    "count": ("count", "cases"),
    "example": ("text", "one case"),
    "element": ("text", "kind"),
    "seen": _ELEMENTS,
    "loaded": _ELEMENTS,
    "merged": _ELEMENTS,
    "rejected": _ELEMENTS,
    "passed_over": _ELEMENTS,
    "source": ("text", "file"),
    "record": ("code", "of the file"),
    "line": ("code", "of the file"),
    "path": ("text", "within the record"),
    "reason": ("text", "why"),
    "exported_at": ("text", "time"),
    "responses": ("count", "answers"),
}
