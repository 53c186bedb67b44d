"""The tables: their columns, what each holds and what is true of it, declared once.

The Pandera models of :mod:`~redemption_analytics.schemas` and the Arrow schemas of what is written
are derived from these.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import get_args

from redemption_analytics.contract import Kind
from redemption_analytics.dating import DatedBy


@dataclass(frozen=True)
class Column:
    """A column of a table.

    Attributes
    ----------
    kind
        What its values are.
    nullable
        Whether they may be missing.
    unique
        Whether no two rows have the same.
    least
        No value is less.
    among
        All the values that there are.
    """

    kind: Kind
    nullable: bool = False
    unique: bool = False
    least: int | None = None
    among: tuple[str, ...] | None = None


_KEY = Column(Kind.TEXT, unique=True)
_NAME = Column(Kind.TEXT)
_TEXT = Column(Kind.TEXT, nullable=True)
_NUMBER = Column(Kind.INTEGER)
_MAYBE_NUMBER = Column(Kind.INTEGER, nullable=True)
_COUNT = Column(Kind.INTEGER, least=0)
_FROM_ONE = Column(Kind.INTEGER, least=1)
_MAYBE_FROM_ONE = Column(Kind.INTEGER, nullable=True, least=1)
_POINTS = Column(Kind.POINTS, least=0)
_AMOUNT = Column(Kind.AMOUNT, nullable=True)
_TIME = Column(Kind.TIME)
_MAYBE_TIME = Column(Kind.TIME, nullable=True)
_DATED_BY = Column(Kind.TEXT, among=get_args(DatedBy))
_PLACES = {
    "redeemed_at": _TEXT,
    "store_code": _TEXT,
    "store_name": _TEXT,
    "till_code": _TEXT,
    "till_name": _TEXT,
}

#: The columns of each table, in the order in which a bundle lists them.
TABLES: dict[str, dict[str, Column]] = {
    "responses": {
        "response_id": _KEY,
        "source": _NAME,
        "record": _FROM_ONE,
        "exported_at": _TIME,
        "dated_by": _DATED_BY,
        "customer_key": _TEXT,
        "success": Column(Kind.BOOLEAN),
        "status_code": _MAYBE_NUMBER,
        "message": _TEXT,
        "rows": _MAYBE_NUMBER,
        "coupons_count": _MAYBE_NUMBER,
        "points_count": _MAYBE_NUMBER,
        "coupons_loaded": _COUNT,
        "points_loaded": _COUNT,
    },
    "customers": {
        "customer_key": _KEY,
        "user_id": _TEXT,
        "external_id": _TEXT,
        "mobile": _TEXT,
        "email": _TEXT,
        "firstname": _TEXT,
        "lastname": _TEXT,
    },
    "coupons": {
        "redemption_key": _KEY,
        "customer_key": _TEXT,
        "id": _NUMBER,
        "code": _TEXT,
        "series_id": _MAYBE_NUMBER,
        "description": _TEXT,
        "discount_code": _TEXT,
        "discount_type": _TEXT,
        "discount_value": _AMOUNT,
        "transaction_number": _TEXT,
        "bill_id": _MAYBE_NUMBER,
        "redeemed_time": _MAYBE_TIME,
        **_PLACES,
    },
    "points": {
        "redemption_key": _KEY,
        "customer_key": _TEXT,
        "id": _MAYBE_NUMBER,
        "redemption_id": _TEXT,
        "program_id": _MAYBE_NUMBER,
        "points_redeemed": _POINTS,
        "transaction_number": _TEXT,
        "bill_id": _MAYBE_NUMBER,
        "validation_code": _TEXT,
        "redeemed_time": _MAYBE_TIME,
        "redeemed_at": _TEXT,
        "redemption_purpose": _TEXT,
        "notes": _TEXT,
        "external_reference_number": _TEXT,
        **{name: _PLACES[name] for name in ("store_code", "store_name", "till_code", "till_name")},
    },
    "program_breakups": {
        "redemption_key": _NAME,
        "program_id": _MAYBE_NUMBER,
        "program_name": _TEXT,
        "points_redeemed": _POINTS,
    },
    "reversals": {
        "reversal_id": Column(Kind.INTEGER, unique=True),
        "redemption_key": _NAME,
        "points_reversed": _POINTS,
        "reversal_time": _MAYBE_TIME,
        "reversed_on_till_id": _MAYBE_NUMBER,
    },
    "reversal_breakups": {
        "reversal_id": _NUMBER,
        "program_id": _MAYBE_NUMBER,
        "program_name": _TEXT,
        "points_reversed": _POINTS,
    },
    "source_breakups": {
        "redemption_key": _NAME,
        "position": _FROM_ONE,
        "source_store_code": _TEXT,
        "source_store_name": _TEXT,
        "points_consumed": _POINTS,
        "awarding_date": _MAYBE_TIME,
    },
    "custom_fields": {
        "redemption_key": _NAME,
        "name": _NAME,
        "redemption_type": Column(Kind.TEXT, among=("points", "coupon")),
        "value": _TEXT,
    },
    "rejects": {
        "source": _NAME,
        "record": _MAYBE_FROM_ONE,
        "line": _MAYBE_FROM_ONE,
        "path": _TEXT,
        "reason": _NAME,
        "raw": _TEXT,
    },
    "files": {
        "source": _NAME,
        "size": Column(Kind.INTEGER, nullable=True, least=0),
        "digest": _TEXT,
        "form": _TEXT,
        "exported_at": _TIME,
        "dated_by": _DATED_BY,
        "records": _COUNT,
        "status": Column(Kind.TEXT, among=("loaded", "rejected", "passed over")),
        "reason": _TEXT,
    },
}

#: Columns of which no two rows have all the same.
UNIQUE: dict[str, tuple[str, ...]] = {
    "program_breakups": ("redemption_key", "program_id"),
    "reversal_breakups": ("reversal_id", "program_id"),
    "source_breakups": ("redemption_key", "position"),
    # A coupon's id and a redemption_id of digits only may be the same text.
    "custom_fields": ("redemption_key", "name", "redemption_type"),
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


def key_of(table: str) -> str:
    """Return the column of a table that names its rows, where one column does.

    >>> key_of("reversals")
    'reversal_id'
    """
    return next(name for name, column in TABLES[table].items() if column.unique)
