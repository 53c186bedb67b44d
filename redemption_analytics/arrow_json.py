"""Arrow's JSON reader, the fast road: what to tell it, and what to keep from it."""

from __future__ import annotations

import json
import re
from collections.abc import Sequence
from functools import reduce
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.json as pj

from redemption_analytics.contract import LISTS, TELLING, Dialect, PointsType, arrow_schema
from redemption_analytics.flattening.columns import DoesNotFit, demand

#: Field that the first record of a block bears among others; no answer has it.
BLOCK = "_redemption_analytics_block"

#: How far it is looked for a bare object that stands for a list.
_BARE_REACH = 64 << 10

#: How far it is looked for what tells a dialect.
_DIALECT_REACH = 512 << 10

_STATUS_SUCCESS = re.compile(rb'"status"\s*:\s*\{[^{}]*?"success"\s*:\s*("?)')
_ITEM_SUCCESS = re.compile(rb'"item_status"\s*:\s*\{[^{}]*?"success"\s*:\s*("?)')
_CUSTOMER = re.compile(rb'"customer"\s*:\s*([\[{])')
# Whether customers are a list is a matter of dialect; bare objects elsewhere are put in brackets.
_BARE = re.compile(f'"(?:{"|".join(sorted(LISTS - {"customer"}))})"\\s*:\\s*(?=\\{{)')
_BARE_BYTES = re.compile(_BARE.pattern.encode())
_OBJECT = re.compile(rb"\s*\{")
_DECODER = json.JSONDecoder()

# Numbers such as 1e-99 lead Arrow out of bounds (apache/arrow#50964): it takes them for 0, or dies.
# The exact pattern is slow; the other tells when it need not be looked for.
_TINY = r'"[-+]?[0-9.]+e-[0-9]{2,}"|[\s:,\[][-+]?[0-9.]+e-[0-9]{2,}[\s,}\]]'
_PERHAPS = r'e-[0-9]{2,}["\s,}\]]'
_ESCAPED = r"\\u00(2d|[46]5|3[0-9])"


def read_answers(
    data: bytes, points: PointsType, dialect: Dialect | None = None, *, safe: bool = False
) -> pa.Table:
    """Read a run of answers into the columns ``response`` and, where records bear it, ``BLOCK``.

    Parameters
    ----------
    data
        The answers, as UTF-8.
    points
        How points are read.
    dialect
        How the answers are written, where that is known.
    safe
        Whether it is known already that Arrow takes this text for what it is.

    Raises
    ------
    DoesNotFit, pyarrow.ArrowInvalid
        If a value does not fit the contract as it is written; conforming tells which.
    """
    # Of a null in first place Arrow's reader dies (apache/arrow#47409).
    if not _OBJECT.match(data) or not (safe or is_safe(data)):
        raise DoesNotFit
    if _BARE_BYTES.search(data, 0, _BARE_REACH):
        data = _bracketed(data)
    dialect = dialect or dialect_of(data)
    table = pj.read_json(
        pa.BufferReader(data),
        read_options=pj.ReadOptions(use_threads=False, block_size=len(data) + 1),
        parse_options=pj.ParseOptions(
            explicit_schema=arrow_schema(dialect, points).append(pa.field(BLOCK, pa.int64())),
            newlines_in_values=True,
            unexpected_field_behavior="ignore",
        ),
    )
    responses = table["response"].combine_chunks()
    customers = pc.struct_field(responses, "customer")
    somebody = pc.is_valid(customers)
    if dialect.customer == "list":
        _demand_somebody(customers)
        somebody = pc.greater(pc.list_value_length(customers), 0)
    # Conforming tells an answer of another API from one that has nothing to tell.
    demand(pc.or_(_failed(responses), pc.fill_null(somebody, False)))
    _demand_redemptions(customers)
    return table


def is_safe(data: bytes) -> bool:
    """Tell whether Arrow's reader takes a text for what it is."""
    offsets = pa.array([0, len(data)], pa.int64()).buffers()[1]
    binary = pa.Array.from_buffers(pa.large_binary(), 1, [None, offsets, pa.py_buffer(data)])
    try:
        # Arrow's reader takes text as it comes: this refuses what is no UTF-8.
        text = binary.cast(pa.large_string())
    except pa.ArrowInvalid:
        return False
    if b"\\" in data and _holds(text, _ESCAPED):
        return False
    return not (_holds(text, _PERHAPS) and _holds(text, _TINY))


def in_dialect(responses: Sequence[dict[str, Any]], dialect: Dialect) -> bytes | None:
    """Write conformed responses as others in a dialect are; None if it cannot say them."""
    lines = []
    for response in responses:
        customers = [
            {**customer, "item_status": _in_words(customer["item_status"], dialect.item_success)}
            if "item_status" in customer
            else customer
            for customer in response["customer"]
        ]
        answer: dict[str, Any] = {"status": _in_words(response["status"], dialect.status_success)}
        if dialect.customer == "list":
            answer["customer"] = customers
        elif len(customers) == 1:
            answer["customer"] = customers[0]
        elif customers:
            return None
        lines.append(json.dumps({"response": answer}, default=str))
    return "\n".join(lines).encode()


def _in_words(status: dict[str, Any] | None, success: str) -> dict[str, Any]:
    if not status or success == "boolean" or "success" not in status:
        return status or {}
    return {**status, "success": str(status["success"]).lower()}


def _bracketed(data: bytes) -> bytes:
    """Make lists of the bare objects that stand for lists of one, as Arrow takes lists only."""
    try:
        text = data.decode()
        brackets = []
        for match in _BARE.finditer(text):
            _, end = _DECODER.raw_decode(text, match.end())
            brackets += [(match.end(), "["), (end, "]")]
    except (ValueError, RecursionError):
        raise DoesNotFit from None
    pieces, last = [], 0
    for place, bracket in sorted(brackets):
        pieces += [text[last:place], bracket]
        last = place
    return "".join([*pieces, text[last:]]).encode()


def _demand_somebody(customers: pa.ListArray) -> None:
    """Leave to conforming what may be nothing, or somebody with unknown fields only."""
    known = reduce(pc.or_, map(pc.is_valid, pc.list_flatten(customers).flatten()))
    demand(known, pc.list_parent_indices(customers))


def _demand_redemptions(customers: pa.Array) -> None:
    rows = None
    if pa.types.is_list(customers.type):
        rows, customers = pc.list_parent_indices(customers), pc.list_flatten(customers)
    told = [
        pc.is_valid(pc.struct_field(customers, field.name))
        for field in customers.type
        if field.name in TELLING
    ]
    demand(reduce(pc.or_, told, pc.is_null(customers)), rows)


def _failed(responses: pa.StructArray) -> pa.BooleanArray:
    success = pc.struct_field(responses, ["status", "success"])
    if pa.types.is_string(success.type):
        return pc.fill_null(pc.equal(success, "false"), False)
    return pc.fill_null(pc.invert(success), False)


def _holds(text: pa.LargeStringArray, pattern: str) -> bool:
    found = pc.match_substring_regex(text, pattern, ignore_case=True)
    return bool(found[0].as_py())


def dialect_of(data: bytes) -> Dialect:
    """Tell how a run of answers is written, by the first that tells."""
    status = _STATUS_SUCCESS.search(data)
    # Most editions have none, and to find that out takes long.
    item = _ITEM_SUCCESS.search(data, 0, _DIALECT_REACH)
    customer = _CUSTOMER.search(data)
    return Dialect(
        status_success="text" if status and status[1] else "boolean",
        item_success="text" if item and item[1] else "boolean",
        customer="list" if customer and customer[1] == b"[" else "object",
    )
