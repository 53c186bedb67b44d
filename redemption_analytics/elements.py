"""Elements of a list column, end to end: their fields as the contract means them."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from datetime import date

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from redemption_analytics.contract import (
    EPOCH_TIMES,
    EXACT_POINTS,
    NO_BILLS,
    NO_TIMES,
    POINTS_LIMIT,
    ZERO_DATES,
)
from redemption_analytics.flattening.columns import (
    DoesNotFit,
    cast_to,
    demand,
    field_of,
    floats_of,
    integers_of,
    texts_of,
)

#: Arrow reads the year 0, which neither Python nor the calendar has.
_FIRST_YEAR = pa.scalar(np.datetime64("0001-01-01T00:00:00", "us"))

_ZERO_DAYS = pa.array(
    [date.fromisoformat(day) for day in ZERO_DATES if day > "0001"], pa.date32()
).cast(pa.timestamp("us"))


class Elements:
    """The elements of a list column, end to end, each with the row that it belongs to."""

    def __init__(self, lists: pa.ListArray, above: Elements | None = None):
        self.structs: pa.StructArray = pc.list_flatten(lists)
        self.parents: pa.Int64Array = pc.list_parent_indices(lists)
        #: Fields, and the rows of the list column, of times within a day of the zero of Unix.
        self.epochs: list[tuple[str, pa.Array]] = above.epochs if above else []
        self._above = above

    def children(self, *path: str) -> Elements:
        """Give the elements of a list that these hold."""
        return Elements(field_of(self.structs, *path), self)

    def demand(self, holds: pa.BooleanArray) -> None:
        """Refuse answers in which some element does not fit."""
        with self._naming_answers():
            demand(holds)

    @contextmanager
    def _naming_answers(self) -> Iterator[None]:
        """Let what refuses elements of this list name the answers that hold them."""
        try:
            yield
        except DoesNotFit as unfit:
            rows = self._rows_of(pa.array(unfit.rows, pa.int64()))
            raise DoesNotFit(rows.to_pylist()) from None

    def _rows_of(self, elements: pa.Array) -> pa.Array:
        """Give the rows of the outermost list column that hold some elements."""
        rows, at = self.parents.take(elements), self._above
        while at is not None:
            rows, at = at.parents.take(rows), at._above
        return rows

    def texts(self, *path: str) -> pa.StringArray:
        """Read texts; blank ones are none."""
        return texts_of(field_of(self.structs, *path))

    def integers(self, *path: str) -> pa.Int64Array:
        """Read whole numbers."""
        with self._naming_answers():
            return integers_of(field_of(self.structs, *path))

    def bills(self) -> pa.Int64Array:
        """Read numbers of bills, some of which mean that there is none."""
        bills = self.integers("bill_id")
        none = pc.is_in(bills, pa.array(NO_BILLS, pa.int64()))
        return pc.if_else(none, pa.scalar(None, pa.int64()), bills)

    def points(self, name: str) -> pa.Array:
        """Read points, which have to be there."""
        read = field_of(self.structs, name)
        whole = pa.types.is_integer(read.type) or (
            pa.types.is_decimal(read.type) and read.type.scale == 0
        )
        points = self.integers(name) if whole else floats_of(read)
        self.demand(pc.is_valid(points))
        self.demand(pc.greater_equal(points, 0))
        if not whole and pa.types.is_decimal(read.type):
            # Which of the larger ones a float holds, conforming tells.
            self.demand(pc.less(points, float(EXACT_POINTS)))
        self.demand(pc.less(points, pa.scalar(POINTS_LIMIT).cast(points.type, safe=False)))
        return points

    def times(self, name: str) -> pa.TimestampArray:
        """Read times, without zero dates of any maker."""
        read = field_of(self.structs, name)
        if pa.types.is_timestamp(read.type):
            return self._without_zeros(name, read)
        texts = texts_of(read)
        none = pc.is_in(texts, pa.array(NO_TIMES))
        written = pc.if_else(none, pa.scalar(None, pa.string()), texts)
        with self._naming_answers():
            times = cast_to(written, pa.timestamp("us"))
        self.demand(pc.greater_equal(times, _FIRST_YEAR))
        return self._without_zeros(name, times)

    def _without_zeros(self, name: str, times: pa.TimestampArray) -> pa.TimestampArray:
        """Make nulls of the zeros of other calendars and of Unix, and note the latter."""
        first, last = EPOCH_TIMES
        earliest = pc.min(times).as_py()
        if earliest is None or earliest > last:
            return times
        epochs = pc.and_(pc.greater_equal(times, first), pc.less_equal(times, last))
        self.epochs.append((name, self._rows_of(pc.indices_nonzero(epochs))))
        zeros = pc.is_in(pc.floor_temporal(times, unit="day"), _ZERO_DAYS)
        return pc.if_else(pc.or_(epochs, zeros), pa.scalar(None, times.type), times)

    def places(self) -> dict[str, pa.StringArray]:
        """Read code and name of the store and the till."""
        return {
            f"{place}_{part}": self.texts(f"redeemed_{place}", part)
            for place in ("store", "till")
            for part in ("code", "name")
        }
