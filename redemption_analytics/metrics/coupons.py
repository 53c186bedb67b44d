"""Coupon redemptions: how many, by whom, of which codes, and what they took off."""

from __future__ import annotations

from typing import TYPE_CHECKING

import narwhals as nw

from redemption_analytics.metrics.computed import as_given
from redemption_analytics.metrics.grouping import By, names
from redemption_analytics.metrics.sums import combined, counted, distinct, summed
from redemption_analytics.options import PERIODS
from redemption_analytics.tables.arguments import public
from redemption_analytics.tables.custom_fields import with_custom_fields
from redemption_analytics.tables.dimensions import COUPON_DIMENSIONS
from redemption_analytics.tables.lazy import Frame, FrameT, frame
from redemption_analytics.tables.periods import with_periods

if TYPE_CHECKING:
    from collections.abc import Sequence

    from redemption_analytics.redemptions import Redemptions

#: Discount types whose value is an amount of money, not a percentage.
AMOUNT_TYPES = ("FLAT", "ABS")

#: The discount type whose value is a percentage.
PERCENTAGE = "PERC"

_SERIES = ("series_id", "discount_type")


@public
def coupon_summary(r: Redemptions[FrameT], by: By = ()) -> FrameT:
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
    totals = summed(
        rows.with_columns(discount_value=money), groups, ["discount_value"], ordered=False
    )
    return as_given(r, _with_counts(rows, groups, totals, ["discount_value"]))


@public
def coupon_performance(r: Redemptions[FrameT], by: By = ()) -> FrameT:
    """Return how often each coupon series was redeemed, and what it takes off.

    Amounts of money and percentages stand apart: 500 off and 10 % off are not added up.

    Parameters
    ----------
    r
        The bundle.
    by
        What series are divided by: a name or list of customer_key, store_code, till_code, code,
        day, week, month, quarter, year, and "custom:NAME".

    Returns
    -------
    frame
        Of the kind that the bundle holds, a row for each series and discount type: series_id,
        discount_type (``"ABS"``, ``"PERC"`` …) and the columns of ``by``, then coupons_redeemed,
        redeemers and codes as :func:`redemption_analytics.coupon_summary` has them; amount_off
        (money, the sum of what was taken off; null where the type is no amount, or no redemption
        tells its value) and percent_off (percent of the bill, the mean over redemptions that tell
        it: 10.0 is 10 %; null where the type is no percentage).

    Raises
    ------
    UsageError
        If ``by`` is not one of those named.

    Notes
    -----
    What 10 % came to in money the API does not tell. Editions of the API before 2025 do not tell
    the value, so their coupons count, and add nothing.

    Examples
    --------
    >>> import redemption_analytics as ra
    >>> r = ra.load("data_samples/organisation")
    >>> columns = ["series_id", "discount_type", "coupons_redeemed", "amount_off", "percent_off"]
    >>> ra.coupon_performance(r)[columns]
       series_id discount_type  coupons_redeemed  amount_off  percent_off
    0        832          BOGO                 3         NaN          NaN
    1        832          PERC               618         NaN         10.0
    2     689078           ABS               640    320000.0          NaN
    3     689078          BOGO                 1         NaN          NaN
    4     690000           ABS               646     32623.0          NaN
    """
    allowed = [name for name in COUPON_DIMENSIONS if name not in _SERIES]
    groups = [*_SERIES, *names(by, (*allowed, *PERIODS), custom_of=r, kinds=("coupon",))]
    rows = coupons(r, groups)
    value = nw.col("discount_value")
    parts, kinds = [], {"amount": nw.col("discount_type").is_in(AMOUNT_TYPES)}
    kinds["percent"] = nw.col("discount_type") == PERCENTAGE
    for kind, is_one in kinds.items():
        told = rows.filter(is_one & ~value.is_null()).with_columns(value.alias(kind))
        parts += [summed(told, groups, [kind], ordered=False), counted(told, groups, f"n_{kind}")]
    columns = [name for kind in kinds for name in (kind, f"n_{kind}")]
    totals = _with_counts(rows, groups, combined(parts, groups, columns), columns)
    amounts, percents = nw.col("n_amount"), nw.col("n_percent")
    return as_given(
        r,
        totals.with_columns(
            amount_off=nw.when(amounts > 0).then(nw.col("amount")),
            percent_off=nw.when(percents > 0).then(nw.col("percent") / percents),
        ).drop(columns),
    )


def _with_counts(rows: Frame, by: Sequence[str], sums: Frame, columns: Sequence[str]) -> Frame:
    """Return sums of groups after the counts that every summary of coupons has."""
    parts = [
        counted(rows, by, "coupons_redeemed"),
        distinct(rows, by, ["customer_key"], "redeemers"),
        distinct(rows, by, ["code"], "codes"),
        sums,
    ]
    return combined(parts, by, ["coupons_redeemed", "redeemers", "codes", *columns])


def coupons(r: Redemptions, by: Sequence[str]) -> Frame:
    """Return the coupon redemptions, with the periods and custom fields that ``by`` names."""
    rows = with_custom_fields(frame(r.coupons), frame(r.custom_fields), "coupon", by)
    return with_periods(rows, "redeemed_time", by)
