"""Frames of any kind, seen as Narwhals' lazy ones and handed back as what they were."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, TypeAlias, cast

import narwhals as nw
import pandas as pd

if TYPE_CHECKING:
    from typing_extensions import TypeVar

    #: The kind of frame that a bundle holds: a bundle of no kind in particular is of any.
    FrameT = TypeVar("FrameT", default=Any)
else:
    from typing import TypeVar

    FrameT = TypeVar("FrameT")

Frame: TypeAlias = "nw.LazyFrame[Any]"


def frame(native: Any) -> Frame:
    """Return a frame of any kind as Narwhals' lazy one: only what lazy frames can do is used."""
    return cast(Frame, nw.from_native(native))


def native(rows: Frame) -> Any:
    """Return a frame as the kind that it came as."""
    result = rows.to_native()
    return result.reset_index(drop=True) if isinstance(result, pd.DataFrame) else result
