"""Outliers: where more redemptions are reversed than chance explains."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import narwhals as nw
import pyarrow as pa

from redemption_analytics.errors import UsageError
from redemption_analytics.loading.option_checks import count
from redemption_analytics.metrics.excess import excess
from redemption_analytics.metrics.grouping import By, names
from redemption_analytics.metrics.rates import reversed_counts
from redemption_analytics.moments import Moment
from redemption_analytics.tables.arguments import public
from redemption_analytics.tables.frames import frame_like
from redemption_analytics.tables.lazy import FrameT, native
from redemption_analytics.tables.movements import Movements
from redemption_analytics.tables.now import moment_or_now
from redemption_analytics.tables.points import check_sums

if TYPE_CHECKING:
    from redemption_analytics.redemptions import Redemptions


#: A q_value below which a group stands out.
SIGNIFICANT = 0.01


#: Of how many redemptions a group is large enough to stand out.
MIN_REDEMPTIONS = 10


@public
def reversal_outliers(
    r: Redemptions[FrameT],
    by: By = "till_code",
    as_of: Moment | None = None,
    min_redemptions: int = MIN_REDEMPTIONS,
) -> FrameT:
    """Test which groups reverse more of their redemptions than the others do.

    Parameters
    ----------
    r
        The bundle.
    by
        As in :func:`redemption_analytics.net_points`, at least one name; periods are those of the
        redemption. Tills are those of the redemption too, not those where it was reversed.
    as_of
        A moment, wall-clock, of which a date means all of that day and a month all of it: what
        happened later is not seen. By default now (:attr:`redemption_analytics.Redemptions.now`),
        when the newest export was made.
    min_redemptions
        A group with fewer redemptions has no q_value, and so cannot stand out: whoever was unlucky
        in a handful of redemptions should not be asked about them.

    Returns
    -------
    frame
        Of the kind that the bundle holds, the least likely group first, those without a q_value
        last. The columns of ``by``, then

        - redemptions and reversed_redemptions (counts), as
          :func:`redemption_analytics.reversal_rates` has them,
        - expected_reversed_redemptions: how many there would be at the rate of all other groups,
        - p_value: the probability of so many or more, if this group is one like the others,
        - q_value: the share of false alarms to expect in a list of all groups down to this one,
          among those with at least ``min_redemptions``; null for smaller ones.

        The last three are null where there is nothing to compare: a group without redemptions or
        without others, and by program the null program where it only takes points back.

    Raises
    ------
    UsageError
        If ``by`` is not one of those named, or names nothing, ``as_of`` is no moment, or
        ``min_redemptions`` is no whole number of 1 or more.

    Notes
    -----
    Three things make a till differ from the others, and p_value allows for all of them. Its own
    redemptions are few. So may be those of the others: their rate is an estimate. And tills differ
    by nature, as a returns desk does from a fuel pump, so that an honest one may be further from
    the mean than chance would take it; a test that does not know this accuses more honest tills the
    more redemptions they have.

    p_value is P(X >= k) for X beta-binomial. With r of m redemptions of the others reversed, the
    rate has the beta distribution of parameters r + 1 and m - r, and then this is R. A. Fisher's
    exact test, to the last place ("Statistical Methods for Research Workers", 1934; the others'
    (r + 1)th reversal is where so many of the group's may lie before it). What tills differ in by
    nature is added to its variance: the correlation of two redemptions at one till is estimated
    from the others, each group's deviation in terms of its own variance (R. C. Paule and J. Mandel,
    1982), and its upper 95 % confidence limit taken (W. Viechtbauer, "Confidence intervals for the
    amount of heterogeneity in meta-analysis", Statistics in Medicine 26, 2007). Few others do not
    tell how much they differ: up to ten or so the limit is held to a standard deviation of half
    the mean rate, unless they themselves differ more. With one other group there is nothing to tell
    it from, so that p_value is Fisher's. Groups far above the others count no further than two and
    a half deviations, so that several bad tills do not hide one another, up to some tenth of all.

    q_value is the false discovery rate of Y. Benjamini and Y. Hochberg, "Controlling the false
    discovery rate" (JRSS B 57, 1995). ``benchmarks/outliers.py`` simulates lists of 3 to 200 tills
    of which none is bad. Below 0.01 a list names somebody in at most one of a hundred, as promised,
    where tills are alike, or their rates have a beta distribution with a standard deviation of a
    third of the mean; in 1 to 2 of a hundred where that is half the mean. Where rates are skewed
    the promise does not hold: log-normal ones give 1 to 3 of a hundred at a third and, at half, 1
    to 12, the more the more tills there are. A till many times the mean does stand out, and is a
    reason to ask, not a verdict. Fisher's test alone would name somebody in most lists.

    Recent redemptions, whose reversals are still to come, count as not reversed in every group. The
    test runs at once, on lazy frames too.

    Examples
    --------
    >>> import redemption_analytics as ra
    >>> r = ra.load("data_samples/organisation")
    >>> tills = ra.reversal_outliers(r)
    >>> tills.loc[tills["q_value"] < 0.01, ["till_code", "redemptions", "reversed_redemptions"]]
           till_code  redemptions  reversed_redemptions
    0  station.till2          886                   270
    """
    groups = names(by, custom_of=r)
    if not groups:
        raise UsageError("by names what is held against the others: 'till_code', say")
    least = count("min_redemptions", min_redemptions)
    columns = [*groups, "redemptions", "reversed_redemptions"]
    check_sums(r.point_sums)
    moved = Movements.of(r.tables, groups).seen_by(moment_or_now(as_of, r.now), None)
    totals = reversed_counts(moved, groups).select(*columns)
    lazy = isinstance(totals, nw.LazyFrame)
    collected: Any = totals.collect() if lazy else totals
    # By way of native, for an index of its own: the columns to come have none.
    rows: Any = nw.from_native(native(collected))
    tests = excess(rows["redemptions"].to_list(), rows["reversed_redemptions"].to_list(), least)
    measures = nw.from_arrow(pa.table(tests), backend=rows.implementation)
    outliers = rows.with_columns(*measures.iter_columns()).with_columns(
        _small=nw.col("q_value").is_null()
    )
    outliers = outliers.sort("_small", "p_value", *groups, nulls_last=True).drop("_small")
    found: FrameT = frame_like(r.points, outliers.to_arrow()) if lazy else native(outliers)
    return found


def stands_out(row: Mapping[str, Any]) -> bool:
    """Check whether a row of the outliers is one to look at."""
    q_value = row["q_value"]
    return q_value is not None and bool(q_value < SIGNIFICANT)
