"""What a store tells of what it keeps, and how names are written."""

from __future__ import annotations

import re
from datetime import datetime
from typing import NamedTuple

from redemption_analytics.errors import FaultError, SourceError

#: A segment that begins with a dot is a file that is being written, or that a dead writer left.
STAGED = "."

_SEGMENT = re.compile(r"[A-Za-z0-9_=-][A-Za-z0-9_=.-]*")


class Stored(NamedTuple):
    """What a store keeps under a name.

    Attributes
    ----------
    name
        Its name, relative to the warehouse.
    size
        Its bytes.
    last_modified
        When it was written, in UTC.
    """

    name: str
    size: int
    last_modified: datetime


class MissingError(SourceError):
    """Nothing has the name that was asked for."""


def is_name(name: str) -> bool:
    """Check whether a text is a name: segments between slashes that lead nowhere else.

    >>> is_name("data/points/2026-q4/part.parquet"), is_name("data/../../secret"), is_name("/a")
    (True, False, False)
    """
    return all(_SEGMENT.fullmatch(segment) for segment in name.split("/"))


def checked(name: str) -> str:
    """Return a name, or refuse it: the library makes all names itself."""
    if not is_name(name):
        raise FaultError(f"{name!r} is no name of a file of a warehouse")
    return name
