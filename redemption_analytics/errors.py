"""The library's own errors: each says what is wrong, where, and what to do."""

from __future__ import annotations

import difflib
from collections.abc import Iterable

__all__ = [
    "RedemptionAnalyticsError",
    "RejectedError",
    "SourceError",
    "UsageError",
    "ValidationError",
    "WriteError",
]


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


def nearest(name: str, known: Iterable[str]) -> str:
    """Suggest the known name that is nearest to a wrong one, as the end of an error's text.

    >>> nearest("store", ["store_code", "till_code"])
    " Did you mean 'store_code'?"
    """
    found = difflib.get_close_matches(name, list(known), n=1)
    return f" Did you mean {found[0]!r}?" if found else ""
