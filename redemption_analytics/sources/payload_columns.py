"""Frames as sources: the payloads in a column of a frame of any library."""

from __future__ import annotations

import io
import os
from collections.abc import Iterator
from typing import Any

import pyarrow as pa

from redemption_analytics.contract import PAYLOAD_COLUMN
from redemption_analytics.errors import SourceError, kind_of
from redemption_analytics.sources.export import Payload

_ROWS = 256


def is_frame(source: Any) -> bool:
    """Check whether something is a frame: of pandas, Polars, PyArrow or DuckDB, or as good as one.

    >>> import pandas as pd
    >>> is_frame(pd.DataFrame({"payload": []})), is_frame([b"{}"])
    (True, False)
    """
    if hasattr(source, "__arrow_c_stream__"):
        return True
    if isinstance(source, (str, bytes, os.PathLike, dict, list, tuple, io.IOBase)):
        return False
    # Only here: to import it takes longer than to convert small exports.
    import narwhals as nw

    native = nw.from_native(source, pass_through=True)
    return isinstance(native, (nw.DataFrame, nw.LazyFrame))


def payloads_of(frame: Any) -> Iterator[Payload]:
    """Return the payloads of a frame: texts, bytes or objects; nulls are none.

    Raises
    ------
    SourceError
        If it has no such column, or one of something else.
    """
    import narwhals as nw

    native = nw.from_native(frame, pass_through=True)
    if not isinstance(native, (nw.DataFrame, nw.LazyFrame)):
        try:
            native = nw.from_native(pa.table(frame))
        except (TypeError, ValueError, pa.ArrowException):
            raise SourceError(
                f"a source cannot be {kind_of(frame)}, which gives no table: convert it to a frame"
                " of pandas, Polars or PyArrow"
            ) from None
    names = native.collect_schema().names()
    if PAYLOAD_COLUMN not in names:
        shown = ", ".join(names[:20]) or "none"
        raise SourceError(
            f'the frame has no column "{PAYLOAD_COLUMN}" of payloads, but {shown}: rename the one'
            " that holds them"
        )
    return _payloads(native.select(PAYLOAD_COLUMN))


def _payloads(native: Any) -> Iterator[Payload]:
    column = (native.collect() if hasattr(native, "collect") else native)[PAYLOAD_COLUMN]
    for start in range(0, len(column), _ROWS):
        for value in column[start : start + _ROWS].to_list():
            if isinstance(value, str):
                yield value.encode(errors="backslashreplace")
            elif isinstance(value, (bytes, bytearray, memoryview)):
                yield bytes(value)
            elif isinstance(value, dict):
                yield value
            elif value is not None and value == value:  # A missing value of pandas is no payload.
                raise SourceError(
                    f'the frame has a column "{PAYLOAD_COLUMN}" of {type(value).__name__}: give'
                    " texts, bytes or objects"
                )
