"""The command ``convert``."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

import redemption_analytics as ra
from redemption_analytics.cli.gate import FailOnOption, Gate, MaxRejectedOption, StrictOption
from redemption_analytics.cli.output import Output, table
from redemption_analytics.cli.running import command
from redemption_analytics.cli.sources import SourceArgument, sources
from redemption_analytics.cli.verdicts import leave, rows, told
from redemption_analytics.flags import loading
from redemption_analytics.options import DEFAULTS, LoadOptions


@command(can_json=True)
@loading
def convert(
    source: SourceArgument,
    directory: Annotated[
        Path, typer.Argument(metavar="DIR", help="Where to write, one folder per table.")
    ],
    overwrite: Annotated[
        bool, typer.Option("--overwrite", help="Replace the directory where it exists.")
    ] = False,
    strict: StrictOption = False,
    fail_on: FailOnOption = None,
    max_rejected: MaxRejectedOption = None,
    options: LoadOptions = DEFAULTS,
    output: Output = Output(),  # noqa: B008
) -> None:
    """Convert exports to Parquet, one folder per table."""
    from redemption_analytics.loading.convert import converted

    gate = Gate.of(strict, fail_on, max_rejected)
    # Without frames and their models, which take longer to import than small exports to convert.
    ledger = converted(sources(source), directory, options, overwrite=overwrite)
    output.say(table(ledger))
    if any(ledger["passed_over"].to_pylist()):
        from redemption_analytics.printed import passed_over_text

        output.tell(passed_over_text(ra.open(directory, engine="duckdb").files))
    output.say(f"\nwritten to {directory}")
    said = {"directory": str(directory)}
    found = []
    if gate.asks_audit or output.as_json:
        r = ra.open(directory, engine="duckdb")
        said |= told(r)
        found = rows(ra.audit(r)) if gate.asks_audit else []
    leave(output, gate, f"see {directory / 'rejects'}", said, ledger.to_pylist(), found)
