"""dlt: resources with typed columns, nested tables as dlt makes them, to Parquet files."""

from __future__ import annotations

import os
from collections.abc import Iterator
from itertools import islice
from pathlib import Path
from typing import Any

import dlt
from dlt.common import json

from benchmarks.work import Tables

_IDENTITIES = ("user_id", "external_id", "mobile", "email")
_NONE = "0000-00-00 00:00:00"
_PAGE = 500  # answers: some thousand rows, as dlt's guide to performance advises
_BREAKUPS = "redemption_breakup_by_program"


def _pages(source: Path) -> Iterator[list[tuple[str | None, dict[str, Any]]]]:
    with source.open("rb") as lines:
        while page := [json.loadb(line) for line in islice(lines, _PAGE)]:
            customers = (answer["response"]["customer"] for answer in page)
            yield [(_key(customer), customer["redemptions"]) for customer in customers]


def _key(customer: dict[str, Any]) -> str | None:
    known = ((name, customer.get(name)) for name in _IDENTITIES)
    return next((f"{name}:{value}" for name, value in known if value), None)


def _row(key: str | None, item: dict[str, Any]) -> dict[str, Any]:
    row = {"customer_key": key, **item}
    for place in ("store", "till"):
        where = row.pop(f"redeemed_{place}") or {}
        row |= {f"{place}_code": where.get("code"), f"{place}_name": where.get("name")}
    if row["redeemed_time"] == _NONE:
        row["redeemed_time"] = None
    del row["custom_fields"]
    row.pop("redemption_breakup_by_source", None)
    if "reversals" in row:
        row["reversals"] = [_reversal(row["redemption_id"], part) for part in row["reversals"]]
        row[_BREAKUPS] = [
            {"redemption_key": row["redemption_id"], **part} for part in row.get(_BREAKUPS, ())
        ]
    return row


def _reversal(key: str, item: dict[str, Any]) -> dict[str, Any]:
    row = {"redemption_key": key, **item}
    del row["reversal_breakup_by_program"]
    return row


def _typed(**columns: str) -> Any:
    # Times are wall-clock times.
    local = {"timezone": False}
    return {
        name: {"name": name, "data_type": kind, **(local if kind == "timestamp" else {})}
        for name, kind in columns.items()
    }


@dlt.resource(columns=_typed(discount_value="double", redeemed_time="timestamp"))
def coupons(source: Path) -> Iterator[list[dict[str, Any]]]:
    """Yield the coupon redemptions, page by page."""
    for page in _pages(source):
        known = [(key, parts["coupons"]["coupon"]) for key, parts in page if "coupons" in parts]
        yield [_row(key, item) for key, items in known for item in items or ()]


@dlt.resource(
    columns=_typed(redeemed_time="timestamp"),
    nested_hints={"reversals": {"columns": _typed(reversal_time="timestamp")}},
)
def points(source: Path) -> Iterator[list[dict[str, Any]]]:
    """Yield the points redemptions, page by page, with what is nested in them."""
    for page in _pages(source):
        known = [(key, parts["points"]["point"]) for key, parts in page if "points" in parts]
        yield [_row(key, item) for key, items in known for item in items or ()]


def run(source: Path, target: Path) -> Tables:
    """Run a pipeline into a local directory, normalizing in a process for each core."""
    settings = {
        "NORMALIZE__WORKERS": str(os.cpu_count()),
        # Several intermediate files, since a file is what a process takes.
        "SOURCES__DATA_WRITER__FILE_MAX_ITEMS": "20000",
        "RUNTIME__DLTHUB_TELEMETRY": "false",
        "RUNTIME__LOG_LEVEL": "ERROR",
    }
    os.environ |= settings
    pipeline = dlt.pipeline(
        "redemptions",
        pipelines_dir=str(target / "pipelines"),
        destination=dlt.destinations.filesystem(bucket_url=str(target)),
        dataset_name="exports",
    )
    pipeline.run([coupons(source), points(source)], loader_file_format="parquet")
    folder = target / "exports"
    return {
        "coupons": folder / "coupons",
        "points": folder / "points",
        "program_breakups": folder / f"points__{_BREAKUPS}",
        "reversals": folder / "points__reversals",
    }
