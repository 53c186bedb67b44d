"""Custom fields as columns of the redemptions that have them."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import narwhals as nw

from redemption_analytics.errors import UsageError
from redemption_analytics.tables.frames import as_arrow
from redemption_analytics.tables.lazy import Frame, frame, native
from redemption_analytics.tables.spark import is_spark

#: What a name begins with that is the value of a custom field, as in "custom:channel".
CUSTOM = "custom:"

#: Where names of columns that differ in case alone are two.
_TELLING_CASE = (nw.Implementation.PANDAS, nw.Implementation.POLARS, nw.Implementation.PYARROW)


def custom_names(fields: Any) -> dict[str, list[str]]:
    """List the custom fields that points redemptions have ("points"), and coupons ("coupon").

    Of a lazy table two columns are read for it, and none of the redemptions.

    Parameters
    ----------
    fields
        The table custom_fields, of any kind.
    """
    pairs = as_arrow(native(frame(fields).select("redemption_type", "name").unique())).to_pylist()
    return {
        kind: sorted(pair["name"] for pair in pairs if pair["redemption_type"] == kind)
        for kind in ("points", "coupon")
    }


def with_custom_fields(
    rows: Frame, fields: Frame, redemption_type: str, by: Iterable[str]
) -> Frame:
    """Add those custom fields to redemptions, as columns, that ``by`` names.

    Where a redemption has no such field, or one without a value, it is null.

    Parameters
    ----------
    rows
        Redemptions, with their redemption_key.
    fields
        The table custom_fields.
    redemption_type
        What they redeem, "points" or "coupon": their keys may be the same text.
    by
        Names, of which those of custom fields matter.

    Raises
    ------
    UsageError
        If two names differ in case alone, and the frames are of a database, where those are one; or
        if a name has a dot or a backtick, and the frames are Spark's, where these divide names.
    """
    by = list(by)
    if rows.implementation not in _TELLING_CASE:
        _refuse_alike(by)
    if is_spark(rows):
        _refuse_dots(by)
    for name in by:
        if name.startswith(CUSTOM):
            here = (nw.col("name") == name.removeprefix(CUSTOM)) & (
                nw.col("redemption_type") == redemption_type
            )
            values = fields.filter(here).select("redemption_key", nw.col("value").alias(name))
            rows = rows.join(values, on="redemption_key", how="left")
    return rows


def _refuse_dots(by: Iterable[str]) -> None:
    for name in by:
        if name.startswith(CUSTOM) and {".", "`"} & set(name):
            raise UsageError(
                f"cannot group by {name!r}: to Spark the dot or backtick in it divides names of"
                " columns. Open with engine='duckdb'"
            )


def _refuse_alike(by: Iterable[str]) -> None:
    seen: dict[str, str] = {}
    for name in by:
        other = seen.setdefault(name.lower(), name)
        if other != name:
            raise UsageError(
                f"cannot group by {other!r} and {name!r} together: to this engine columns that"
                " differ in case alone are one. Group by each alone, or open with engine='polars'"
            )
