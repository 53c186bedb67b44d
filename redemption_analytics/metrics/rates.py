"""Reversal rates: which share of redemptions, and of points, came back."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import narwhals as nw

from redemption_analytics.metrics.computed import as_given
from redemption_analytics.metrics.grouping import By, names
from redemption_analytics.metrics.inference import with_wilson
from redemption_analytics.metrics.sums import summed
from redemption_analytics.moments import Moment, Span, span
from redemption_analytics.tables.arguments import public
from redemption_analytics.tables.attribution import AMOUNTS, postings
from redemption_analytics.tables.lazy import Frame, FrameT
from redemption_analytics.tables.movements import Movements
from redemption_analytics.tables.now import moment_or_now
from redemption_analytics.tables.points import check_sums

if TYPE_CHECKING:
    from redemption_analytics.redemptions import Redemptions


@public
def reversal_rates(
    r: Redemptions[FrameT],
    by: By = (),
    within: Span | None = None,
    as_of: Moment | None = None,
) -> FrameT:
    """Measure which share of redemptions and of points was reversed.

    Parameters
    ----------
    r
        The bundle.
    by
        As in :func:`redemption_analytics.net_points`; periods are those of the redemption.
    within
        A span, a timedelta or text with its unit such as ``"30D"``, ``"4W"`` or ``"36h"``: only
        reversals up to so long after their redemption count, and only redemptions at least so much
        older than ``as_of``, so that recent months do not look better than they are. Where a time
        is missing, neither can be said, and it does not count.
    as_of
        A moment, wall-clock, of which a date means all of that day and a month all of it: what
        happened later is not seen. By default now (:attr:`redemption_analytics.Redemptions.now`),
        when the newest export was made.

    Returns
    -------
    frame
        Of the kind that the bundle holds. The columns of ``by``, then redemptions,
        reversed_redemptions and fully_reversed_redemptions (counts), points_redeemed and
        points_reversed (points), points_reversal_rate, redemption_reversal_rate and
        full_reversal_rate (shares; null where there is nothing to divide by), and ci_low and
        ci_high, the 95 % interval of redemption_reversal_rate.

    Raises
    ------
    UsageError
        If ``by``, ``within`` or ``as_of`` makes no sense.

    Notes
    -----
    The interval is Wilson's score interval (E. B. Wilson, "Probable inference, the law of
    succession, and statistical inference", JASA 22, 1927). By program, a redemption counts as
    reversed in the programs whose points came back; where these are points of which no program is
    known, that is the null program, even if no redemption drew on it.

    Examples
    --------
    >>> import redemption_analytics as ra
    >>> r = ra.load("data_samples/2025-stores.json")
    >>> rates = ra.reversal_rates(r, by="store_code", within="30D", as_of="2025-06-30")
    >>> rates[["store_code", "redemptions", "points_reversal_rate"]]
      store_code  redemptions  points_reversal_rate
    0      north            1                   1.0
    1      south            1                   0.0
    """
    groups = names(by, custom_of=r)
    limit = None if within is None else span(within, "within")
    check_sums(r.point_sums)
    moved = Movements.of(r.tables, groups).seen_by(moment_or_now(as_of, r.now), limit)
    rates = reversed_counts(moved, groups).with_columns(
        points_reversal_rate=share("points_reversed", "points_redeemed"),
        redemption_reversal_rate=share("reversed_redemptions", "redemptions"),
        full_reversal_rate=share("fully_reversed_redemptions", "redemptions"),
    )
    return as_given(r, with_wilson(rates, "reversed_redemptions", "redemptions"))


def reversed_counts(moved: Movements, by: Sequence[str]) -> Frame:
    """Count redemptions, and those of them that were reversed at all and in full; add up points."""
    units = summed(postings(moved, by), ["redemption_key", *by], AMOUNTS, ordered=False)
    back, out = nw.col("points_reversed"), nw.col("points_redeemed")
    counts = units.with_columns(
        reversed_redemptions=_count(back > 0),
        fully_reversed_redemptions=_count((back > 0) & (back >= out)),
    )
    columns = [
        "redemptions",
        "reversed_redemptions",
        "fully_reversed_redemptions",
        "points_redeemed",
        "points_reversed",
    ]
    return summed(counts, by, columns)


def share(part: str, whole: str) -> nw.Expr:
    """Divide; null where there is nothing to divide by."""
    return nw.when(nw.col(whole) > 0).then(nw.col(part) / nw.col(whole))


def _count(holds: nw.Expr) -> nw.Expr:
    return nw.when(holds).then(nw.lit(1)).otherwise(nw.lit(0)).cast(nw.Int64)
