"""How it is known when an export was made, and what that says of the times in it."""

from __future__ import annotations

from datetime import timedelta
from typing import Literal

#: How it is known when an export was made: the caller said so, its path says so, or (which does not
#: tell it, for copies have new times) its file was modified, or it was read, at that time.
DatedBy = Literal["given", "path", "modified", "read"]

#: What tells when an export was made.
TELLING: tuple[DatedBy, ...] = ("given", "path")

#: So much later than its export may a time be, for another time zone.
SLACK = timedelta(days=1)
