"""Files that were passed over, as the table ``files`` tells of them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

#: How the reasons begin of what somebody should look at.
MAY_HOLD = "may hold answers: "

#: Why a second name of a file is passed over.
SAME = "the same file as"


@dataclass(frozen=True)
class PassedOver:
    """Files that were passed over for one reason.

    Attributes
    ----------
    reason
        Why.
    count
        How many they are.
    example
        The first of them.
    """

    reason: str
    count: int
    example: str


def passed_over(files: Any) -> list[PassedOver]:
    """Sum up which files were passed over, and why: those that may hold answers first.

    Parameters
    ----------
    files
        The table ``files``, on any engine.
    """
    # Only here, so that converting needs no frames.
    import narwhals as nw

    from redemption_analytics.tables.frames import as_arrow

    rows = nw.from_native(files).filter(nw.col("status") == "passed over")
    # Of links each has a reason of its own.
    why = nw.when(nw.col("reason").str.starts_with(SAME)).then(nw.lit(SAME)).otherwise("reason")
    found = (
        rows.with_columns(reason=why)
        .group_by("reason")
        .agg(count=nw.len(), example=nw.col("source").min())
    )
    summed = [PassedOver(**row) for row in as_arrow(found.to_native()).to_pylist()]
    return sorted(summed, key=lambda one: (not one.reason.startswith(MAY_HOLD), one.reason))
