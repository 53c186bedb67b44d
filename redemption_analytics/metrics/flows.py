"""Flows of points: where they were earned against where they were burnt."""

from __future__ import annotations

from typing import TYPE_CHECKING

import narwhals as nw

from redemption_analytics.metrics.computed import as_given
from redemption_analytics.metrics.sums import as_float, combined, summed
from redemption_analytics.tables.arguments import public
from redemption_analytics.tables.lazy import Frame, FrameT, frame
from redemption_analytics.tables.points import check_sums
from redemption_analytics.tables.times import with_elapsed

if TYPE_CHECKING:
    from redemption_analytics.redemptions import Redemptions

_DAY = 86_400  # in seconds
_SECOND = 1_000_000  # in microseconds

#: Points are weighed in parts of six digits, so that no product of them with time, and no sum of
#: these, leaves the whole numbers of 64 bits.
_PARTS = (1, 10**6, 10**12)

#: Points whose age is known; by part, the sums of points times days, and times seconds of a day.
_DAYS, _SECONDS = ([f"{name}_{part}" for part in _PARTS] for name in ("days", "seconds"))
_AGES = ("aged_points", *_DAYS, *_SECONDS)


@public
def source_flows(r: Redemptions[FrameT]) -> FrameT:
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
    check_sums(r.point_sums)
    homes = frame(r.points).select("redemption_key", "store_code", "redeemed_time")
    rows = frame(r.source_breakups).join(homes, on="redemption_key", how="left")
    stores = ["source_store_code", "store_code"]
    consumed = summed(rows, stores, ["points_consumed"], ordered=False)
    totals = combined([consumed, _ages(rows, stores)], stores, ["points_consumed", *_AGES])
    days, seconds = (
        nw.sum_horizontal(
            *(as_float(nw.col(name)) * part for name, part in zip(of, _PARTS, strict=True))
        )
        for of in (_DAYS, _SECONDS)
    )
    totals = totals.with_columns(
        _weight=as_float(nw.col("aged_points")), _days=days, _seconds=seconds
    )
    weight = nw.col("_weight")
    mean = nw.when(weight > 0).then(nw.col("_days") / weight + nw.col("_seconds") / weight / _DAY)
    return as_given(r, totals.select(*stores, "points_consumed", mean_age_days=mean))


def _ages(rows: Frame, by: list[str]) -> Frame:
    times = ~nw.col("awarding_date").is_null() & ~nw.col("redeemed_time").is_null()
    # Whole numbers add up to the same in whatever order an engine takes them.
    known = with_elapsed(rows.filter(times), "_age", "awarding_date", "redeemed_time")
    known = known.with_columns(_age=(nw.col("_age") // _SECOND).cast(nw.Int64))
    known = known.with_columns(
        aged_points=nw.col("points_consumed"), _days=(nw.col("_age") // _DAY).cast(nw.Int64)
    )
    known = known.with_columns(_seconds=nw.col("_age") - nw.col("_days") * _DAY)
    known = known.with_columns(_left=nw.col("points_consumed"))
    left, here = nw.col("_left"), nw.col("_here")
    whole = known.collect_schema()["points_consumed"].is_integer()
    for part, days, seconds in reversed(list(zip(_PARTS, _DAYS, _SECONDS, strict=True))):
        # What an engine rounds in dividing is left for the next part.
        taken = (left // part).cast(nw.Int64) if part > 1 else left
        if part > 1 and not whole:
            taken = left * 0
        known = known.with_columns(_here=taken).with_columns(
            (here * nw.col("_days")).alias(days),
            (here * nw.col("_seconds")).alias(seconds),
            _left=left - here * part,
        )
    return summed(known, by, _AGES, ordered=False)
