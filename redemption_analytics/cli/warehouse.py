"""The commands of a warehouse: ``ingest``, ``history``, ``vacuum`` and ``forget``."""

from __future__ import annotations

import shlex
import sys
from typing import TYPE_CHECKING, Annotated, Any

import typer

import redemption_analytics as ra
from redemption_analytics.cli.gate import FailOnOption, Gate, MaxRejectedOption, StrictOption
from redemption_analytics.cli.output import Output, table
from redemption_analytics.cli.running import command
from redemption_analytics.cli.sources import SourceArgument, sources
from redemption_analytics.cli.verdicts import leave, rows
from redemption_analytics.contract import ELEMENTS
from redemption_analytics.flags import loading
from redemption_analytics.options import DEFAULTS, LoadOptions, NamedBy

if TYPE_CHECKING:
    from redemption_analytics.warehouse.ingest import Ingested

WarehouseArgument = Annotated[
    str, typer.Argument(metavar="WAREHOUSE", help="A directory or URL.", show_default=False)
]


@command(can_json=True)
@loading
def ingest(
    source: SourceArgument,
    directory: Annotated[
        str,
        typer.Argument(
            metavar="WAREHOUSE", help="A directory or URL (s3://…); made where it is not there yet."
        ),
    ],
    strict: StrictOption = False,
    fail_on: FailOnOption = None,
    max_rejected: MaxRejectedOption = None,
    options: LoadOptions = DEFAULTS,
    output: Output = Output(),  # noqa: B008
) -> None:
    """Take what is new in exports into a warehouse; what was ingested before is not read again.

    Status 1 is about what is new: what was rejected before, or found by the audit, ends no later
    ingest.
    """
    gate = Gate.of(strict, fail_on, max_rejected)
    warehouse = ra.Warehouse(directory)
    # What is left out is as it was when the warehouse was made.
    done = warehouse.ingest(sources(source), **options)
    output.say(str(done))
    said = {
        "directory": directory,
        "warehouse_version": done.version,
        "read": done.read,
        "known": done.known,
        "changes": done.counts,
    }
    ledger = [
        {"element": name, "seen": done.seen.get(name, 0), "rejected": done.rejected.get(name, 0)}
        for name in ELEMENTS
    ]
    where = f"redemption-analytics audit {shlex.quote(directory)} --cases DIR lists all of them"
    leave(output, gate, where, said, ledger, _new_findings(warehouse, done, gate))


def _new_findings(warehouse: ra.Warehouse, done: Ingested, gate: Gate) -> list[dict[str, Any]]:
    """Count what a gate forbids and the audit found because of an ingest."""
    if not (gate.asks_audit and done.read):
        return []
    from redemption_analytics.audits.growth import new_cases

    def opened(version: int) -> ra.Redemptions:
        return warehouse.open("duckdb", version=version)

    after = opened(done.version)
    checks = [row["check"] for row in gate.forbidden(rows(ra.audit(after)))]
    before = opened(done.version - 1) if checks and done.version > 1 else None
    return new_cases(before, after, checks)


def _grown(place: str) -> ra.Warehouse:
    """Return the warehouse at a place, where one is."""
    warehouse = ra.Warehouse(place)
    if warehouse.history().empty:
        raise ra.SourceError(f"{place} is no warehouse, or holds nothing yet")
    return warehouse


@command()
def history(warehouse: WarehouseArgument, output: Output = Output()) -> None:  # noqa: B008
    """Show the versions of a warehouse that can be opened, the oldest first."""
    import pyarrow as pa

    found = _grown(warehouse).history()
    output.say(table(pa.Table.from_pandas(found, preserve_index=False)))


@command()
def vacuum(
    warehouse: WarehouseArgument,
    keep: Annotated[int, typer.Option(min=1, help="How many of the newest versions stay.")] = 30,
    grace: Annotated[
        str,
        typer.Option(
            metavar="SPAN",
            help="Versions that were the newest so long ago stay too, and files that are no older.",
        ),
    ] = "1D",
    output: Output = Output(),  # noqa: B008
) -> None:
    """Take away a warehouse's old versions, and the files that no version names any more."""
    done = _grown(warehouse).vacuum(keep, grace=grace)
    output.say(
        f"{len(done.versions):,} versions and {done.files:,} files ({done.size:,} bytes) taken away"
    )
    if done.waiting:
        output.say(
            f"{done.waiting:,} more would go, but stood as the newest within --grace {grace}"
        )


@command()
def forget(
    warehouse: WarehouseArgument,
    by: Annotated[NamedBy, typer.Option(help="What names the person.", show_default=False)],
    output: Output = Output(),  # noqa: B008
) -> None:
    """Take a person out of a warehouse: who it is comes from standard input, and so into no log."""
    asks = sys.stdin.isatty()
    # Arguments stand in the shell's history, and in the list of processes.
    value = typer.prompt(by, hide_input=True) if asks else sys.stdin.read()
    done = ra.Warehouse(warehouse).forget(**{by: value})
    output.say(str(done))
    output.say(
        "older versions go by: redemption-analytics vacuum"
        f" {shlex.quote(warehouse)} --keep 1 --grace 0s"
    )
