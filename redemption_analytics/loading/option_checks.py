"""Whether the options of loading make sense, and what they come to."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, get_args
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from redemption_analytics.contract import IDENTITIES
from redemption_analytics.errors import refused
from redemption_analytics.moments import made_at
from redemption_analytics.options import DEFAULTS, LoadOptions, OnError, Pii, PointsType


@dataclass(frozen=True)
class Checked:
    """Options that make sense, in the form in which they are used.

    Attributes
    ----------
    exported_at
        When the exports were made, in UTC; None where they say it themselves.
    strict
        Whether to stop at the first reject.
    points, pii, keep_custom_fields, progress, allow_empty
        As they were given.
    identities
        Which identities name a customer, the first before the others.
    only_first
        Whether in the end the first of them alone does.
    zone
        The time zone of the organisation.
    threads
        How many blocks are parsed at once; None where that was not said.
    limit
        The most bytes of a record.
    """

    exported_at: datetime | None
    strict: bool
    points: PointsType
    pii: Pii
    keep_custom_fields: list[str]
    identities: tuple[str, ...]
    only_first: bool
    zone: ZoneInfo | None
    threads: int | None
    limit: int
    progress: bool | None
    allow_empty: bool


def checked(given: LoadOptions) -> Checked:
    """Check options, and give those that are left out their defaults.

    Raises
    ------
    UsageError
        If one makes no sense; the text says what it takes.
    """
    options: LoadOptions = {**DEFAULTS, **given}
    threads = options["threads"]
    return Checked(
        made_at(options["exported_at"]),
        _one_of("on_error", options["on_error"], get_args(OnError)) == "raise",
        _one_of("points", options["points"], get_args(PointsType)),
        _one_of("pii", options["pii"], get_args(Pii)),
        _texts("keep_custom_fields", options["keep_custom_fields"]),
        _identities(options["customer_key"]),
        options["customer_key"] is not None,
        _zone(options["timezone"]),
        None if threads is None else count("threads", threads),
        count("max_record_bytes", options["max_record_bytes"]),
        flag("progress", options["progress"], or_none=True),
        flag("allow_empty", options["allow_empty"]),
    )


def _identities(key: str | None) -> tuple[str, ...]:
    if key is None:
        return IDENTITIES
    first = _one_of("customer_key", key, IDENTITIES)
    return (first, *(name for name in IDENTITIES if name != first))


def count(argument: str, value: Any) -> int:
    """Check a whole number of 1 or more."""
    if isinstance(value, bool) or not isinstance(value, int):
        raise refused(argument, "a whole number, 1 or more", value)
    if value < 1:
        raise refused(argument, "1 or more", value)
    return value


def flag(argument: str, value: Any, *, or_none: bool = False) -> Any:
    """Check a value that is True or False, or None where that is allowed."""
    if not (isinstance(value, bool) or (or_none and value is None)):
        raise refused(argument, "True or False" if not or_none else "True, False or None", value)
    return value


def _one_of(argument: str, value: Any, allowed: Sequence[str]) -> Any:
    if not isinstance(value, str) or value not in allowed:
        raise refused(argument, f"one of {', '.join(map(repr, allowed))}", value)
    return value


def _texts(argument: str, value: Any) -> list[str]:
    several = isinstance(value, Iterable) and not isinstance(value, (str, bytes))
    names: list[Any] = list(value) if several else [None]
    if not all(isinstance(name, str) for name in names):
        raise refused(argument, "a list of names, such as ['shift']", value)
    return names


def _zone(timezone: Any) -> ZoneInfo | None:
    try:
        if timezone is None or isinstance(timezone, str):
            return None if timezone is None else ZoneInfo(timezone)
    except (ZoneInfoNotFoundError, ValueError, OSError):
        pass
    raise refused("timezone", "an IANA name such as 'Europe/Paris'", timezone)
