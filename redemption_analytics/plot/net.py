"""Net points as a chart."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import altair as alt

from redemption_analytics.metrics import net_points as measure
from redemption_analytics.metrics.grouping import By, names
from redemption_analytics.numerals import many, number
from redemption_analytics.plot.groups import (
    NEWEST,
    Groups,
    by_words,
    faded,
    grouped,
    time_axis,
)
from redemption_analytics.plot.look import (
    BLUE,
    INK,
    NUMBER,
    VERMILION,
    Chart,
    hovered,
    named_colours,
    titled,
)
from redemption_analytics.tables.arguments import public
from redemption_analytics.tables.attribution import Basis

if TYPE_CHECKING:
    from redemption_analytics.redemptions import Redemptions

_REDEEMED, _REVERSED, _NET = "redeemed", "reversed", "net"
_COLOURS = {_REDEEMED: BLUE, _REVERSED: VERMILION, _NET: INK}


@public
def net_points(
    r: Redemptions, by: By = "month", basis: Basis = "redemption", *, newest: int = NEWEST
) -> Chart:
    """Draw points redeemed, points reversed, and what is left.

    Parameters
    ----------
    r
        The bundle, on any engine.
    by, basis
        As in :func:`redemption_analytics.net_points`. Along a period, bars go up for what was
        redeemed and down for what came back, and a line is the net; groups are rows, and with a
        period a small chart each, the 20 largest.
    newest
        How many periods are drawn.

    Returns
    -------
    altair.LayerChart or altair.FacetChart
        The chart, its axis in points.

    Raises
    ------
    UsageError
        If ``by`` or ``basis`` is not one of those that the metric takes.

    Examples
    --------
    >>> import redemption_analytics as ra
    >>> r = ra.load("data_samples/organisation")
    >>> chart = ra.plot.net_points(r.filter(since="2025-01-01"), by="month")
    >>> chart.title.subtitle[0]
    '1,902,702 points redeemed, 130,567 came back, 1,772,135 remain.'
    """
    columns = names(by, custom_of=r)
    points = measure(r, columns, basis)
    groups = grouped(r, points, columns, "points_redeemed", newest=newest)
    return drawn(groups, columns, basis)


def drawn(groups: Groups, columns: Sequence[str], basis: Basis) -> Chart:
    """Draw net points in groups; the words tell the sums of what is drawn."""
    redeemed, reversed_, net = (
        sum(row[name] for row in groups.rows)
        for name in ("points_redeemed", "points_reversed", "net_points")
    )
    said = (
        f"{many(redeemed, 'point')} redeemed, {number(reversed_)} came back,"
        f" {number(net)} remain{'s' if net == 1 else ''}."
    )
    chart = _along_time(groups, basis) if groups.period else _by_group(groups)
    title = f"Net points{by_words(columns)}"
    return chart.properties(**titled(title, said, groups.said))


def _along_time(groups: Groups, basis: Basis) -> Chart:
    of_what = " of redemption" if basis == "redemption" else ""
    x = time_axis(groups, "start", f"{groups.period}{of_what}")
    start, end, middle = alt.X("start:T"), alt.X2("end:T"), alt.X("middle:T")
    zero, tips, high = alt.Y2Datum(0), _tips(groups), alt.Y("net_points:Q")
    bars = alt.Chart().mark_bar(stroke="white", strokeWidth=1)
    line = alt.Chart().mark_line(point=alt.OverlayMarkDef(size=18, aria=False), strokeWidth=1.5)
    return groups.along_time(
        _named(bars, _REDEEMED).encode(x, end, _points(alt.Y), zero, opacity=faded(), tooltip=tips),
        _named(bars, _REVERSED).encode(
            start, end, alt.Y("down:Q"), zero, opacity=faded(), tooltip=tips
        ),
        _named(line, _NET).encode(middle, high),
        hovered(alt.Chart()).encode(middle, high, tooltip=tips),
        shared=False,
    )


def _by_group(groups: Groups) -> alt.LayerChart:
    y, tips = groups.label(), _tips(groups)
    bars = alt.Chart().mark_bar()
    ticks = alt.Chart().mark_tick(thickness=3, height=16)
    return groups.in_rows(
        _named(bars, _REDEEMED).encode(y, _points(alt.X), tooltip=tips),
        _named(bars, _REVERSED).encode(y, alt.X("down:Q"), tooltip=tips),
        _named(ticks, _NET).encode(y, alt.X("net_points:Q"), tooltip=tips),
    )


def _points(axis: type[alt.X | alt.Y]) -> alt.X | alt.Y:
    return axis("points_redeemed:Q", axis=alt.Axis(title="points", format=NUMBER))


def _named(chart: alt.Chart, name: str) -> alt.Chart:
    """Colour all marks by what they stand for; what came back goes down from zero."""
    return chart.transform_calculate(what=f"'{name}'", down="-datum.points_reversed").encode(
        alt.Color("what:N", **named_colours(_COLOURS))
    )


def _tips(groups: Groups) -> list[alt.Tooltip]:
    return groups.tips() + [
        alt.Tooltip(f"{name}:Q", format=NUMBER, title=name.replace("_", " "))
        for name in ("redemptions", "points_redeemed", "points_reversed", "net_points")
    ]
