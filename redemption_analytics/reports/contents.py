"""What a report holds: one frame for each Parquet file."""

from __future__ import annotations

from datetime import datetime
from typing import TYPE_CHECKING, Any

from redemption_analytics.audits import audit
from redemption_analytics.metrics import (
    coupon_performance,
    coupon_summary,
    expected_reversals,
    kpis,
    net_points,
    programs,
    reversal_curve,
    reversal_outliers,
    reversal_rates,
    source_flows,
    stores,
    tills,
)
from redemption_analytics.options import Period
from redemption_analytics.tables.lazy import frame, native

if TYPE_CHECKING:
    from redemption_analytics.redemptions import Redemptions

#: What net points and reversal rates are reported by, beside the period: file name and column.
CUTS = {"program": "program_id", "store": "store_code", "till": "till_code"}

#: How long after a redemption its reversals count where rates are compared.
SETTLED = "30D"


def contents(
    r: Redemptions, known: Redemptions, period: Period, as_of: datetime | None
) -> dict[str, Any]:
    """Compute what a report holds, by the names of its files.

    Parameters
    ----------
    r
        All that was loaded, which the audit is about.
    known
        The same as it was known at ``as_of``, which the numbers are about.
    period
        The grain of time.
    as_of
        The moment; None for now.
    """
    found: dict[str, Any] = {}
    for suffix, columns in [("", [])] + [(f"_by_{name}", [cut]) for name, cut in CUTS.items()]:
        by = [*columns, period]
        found[f"net_points{suffix}"] = net_points(known, by)
        found[f"reversal_rates{suffix}"] = reversal_rates(known, by, as_of=as_of)
    found["reversal_rates_settled_by_program"] = reversal_rates(
        known, "program_id", within=SETTLED, as_of=as_of
    )
    found["net_points_posted"] = net_points(known, period, basis="event")
    found["kpis"] = kpis(known, period)
    found["coupon_summary"] = coupon_summary(known, period)
    found["coupon_performance"] = coupon_performance(known, period)
    for suffix, by in (("", []), ("_by_program", ["program_id"])):
        found[f"reversal_curve{suffix}"] = reversal_curve(known, by, as_of=as_of)
        found[f"expected_reversals{suffix}"] = expected_reversals(known, by, as_of=as_of)
    found["reversal_outliers"] = reversal_outliers(known, as_of=as_of)
    found["source_flows"] = source_flows(known)
    found |= {"programs": programs(known), "stores": stores(known), "tills": tills(known)}
    # Reports are passed on: what was refused is named by its place, its text stays with the data.
    rejects = native(frame(r.rejects).drop("raw"))
    return found | {"audit": audit(r, as_of), "ledger": r.ledger, "rejects": rejects}
