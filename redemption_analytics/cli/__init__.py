"""The command line: reads arguments, calls the library, prints what came out.

Nothing heavy is imported before a command is at work: its help comes at once.
"""

from __future__ import annotations

from typing import Annotated

import typer

from redemption_analytics.cli.audit import audit
from redemption_analytics.cli.convert import convert
from redemption_analytics.cli.output import printed
from redemption_analytics.cli.report import report
from redemption_analytics.cli.running import UNUSABLE as UNUSABLE
from redemption_analytics.cli.sample import sample
from redemption_analytics.cli.warehouse import forget, history, ingest, vacuum
from redemption_analytics.flags import Command
from redemption_analytics.version import __version__

#: The commands, in the order in which the help lists them.
_COMMANDS = (convert, ingest, history, vacuum, forget, report, audit, sample)

app = typer.Typer(
    name="redemption-analytics",
    help='Offline analytics over exports of the "Get Customer Redemptions" API.',
    epilog="Exit status: 0 done; 1 done, and something is not as --strict, --fail-on or"
    " --max-rejected want it; 2 wrong usage, unreadable input, or output that cannot be written.",
    no_args_is_help=True,
    # Rich takes [default: …] for markup, and cuts long names of options off.
    rich_markup_mode=None,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)


def _version(wanted: bool) -> None:
    if wanted:
        printed(f"redemption-analytics {__version__}")
        raise typer.Exit


@app.callback()
def _main(
    version: Annotated[
        bool,
        typer.Option("--version", callback=_version, is_eager=True, help="Show the version."),
    ] = False,
) -> None:
    pass


for _one in _COMMANDS:
    app.command(cls=Command)(_one)
