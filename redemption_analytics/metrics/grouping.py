"""What metrics are grouped by: which names ``by`` takes."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import TypeAlias

from redemption_analytics.errors import UsageError, nearest, refused
from redemption_analytics.options import PERIODS
from redemption_analytics.tables.custom_fields import CUSTOM
from redemption_analytics.tables.dimensions import DIMENSIONS

By: TypeAlias = str | Iterable[str]


def names(
    by: By, allowed: Sequence[str] = (*DIMENSIONS, *PERIODS), *, custom: bool = False
) -> list[str]:
    """Read ``by`` as a list of names.

    Parameters
    ----------
    by
        What the caller of a metric gave.
    allowed
        The names that this metric knows.
    custom
        Whether it knows custom fields too, written "custom:NAME". Which ones there are is not asked
        here: lazy frames would have to be read for that.

    Raises
    ------
    UsageError
        If a name is none of those allowed; the text lists them and names the nearest.
    """
    given = [by] if isinstance(by, str) else by
    if not isinstance(given, Iterable):
        raise refused("by", "a name or a list of names", by)
    found: dict[str, None] = {}
    for name in given:
        wanted = custom and isinstance(name, str) and name.removeprefix(CUSTOM) not in ("", name)
        if name not in allowed and not wanted:
            known = ", ".join(allowed) + (f", {CUSTOM}NAME (of a custom field)" if custom else "")
            hint = nearest(str(name), allowed)
            raise UsageError(f"cannot group by {name!r}: it takes {known}.{hint}")
        found[name] = None
    return list(found)
