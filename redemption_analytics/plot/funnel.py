"""Reversal outliers as a funnel plot."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import altair as alt
import numpy as np

from redemption_analytics.metrics import reversal_outliers as measure
from redemption_analytics.metrics.binomial import control_limits
from redemption_analytics.metrics.grouping import By, names
from redemption_analytics.metrics.outliers import MIN_REDEMPTIONS, SIGNIFICANT, stands_out
from redemption_analytics.metrics.overdispersion import correlation
from redemption_analytics.moments import Moment
from redemption_analytics.plot.groups import by_words, grouped
from redemption_analytics.plot.look import (
    BLUE,
    GREY,
    HEIGHT,
    NUMBER,
    PERCENT,
    VERMILION,
    WIDTH,
    inline,
    layered,
    named_colours,
    percent,
    titled,
)
from redemption_analytics.tables.arguments import public

if TYPE_CHECKING:
    from redemption_analytics.redemptions import Redemptions

_STEPS = 80
#: Sizes that differ by more than this are drawn on a logarithmic axis.
_WIDE = 50
_OUTLIER, _OTHER = "stands out", "within chance"


@public
def reversal_funnel(
    r: Redemptions,
    by: By = "till_code",
    as_of: Moment | None = None,
    min_redemptions: int = MIN_REDEMPTIONS,
) -> alt.LayerChart:
    """Draw the reversal rate of each till against what chance allows for its size.

    Parameters
    ----------
    r
        The bundle, on any engine.
    by, as_of, min_redemptions
        As in :func:`redemption_analytics.reversal_outliers`.

    Returns
    -------
    altair.LayerChart
        The chart: redemptions (count) against the share of them that was reversed (percent). Those
        with a q_value below 1 % are named.

    Raises
    ------
    UsageError
        If ``by`` is not one of those named, or names nothing, or another argument makes no sense.

    Notes
    -----
    The lines hold 95 % and 99.8 % of the tills of each size if these differ by chance, and by
    nature as much as those that do not stand out: D. J. Spiegelhalter, "Funnel plots for comparing
    institutional performance", Statistics in Medicine 24, 2005, with exact limits as in its
    appendix A.1.1, of the beta-binomial distribution.

    Examples
    --------
    >>> import redemption_analytics as ra
    >>> r = ra.load("data_samples/organisation")
    >>> ra.plot.reversal_funnel(r).title.subtitle[0]
    '1 of 37 stands out (q below 1 %): station.till2. Rate of the others 6.8 %.'
    """
    columns = names(by, custom_of=r)
    return drawn(r, measure(r, columns, as_of, min_redemptions), columns)


def drawn(r: Redemptions, outliers: Any, columns: Sequence[str]) -> alt.LayerChart:
    """Draw the tests of groups, as the metric gives them."""
    groups = grouped(r, outliers, columns, "redemptions", most=2000, newest=2000)
    tills = [row for row in groups.rows if row["p_value"] is not None]
    for row in tills:
        row["label"] = " · ".join(filter(None, (row.get("period"), row["label"])))
        row["rate"] = row["reversed_redemptions"] / row["redemptions"]
        row["kind"] = _OUTLIER if stands_out(row) else _OTHER
    rate = _common_rate(tills)
    said = _said(tills, rate)
    title = f"Reversals{by_words(columns)} against chance"
    return layered(*_limits(tills, rate), *_points(tills)).properties(
        width=WIDTH,
        height=HEIGHT,
        **titled(title, said, groups.note),
    )


def _common_rate(tills: list[dict[str, Any]]) -> float | None:
    """Return the rate of those that do not stand out: one bad till does not move the limits."""
    sizes, counts = _usual(tills)
    return int(counts.sum()) / int(sizes.sum()) if len(sizes) else None


def _usual(tills: list[dict[str, Any]]) -> tuple[Any, Any]:
    usual = [row for row in tills if row["kind"] == _OTHER] or tills
    columns = ("redemptions", "reversed_redemptions")
    sizes, counts = (np.array([row[name] for row in usual], np.int64) for name in columns)
    return sizes, counts


def _said(tills: list[dict[str, Any]], rate: float | None) -> str:
    found = [row["label"] for row in tills if row["kind"] == _OUTLIER]
    named = ", ".join(found[:3]) + (" …" if len(found) > 3 else "")
    stand = "stands" if len(found) == 1 else "stand"
    return (
        f"{len(found)} of {len(tills)} {stand} out (q below {SIGNIFICANT * 100:g} %)"
        f"{f': {named}' if found else ''}. Rate of the others {percent(rate)}."
    )


def _x(tills: list[dict[str, Any]]) -> alt.X:
    sizes = [row["redemptions"] for row in tills]
    wide = bool(sizes) and max(sizes) > _WIDE * min(sizes)
    scale = alt.Scale(type="log", nice=False) if wide else alt.Scale(nice=True)
    return alt.X("redemptions:Q", scale=scale, axis=alt.Axis(title="redemptions", grid=False))


def _limits(tills: list[dict[str, Any]], rate: float | None) -> list[alt.Chart]:
    if rate is None:
        return []
    sizes = [row["redemptions"] for row in tills]
    low, high = min(sizes), max(sizes)
    grid = sorted({round(low * (high / low) ** (step / _STEPS)) for step in range(_STEPS + 1)})
    apart = correlation(*_usual(tills))
    lines = []
    for share, dash in ((0.95, [4, 3]), (0.998, [1, 0])):
        rows = [
            {"redemptions": n, "from": a, "to": b}
            for n, (a, b) in zip(grid, control_limits(rate, grid, share, apart), strict=True)
        ]
        chart = alt.Chart(inline(rows)).mark_line(color=GREY, strokeWidth=1, strokeDash=dash)
        end = alt.Chart(inline(rows[:1])).mark_text(
            align="left", dx=4, dy=-6, color=GREY, text=f"{share * 100:.3g} %"
        )
        lines += [
            chart.encode(_x(tills), y="from:Q"),
            chart.encode(_x(tills), y="to:Q"),
            end.encode(_x(tills), y="to:Q"),
        ]
    middle = alt.Chart(inline([{"rate": rate}])).mark_rule(color=GREY)
    return [middle.encode(y="rate:Q"), *lines]


def _points(tills: list[dict[str, Any]]) -> list[alt.Chart]:
    rows = alt.Chart(inline(tills))
    y = alt.Y("rate:Q", axis=alt.Axis(title="share of redemptions reversed (%)", format=PERCENT))
    colour = named_colours({_OTHER: BLUE, _OUTLIER: VERMILION})
    shape = alt.Scale(domain=[_OTHER, _OUTLIER], range=["circle", "diamond"])
    tips = [
        alt.Tooltip("label:N", title=" "),
        alt.Tooltip("rate:Q", format=PERCENT, title="share reversed"),
        alt.Tooltip("reversed_redemptions:Q", format=NUMBER, title="reversed"),
        alt.Tooltip("expected_reversed_redemptions:Q", format=",.1f", title="expected"),
        alt.Tooltip("redemptions:Q", format=NUMBER),
        alt.Tooltip("q_value:Q", format=".2~g", title="q value"),
    ]
    marks = rows.mark_point(filled=True, size=60, opacity=0.9).encode(
        _x(tills),
        y,
        color=alt.Color("kind:N", **colour),
        shape=alt.Shape("kind:N", scale=shape, legend=colour["legend"]),
        tooltip=tips,
    )
    found = [row for row in tills if row["kind"] == _OUTLIER]
    named = alt.Chart(inline(found)).mark_text(dy=-10, fontWeight="bold")
    # Text without rows would make Vega look for an extent of nothing, and say so.
    return [marks, named.encode(_x(tills), y, text="label:N")] if found else [marks]
