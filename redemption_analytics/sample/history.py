"""The history of a customer: all redemptions, as they are in the end."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Any

Payload = dict[str, Any]


@dataclass(slots=True)
class Redemption:
    """A coupon or points redemption: when, and as edition 2025-12 writes it in the end."""

    number: int
    time: datetime
    wire: Payload
    twin: bool = False

    def changed(self, since: datetime, until: datetime) -> bool:
        """Whether it was made or reversed after `since`, up to `until`."""
        times = (str(self.time), *(r["reversal_time"] for r in self.wire.get("reversals", ())))
        return self.time <= until and any(str(since) < moment <= str(until) for moment in times)


@dataclass(slots=True)
class Customer:
    """A customer's identities and names, and the full history, oldest first."""

    number: int
    wire: Payload
    points: list[Redemption]
    coupons: list[Redemption]
