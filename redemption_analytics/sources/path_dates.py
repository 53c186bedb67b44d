"""The date of an export, and the time, that its path tells."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from datetime import UTC, datetime, timedelta

#: No export is older than the API; digits that would say so are an id.
_FIRST_YEAR = 2005

_APART = re.compile(
    r"(?<!\d)(?P<year>20\d\d)"
    r"(?:([-_.])(?P<month>\d\d)\2(?P<day>\d\d)|([-_])(?P<month1>\d\d?)\5(?P<day1>\d\d?))(?!\d)"
)
_BARE = re.compile(r"(?<!\d)(?P<year>20\d\d)(?P<month>\d\d)(?P<day>\d\d)(?=\D|\d{6}(?!\d)|\Z)")
# An hour alone is rather the number of a part, where no T comes before it; and a second date is no
# time: 2026-11-01_2026-11-07.
_CLOCK = re.compile(
    r"(?:T|[_ -](?=\d\d[-:.]?\d\d)|(?=\d{6}(?!\d)))(?!20\d\d[-_.]?\d\d[-_.]?\d\d)"
    r"(?P<hour>[01]\d|2[0-3])"
    r"(?:[-:.]?(?P<minute>[0-5]\d)(?:[-:.]?(?P<second>[0-5]\d)(?:[.,]\d+)?)?)?"
    r"(?P<zone>Z|\+\d\d:?\d\d)?(?!\d)"
)
_KEYED = re.compile(
    r"(?:(?P<year>y|yy|yyyy|year)|(?P<month>m|mm|mon|month)|(?P<day>d|dd|day)|(?P<hour>h|hh|hr|hour))"
    r"=(?P<value>\d{1,4})",
    re.IGNORECASE,
)
_DATE_KEY = re.compile(
    r".*(?:date|day|time|stamp)|.*_?(?:dt|ds|ts|at|on)|d|run|exported|export|snapshot|as_?of",
    re.IGNORECASE,
)
_YEAR, _MONTH = re.compile(r"20\d\d"), re.compile(r"(?P<year>20\d\d)-?(?P<month>\d\d)")
_TWO = re.compile(r"\d\d?")
_PARTS = re.compile(r"[/\\]+")

#: How surely digits are a date: those of a name with more in it may be an id; those that are all of
#: a name, or in the name of a folder, hardly; those with separators, or that are a folder, are one.
_MAYBE, _LIKELY, _SURE = 1, 2, 3


def date_in_name(name: str, below: str = "", *, sure: bool = False) -> datetime | None:
    """Read the date, and the time if there is one, that a path tells (UTC, where it has a zone).

    Of dates that are equally sure the last counts. A date with separators, or a folder's, is surer
    than bare digits in a file's name.

    Parameters
    ----------
    name
        The path.
    below
        A beginning of the path that is not asked, where what follows it (or its last folder) tells.
    sure
        Whether bare digits beside other text in a file's name are none.

    Examples
    --------
    >>> date_in_name("exports/2026-11-20T03-00/part-7.jsonl.gz")
    datetime.datetime(2026, 11, 20, 3, 0)
    >>> date_in_name("year=2026/month=3/day=8/batch_20190101.jsonl")
    datetime.datetime(2026, 3, 8, 0, 0)
    >>> date_in_name("2025-stores.json") is None
    True
    """
    parts = [part for part in _PARTS.split(name) if part]
    found = [
        (certainty, place, moment)
        for certainty, place, moment in _found(parts)
        if certainty > _MAYBE or not sure
    ]
    first = len([part for part in _PARTS.split(below) if part]) - 1
    near = [item for item in found if item[0] and item[1][0] >= first]
    best = max(near or found, default=None)
    return best and best[2]


def _found(parts: list[str]) -> Iterator[tuple[int, tuple[int, int], datetime]]:
    """Yield each date with how sure it is, and its place: the number of a part and one in it."""
    yield from _in_keys(parts)
    yield from _in_folders(parts)
    for number, part in enumerate(parts):
        folder = number < len(parts) - 1
        hour = _hour_below(parts, number)
        for form in (_APART, _BARE):
            for match in form.finditer(part):
                clock = _CLOCK.match(part, match.end())
                end = clock.end() if clock else match.end()
                if part[end : end + 1].isdigit():
                    continue
                said = match.groupdict() | (clock.groupdict() if clock else {})
                if (moment := _moment(said, hour)) is not None:
                    alone = _is_alone(part[: match.start()], part[end:])
                    sure = _SURE if form is _APART else _certainty(folder=folder, alone=alone)
                    yield sure, (number, match.start()), moment


def _certainty(*, folder: bool, alone: bool) -> int:
    """Return how sure it is that bare digits are a date."""
    if folder:
        return _SURE if alone else _LIKELY
    return _LIKELY if alone else _MAYBE


def _is_alone(before: str, after: str) -> bool:
    """Check whether a name has nothing but a date, and the key that it is the value of."""
    key, equals, more = before.rpartition("=")
    named = bool(equals) and not more and _DATE_KEY.fullmatch(key) is not None
    return (not after or after.startswith(".")) and (not before or named)


def _hour_below(parts: list[str], number: int) -> str | None:
    """Return the hour that the next folder but one names at most, as in dt=2026-11-20/hour=03."""
    for part in parts[number + 1 : -1]:
        keyed = _KEYED.fullmatch(part)
        if keyed and keyed["hour"]:
            return keyed["value"]
    return None


def _in_keys(parts: list[str]) -> Iterator[tuple[int, tuple[int, int], datetime]]:
    """Find year=2026/month=11/day=20/hour=03, with whatever else between."""
    known: dict[str, str | None] = {}
    for number, part in enumerate(parts):
        keyed = _KEYED.fullmatch(part)
        month = _MONTH.fullmatch(part.rpartition("=")[2])
        if keyed and keyed.lastgroup:
            kind = next(name for name in ("year", "month", "day", "hour") if keyed[name])
            known[kind] = keyed["value"]
        elif month and "=" in part:
            known |= month.groupdict()
        if keyed and known.keys() >= {"year", "month", "day"}:
            moment = _moment(known, None)
            if moment is not None:
                yield _SURE, (number, 0), moment


def _in_folders(parts: list[str]) -> Iterator[tuple[int, tuple[int, int], datetime]]:
    """Find 2026/11/20/03 and 2026-11/20; the last may be a file's name."""
    stems = [*parts[:-1], *(part.partition(".")[0] for part in parts[-1:])]
    for number, part in enumerate(stems):
        year, month = _YEAR.fullmatch(part), _MONTH.fullmatch(part)
        if year:
            last = number + 2
            said = [part, *stems[number + 1 : last + 1]]
        elif month:
            last = number + 1
            said = [month["year"], month["month"], *stems[last : last + 1]]
        else:
            continue
        if len(said) != 3 or not all(_TWO.fullmatch(text) for text in said[1:]):
            continue
        hour = stems[last + 1] if last + 2 < len(stems) else ""
        known = dict(zip(("year", "month", "day"), said, strict=True))
        clock = hour if _TWO.fullmatch(hour) and int(hour) < 24 else _hour_below(parts, last)
        if (moment := _moment(known, clock)) is not None:
            yield _SURE, (last, 0), moment


def _moment(said: Mapping[str, str | None], hour: str | None) -> datetime | None:
    """Return the moment that a match says, None if there is none such."""
    year = int(said["year"] or 0)
    if not _FIRST_YEAR <= year <= datetime.now(UTC).year + 1:
        return None
    month, day = said.get("month") or said.get("month1"), said.get("day") or said.get("day1")
    clock, minute, second = (int(said.get(name) or 0) for name in ("hour", "minute", "second"))
    if said.get("hour") is None and hour is not None and int(hour) < 24:
        clock = int(hour)
    try:
        moment = datetime(year, int(month or 0), int(day or 0), clock, minute, second)
    except ValueError:
        return None
    zone = said.get("zone") or "Z"
    ahead = zone.strip("+").replace(":", "")
    return (
        moment if zone == "Z" else moment - timedelta(hours=int(ahead[:2]), minutes=int(ahead[2:]))
    )
