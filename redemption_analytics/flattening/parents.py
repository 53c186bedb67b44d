"""What rows hang below: the keys of their parents, and what one redemption says twice, united."""

from __future__ import annotations

from collections import Counter

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from redemption_analytics.columns import key_of
from redemption_analytics.contract import DECIMAL_PLACES
from redemption_analytics.errors import FaultError
from redemption_analytics.flattening.flatten import PARENT, PARENTS, Tables
from redemption_analytics.parsing.digests import numbers_of
from redemption_analytics.tables.arrow import declared
from redemption_analytics.tables.parts import whole_of

#: Spreads numbers over all bits of a word, as Fibonacci hashing does.
_SPREAD = np.uint64(0x9E3779B97F4A7C15)


def settled(tables: Tables) -> tuple[Tables, Counter[str]]:
    """Name the parents of the rows of a block, and unite what one redemption says twice.

    Parameters
    ----------
    tables
        What flattening gave.

    Returns
    -------
    Tables
        The tables in the declared form, beside it columns for merging, such as ``_parent``.
        ``responses`` are as they were: where they came from is still to be added.
    Counter
        How many rows of each table went into others.
    """
    _check_customers(tables)
    named = {
        name: _named(table, key_of(PARENTS[name]), tables[PARENTS[name]])
        if name in PARENTS
        else table
        for name, table in tables.items()
    }
    named["program_breakups"] = _shares(named["program_breakups"], "points_redeemed")
    named["reversal_breakups"] = _shares(named["reversal_breakups"], "points_reversed")
    for name, kind in (("point_fields", "points"), ("coupon_fields", "coupon")):
        fields = _last_of_each_name(named[name])
        kinds = pa.repeat(pa.scalar(kind), fields.num_rows)
        named[name] = fields.append_column("redemption_type", kinds)
    merged = Counter({name: tables[name].num_rows - named[name].num_rows for name in tables})
    return {name: _in_form(name, table) for name, table in named.items()}, merged


def _in_form(name: str, table: pa.Table) -> pa.Table:
    """Put the columns of a table into the declared form; those for merging come last."""
    if name == "responses":
        return table
    final = declared(whole_of(name), table)
    for mark in table.column_names:
        if mark.startswith("_"):
            final = final.append_column(mark, table[mark])
    return final


def _named(table: pa.Table, key: str, parents: pa.Table) -> pa.Table:
    """Put the parent's key beside its position."""
    return table.append_column(key, parents[key].combine_chunks().take(table[PARENT]))


def _may_repeat(table: pa.Table, name: str) -> bool:
    """Check whether two children of one parent may have the same name; hardly ever in vain."""
    parents = table[PARENT].to_numpy().astype(np.uint64)
    both = np.sort(parents * _SPREAD + numbers_of(table[name]))
    return bool((both[1:] == both[:-1]).any())


def _shares(table: pa.Table, amount: str) -> pa.Table:
    """Add up the shares of a program that a breakup names more than once."""
    if not _may_repeat(table, "program_id"):
        return table
    keys = [name for name in table.column_names if name not in (amount, "program_name")]
    rows = table.append_column("_row", pa.array(np.arange(table.num_rows)))
    grouped = rows.group_by(keys, use_threads=False).aggregate(
        [(amount, "sum"), ("program_name", "last"), ("_row", "min")]
    )
    # Groups come in any order.
    grouped = grouped.sort_by("_row_min").drop_columns(["_row_min"])
    sums = grouped[f"{amount}_sum"]
    if pa.types.is_floating(sums.type):
        sums = pc.round(sums, DECIMAL_PLACES)
    return (
        grouped.drop_columns([f"{amount}_sum"])
        .append_column(amount, sums)
        .rename_columns({"program_name_last": "program_name"})
    )


def _last_of_each_name(fields: pa.Table) -> pa.Table:
    """Keep the last of the custom fields of one name that a redemption has."""
    if not _may_repeat(fields, "name"):
        return fields
    rows = fields.append_column("_row", pa.array(np.arange(fields.num_rows)))
    last = rows.group_by([PARENT, "name"], use_threads=False).aggregate([("_row", "max")])
    return fields.take(pa.array(np.sort(last["_row_max"].to_numpy())))


def _check_customers(tables: Tables) -> None:
    known = tables["customers"]["customer_key"]
    for name in ("points", "coupons"):
        keys = tables[name]["customer_key"].combine_chunks().drop_null()
        if not pc.all(pc.is_in(keys, known), min_count=0).as_py():
            raise FaultError(f"{name}: a customer_key that customers does not have")
