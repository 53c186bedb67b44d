"""Source flows as a chart."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import altair as alt

from redemption_analytics.metrics import source_flows as measure
from redemption_analytics.numerals import number, percent
from redemption_analytics.plot.groups import in_short, names_of, plain_rows, told_apart
from redemption_analytics.plot.look import INK, NUMBER, inline, layered, titled
from redemption_analytics.tables.arguments import public

if TYPE_CHECKING:
    from redemption_analytics.redemptions import Redemptions

_SIDE, _ROW = 44, 28
_OTHERS, UNKNOWN = "other stores", "not known"
#: Letters of a label, pixels that a number takes, and what is many stores together.
_LETTERS, _NUMBER, _TOGETHER = 20, 28, "#E4E4E4"


@public
def source_flows(r: Redemptions, most: int = 12) -> alt.LayerChart:
    """Draw where points were earned against where they were burnt.

    Parameters
    ----------
    r
        The bundle, on any engine.
    most
        How many stores have a row and a column of their own; the rest are one together.

    Returns
    -------
    altair.LayerChart
        The chart: a cell for each pair of stores, darker with more points, and its points in it
        where there is room; grey for the stores that are one together, and for those not known.

    Examples
    --------
    >>> import redemption_analytics as ra
    >>> r = ra.load("data_samples/organisation")
    >>> ra.plot.source_flows(r).title.subtitle[0]
    '661,957 points: 9.3 % were redeemed in the store that had awarded them.'
    """
    return drawn(plain_rows(measure(r)), names_of(r, "store_code"), most)


def drawn(
    flows: Sequence[Mapping[str, Any]], names: Mapping[str, str], most: int
) -> alt.LayerChart:
    """Draw flows, as the metric gives them, with the names of stores."""
    total = sum(row["points_consumed"] for row in flows)
    known = [row for row in flows if row["source_store_code"] and row["store_code"]]
    at_home = sum(
        row["points_consumed"] for row in known if row["source_store_code"] == row["store_code"]
    )
    share = at_home / total if total else None
    said = (
        f"{number(total)} points: {percent(share)} were redeemed in the store that had awarded"
        " them."
    )
    rows, order = _cells(flows, names, most)
    together = [name for name in order if name in (_OTHERS, UNKNOWN)]
    notes = ["The largest first, by points.", "Outlined: the same store."]
    notes += [f"Grey: {' and '.join(together)}."] if together else []
    title = "Where points were earned against where they were redeemed"
    return layered(*_marks(rows, order)).properties(
        width=alt.Step(_SIDE),
        height=_ROW * max(len(order), 1),
        **titled(title, said, *notes),
    )


def _cells(
    flows: Sequence[Mapping[str, Any]], names: Mapping[str, str], most: int
) -> tuple[list[dict[str, Any]], list[str]]:
    sizes: dict[str, float] = {}
    for row in flows:
        for code in (row["source_store_code"], row["store_code"]):
            if code is not None:
                sizes[code] = sizes.get(code, 0) + row["points_consumed"]
    largest = sorted(sizes, key=lambda code: (-sizes[code], code))[:most]
    shown = told_apart({(code,): names.get(code, code) for code in largest}, (_OTHERS, UNKNOWN))

    def label(code: str | None) -> str:
        return UNKNOWN if code is None else shown.get((code,), _OTHERS)

    cells: dict[tuple[str, str], float] = {}
    for row in flows:
        pair = label(row["source_store_code"]), label(row["store_code"])
        cells[pair] = cells.get(pair, 0) + row["points_consumed"]
    together = (_OTHERS, UNKNOWN)
    apart = [points for pair, points in cells.items() if not {*pair} & {*together}]
    darkest = max(apart, default=0)
    rows = [
        {
            "earned": earned,
            "redeemed": redeemed,
            "points": points,
            "same": earned == redeemed and earned not in together,
            "together": earned in together or redeemed in together,
            "dark": points > darkest * 0.55 and not {earned, redeemed} & {*together},
        }
        for (earned, redeemed), points in cells.items()
    ]
    met = {name for pair in cells for name in pair}
    return rows, [*shown.values(), *(name for name in together if name in met)]


def _marks(rows: list[dict[str, Any]], order: list[str]) -> list[alt.Chart]:
    short = in_short(order, _LETTERS)
    x = alt.X(
        "redeemed:N",
        sort=order,
        axis=alt.Axis(title="store that took the points", labelAngle=-40, orient="bottom", **short),
    )
    y = alt.Y("earned:N", sort=order, axis=alt.Axis(title="store that awarded the points", **short))
    cells = alt.Chart(inline(rows))
    highest = max((row["points"] for row in rows if not row["together"]), default=0)
    scale = alt.Scale(scheme="blues", domain=[0, highest or 1])
    tips = [
        alt.Tooltip("earned:N", title="earned in"),
        alt.Tooltip("redeemed:N", title="redeemed in"),
        alt.Tooltip("points:Q", format=NUMBER, title="points"),
    ]
    colour = (
        alt.when(alt.datum.together)
        .then(alt.value(_TOGETHER))
        .otherwise(alt.Color("points:Q", scale=scale, legend=None))
    )
    same = alt.Chart(inline([row for row in rows if row["same"]]))
    # On a narrow screen numbers would run into each other.
    room = alt.ExprRef(f"width < {_NUMBER * len(order)} ? 0 : 1")
    texts = cells.mark_text(fontSize=10, opacity=room).encode(
        x, y,
        text=alt.Text("points:Q", format=".2~s"),
        color=alt.condition("datum.dark", alt.value("white"), alt.value(INK)),
        tooltip=tips,
    )  # fmt: skip
    outline = same.mark_rect(fillOpacity=0, stroke=INK, strokeWidth=1.5)
    return [
        cells.mark_rect().encode(x, y, color=colour, tooltip=tips),
        outline.encode(x, y, tooltip=tips),
        texts,
    ]
