"""Coverage as a chart: what answers say that there is, against what was loaded."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, get_args

import altair as alt

from redemption_analytics.metrics.sums import counted
from redemption_analytics.numerals import many, number
from redemption_analytics.plot.groups import plain_rows
from redemption_analytics.plot.look import (
    BLUE,
    GREY,
    NUMBER,
    VERMILION,
    inline,
    layered,
    named_colours,
    titled,
)
from redemption_analytics.tables.arguments import public
from redemption_analytics.tables.coverage import Kind, said_and_loaded
from redemption_analytics.tables.lazy import native

if TYPE_CHECKING:
    from redemption_analytics.redemptions import Redemptions

_SIDE = 260
_WHOLE, _TRUNCATED = "all loaded", "truncated: some are missing"


@public
def coverage(r: Redemptions) -> alt.FacetChart:
    """Draw how many redemptions customers have by what the answers say, against those loaded.

    Parameters
    ----------
    r
        The bundle, on any engine, with its responses.

    Returns
    -------
    altair.FacetChart
        The chart, for points and for coupons: redemptions said (count) against redemptions loaded
        (count), a mark for each pair, larger with more customers. Below the line, exports are
        truncated: the API pages its answers.

    Examples
    --------
    >>> import redemption_analytics as ra
    >>> r = ra.load("data_samples/organisation")
    >>> ra.plot.coverage(r).title.subtitle[0]
    'points: 3 of 1,246 customers miss redemptions. coupons: 0 of 771 customers miss redemptions.'
    """
    pairs = [row for kind in get_args(Kind) for row in _pairs(r, kind)]
    said = " ".join(_said(kind, pairs) for kind in get_args(Kind))
    most = max((max(row["said"], row["here"]) for row in pairs), default=1)
    line = (
        alt.Chart()
        .transform_aggregate(groupby=["kind"])
        .transform_calculate(start="0", end=str(most), meaning="'as many loaded as said'")
    )
    colours = named_colours({_WHOLE: BLUE, _TRUNCATED: VERMILION})
    shapes = alt.Scale(domain=[_WHOLE, _TRUNCATED], range=["circle", "diamond"])
    points = (
        alt.Chart()
        .mark_point(filled=True, opacity=0.8)
        .encode(
            alt.X("said:Q", axis=alt.Axis(title="redemptions that the answers say")),
            alt.Y("here:Q", axis=alt.Axis(title="redemptions loaded")),
            alt.Color("state:N", **colours),
            alt.Shape("state:N", scale=shapes, legend=colours["legend"]),
            alt.Size("customers:Q", scale=alt.Scale(range=[60, 400]), legend=None),
            tooltip=[
                alt.Tooltip("said:Q", format=NUMBER, title="redemptions said"),
                alt.Tooltip("here:Q", format=NUMBER, title="redemptions loaded"),
                alt.Tooltip("customers:Q", format=NUMBER, title="customers"),
                alt.Tooltip("state:N", title="these are"),
            ],
        )
    )
    diagonal = line.mark_rule(color=GREY, strokeDash=[4, 4]).encode(
        x="start:Q",
        y="start:Q",
        x2="end:Q",
        y2="end:Q",
        tooltip=[alt.Tooltip("meaning:N", title="on the line")],
    )
    header = alt.Header(title=None, labelFontWeight="bold")
    return (
        layered(diagonal, points)
        .properties(width=_SIDE, height=_SIDE)
        .facet(
            alt.Facet("kind:N", header=header, sort=list(get_args(Kind))),
            columns=2,
            data=inline(pairs),
        )
        .properties(
            **titled("Redemptions said against redemptions loaded, by customer", said),
        )
    )


def _pairs(r: Redemptions, kind: Kind) -> list[dict[str, Any]]:
    """Count customers by what is said of them and what is here: only that leaves the engine."""
    rows = plain_rows(
        native(counted(said_and_loaded(r.tables, kind), ["said", "here"], "customers"))
    )
    # What is truncated comes last, and so on top.
    rows.sort(key=lambda row: (row["said"] > row["here"], row["said"], row["here"]))
    return [
        row | {"kind": kind, "state": _TRUNCATED if row["said"] > row["here"] else _WHOLE}
        for row in rows
    ]


def _said(kind: Kind, pairs: list[dict[str, Any]]) -> str:
    of_kind = [row for row in pairs if row["kind"] == kind]
    count = sum(row["customers"] for row in of_kind)
    missing = sum(row["customers"] for row in of_kind if row["state"] == _TRUNCATED)
    miss = "misses" if missing == 1 else "miss"
    return f"{kind}: {number(missing)} of {many(count, 'customer')} {miss} redemptions."
