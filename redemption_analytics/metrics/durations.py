"""Durations: how long after a redemption its points came back."""

from __future__ import annotations

from typing import TYPE_CHECKING

import narwhals as nw

from redemption_analytics.metrics.at_risk import DAY, units_and_reversals, watched
from redemption_analytics.metrics.grouping import By, names
from redemption_analytics.moments import Moment
from redemption_analytics.tables.arguments import public
from redemption_analytics.tables.frames import as_arrow, is_pyarrow
from redemption_analytics.tables.lazy import FrameT, native
from redemption_analytics.tables.now import moment_or_now

if TYPE_CHECKING:
    from redemption_analytics.redemptions import Redemptions


@public
def time_to_reversal(r: Redemptions[FrameT], by: By = (), as_of: Moment | None = None) -> FrameT:
    """Measure how long after their redemption reversals come.

    Parameters
    ----------
    r
        The bundle.
    by
        As in :func:`redemption_analytics.net_points`; periods are those of the redemption.
    as_of
        A moment, wall-clock, of which a date means all of that day and a month all of it: what
        happened later is not seen. By default now (:attr:`redemption_analytics.Redemptions.now`),
        when the newest export was made.

    Returns
    -------
    frame
        Of the kind that the bundle holds. The columns of ``by``, then reversals (count), mean_days,
        median_days and p90_days: mean, median and 90th percentile of the days, with their
        fractions, from a redemption to its reversal; null where there is no reversal.

    Raises
    ------
    UsageError
        If ``by`` is not one of those named, or ``as_of`` is no moment.

    Notes
    -----
    Only what came back is measured: recent redemptions whose reversals are still to come make it
    look faster than it is, which :func:`redemption_analytics.reversal_curve` does not. Each part of
    a redemption that is reversed in parts counts. Left out are reversals without a time, of
    redemptions without one, and of no points. A reversal before its redemption counts as 0 days. By
    program, a reversal counts in every program that it gave points back to.

    Percentiles are interpolated linearly (definition 7 in R. J. Hyndman and Y. Fan, "Sample
    quantiles in statistical packages", The American Statistician 50, 1996; NumPy's default).

    Examples
    --------
    >>> import redemption_analytics as ra
    >>> r = ra.load("data_samples/2025-stores.json")
    >>> ra.time_to_reversal(r, by="store_code").round(2)
      store_code  reversals  mean_days  median_days  p90_days
    0      north          1       3.08         3.08      3.08
    """
    groups = names(by, custom_of=r)
    _, backs = units_and_reversals(watched(r, groups, moment_or_now(as_of, r.now)), groups)
    days = nw.col("elapsed") / DAY
    rows = backs.filter(~nw.col("elapsed").is_null()).with_columns(
        days=nw.when(days > 0).then(days).otherwise(nw.lit(0.0))
    )
    measures = {
        "reversals": nw.col("days").count(),
        "mean_days": nw.col("days").mean(),
        "median_days": nw.col("days").quantile(0.5, interpolation="linear"),
        "p90_days": nw.col("days").quantile(0.9, interpolation="linear"),
    }
    if groups:
        totals = rows.group_by(*groups).agg(**measures).sort(*groups, nulls_last=True)
    else:
        totals = rows.select(**measures)
    totals = totals.with_columns(reversals=nw.col("reversals").cast(nw.Int64))
    found: FrameT = as_arrow(totals.to_native()) if is_pyarrow(r.points) else native(totals)
    return found
