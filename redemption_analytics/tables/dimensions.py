"""What redemptions are grouped and filtered by."""

from __future__ import annotations

from collections.abc import Mapping

#: Columns of a points redemption that it is grouped and filtered by.
DIMENSIONS = ("customer_key", "program_id", "store_code", "till_code", "redemption_purpose")

#: Columns of a coupon redemption that it is grouped and filtered by.
COUPON_DIMENSIONS = (
    "customer_key",
    "store_code",
    "till_code",
    "series_id",
    "discount_type",
    "code",
)

#: Each of these columns, with the tables that have it.
TABLES_OF: Mapping[str, tuple[str, ...]] = {
    name: tuple(
        table
        for table, names in (("points", DIMENSIONS), ("coupons", COUPON_DIMENSIONS))
        if name in names
    )
    for name in (
        *(name for name in DIMENSIONS if name in COUPON_DIMENSIONS),
        *(name for name in DIMENSIONS if name not in COUPON_DIMENSIONS),
        *(name for name in COUPON_DIMENSIONS if name not in DIMENSIONS),
    )
}
