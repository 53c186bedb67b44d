"""Cases: what merging finds odd, a row for each redemption, reversal or time of which it is.

Cases of answers that have nothing to do with one another are found apart as they are together; what
the audit shows is counted of them in the end, and does not depend on how they came.
"""

from __future__ import annotations

from math import fsum

import pyarrow as pa
import pyarrow.compute as pc

from redemption_analytics.contract import DECIMAL_PLACES
from redemption_analytics.tables.ledger import CASE, Finding

#: The check whose cases are times after their own export: key, day, and day of that.
LATE = "times_after_export"

#: The check whose cases tell how many points moved.
RESTATED = "restated"


def cases_of(
    check: str,
    element: str,
    keys: pa.Array | pa.ChunkedArray,
    examples: pa.Array | pa.ChunkedArray,
    moved: pa.Array | None = None,
) -> pa.Table:
    """Return cases of one check, in rows of one table.

    >>> keys, examples = pa.array(["a"]), pa.array(["redemption a"])
    >>> found = cases_of("conflicting_customer", "points", keys, examples)
    >>> found.drop(["moved"]).to_pylist()
    [{'check': 'conflicting_customer', 'element': 'points', 'key': 'a', 'example': 'redemption a'}]
    """
    count = len(examples)
    moved = pa.nulls(count, pa.float64()) if moved is None else moved
    columns = [pa.repeat(check, count), pa.repeat(element, count), keys, examples, moved]
    return pa.table(columns, schema=CASE)


def findings_of(cases: pa.Table) -> list[Finding]:
    """Count the cases of each check, the first by its text being the example."""
    found = []
    for check in sorted(cases["check"].unique().to_pylist()):
        own = cases.filter(pc.equal(cases["check"], check))
        example = pc.min(own["example"]).as_py()
        if check == RESTATED:
            # The sum is exact: it does not depend on the order.
            moved = points_in_words(pa.array([fsum(own["moved"].to_numpy())]))[0]
            example = f"{example}; {moved} points moved in all"
        found.append(Finding(check, len(own), example))
    return found


def points_in_words(points: pa.Array | pa.ChunkedArray) -> pa.Array | pa.ChunkedArray:
    """Write points as they are said.

    >>> points_in_words(pa.array([90, 12.5])).to_pylist()
    ['90', '12.5']
    """
    if pa.types.is_integer(points.type):
        return points.cast(pa.string())
    decimals = points.cast(pa.decimal128(38, DECIMAL_PLACES)).cast(pa.string())
    return pc.utf8_rtrim(pc.utf8_rtrim(decimals, "0"), ".")
