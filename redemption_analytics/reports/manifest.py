"""The manifest of a report: what was read, by what, and what was written."""

from __future__ import annotations

import platform
from collections.abc import Mapping
from datetime import datetime
from importlib.metadata import PackageNotFoundError, version
from typing import TYPE_CHECKING, Any

import narwhals as nw

import redemption_analytics
from redemption_analytics.metrics.sums import counted
from redemption_analytics.reports.money import Money
from redemption_analytics.tables.frames import as_arrow
from redemption_analytics.tables.lazy import frame, native
from redemption_analytics.tables.outputs import GENERATOR

if TYPE_CHECKING:
    from redemption_analytics.redemptions import Redemptions

_PACKAGES = (
    "pandas", "pyarrow", "narwhals", "duckdb", "polars", "altair", "vl-convert-python",
    "great-tables", "jinja2", "xlsxwriter",
)  # fmt: skip


def manifest(
    r: Redemptions,
    period: str,
    as_of: datetime | None,
    money: Money | None,
    files: Mapping[str, Any],
    appearance: Mapping[str, str],
) -> dict[str, Any]:
    """Return what a report was made from and what is in it.

    Returns
    -------
    dict
        generator, version, period, as_of, point_value (by program, or of all) and currency where
        they were given, title, organisation, stylesheet (its sha256) and locale where these were,
        read (sources with their export times, digests and answers),
        passed_over (files that were not, and why), tables (their rows), ledger, versions, files
        (rows, bytes, sha256). Nothing in it depends on when or where the report is written.
    """
    return {
        "generator": GENERATOR,
        "version": redemption_analytics.__version__,
        "period": period,
        "as_of": as_of and as_of.isoformat(),
        **({} if money is None else {"point_value": money.described(), "currency": money.currency}),
        **appearance,
        "read": sources(r),
        "passed_over": passed_over(r),
        "tables": {name: _rows(table) for name, table in r.tables.items()},
        "ledger": as_arrow(r.ledger).to_pylist(),
        "versions": _versions(),
        "files": dict(files),
    }


def sources(r: Redemptions) -> list[dict[str, Any]]:
    """List what was read: each source, when it was exported, its digest, its answers."""
    answers = counted(frame(r.responses), ["source", "exported_at"], "responses")
    read = as_arrow(native(answers)).to_pylist()
    columns = ["source", "exported_at", "digest"]
    files = frame(r.files).filter(nw.col("status") != "passed over").select(*columns)
    told = as_arrow(native(files)).to_pylist()
    refused = as_arrow(native(frame(r.rejects).select("source").unique())).to_pylist()
    known = {row["source"] for row in read}
    silent = {row["source"] for row in (*told, *refused)} - known
    read += [{"source": source, "exported_at": None, "responses": 0} for source in silent]
    digests = {
        (file["source"], at): file["digest"] for file in told for at in (None, file["exported_at"])
    }
    for row in read:
        row["sha256"] = digests.get((row["source"], row["exported_at"]))
        row["exported_at"] = row["exported_at"] and row["exported_at"].isoformat()
    return sorted(read, key=lambda row: (row["source"], row["exported_at"] or ""))


def passed_over(r: Redemptions) -> list[dict[str, Any]]:
    """List the files that were passed over, and why."""
    rows = frame(r.files).filter(nw.col("status") == "passed over").select("source", "reason")
    found: list[dict[str, Any]] = as_arrow(native(rows)).to_pylist()
    return sorted(found, key=lambda row: row["source"])


def _rows(table: Any) -> int:
    count: int = as_arrow(native(frame(table).select(nw.len())))[0][0].as_py()
    return count


def _versions() -> dict[str, str]:
    found = {"python": platform.python_version()}
    for name in _PACKAGES:
        try:
            found[name] = version(name)
        except PackageNotFoundError:
            continue
    return found
