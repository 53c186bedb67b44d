"""Flows of points: where they were earned against where they were burnt."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import narwhals as nw

from redemption_analytics.metrics.grouping import Frame, combined, frame, native, summed
from redemption_analytics.usage import public

if TYPE_CHECKING:
    from redemption_analytics.redemptions import Redemptions

_DAY = 86_400  # in seconds

#: Points whose age is known, and the sum of their points times seconds.
_AGES = ("aged_points", "points_seconds")


@public
def source_flows(r: Redemptions) -> Any:
    """Add up points by the store that awarded them and the store that took them.

    Parameters
    ----------
    r
        The bundle. Its source_breakups tell where points came from: the API gives them since
        December 2025, where asked to.

    Returns
    -------
    frame
        Of the kind that the bundle holds, one row per pair of stores that points flowed between:
        source_store_code (where they were awarded), store_code (where they were redeemed), either
        null where it is not known; points_consumed (points); mean_age_days, the mean of the days
        from awarding_date to redeemed_time, with their fractions, each weighted by its points; null
        where that is known of no points.

    Notes
    -----
    mean_age_days is the sum of points times age over the sum of points, both over those batches
    whose two times are known; points_consumed has the others too. Times count to the second. An
    award after its redemption has a negative age, and lowers the mean. Points that were reversed
    later are in: a reversal does not say which batches it gives back. Redemptions without a source
    breakup are in no flow, so points_consumed is not all that was redeemed.

    Examples
    --------
    >>> import redemption_analytics as ra
    >>> r = ra.load("data_samples/2025-sources.json")
    >>> ra.source_flows(r).round(2)
      source_store_code store_code  points_consumed  mean_age_days
    0             north       main                8          52.73
    """
    homes = frame(r.points).select("redemption_key", "store_code", "redeemed_time")
    rows = frame(r.source_breakups).join(homes, on="redemption_key", how="left")
    stores = ["source_store_code", "store_code"]
    consumed = summed(rows, stores, ["points_consumed"], ordered=False)
    totals = combined([consumed, _ages(rows, stores)], stores, ["points_consumed", *_AGES])
    mean = nw.when(nw.col("aged_points") > 0).then(
        nw.col("points_seconds") / nw.col("aged_points") / _DAY
    )
    return native(totals.select(*stores, "points_consumed", mean_age_days=mean))


def _ages(rows: Frame, by: list[str]) -> Frame:
    times = ~nw.col("awarding_date").is_null() & ~nw.col("redeemed_time").is_null()
    seconds = (nw.col("redeemed_time") - nw.col("awarding_date")).dt.total_seconds()
    # Whole seconds add up to the same number in whatever order an engine takes them.
    known = rows.filter(times).with_columns(
        aged_points=nw.col("points_consumed"),
        points_seconds=nw.col("points_consumed") * seconds.cast(nw.Int64),
    )
    return summed(known, by, _AGES, ordered=False)
