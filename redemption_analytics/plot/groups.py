"""Groups of a metric as the rows of a chart: with labels and periods, the largest first."""

from __future__ import annotations

import json
import unicodedata
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from typing import TYPE_CHECKING, Any, TypeAlias

import altair as alt

from redemption_analytics.metrics import programs, stores, tills
from redemption_analytics.numerals import day_format, day_name, many, marks, number
from redemption_analytics.options import PERIODS
from redemption_analytics.plot.look import FACET, HEIGHT, ROW, WIDTH, Chart, inline, layered
from redemption_analytics.tables.frames import as_arrow
from redemption_analytics.tables.periods import period_name, period_start, running_start
from redemption_analytics.visible import shortened

if TYPE_CHECKING:
    from redemption_analytics.redemptions import Redemptions

#: How many letters of a label have room beside a chart on a phone.
ROOM = 24

#: The values that name a group, one for each column of ``by`` that is no period.
Key: TypeAlias = tuple[Any, ...]

_TICKS = 8
_FADED = 0.4

#: How many groups, and how many periods, a chart has room for.
MOST = 20
NEWEST = 60

#: What knows the names of codes, and the column that has them.
_NAMES = {
    "program_id": (programs, "program_name"),
    "store_code": (stores, "store_name"),
    "till_code": (tills, "till_name"),
}

_AXIS_FORMATS = {
    "day": "%-d %b",
    "week": "%-d %b %Y",
    "month": "%b %Y",
    "quarter": "Q%q %Y",
    "year": "%Y",
}


@dataclass(frozen=True)
class Groups:
    """Rows to draw.

    Attributes
    ----------
    rows : list of dict
        The metric's columns; ``label`` names the group; where there is a period, ``start``,
        ``middle`` and ``end`` are its moments, ``period`` names it, and ``over`` says whether it
        was over.
    labels : list of str
        The groups shown, the largest first; those of the null group and "all" are among them.
    period : str or None
        The period that rows are of.
    note : str
        What is not shown, and what is not over; empty where all is.
    order : str
        In which order the groups are, and how many are not among them; empty for one.
    """

    rows: list[dict[str, Any]]
    labels: list[str]
    period: str | None
    note: str
    order: str = ""

    @property
    def said(self) -> str:
        """Say in which order groups are, what is not shown, and what is not over."""
        return " ".join(filter(None, (self.order, self.note)))

    @property
    def periods(self) -> int:
        """How many periods of the calendar lie between the first and the last shown, with both."""
        starts = [_start(row) for row in self.rows] if self.period else []
        return len(_between(min(starts), max(starts), str(self.period))) if starts else 0

    @property
    def grouped(self) -> bool:
        """Whether there are groups beside the periods."""
        return bool(self.labels) and self.labels != ["all"]

    def only(self, size: str) -> Groups:
        """Return the groups without rows of nothing."""
        rows = [row for row in self.rows if row[size]]
        here = {row["label"] for row in rows}
        return replace(self, rows=rows, labels=[label for label in self.labels if label in here])

    def along_time(self, *charts: alt.Chart, shared: bool) -> Chart:
        """Draw charts along the periods, once or for each group, on one scale or on its own."""
        data = inline([*self.rows, *self._gaps()])
        if not self.grouped:
            return layered(*charts, data=data).properties(width=WIDTH, height=HEIGHT)
        header = alt.Header(title=None, labelAnchor="start", labelFontWeight="bold")
        facet = alt.Facet("label:N", sort=self.labels, header=header)
        small = layered(*charts).properties(width=WIDTH, height=FACET)
        repeated = small.facet(facet, columns=1, data=data)
        return repeated if shared else repeated.resolve_scale(y="independent")

    def _gaps(self) -> list[dict[str, Any]]:
        """Return rows of no numbers for the periods without data: no line runs over them."""
        period = str(self.period)
        here: dict[str, set[datetime]] = {}
        for row in self.rows:
            here.setdefault(row["label"], set()).add(_start(row))
        numbers = [
            name
            for name in (self.rows[0] if self.rows else ())
            if any(isinstance(row[name], int | float) for row in self.rows)
        ]
        return [
            dict.fromkeys(numbers) | _moments(start, period) | {"label": label, "over": True}
            for label, starts in here.items()
            for start in _between(min(starts), max(starts), period)
            if start not in starts
        ]

    def in_rows(self, *charts: alt.Chart) -> alt.LayerChart:
        """Draw charts that have a row for each group, as :meth:`label` gives it."""
        data = inline(self.rows)
        return layered(*charts, data=data).properties(width=WIDTH, height=ROW * len(self.labels))

    def tips(self) -> list[alt.Tooltip]:
        """Return what tells at a mark which group and which period it is of."""
        group = [alt.Tooltip("label:N", title="group")] if self.grouped or not self.period else []
        return group + ([alt.Tooltip("period:N", title=self.period)] if self.period else [])

    def label(self) -> alt.Y:
        """Return the axis of rows, the largest on top."""
        axis = alt.Axis(title=None, labelLimit=200, **in_short(self.labels))
        return alt.Y("label:N", sort=self.labels, axis=axis)


