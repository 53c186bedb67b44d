"""How commands end that read exports: what was rejected, where it stands, and the gates."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import typer

from redemption_analytics.cli.gate import Gate
from redemption_analytics.cli.output import Output, small
from redemption_analytics.cli.running import DONE, NOT_AS_WANTED
from redemption_analytics.version import __version__

if TYPE_CHECKING:
    import redemption_analytics as ra

Rows = Sequence[Mapping[str, Any]]


def leave(
    output: Output,
    gate: Gate,
    where: str,
    said: Mapping[str, Any],
    ledger: Rows,
    audit: Rows = (),
) -> None:
    """End the program: say what was rejected and where it stands, and what a gate forbids.

    Parameters
    ----------
    output
        Where it is said.
    gate
        What must not be found.
    where
        Where all that was rejected stands.
    said
        What the command says as JSON, beside what all commands do.
    ledger, audit
        The rows of both.
    """
    rejected = sum(row["rejected"] for row in ledger)
    if rejected:
        output.warn(f"{rejected:,} rejected: {where}")
    failures = gate.failures(ledger, audit)
    for failure in failures:
        output.warn(f"failed: {failure}")
    status = NOT_AS_WANTED if failures else DONE
    output.give(
        {
            "version": __version__,
            "status": status,
            "failures": failures,
            "rejected": rejected,
            **said,
            "ledger": ledger,
        }
    )
    raise typer.Exit(status)


def told(r: ra.Redemptions) -> dict[str, Any]:
    """Return what was rejected and passed over, by reasons, as JSON has it."""
    from redemption_analytics.tables.passed_over import passed_over
    from redemption_analytics.tables.rejected import rejected

    return {
        "reasons": [vars(one) for one in rejected(r.rejects)],
        "passed_over": [vars(one) for one in passed_over(r.files)],
    }


def rows(frame: Any) -> list[dict[str, Any]]:
    """Read a small frame out of any engine, as dicts."""
    found: list[dict[str, Any]] = small(frame).to_pylist()
    return found
