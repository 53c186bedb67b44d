"""The two roads from a block to tables: Arrow's JSON reader, and conforming for what it refuses."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal
from zoneinfo import ZoneInfo

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from redemption_analytics.arrow_json import BLOCK, is_safe, read_answers
from redemption_analytics.blocks import Block
from redemption_analytics.conform import Conformer, Refusal, json_path, unknown_fields
from redemption_analytics.contract import CONFORMED, PointsType, arrow_schema
from redemption_analytics.flatten import DoesNotFit, Flattening, Tables
from redemption_analytics.records import Record, read_records, record_at

#: Records per block that are looked at for fields that the contract does not have.
SAMPLES = 64

#: A block that is refused without naming a record is cut into so many pieces, down to this size.
_PIECES = 8
_SMALLEST_PIECE = 640 << 10

#: Between refused records, to parse fewer bytes than these in one go takes longer than to decode
#: them record by record.
_SMALLEST_RUN = 128 << 10

#: A block in which more is refused is damaged all over.
_MOST_REFUSALS = 32

#: Where Arrow says which record it could not read,
_ROW = re.compile(r"in row (\d+)$")
#: or which value.
_VALUE = re.compile(r"The string '(.*)' is not a valid decimal", re.DOTALL)


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
    """What blocks gave.

    Attributes
    ----------
    tables
        Flattened tables, one for each piece that was parsed in one go. Their record numbers count
        from 1 through all the blocks, as do those of the rejects.
    records
        How many records the blocks held.
    starts
        How many of them came before each block.
    seen
        Elements by kind that were met, whatever became of them.
    unknown
        Fields that the contract does not have, and how often they were met.
    unknown_in
        The number of the block in which each was met first.
    """

    tables: list[Tables] = field(default_factory=list)
    rejects: list[Reject] = field(default_factory=list)
    records: int = 0
    starts: list[int] = field(default_factory=list)
    seen: Counter[str] = field(default_factory=Counter)
    unknown: Counter[str] = field(default_factory=Counter)
    unknown_in: dict[str, int] = field(default_factory=dict)

    def meet_unknown(self, fields: Iterable[str], block: int) -> None:
        """Count unknown fields of a block."""
        for name in fields:
            self.unknown[name] += 1
            self.unknown_in.setdefault(name, block)


@dataclass(frozen=True)
class Parser:
    """Parses blocks; holds the options that decide what a value means.

    ``roads`` is for tests: both roads give the same tables.
    """

    flattening: Flattening
    points: PointsType = "int"
    timezone: ZoneInfo | None = None
    roads: Literal["both", "slow"] = "both"

    def parse(self, *blocks: Block) -> Parsed:
        """Turn blocks into tables and rejects; small ones in one go."""
        parsed = Parsed()
        for number, block in enumerate(blocks):
            if block.form == "json":
                samples = _samples(block, max(1, SAMPLES // len(blocks)))
                parsed.meet_unknown(samples, number)
        self._parse(blocks, parsed)
        return parsed

    def _parse(self, blocks: Sequence[Block], parsed: Parsed) -> None:
        if len(blocks) == 1:
            parsed.starts.append(parsed.records)
            if blocks[0].form == "json" and self.roads == "both":
                self._fast(blocks[0], parsed)
            else:
                self._slow(blocks[0], parsed)
        elif self.roads == "slow" or not self._together(blocks, parsed):
            step = -(-len(blocks) // _PIECES)
            for start in range(0, len(blocks), step):
                self._parse(blocks[start : start + step], parsed)

    def _together(self, blocks: Sequence[Block], parsed: Parsed) -> bool:
        """Parse blocks in one go, if all of them take the fast road."""
        try:
            table = read_answers(_joined(blocks), self.points)
            starts = _starts(table[BLOCK], len(blocks))
            records = parsed.records + np.arange(1, table.num_rows + 1)
            tables = self._flatten(table["response"].combine_chunks(), records)
        except (pa.ArrowInvalid, DoesNotFit):
            return False
        parsed.starts += (parsed.records + starts.astype(np.int64)).tolist()
        self._add(tables, table.num_rows, parsed)
        return True

    def _fast(self, block: Block, parsed: Parsed) -> None:
        left, refusals = [(block, False)], 0
        # What holds for the block holds for its pieces, and need not be looked at again.
        safe = is_safe(block.data)
        while left:
            piece, refused = left.pop()
            if refused:
                self._slow(piece, parsed)
                continue
            try:
                answers = read_answers(piece.data, self.points, safe=safe)[
                    "response"
                ].combine_chunks()
                tables = self._flatten(answers, parsed.records + np.arange(1, len(answers) + 1))
            except (pa.ArrowInvalid, DoesNotFit) as error:
                refusals += 1
                apart = _set_apart(piece, error) if refusals < _MOST_REFUSALS else []
                left += reversed(apart or _cut(piece))
            else:
                self._add(tables, len(answers), parsed)

    def _add(self, tables: Tables, records: int, parsed: Parsed) -> None:
        parsed.tables.append(tables)
        parsed.records += records
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
                parsed.meet_unknown(unknown_fields(record.value), len(parsed.starts) - 1)
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


def _set_apart(block: Block, error: Exception) -> list[tuple[Block, bool]]:
    """Cut a block around the records that an error names; give whether each piece holds some."""
    named, value = _ROW.search(str(error)), _VALUE.search(str(error))
    rows = set(error.rows) if isinstance(error, DoesNotFit) else {int(named[1])} if named else set()
    text = b'"%b"' % value[1].encode() if value else None
    last = len(block.data) if text else max(rows, default=-1)
    spans: list[list[int]] = []
    for row, (start, end) in zip(range(last + 1), block.stretches(), strict=False):
        if row in rows or (text and block.data.find(text, start, end) >= 0):
            before = spans[-1][1] if spans else 0
            near = start - before < _SMALLEST_RUN
            if spans and near:
                spans[-1][1] = end
            else:
                spans.append([0 if near else start, end])
    if spans and len(block.data) - spans[-1][1] < _SMALLEST_RUN:
        spans[-1][1] = len(block.data)
    apart, starts, at = [], {start for start, _ in spans}, 0
    for piece in block.cut(place for span in spans for place in span) if spans else ():
        apart.append((piece, at in starts))
        at += len(piece.data)
    return apart


def _cut(block: Block) -> list[tuple[Block, bool]]:
    """Cut a block of which is not known what was refused; a small one is refused as a whole."""
    pieces = block.pieces(_PIECES) if len(block.data) > _SMALLEST_PIECE else [block]
    return [(piece, len(pieces) == 1) for piece in pieces]


def _samples(block: Block, count: int) -> Iterator[str]:
    """Look for unknown fields in some records, spread evenly: Arrow passes over them silently."""
    length = len(block.data)
    starts = {block.start_after(length * i // count - 1) if i else 0 for i in range(count)}
    for start in sorted(starts - {length}):
        yield from unknown_fields(record_at(block, start))


def _joined(blocks: Sequence[Block]) -> bytes:
    """Join blocks, the first record of each bearing its number."""
    parts = []
    for number, block in enumerate(blocks):
        start = block.data.find(b"{") + 1
        if not start or block.data[: start - 1].strip():
            raise DoesNotFit
        parts += [block.data[:start], b'"%b":%d,' % (BLOCK.encode(), number), block.data[start:]]
        parts.append(b"\n")
    return b"".join(parts)


def _starts(numbers: pa.ChunkedArray, count: int) -> np.ndarray[Any, Any]:
    """Find the first record of each block by the numbers that the blocks bear."""
    starts: np.ndarray[Any, Any] = pc.indices_nonzero(pc.is_valid(numbers)).to_numpy()
    borne = numbers.drop_null().to_numpy()
    if not np.array_equal(borne, np.arange(count)) or starts[0] != 0:
        # One block went on in another.
        raise DoesNotFit
    return starts


def _counted(tables: Tables) -> dict[str, int]:
    counts = {name: table.num_rows for name, table in tables.items() if name != "customers"}
    counts["custom_fields"] = counts.pop("point_fields") + counts.pop("coupon_fields")
    return counts
