"""Writing a report: a directory that appears whole, with a manifest that tells what is in it."""

from __future__ import annotations

import hashlib
import json
import os
from datetime import date, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pyarrow.parquet as pq

from redemption_analytics.errors import UsageError
from redemption_analytics.frames import as_arrow
from redemption_analytics.metrics.grouping import PERIODS, instant
from redemption_analytics.reports.contents import Period, contents, newest_time
from redemption_analytics.reports.extra import PAGE, page_wanted
from redemption_analytics.reports.manifest import GENERATOR, manifest
from redemption_analytics.storage import check_replaceable, written_beside

if TYPE_CHECKING:
    from redemption_analytics.redemptions import Redemptions

MANIFEST = "manifest.json"


def write_reports(
    r: Redemptions,
    directory: str | os.PathLike[str],
    period: Period = "month",
    as_of: str | date | datetime | None = None,
    *,
    page: bool | None = None,
) -> list[Path]:
    """Write a report: Parquet files, a manifest, and a page to read.

    Parameters
    ----------
    r
        The bundle, on any engine.
    directory
        Where to write. It appears whole or not at all; an earlier report there is replaced, any
        other directory that is not empty is refused.
    period
        The grain of time.
    as_of
        A moment, wall-clock: what happened later is left out, so that the report of an earlier day
        can be written again from later exports. By default the newest time in the data. The audit
        is of all that was loaded.
    page
        Whether to write ``report.html``, which needs the extra ``report``; by default, where that
        is installed.

    Returns
    -------
    list of pathlib.Path
        The files. Parquet: ``net_points`` and ``reversal_rates`` (by period), the same
        ``_by_program``, ``_by_store`` and ``_by_till`` (and period),
        ``reversal_rates_settled_by_program`` (``within="30D"``), ``net_points_posted`` (by period,
        ``basis="event"``), ``kpis``, ``coupon_summary`` (also ``_by_series``),
        ``reversal_curve`` and ``expected_reversals`` (also ``_by_program``),
        ``reversal_outliers`` (of tills), ``source_flows``, ``audit``, ``ledger`` and ``rejects``
        (by their places, without their text). Then ``report.html``, one file that works offline,
        and ``manifest.json``: what was read, versions, the ledger, row counts and checksums. The
        same input gives the same bytes.

    Raises
    ------
    UsageError
        If the period is unknown, ``as_of`` is no moment, the directory holds something else, or
        ``page`` is asked for and its extra is not installed.

    Examples
    --------
    >>> import redemption_analytics as ra
    >>> import tempfile
    >>> r = ra.load("data_samples/2020-breakups.json")
    >>> files = ra.write_reports(r, tempfile.mkdtemp(), period="year", page=False)
    >>> [file.name for file in files][:3]
    ['net_points.parquet', 'reversal_rates.parquet', 'net_points_by_program.parquet']
    """
    if period not in PERIODS:
        raise UsageError(f"period is one of {', '.join(PERIODS)}, not {period!r}")
    given = instant(as_of, "as_of")
    with_page = page_wanted(page)
    target = Path(directory)
    _check_own(target)
    moment = given or newest_time(r)
    known = r if given is None else r.filter(as_of=given)
    found = contents(r, known, period, moment)
    tables = {
        f"{name}.parquet": as_arrow(frame).replace_schema_metadata()
        for name, frame in found.items()
    }
    with written_beside(target) as fresh:
        for name, table in tables.items():
            pq.write_table(table, fresh / name)
        if with_page:
            from redemption_analytics.reports.page import render

            text = render(r, known, tables, period, moment)
            (fresh / PAGE).write_text(text, encoding="utf-8", newline="\n")
        rows = {name: table.num_rows for name, table in tables.items()}
        written = [*tables, *([PAGE] if with_page else [])]
        files = {name: _described(fresh / name, rows.get(name)) for name in written}
        said = manifest(r, period, moment, files)
        text = json.dumps(said, indent=2, ensure_ascii=False) + "\n"
        (fresh / MANIFEST).write_text(text, encoding="utf-8", newline="\n")
    return [target / name for name in (*written, MANIFEST)]


def _described(path: Path, rows: int | None) -> dict[str, Any]:
    data = path.read_bytes()
    size = {"bytes": len(data), "sha256": hashlib.sha256(data).hexdigest()}
    return size if rows is None else {"rows": rows, **size}


def _check_own(target: Path) -> None:
    """Refuse a directory that is no report, or that holds what no report has."""
    check_replaceable(target, MANIFEST, overwrite=True)
    path = target / MANIFEST
    if not path.exists():
        return
    try:
        said = json.loads(path.read_bytes())
        own = {MANIFEST, *said["files"]} if said["generator"] == GENERATOR else set()
    except (ValueError, TypeError, KeyError):
        own = set()
    if not own:
        raise UsageError(f"{target} holds something else: name a new or an empty directory")
    foreign = sorted(entry.name for entry in target.iterdir() if entry.name not in own)
    if foreign:
        raise UsageError(
            f"{target / foreign[0]} is no part of the report that would be replaced: move it away"
        )
