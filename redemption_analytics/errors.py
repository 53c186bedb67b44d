"""The library's own errors: each says what is wrong, where, and what to do."""

from __future__ import annotations

import difflib
from collections.abc import Iterable

__all__ = [
    "FaultError",
    "RedemptionAnalyticsError",
    "RejectedError",
    "SourceError",
    "UsageError",
    "ValidationError",
    "WriteError",
]

_SHOWN = 100


class RedemptionAnalyticsError(Exception):
    """Base class of every error that this library raises on purpose."""


class SourceError(RedemptionAnalyticsError):
    """A source that cannot be read at all: missing, empty, or no redemption export."""


class RejectedError(RedemptionAnalyticsError):
    """The first element that does not fit the contract, under ``on_error="raise"``."""


class ValidationError(RedemptionAnalyticsError):
    """Tables that break their schema, or the relations between them."""


class UsageError(RedemptionAnalyticsError, ValueError):
    """An argument that means nothing here: an unknown name, or a value that is not allowed."""

    #: The argument and the function that it is about, where that is known.
    argument: str = ""
    function: str = ""


class WriteError(RedemptionAnalyticsError, OSError):
    """Output that cannot be written: a full disk, no permission, or another run at work there.

    What was there before is as it was. ``errno`` is that of the system, None where it has none.
    """

    def __init__(self, message: str, errno: int | None = None):
        super().__init__(message)
        self.errno = errno


class FaultError(RedemptionAnalyticsError):
    """A fault of this library, whatever the data are: something it holds for certain is not so.

    >>> raise FaultError("the ledger does not add up")
    Traceback (most recent call last):
    redemption_analytics.errors.FaultError: the ledger does not add up. This is a fault of \
redemption_analytics: please report it
    """

    def __init__(self, found: str):
        super().__init__(f"{found}. This is a fault of redemption_analytics: please report it")


def nearest(name: str, known: Iterable[str]) -> str:
    """Suggest the known name that is nearest to a wrong one, as the end of an error's text.

    >>> nearest("store", ["store_code", "till_code"])
    " Did you mean 'store_code'?"
    """
    found = difflib.get_close_matches(name, list(known), n=1)
    return f" Did you mean {found[0]!r}?" if found else ""


def kind_of(value: object) -> str:
    """Say in an error what kind of thing a value is, after "is" or "be".

    >>> kind_of(5), kind_of(None)
    ('of type int', 'None')
    """
    return "None" if value is None else f"of type {type(value).__name__}"


def refused(argument: str, takes: str, value: object) -> UsageError:
    """Return the error that says what an argument takes.

    The function that was called puts its name before it.


    >>> refused("threads", "a whole number of 1 or more", "2")
    UsageError("threads is a whole number of 1 or more, not '2'")
    """
    error = UsageError(f"{argument} is {takes}, not {_shown(value)}")
    error.argument = argument
    return error


def _shown(value: object) -> str:
    """Quote a value, a frame by its kind."""
    if not isinstance(value, (str, bytes, int, float, list, tuple, dict, set, type(None))) and (
        hasattr(value, "__array__") or hasattr(value, "collect") or hasattr(value, "fetchall")
    ):
        kind = type(value)
        return f"a {kind.__module__.partition('.')[0].removeprefix('_')} {kind.__name__}"
    text = repr(value)
    return text if len(text) <= _SHOWN else f"{text[:_SHOWN]}…"
