"""Net points: what was redeemed, less what came back."""

from __future__ import annotations

from typing import TYPE_CHECKING

import narwhals as nw

from redemption_analytics.errors import refused
from redemption_analytics.metrics.computed import as_given
from redemption_analytics.metrics.grouping import By, names
from redemption_analytics.metrics.sums import summed
from redemption_analytics.tables.arguments import public
from redemption_analytics.tables.attribution import AMOUNTS, Basis, postings
from redemption_analytics.tables.lazy import Frame, FrameT
from redemption_analytics.tables.movements import Movements
from redemption_analytics.tables.points import check_sums, rounded

if TYPE_CHECKING:
    from redemption_analytics.redemptions import Redemptions


@public
def net_points(r: Redemptions[FrameT], by: By = (), basis: Basis = "redemption") -> FrameT:
    """Add up points redeemed and points reversed, and take one from the other.

    Parameters
    ----------
    r
        The bundle.
    by
        A name or list of customer_key, program_id, store_code, till_code, redemption_purpose,
        day, week, month, quarter, year, and "custom:NAME", the value of that custom field of the
        redemption (null where it has none). Without any, one row of totals. A period is named by
        its first day, and weeks begin on Monday.
    basis
        ``"redemption"`` books a reversal in the period of its redemption (cohort); ``"event"`` in
        the period when it happened (posting).

    Returns
    -------
    frame
        Of the kind that the bundle holds. The columns of ``by``, then redemptions (count),
        points_redeemed, points_reversed and net_points (points). Points summed over any ``by``
        equal the total exactly. By program a redemption counts in every program that it drew on,
        so there only its points add up.

    Raises
    ------
    UsageError
        If ``by`` or ``basis`` is not one of those named, or no points redemption of the bundle (of
        the whole one, where it was filtered) has the custom field.

    Notes
    -----
    By program, breakups say how much each program has. What they leave unexplained belongs to the
    redemption's only program, and to the null program where it has several.

    Examples
    --------
    >>> import redemption_analytics as ra
    >>> r = ra.load("data_samples/2020-breakups.json")
    >>> ra.net_points(r, by="program_id")
       program_id  redemptions  points_redeemed  points_reversed  net_points
    0         469            1               60               15          45
    1        1234            2               60                5          55
    2        <NA>            0                0               10         -10
    """
    if basis not in ("redemption", "event"):
        raise refused("basis", "'redemption' or 'event'", basis)
    groups = names(by, custom_of=r)
    check_sums(r.point_sums)
    rows = postings(Movements.of(r.tables, groups), groups, basis)
    return as_given(r, with_net_points(summed(rows, groups, AMOUNTS)))


def with_net_points(totals: Frame) -> Frame:
    """Add a column: points redeemed less points reversed."""
    net = nw.col("points_redeemed") - nw.col("points_reversed")
    kind = totals.collect_schema()["points_redeemed"]
    return totals.with_columns(net_points=rounded(net, kind))