def grouped(
    r: Redemptions,
    metric: Any,
    by: Sequence[str],
    size: str,
    *,
    most: int = MOST,
    newest: int = NEWEST,
    as_of: datetime | None = None,
) -> Groups:
    """Read the rows of a metric out of its engine, and name and order their groups.

    Parameters
    ----------
    r
        The bundle, which knows the names of codes.
    metric
        What the metric returned.
    by
        What it was grouped by.
    size
        The column that says how large a group is.
    most, newest
        How many groups, and how many periods of the calendar, are shown.
    as_of
        The moment that tells which period is not over, by default now; a later one, as of a
        mistyped year, is left out.
    """
    period = next((name for name in by if name in PERIODS), None)
    others = [name for name in by if name != period]
    rows = plain_rows(metric)
    found, notes = len(rows), []
    if period is not None:
        timed = [row for row in rows if row[period] is not None]
        running = running_start(as_of or r.now or datetime.max, period)
        begun = [row for row in timed if row[period] <= running]
        last = max((row[period] for row in begun), default=running)
        first = period_start(last, period, 1 - newest)
        rows = [row for row in begun if row[period] >= first]
        if len(timed) < found:
            notes.append("Redemptions without a time are left out.")
        if len(begun) < len(timed):
            notes.append("What is later than the newest export is left out.")
        if len(rows) < len(begun):
            notes.append(f"The newest {newest} {period}s.")
        if last == running and rows:
            notes.append(f"{period_name(last, period)} is not over.")
        rows = [
            row | _moments(row[period], period) | {"over": row[period] < running} for row in rows
        ]
    keys = dict.fromkeys(tuple(row[name] for name in others) for row in rows)
    labels = _labels(keys, others, {name: names_of(r, name) for name in others})
    sizes = dict.fromkeys(labels.values(), 0.0)
    for row in rows:
        row["label"] = labels[tuple(row[name] for name in others)]
        sizes[row["label"]] += abs(row[size] or 0)
    ordered = sorted(sizes, key=lambda label: (-sizes[label], label))
    shown = ordered[:most]
    if len(shown) < len(ordered):
        of = f"{number(len(shown))} largest of {many(len(ordered), 'group')}"
        order = f"The {of}, by {_measure(size)}."
    else:
        order = f"The largest first, by {_measure(size)}." if len(shown) > 1 else ""
    drawn = [_drawable(row) for row in rows if row["label"] in set(shown)]
    return Groups(drawn, shown, period, " ".join(notes), order)


def _measure(size: str) -> str:
    return "how many are at risk" if size == "at_risk" else size.replace("_", " ")


def _labels(
    keys: Iterable[Key], columns: Sequence[str], names: Mapping[str, Mapping[Any, str]]
) -> dict[Key, str]:
    """Name groups for people; as they may be shown."""
    pretty = {
        key: " · ".join(_label(v, names[c], c) for v, c in zip(key, columns, strict=True)) or "all"
        for key in keys
    }
    return told_apart(pretty)


def told_apart(labels: Mapping[Key, str], taken: Iterable[str] = ()) -> dict[Key, str]:
    """Return labels that may be shown, each another: by their codes, or numbers if need be.

    >>> told_apart({(7,): "Main", (8,): "Main", (9,): "all"}, taken=["all"])
    {(7,): 'Main (7)', (8,): 'Main (8)', (9,): 'all (2)'}
    """
    counts, found = Counter(labels.values()), {}
    used, alike = set(taken), Counter[str]()
    for key, label in labels.items():
        codes = "" if counts[label] == 1 else f" ({' · '.join(map(str, key))})"
        name = shown = shortened(label + codes)
        while name in used:
            alike[shown] += 1
            name = f"{shown} ({alike[shown] + 1})"
        used.add(name)
        found[key] = name
    return found


def in_short(labels: Sequence[str], most: int = ROOM) -> dict[str, Any]:
    """Return what lets an axis, a legend or a header show labels in short; nothing if all are.

    >>> in_short(["north", "south"])
    {}
    """
    short = shorter(labels, most)
    if not short:
        return {}
    # As lists: a label may be a name that objects have anyway.
    place = f"indexof({json.dumps(list(short))}, datum.value)"
    shown = json.dumps(list(short.values()))
    return {"labelExpr": f"{place} < 0 ? datum.label : {shown}[{place}]"}


