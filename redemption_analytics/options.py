"""What arguments may be that Python and the command line share, declared once for both."""

# Types are needed at run time: signatures show them.
from collections.abc import Sequence
from datetime import date, datetime
from typing import Any, Literal, TypedDict, get_args

from redemption_analytics.limits import MAX_RECORD_BYTES

OnError = Literal["quarantine", "raise"]
PointsType = Literal["int", "decimal"]
Pii = Literal["keep", "pseudonymize", "drop"]
CustomerKey = Literal["user_id", "external_id", "mobile", "email"]

#: What names a person: an identity as exports write it, or the customer_key of the tables.
NamedBy = Literal["user_id", "external_id", "mobile", "email", "customer_key"]

#: A grain of time.
Period = Literal["day", "week", "month", "quarter", "year"]
PERIODS: tuple[Period, ...] = get_args(Period)


class LoadOptions(TypedDict, total=False):
    """The options of :func:`redemption_analytics.load`, which explains them."""

    exported_at: str | date | datetime | None
    on_error: OnError
    points: PointsType
    pii: Pii
    keep_custom_fields: Sequence[str]
    customer_key: CustomerKey | None
    timezone: str | None
    threads: int | None
    max_record_bytes: int
    progress: bool | None
    allow_empty: bool


DEFAULTS: LoadOptions = {
    "exported_at": None,
    "on_error": "quarantine",
    "points": "int",
    "pii": "keep",
    "keep_custom_fields": (),
    "customer_key": None,
    "timezone": None,
    "threads": None,
    "max_record_bytes": MAX_RECORD_BYTES,
    "progress": None,
    "allow_empty": False,
}

#: Type and default of each option, for signatures.
DECLARED: dict[str, tuple[Any, Any]] = {
    name: (kind, DEFAULTS[name])  # type: ignore[literal-required]
    for name, kind in LoadOptions.__annotations__.items()
}
