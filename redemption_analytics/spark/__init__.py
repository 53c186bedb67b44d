"""Loading exports on Spark: executors read, parse and write; what belongs together is decided here.

>>> import redemption_analytics as ra
>>> ra.spark.load.__name__
'load'
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from redemption_analytics.spark.loading import load as load

__all__ = ["load"]


def __getattr__(name: str) -> Any:
    """Import ``load`` when it is first used: executors need neither it nor frames."""
    if name != "load":
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    from redemption_analytics.spark.loading import load

    globals()[name] = load
    return load