def shorter(labels: Sequence[str], most: int = ROOM) -> dict[str, str]:
    """Return those labels that are too long as they are shown: each another, with its end.

    >>> found = shorter(["Shop of the North, 1st floor", "Shop of the North, 2nd floor", "x"], 12)
    >>> list(found.values())
    ['Shop o…floor', '…, 2nd floor']
    """
    found: dict[str, str] = {}
    taken = {label for label in labels if _width(label) <= most}
    for label in dict.fromkeys(labels):
        if label in taken:
            continue
        letters = max(most * len(label) // _width(label), 5)
        short = shortened(label, letters)
        if short in taken:
            short = f"…{label[1 - letters :]}"
        count, first = 1, short
        while short in taken:
            count += 1
            short = f"{first} ({count})"
        taken.add(short)
        found[label] = short
    return found


def _width(label: str) -> int:
    """Count the letters of a label, those of Chinese, Japanese and Korean as two."""
    return len(label) + sum(unicodedata.east_asian_width(letter) in "WF" for letter in label)


def plain_rows(metric: Any) -> list[dict[str, Any]]:
    """Read a small frame of any kind into dicts."""
    rows: list[dict[str, Any]] = as_arrow(metric).to_pylist()
    return rows


def names_of(r: Redemptions, column: str) -> dict[Any, str]:
    """Return the names that go with the codes or ids of a column, where the data has them."""
    if column not in _NAMES:
        return {}
    known, name = _NAMES[column]
    return {row[column]: row[name] for row in plain_rows(known(r)) if row[name] is not None}


def _label(value: Any, names: Mapping[Any, str], column: str) -> str:
    if value is None:
        return f"no {_word(column)}"
    name = names.get(value)
    if isinstance(value, datetime):
        return f"{value:%Y-%m-%d}" if marks() is None else day_name(value)
    if name is None or name.casefold() == str(value).casefold():
        return name or str(value)
    return f"{name} ({value})"


def _moments(start: datetime, period: str) -> dict[str, str]:
    end = period_start(start, period, 1)
    middle = start + (end - start) / 2
    return {"start": _utc(start), "middle": _utc(middle), "end": _utc(end)} | {
        "period": period_name(start, period)
    }


def _between(first: datetime, last: datetime, period: str) -> list[datetime]:
    """List where periods begin, from one to another."""
    starts = [first]
    while starts[-1] < last:
        starts.append(period_start(starts[-1], period, 1))
    return starts


def _start(row: Mapping[str, Any]) -> datetime:
    return datetime.fromisoformat(row["start"]).replace(tzinfo=None)


def _utc(moment: datetime) -> str:
    """Write a wall-clock moment as one of UTC: charts then show it as it is, in any time zone."""
    return f"{moment.isoformat(timespec='seconds')}Z"  # strftime writes year 1 as "1" on some


def _epoch(moment: str) -> int:
    """Return a moment as charts count it: milliseconds since 1970."""
    return int(datetime.fromisoformat(moment).timestamp() * 1000)


def _drawable(row: dict[str, Any]) -> dict[str, Any]:
    return {
        name: _utc(value) if isinstance(value, datetime) else value for name, value in row.items()
    }


def time_axis(groups: Groups, field: str, title: str) -> alt.X:
    """Return the axis of periods, with a tick in the middle of some, and at the Monday of weeks."""
    moments = sorted({(row["start"], row["middle"], row["end"]) for row in groups.rows})
    axis = alt.Axis(
        title=title,
        format=_axis_format(groups.period or "month"),
        grid=False,
        labelOverlap="greedy",
        values=[
            start if groups.period == "week" else middle
            for start, middle, _ in moments[:: len(moments) // _TICKS + 1]
        ],
    )
    scale = alt.Scale(type="utc")
    if moments and field == "middle":  # bars make the room that points would lack
        scale = alt.Scale(type="utc", domain=[_epoch(moments[0][0]), _epoch(moments[-1][2])])
    return alt.X(f"{field}:T", scale=scale, axis=axis)


def _axis_format(period: str) -> str:
    given = day_format() if period in ("day", "week") else None
    return given or _AXIS_FORMATS[period]


def faded(over: float = 1) -> Any:
    """Return the opacity of marks, which is less for a period that is not over."""
    return alt.when(alt.datum.over).then(alt.value(over)).otherwise(alt.value(over * _FADED))


def by_words(columns: Sequence[str]) -> str:
    """Return what a metric is grouped by, as the end of a title.

    >>> by_words(["program_id", "custom:channel"]), by_words([])
    (' by program and channel', '')
    """
    return f" by {' and '.join(map(_word, columns))}" if columns else ""


def _word(column: str) -> str:
    for end in ("_id", "_code", "_key"):
        column = column.removesuffix(end)
    return shortened(column.removeprefix("custom:").replace("_", " "))
