"""Coupon redemptions: how many, by whom, of which codes, and what they took off."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import narwhals as nw

from redemption_analytics.metrics.grouping import By, names
from redemption_analytics.metrics.sums import combined, counted, distinct, summed
from redemption_analytics.options import PERIODS
from redemption_analytics.tables.arguments import public
from redemption_analytics.tables.custom_fields import with_custom_fields
from redemption_analytics.tables.dimensions import COUPON_DIMENSIONS
from redemption_analytics.tables.lazy import Frame, frame, native
from redemption_analytics.tables.periods import periods

if TYPE_CHECKING:
    from collections.abc import Sequence

    from redemption_analytics.redemptions import Redemptions

#: Discount types whose value is an amount of money, not a percentage.
AMOUNT_TYPES = ("FLAT", "ABS")


@public
def coupon_summary(r: Redemptions, by: By = ()) -> Any:
    """Count coupon redemptions, the customers and the codes in them, and add up what they took off.

    Parameters
    ----------
    r
        The bundle.
    by
        A name or list of customer_key, store_code, till_code, series_id, discount_type, code, day,
        week, month, quarter, year, and "custom:NAME", the value of that custom field of the coupon
        redemption (null where it has none). Without any, one row of totals.

    Returns
    -------
    frame
        Of the kind that the bundle holds. The columns of ``by``, then coupons_redeemed (coupon
        redemptions), redeemers (distinct customers), codes (distinct coupon codes) and
        discount_value (money, to three places). Redemptions of nobody known and without a code
        count in coupons_redeemed only. coupons_redeemed and discount_value add up to the totals;
        a customer or a code may be in several groups.

    Raises
    ------
    UsageError
        If ``by`` is not one of those named: coupon redemptions have no program_id and no
        redemption_purpose.

    Notes
    -----
    discount_value is the sum over the types FLAT and ABS: the value of PERC is a percentage, and
    what that of an unknown type is, nobody knows. Editions of the API before 2025 do not tell the
    value, so their coupons add nothing.

    Examples
    --------
    >>> import redemption_analytics as ra
    >>> r = ra.load("data_samples/2025-stores.json")
    >>> ra.coupon_summary(r, by=["series_id", "month"])
       series_id      month  coupons_redeemed  redeemers  codes  discount_value
    0     689078 2025-02-01                 2          1      2          1000.0
    """
    groups = names(by, (*COUPON_DIMENSIONS, *PERIODS), custom_of=r, kinds=("coupon",))
    rows = coupons(r, groups)
    money = nw.when(nw.col("discount_type").is_in(AMOUNT_TYPES)).then(nw.col("discount_value"))
    parts = [
        counted(rows, groups, "coupons_redeemed"),
        distinct(rows, groups, ["customer_key"], "redeemers"),
        distinct(rows, groups, ["code"], "codes"),
        summed(rows.with_columns(discount_value=money), groups, ["discount_value"], ordered=False),
    ]
    columns = ["coupons_redeemed", "redeemers", "codes", "discount_value"]
    return native(combined(parts, groups, columns))


def coupons(r: Redemptions, by: Sequence[str]) -> Frame:
    """Return the coupon redemptions, with the periods and custom fields that ``by`` names."""
    rows = with_custom_fields(frame(r.coupons), frame(r.custom_fields), "coupon", by)
    times = periods("redeemed_time", by)
    return rows.with_columns(**times) if times else rows
