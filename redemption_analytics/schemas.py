"""The tables: one Pandera model for each, which is also where its columns are declared.

A column's name, order, type, whether it may be null and what its values must satisfy stand here and
nowhere else: the loaders, the empty tables and the reference are derived from these models.
"""

from __future__ import annotations

from typing import Any, ClassVar, get_args

import numpy as np
import pandas as pd
import pandera.pandas as pa
from pandera import dtypes
from pandera.engines import pandas_engine

from redemption_analytics.dating import DatedBy

__all__ = [
    "MODELS",
    "RELATIONS",
    "Coupons",
    "CustomFields",
    "Customers",
    "Files",
    "Points",
    "ProgramBreakups",
    "Rejects",
    "Responses",
    "ReversalBreakups",
    "Reversals",
    "SourceBreakups",
]


_TEXT = pd.StringDtype(na_value=np.nan)
_TIME = np.dtype("datetime64[us]")
_DATED_BY = list(get_args(DatedBy))


class _Exact(pandas_engine.DataType):
    """A pandas type that is checked to the letter.

    Pandera takes every datetime64 for one of nanoseconds, and its string type differs between
    pandas 2 and 3; these tables are the same on both.
    """

    accepted: ClassVar[tuple[Any, ...]]

    def check(self, pandera_dtype: Any, data_container: Any = None) -> bool:  # noqa: ARG002
        return data_container is not None and data_container.dtype in self.accepted


@pandas_engine.Engine.register_dtype
@dtypes.immutable
class Text(_Exact):
    """pandas' ``str`` type, missing values as NaN."""

    type = _TEXT
    accepted = (_TEXT,)

    def __str__(self) -> str:
        return "str"


@pandas_engine.Engine.register_dtype
@dtypes.immutable
class Time(_Exact):
    """``datetime64[us]``, wall-clock time of the organisation."""

    type = _TIME
    accepted = (_TIME,)

    def __str__(self) -> str:
        return "datetime64[us]"


@pandas_engine.Engine.register_dtype
@dtypes.immutable
class PointsAmount(_Exact):
    """Points: ``int64``, or ``float64`` of three places under ``points="decimal"``."""

    type = np.dtype("int64")
    accepted = (np.dtype("int64"), np.dtype("float64"))

    def __str__(self) -> str:
        return "int64"


class _Table(pa.DataFrameModel):
    class Config:
        strict = True
        ordered = True


class Responses(_Table):
    """One customer in one answer: the log of what was read."""

    response_id: Text = pa.Field(unique=True)
    source: Text
    record: int = pa.Field(ge=1)
    exported_at: Time
    dated_by: Text = pa.Field(isin=_DATED_BY)
    customer_key: Text = pa.Field(nullable=True)
    success: bool
    status_code: pd.Int64Dtype = pa.Field(nullable=True)
    message: Text = pa.Field(nullable=True)
    rows: pd.Int64Dtype = pa.Field(nullable=True)
    coupons_count: pd.Int64Dtype = pa.Field(nullable=True)
    points_count: pd.Int64Dtype = pa.Field(nullable=True)
    coupons_loaded: int = pa.Field(ge=0)
    points_loaded: int = pa.Field(ge=0)


class Customers(_Table):
    """A customer, as the newest answer knows them."""

    customer_key: Text = pa.Field(unique=True)
    user_id: Text = pa.Field(nullable=True)
    external_id: Text = pa.Field(nullable=True)
    mobile: Text = pa.Field(nullable=True)
    email: Text = pa.Field(nullable=True)
    firstname: Text = pa.Field(nullable=True)
    lastname: Text = pa.Field(nullable=True)


class Coupons(_Table):
    """A coupon redemption."""

    redemption_key: Text = pa.Field(unique=True)
    customer_key: Text = pa.Field(nullable=True)
    id: int
    code: Text = pa.Field(nullable=True)
    series_id: pd.Int64Dtype = pa.Field(nullable=True)
    description: Text = pa.Field(nullable=True)
    discount_code: Text = pa.Field(nullable=True)
    discount_type: Text = pa.Field(nullable=True)
    discount_value: float = pa.Field(nullable=True)
    transaction_number: Text = pa.Field(nullable=True)
    bill_id: pd.Int64Dtype = pa.Field(nullable=True)
    redeemed_time: Time = pa.Field(nullable=True)
    redeemed_at: Text = pa.Field(nullable=True)
    store_code: Text = pa.Field(nullable=True)
    store_name: Text = pa.Field(nullable=True)
    till_code: Text = pa.Field(nullable=True)
    till_name: Text = pa.Field(nullable=True)


