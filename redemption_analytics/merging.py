"""Merging: what was seen more than once becomes one row.

Exports overlap and repeat. Tables come in here in the order of the exports' times, so of two
occurrences the later row is the newer; everything else follows from that.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc

from redemption_analytics.flatten import PARENT, PARENTS, Tables, agreement

Rows = npt.NDArray[np.int64]


@dataclass(frozen=True)
class Finding:
    """Something that only the loader can see, for :func:`redemption_analytics.audit`."""

    check: str
    count: int
    example: str | None


@dataclass(frozen=True)
class Merged:
    """Tables without repetition, how many rows of each kind went into others, and findings."""

    tables: Tables
    merged: Counter[str]
    findings: list[Finding]


def gather(parts: Iterable[Tables]) -> Tables:
    """Put the tables of many blocks together, and let children count their parents through."""
    parts = list(parts)
    together = {}
    for name in parts[0]:
        tables = [part[name] for part in parts]
        parent = PARENTS.get(name)
        if parent:
            starts = np.cumsum([0] + [part[parent].num_rows for part in parts])
            tables = [
                _shifted(table, int(start))
                for table, start in zip(tables, starts[:-1], strict=True)
            ]
        together[name] = pa.concat_tables(tables)
    return together


def _shifted(table: pa.Table, start: int) -> pa.Table:
    place = table.schema.get_field_index(PARENT)
    return table.set_column(place, PARENT, pc.add(table[PARENT], start))


def merge(tables: Tables) -> Merged:
    """Merge gathered tables.

    A redemption is one row, its fields and breakups those of its newest occurrence, its reversals
    those of all of them; so is a customer, a coupon, and a reversal.
    """
    points = _with_editions_united(tables["points"])
    keys = points["redemption_key"]
    kept = _Kept(keys)
    coupons = _Kept(tables["coupons"]["redemption_key"])
    customers = _Kept(tables["customers"]["customer_key"])
    reversals = _Kept(tables["reversals"]["reversal_id"])
    united = {
        "responses": tables["responses"],
        "customers": customers.of(tables["customers"]),
        "coupons": coupons.of(tables["coupons"]),
        "points": kept.of(points.drop_columns(["_rank"])),
        "program_breakups": _shares(
            kept.children_of(tables["program_breakups"], "redemption_key"), "points_redeemed"
        ),
        "reversals": reversals.of(_named(tables["reversals"], "redemption_key", keys)),
        "reversal_breakups": _shares(
            reversals.children_of(tables["reversal_breakups"], "reversal_id"), "points_reversed"
        ),
        "source_breakups": kept.children_of(tables["source_breakups"], "redemption_key"),
        "custom_fields": _custom_fields(
            kept.children_of(tables["point_fields"], "redemption_key"),
            coupons.children_of(tables["coupon_fields"], "redemption_key"),
        ),
    }
    seen = {name: table.num_rows for name, table in tables.items()}
    seen["custom_fields"] = seen.pop("point_fields") + seen.pop("coupon_fields")
    merged = Counter({name: seen[name] - table.num_rows for name, table in united.items()})
    findings = [
        _vanished(tables["reversals"], kept, reversals),
        _conflicting(points, kept),
    ]
    return Merged(united, merged, findings)


class _Kept:
    """Which rows of a table stay, when of those with equal keys only the last one does."""

    def __init__(self, keys: pa.ChunkedArray):
        self.keys = keys
        codes = keys.combine_chunks().dictionary_encode()
        self.codes: Rows = codes.indices.to_numpy().astype(np.int64)
        self.last = np.zeros(len(codes.dictionary), np.int64)
        # Of several assignments to one place numpy keeps the last.
        self.last[self.codes] = np.arange(len(self.codes))
        self.rows: Rows = np.sort(self.last)
        self.all = len(self.rows) == len(self.codes)

    def of(self, table: pa.Table) -> pa.Table:
        return table if self.all else table.take(pa.array(self.rows))

    def stays(self) -> npt.NDArray[np.bool_]:
        stays = np.zeros(len(self.codes), bool)
        stays[self.rows] = True
        return stays

    def children_of(self, table: pa.Table, key: str) -> pa.Table:
        """Give the children of the rows that stay, with their parent's key."""
        if not self.all:
            table = table.filter(pa.array(self.stays()[table[PARENT].to_numpy()]))
        return _named(table, key, self.keys)


def _named(table: pa.Table, key: str, keys: pa.ChunkedArray) -> pa.Table:
    """Put the parent's key in place of its position."""
    return table.append_column(key, keys.combine_chunks().take(table[PARENT])).drop_columns(
        [PARENT]
    )


