"""What a report holds: one frame for each Parquet file."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime
from functools import partial
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
) -> dict[str, Callable[[], Any]]:
    """Return what computes what a report holds, by the names of its files.

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
    found: dict[str, Callable[[], Any]] = {}
    for suffix, columns in [("", [])] + [(f"_by_{name}", [cut]) for name, cut in CUTS.items()]:
        by = [*columns, period]
        found[f"net_points{suffix}"] = partial(net_points, known, by)
        found[f"reversal_rates{suffix}"] = partial(reversal_rates, known, by, as_of=as_of)
    found["reversal_rates_settled_by_program"] = partial(
        reversal_rates, known, "program_id", within=SETTLED, as_of=as_of
    )
    found["net_points_posted"] = partial(net_points, known, period, basis="event")
    found["kpis"] = partial(kpis, known, period)
    found["coupon_summary"] = partial(coupon_summary, known, period)
    found["coupon_performance"] = partial(coupon_performance, known, period)
    for suffix, by in (("", []), ("_by_program", ["program_id"])):
        found[f"reversal_curve{suffix}"] = partial(reversal_curve, known, by, as_of=as_of)
        found[f"expected_reversals{suffix}"] = partial(expected_reversals, known, by, as_of=as_of)
    found["reversal_outliers"] = partial(reversal_outliers, known, as_of=as_of)
    for function in (source_flows, programs, stores, tills):
        found[function.__name__] = partial(function, known)
    found["audit"] = partial(audit, r, as_of)
    found["ledger"] = lambda: r.ledger
    # Reports are passed on: what was refused is named by its place, its text stays with the data.
    found["rejects"] = lambda: native(frame(r.rejects).drop("raw"))
    return found
