"""What the audit finds now and did not find before: what an ingest is judged by."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from typing import TYPE_CHECKING, Any, TypeAlias

from redemption_analytics.audits.cases import audit_cases
from redemption_analytics.tables.frames import as_arrow

if TYPE_CHECKING:
    from redemption_analytics.redemptions import Redemptions

#: A case, whatever the answer that tells of it now.
_Case: TypeAlias = tuple[Any, ...]

_NAMED = ("check", "severity", "element", "key", "what")
_PLACED = ("source", "record", "line")


def new_cases(
    before: Redemptions | None, after: Redemptions, checks: Iterable[str]
) -> list[dict[str, Any]]:
    """Count the cases of some checks that were not there before, as rows of an audit.

    A case is an old one where the same check said the same of the same row; what is in no table is
    named by where it stands.

    Parameters
    ----------
    before, after
        The bundle before, if there was one, and now.
    checks
        The names of the checks.

    Examples
    --------
    >>> import redemption_analytics as ra
    >>> one = ra.load("data_samples/2025-stores.json")
    >>> new_cases(None, one, ["truncated_points"])
    [{'check': 'truncated_points', 'severity': 'error', 'count': 1}]
    >>> new_cases(one, one, ["truncated_points"])
    []
    """
    names = list(checks)
    if not names:
        return []
    new = _cases(after, names)
    if before is not None:
        new -= _cases(before, names)
    counts = Counter[tuple[str, str]]()
    for (check, severity, *_), count in new.items():
        counts[check, severity] += count
    return [
        {"check": check, "severity": severity, "count": count}
        for (check, severity), count in counts.items()
    ]


def _cases(r: Redemptions, checks: list[str]) -> Counter[_Case]:
    found = Counter[_Case]()
    for row in as_arrow(audit_cases(r, checks)).to_pylist():
        # Where a row of a table stands is the newest answer about its customer.
        place = tuple(row[name] for name in _PLACED) if row["key"] is None else ()
        found[(*(row[name] for name in _NAMED), *place)] += row["count"]
    return found
