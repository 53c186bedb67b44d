"""Offline analytics over exports of a loyalty platform's "Get Customer Redemptions" API.

>>> import redemption_analytics as ra
>>> r = ra.load("data_samples/2020-breakups.json")
>>> ra.net_points(r)
   redemptions  points_redeemed  points_reversed  net_points
0            2              120               30          90
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

from redemption_analytics.version import __version__ as __version__

if TYPE_CHECKING:
    from redemption_analytics import plot as plot
    from redemption_analytics import schemas as schemas
    from redemption_analytics import spark as spark
    from redemption_analytics.audits import audit as audit
    from redemption_analytics.audits import audit_cases as audit_cases
    from redemption_analytics.errors import RedemptionAnalyticsError as RedemptionAnalyticsError
    from redemption_analytics.errors import RejectedError as RejectedError
    from redemption_analytics.errors import SourceError as SourceError
    from redemption_analytics.errors import UsageError as UsageError
    from redemption_analytics.errors import ValidationError as ValidationError
    from redemption_analytics.errors import WriteError as WriteError
    from redemption_analytics.loading.convert import convert as convert
    from redemption_analytics.loading.load import load as load
    from redemption_analytics.loading.open import open as open  # noqa: A004
    from redemption_analytics.metrics import cohorts as cohorts
    from redemption_analytics.metrics import compare_rates as compare_rates
    from redemption_analytics.metrics import coupon_performance as coupon_performance
    from redemption_analytics.metrics import coupon_summary as coupon_summary
    from redemption_analytics.metrics import customers_to_review as customers_to_review
    from redemption_analytics.metrics import expected_reversals as expected_reversals
    from redemption_analytics.metrics import net_points as net_points
    from redemption_analytics.metrics import programs as programs
    from redemption_analytics.metrics import reconciliation as reconciliation
    from redemption_analytics.metrics import reversal_curve as reversal_curve
    from redemption_analytics.metrics import reversal_outliers as reversal_outliers
    from redemption_analytics.metrics import reversal_rates as reversal_rates
    from redemption_analytics.metrics import source_flows as source_flows
    from redemption_analytics.metrics import stores as stores
    from redemption_analytics.metrics import tills as tills
    from redemption_analytics.metrics import time_to_reversal as time_to_reversal
    from redemption_analytics.metrics.kpis import kpis as kpis
    from redemption_analytics.redemptions import Redemptions as Redemptions
    from redemption_analytics.reports.writing import write_reports as write_reports
    from redemption_analytics.warehouse.warehouse import Warehouse as Warehouse


_HOMES = {
    "RedemptionAnalyticsError": "errors",
    "Redemptions": "redemptions",
    "RejectedError": "errors",
    "SourceError": "errors",
    "UsageError": "errors",
    "ValidationError": "errors",
    "Warehouse": "warehouse.warehouse",
    "WriteError": "errors",
    "audit": "audits",
    "audit_cases": "audits",
    "cohorts": "metrics",
    "compare_rates": "metrics",
    "convert": "loading.convert",
    "coupon_performance": "metrics",
    "coupon_summary": "metrics",
    "customers_to_review": "metrics",
    "expected_reversals": "metrics",
    "kpis": "metrics",
    "load": "loading.load",
    "net_points": "metrics",
    "open": "loading.open",
    "programs": "metrics",
    "reconciliation": "metrics",
    "reversal_curve": "metrics",
    "reversal_outliers": "metrics",
    "reversal_rates": "metrics",
    "source_flows": "metrics",
    "stores": "metrics",
    "tills": "metrics",
    "time_to_reversal": "metrics",
    "write_reports": "reports.writing",
}

_MODULES = ("plot", "schemas", "spark")

__all__ = ["__version__", *_MODULES, *_HOMES]


def __getattr__(name: str) -> Any:
    """Import a public name when it is first used: nothing heavy is loaded before."""
    if name in _MODULES:
        return importlib.import_module(f"{__name__}.{name}")
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    value = getattr(importlib.import_module(f"{__name__}.{_HOMES[name]}"), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted(__all__)
