"""The command ``audit``."""

from __future__ import annotations

from pathlib import Path

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

_ALL_REJECTS = "all of them are in load(...).rejects, and in the folder rejects that convert writes"


@command(can_json=True)
@loading
def audit(
    source: SourceArgument,
    strict: StrictOption = False,
    fail_on: FailOnOption = None,
    max_rejected: MaxRejectedOption = None,
    options: LoadOptions = DEFAULTS,
    output: Output = Output(),  # noqa: B008
) -> None:
    """Tell what to know about the data before trusting its numbers, and show the ledger."""
    from redemption_analytics.printed import audit_text, passed_over_text, rejected_text

    gate = Gate.of(strict, fail_on, max_rejected)
    r = bundle(source, options)
    found = ra.audit(r)
    output.say(table(small(r.ledger)))
    output.tell(passed_over_text(r.files))
    output.tell(audit_text(found))
    output.tell(rejected_text(r.rejects))
    said = {"audit": rows(found), **told(r)}
    leave(output, gate, _where_rejects_are(source), said, rows(r.ledger), rows(found))


def _where_rejects_are(source: list[str]) -> str:
    what = opened_as(source)
    if what == CONVERTED:
        return f"see {Path(source[0], 'rejects')}"
    if what == WAREHOUSE:
        return f"all of them are in Warehouse({source[0]!r}).open().rejects"
    return _ALL_REJECTS