class Points(_Table):
    """A points redemption."""

    redemption_key: Text = pa.Field(unique=True)
    customer_key: Text = pa.Field(nullable=True)
    id: pd.Int64Dtype = pa.Field(nullable=True)
    redemption_id: Text = pa.Field(nullable=True)
    program_id: pd.Int64Dtype = pa.Field(nullable=True)
    points_redeemed: PointsAmount = pa.Field(ge=0)
    transaction_number: Text = pa.Field(nullable=True)
    bill_id: pd.Int64Dtype = pa.Field(nullable=True)
    validation_code: Text = pa.Field(nullable=True)
    redeemed_time: Time = pa.Field(nullable=True)
    redeemed_at: Text = pa.Field(nullable=True)
    redemption_purpose: Text = pa.Field(nullable=True)
    notes: Text = pa.Field(nullable=True)
    external_reference_number: Text = pa.Field(nullable=True)
    store_code: Text = pa.Field(nullable=True)
    store_name: Text = pa.Field(nullable=True)
    till_code: Text = pa.Field(nullable=True)
    till_name: Text = pa.Field(nullable=True)


class ProgramBreakups(_Table):
    """A redemption's share of one program."""

    redemption_key: Text
    program_id: pd.Int64Dtype = pa.Field(nullable=True)
    program_name: Text = pa.Field(nullable=True)
    points_redeemed: PointsAmount = pa.Field(ge=0)

    class Config:
        unique: ClassVar[list[str]] = ["redemption_key", "program_id"]


class Reversals(_Table):
    """Points given back: one reversal of one redemption."""

    reversal_id: int = pa.Field(unique=True)
    redemption_key: Text
    points_reversed: PointsAmount = pa.Field(ge=0)
    reversal_time: Time = pa.Field(nullable=True)
    reversed_on_till_id: pd.Int64Dtype = pa.Field(nullable=True)


class ReversalBreakups(_Table):
    """A reversal's share of one program."""

    reversal_id: int
    program_id: pd.Int64Dtype = pa.Field(nullable=True)
    program_name: Text = pa.Field(nullable=True)
    points_reversed: PointsAmount = pa.Field(ge=0)

    class Config:
        unique: ClassVar[list[str]] = ["reversal_id", "program_id"]


class SourceBreakups(_Table):
    """Points of a redemption that one source batch gave: which store awarded them, and when."""

    redemption_key: Text
    position: int = pa.Field(ge=1)
    source_store_code: Text = pa.Field(nullable=True)
    source_store_name: Text = pa.Field(nullable=True)
    points_consumed: PointsAmount = pa.Field(ge=0)
    awarding_date: Time = pa.Field(nullable=True)

    class Config:
        unique: ClassVar[list[str]] = ["redemption_key", "position"]


class CustomFields(_Table):
    """One custom field of one redemption, of points or of a coupon."""

    redemption_key: Text
    name: Text
    redemption_type: Text = pa.Field(isin=["points", "coupon"])
    value: Text = pa.Field(nullable=True)

    class Config:
        # A coupon's id and a redemption_id of digits only may be the same text.
        unique: ClassVar[list[str]] = ["redemption_key", "name", "redemption_type"]


class Rejects(_Table):
    """What was refused: where it stood, why, and its text."""

    source: Text
    record: pd.Int64Dtype = pa.Field(nullable=True, ge=1)
    line: pd.Int64Dtype = pa.Field(nullable=True, ge=1)
    path: Text = pa.Field(nullable=True)
    reason: Text
    raw: Text = pa.Field(nullable=True)


class Files(_Table):
    """A file that was met: what it is, and what became of it."""

    source: Text
    size: pd.Int64Dtype = pa.Field(nullable=True, ge=0)
    digest: Text = pa.Field(nullable=True)
    form: Text = pa.Field(nullable=True)
    exported_at: Time
    dated_by: Text = pa.Field(isin=_DATED_BY)
    records: int = pa.Field(ge=0)
    status: Text = pa.Field(isin=["loaded", "rejected", "passed over"])
    reason: Text = pa.Field(nullable=True)


#: The model of each table, by name, in the order in which a bundle lists them.
MODELS: dict[str, type[pa.DataFrameModel]] = {
    "responses": Responses,
    "customers": Customers,
    "coupons": Coupons,
    "points": Points,
    "program_breakups": ProgramBreakups,
    "reversals": Reversals,
    "reversal_breakups": ReversalBreakups,
    "source_breakups": SourceBreakups,
    "custom_fields": CustomFields,
    "rejects": Rejects,
    "files": Files,
}

#: Each row of the first table points to a row of the second by the named column.
RELATIONS: tuple[tuple[str, str, str], ...] = (
    ("program_breakups", "points", "redemption_key"),
    ("reversals", "points", "redemption_key"),
    ("source_breakups", "points", "redemption_key"),
    ("reversal_breakups", "reversals", "reversal_id"),
    ("points", "customers", "customer_key"),
    ("coupons", "customers", "customer_key"),
)
