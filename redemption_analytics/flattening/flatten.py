"""The columns that the reader gives as ten tables, without a Python object for any row."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from redemption_analytics.contract import EPOCH_TIMES, IDENTITIES, NO_BILLS
from redemption_analytics.flattening.keys import redemption_keys
from redemption_analytics.privacy import Pseudonym

#: Column that names the row of the parent table, by position; it never leaves the library.
PARENT = "_parent"

#: Column of customers and redemptions that names the row of ``responses`` which told them, too.
ANSWER = "_answer"

#: The table whose rows a child's ``_parent`` counts.
PARENTS = {
    "program_breakups": "points",
    "reversals": "points",
    "source_breakups": "points",
    "point_fields": "points",
    "coupon_fields": "coupons",
    "reversal_breakups": "reversals",
}

#: Columns in which identities stand as pseudonyms, to unite customers by.
HIDDEN = {name: f"_{name}" for name in IDENTITIES}

Tables = dict[str, pa.Table]

_NO_NUMBER = pa.scalar(None, pa.int64())


@dataclass(frozen=True)
class Epochs:
    """Times of a field that are the zero of Unix: how many, and the first record with one."""

    name: str
    count: int
    first: int


@dataclass(frozen=True)
class Flattening:
    """How answers become tables.

    Attributes
    ----------
    identities
        Which identities name a customer, the first present wins.
    only_first
        Whether in the end the first of them alone names customers: the others only help to find it.
    pseudonym
        Replaces customer keys, where personal data must not stay; it then goes from all columns.
    kept_fields
        Names of custom fields whose values stay even so.
    """

    identities: Sequence[str] = IDENTITIES
    only_first: bool = False
    pseudonym: Pseudonym | None = None
    kept_fields: Sequence[str] = ()

    def tables(self, read: Mapping[str, pa.RecordBatch]) -> tuple[Tables, list[Epochs]]:
        """Flatten what was read.

        Parameters
        ----------
        read
            Columns of each list of the contract, as the native reader gives them.

        Returns
        -------
        dict of str to pyarrow.Table
            Tables by name, still with ``_parent`` columns in place of their parents' keys, and
            without ``source`` and ``exported_at``.
        list of Epochs
            Times that are the zero of Unix, and so were taken for none.
        """
        answers = _Answers(read["answers"], read["responses"])
        identities = self._identities(answers)
        responses = self._responses(answers, read)
        # A failed answer may name someone whom the organisation does not know.
        known = pc.or_(
            responses["success"],
            pc.greater(pc.add(responses["coupons_loaded"], responses["points_loaded"]), 0),
        )
        keys = pc.coalesce(*identities)
        if self.only_first:
            keys = pc.if_else(known, keys, identities[0])
        keys = keys.combine_chunks() if isinstance(keys, pa.ChunkedArray) else keys
        responses = responses.append_column("customer_key", keys)
        points = _List(read["points"], answers)
        coupons = _List(read["coupons"], answers)
        reversals = _List(read["reversals"], points)
        sources = _List(read["source_breakups"], points)
        tables = {
            "responses": responses,
            "customers": self._customers(answers, keys, identities).filter(
                pc.and_(known, pc.is_valid(keys))
            ),
            "coupons": _coupons(coupons, keys),
            "points": self._points(points, keys),
            "program_breakups": _children(read["program_breakups"]),
            "source_breakups": _source_breakups(sources),
            "point_fields": self._custom_fields(read["point_fields"]),
            "coupon_fields": self._custom_fields(read["coupon_fields"]),
            "reversals": _reversals(reversals),
            "reversal_breakups": _children(read["reversal_breakups"]),
        }
        lists = (points, coupons, reversals, sources)
        return tables, [epoch for one in lists for epoch in one.epochs]

    def _responses(self, answers: _Answers, read: Mapping[str, pa.RecordBatch]) -> pa.Table:
        loaded = {
            kind: pa.array(
                np.bincount(answers.rows_of(read[kind]["_parent"]), minlength=len(answers))
            )
            for kind in ("coupons", "points")
        }
        counted = _counted(answers, loaded)
        success = pc.coalesce(answers.told("item_status_success"), answers.status("success"), True)
        return pa.table(
            {
                "record": answers.records,
                "position": answers.positions,
                "success": success,
                "status_code": pc.coalesce(
                    answers.told("item_status_code"), answers.status("code")
                ),
                # That somebody is not known is said with the identity that was asked for.
                "message": self._personal(
                    pc.coalesce(answers.told("item_status_message"), answers.status("message"))
                ),
                "rows": answers.told("rows"),
                "coupons_count": counted["coupons"],
                "points_count": counted["points"],
                "coupons_loaded": loaded["coupons"],
                "points_loaded": loaded["points"],
            }
        )

    def _identities(self, answers: _Answers) -> list[pa.Array]:
        """Return what may name customers, as keys are written."""
        named = [
            pc.binary_join_element_wise(name, answers.told(name), ":") for name in self.identities
        ]
        return [self.pseudonym(keys) for keys in named] if self.pseudonym else named

    def _customers(self, answers: _Answers, keys: pa.Array, identities: list[pa.Array]) -> pa.Table:
        names = (*IDENTITIES, "firstname", "lastname")
        columns = {"customer_key": keys, ANSWER: pa.array(np.arange(len(keys)))} | {
            name: self._personal(answers.told(name)) for name in names
        }
        if self.pseudonym:
            # What customers are united by, where it must not be seen.
            columns |= dict(
                zip((HIDDEN[name] for name in self.identities), identities, strict=True)
            )
        return pa.table(columns)

    def _personal(self, texts: pa.Array) -> pa.Array:
        return texts if self.pseudonym is None else pa.nulls(len(texts), pa.string())

    def _points(self, points: _List, customer_keys: pa.Array) -> pa.Table:
        read = points.columns
        columns = {
            "customer_key": customer_keys.take(points.parents),
            # Beside a redemption_id it is but the rank within the answer, which changes.
            "id": pc.if_else(pc.is_null(read["redemption_id"]), read["id"], _NO_NUMBER),
            "redemption_id": read["redemption_id"],
            "program_id": read["program_id"],
            "points_redeemed": read["points_redeemed"],
            "transaction_number": read["transaction_number"],
            "bill_id": _bills(read["bill_id"]),
            "validation_code": read["validation_code"],
            "redeemed_time": points.times("redeemed_time"),
            "redeemed_at": read["redeemed_at"],
            "redemption_purpose": read["redemption_purpose"],
            "notes": self._personal(read["notes"]),
            "external_reference_number": read["external_reference_number"],
            **_places(read),
        }
        keys, ranks = redemption_keys(columns, points.parents)
        hidden = {"_rank": ranks, ANSWER: points.parents}
        return pa.table({"redemption_key": keys, **columns, **hidden})

    def _custom_fields(self, fields: pa.RecordBatch) -> pa.Table:
        values = fields["value"]
        if self.pseudonym is not None:
            kept = pc.is_in(fields["name"], pa.array(self.kept_fields, pa.string()))
            values = pc.if_else(kept, values, pa.scalar(None, pa.string()))
        return pa.table({PARENT: fields["_parent"], "name": fields["name"], "value": values})


class _Answers:
    """Answers row by row, one for each customer; one without a customer, as failed ones are, too.

    Attributes
    ----------
    records, positions
        The record of each row, and its place among those of its answer, from 1.
    """

    def __init__(self, answers: pa.RecordBatch, customers: pa.RecordBatch):
        self._status = answers
        self._customers = customers
        of = customers["_parent"].to_numpy()
        nobody = np.ones(len(answers), bool)
        nobody[of] = False
        self._order: pa.Array | None = None
        self._places: np.ndarray[Any, Any] | None = None
        if nobody.any():
            rows = np.concatenate([of, np.flatnonzero(nobody)])
            order = np.argsort(rows, kind="stable")
            self._places = np.empty(len(order), np.int64)
            self._places[order] = np.arange(len(order))
            self._order = pa.array(order, mask=order >= len(of))
            of = rows[order]
        self._of = pa.array(of)
        self._alone = len(of) == len(answers)
        self.records = self._each(answers["_record"])
        self.positions = pa.array(np.arange(len(of)) - np.searchsorted(of, of) + 1)

    def __len__(self) -> int:
        return len(self._of)

    def _each(self, column: pa.Array) -> pa.Array:
        # Mostly each answer is of one customer.
        return column if self._alone else column.take(self._of)

    def status(self, name: str) -> pa.Array:
        """Return what the status of an answer tells."""
        return self._each(self._status[f"status_{name}"])

    def told(self, name: str) -> pa.Array:
        """Return what is told of a customer."""
        column = self._customers[name]
        return column if self._order is None else column.take(self._order)

    def rows_of(self, customers: pa.Int64Array) -> np.ndarray[Any, Any]:
        """Return the rows of some customers, by their numbers as they were read."""
        numbers: np.ndarray[Any, Any] = customers.to_numpy()
        return numbers if self._places is None else self._places[numbers]

    def records_of(self, rows: np.ndarray[Any, Any]) -> np.ndarray[Any, Any]:
        """Return the records of some rows."""
        found: np.ndarray[Any, Any] = self.records.take(pa.array(rows)).to_numpy()
        return found


class _List:
    """The elements of a list, each with the row that it belongs to.

    Attributes
    ----------
    columns
        What was read of them.
    parents
        The row of each one's parent.
    epochs
        Fields with times around the zero of Unix.
    """

    def __init__(self, columns: pa.RecordBatch, above: _Answers | _List):
        self.columns = columns
        self._above = above
        self.parents = pa.array(above.rows_of(columns["_parent"]))
        self.epochs: list[Epochs] = []

    def rows_of(self, elements: pa.Int64Array) -> np.ndarray[Any, Any]:
        """Return the rows of some elements: they are as they were read."""
        numbers: np.ndarray[Any, Any] = elements.to_numpy()
        return numbers

    def records_of(self, rows: np.ndarray[Any, Any]) -> np.ndarray[Any, Any]:
        """Return the records of some rows."""
        return self._above.records_of(self.parents.to_numpy()[rows])

    def times(self, name: str) -> pa.TimestampArray:
        """Read times; those around the zero of Unix are none, and noted."""
        times = self.columns[name]
        first, last = EPOCH_TIMES
        earliest = pc.min(times).as_py()
        if earliest is None or earliest > last:
            return times
        none = pc.and_(pc.greater_equal(times, first), pc.less_equal(times, last))
        rows = pc.indices_nonzero(none).to_numpy()
        if len(rows):
            self.epochs.append(Epochs(name, len(rows), int(self.records_of(rows).min())))
        return pc.if_else(none, pa.scalar(None, times.type), times)


def _counted(answers: _Answers, loaded: dict[str, pa.Array]) -> dict[str, pa.Array]:
    """Return how many coupon and points redemptions a customer is said to have in all.

    Answers that were asked for one kind only may say ``count``. It is of the kind of which there
    are any here; where there are of none, of the kind whose list is here; else of neither.
    """
    count = answers.told("count")
    said = {kind: answers.told(f"{kind}_count") for kind in loaded}
    if count.null_count == len(count):
        return said
    lists = {"coupons": "redemptions_coupons_coupon", "points": "redemptions_points_point"}
    some = {kind: pc.greater(loaded[kind], 0) for kind in loaded}
    told = {kind: pc.is_valid(answers.told(lists[kind])) for kind in loaded}
    none = pc.invert(pc.or_(*some.values()))
    for own, other in (("coupons", "points"), ("points", "coupons")):
        meant = pc.or_(
            pc.and_not(some[own], some[other]),
            pc.and_(none, pc.and_not(told[own], told[other])),
        )
        said[own] = pc.coalesce(said[own], pc.if_else(meant, count, _NO_NUMBER))
    return said


def _bills(bills: pa.Int64Array) -> pa.Int64Array:
    """Read numbers of bills, some of which mean that there is none."""
    none = pc.is_in(bills, pa.array(NO_BILLS, pa.int64()))
    return pc.if_else(none, _NO_NUMBER, bills)


def _places(read: pa.RecordBatch) -> dict[str, pa.StringArray]:
    """Return code and name of the store and the till."""
    return {
        f"{place}_{part}": read[f"redeemed_{place}_{part}"]
        for place in ("store", "till")
        for part in ("code", "name")
    }


def _coupons(coupons: _List, customer_keys: pa.Array) -> pa.Table:
    read = coupons.columns
    return pa.table(
        {
            "redemption_key": read["id"].cast(pa.string()),
            "customer_key": customer_keys.take(coupons.parents),
            "id": read["id"],
            "code": read["code"],
            "series_id": read["series_id"],
            "description": read["description"],
            "discount_code": read["discount_code"],
            "discount_type": read["discount_type"],
            "discount_value": read["discount_value"],
            "transaction_number": read["transaction_number"],
            "bill_id": _bills(read["bill_id"]),
            "redeemed_time": coupons.times("redeemed_time"),
            "redeemed_at": read["redeemed_at"],
            **_places(read),
            ANSWER: coupons.parents,
        }
    )


def _children(read: pa.RecordBatch) -> pa.Table:
    return pa.Table.from_batches([read])


def _source_breakups(batches: _List) -> pa.Table:
    read = batches.columns
    starts = batches.parents.to_numpy()
    position = np.arange(len(starts)) - np.searchsorted(starts, starts) + 1
    return pa.table(
        {
            PARENT: batches.parents,
            "position": pa.array(position, pa.int64()),
            "source_store_code": read["source_store_code"],
            "source_store_name": read["source_store_name"],
            "points_consumed": read["points_consumed"],
            "awarding_date": batches.times("awarding_date"),
        }
    )


def _reversals(reversals: _List) -> pa.Table:
    read = reversals.columns
    return pa.table(
        {
            PARENT: reversals.parents,
            "reversal_id": read["reversal_id"],
            "points_reversed": read["points_reversed"],
            "reversal_time": reversals.times("reversal_time"),
            "reversed_on_till_id": read["reversed_on_till_id"],
        }
    )
