"""The reversal curve as a chart."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, cast

import altair as alt

from redemption_analytics.metrics import reversal_curve as measure
from redemption_analytics.metrics.at_risk import Weight
from redemption_analytics.metrics.grouping import By, names
from redemption_analytics.moments import Moment, Span
from redemption_analytics.numerals import number, percent
from redemption_analytics.plot.groups import (
    Groups,
    by_words,
    grouped,
    in_short,
    plain_rows,
    shorter,
)
from redemption_analytics.plot.look import (
    BLUE,
    DASHES,
    FACET,
    GREY,
    HEIGHT,
    INK,
    LINES,
    NUMBER,
    PERCENT,
    WIDTH,
    Chart,
    inline,
    layered,
    titled,
)
from redemption_analytics.tables.arguments import public

if TYPE_CHECKING:
    from redemption_analytics.redemptions import Redemptions

_TICKS = 3
_TABLE_TOP, _LINE, _NAMES = 58, 15, -30  # in pixels, from the corner of the curve
#: More curves than this are drawn each for itself: bands that overlap cannot be told apart.
_TOGETHER = 3
_SMALL, _SMALL_TOP, _HEADER = 290, 48, 40


@public
def reversal_curve(
    r: Redemptions,
    by: By = (),
    horizon: Span = "90D",
    as_of: Moment | None = None,
    weight: Weight = "redemptions",
) -> Chart:
    """Draw which share came back by which day after the redemption, with its 95 % interval.

    Parameters
    ----------
    r
        The bundle, on any engine.
    by, horizon, as_of, weight
        As in :func:`redemption_analytics.reversal_curve`. Each group is a line, the 7 largest, and
        more than 3 a small chart each, on the same axes; below the curve stands how many
        redemptions (or points) were still at risk.

    Returns
    -------
    altair.LayerChart or altair.FacetChart
        The chart: days since the redemption against a share in percent.

    Raises
    ------
    UsageError
        If ``by``, ``horizon``, ``as_of`` or ``weight`` makes no sense.

    Examples
    --------
    >>> import redemption_analytics as ra
    >>> r = ra.load("data_samples/organisation")
    >>> chart = ra.plot.reversal_curve(r, horizon="60D")
    >>> chart.title.subtitle[0]
    '8.2 % of redemptions are reversed within 60 days, half of these by day 4.'
    """
    columns = names(by, custom_of=r)
    curve = measure(r, columns, horizon, as_of, weight)
    groups = curves(r, curve, columns)
    of_all = measure(r, (), horizon, as_of, weight) if columns else curve
    return drawn(groups, columns, of_all, weight)


def drawn(groups: Groups, columns: Sequence[str], of_all: Any, weight: Weight) -> Chart:
    """Draw curves, one for each group; of the curve of all the words tell."""
    total = plain_rows(of_all)
    said, horizon = _said(total, weight), total[-1]["day"]
    if len(groups.labels) > _TOGETHER:
        chart: Chart = _small(groups, horizon, weight)
    else:
        rows = alt.Chart(inline(groups.rows))
        curves = _curves(rows, groups, weight, [_colour(groups)])
        chart = layered(*curves, *_at_risk(groups, horizon, weight))
        chart = chart.properties(width=WIDTH, height=HEIGHT)
    return chart.properties(**titled(f"Reversal curve{by_words(columns)}", said, groups.said))


def curves(r: Redemptions, curve: Any, columns: list[str]) -> Groups:
    """Group curves: the largest are those with most at risk; a period is one label among others."""
    groups = grouped(r, curve, columns, "at_risk", most=len(LINES))
    if groups.period is None:
        return groups
    # Periods are groups here: each has a curve of its own.
    for row in groups.rows:
        row["label"] = " · ".join(part for part in (row["period"], row["label"]) if part != "all")
    newest = list(dict.fromkeys(row["label"] for row in groups.rows))
    shown = newest[-len(LINES) :]
    order = f"The {len(shown)} newest of {len(newest)} groups." if len(shown) < len(newest) else ""
    rows = [row for row in groups.rows if row["label"] in shown]
    return Groups(rows, shown, None, groups.note, order)


def _said(total: list[dict[str, Any]], weight: Weight) -> str:
    last = total[-1]
    rate = last["cumulative_rate"]
    if not rate:
        return f"No {weight} are reversed within {last['day']} days."
    half = next(row["day"] for row in total if row["cumulative_rate"] >= rate / 2)
    return (
        f"{percent(rate)} of {weight} are reversed within {last['day']} days,"
        f" half of these by day {half}."
    )


def _x() -> alt.X:
    return alt.X("day:Q", axis=alt.Axis(title="days since the redemption", grid=False))


def _colour(groups: Groups) -> alt.Color:
    legend = None
    if groups.grouped:
        legend = alt.Legend(
            title=None, orient="top", columns=2, symbolType="stroke", symbolOpacity=1,
            labelLimit=0, **in_short(groups.labels),
        )  # fmt: skip
    scale = alt.Scale(domain=groups.labels, range=list(LINES[: len(groups.labels)]))
    return alt.Color("label:N", scale=scale, legend=legend)


def _curves(rows: alt.Chart, groups: Groups, weight: Weight, look: list[Any]) -> list[alt.Chart]:
    """Draw bands and lines, and on top of them what is pointed at."""
    title = f"share of {weight} reversed (%)" if look else "reversed (%)"
    axis = alt.Axis(title=title, format=PERCENT)
    low, high = alt.Y("ci_low:Q", axis=axis), alt.Y2("ci_high:Q")
    tips = [
        *([alt.Tooltip("label:N", title="group")] if groups.grouped else []),
        alt.Tooltip("day:Q", format=NUMBER, title="days since the redemption"),
        alt.Tooltip("cumulative_rate:Q", format=PERCENT, title="reversed so far"),
        alt.Tooltip("ci_low:Q", format=PERCENT, title="95 % interval from"),
        alt.Tooltip("ci_high:Q", format=PERCENT, title="to"),
        alt.Tooltip("at_risk:Q", format=NUMBER, title=f"{weight} at risk"),
    ]
    band = rows.mark_area(opacity=0.18, interpolate="step-after")
    line = rows.mark_line(interpolate="step-after", strokeWidth=2)
    days = rows.mark_rule(opacity=0, strokeWidth=7, strokeCap="square")
    dash = alt.Scale(domain=groups.labels, range=[list(d) for d in DASHES[: len(groups.labels)]])
    dashes = [alt.StrokeDash("label:N", scale=dash, legend=None)] if look else []
    return [
        band.encode(_x(), low, high, *look),
        line.encode(_x(), alt.Y("cumulative_rate:Q", axis=axis), *look, *dashes),
        days.encode(_x(), low, high, tooltip=tips),
    ]


def _small(groups: Groups, horizon: int, weight: Weight) -> alt.FacetChart:
    """Draw a small curve for each group, one below the other: they are as wide as a phone."""
    days = _days(horizon)
    rows = [
        row | {"text": number(row["at_risk"])} if row["day"] in days else row
        for row in groups.rows
    ]  # fmt: skip
    curves = _curves(alt.Chart().encode(color=alt.value(BLUE)), groups, weight, [])
    at_risk = alt.Chart().transform_filter("isValid(datum.text)").mark_text(color=INK)
    head = alt.Chart().transform_aggregate(groupby=["label"]).transform_calculate(
        text=f"'{weight} at risk'"
    ).mark_text(align="left", color=GREY, fontStyle="italic")  # fmt: skip
    layers = (
        *curves,
        head.encode(
            alt.Text("text:N"),
            x=alt.value(0),
            y=alt.value(FACET + _SMALL_TOP),
            tooltip=[alt.Tooltip("label:N", title="group")],
        ),
        at_risk.encode(
            _x(),
            alt.Text("text:N"),
            y=alt.value(FACET + _SMALL_TOP + _LINE),
            tooltip=_at_risk_tips(weight),
        ),
    )
    header = alt.Header(
        title=None, labelAnchor="start", labelFontWeight="bold", **in_short(groups.labels, _HEADER)
    )
    facet = alt.Facet("label:N", sort=groups.labels, header=header)
    small: Any = layered(*layers).properties(width=_SMALL, height=FACET)
    small = small.facet(facet, columns=1, data=inline(rows))
    return cast(alt.FacetChart, small.resolve_axis(x="independent"))


def _days(horizon: int) -> list[int]:
    """Return the days for which it is written how many were at risk."""
    return sorted({round(horizon * step / _TICKS) for step in range(_TICKS + 1)})


def _at_risk_tips(weight: Weight) -> list[alt.Tooltip]:
    return [
        alt.Tooltip("label:N", title="group"),
        alt.Tooltip("day:Q", format=NUMBER, title="days since the redemption"),
        alt.Tooltip("at_risk:Q", format=NUMBER, title=f"{weight} at risk"),
    ]


def _at_risk(groups: Groups, horizon: int, weight: Weight) -> list[alt.Chart]:
    """Write below the curve how many were at risk on some days, a line for each group."""
    days = _days(horizon)
    texts = [row | {"text": number(row["at_risk"])} for row in groups.rows if row["day"] in days]
    top = HEIGHT + _TABLE_TOP
    meaning = "had not come back, and were watched, when the day began"
    head = (
        alt.Chart(inline([{"text": f"{weight} at risk", "meaning": meaning}]))
        .mark_text(align="left", color=GREY, fontStyle="italic")
        .encode(
            text="text:N",
            x=alt.value(0),
            y=alt.value(top),
            tooltip=[alt.Tooltip("meaning:N", title="at risk")],
        )
    )
    charts = [head]
    short = shorter(groups.labels)
    for line, label in enumerate(groups.labels):
        rows = [row for row in texts if row["label"] == label]
        y = alt.value(top + _LINE * (line + 1))
        marks = alt.Chart(inline(rows)).mark_text(color=INK)
        charts.append(marks.encode(_x(), alt.Text("text:N"), y=y, tooltip=_at_risk_tips(weight)))
        if groups.grouped:
            name = alt.Chart(inline([{"label": label, "text": short.get(label, label)}]))
            marks = name.mark_text(align="right", color=INK)
            tip = [alt.Tooltip("label:N", title="group")]
            charts.append(marks.encode(alt.Text("text:N"), x=alt.value(_NAMES), y=y, tooltip=tip))
    return charts
