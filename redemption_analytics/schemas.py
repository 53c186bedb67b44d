"""The tables: one Pandera model for each.

A column's name, order, type, whether it may be null and what its values must satisfy are declared
in :mod:`~redemption_analytics.columns`; models and Arrow schemas are derived from there.
"""

from __future__ import annotations

from typing import Any, ClassVar

import numpy as np
import pandas as pd
import pandera.pandas as pa
from pandera import dtypes
from pandera.engines import pandas_engine

from redemption_analytics.columns import RELATIONS, TABLES, UNIQUE
from redemption_analytics.contract import Kind

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


_TYPES: dict[Kind, Any] = {
    Kind.TEXT: Text,
    Kind.INTEGER: int,
    Kind.POINTS: PointsAmount,
    Kind.AMOUNT: float,
    Kind.TIME: Time,
    Kind.BOOLEAN: bool,
}


class _Table(pa.DataFrameModel):
    """A table, with the columns that are declared of it."""

    def __init_subclass__(cls, *, table: str, **options: Any) -> None:
        kinds = {}
        for name, column in TABLES[table].items():
            whole_or_missing = column.kind is Kind.INTEGER and column.nullable
            kinds[name] = pd.Int64Dtype if whole_or_missing else _TYPES[column.kind]
            field = pa.Field(
                nullable=column.nullable,
                unique=column.unique,
                ge=column.least,
                isin=None if column.among is None else list(column.among),
            )
            field.__set_name__(cls, name)
            setattr(cls, name, field)
        cls.__annotations__ = kinds
        config = {
            "name": cls.__name__,
            "strict": True,
            "ordered": True,
            "unique": list(UNIQUE.get(table, ())) or None,
        }
        cls.Config = type("Config", (pa.DataFrameModel.Config,), config)
        super().__init_subclass__(**options)  # type: ignore[no-untyped-call]


class Responses(_Table, table="responses"):
    """One customer in one answer: the log of what was read."""


class Customers(_Table, table="customers"):
    """A customer, as the newest answer knows them."""


class Coupons(_Table, table="coupons"):
    """A coupon redemption."""


class Points(_Table, table="points"):
    """A points redemption.

    ``id`` is what editions without redemption_id told of it.
    """


class ProgramBreakups(_Table, table="program_breakups"):
    """A redemption's share of one program."""


class Reversals(_Table, table="reversals"):
    """Points given back: one reversal of one redemption."""


class ReversalBreakups(_Table, table="reversal_breakups"):
    """A reversal's share of one program."""


class SourceBreakups(_Table, table="source_breakups"):
    """Points of a redemption that one source batch gave: which store awarded them, and when."""


class CustomFields(_Table, table="custom_fields"):
    """One custom field of one redemption, of points or of a coupon."""


class Rejects(_Table, table="rejects"):
    """What was refused: where it stood, why, and its text."""


class Files(_Table, table="files"):
    """A file that was met: what it is, and what became of it."""


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
