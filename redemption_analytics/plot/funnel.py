"""Reversal outliers as a funnel plot."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, Literal

import altair as alt
import numpy as np

from redemption_analytics.metrics import reversal_outliers as measure
from redemption_analytics.metrics.binomial import control_limits
from redemption_analytics.metrics.grouping import By, names
from redemption_analytics.metrics.outliers import MIN_REDEMPTIONS, SIGNIFICANT, stands_out
from redemption_analytics.metrics.overdispersion import correlation
from redemption_analytics.moments import Moment
from redemption_analytics.numerals import number, percent
from redemption_analytics.plot.groups import by_words, grouped, shorter
from redemption_analytics.plot.look import (
    BLUE,
    GREY,
    HEIGHT,
    NUMBER,
    PERCENT,
    VERMILION,
    WIDTH,
    hovered,
    inline,
    layered,
    named_colours,
    titled,
)
from redemption_analytics.tables.arguments import public

if TYPE_CHECKING:
    from redemption_analytics.redemptions import Redemptions

_STEPS = 80
#: Sizes that differ by more than this are drawn on a logarithmic axis.
_WIDE = 50
_OUTLIER, _OTHER = "stands out", "within chance"
#: So many are drawn, and so many of those that stand out are named, as far as names have room.
_DRAWN, _NAMED, _ALL = 2000, 8, 10**9
_LINES = (
    "Lines hold 95 % (dashed) and 99.8 % of groups of each size if these differ by chance,",
    "and by nature as those that do not stand out.",
)
#: In pixels: the narrowest that a chart is, on a phone, and a letter and a line of a name.
_NARROW, _LETTER, _LINE = 290, 7.5, 15


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
        with a q_value below 1 % stand out, and are named where there is room. The words are about
        all groups, of which the 2,000 with the most redemptions are drawn.

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
    groups = grouped(r, outliers, columns, "redemptions", most=_ALL, newest=_DRAWN)
    tills = [row for row in groups.rows if row["p_value"] is not None]
    for row in tills:
        row["label"] = " · ".join(filter(None, (row.get("period"), row["label"])))
        row["rate"] = row["reversed_redemptions"] / row["redemptions"]
        row["kind"] = _OUTLIER if stands_out(row) else _OTHER
    rate = _common_rate(tills)
    said = _said(tills, rate)
    title = f"Reversals{by_words(columns)} against chance"
    note = groups.note
    largest = sorted(tills, key=lambda row: -row["redemptions"])[:_DRAWN]
    if len(largest) < len(tills):
        of = f"the {number(len(largest))} with the most redemptions"
        note = f"Of these {of} are drawn. {note}".strip()
    return layered(*_limits(tills, rate), *_points(largest)).properties(
        width=WIDTH,
        height=HEIGHT,
        **titled(title, said, note, *(_LINES if tills else [])),
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
    more = f" and {number(len(found) - 3)} more" if len(found) > 3 else ""
    named = ", ".join(found[:3]) + more
    stand = "stands" if len(found) == 1 else "stand"
    return (
        f"{number(len(found))} of {number(len(tills))} {stand} out (q below"
        f" {SIGNIFICANT * 100:g} %)"
        f"{f': {named}' if found else ''}. Rate of the others {percent(rate)}."
    )


def _x(tills: list[dict[str, Any]]) -> alt.X:
    sizes = [row["redemptions"] for row in tills]
    scale = alt.Scale(type="log", nice=False) if _is_wide(sizes) else alt.Scale(nice=True)
    return alt.X("redemptions:Q", scale=scale, axis=alt.Axis(title="redemptions", grid=False))


def _is_wide(sizes: list[int]) -> bool:
    return bool(sizes) and max(sizes) > _WIDE * min(sizes)


def _limits(tills: list[dict[str, Any]], rate: float | None) -> list[alt.Chart]:
    if rate is None:
        return []
    sizes = [row["redemptions"] for row in tills]
    low, high = min(sizes), max(sizes)
    grid = sorted({round(low * (high / low) ** (step / _STEPS)) for step in range(_STEPS + 1)})
    apart = correlation(*_usual(tills))
    lines = []
    for share, dash in ((0.95, [4, 3]), (0.998, [1, 0])):
        of = f"{share * 100:.3g} %"
        rows = [
            {"redemptions": n, "from": a, "to": b}
            for n, (a, b) in zip(grid, control_limits(rate, grid, share, apart), strict=True)
        ]
        tips = [
            alt.Tooltip("redemptions:Q", format=NUMBER, title="redemptions"),
            alt.Tooltip("from:Q", format=PERCENT, title=f"{of} lie from"),
            alt.Tooltip("to:Q", format=PERCENT, title="to"),
        ]
        whole = alt.Chart(inline(rows))
        chart = whole.mark_line(color=GREY, strokeWidth=1, strokeDash=dash)
        lines += [
            chart.encode(_x(tills), y="from:Q"),
            chart.encode(_x(tills), y="to:Q"),
            hovered(whole).encode(_x(tills), y="from:Q", tooltip=tips),
            hovered(whole).encode(_x(tills), y="to:Q", tooltip=tips),
        ]
    middle = alt.Chart(inline([{"rate": rate}])).mark_rule(color=GREY)
    tip = alt.Tooltip("rate:Q", format=PERCENT, title="rate of those that do not stand out")
    return [middle.encode(y="rate:Q", tooltip=[tip]), *lines]


def _points(tills: list[dict[str, Any]]) -> list[alt.Chart]:
    rows = alt.Chart(inline(tills))
    y = alt.Y("rate:Q", axis=alt.Axis(title="share of redemptions reversed (%)", format=PERCENT))
    colour = named_colours({_OTHER: BLUE, _OUTLIER: VERMILION})
    shape = alt.Scale(domain=[_OTHER, _OUTLIER], range=["circle", "diamond"])
    tips = [
        alt.Tooltip("label:N", title="group"),
        alt.Tooltip("rate:Q", format=PERCENT, title="share reversed"),
        alt.Tooltip("reversed_redemptions:Q", format=NUMBER, title="reversed"),
        alt.Tooltip("expected_reversed_redemptions:Q", format=",.1f", title="expected"),
        alt.Tooltip("redemptions:Q", format=NUMBER, title="redemptions"),
        alt.Tooltip("q_value:Q", format=".2~g", title="q value"),
    ]
    marks = rows.mark_point(filled=True, size=60, opacity=0.9).encode(
        _x(tills),
        y,
        color=alt.Color("kind:N", **colour),
        shape=alt.Shape("kind:N", scale=shape, legend=colour["legend"]),
        tooltip=tips,
    )
    named = []
    aligns: tuple[Literal["left", "right"], ...] = ("left", "right")
    room = _with_room(tills)
    for align in aligns:
        found = room[align]
        text = alt.Chart(inline(found)).mark_text(
            align=align, dx=8 if align == "left" else -8, fontWeight="bold"
        )
        # Text without rows would make Vega look for an extent of nothing, and say so.
        named += [text.encode(_x(tills), y, text="text:N", tooltip=tips)] if found else []
    return [marks, *named]


def _with_room(tills: list[dict[str, Any]]) -> dict[str, list[dict[str, Any]]]:
    """Choose the names that do not lie on one another, least likely first, by where they begin.

    They are laid out for the narrowest chart; in a wider one they lie further apart.
    """
    found: dict[str, list[dict[str, Any]]] = {"left": [], "right": []}
    outliers = [row for row in tills if row["kind"] == _OUTLIER]
    if not outliers:
        return found
    short = shorter([row["label"] for row in outliers], 20)
    sizes = [row["redemptions"] for row in tills]
    scale = np.log if _is_wide(sizes) else float
    low, high = scale(min(sizes)), scale(max(sizes))
    top = max(row["rate"] for row in tills)
    taken: list[tuple[float, float, float]] = []
    for row in sorted(outliers, key=lambda row: row["p_value"])[:_NAMED]:
        text = short.get(row["label"], row["label"])
        x = (scale(row["redemptions"]) - low) / (high - low or 1) * _NARROW
        y = row["rate"] / top * HEIGHT
        align, wide = "left" if x < _NARROW / 2 else "right", len(text) * _LETTER + 8
        start = x if align == "left" else x - wide
        if all(
            abs(y - other) >= _LINE or start >= end or start + wide <= begin
            for begin, end, other in taken
        ):
            taken.append((start, start + wide, y))
            found[align].append(row | {"text": text})
    return found
