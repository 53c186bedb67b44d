"""The metrics, each written once for every kind of frame."""

from redemption_analytics.metrics.net import net_points
from redemption_analytics.metrics.rates import reversal_rates

__all__ = ["net_points", "reversal_rates"]
