"""Frames as tables of a terminal."""

from __future__ import annotations

from typing import Any

import pandas as pd
import pyarrow as pa

from redemption_analytics.tables.frames import as_arrow
from redemption_analytics.visible import shortened

#: In characters: an example of the audit names a file, and its path may be long.
_LONGEST_CELL = 200


def small_frame(frame: Any) -> pd.DataFrame:
    """Read a small frame out of any engine into pandas; counts stay whole where some are null."""
    found: pd.DataFrame = as_arrow(frame).to_pandas(types_mapper={pa.int64(): pd.Int64Dtype()}.get)
    return found


def text_table(frame: pd.DataFrame) -> str:
    """Return a frame as text: numbers to the right, text to the left.

    >>> print(text_table(pd.DataFrame({"check": ["rejected"], "count": [1200]})))
    check     count
    rejected  1,200
    """
    columns = []
    for name in map(str, frame.columns):
        texts = [name, *_texts(name, frame[name])]
        width = max(map(len, texts))
        right = name == "program_id" or pd.api.types.is_numeric_dtype(frame[name].dtype)
        columns.append([text.rjust(width) if right else text.ljust(width) for text in texts])
    return "\n".join("  ".join(line).rstrip() for line in zip(*columns, strict=True))


def _texts(name: str, values: Any) -> list[str]:
    if name.endswith("_rate"):
        return ["" if pd.isna(value) else f"{value:.2%}" for value in values]
    if name == "program_id":
        return ["none" if pd.isna(value) else str(value) for value in values]
    if pd.api.types.is_numeric_dtype(values.dtype):
        return [f"{value:,}" for value in values]
    return ["" if pd.isna(value) else shortened(str(value), _LONGEST_CELL) for value in values]
