"""The contract as the native reader takes it: tables, columns and objects, numbered, in bytes."""

from __future__ import annotations

import struct
from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from functools import cache, cached_property

from redemption_analytics.contract import (
    ANSWER,
    CUSTOMER,
    EPOCH_TIMES,
    RESPONSE,
    TELLING,
    ZERO_DATES,
    Kind,
    Many,
    PointsType,
    Shape,
)

#: The root of an answer: the field of a record that holds it.
ROOT = "response"

#: A list that some answers wrap once more: the wrapper, and the list in it.
WRAPPED = {"customers": "customer"}

#: Fields of which one has to be an object where an answer is of nobody.
_SOMEBODY = ("status", "customer")

#: The table of the answers themselves; the others are called by their element.
ANSWERS = "answers"

_KINDS = (Kind.TEXT, Kind.INTEGER, Kind.POINTS, Kind.AMOUNT, Kind.TIME, Kind.BOOLEAN)
_VALUE, _OBJECT, _LIST, _UNUSED, _WRAPPER = range(5)
_NONE = 0xFFFFFFFF


@dataclass
class Table:
    """A table that the reader fills: of one list, wherever that stands.

    Attributes
    ----------
    name
        How it is called.
    element
        The kind of element that a row is, as the ledger counts it.
    parent
        The number of the table that its rows hang below; None for the answers.
    columns
        Names and kinds of its columns; the names of objects within an element go before theirs.
    end
        The number of the table after the last that hangs below it.
    """

    name: str
    element: str
    parent: int | None
    columns: list[tuple[str, Kind]] = field(default_factory=list)
    end: int = 0


@dataclass
class Place:
    """An object at one place of an answer.

    Attributes
    ----------
    path
        The way to it, without positions.
    shape
        What it holds.
    table
        The number of the table that it becomes a row of, or a part of one.
    fields
        What the reader is told of its fields: name, sort, kind, what it leads to, and where it is
        told that a list was there.
    groups
        Columns of which one has to be there.
    """

    path: str
    shape: Shape
    table: int
    fields: list[tuple[str, int, int, int, int]] = field(default_factory=list)
    groups: list[int] = field(default_factory=list)


