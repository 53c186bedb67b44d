"""Parts of tables, which grow apart and are one table in the end."""

from __future__ import annotations

from collections.abc import Mapping

#: The table that each is a part of, and its place there: the order of the table's rows.
PARTS: Mapping[str, tuple[str, int]] = {
    "point_fields": ("custom_fields", 0),
    "coupon_fields": ("custom_fields", 1),
    "late_rejects": ("rejects", 1),
}


def whole_of(name: str) -> str:
    """Return the table that a part belongs to; a whole table is its own.

    >>> whole_of("late_rejects"), whole_of("points")
    ('rejects', 'points')
    """
    return PARTS[name][0] if name in PARTS else name
