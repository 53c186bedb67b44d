"""Scheduled reports: the numbers of a bundle as Parquet files."""

from __future__ import annotations

import os
from datetime import date, datetime
from pathlib import Path
from typing import Any, Literal

import pyarrow.parquet as pq

from redemption_analytics.audits import audit
from redemption_analytics.errors import UsageError
from redemption_analytics.frames import as_arrow
from redemption_analytics.metrics import net_points, reversal_rates
from redemption_analytics.metrics.grouping import PERIODS
from redemption_analytics.redemptions import Redemptions
from redemption_analytics.storage import check_replaceable, written_beside

Period = Literal["day", "week", "month", "quarter", "year"]

#: What net points and reversal rates are reported by, beside the period: file name and column.
CUTS = {"program": "program_id", "store": "store_code", "till": "till_code"}

#: The file that tells a report from any other directory.
MARK = "audit.parquet"


def write_reports(
    r: Redemptions,
    directory: str | os.PathLike[str],
    period: Period = "month",
    as_of: str | date | datetime | None = None,
) -> list[Path]:
    """Write a report: net points and reversal rates by program, store, till and period; the audit.

    Parameters
    ----------
    r
        The bundle.
    directory
        Where to write. It appears whole or not at all; an earlier report there is replaced, any
        other directory that is not empty is refused.
    period
        The grain of time.
    as_of
        What the reversal rates know, as in :func:`redemption_analytics.reversal_rates`.

    Returns
    -------
    list of pathlib.Path
        The Parquet files: ``net_points``, ``reversal_rates`` (by period), the same ``_by_program``,
        ``_by_store`` and ``_by_till`` (and period), ``audit``, ``ledger`` and ``rejects``.

    Raises
    ------
    UsageError
        If the period is unknown, or the directory holds something else.

    Examples
    --------
    >>> import redemption_analytics as ra
    >>> import tempfile
    >>> r = ra.load("data_samples/2020-breakups.json")
    >>> files = ra.write_reports(r, tempfile.mkdtemp(), period="year")
    >>> [file.name for file in files][:3]
    ['net_points.parquet', 'reversal_rates.parquet', 'net_points_by_program.parquet']
    """
    if period not in PERIODS:
        raise UsageError(f"period is one of {', '.join(PERIODS)}, not {period!r}")
    target = Path(directory)
    check_replaceable(target, MARK, overwrite=True)
    reports: dict[str, Any] = {}
    for suffix, columns in [("", [])] + [(f"_by_{name}", [cut]) for name, cut in CUTS.items()]:
        by = [*columns, period]
        reports[f"net_points{suffix}"] = net_points(r, by)
        reports[f"reversal_rates{suffix}"] = reversal_rates(r, by, as_of=as_of)
    reports |= {"audit": audit(r), "ledger": r.ledger, "rejects": r.rejects}
    with written_beside(target) as fresh:
        for name, frame in reports.items():
            data = as_arrow(frame).replace_schema_metadata()
            pq.write_table(data, fresh / f"{name}.parquet")
    return [target / f"{name}.parquet" for name in reports]
