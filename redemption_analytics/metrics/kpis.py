"""Key figures under the names of the vendor's dashboards, points beside coupons."""

from __future__ import annotations

from typing import TYPE_CHECKING

import narwhals as nw

from redemption_analytics.metrics.computed import as_given
from redemption_analytics.metrics.coupons import coupons
from redemption_analytics.metrics.grouping import By, names
from redemption_analytics.metrics.net import with_net_points
from redemption_analytics.metrics.sums import combined, counted, distinct, summed
from redemption_analytics.tables.arguments import public
from redemption_analytics.tables.attribution import postings
from redemption_analytics.tables.dimensions import COUPON_DIMENSIONS, DIMENSIONS
from redemption_analytics.tables.lazy import FrameT
from redemption_analytics.tables.movements import Movements
from redemption_analytics.tables.points import check_sums

if TYPE_CHECKING:
    from redemption_analytics.redemptions import Redemptions

#: What tells one transaction from another by its number.
TRANSACTION = ("customer_key", "store_code", "transaction_number")


@public
def kpis(r: Redemptions[FrameT], by: By = ()) -> FrameT:
    """Return the key figures of points and coupon redemptions that the vendor's dashboards show.

    Parameters
    ----------
    r
        The bundle.
    by
        As in :func:`redemption_analytics.net_points`; periods are those of the redemption. Coupon
        redemptions have no program_id and no redemption_purpose: by these they stand in the null
        group. "custom:NAME" is the custom field of the points redemption for points, that of the
        coupon redemption for coupons.

    Returns
    -------
    frame
        Of the kind that the bundle holds. The columns of ``by``, then

        - points_redeemed (points),
        - redemption_bills (distinct transactions with a points redemption, see below),
        - redeemers (distinct customers who redeemed points),
        - coupons_redeemed (coupon redemptions),
        - coupon_redeemers (distinct customers who redeemed a coupon),
        - net_points (points), what was redeemed less what was reversed of it, as
          :func:`redemption_analytics.net_points` has it on basis "redemption".

        points_redeemed, net_points and coupons_redeemed summed over any ``by`` equal the totals
        exactly. The others count distinct things, of which one may be in several groups.

    Raises
    ------
    UsageError
        If ``by`` is not one of those named.

    Notes
    -----
    A transaction is what customer_key, store_code and transaction_number name together. The number
    alone does not: how far it is unique (organisation, store, till, some days) is a setting of the
    organisation, so one number in two stores, or of two customers, counts as two transactions.
    Where the number is missing, bill_id names the transaction, which the vendor makes unique. A
    redemption with neither (points given to a friend, say) belongs to no transaction, and counts in
    no bill: there may be fewer bills than redeemers. By program, points follow the breakups, and
    redeemers and bills count in every program that their redemptions drew on.

    The names are those of the vendor's Insights+; what bill_id and the number are tells its "Bill
    Lineitems - Fact Table" (support.capillarytech.com, article 4000120262).

    Examples
    --------
    >>> import redemption_analytics as ra
    >>> r = ra.load("data_samples/2025-stores.json")
    >>> ra.kpis(r, by="store_code").T
                          0      1
    store_code        north  south
    points_redeemed     250    100
    redemption_bills      1      0
    redeemers             1      1
    coupons_redeemed      2      0
    coupon_redeemers      1      0
    net_points            0    100
    """
    groups = names(by, custom_of=r, kinds=("points", "coupon"))
    check_sums(r.point_sums)
    rows = postings(
        Movements.of(r.tables, groups), list(dict.fromkeys([*groups, *TRANSACTION, "bill_id"]))
    )
    drew = rows.filter(nw.col("redemptions") > 0)
    unnumbered = drew.filter(nw.col("transaction_number").is_null())
    shared = [name for name in groups if name in COUPON_DIMENSIONS or name not in DIMENSIONS]
    redeemed = coupons(r, shared)
    parts = [
        summed(rows, groups, ["points_redeemed", "points_reversed"], ordered=False),
        distinct(drew, groups, TRANSACTION, "redemption_bills"),
        distinct(unnumbered, groups, ["bill_id"], "redemption_bills"),
        distinct(drew, groups, ["customer_key"], "redeemers"),
        counted(redeemed, shared, "coupons_redeemed"),
        distinct(redeemed, shared, ["customer_key"], "coupon_redeemers"),
    ]
    columns = [
        "points_redeemed",
        "redemption_bills",
        "redeemers",
        "coupons_redeemed",
        "coupon_redeemers",
    ]
    totals = with_net_points(combined(parts, groups, [*columns, "points_reversed"]))
    return as_given(r, totals.select(*groups, *columns, "net_points"))
