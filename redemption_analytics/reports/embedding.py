"""Charts inside a page: their specification, a picture for readers without scripts, the scripts."""

from __future__ import annotations

import base64
import hashlib
from dataclasses import dataclass
from functools import cache
from typing import Any

import altair as alt
import vl_convert

from redemption_analytics.numerals import for_charts
from redemption_analytics.plot.look import Chart

_FONT = "system-ui, -apple-system, 'Segoe UI', Roboto, 'Helvetica Neue', Arial, sans-serif"
_CONFIG = {
    "font": _FONT,
    "axis": {"labelFontSize": 12, "titleFontSize": 12, "titleFontWeight": "normal"},
    "legend": {"labelFontSize": 12},
    "text": {"fontSize": 12},
    "view": {"stroke": None},
}
_STILL_WIDTH = 640


@dataclass(frozen=True)
class Embedded:
    """A chart to put into a page.

    Attributes
    ----------
    title, said : str and list of str
        The chart's title, and the lines below it.
    spec : dict
        The Vega-Lite specification, as wide as its container.
    still : str
        The chart as SVG, for readers without scripts.
    """

    title: str
    said: list[str]
    spec: dict[str, Any]
    still: str


def embedded(chart: Chart) -> Embedded:
    """Split a chart: its title goes into the page's text, where it wraps on narrow screens."""
    title: Any = chart.title
    bare = chart.copy()
    bare.title = alt.Undefined
    size = alt.AutoSizeParams(type="fit-x", contains="padding")
    spec = bare.properties(width="container", autosize=size).to_dict(validate=False)
    spec["config"] = _CONFIG | for_charts()
    fixed = _without_hovered(spec) | {"width": _STILL_WIDTH}
    still = vl_convert.vegalite_to_svg(fixed, vl_version=_version())
    return Embedded(title.text, list(title.subtitle), spec, still)


def _without_hovered(spec: dict[str, Any]) -> dict[str, Any]:
    """Return a chart without the marks that are there to be pointed at only."""
    layers = spec.get("layer")
    if layers is None:
        return spec
    return spec | {"layer": [layer for layer in layers if layer["mark"].get("opacity") != 0]}


@cache
def scripts(starter: str) -> str:
    """Return the scripts that draw charts, with a starter that runs after they are there."""
    return str(vl_convert.javascript_bundle(starter, vl_version=_version()))


def fingerprint(script: str) -> str:
    """Name a script in a content security policy: no other script runs then."""
    digest = hashlib.sha256(script.encode()).digest()
    return f"sha256-{base64.b64encode(digest).decode()}"


def _version() -> str:
    """Return the version of Vega-Lite that Altair writes for."""
    return ".".join(alt.SCHEMA_VERSION.split(".")[:2])
