"""The metrics, each written once for every kind of frame."""

from redemption_analytics.metrics.codes import programs, stores, tills
from redemption_analytics.metrics.cohorts import cohorts
from redemption_analytics.metrics.comparison import compare_rates
from redemption_analytics.metrics.coupons import coupon_performance, coupon_summary
from redemption_analytics.metrics.curve import reversal_curve
from redemption_analytics.metrics.durations import time_to_reversal
from redemption_analytics.metrics.expected import expected_reversals
from redemption_analytics.metrics.flows import source_flows
from redemption_analytics.metrics.kpis import kpis
from redemption_analytics.metrics.net import net_points
from redemption_analytics.metrics.outliers import reversal_outliers
from redemption_analytics.metrics.rates import reversal_rates
from redemption_analytics.metrics.reconciliation import reconciliation
from redemption_analytics.metrics.review import customers_to_review

__all__ = [
    "cohorts",
    "compare_rates",
    "coupon_performance",
    "coupon_summary",
    "customers_to_review",
    "expected_reversals",
    "kpis",
    "net_points",
    "programs",
    "reconciliation",
    "reversal_curve",
    "reversal_outliers",
    "reversal_rates",
    "source_flows",
    "stores",
    "tills",
    "time_to_reversal",
]
