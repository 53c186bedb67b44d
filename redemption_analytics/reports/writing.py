"""Writing a report: a directory that appears whole, with a manifest that tells what is in it."""

from __future__ import annotations

import hashlib
import json
import logging
import os
from contextlib import ExitStack
from datetime import datetime
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

import narwhals as nw
import pyarrow as pa
import pyarrow.parquet as pq

from redemption_analytics.atomic_directory import check_replaceable, written_beside
from redemption_analytics.errors import SourceError, refused
from redemption_analytics.loading.option_checks import flag
from redemption_analytics.loading.progress import progress_bar
from redemption_analytics.moments import Moment, end
from redemption_analytics.numerals import written_in
from redemption_analytics.options import PERIODS, Period
from redemption_analytics.reports.appearance import TITLE, Appearance
from redemption_analytics.reports.contents import contents
from redemption_analytics.reports.extra import (
    PAGE,
    WORKBOOK,
    check_workbook_can_be_written,
    page_wanted,
)
from redemption_analytics.reports.manifest import manifest
from redemption_analytics.reports.money import Money, PointValue
from redemption_analytics.reports.reported import reported
from redemption_analytics.tables.arguments import path_of, public
from redemption_analytics.tables.frames import as_arrow, with_plain_texts
from redemption_analytics.tables.lazy import Frame, frame, native
from redemption_analytics.tables.now import oldest_of
from redemption_analytics.tables.outputs import MANIFEST, report_files

if TYPE_CHECKING:
    from redemption_analytics.redemptions import Redemptions

_LOG = logging.getLogger(__name__)


