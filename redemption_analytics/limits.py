"""Limits of what is taken in: each stops input that would take memory without end."""

from __future__ import annotations

#: A record of more bytes is refused unread.
MAX_RECORD_BYTES = 64 << 20