class Declaration:
    """The contract, its tables and objects numbered."""

    def __init__(self) -> None:
        self.tables: list[Table] = []
        self.places: list[Place] = []
        self._names = _list_names()
        self._place(ANSWER, "$", 0, "", None)

    def _place(self, shape: Shape, path: str, table: int, prefix: str, parent: int | None) -> int:
        """Assign numbers to an object and all that it holds."""
        number = len(self.places)
        place = Place(path, shape, table)
        self.places.append(place)
        if shape is RESPONSE:
            self.root = number
        if not self.tables:
            self.tables.append(Table(ANSWERS, RESPONSE.element, None))
        columns = self.tables[table].columns
        for name, node in shape.fields.items():
            inner = f"{path}.{name}"
            if isinstance(node, Kind):
                place.fields.append((name, _VALUE, _KINDS.index(node), len(columns), _NONE))
                columns.append((prefix + name, node))
            elif isinstance(node, Many):
                into = len(self.tables)
                self.tables.append(Table(self._names[inner], node.shape.element, table))
                item = self._place(node.shape, inner, into, "", table)
                self.tables[into].end = len(self.tables)
                told = _NONE
                if node.told:
                    told = len(columns)
                    columns.append((prefix + name, Kind.BOOLEAN))
                place.fields.append((name, _LIST, 0, item, told))
            else:
                within = "" if shape is ANSWER else f"{prefix}{name}_"
                item = self._place(node, inner, table, within, parent)
                place.fields.append((name, _OBJECT, 0, item, _NONE))
        for name in sorted(shape.unused):
            if shape is RESPONSE and name in WRAPPED:
                names = [known for known, *_ in place.fields]
                place.fields.append((name, _WRAPPER, 0, names.index(WRAPPED[name]), _NONE))
            else:
                place.fields.append((name, _UNUSED, 0, 0, _NONE))
        known = {name: number for number, (name, _) in enumerate(columns)}
        for group in shape.required:
            place.groups.append(sum(1 << known[prefix + name] for name in group))
        self.tables[0].end = len(self.tables)
        return number

    def column(self, table: int, name: str) -> int:
        """Return the number of a column."""
        return [known for known, _ in self.tables[table].columns].index(name)

    @cached_property
    def elements(self) -> list[str]:
        """The kind of element that each table's rows are."""
        return [table.element for table in self.tables]

    def missing(self, parameter: int) -> tuple[str, ...]:
        """Return the fields of which one has to be there, by the reader's number for them."""
        return self.places[parameter >> 8].shape.required[parameter & 255]

    def encoded(self, points: PointsType, *, offsets: bool) -> bytes:
        """Write the declaration as the reader takes it."""
        words: list[int] = []
        blob = bytearray()

        def name(text: str) -> tuple[int, int]:
            data = text.encode()
            blob.extend(data)
            return len(blob) - len(data), len(data)

        root = self.places[self.root]
        failed = self.column(0, "status_success")
        somebody = _bits(_SOMEBODY, of=root)
        for table in self.tables:
            above = _NONE if table.parent is None else table.parent
            words += [above, table.end, len(table.columns)]
        for table in self.tables:
            for column, kind in table.columns:
                words += [_KINDS.index(kind), *name(column)]
        for place in self.places:
            telling, unless = 0, _NONE
            if place.shape is CUSTOMER:
                telling = _bits(TELLING, of=place)
                unless = self.column(place.table, "item_status_success")
            ranks = _NONE if not place.shape.ranks else self.column(place.table, place.shape.ranks)
            words += [place.table, len(place.fields), len(place.groups), *_halves(telling), unless]
            words.append(ranks)
        for place in self.places:
            for field_name, *numbers in place.fields:
                words += [*name(field_name), *numbers]
        for place in self.places:
            for group in place.groups:
                words += _halves(group)
        dates = [name(date) for date in ZERO_DATES]
        head = [
            len(self.tables),
            len(self.places),
            sum(len(place.fields) for place in self.places),
            sum(len(place.groups) for place in self.places),
            sum(len(table.columns) for table in self.tables),
            len(blob),
            [known for known, *_ in self.places[0].fields].index(ROOT),
            self.root,
            failed,
            *_halves(somebody),
            int(points == "decimal"),
            int(offsets),
            *(half for time in EPOCH_TIMES for half in _halves(_microseconds(time))),
            len(dates),
            *(word for date in dates for word in date),
        ]
        return struct.pack(f"<{len(head) + len(words)}I", *head, *words) + bytes(blob)


def _halves(word: int) -> list[int]:
    return [word & 0xFFFFFFFF, word >> 32 & 0xFFFFFFFF]


def _microseconds(time: datetime) -> int:
    return (time - datetime(1970, 1, 1)) // timedelta(microseconds=1)


def _bits(names: Iterable[str], *, of: Place) -> int:
    known = [name for name, *_ in of.fields]
    return sum(1 << known.index(name) for name in names)


def _list_names() -> dict[str, str]:
    """Name the table of each list by its path: by its element, or its place if several share it."""
    found = list(_lists(ANSWER, "$"))
    shared = Counter(shape.element for _, shape in found)
    return {
        path: shape.element
        if shared[shape.element] == 1
        else f"{path.split('.')[-3]}_{path.split('.')[-1]}s"
        for path, shape in found
    }


def _lists(shape: Shape, path: str) -> Iterator[tuple[str, Shape]]:
    for name, node in shape.nested:
        inner = node.shape if isinstance(node, Many) else node
        if isinstance(node, Many):
            yield f"{path}.{name}", inner
        yield from _lists(inner, f"{path}.{name}")


@cache
def declaration() -> Declaration:
    """Return the contract's declaration."""
    return Declaration()


@cache
def encoded_declaration(points: PointsType, *, offsets: bool) -> bytes:
    """Return the contract's declaration as the reader takes it."""
    return declaration().encoded(points, offsets=offsets)
