"""What moved points, as it was known at a moment: redemptions, reversals and their breakups."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

import narwhals as nw

from redemption_analytics.tables.custom_fields import with_custom_fields
from redemption_analytics.tables.lazy import Frame, frame
from redemption_analytics.tables.times import moment_in


@dataclass(frozen=True)
class Movements:
    """The frames that postings are made of, already cut to what should be seen."""

    points: Frame
    reversals: Frame
    program_breakups: Frame
    reversal_breakups: Frame

    @classmethod
    def of(cls, tables: Mapping[str, Any], by: Sequence[str] = ()) -> Movements:
        """Return all that moved, with the custom fields that ``by`` names as columns of points."""
        return cls(
            with_custom_fields(
                frame(tables["points"]), frame(tables["custom_fields"]), "points", by
            ),
            frame(tables["reversals"]),
            frame(tables["program_breakups"]),
            frame(tables["reversal_breakups"]),
        )

    def seen_by(self, as_of: datetime, within: timedelta | None) -> Movements:
        """Return what was known at a moment, and had the time ``within`` to happen."""
        redeemed, reversed_ = nw.col("redeemed_time"), nw.col("reversal_time")
        moment = moment_in(self.points, as_of)
        points = self.points.filter(redeemed.is_null() | (redeemed <= moment))
        reversals = self.reversals.join(
            points.select("redemption_key", "redeemed_time"), on="redemption_key", how="inner"
        ).filter(reversed_.is_null() | (reversed_ <= moment))
        if within is not None:
            later = f"{within // timedelta(microseconds=1)}us"
            due = redeemed.dt.offset_by(later)
            points = points.filter(due <= moment)
            reversals = reversals.filter((due <= moment) & (reversed_ <= due))
        return Movements(
            points,
            reversals.drop("redeemed_time"),
            self.program_breakups,
            self.reversal_breakups,
        )