def _shares(table: pa.Table, amount: str) -> pa.Table:
    """Add up the shares of a program that a breakup names more than once."""
    keys = [name for name in table.column_names if name not in (amount, "program_name")]
    codes = [table[name].combine_chunks().dictionary_encode("encode").indices for name in keys]
    pairs = pd.MultiIndex.from_arrays([code.to_numpy(zero_copy_only=False) for code in codes])
    if not pairs.has_duplicates:
        return table
    grouped = table.group_by(keys, use_threads=False).aggregate(
        [(amount, "sum"), ("program_name", "last")]
    )
    sums = grouped[f"{amount}_sum"]
    if pa.types.is_floating(sums.type):
        sums = pc.round(sums, 3)
    return (
        grouped.drop_columns([f"{amount}_sum"])
        .append_column(amount, sums)
        .rename_columns({"program_name_last": "program_name"})
    )


def _custom_fields(of_points: pa.Table, of_coupons: pa.Table) -> pa.Table:
    parts = [
        table.append_column("redemption_type", pa.repeat(pa.scalar(kind), table.num_rows))
        for kind, table in (("points", of_points), ("coupon", of_coupons))
    ]
    fields = pa.concat_tables(parts)
    names = pc.binary_join_element_wise(
        fields["redemption_type"], fields["redemption_key"], fields["name"], "\x1f"
    )
    return _Kept(names).of(fields)


def _with_editions_united(points: pa.Table) -> pa.Table:
    """Give redemptions of the editions without redemption_id the id that a newer edition shows.

    An old one is a new one if they agree in customer, time, transaction and points, and there is
    exactly one redemption_id that agrees. Where an answer holds several equal old ones, they are
    different redemptions: then they are taken in order, if there are as many ids as old ones.
    """
    is_new = pc.is_valid(points["redemption_id"])
    old = pc.indices_nonzero(pc.invert(is_new))
    new = pc.indices_nonzero(is_new)
    if not len(old) or not len(new):
        return points
    agree = agreement({name: points[name] for name in points.column_names})
    codes = agree.combine_chunks().dictionary_encode().indices.to_numpy()
    ids = (
        pd.DataFrame({"agree": codes[new], "id": points["redemption_id"].take(new).to_pylist()})
        .drop_duplicates()
        .sort_values(["agree", "id"], kind="stable")
    )
    ids["rank"] = ids.groupby("agree").cumcount() + 1
    ids["ids"] = ids.groupby("agree")["id"].transform("size")
    rows = pd.DataFrame(
        {
            "row": old.to_numpy(),
            "agree": codes[old],
            "key": points["redemption_key"].take(old).to_pylist(),
            "rank": points["_rank"].take(old).to_numpy(),
        }
    )
    rows = rows[rows["agree"].isin(ids["agree"])]
    rows["rank"] = rows.groupby("key")["rank"].transform("min")
    rows["equals"] = rows.groupby("agree")["rank"].transform("nunique")
    same = rows.merge(ids, on=["agree", "rank"])
    same = same[(same["ids"] == 1) | (same["ids"] == same["equals"])]
    if same.empty:
        return points
    found: npt.NDArray[Any] = np.full(points.num_rows, None, object)
    found[same["row"].to_numpy()] = same["id"].to_numpy()
    redemption_ids = pa.array(found, pa.string())
    for name in ("redemption_key", "redemption_id"):
        place = points.schema.get_field_index(name)
        points = points.set_column(place, name, pc.coalesce(redemption_ids, points[name]))
    return points


def _vanished(reversals: pa.Table, points: _Kept, kept: _Kept) -> Finding:
    """Find reversals that the newest export of their redemption does not show any more."""
    newest = kept.of(reversals)
    shown = points.stays()[newest[PARENT].to_numpy()]
    gone = newest.filter(pa.array(~shown))
    example = None
    if gone.num_rows:
        key = points.keys[gone[PARENT][0].as_py()]
        example = f"reversal {gone['reversal_id'][0]} of redemption {key}"
    return Finding("vanished_reversals", gone.num_rows, example)


def _conflicting(points: pa.Table, kept: _Kept) -> Finding:
    """Find redemption_ids that came with more than one customer."""
    if kept.all:
        return Finding("conflicting_customer", 0, None)
    customers = points["customer_key"].combine_chunks()
    named = pc.is_valid(customers).to_numpy(zero_copy_only=False)
    codes = customers.dictionary_encode("encode").indices.to_numpy()
    pairs = np.unique(np.column_stack([kept.codes[named], codes[named]]), axis=0)
    keys, counts = np.unique(pairs[:, 0], return_counts=True)
    several = keys[counts > 1]
    example = f"redemption {kept.keys[int(kept.last[several].min())]}" if len(several) else None
    return Finding("conflicting_customer", len(several), example)
