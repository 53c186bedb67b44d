"""The ledger, which proves that nothing was lost, and what only a loader can find."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

import pyarrow as pa

from redemption_analytics.contract import ELEMENTS
from redemption_analytics.errors import FaultError

#: Folders and attributes in which they stand beside the other tables.
LEDGER, FINDINGS, CASES = "ledger", "findings", "cases"

#: The check whose example is what now is, as ISO text: the one finding that is no case of anything.
NOW = "now"

#: The first is the sum of the others.
COUNTS = ("seen", "loaded", "merged", "rejected", "passed_over")

_LEDGER = pa.schema([("element", pa.string()), *((name, pa.int64()) for name in COUNTS)])
_FINDINGS = pa.schema([("check", pa.string()), ("count", pa.int64()), ("example", pa.string())])

#: A case is a row of a table (``element``, by its ``key``) in which a check found something;
#: ``example`` says it as the audit does, ``moved`` how many points a restatement moved.
CASE = pa.schema(
    [
        ("check", pa.string()),
        ("element", pa.string()),
        ("key", pa.string()),
        ("example", pa.string()),
        ("moved", pa.float64()),
    ]
)


@dataclass(frozen=True)
class Finding:
    """Something that only the loader can see, for :func:`redemption_analytics.audit`."""

    check: str
    count: int
    example: str | None


def ledger(
    seen: Mapping[str, int],
    loaded: Mapping[str, int],
    merged: Mapping[str, int],
    rejected: Mapping[str, int],
    passed_over: Mapping[str, int],
) -> pa.Table:
    """Draw up the ledger, and check that it adds up.

    Each number was counted where it arose: what was seen while parsing, what merged while merging,
    what was rejected in the rejects, what was loaded in the finished tables. Only files are passed
    over.

    Raises
    ------
    FaultError
        If an element was lost or made up.
    """
    rows = []
    for element in ELEMENTS:
        met, *placed = (
            counts.get(element, 0) for counts in (seen, loaded, merged, rejected, passed_over)
        )
        if met != sum(placed):
            raise FaultError(
                f"the ledger does not add up: of {met} {element}, {sum(placed)} were placed"
            )
        rows.append({"element": element, **dict(zip(COUNTS, (met, *placed), strict=True))})
    return pa.Table.from_pylist(rows, _LEDGER)


def findings(found: Iterable[Finding]) -> pa.Table:
    """Write findings as a table."""
    rows = [
        {"check": f.check, "count": f.count, "example": f.example and _writable(f.example)}
        for f in found
        if f.count
    ]
    return pa.Table.from_pylist(rows, _FINDINGS)


def _writable(text: str) -> str:
    """Escape what no table can hold: halves of surrogate pairs, as names of unknown fields have."""
    return text.encode(errors="backslashreplace").decode()


def no_ledger() -> pa.Table:
    """Return the ledger of tables that were not loaded: empty."""
    return _LEDGER.empty_table()


def no_findings() -> pa.Table:
    """Return the findings of tables that were not loaded: none."""
    return _FINDINGS.empty_table()


def no_cases() -> pa.Table:
    """Return the cases of tables that were not loaded: none."""
    return CASE.empty_table()
