"""The page of a report: one HTML file that works offline."""

from __future__ import annotations

from datetime import datetime
from importlib.resources import files
from typing import TYPE_CHECKING, Any

import jinja2
import markupsafe

import redemption_analytics
from redemption_analytics.audits import notation
from redemption_analytics.moments import moment_name
from redemption_analytics.numerals import many, marks
from redemption_analytics.reports import quality
from redemption_analytics.reports.appearance import Appearance
from redemption_analytics.reports.embedding import fingerprint, scripts
from redemption_analytics.reports.headline import headline
from redemption_analytics.reports.manifest import sources
from redemption_analytics.reports.money import Money
from redemption_analytics.reports.reported import Reported
from redemption_analytics.reports.sections import Tables, sections
from redemption_analytics.reports.tables import csv_address
from redemption_analytics.tables.passed_over import passed_over
from redemption_analytics.visible import visible

if TYPE_CHECKING:
    from redemption_analytics.redemptions import Redemptions

#: How many characters of a page its tables in full may take, as CSV files.
_ROOM = 1_000_000


def render(
    r: Redemptions,
    known: Redemptions,
    tables: Tables,
    about: Reported,
    as_of: datetime | None,
    money: Money | None,
    appearance: Appearance,
) -> str:
    """Write the page.

    Parameters
    ----------
    r
        All that was loaded.
    known
        The same as it was known at ``as_of``.
    tables
        What the Parquet files hold, by file name.
    about
        The period that the report is about.
    as_of
        The moment of the report; None where nothing has a time.
    money
        What points are worth, if that is known.
    appearance
        Its title, whose it is, and its style.
    """
    folder = files("redemption_analytics.reports") / "templates"
    environment = jinja2.Environment(
        autoescape=True,
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        finalize=_shown,
    )
    template = environment.from_string((folder / "report.html.jinja").read_text("utf-8"))
    numbers = "numbers.js" if marks() is None else "numbers_of_locale.js"
    starter = [(folder / name).read_text("utf-8") for name in (numbers, "report.js")]
    script = scripts("\n".join(starter))
    findings = quality.in_words(tables["audit.parquet"])
    read = sources(r)
    page = template.render(
        as_of="" if as_of is None else moment_name(as_of),
        about=about,
        earlier=" and ".join(about.name_of(start) for start in about.earlier),
        read=read,
        answers=many(sum(row["responses"] for row in read), "answer"),
        cards=[] if as_of is None else headline(tables, about, money),
        sections=[] if as_of is None else sections(known, tables, about, as_of, money),
        verdict=quality.verdict(findings),
        findings=findings,
        pressing=[finding for finding in findings if finding.severity != "info"][:3],
        notation=notation(finding.example for finding in findings),
        completeness=quality.completeness(tables["ledger.parquet"]),
        files=_in_full(tables),
        passed_over=passed_over(r.files),
        version=redemption_analytics.__version__,
        many=many,
        marks=marks(),
        title=appearance.title,
        organisation=appearance.organisation,
        heading=appearance.heading,
        style=(folder / "report.css").read_text("utf-8") + appearance.style,
        script=script,
        fingerprint=fingerprint(script),
    )
    return page.rstrip("\n") + "\n"


def _in_full(tables: Tables) -> dict[str, str]:
    """Return for each table the address of its CSV file; none for the largest without room."""
    found = {}
    for name, table in tables.items():
        # A cell takes two characters or more: what cannot fit is not written.
        fits = 2 * table.num_rows * table.num_columns <= _ROOM
        found[name.removesuffix(".parquet")] = csv_address(table) if fits else ""
    left = _ROOM
    for name in sorted(found, key=lambda name: len(found[name])):
        left -= len(found[name])
        if left < 0:
            found[name] = ""
    return dict(sorted(found.items()))


def _shown(value: Any) -> Any:
    """Let a text show what cannot be seen in it; markup, which the template calls safe, stays."""
    is_plain = isinstance(value, str) and not isinstance(value, markupsafe.Markup)
    return visible(value) if is_plain else value
