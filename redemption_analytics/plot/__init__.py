"""Pictures of the metrics, as Altair charts.

Each function takes a bundle and the arguments of its metric, on every engine: the metric runs
there, and only its aggregates come here. Charts carry no configuration of their own, so that they
can be layered, concatenated and themed. They need the extra ``report``:
``pip install "redemption-analytics[report]"``.
"""

try:
    import altair as _altair  # noqa: F401
except ImportError as error:
    raise ImportError(
        'redemption_analytics.plot needs Altair: pip install "redemption-analytics[report]"'
    ) from error

from redemption_analytics.plot.cohorts import cohorts
from redemption_analytics.plot.coverage import coverage
from redemption_analytics.plot.curve import reversal_curve
from redemption_analytics.plot.expected import expected_reversals
from redemption_analytics.plot.flows import source_flows
from redemption_analytics.plot.funnel import reversal_funnel
from redemption_analytics.plot.net import net_points
from redemption_analytics.plot.rates import reversal_rates

__all__ = [
    "cohorts",
    "coverage",
    "expected_reversals",
    "net_points",
    "reversal_curve",
    "reversal_funnel",
    "reversal_rates",
    "source_flows",
]