@public
def write_reports(
    r: Redemptions,
    directory: str | os.PathLike[str],
    period: Period = "month",
    as_of: Moment | None = None,
    *,
    point_value: PointValue | None = None,
    currency: str | None = None,
    title: str = TITLE,
    organisation: str | None = None,
    stylesheet: str | os.PathLike[str] | None = None,
    locale: str | None = None,
    page: bool | None = None,
    excel: bool = False,
    allow_empty: bool = False,
    progress: bool | None = None,
) -> list[Path]:
    """Write a report: Parquet files, a manifest, a page to read, and a workbook on demand.

    Parameters
    ----------
    r
        The bundle, on any engine.
    directory
        Where to write. It appears whole or not at all, even if the run is killed; an earlier report
        there is replaced, any other directory that is not empty is refused.
    period
        The grain of time.
    as_of
        A moment, wall-clock, of which a date means all of that day and a month all of it: what
        happened later is left out, so that the report of an earlier day can be written again from
        later exports. By default now (:attr:`redemption_analytics.Redemptions.now`), when the
        newest export was made: the last whole period is the last that is over then, whether or not
        anything happened in its last days. The audit is of all that was loaded.
    point_value
        What a point is worth: one number, or one for each program_id (None is that of points of no
        known program). Net points and points expected back then stand beside their value in money,
        exactly for net points: net_value in the files of net points, expected_value, low_value and
        high_value in those of expected reversals. Give a text or a ``decimal.Decimal`` where a
        float would not be what is meant.
    currency
        What that is in, as people write it: ``"EUR"``.
    title
        What the report is called, on the page and in the workbook.
    organisation
        Whose it is, which stands before the title.
    stylesheet
        The path of a CSS file, in UTF-8 and of 1 MB at most, that is put into the page after its
        own style: ``":root { --accent: #7a1f5c; }"``, say, has links in another colour. It can load
        nothing, neither fonts nor pictures, but what ``data:`` addresses hold.
    locale
        The locale of numbers and dates on the page, in its tables and charts, and in the
        workbook's words, by Babel: ``"de_DE"`` writes 1.422.022 and 20.11.2026, and its months are
        German. Other words stay English, and what files hold stays as it is.
    page
        Whether to write ``report.html``, which needs the extra ``report``; by default, where that
        is installed.
    excel
        Whether to write ``report.xlsx``, a workbook of an overview and a sheet for each table, with
        notes, units and bases; it needs the extra ``excel``.
    allow_empty
        Whether a report may be of nothing: where something was read, and none of it can be used
        (failed answers only, rejects only), that is an error otherwise.
    progress
        Whether to show a progress bar, as :func:`redemption_analytics.load` does.

    Returns
    -------
    list of pathlib.Path
        The files. Parquet: ``net_points`` and ``reversal_rates`` (by period), the same
        ``_by_program``, ``_by_store`` and ``_by_till`` (and period),
        ``reversal_rates_settled_by_program`` (``within="30D"``), ``net_points_posted`` (by period,
        ``basis="event"``), ``reconciliation``, ``kpis``, ``coupon_summary``,
        ``coupon_performance``, ``reversal_curve`` and ``expected_reversals`` (also
        ``_by_program``), ``reversal_outliers`` (of tills) and ``source_flows`` (also
        ``_of_period``, the one that the report is about), ``reversal_rates_compared`` (that period
        with earlier ones), ``programs``, ``stores`` and ``tills`` (codes with their names),
        ``audit``, ``ledger`` and ``rejects`` (by their places, without
        their text). Then ``report.html``, one file that works offline, ``report.xlsx``, and
        ``manifest.json``: what was read, versions, the ledger, row counts and checksums. The same
        input gives the same bytes.

    Raises
    ------
    UsageError
        If the period is unknown, ``as_of`` is no moment, ``point_value`` is no value or lacks that
        of a program with points, a title is empty, the stylesheet cannot be read, is over 1 MB or
        contains ``</style``, the locale is unknown, the directory holds something else, or
        ``page`` or ``excel`` is asked for and its extra is not installed.
    SourceError
        If nothing of what was read can be used, without ``allow_empty``.
    WriteError
        If the disk is full, the directory may not be written to, or another run is writing it.

    Examples
    --------
    >>> import redemption_analytics as ra
    >>> import tempfile
    >>> r = ra.load("data_samples/2020-breakups.json")
    >>> files = ra.write_reports(r, tempfile.mkdtemp(), period="year", page=False)
    >>> [file.name for file in files][:3]
    ['net_points.parquet', 'reversal_rates.parquet', 'net_points_by_program.parquet']
    """
    if not isinstance(period, str) or period not in PERIODS:
        raise refused("period", f"one of {', '.join(PERIODS)}", period)
    given = end(as_of, "as_of")
    money = Money.of(point_value, currency)
    given_title = None if title == TITLE else title
    appearance = Appearance.of(given_title, organisation, stylesheet, locale)
    with_page = page_wanted(page)
    if flag("excel", excel):
        check_workbook_can_be_written()
    if not flag("allow_empty", allow_empty) and _is_of_nothing(r):
        raise SourceError(
            "nothing of what was read can be used, and the report would be of nothing:"
            " allow_empty=True writes it all the same"
        )
    r = r.in_arrow()
    target = path_of(directory, "directory")
    check = partial(check_replaceable, own=report_files, overwrite=True)
    shown = flag("progress", progress) if progress is not None else None
    with written_beside(target, check) as fresh, ExitStack() as stack:
        stack.enter_context(written_in(appearance.locale))
        moment = given or r.now
        known = r if given is None else r.filter(as_of=given)
        if money is not None:
            money.check(known)
        about = reported(oldest_of(known.tables), period, moment or datetime.min)
        wanted = contents(r, known, about, moment)
        steps = len(wanted) + with_page + excel
        advance = stack.enter_context(progress_bar(steps, shown, "reporting", "files"))
        tables: dict[str, pa.Table] = {}
        for name, computed in wanted.items():
            table = with_plain_texts(as_arrow(computed())).replace_schema_metadata()
            if money is not None and name == "expected_reversals":
                table = money.in_all(table, tables[f"{name}_by_program.parquet"])
            elif money is not None:
                table = money.beside(name, table, known)
            tables[f"{name}.parquet"] = table
            pq.write_table(table, fresh / f"{name}.parquet")
            advance(1)
        _LOG.info("%d tables computed", len(tables))
        if with_page:
            from redemption_analytics.reports.page import render

            text = render(r, known, tables, about, moment, money, appearance)
            (fresh / PAGE).write_text(text, encoding="utf-8", newline="\n")
            advance(1)
            _LOG.info("the page is written")
        if excel:
            from redemption_analytics.reports.workbook import write_workbook

            write_workbook(fresh / WORKBOOK, r, tables, about, moment, money, appearance)
            advance(1)
            _LOG.info("the workbook is written")
        rows = {name: table.num_rows for name, table in tables.items()}
        written = [*tables, *([PAGE] if with_page else []), *([WORKBOOK] if excel else [])]
        files = {name: _described(fresh / name, rows.get(name)) for name in written}
        said = manifest(r, period, moment, money, files, appearance.described)
        text = json.dumps(said, indent=2) + "\n"  # in ASCII, which shows whatever is in a name
        (fresh / MANIFEST).write_text(text, encoding="utf-8", newline="\n")
    _LOG.info("the report is in its place: %d files", len(written) + 1)
    return [target / name for name in (*written, MANIFEST)]


def _is_of_nothing(r: Redemptions) -> bool:
    """Check whether something was read, and none of it is good for anything."""
    if any(_has_rows(frame(table)) for table in (r.points, r.coupons)):
        return False
    answers = frame(r.responses)
    if _has_rows(answers.filter(nw.col("success"))):
        return False
    return any(_has_rows(rows) for rows in (answers, frame(r.files), frame(r.rejects)))


def _has_rows(rows: Frame) -> bool:
    return len(as_arrow(native(rows.head(1)))) > 0


def _described(path: Path, rows: int | None) -> dict[str, Any]:
    data = path.read_bytes()
    size = {"bytes": len(data), "sha256": hashlib.sha256(data).hexdigest()}
    return size if rows is None else {"rows": rows, **size}
