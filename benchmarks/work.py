"""The work that every contender does, and how its results are held against the library's."""

from __future__ import annotations

import json
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

#: What a contender made: for each table a DataFrame, or the Parquet file or folder of it.
Tables = Mapping[str, Any]

#: What was found in a contender's tables, by name.
Totals = dict[str, int | float]

_TEXT, _INTEGER, _NUMBER, _TIME = "string", "int64", "double", "timestamp"
_NAME = f"{_INTEGER} or {_TEXT}"  # nobody computes with it: text, as it comes, will do
_PLACE = dict.fromkeys(("store_code", "store_name", "till_code", "till_name"), _TEXT)

#: The four tables and their columns, with the type that each has to have in the end.
WORK: dict[str, dict[str, str]] = {
    "coupons": {
        "customer_key": _TEXT,
        "id": _NAME,
        "code": _TEXT,
        "series_id": _NAME,
        "description": _TEXT,
        "discount_code": _TEXT,
        "discount_type": _TEXT,
        "discount_value": _NUMBER,
        "transaction_number": _TEXT,
        "bill_id": _NAME,
        "redeemed_time": _TIME,
        "redeemed_at": _TEXT,
        **_PLACE,
    },
    "points": {
        "customer_key": _TEXT,
        "id": _INTEGER,
        "redemption_id": _TEXT,
        "program_id": _INTEGER,
        "points_redeemed": _INTEGER,
        "transaction_number": _TEXT,
        "bill_id": _NAME,
        "validation_code": _TEXT,
        "redeemed_time": _TIME,
        "redeemed_at": _TEXT,
        "redemption_purpose": _TEXT,
        "notes": _TEXT,
        "external_reference_number": _TEXT,
        **_PLACE,
    },
    "program_breakups": {
        "redemption_key": _TEXT,
        "program_id": _INTEGER,
        "program_name": _TEXT,
        "points_redeemed": _INTEGER,
    },
    "reversals": {
        "reversal_id": _INTEGER,
        "redemption_key": _TEXT,
        "points_reversed": _INTEGER,
        "reversal_time": _TIME,
        "reversed_on_till_id": _INTEGER,
    },
}

_SUMS = ("points_redeemed", "points_reversed", "discount_value", "reversal_id")
_COUNTS = ("customer_key", "redemption_key", "redeemed_time", "reversal_time", "store_code")


def totals(tables: Tables) -> Totals:
    """Count the rows and add up the points of each table, and check that no column is missing.

    Parameters
    ----------
    tables
        What a contender made; empty where nothing is kept.

    Returns
    -------
    dict
        Rows of each table; sums of points and values; how many customers, times and stores there
        are.

    Raises
    ------
    TypeError
        If a column is missing, or of another type than the work asks for.
    """
    found: Totals = {}
    for name in tables:
        _count(name, _arrow(tables[name]), found)
    return found


def _arrow(table: Any) -> Any:
    import pyarrow as pa
    import pyarrow.dataset as ds

    if isinstance(table, Path):
        return ds.dataset(table, format="parquet").to_table()
    return pa.Table.from_pandas(table, preserve_index=False)


def _count(name: str, table: Any, found: Totals) -> None:
    import pyarrow.compute as pc

    found[f"{name}: rows"] = table.num_rows
    for column, kind in WORK[name].items():
        if column not in table.column_names:
            raise TypeError(f"{name} has no column {column}")
        written = str(table.schema.field(column).type)
        if not any(one in written for one in kind.split(" or ")):
            raise TypeError(f"{name}.{column} is {written}, not {kind}")
        if column in _SUMS:
            found[f"{name}: sum of {column}"] = round(pc.sum(table[column]).as_py() or 0, 3)
        if column in _COUNTS:
            found[f"{name}: known {column}"] = pc.count(table[column]).as_py()


def differences(mine: Mapping[str, float], theirs: Mapping[str, float]) -> list[str]:
    """Tell what differs between the library's totals and a peer's.

    Examples
    --------
    >>> differences({"points: rows": 3}, {"points: rows": 2})
    ['points: rows is 2, not 3']
    """
    names = dict.fromkeys((*mine, *theirs))
    return [
        f"{name} is {theirs.get(name)}, not {mine.get(name)}"
        for name in names
        if mine.get(name) != theirs.get(name)
    ]


if __name__ == "__main__":
    print(json.dumps(totals({name: Path(t) for name, t in json.loads(sys.argv[1]).items()})))
