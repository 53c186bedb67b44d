"""What commands print of what was found: by the audit, passed over, and rejected."""

from __future__ import annotations

from typing import Any

import pyarrow.compute as pc

from redemption_analytics.audits import notation
from redemption_analytics.tables.frames import as_arrow
from redemption_analytics.tables.passed_over import passed_over
from redemption_analytics.tables.rejected import rejected
from redemption_analytics.terminal import text_table
from redemption_analytics.visible import shortened

#: So many reasons for rejects are shown, with places of so many characters.
_MOST_REASONS, _LONGEST_PLACE = 8, 200


def audit_text(found: Any) -> str:
    """Return what the audit found as text, with what its examples mean.

    Parameters
    ----------
    found
        What :func:`redemption_analytics.audit` gave, on any engine.
    """
    cases = as_arrow(found).filter(pc.field("count") > 0)
    if not len(cases):
        return "audit: nothing found"
    said = notation(cases["example"].drop_null().to_pylist())
    table = text_table(cases.rename_columns({"check": "audit"}))
    return f"{table}\n{said}" if said else table


def passed_over_text(files: Any) -> str:
    """Return which files were passed over as text, by reason; nothing if none was.

    Parameters
    ----------
    files
        The table ``files``, on any engine.
    """
    lines = [
        f"{one.count:>7,}  {one.reason} (for example {one.example})" for one in passed_over(files)
    ]
    return "\n".join(["passed over:", *lines]) if lines else ""


def rejected_text(rejects: Any) -> str:
    """Return what was rejected as text, by reason; nothing if nothing was.

    Parameters
    ----------
    rejects
        The table ``rejects``, on any engine.
    """
    found = rejected(rejects)
    lines = [
        f"{one.count:>7,}  {one.reason} ({'for example ' if one.count > 1 else ''}"
        f"{shortened(one.example, _LONGEST_PLACE)})"
        for one in found[:_MOST_REASONS]
    ]
    if more := found[_MOST_REASONS:]:
        count = sum(one.count for one in more)
        lines.append(f"{count:>7,}  for {len(more):,} other reasons")
    return "\n".join(["rejected:", *lines]) if lines else ""
