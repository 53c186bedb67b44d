"""Coverage: how many redemptions the answers say that customers have, and how many were loaded."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Literal

import narwhals as nw

from redemption_analytics.tables.lazy import Frame, frame

Kind = Literal["points", "coupons"]


def truncated(tables: Mapping[str, Any], kind: Kind) -> Frame:
    """List customers who have more redemptions than were loaded.

    Returns
    -------
    Narwhals frame
        The rows of :func:`said_and_loaded` in which fewer are here than said.
    """
    return said_and_loaded(tables, kind).filter(nw.col("said") > nw.col("here"))


def said_and_loaded(tables: Mapping[str, Any], kind: Kind, newest: bool = False) -> Frame:
    """Return how many redemptions answers say that customers have, and how many were loaded.

    Parameters
    ----------
    tables
        The tables of a bundle, by name.
    kind
        Of which redemptions.
    newest
        Whether only the newest export counts that shows or counts any of a customer's: what an
        older one said is outdated by what came since.

    Returns
    -------
    Narwhals frame
        response_id (of one of their answers), said, here (counts of redemptions).
    """
    said = f"{kind}_count"
    told = ~nw.col(said).is_null()
    known = frame(tables["responses"]).filter(~nw.col("customer_key").is_null())
    if newest:
        some = known.filter(told | (nw.col(f"{kind}_loaded") > 0))
        last = some.group_by("customer_key").agg(nw.col("exported_at").max())
        known = known.join(last, on=["customer_key", "exported_at"], how="inner")
    loaded = frame(tables[kind]).filter(~nw.col("customer_key").is_null())
    here = loaded.group_by("customer_key").agg(here=nw.len())
    of_customers = (
        known.filter(told)
        .group_by("customer_key")
        .agg(response_id=nw.col("response_id").max(), said=nw.col(said).max())
        .join(here, on="customer_key", how="left")
    )
    # Where nobody is named, an answer can only be held against itself.
    of_nobody = frame(tables["responses"]).filter(told & nw.col("customer_key").is_null())
    of_nobody = of_nobody.with_columns(said=nw.col(said), here=nw.col(f"{kind}_loaded"))
    return nw.concat([_counts(of_customers), _counts(of_nobody)])


def _counts(rows: Frame) -> Frame:
    return rows.select(
        "response_id",
        said=nw.col("said").cast(nw.Int64),
        here=nw.col("here").fill_null(0).cast(nw.Int64),
    )
