"""The period that a report is about, and those that it is compared with."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta

from redemption_analytics.options import Period
from redemption_analytics.tables.periods import period_name, period_start, running_start

#: So many periods earlier a year has the same one. A year of weeks is 52: its Mondays.
_IN_A_YEAR: dict[Period, int] = {"day": 364, "week": 52, "month": 12, "quarter": 4, "year": 1}
_TICK = timedelta(microseconds=1)


@dataclass(frozen=True)
class Reported:
    """The period that a report is about.

    Attributes
    ----------
    grain : str
        What kind of period.
    start : datetime
        Its first moment.
    before, year_before : datetime or None
        Where the period before begins, and the same one of the year before; None where the data
        begins later. A day is compared with the same weekday, a week with that 52 weeks before.
    running : datetime or None
        Where the period begins that is not over, if it is another.
    over : bool
        Whether the period is over.
    """

    grain: Period
    start: datetime
    before: datetime | None
    year_before: datetime | None
    running: datetime | None
    over: bool

    @property
    def earlier(self) -> list[datetime]:
        """Where the periods begin that it is compared with."""
        return [start for start in (self.before, self.year_before) if start is not None]

    @property
    def last(self) -> datetime:
        """Its last moment."""
        return self.last_of(self.start)

    @property
    def name(self) -> str:
        """What people call it."""
        return period_name(self.start, self.grain)

    def last_of(self, start: datetime) -> datetime:
        """Return the last moment of a period of this kind."""
        return period_start(start, self.grain, 1) - _TICK

    def name_of(self, start: datetime | None) -> str:
        """Name another period of the same kind; an empty text for none."""
        return "" if start is None else period_name(start, self.grain)


def reported(oldest: datetime | None, grain: Period, as_of: datetime) -> Reported:
    """Return the last period that is over at a moment, or that which is not, where none is.

    Parameters
    ----------
    oldest
        When the first thing happened that the data tells; None where nothing has a time.
    grain
        What kind of period.
    as_of
        The moment of the report.

    Examples
    --------
    >>> found = reported(datetime(2026, 1, 5), "month", datetime(2026, 11, 20))
    >>> found.name, found.name_of(found.before), found.year_before, found.name_of(found.running)
    ('October 2026', 'September 2026', None, 'November 2026')
    """
    current = running_start(as_of, grain)
    first = current if oldest is None else period_start(oldest, grain)
    start = period_start(current, grain, -1) if first < current else current
    over = start < current

    def earlier(periods: int) -> datetime | None:
        found = period_start(start, grain, -periods)
        return found if first <= found < start else None

    return Reported(
        grain,
        start,
        earlier(1),
        None if grain == "year" else earlier(_IN_A_YEAR[grain]),
        current if over and current < as_of else None,
        over,
    )
