"""The command ``report``."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

import redemption_analytics as ra
from redemption_analytics.cli.gate import FailOnOption, Gate, MaxRejectedOption, StrictOption
from redemption_analytics.cli.output import Output, small, table
from redemption_analytics.cli.running import command
from redemption_analytics.cli.sources import SourceArgument, bundle
from redemption_analytics.cli.verdicts import leave, rows, told
from redemption_analytics.errors import UsageError
from redemption_analytics.flags import loading
from redemption_analytics.options import DEFAULTS, LoadOptions, Period
from redemption_analytics.reports.appearance import TITLE, Appearance
from redemption_analytics.reports.extra import PAGE, REMEDY, WORKBOOK

_RATES = [
    "redemptions",
    "reversed_redemptions",
    "redemption_reversal_rate",
    "points_reversal_rate",
]


@command(can_json=True)
@loading
def report(
    source: SourceArgument,
    directory: Annotated[Path, typer.Argument(metavar="DIR", help="Where to write the report.")],
    period: Annotated[Period, typer.Option(help="Grain of time.")] = "month",
    as_of: Annotated[
        str | None,
        typer.Option(
            metavar="TIME",
            help="Leave out what happened later: 2026-10-31 (all of that day), 2026-10 (all of that"
            " month), or 2026-10-31T18:00.  [default: when the newest export was made]",
            show_default=False,
        ),
    ] = None,
    point_value: Annotated[
        list[str] | None,
        typer.Option(
            metavar="VALUE",
            help="What a point is worth, so that money stands beside points: a number, or"
            " PROGRAM=NUMBER for each program (none=NUMBER for points of no known program).",
        ),
    ] = None,
    currency: Annotated[
        str | None, typer.Option(metavar="TEXT", help="What that is in: EUR, say.")
    ] = None,
    title: Annotated[str, typer.Option(metavar="TEXT", help="What the report is called.")] = TITLE,
    organisation: Annotated[
        str | None,
        typer.Option(metavar="TEXT", help="Whose it is, which stands before the title."),
    ] = None,
    stylesheet: Annotated[
        Path | None,
        typer.Option(
            metavar="FILE",
            help="CSS in UTF-8, 1 MB at most, that is put after the page's own style; it can load"
            " nothing.",
        ),
    ] = None,
    locale: Annotated[
        str | None,
        typer.Option(
            metavar="NAME",
            help="How the page writes numbers and dates: with de_DE 1.422.022 and 20.11.2026. Words"
            " stay English.",
        ),
    ] = None,
    page: Annotated[
        bool | None,
        typer.Option(
            "--page/--no-page",
            help=f"Write {PAGE}.  [default: where the extra `report` is installed]",
            show_default=False,
        ),
    ] = None,
    excel: Annotated[
        bool, typer.Option("--excel", help=f"Write {WORKBOOK} too (extra `excel`).")
    ] = False,
    strict: StrictOption = False,
    fail_on: FailOnOption = None,
    max_rejected: MaxRejectedOption = None,
    options: LoadOptions = DEFAULTS,
    output: Output = Output(),  # noqa: B008
) -> None:
    """Write a report: Parquet files, a manifest, and a page to read; show its main figures."""
    from redemption_analytics.moments import end
    from redemption_analytics.printed import audit_text, passed_over_text, rejected_text
    from redemption_analytics.reports.money import Money

    moment = end(as_of, "as_of")  # before anything is read
    worth = _point_value(point_value or [])
    Money.of(worth, currency)
    Appearance.of(title, organisation, stylesheet, locale)
    gate = Gate.of(strict, fail_on, max_rejected)
    r = bundle(source, options)
    files = ra.write_reports(
        r,
        directory,
        period=period,
        as_of=as_of,
        point_value=worth,
        currency=currency,
        title=title,
        organisation=organisation,
        stylesheet=stylesheet,
        locale=locale,
        page=page,
        excel=excel,
        allow_empty=options["allow_empty"],
        progress=options["progress"],
    )
    known = r if as_of is None else r.filter(as_of=as_of)
    by_program = small(ra.net_points(known, by="program_id"))
    rates = small(ra.reversal_rates(known, as_of=as_of)).select(_RATES)
    found = ra.audit(r, as_of)
    output.say(table(by_program))
    output.say("")
    output.say(table(rates))
    output.tell(audit_text(found))
    output.tell(passed_over_text(r.files))
    output.tell(rejected_text(r.rejects))
    output.say(f"\n{len(files)} files written to {directory}")
    read_it = Path(directory) / PAGE
    if read_it in files:
        output.say(f"to read: {read_it}")
    elif page is None:
        output.warn(f"{PAGE} is left out: {REMEDY} adds it")
    said = {
        "directory": str(directory),
        "files": [path.name for path in files],
        "period": period,
        "as_of": moment or r.now,
        "net_points_by_program": by_program.to_pylist(),
        "reversal_rates": rates.to_pylist()[0],
        "audit": rows(found),
        **told(r),
    }
    where = f"see {directory / 'rejects.parquet'}"
    leave(output, gate, where, said, rows(r.ledger), rows(found))


def _point_value(given: list[str]) -> str | dict[int | None, str] | None:
    """Read one value for all programs, or PROGRAM=VALUE for each."""
    if not given:
        return None
    if len(given) == 1 and "=" not in given[0]:
        return given[0]
    values: dict[int | None, str] = {}
    for one in given:
        program, sign, value = one.partition("=")
        known = program == "none" or (program.isascii() and program.isdigit())
        if not sign or not known:
            raise UsageError(
                f"--point-value {one!r}: give one number for all programs, or PROGRAM=NUMBER for"
                " each (none=NUMBER for points of no known program)"
            )
        key = None if program == "none" else int(program)
        if key in values:
            raise UsageError(f"--point-value gives program {program} two values")
        values[key] = value
    return values
