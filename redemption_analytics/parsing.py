"""The two roads from a block to tables: Arrow's JSON reader, and conforming for what it refuses."""

from __future__ import annotations

import json
import re
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from functools import reduce
from typing import Literal
from zoneinfo import ZoneInfo

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.json as pj

from redemption_analytics.blocks import Block
from redemption_analytics.conform import Conformer, Refusal, json_path, unknown_fields
from redemption_analytics.contract import CONFORMED, LISTS, Dialect, PointsType, arrow_schema
from redemption_analytics.flatten import DoesNotFit, Flattening, Tables
from redemption_analytics.records import Record, read_records, record_at

#: Records per block that are looked at for fields that the contract does not have.
SAMPLES = 64

#: A block that Arrow refuses is cut into so many pieces, down to this size: damage is local.
_PIECES = 8
_SMALLEST_PIECE = 64 << 10

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


@dataclass(frozen=True)
class Reject:
    """A refused element, as the table ``rejects`` and the ledger need it."""

    element: str
    record: int | None
    line: int | None
    path: str | None
    reason: str
    raw: str | None


@dataclass
class Parsed:
    """What a block gave.

    Attributes
    ----------
    tables
        Flattened tables, one for each piece that was parsed in one go. Their record numbers count
        from 1 in the block, as do those of the rejects.
    records
        How many records the block held.
    seen
        Elements by kind that were met in it, whatever became of them.
    """

    tables: list[Tables] = field(default_factory=list)
    rejects: list[Reject] = field(default_factory=list)
    records: int = 0
    seen: Counter[str] = field(default_factory=Counter)
    unknown: Counter[str] = field(default_factory=Counter)


@dataclass(frozen=True)
class Parser:
    """Parses blocks; holds the options that decide what a value means.

    ``roads`` is for tests: both roads give the same tables.
    """

    flattening: Flattening
    points: PointsType = "int"
    timezone: ZoneInfo | None = None
    roads: Literal["both", "slow"] = "both"

    def parse(self, block: Block) -> Parsed:
        """Turn a block into tables and rejects."""
        parsed = Parsed()
        if block.form == "json":
            parsed.unknown.update(_sampled_unknown(block))
        if block.form == "json" and self.roads == "both":
            self._fast(block, parsed)
        else:
            self._slow(block, parsed)
        return parsed

    def _fast(self, block: Block, parsed: Parsed) -> None:
        try:
            data = block.data
            if _BARE_BYTES.search(data, 0, _SMALLEST_PIECE):
                data = _bracketed(data)
            answers = _read(data, _dialect(data), self.points)
            tables = self._flatten(answers, parsed.records + np.arange(1, len(answers) + 1))
        except (pa.ArrowInvalid, DoesNotFit):
            pieces = block.pieces(_PIECES) if len(block.data) > _SMALLEST_PIECE else []
            if len(pieces) > 1:
                for piece in pieces:
                    self._fast(piece, parsed)
            else:
                self._slow(block, parsed)
        else:
            parsed.tables.append(tables)
            parsed.records += len(answers)
            parsed.seen.update(_counted(tables))

    def _slow(self, block: Block, parsed: Parsed) -> None:
        conformer = Conformer(self.points, self.timezone)
        responses, numbers = [], []
        for record in read_records(block):
            parsed.records += 1
            if record.error is not None:
                conformer.seen["responses"] += 1
                parsed.rejects.append(self._undecodable(record, parsed.records))
                continue
            if block.form != "json":
                parsed.unknown.update(unknown_fields(record.value))
            conformed = conformer.record(record.value)
            for refusal in conformer.refusals:
                parsed.rejects.append(self._reject(refusal, record, parsed.records))
            if conformed is not None:
                responses.append(conformed)
                numbers.append(parsed.records)
        parsed.seen.update(conformer.seen)
        if responses:
            declared = arrow_schema(CONFORMED, self.points).field("response").type
            parsed.tables.append(self._flatten(pa.array(responses, declared), np.array(numbers)))

    def _flatten(self, answers: pa.StructArray, records: np.ndarray) -> Tables:
        return self.flattening.tables(answers, records)

    def _undecodable(self, record: Record, number: int) -> Reject:
        raw = record.text if self._personal else None
        return Reject("responses", number, record.line, "$", str(record.error), raw)

    def _reject(self, refusal: Refusal, record: Record, number: int) -> Reject:
        raw = record.text_of(refusal.at, refusal.value) if self._personal else None
        return Reject(
            refusal.element,
            number,
            record.line_of(refusal.unfit.steps),
            json_path(refusal.unfit.steps),
            refusal.unfit.sentence(personal=self._personal),
            # Decoded payloads may hold halves of surrogate pairs, which no table can.
            raw and raw.encode(errors="backslashreplace").decode(),
        )

    @property
    def _personal(self) -> bool:
        return self.flattening.pseudonym is None


def _sampled_unknown(block: Block) -> Iterator[str]:
    """Look for unknown fields in some records, spread evenly: Arrow passes over them silently."""
    length = len(block.data)
    starts = {block.start_after(length * i // SAMPLES - 1) if i else 0 for i in range(SAMPLES)}
    for start in sorted(starts - {length}):
        yield from unknown_fields(record_at(block, start))


def _counted(tables: Tables) -> dict[str, int]:
    counts = {name: table.num_rows for name, table in tables.items() if name != "customers"}
    counts["custom_fields"] = counts.pop("point_fields") + counts.pop("coupon_fields")
    return counts


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


def _read(data: bytes, dialect: Dialect, points: PointsType) -> pa.StructArray:
    # Of a null in first place Arrow's reader dies (apache/arrow#47409).
    if not _OBJECT.match(data):
        raise DoesNotFit
    buffer = pa.py_buffer(data)
    offsets = pa.array([0, len(data)], pa.int64()).buffers()[1]
    # Arrow's reader takes text as it comes: this refuses what is no UTF-8.
    text = pa.Array.from_buffers(pa.large_binary(), 1, [None, offsets, buffer])
    text = text.cast(pa.large_string())
    if b"\\" in data and _holds(text, _ESCAPED):
        raise DoesNotFit
    if _holds(text, _PERHAPS) and _holds(text, _TINY):
        raise DoesNotFit
    table = pj.read_json(
        pa.BufferReader(buffer),
        read_options=pj.ReadOptions(use_threads=False, block_size=len(data) + 1),
        parse_options=pj.ParseOptions(
            explicit_schema=arrow_schema(dialect, points),
            newlines_in_values=True,
            unexpected_field_behavior="ignore",
        ),
    )
    responses = table["response"].combine_chunks()
    if dialect.customer == "list":
        _demand_somebody(pc.list_flatten(pc.struct_field(responses, "customer")))
    return responses


def _demand_somebody(customers: pa.StructArray) -> None:
    """Leave to conforming what may be nothing, or somebody with unknown fields only."""
    known = reduce(pc.or_, map(pc.is_valid, customers.flatten()))
    if pc.all(known, min_count=0).as_py() is False:
        raise DoesNotFit


def _holds(text: pa.LargeStringArray, pattern: str) -> bool:
    found = pc.match_substring_regex(text, pattern, ignore_case=True)
    return bool(found[0].as_py())


def _dialect(data: bytes) -> Dialect:
    status, item = _STATUS_SUCCESS.search(data), _ITEM_SUCCESS.search(data)
    customer = _CUSTOMER.search(data)
    return Dialect(
        status_success="text" if status and status[1] else "boolean",
        item_success="text" if item and item[1] else "boolean",
        customer="list" if customer and customer[1] == b"[" else "object",
    )
