"""What metrics are grouped by: which names ``by`` takes."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING, TypeAlias

from redemption_analytics.errors import UsageError, nearest, refused
from redemption_analytics.options import PERIODS
from redemption_analytics.tables.custom_fields import CUSTOM
from redemption_analytics.tables.dimensions import DIMENSIONS

if TYPE_CHECKING:
    from redemption_analytics.redemptions import Redemptions

#: So many names of custom fields an error lists.
_MOST_LISTED = 20

By: TypeAlias = str | Iterable[str]


def names(
    by: By,
    allowed: Sequence[str] = (*DIMENSIONS, *PERIODS),
    *,
    custom_of: Redemptions | None = None,
    kinds: Sequence[str] = ("points",),
) -> list[str]:
    """Read ``by`` as a list of names.

    Parameters
    ----------
    by
        What the caller of a metric gave.
    allowed
        The names that this metric knows.
    custom_of
        The bundle whose custom fields it knows too, written "custom:NAME"; None where it knows
        none. A bundle that was filtered has those of the whole one: a month in which nobody used a
        field is no mistake.
    kinds
        What it counts, "points" or "coupon" redemptions: their custom fields are meant.

    Raises
    ------
    UsageError
        If a name is none of those allowed, or no redemption has that custom field; the text lists
        those there are, and names the nearest.
    """
    given = [by] if isinstance(by, str) else by
    if not isinstance(given, Iterable):
        raise refused("by", "a name or a list of names", by)
    found: dict[str, None] = {}
    for name in given:
        if name not in allowed:
            custom = isinstance(name, str) and name.removeprefix(CUSTOM) not in ("", name)
            if custom_of is None or not custom:
                more = "" if custom_of is None else f", {CUSTOM}NAME (of a custom field)"
                raise UsageError(
                    f"cannot group by {name!r}: it takes {', '.join(allowed)}{more}."
                    + nearest(str(name), allowed)
                )
            _check_known(name, custom_of, kinds)
        found[name] = None
    return list(found)


def _check_known(name: str, r: Redemptions, kinds: Sequence[str]) -> None:
    """Refuse a custom field that no redemption has."""
    known = sorted({f"{CUSTOM}{field}" for kind in kinds for field in r.custom_names[kind]})
    if name in known:
        return
    what = " ".join(("no", *(kinds if len(kinds) == 1 else ()), "redemption"))
    if not known:
        raise UsageError(f"cannot group by {name!r}: {what} has a custom field")
    listed = ", ".join(known[:_MOST_LISTED]) + (", …" if len(known) > _MOST_LISTED else "")
    raise UsageError(
        f"cannot group by {name!r}: {what} has it, but {listed}.{nearest(name, known)}"
    )
