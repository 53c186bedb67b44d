"""The command ``audit``."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

import redemption_analytics as ra
from redemption_analytics.cli.gate import FailOnOption, Gate, MaxRejectedOption, StrictOption
from redemption_analytics.cli.output import Output, small, table
from redemption_analytics.cli.running import command
from redemption_analytics.cli.sources import (
    CONVERTED,
    WAREHOUSE,
    SourceArgument,
    bundle,
    opened_as,
)
from redemption_analytics.cli.verdicts import leave, rows, told
from redemption_analytics.flags import loading
from redemption_analytics.options import DEFAULTS, LoadOptions

_CASES = "--cases DIR lists all of them, and all cases of what the audit found"


@command(can_json=True)
@loading
def audit(
    source: SourceArgument,
    cases: Annotated[
        Path | None,
        typer.Option(
            metavar="DIR",
            help="Write all cases of what is found to a directory, with where each stands, and what"
            " was rejected: as CSV and Parquet.",
            show_default=False,
        ),
    ] = None,
    strict: StrictOption = False,
    fail_on: FailOnOption = None,
    max_rejected: MaxRejectedOption = None,
    options: LoadOptions = DEFAULTS,
    output: Output = Output(),  # noqa: B008
) -> None:
    """Tell what to know about the data before trusting its numbers, and show the ledger."""
    from redemption_analytics.audits.writing import write_cases
    from redemption_analytics.printed import audit_text, passed_over_text, rejected_text

    gate = Gate.of(strict, fail_on, max_rejected)
    r = bundle(source, options)
    found = ra.audit(r)
    output.say(table(small(r.ledger)))
    output.tell(passed_over_text(r.files))
    output.tell(audit_text(found))
    output.tell(rejected_text(r.rejects))
    said = {"audit": rows(found), **told(r)}
    where = _where_rejects_are(source)
    if cases is not None:
        written = write_cases(r, cases)
        said |= {"directory": str(cases), "files": [path.name for path in written]}
        output.say(f"\nall cases written to {cases}")
        where = f"see {cases / 'rejects.csv'}"
    leave(output, gate, where, said, rows(r.ledger), rows(found))


def _where_rejects_are(source: list[str]) -> str:
    what = opened_as(source)
    if what == CONVERTED:
        return f"see {Path(source[0], 'rejects')}"
    if what == WAREHOUSE:
        return f"all of them are in Warehouse({source[0]!r}).open().rejects, and {_CASES}"
    return _CASES
