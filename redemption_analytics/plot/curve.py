"""The reversal curve as a chart."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import altair as alt

from redemption_analytics.metrics import reversal_curve as measure
from redemption_analytics.metrics.at_risk import Weight
from redemption_analytics.metrics.grouping import By, names
from redemption_analytics.moments import Moment, Span
from redemption_analytics.plot.groups import Groups, by_words, grouped, plain_rows
from redemption_analytics.plot.look import (
    DASHES,
    GREY,
    HEIGHT,
    INK,
    LINES,
    NUMBER,
    PERCENT,
    WIDTH,
    inline,
    layered,
    number,
    percent,
    titled,
)
from redemption_analytics.tables.arguments import public

if TYPE_CHECKING:
    from redemption_analytics.redemptions import Redemptions

_TICKS = 3
_TABLE_TOP, _LINE, _NAMES = 58, 15, -30  # in pixels, from the corner of the curve


@public
def reversal_curve(
    r: Redemptions,
    by: By = (),
    horizon: Span = "90D",
    as_of: Moment | None = None,
    weight: Weight = "redemptions",
) -> alt.LayerChart:
    """Draw which share came back by which day after the redemption, with its 95 % interval.

    Parameters
    ----------
    r
        The bundle, on any engine.
    by, horizon, as_of, weight
        As in :func:`redemption_analytics.reversal_curve`. Each group is a line, the 7 largest;
        below the curve stands how many redemptions (or points) were still at risk.

    Returns
    -------
    altair.LayerChart
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


def drawn(groups: Groups, columns: Sequence[str], of_all: Any, weight: Weight) -> alt.LayerChart:
    """Draw curves, one for each group; of the curve of all the words tell."""
    total = plain_rows(of_all)
    said = _said(total, weight)
    return layered(
        _band(groups), _line(groups, weight), *_at_risk(groups, total[-1]["day"], weight)
    ).properties(
        width=WIDTH,
        height=HEIGHT,
        **titled(f"Reversal curve{by_words(columns)}", said, groups.note),
    )


def curves(r: Redemptions, curve: Any, columns: list[str]) -> Groups:
    """Group curves: the largest are those with most at risk; a period is one label among others."""
    groups = grouped(r, curve, columns, "at_risk", most=len(LINES))
    if groups.period is None:
        return groups
    # Periods are groups here: each has a curve of its own.
    for row in groups.rows:
        row["label"] = " · ".join(part for part in (row["period"], row["label"]) if part != "all")
    sizes: dict[str, float] = {}
    for row in groups.rows:
        sizes[row["label"]] = sizes.get(row["label"], 0) + row["at_risk"]
    newest = list(dict.fromkeys(row["label"] for row in groups.rows))
    shown = newest[-len(LINES) :]
    note = groups.note
    if len(shown) < len(newest):
        note = f"The {len(shown)} newest of {len(newest)} groups. {note}".strip()
    rows = [row for row in groups.rows if row["label"] in shown]
    return Groups(rows, shown, None, note)


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
            title=None, orient="top", columns=4, symbolType="stroke", symbolOpacity=1, labelLimit=0
        )
    scale = alt.Scale(domain=groups.labels, range=list(LINES[: len(groups.labels)]))
    return alt.Color("label:N", scale=scale, legend=legend)


def _band(groups: Groups) -> alt.Chart:
    rows = alt.Chart(inline(groups.rows))
    band: alt.Chart = rows.mark_area(opacity=0.18, interpolate="step-after")
    return band.encode(_x(), alt.Y("ci_low:Q"), alt.Y2("ci_high:Q"), _colour(groups))


def _line(groups: Groups, weight: Weight) -> alt.Chart:
    axis = alt.Axis(title=f"share of {weight} reversed (%)", format=PERCENT)
    dash = alt.Scale(domain=groups.labels, range=[list(d) for d in DASHES[: len(groups.labels)]])
    tips = [
        *([alt.Tooltip("label:N", title="group")] if groups.grouped else []),
        alt.Tooltip("day:Q"),
        alt.Tooltip("cumulative_rate:Q", format=PERCENT, title="reversed so far"),
        alt.Tooltip("ci_low:Q", format=PERCENT, title="95 % interval from"),
        alt.Tooltip("ci_high:Q", format=PERCENT, title="to"),
        alt.Tooltip("at_risk:Q", format=NUMBER, title="at risk"),
    ]
    rows = alt.Chart(inline(groups.rows))
    line: alt.Chart = rows.mark_line(interpolate="step-after", strokeWidth=2)
    return line.encode(
        _x(),
        alt.Y("cumulative_rate:Q", axis=axis),
        _colour(groups),
        strokeDash=alt.StrokeDash("label:N", scale=dash, legend=None),
        tooltip=tips,
    )


def _at_risk(groups: Groups, horizon: int, weight: Weight) -> list[alt.Chart]:
    """Write below the curve how many were at risk on some days, a line for each group."""
    days = sorted({round(horizon * step / _TICKS) for step in range(_TICKS + 1)})
    texts = [row | {"text": number(row["at_risk"])} for row in groups.rows if row["day"] in days]
    top = HEIGHT + _TABLE_TOP
    head = (
        alt.Chart(inline([{"text": f"{weight} at risk"}]))
        .mark_text(align="left", color=GREY, fontStyle="italic")
        .encode(text="text:N", x=alt.value(0), y=alt.value(top))
    )
    charts = [head]
    for line, label in enumerate(groups.labels):
        rows = [row for row in texts if row["label"] == label]
        y = alt.value(top + _LINE * (line + 1))
        marks = alt.Chart(inline(rows)).mark_text(color=INK)
        charts.append(marks.encode(_x(), alt.Text("text:N"), y=y))
        if groups.grouped:
            name = alt.Chart(inline([{"label": label}]))
            marks = name.mark_text(align="right", color=INK)
            charts.append(marks.encode(alt.Text("label:N"), x=alt.value(_NAMES), y=y))
    return charts
