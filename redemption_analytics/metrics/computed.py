"""What is computed outside of an engine: its groups by number, and back as its frames."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt
import pandas as pd
import pyarrow as pa

from redemption_analytics.schemas import Text
from redemption_analytics.tables.frames import frame_like
from redemption_analytics.tables.lazy import Frame, FrameT, native

if TYPE_CHECKING:
    from redemption_analytics.redemptions import Redemptions


def numbered(
    by: Sequence[str], *tables: pa.Table
) -> tuple[list[npt.NDArray[np.int64]], pd.DataFrame]:
    """Return numbers for the groups that occur in tables; without ``by``, there is always one.

    Returns
    -------
    tuple of list of arrays and pandas.DataFrame
        The number of the group of each row of each table, and the groups, sorted.
    """
    if not by:
        return [np.zeros(len(table), np.int64) for table in tables], pd.DataFrame(index=[0])
    rows = pd.concat([keys_of(table, by) for table in tables], ignore_index=True)
    numbers = rows.groupby(list(by), dropna=False).ngroup().to_numpy()
    _, first = np.unique(numbers, return_index=True)
    ends = np.cumsum([len(table) for table in tables])
    return np.split(numbers, ends[:-1]), rows.iloc[first]


def keys_of(table: pa.Table, by: Sequence[str]) -> pd.DataFrame:
    """Return columns of a table as pandas has them, whole numbers with nulls too."""
    types: dict[pa.DataType, Any] = {
        pa.int64(): pd.Int64Dtype(),
        pa.string(): Text.type,
        pa.large_string(): Text.type,
    }
    keys: pd.DataFrame = table.select(list(by)).to_pandas(types_mapper=types.get)
    return keys


def as_given(r: Redemptions[FrameT], rows: Frame) -> FrameT:  # noqa: ARG001
    """Return rows as the kind of frame that the bundle holds of which they were made.

    The bundle tells only those who check types which kind that is.
    """
    found: FrameT = native(rows)
    return found


def handed_back(like: FrameT, keys: pd.DataFrame, columns: dict[str, npt.NDArray[Any]]) -> FrameT:
    """Return groups and what was computed of them as the kind of frame that ``like`` is."""
    whole: Any = keys.reset_index(drop=True).assign(**columns)
    found: FrameT
    if isinstance(like, pd.DataFrame):
        found = whole
        return found
    data = pa.table({name: pa.array(whole[name], from_pandas=True) for name in whole})
    data = data.cast(
        pa.schema(
            field.with_type(pa.string()) if pa.types.is_large_string(field.type) else field
            for field in data.schema
        )
    )
    found = frame_like(like, data)
    return found
