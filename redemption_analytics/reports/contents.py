"""What a report holds: one frame for each Parquet file."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime
from functools import partial
from typing import TYPE_CHECKING, Any

import pyarrow as pa

from redemption_analytics.audits import audit
from redemption_analytics.metrics import (
    compare_rates,
    coupon_performance,
    coupon_summary,
    expected_reversals,
    kpis,
    net_points,
    programs,
    reconciliation,
    reversal_curve,
    reversal_outliers,
    reversal_rates,
    source_flows,
    stores,
    tills,
)
from redemption_analytics.options import Period
from redemption_analytics.reports.reported import Reported
from redemption_analytics.tables.frames import as_arrow
from redemption_analytics.tables.lazy import frame, native

if TYPE_CHECKING:
    from redemption_analytics.redemptions import Redemptions

#: What net points and reversal rates are reported by, beside the period: file name and column.
CUTS = {"program": "program_id", "store": "store_code", "till": "till_code"}

#: How long after a redemption its reversals count where rates are compared.
SETTLED = "30D"

#: What tables say on posted basis has names of its own: net_points is one number everywhere.
_POSTED = {"points_reversed": "points_reversed_posted", "net_points": "net_points_posted"}


def contents(
    r: Redemptions, known: Redemptions, about: Reported, as_of: datetime | None
) -> dict[str, Callable[[], Any]]:
    """Return what computes what a report holds, by the names of its files.

    Parameters
    ----------
    r
        All that was loaded, which the audit is about.
    known
        The same as it was known at ``as_of``, which the numbers are about.
    about
        The period that the report is about, and so the grain of time.
    as_of
        The moment; None for now.
    """
    period = about.grain
    found: dict[str, Callable[[], Any]] = {}
    for suffix, columns in [("", [])] + [(f"_by_{name}", [cut]) for name, cut in CUTS.items()]:
        by = [*columns, period]
        found[f"net_points{suffix}"] = partial(net_points, known, by)
        found[f"reversal_rates{suffix}"] = partial(reversal_rates, known, by, as_of=as_of)
    found["reversal_rates_settled_by_program"] = partial(
        reversal_rates, known, "program_id", within=SETTLED, as_of=as_of
    )
    found["net_points_posted"] = partial(_posted, known, period)
    found["reconciliation"] = partial(reconciliation, known, period)
    found["kpis"] = partial(kpis, known, period)
    found["coupon_summary"] = partial(coupon_summary, known, period)
    found["coupon_performance"] = partial(coupon_performance, known, period)
    for suffix, by in (("_by_program", ["program_id"]), ("", [])):
        found[f"reversal_curve{suffix}"] = partial(reversal_curve, known, by, as_of=as_of)
        found[f"expected_reversals{suffix}"] = partial(expected_reversals, known, by, as_of=as_of)
    found["reversal_outliers"] = partial(reversal_outliers, known, as_of=as_of)
    found["source_flows"] = partial(source_flows, known)
    within = known.filter(since=about.start, until=about.last)
    found["reversal_rates_compared"] = partial(_compared, known, about, as_of)
    found["reversal_outliers_of_period"] = partial(reversal_outliers, within, as_of=as_of)
    found["source_flows_of_period"] = partial(source_flows, within)
    for function in (programs, stores, tills):
        found[function.__name__] = partial(function, known)
    found["audit"] = partial(audit, r, as_of)
    found["ledger"] = lambda: r.ledger
    # Reports are passed on: what was refused is named by its place, its text stays with the data.
    found["rejects"] = lambda: native(frame(r.rejects).drop("raw"))
    return found


def _posted(known: Redemptions, period: Period) -> pa.Table:
    """Return net points as they were posted, under names that say so."""
    posted = as_arrow(net_points(known, period, basis="event"))
    return posted.rename_columns([_POSTED.get(name, name) for name in posted.column_names])


def _compared(known: Redemptions, about: Reported, as_of: datetime | None) -> pa.Table:
    """Compare the reversal rate of a period with earlier ones, each as it was at the same age."""
    moment = as_of or datetime.min

    def rates(start: datetime) -> Any:
        age = about.start - start
        chosen = known.filter(since=start, until=about.last_of(start))
        return reversal_rates(chosen, as_of=moment - age)

    here = rates(about.start)
    rows = []
    # Where there is nothing to compare with, it is itself, which leaves no row.
    for start in about.earlier or [about.start]:
        found = as_arrow(compare_rates(rates(start), here))
        column = pa.array([start] * len(found), pa.timestamp("us"))
        rows.append(found.add_column(0, "compared_with", column))
    return pa.concat_tables(rows) if about.earlier else rows[0][:0]
