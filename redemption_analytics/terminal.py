"""Tables as text, for a terminal."""

from __future__ import annotations

from typing import Any

import pyarrow as pa

from redemption_analytics.visible import shortened

#: In characters: an example of the audit names a file, and its path may be long.
_LONGEST_CELL = 200


def text_table(table: pa.Table) -> str:
    """Return a table as text: numbers to the right, text to the left.

    >>> print(text_table(pa.table({"check": ["rejected"], "count": [1200]})))
    check     count
    rejected  1,200
    """
    columns = []
    for name in table.column_names:
        values = table[name]
        number = pa.types.is_integer(values.type) or pa.types.is_floating(values.type)
        texts = [name, *(_text(name, value, number) for value in values.to_pylist())]
        width = max(map(len, texts))
        right = number or name == "program_id"
        columns.append([text.rjust(width) if right else text.ljust(width) for text in texts])
    return "\n".join("  ".join(line).rstrip() for line in zip(*columns, strict=True))


def _text(name: str, value: Any, number: bool) -> str:
    missing = value is None or value != value
    if name == "program_id":
        return "none" if missing else str(value)
    if missing:
        return ""
    if name.endswith("_rate"):
        return f"{value:.2%}"
    return f"{value:,}" if number else shortened(str(value), _LONGEST_CELL)
