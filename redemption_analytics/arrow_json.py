"""Arrow's JSON reader, the fast road: what to tell it, and what to keep from it."""

from __future__ import annotations

import json
import re
from functools import reduce

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.json as pj

from redemption_analytics.contract import LISTS, Dialect, PointsType, arrow_schema
from redemption_analytics.flatten import DoesNotFit

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


def read_answers(data: bytes, points: PointsType, *, safe: bool = False) -> pa.Table:
    """Read a run of answers into the columns ``response`` and, where records bear it, ``BLOCK``.

    Parameters
    ----------
    data
        The answers, as UTF-8.
    points
        How points are read.
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
    dialect = _dialect(data)
    table = pj.read_json(
        pa.BufferReader(data),
        read_options=pj.ReadOptions(use_threads=False, block_size=len(data) + 1),
        parse_options=pj.ParseOptions(
            explicit_schema=arrow_schema(dialect, points).append(pa.field(BLOCK, pa.int64())),
            newlines_in_values=True,
            unexpected_field_behavior="ignore",
        ),
    )
    if dialect.customer == "list":
        responses = table["response"].combine_chunks()
        _demand_somebody(pc.list_flatten(pc.struct_field(responses, "customer")))
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


def _demand_somebody(customers: pa.StructArray) -> None:
    """Leave to conforming what may be nothing, or somebody with unknown fields only."""
    known = reduce(pc.or_, map(pc.is_valid, customers.flatten()))
    if pc.all(known, min_count=0).as_py() is False:
        raise DoesNotFit


def _holds(text: pa.LargeStringArray, pattern: str) -> bool:
    found = pc.match_substring_regex(text, pattern, ignore_case=True)
    return bool(found[0].as_py())


def _dialect(data: bytes) -> Dialect:
    status = _STATUS_SUCCESS.search(data)
    # Most editions have none, and to find that out takes long.
    item = _ITEM_SUCCESS.search(data, 0, _DIALECT_REACH)
    customer = _CUSTOMER.search(data)
    return Dialect(
        status_success="text" if status and status[1] else "boolean",
        item_success="text" if item and item[1] else "boolean",
        customer="list" if customer and customer[1] == b"[" else "object",
    )
