"""Expected reversals as a chart."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import altair as alt

from redemption_analytics.metrics import expected_reversals as measure
from redemption_analytics.metrics.grouping import By, names
from redemption_analytics.moments import Moment, Span
from redemption_analytics.numerals import number, rounded
from redemption_analytics.plot.groups import (
    NEWEST,
    Groups,
    by_words,
    grouped,
    plain_rows,
    time_axis,
)
from redemption_analytics.plot.look import NUMBER, VERMILION, Chart, titled
from redemption_analytics.tables.arguments import public

if TYPE_CHECKING:
    from redemption_analytics.redemptions import Redemptions


@public
def expected_reversals(
    r: Redemptions,
    by: By = "program_id",
    horizon: Span = "90D",
    as_of: Moment | None = None,
    *,
    newest: int = NEWEST,
) -> Chart:
    """Draw how many of the points already redeemed will still come back, with the 95 % interval.

    Parameters
    ----------
    r
        The bundle, on any engine.
    by, horizon, as_of
        As in :func:`redemption_analytics.expected_reversals`. Groups are rows, and with a period a
        small chart each, the 20 with the most open points.
    newest
        How many periods are drawn.

    Returns
    -------
    altair.LayerChart or altair.FacetChart
        The chart, its axis in points.

    Raises
    ------
    UsageError
        If ``by``, ``horizon`` or ``as_of`` makes no sense.

    Examples
    --------
    >>> import redemption_analytics as ra
    >>> r = ra.load("data_samples/organisation")
    >>> chart = ra.plot.expected_reversals(r, by="program_id")
    >>> chart.title.subtitle[0]
    '3,245 of 325,820 open points are expected back, with 95 % certainty 1,150 to 6,066.'
    """
    columns = names(by, custom_of=r)
    groups = grouped(r, measure(r, columns, horizon, as_of), columns, "open_points", newest=newest)
    return drawn(groups, columns, measure(r, (), horizon, as_of))


def drawn(groups: Groups, columns: Sequence[str], total: Any) -> Chart:
    """Draw what is expected in groups; of all, a frame of one row, the words tell."""
    (row,) = plain_rows(total)
    said = (
        f"{rounded(row['expected_points'])} of {number(row['open_points'])} open points are"
        f" expected back, with 95 % certainty {rounded(row['low'])} to"
        f" {rounded(row['high'])}."
    )
    chart = _along_time(groups) if groups.period else _by_group(groups)
    return chart.properties(
        **titled(f"Points still expected back{by_words(columns)}", said, groups.said)
    )


def _axis() -> alt.Axis:
    return alt.Axis(title="points expected back", format=NUMBER)


def _by_group(groups: Groups) -> alt.LayerChart:
    y, tips = groups.label(), _tips(groups)
    return groups.in_rows(
        _interval().encode(y, alt.X("low:Q", axis=_axis()), alt.X2("high:Q"), tooltip=tips),
        _point().encode(y, alt.X("expected_points:Q", axis=_axis()), tooltip=tips),
    )


def _along_time(groups: Groups) -> Chart:
    x, tips = time_axis(groups, "middle", f"{groups.period} of redemption"), _tips(groups)
    return groups.along_time(
        _interval().encode(x, alt.Y("low:Q", axis=_axis()), alt.Y2("high:Q"), tooltip=tips),
        _point().encode(x, alt.Y("expected_points:Q", axis=_axis()), tooltip=tips),
        shared=True,
    )


def _interval() -> alt.Chart:
    mark: alt.Chart = alt.Chart().mark_rule(color=VERMILION, strokeWidth=2)
    return mark


def _point() -> alt.Chart:
    mark: alt.Chart = alt.Chart().mark_point(color=VERMILION, filled=True, size=60, opacity=1)
    return mark


def _tips(groups: Groups) -> list[alt.Tooltip]:
    amounts = {
        "expected_points": "points expected back",
        "low": "95 % interval from",
        "high": "to",
        "open_points": "open points",
        "open_redemptions": "open redemptions",
    }
    return groups.tips() + [
        alt.Tooltip(f"{name}:Q", format=NUMBER, title=title) for name, title in amounts.items()
    ]
