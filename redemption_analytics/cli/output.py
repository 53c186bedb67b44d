"""What commands print: text for people, or one JSON object for programs."""

from __future__ import annotations

import json
import math
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date
from typing import TYPE_CHECKING, Any

from redemption_analytics.flags import in_flags
from redemption_analytics.visible import visible

if TYPE_CHECKING:
    import pyarrow as pa


@dataclass(frozen=True)
class Output:
    """Where a command says what it found.

    Attributes
    ----------
    quiet
        Whether standard output gets no text.
    as_json
        Whether it gets one JSON object, and no text.
    """

    quiet: bool = False
    as_json: bool = False

    def say(self, text: str) -> None:
        """Print lines."""
        if not (self.quiet or self.as_json):
            printed(text)

    def tell(self, text: str) -> None:
        """Print a text after an empty line, with flags for options; nothing if there is none."""
        if text:
            self.say(f"\n{in_flags(text)}")

    def warn(self, text: str) -> None:
        """Print lines on standard error, whatever else is printed."""
        printed(text, err=True)

    def give(self, found: Mapping[str, Any]) -> None:
        """Print an object, if that is wanted."""
        if self.as_json:
            # In ASCII, which shows whatever is in a name; numbers that are none are null.
            print(json.dumps(_plain(found), indent=2, allow_nan=False))  # noqa: T201


def printed(text: str, *, err: bool = False) -> None:
    """Print lines; no name in them steers the terminal."""
    # Not by typer.echo, which writes UTF-8 to a terminal of ASCII.
    print("\n".join(map(visible, text.split("\n"))), file=sys.stderr if err else sys.stdout)


def small(frame: Any) -> pa.Table:
    """Read a small frame out of any engine."""
    from redemption_analytics.tables.frames import as_arrow

    return as_arrow(frame)


def table(rows: pa.Table) -> str:
    """Return a table as text."""
    from redemption_analytics.terminal import text_table

    return text_table(rows)


def _plain(value: Any) -> Any:
    """Return what JSON can hold."""
    if isinstance(value, Mapping):
        return {name: _plain(one) for name, one in value.items()}
    if isinstance(value, (list, tuple)):
        return [_plain(one) for one in value]
    if isinstance(value, date):
        return value.isoformat()
    if isinstance(value, float) and not math.isfinite(value):
        return None
    return value
