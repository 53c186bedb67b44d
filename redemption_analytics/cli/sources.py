"""What commands read: exports, or what was converted or ingested before."""

from __future__ import annotations

import sys
from typing import Annotated, Any

import typer

import redemption_analytics as ra
from redemption_analytics.flags import given
from redemption_analytics.options import LoadOptions

#: What is opened, and not loaded.
CONVERTED, WAREHOUSE = "converted", "a warehouse"

SourceArgument = Annotated[
    list[str],
    typer.Argument(
        metavar="SOURCE",
        help="Files, directories, globs or URIs of exports; - for standard input.",
        show_default=False,
    ),
]


def sources(source: list[str]) -> Any:
    """Return what the library is to read."""
    found: list[Any] = [sys.stdin.buffer if path == "-" else path for path in source]
    return found[0] if len(found) == 1 else found


def bundle(source: list[str], options: LoadOptions) -> ra.Redemptions:
    """Load exports, or open a directory that was converted before, or a warehouse."""
    what = opened_as(source)
    if what is None:
        return ra.load(sources(source), **options)
    if named := given(options):
        raise ra.UsageError(f"{source[0]} is {what} already, too late for {', '.join(named)}")
    if what == CONVERTED:
        return ra.open(source[0], engine="duckdb")
    return ra.Warehouse(source[0]).open("duckdb")


def opened_as(source: list[str]) -> str | None:
    """Say what a source is that is opened, not loaded; None if it is loaded."""
    from redemption_analytics.tables.outputs import is_converted, is_warehouse_directory

    if len(source) != 1:
        return None
    if is_converted(source[0]):
        return CONVERTED
    if is_warehouse_directory(source[0]):
        return WAREHOUSE
    if "://" in source[0]:
        from redemption_analytics.warehouse.log import is_warehouse

        try:
            return WAREHOUSE if is_warehouse(source[0]) else None
        except ra.RedemptionAnalyticsError:
            return None  # Loading it will say what is wrong.
    return None
