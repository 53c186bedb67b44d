"""Loading exports on Spark: executors read, parse and write; what belongs together is decided here.

>>> import redemption_analytics as ra
>>> ra.spark.load.__name__
'load'
"""

from __future__ import annotations

from redemption_analytics.spark.loading import load as load

__all__ = ["load"]
