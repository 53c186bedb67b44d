"""Blocks as tables: read by the native reader, flattened, their parents named."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, replace
from zoneinfo import ZoneInfo

from redemption_analytics.contract import PointsType
from redemption_analytics.flattening.flatten import Epochs, Flattening, Tables
from redemption_analytics.flattening.parents import settled
from redemption_analytics.loading.option_checks import Checked
from redemption_analytics.parsing import Read, Reader
from redemption_analytics.privacy import Pseudonym
from redemption_analytics.reading.blocks import Block


@dataclass(frozen=True)
class Parsed:
    """What blocks gave.

    Attributes
    ----------
    tables
        Their tables. Record numbers count from 1 through all the blocks.
    merged
        How many rows of each table went into others.
    read
        What else the reader tells of them.
    epochs
        Times that are the zero of Unix, and so none, by list.
    """

    tables: Tables
    merged: Counter[str]
    read: Read
    epochs: Sequence[Epochs]


class Parser:
    """Parses blocks; holds the options that decide what a value means.

    Parameters
    ----------
    flattening
        How answers become tables.
    points, timezone
        As the reader takes them.
    """

    def __init__(
        self,
        flattening: Flattening,
        points: PointsType = "int",
        timezone: ZoneInfo | None = None,
    ):
        self.flattening = flattening
        self._reader = Reader(points, timezone, personal=self.personal)

    @classmethod
    def of(cls, options: Checked, hidden: Pseudonym | None) -> Parser:
        """Make the parser that options ask for.

        Parameters
        ----------
        options
            The options.
        hidden
            What replaces personal data; None where that stays.
        """
        flattening = Flattening(
            options.identities, options.only_first, hidden, options.keep_custom_fields
        )
        return cls(flattening, options.points, options.zone)

    @property
    def personal(self) -> bool:
        """Check whether personal data may be shown."""
        return self.flattening.pseudonym is None

    def parse(self, *blocks: Block) -> Parsed:
        """Turn blocks into tables and rejects; small ones in one go."""
        read = self._reader.read(*blocks)
        tables, epochs = self.flattening.tables(read.tables)
        final, merged = settled(tables)
        # The columns are held by the tables from here on.
        return Parsed(final, merged, replace(read, tables={}), epochs)
