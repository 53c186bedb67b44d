"""Cohorts as a triangle."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import altair as alt

from redemption_analytics.metrics import cohorts as measure
from redemption_analytics.metrics.grouping import By, names
from redemption_analytics.moments import Moment
from redemption_analytics.numerals import percent as in_percent
from redemption_analytics.plot.groups import Groups, by_words, grouped
from redemption_analytics.plot.look import INK, NUMBER, PERCENT, ROW, Chart, inline, layered, titled
from redemption_analytics.tables.arguments import public

if TYPE_CHECKING:
    from redemption_analytics.redemptions import Redemptions

_CELL = 44
#: From which part of the highest rate on a cell is dark.
_DARK = 0.6


@public
def cohorts(
    r: Redemptions,
    by: By = (),
    months: int = 12,
    as_of: Moment | None = None,
    *,
    newest: int = 24,
) -> Chart:
    """Draw which share of each month's points came back by how many months later.

    Parameters
    ----------
    r
        The bundle, on any engine.
    by, months, as_of
        As in :func:`redemption_analytics.cohorts`. Each group is a triangle, the 20 largest.
    newest
        How many months of redemptions are drawn.

    Returns
    -------
    altair.LayerChart or altair.FacetChart
        The chart: a row for each month of redemptions, a column for each month after it, in percent
        of points. What cannot be observed yet is blank.

    Raises
    ------
    UsageError
        If ``by``, ``months`` or ``as_of`` makes no sense.

    Examples
    --------
    >>> import redemption_analytics as ra
    >>> r = ra.load("data_samples/organisation")
    >>> ra.plot.cohorts(r, months=6).title.subtitle[0]
    '5.9 % of points (of 17 cohorts) are back by the end of the month 6 months later.'
    """
    columns = names(by, custom_of=r)
    triangle = measure(r, columns, months, as_of)
    groups = grouped(r, triangle, [*columns, "month"], "points_redeemed", newest=newest)
    groups = groups.only("points_redeemed")
    rows = [row for row in groups.rows if row["cumulative_rate"] is not None]
    title = f"Points back by month of redemption{by_words(columns)}"
    return _drawn(groups, rows).properties(**titled(title, _said(rows, months), groups.said))


def _said(rows: list[dict[str, Any]], months: int) -> str:
    """Say what is back at the last age that some cohorts have."""
    for after in range(months, -1, -1):
        old = [row for row in rows if row["months_after"] == after]
        if old:
            back = sum(row["cumulative_points_reversed"] for row in old)
            share = in_percent(back / sum(row["points_redeemed"] for row in old))
            when = f"{after} months later" if after != 1 else "a month later"
            end = "in the same month" if after == 0 else f"by the end of the month {when}"
            return f"{share} of points (of {len(old)} cohorts) are back {end}."
    return "No month of redemptions is over."


def _drawn(groups: Groups, rows: list[dict[str, Any]]) -> Chart:
    months = list(dict.fromkeys(row["period"] for row in sorted(rows, key=lambda r: r["start"])))
    highest = max((row["cumulative_rate"] for row in rows), default=0)
    x = alt.X("months_after:O", axis=alt.Axis(title="months after", labelAngle=0))
    y = alt.Y("period:O", sort=months, axis=alt.Axis(title="month of redemption"))
    scale = alt.Scale(scheme="blues", domain=[0, highest or 1])
    legend = alt.Legend(title="points back (%)", format=PERCENT)
    tips = [
        alt.Tooltip("period:N", title="month of redemption"),
        alt.Tooltip("months_after:Q", format=NUMBER, title="months after"),
        alt.Tooltip("cumulative_rate:Q", format=PERCENT, title="share of points back"),
        alt.Tooltip("cumulative_points_reversed:Q", format=NUMBER, title="points back"),
        alt.Tooltip("points_reversed:Q", format=NUMBER, title="of these in this month"),
        alt.Tooltip("points_redeemed:Q", format=NUMBER, title="points redeemed"),
    ]
    dark = alt.datum["cumulative_rate"] > _DARK * highest
    layers = (
        alt.Chart()
        .mark_rect(stroke="white")
        .encode(x, y, alt.Color("cumulative_rate:Q", scale=scale, legend=legend), tooltip=tips),
        alt.Chart()
        .mark_text(fontSize=10)
        .encode(
            x,
            y,
            alt.Text("cumulative_rate:Q", format=PERCENT),
            color=alt.condition(dark, alt.value("white"), alt.value(INK)),
            tooltip=tips,
        ),
    )
    size = {"width": alt.Step(_CELL), "height": alt.Step(ROW)}
    if not groups.grouped:
        return layered(*layers, data=inline(rows)).properties(**size)
    header = alt.Header(title=None, labelAnchor="start", labelFontWeight="bold")
    facet = alt.Facet("label:N", sort=groups.labels, header=header)
    return layered(*layers).properties(**size).facet(facet, columns=1, data=inline(rows))
