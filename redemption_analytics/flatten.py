"""Flattening: nested answers in Arrow to tables, without a Python object per row."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from redemption_analytics.contract import IDENTITIES
from redemption_analytics.elements import Elements
from redemption_analytics.flattening.columns import (
    DoesNotFit,
    booleans_of,
    field_of,
    floats_of,
    integers_of,
    lengths,
    texts_of,
)
from redemption_analytics.flattening.keys import redemption_keys

#: Column that names the row of the parent table, by position; it never leaves the library.
PARENT = "_parent"

#: Column of redemptions that names the row of ``responses`` which told them, likewise.
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

Tables = dict[str, pa.Table]
Pseudonym = Callable[[pa.Array], pa.Array]


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

    def tables(
        self, answers: pa.StructArray, records: np.ndarray[Any, Any]
    ) -> tuple[Tables, list[tuple[str, int]]]:
        """Flatten answers.

        Parameters
        ----------
        answers
            The column ``response``, in any dialect.
        records
            The number of each answer's record in its file, from 1.

        Returns
        -------
        dict of str to pyarrow.Table
            Tables by name, still with ``_parent`` columns in place of their parents' keys, and
            without ``source`` and ``exported_at``.
        list of tuple of str and int
            Times that are the zero of Unix, and so were taken for none: the field and the record
            of each.

        Raises
        ------
        DoesNotFit
            If a value is not allowed where it stands; conforming tells which.
        """
        status, customers, rows = _customers(answers)
        try:
            return self._tables(status, customers, rows, records)
        except DoesNotFit as unfit:
            raise DoesNotFit(np.unique(rows[0][list(unfit.rows)]).tolist()) from None

    def _tables(
        self,
        status: pa.StructArray,
        customers: pa.StructArray,
        rows: tuple[Any, Any],
        records: np.ndarray[Any, Any],
    ) -> tuple[Tables, list[tuple[str, int]]]:
        identities = self._identities(customers)
        responses = self._responses(status, customers, rows, records)
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
        coupons = Elements(field_of(customers, "redemptions", "coupons", "coupon"))
        points = Elements(field_of(customers, "redemptions", "points", "point"))
        tables = {
            "responses": responses,
            "customers": self._customers(customers, keys, identities).filter(
                pc.and_(known, pc.is_valid(keys))
            ),
            "coupons": _coupons(coupons, keys),
            "points": self._points(points, keys),
            "program_breakups": _program_breakups(points),
            "source_breakups": _source_breakups(points),
            "point_fields": self._custom_fields(points),
            "coupon_fields": self._custom_fields(coupons),
        }
        reversals = points.children("reversals")
        tables["reversals"] = _reversals(reversals)
        tables["reversal_breakups"] = _reversal_breakups(reversals)
        epochs = [
            (name, int(record))
            for name, elements in points.epochs + coupons.epochs
            for record in records[rows[0]][elements.to_numpy()]
        ]
        return tables, epochs

    def _responses(
        self,
        status: pa.StructArray,
        customers: pa.StructArray,
        rows: tuple[Any, Any],
        records: np.ndarray[Any, Any],
    ) -> pa.Table:
        parents, positions = rows
        item = field_of(customers, "item_status")
        coupon_list = field_of(customers, "redemptions", "coupons", "coupon")
        point_list = field_of(customers, "redemptions", "points", "point")
        coupons_counted, points_counted = _counted(customers, coupon_list, point_list)
        item_success = booleans_of(field_of(item, "success"))
        success = pc.coalesce(item_success, booleans_of(field_of(status, "success")), True)
        return pa.table(
            {
                "record": pa.array(records[parents]),
                "position": pa.array(positions),
                "success": success,
                "status_code": pc.coalesce(
                    integers_of(field_of(item, "code")), integers_of(field_of(status, "code"))
                ),
                # That somebody is not known is said with the identity that was asked for.
                "message": self._personal(
                    pc.coalesce(
                        texts_of(field_of(item, "message")), texts_of(field_of(status, "message"))
                    )
                ),
                "rows": integers_of(field_of(customers, "rows")),
                "coupons_count": coupons_counted,
                "points_count": points_counted,
                "coupons_loaded": lengths(coupon_list),
                "points_loaded": lengths(point_list),
            }
        )

    def _identities(self, customers: pa.StructArray) -> list[pa.Array]:
        """Give what may name customers, as keys are written."""
        named = [
            pc.binary_join_element_wise(name, texts_of(field_of(customers, name)), ":")
            for name in self.identities
        ]
        return [self.pseudonym(keys) for keys in named] if self.pseudonym else named

    def _customers(
        self, customers: pa.StructArray, keys: pa.Array, identities: list[pa.Array]
    ) -> pa.Table:
        names = (*IDENTITIES, "firstname", "lastname")
        columns = {"customer_key": keys} | {
            name: self._personal(texts_of(field_of(customers, name))) for name in names
        }
        if self.pseudonym:
            # What customers are united by, where it must not be seen.
            columns |= dict(zip((f"_{name}" for name in self.identities), identities, strict=True))
        return pa.table(columns)

    def _personal(self, texts: pa.Array) -> pa.Array:
        return texts if self.pseudonym is None else pa.nulls(len(texts), pa.string())

    def _points(self, points: Elements, customer_keys: pa.Array) -> pa.Table:
        ids = points.integers("id")
        redemption_ids = points.texts("redemption_id")
        points.demand(pc.or_(pc.is_valid(ids), pc.is_valid(redemption_ids)))
        columns = {
            "customer_key": customer_keys.take(points.parents),
            "id": ids,
            "redemption_id": redemption_ids,
            "program_id": points.integers("program_id"),
            "points_redeemed": points.points("points_redeemed"),
            "transaction_number": points.texts("transaction_number"),
            "bill_id": points.bills(),
            "validation_code": points.texts("validation_code"),
            "redeemed_time": points.times("redeemed_time"),
            "redeemed_at": points.texts("redeemed_at"),
            "redemption_purpose": points.texts("redemption_purpose"),
            "notes": self._personal(points.texts("notes")),
            "external_reference_number": points.texts("external_reference_number"),
            **points.places(),
        }
        keys, ranks = redemption_keys(columns, points.parents)
        hidden = {"_rank": ranks, ANSWER: points.parents}
        return pa.table({"redemption_key": keys, **columns, **hidden})

    def _custom_fields(self, elements: Elements) -> pa.Table:
        fields = elements.children("custom_fields", "field")
        names = fields.texts("name")
        fields.demand(pc.is_valid(names))
        values = fields.texts("value")
        if self.pseudonym is not None:
            kept = pc.is_in(names, pa.array(self.kept_fields, pa.string()))
            values = pc.if_else(kept, values, pa.scalar(None, pa.string()))
        return pa.table({PARENT: fields.parents, "name": names, "value": values})


def _customers(
    answers: pa.StructArray,
) -> tuple[pa.StructArray, pa.StructArray, tuple[Any, Any]]:
    """Give status and customer row by row, and each row's answer and position in it.

    An answer without a customer, as failed ones are, is one row too.
    """
    status = field_of(answers, "status")
    customers = field_of(answers, "customer")
    count = len(answers)
    if pa.types.is_struct(customers.type):
        return status, customers, (np.arange(count), np.ones(count, np.int64))
    parents = pc.list_parent_indices(customers).to_numpy()
    flat = pc.list_flatten(customers)
    missing = np.setdiff1d(np.arange(count), parents, assume_unique=False)
    order = np.argsort(np.concatenate([parents, missing]), kind="stable")
    rows = np.concatenate([parents, missing])[order]
    taken = pa.array(
        np.concatenate([np.arange(len(flat)), np.zeros(len(missing), np.int64)])[order],
        mask=(order >= len(flat)),
    )
    first = np.searchsorted(rows, rows)
    return status.take(pa.array(rows)), flat.take(taken), (rows, np.arange(len(rows)) - first + 1)


def _counted(
    customers: pa.StructArray, coupons: pa.ListArray, points: pa.ListArray
) -> tuple[pa.Array, pa.Array]:
    """Give how many coupon and points redemptions a customer is said to have in all.

    Answers that were asked for one kind only may say ``count``. It is of the kind of which there
    are any here; where there are of none, of the kind whose list is here; else of neither.
    """
    count = integers_of(field_of(customers, "count"))
    said = [integers_of(field_of(customers, f"{kind}_count")) for kind in ("coupons", "points")]
    if count.null_count == len(count):
        return said[0], said[1]
    some = [pc.greater(lengths(lists), 0) for lists in (coupons, points)]
    told = [pc.is_valid(lists) for lists in (coupons, points)]
    none = pc.invert(pc.or_(*some))
    meant = [
        pc.or_(
            pc.and_not(some[own], some[other]),
            pc.and_(none, pc.and_not(told[own], told[other])),
        )
        for own, other in ((0, 1), (1, 0))
    ]
    nothing = pa.scalar(None, pa.int64())
    coalesced = [
        pc.coalesce(number, pc.if_else(own, count, nothing))
        for number, own in zip(said, meant, strict=True)
    ]
    return coalesced[0], coalesced[1]


def _coupons(coupons: Elements, customer_keys: pa.Array) -> pa.Table:
    ids = coupons.integers("id")
    coupons.demand(pc.is_valid(ids))
    return pa.table(
        {
            "redemption_key": ids.cast(pa.string()),
            "customer_key": customer_keys.take(coupons.parents),
            "id": ids,
            "code": coupons.texts("code"),
            "series_id": coupons.integers("series_id"),
            "description": coupons.texts("description"),
            "discount_code": coupons.texts("discount_code"),
            "discount_type": coupons.texts("discount_type"),
            "discount_value": floats_of(field_of(coupons.structs, "discount_value")),
            "transaction_number": coupons.texts("transaction_number"),
            "bill_id": coupons.bills(),
            "redeemed_time": coupons.times("redeemed_time"),
            "redeemed_at": coupons.texts("redeemed_at"),
            **coupons.places(),
            ANSWER: coupons.parents,
        }
    )


def _program_breakups(points: Elements) -> pa.Table:
    shares = points.children("redemption_breakup_by_program")
    return pa.table(
        {
            PARENT: shares.parents,
            "program_id": shares.integers("program_id"),
            "program_name": shares.texts("program_name"),
            "points_redeemed": shares.points("points_redeemed"),
        }
    )


def _source_breakups(points: Elements) -> pa.Table:
    batches = points.children("redemption_breakup_by_source")
    starts = batches.parents.to_numpy()
    position = np.arange(len(starts)) - np.searchsorted(starts, starts) + 1
    return pa.table(
        {
            PARENT: batches.parents,
            "position": pa.array(position, pa.int64()),
            "source_store_code": batches.texts("source_store", "code"),
            "source_store_name": batches.texts("source_store", "name"),
            "points_consumed": batches.points("points_consumed"),
            "awarding_date": batches.times("awarding_date"),
        }
    )


def _reversals(reversals: Elements) -> pa.Table:
    ids = reversals.integers("reversal_id")
    reversals.demand(pc.is_valid(ids))
    return pa.table(
        {
            PARENT: reversals.parents,
            "reversal_id": ids,
            "points_reversed": reversals.points("points_reversed"),
            "reversal_time": reversals.times("reversal_time"),
            "reversed_on_till_id": reversals.integers("reversed_on_till_id"),
        }
    )


def _reversal_breakups(reversals: Elements) -> pa.Table:
    shares = reversals.children("reversal_breakup_by_program")
    return pa.table(
        {
            PARENT: shares.parents,
            "program_id": shares.integers("program_id"),
            "program_name": shares.texts("program_name"),
            "points_reversed": shares.points("points_reversed"),
        }
    )
