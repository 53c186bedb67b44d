"""What was refused, as the table ``rejects`` tells of it: by reason, each with a place."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Any

import narwhals as nw

from redemption_analytics.tables.frames import as_arrow
from redemption_analytics.tables.lazy import frame, native

#: What differs in reasons that are alike: the values that they quote, cut off or not, and numbers.
_QUOTED = re.compile(r"""'(?:[^'\\]|\\.)*['…]|"(?:[^"\\]|\\.)*["…]|-?\d[\d.,]*""")


@dataclass(frozen=True)
class Rejected:
    """Elements that were refused for one reason.

    Attributes
    ----------
    reason
        Why, said of the value that was refused most often of those that are wrong in this way.
    count
        How many elements they are.
    example
        Where one with that value stands.
    """

    reason: str
    count: int
    example: str


def rejected(rejects: Any) -> list[Rejected]:
    """Sum up why elements were refused, the most frequent reason first.

    Parameters
    ----------
    rejects
        The table ``rejects``, on any engine.
    """
    rows = frame(rejects).select("reason", place=place()).group_by("reason")
    found = as_arrow(native(rows.agg(count=nw.len(), example=nw.col("place").min()))).to_pylist()
    alike: dict[str, list[Rejected]] = {}
    for row in sorted(found, key=lambda row: (-row["count"], row["example"], row["reason"])):
        alike.setdefault(_QUOTED.sub("…", row["reason"]), []).append(Rejected(**row))
    summed = [
        Rejected(same[0].reason, sum(one.count for one in same), same[0].example)
        for same in alike.values()
    ]
    return sorted(summed, key=lambda one: -one.count)


def place() -> nw.Expr:
    """Say where a reject stands: its file, its line (else its record), its path there."""
    line = nw.concat_str(nw.lit(", line "), nw.col("line").cast(nw.String))
    record = nw.concat_str(nw.lit(", record "), nw.col("record").cast(nw.String))
    path = nw.concat_str(nw.lit(", "), nw.col("path"))
    where = nw.coalesce(line, record, nw.lit(""))
    return nw.concat_str(nw.col("source"), where, path.fill_null(""))
