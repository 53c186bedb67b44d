"""Reversal rates as a chart."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import timedelta
from typing import TYPE_CHECKING, Any

import altair as alt

from redemption_analytics.metrics import reversal_rates as measure
from redemption_analytics.metrics.grouping import By, names
from redemption_analytics.moments import Moment, Span, span
from redemption_analytics.numerals import many, percent
from redemption_analytics.plot.groups import (
    NEWEST,
    Groups,
    by_words,
    faded,
    grouped,
    plain_rows,
    time_axis,
)
from redemption_analytics.plot.look import BLUE, GREY, NUMBER, PERCENT, Chart, hovered, titled
from redemption_analytics.tables.arguments import public

if TYPE_CHECKING:
    from redemption_analytics.redemptions import Redemptions

_RATE = "redemptions reversed (%)"


@public
def reversal_rates(
    r: Redemptions,
    by: By = "program_id",
    within: Span | None = None,
    as_of: Moment | None = None,
    *,
    newest: int = NEWEST,
) -> Chart:
    """Draw the share of redemptions that were reversed, with its 95 % interval.

    Parameters
    ----------
    r
        The bundle, on any engine.
    by, within, as_of
        As in :func:`redemption_analytics.reversal_rates`. Groups are rows, and with a period a
        small chart each, the 20 largest; the dashed line is the rate of all redemptions.
    newest
        How many periods are drawn.

    Returns
    -------
    altair.LayerChart or altair.FacetChart
        The chart, its axis in percent of redemptions.

    Raises
    ------
    UsageError
        If ``by``, ``within`` or ``as_of`` makes no sense.

    Examples
    --------
    >>> import redemption_analytics as ra
    >>> r = ra.load("data_samples/organisation")
    >>> chart = ra.plot.reversal_rates(r, by="program_id", within="30D")
    >>> chart.title.subtitle[0]
    'Of 15,011 redemptions, 7.8 % were reversed (dashed line). Bars: 95 % interval.'
    """
    columns = names(by, custom_of=r)
    rates = measure(r, columns, within, as_of)
    groups = grouped(r, rates, columns, "redemptions", newest=newest).only("redemptions")
    return drawn(groups, columns, measure(r, within=within, as_of=as_of), within)


def drawn(groups: Groups, columns: Sequence[str], total: Any, within: Span | None) -> Chart:
    """Draw rates in groups, and the rate of all, which is a frame of one row."""
    (row,) = plain_rows(total)
    overall = row["redemption_reversal_rate"]
    said = (
        f"Of {many(row['redemptions'], 'redemption')}, {percent(overall)} were reversed"
        " (dashed line). Bars: 95 % interval."
    )
    limit = "" if within is None else _limit(span(within, "within"))
    chart = _along_time(groups, overall) if groups.period else _by_group(groups, overall)
    return chart.properties(**titled(f"Reversal rate{by_words(columns)}", said, limit, groups.said))


def _limit(within: timedelta) -> str:
    days = within / timedelta(days=1)
    return f"Reversals within {days:g} days, of redemptions that are that old."


def _along_time(groups: Groups, overall: float | None) -> Chart:
    x = time_axis(groups, "middle", f"{groups.period} of redemption")
    title = "reversed (%)" if groups.grouped else _RATE
    y = alt.Y("redemption_reversal_rate:Q", axis=_percents(title))
    low, high = alt.Y("ci_low:Q", axis=_percents(title)), alt.Y2("ci_high:Q")
    marks, tips = alt.Chart(), _tips(groups)
    return groups.along_time(
        _overall(overall).encode(alt.Y("overall:Q", axis=_percents(title))),
        marks.mark_rule(color=BLUE, strokeWidth=2).encode(
            x, low, high, opacity=faded(0.6), tooltip=tips
        ),
        marks.mark_line(color=BLUE, strokeWidth=1).encode(x, y),
        _point().encode(x, y, opacity=faded(), tooltip=tips),
        hovered(marks).encode(x, y, tooltip=tips),
        shared=True,
    )


def _by_group(groups: Groups, overall: float | None) -> alt.LayerChart:
    y, tips = groups.label(), _tips(groups)
    x = alt.X("redemption_reversal_rate:Q", axis=_percents(_RATE), scale=alt.Scale(zero=True))
    low, high = alt.X("ci_low:Q", axis=_percents(_RATE)), alt.X2("ci_high:Q")
    return groups.in_rows(
        _overall(overall).encode(alt.X("overall:Q", axis=_percents(_RATE))),
        alt.Chart().mark_rule(color=BLUE, strokeWidth=2).encode(y, low, high, tooltip=tips),
        _point().encode(y, x, tooltip=tips),
    )


def _point() -> alt.Chart:
    mark: alt.Chart = alt.Chart().mark_point(color=BLUE, filled=True, size=60, opacity=1)
    return mark


def _overall(overall: float | None) -> alt.Chart:
    """Draw the rate of all, once for each group: a facet has its own rows only."""
    value = "null" if overall is None else repr(overall)
    once = alt.Chart().transform_aggregate(groupby=["label"]).transform_calculate(overall=value)
    tip = alt.Tooltip("overall:Q", format=PERCENT, title="share reversed of all redemptions")
    mark: alt.Chart = once.mark_rule(color=GREY, strokeDash=[4, 4])
    return mark.encode(tooltip=[tip])


def _percents(title: str) -> alt.Axis:
    return alt.Axis(title=title, format=PERCENT)


def _tips(groups: Groups) -> list[alt.Tooltip]:
    return [
        *groups.tips(),
        alt.Tooltip("redemption_reversal_rate:Q", format=PERCENT, title="share reversed"),
        alt.Tooltip("ci_low:Q", format=PERCENT, title="95 % interval from"),
        alt.Tooltip("ci_high:Q", format=PERCENT, title="to"),
        alt.Tooltip("reversed_redemptions:Q", format=NUMBER, title="reversed redemptions"),
        alt.Tooltip("redemptions:Q", format=NUMBER, title="redemptions"),
    ]
