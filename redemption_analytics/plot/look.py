"""How charts look: colours, sizes, formats.

The colours are those of M. Okabe and K. Ito, "Color Universal Design" (2008), which people with any
colour vision tell apart. Colour is never alone: position, shape or dashes say the same in print.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from decimal import Decimal
from typing import Any, TypeAlias, cast

import altair as alt

from redemption_analytics.visible import visible

Chart: TypeAlias = alt.LayerChart | alt.FacetChart

BLUE = "#0072B2"
VERMILION = "#D55E00"
GREEN = "#009E73"
PURPLE = "#CC79A7"
ORANGE = "#E69F00"
SKY = "#56B4E9"
INK = "#222222"
GREY = "#767676"
SUBTLE = "#595959"

#: Colours and dashes of lines that stand for groups; more groups than this are not told apart.
LINES = (BLUE, VERMILION, GREEN, PURPLE, ORANGE, SKY, INK)
DASHES = ([1, 0], [6, 3], [2, 2], [8, 2, 2, 2], [10, 4], [4, 1], [1, 3])

WIDTH, HEIGHT = 560, 280
#: Height of a row in charts that have a row for each group, and of a facet, in pixels.
ROW, FACET = 24, 130

NUMBER = ",.3~f"
PERCENT = ".1~%"


def titled(title: str, *said: str) -> dict[str, Any]:
    """Return a title, what the numbers say below it, and all of that for screen readers."""
    title, lines = visible(title), [visible(line) for line in said if line]
    shown = alt.TitleParams(title, subtitle=lines, anchor="start", subtitleColor=SUBTLE, offset=10)
    return {"title": shown, "description": f"{title}. {' '.join(lines)}"}


def inline(rows: Iterable[Mapping[str, Any]]) -> alt.InlineData:
    """Return rows as data of a chart: texts as they may be shown, null for what is no number."""
    return alt.InlineData(
        values=[{visible(name): _plain(value) for name, value in row.items()} for row in rows]
    )


def _plain(value: Any) -> Any:
    if isinstance(value, str):
        return visible(value)
    if isinstance(value, Decimal):
        return float(value)
    return None if isinstance(value, float) and not math.isfinite(value) else value


def layered(*charts: alt.Chart, data: Any = alt.Undefined) -> alt.LayerChart:
    """Draw charts on top of each other, the first below; those without data take the data given."""
    for chart in charts:
        # What the chart says of itself is read out, not each of its marks.
        given: Any = chart.mark
        mark: Any = {"type": given} if isinstance(given, str) else given.to_dict()
        chart.mark = alt.MarkDef(**{**mark, "aria": False})
    together: Any = alt.layer(*charts, data=data)
    return cast(alt.LayerChart, together)


def hovered(marks: alt.Chart) -> alt.Chart:
    """Return points that are not seen, to be pointed at: a line tells of its first row only."""
    points: alt.Chart = marks.mark_point(filled=True, size=180, opacity=0)
    return points


def named_colours(names: dict[str, str]) -> dict[str, Any]:
    """Return the scale and the legend of marks that have names."""
    scale = alt.Scale(domain=list(names), range=list(names.values()))
    return {"scale": scale, "legend": alt.Legend(title=None, orient="top", labelLimit=0)}
