"""The two roads from a block to tables: Arrow's JSON reader, and conforming for what it refuses."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from itertools import groupby
from threading import Event
from typing import Any, Literal
from zoneinfo import ZoneInfo

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from redemption_analytics.apart import PIECES, apart, smaller, suspects_apart
from redemption_analytics.arrow_json import BLOCK, dialect_of, in_dialect, is_safe, read_answers
from redemption_analytics.census import elements_of
from redemption_analytics.conform import Conformer, Refusal, json_path, unknown_fields
from redemption_analytics.contract import CONFORMED, Dialect, PointsType, arrow_schema
from redemption_analytics.errors import RedemptionAnalyticsError
from redemption_analytics.flatten import Flattening, Tables
from redemption_analytics.flattening.columns import DoesNotFit
from redemption_analytics.reading.blocks import Block
from redemption_analytics.records import Record, decoded, read_records

#: Of what is parsed in one go so many records, or so many bytes of them, are looked at for fields
#: that the contract does not have.
SAMPLES = 64
_SAMPLED = 128 << 10
_GOLDEN = (5**0.5 - 1) / 2

#: Numbers beyond which floats do not hold all decimal points.
_LARGE = re.compile(rb"\d{13}\.\d|e\+1")

#: A block in which more is refused is damaged all over.
_MOST_REFUSALS = 32


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
        Flattened tables, one for each run that was flattened in one go. Their record numbers count
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
    epochs
        Fields with times that are the zero of Unix, and so none: how many there were.
    epoch_in
        The first record that holds one.
    """

    tables: list[Tables] = field(default_factory=list)
    rejects: list[Reject] = field(default_factory=list)
    records: int = 0
    starts: list[int] = field(default_factory=list)
    seen: Counter[str] = field(default_factory=Counter)
    unknown: Counter[str] = field(default_factory=Counter)
    unknown_in: dict[str, int] = field(default_factory=dict)
    epochs: Counter[str] = field(default_factory=Counter)
    epoch_in: dict[str, int] = field(default_factory=dict)

    def take(self, tables: Tables, epochs: Iterable[tuple[str, int]]) -> None:
        """Take what flattening gave."""
        for name, record in epochs:
            self.epochs[name] += 1
            self.epoch_in[name] = min(record, self.epoch_in.get(name, record))
        self.tables.append(tables)

    def refuse(self, reject: Reject) -> None:
        """Count and note a refused element."""
        self.rejects.append(reject)
        self.seen[reject.element] += 1

    def meet_unknown(self, fields: Iterable[str], block: int) -> None:
        """Count unknown fields of a block."""
        for name in fields:
            self.unknown[name] += 1
            self.unknown_in[name] = min(block, self.unknown_in.get(name, block))


@dataclass(frozen=True)
class _Run:
    """Answers that were read in one go.

    Attributes
    ----------
    block
        Where they stand.
    records
        The number of the record that each comes from.
    answers
        The answers.
    conformed
        Whether they had to be conformed.
    """

    block: Block
    records: np.ndarray[Any, Any]
    answers: pa.StructArray
    conformed: bool = False

    def part(self, block: Block, first: int, end: int) -> _Run:
        """Give some of the answers, which stand in a piece of the block."""
        return _Run(block, self.records[first:end], self.answers[first:end])


@dataclass(frozen=True)
class _Conformed:
    """Answers that were conformed: what is left of the records of a block."""

    block: Block
    records: list[int]
    responses: list[dict[str, Any]]


@dataclass(frozen=True)
class Parser:
    """Parses blocks; holds the options that decide what a value means.

    ``roads`` is for tests: both roads give the same tables. ``damage`` tells that something was
    refused before: then it pays to look first for what is plainly broken.
    """

    flattening: Flattening
    points: PointsType = "int"
    timezone: ZoneInfo | None = None
    roads: Literal["both", "slow"] = "both"
    damage: Event = field(default_factory=Event, repr=False, compare=False)

    def parse(self, *blocks: Block) -> Parsed:
        """Turn blocks into tables and rejects; small ones in one go."""
        parsed = Parsed()
        for number, record in _samples(blocks):
            parsed.meet_unknown(unknown_fields(record, named=self.personal), number)
        self._parse(blocks, parsed)
        return parsed

    def _parse(self, blocks: Sequence[Block], parsed: Parsed) -> None:
        if len(blocks) == 1:
            parsed.starts.append(parsed.records)
            self._parse_one(blocks[0], parsed)
        elif self.roads == "slow" or not self._together(blocks, parsed):
            step = -(-len(blocks) // PIECES)
            for start in range(0, len(blocks), step):
                self._parse(blocks[start : start + step], parsed)

    def _together(self, blocks: Sequence[Block], parsed: Parsed) -> bool:
        """Parse blocks in one go, if all of them take the fast road."""
        try:
            table = read_answers(_joined(blocks), self.points)
            starts = _starts(table[BLOCK], len(blocks))
            answers = table["response"].combine_chunks()
            records = parsed.records + np.arange(1, table.num_rows + 1)
            flat = self.flattening.tables(answers, records)
        except (pa.ArrowInvalid, DoesNotFit):
            return False
        parsed.starts += (parsed.records + starts.astype(np.int64)).tolist()
        parsed.records += len(records)
        parsed.take(*flat)
        parsed.seen.update(elements_of(answers))
        return True

    def _parse_one(self, block: Block, parsed: Parsed) -> None:
        rejects = len(parsed.rejects)
        if block.form == "json" and self.roads == "both" and not block.refused:
            runs = self._read(block, parsed)
        else:
            runs = [self._conform(block, parsed)]
        self._flatten(block, runs, parsed)
        parsed.rejects[rejects:] = sorted(parsed.rejects[rejects:], key=lambda r: r.record or 0)

    def _read(self, block: Block, parsed: Parsed) -> list[_Run | _Conformed]:
        """Read a block with Arrow, and conform what Arrow refuses."""
        runs: list[_Run | _Conformed] = []
        refusals = 0
        left = (suspects_apart(block)[::-1] if self.damage.is_set() else []) or [(block, False)]
        # What holds for the block holds for its pieces, and need not be looked at again.
        safe = is_safe(block.data)
        while left:
            piece, refused = left.pop()
            if refused or refusals >= _MOST_REFUSALS:
                runs.append(self._conform(piece, parsed))
                continue
            try:
                table = read_answers(piece.data, self.points, safe=safe)
            except (pa.ArrowInvalid, DoesNotFit) as error:
                refusals += 1
                self.damage.set()
                left += reversed(smaller(piece, error))
            else:
                records = parsed.records + np.arange(1, table.num_rows + 1)
                runs.append(_Run(piece, records, table["response"].combine_chunks()))
                parsed.records += table.num_rows
        return runs

    def _conform(self, block: Block, parsed: Parsed, before: int | None = None) -> _Conformed:
        """Conform a block record by record.

        Parameters
        ----------
        block
            The block.
        parsed
            What is refused is noted there.
        before
            How many records come before it, where they are counted already.
        """
        conformer = Conformer(self.points, self.timezone)
        conformed = _Conformed(block, [], [])
        number = parsed.records if before is None else before
        for record in read_records(block):
            number += 1
            if record.error is not None:
                parsed.refuse(self._undecodable(record, number))
                continue
            if block.form != "json":
                unknown = unknown_fields(record.value, named=self.personal)
                parsed.meet_unknown(unknown, len(parsed.starts) - 1)
            response = conformer.record(record.value)
            for refusal in conformer.refusals:
                parsed.refuse(self._reject(refusal, record, number))
            if response is not None:
                conformed.responses.append(response)
                conformed.records.append(number)
        if before is None:
            parsed.records = number
        return conformed

    def _flatten(self, block: Block, runs: Sequence[_Run | _Conformed], parsed: Parsed) -> None:
        """Flatten runs of a block, and conform what flattening refuses."""
        # Arrow puts together only what is written alike.
        for _, alike in groupby(self._in_arrow(block, runs), lambda run: run.answers.type):
            together = list(alike)
            answers = pa.concat_arrays([run.answers for run in together])
            records = np.concatenate([run.records for run in together])
            try:
                flat = self.flattening.tables(answers, records)
            except DoesNotFit as unfit:
                rest = self._without(np.array(unfit.rows), together, parsed)
                self._flatten(block, list(rest), parsed)
            else:
                parsed.take(*flat)
                parsed.seen.update(elements_of(answers))

    def _in_arrow(self, block: Block, runs: Sequence[_Run | _Conformed]) -> Iterator[_Run]:
        """Put what was conformed into Arrow: written as the block is, if that can say it."""
        responses = [r for run in runs if isinstance(run, _Conformed) for r in run.responses]
        answers = None
        if responses and any(isinstance(run, _Run) for run in runs):
            answers = self._in_dialect(responses, dialect_of(block.data))
        if answers is None:
            declared = arrow_schema(CONFORMED, self.points).field("response").type
            answers = pa.array(responses, declared)
        for run in runs:
            if isinstance(run, _Run):
                yield run
            elif run.responses:
                count = len(run.responses)
                yield _Run(run.block, np.array(run.records), answers[:count], conformed=True)
                answers = answers[count:]

    def _in_dialect(
        self, responses: list[dict[str, Any]], dialect: Dialect
    ) -> pa.StructArray | None:
        text = in_dialect(responses, dialect)
        if text and self.points == "decimal" and _LARGE.search(text):
            # Not every float is written as the decimal that it was read from.
            return None
        try:
            table = text and read_answers(text, self.points, dialect)
        except (pa.ArrowInvalid, DoesNotFit):
            return None
        return table["response"].combine_chunks() if table else None

    def _without(
        self, rows: np.ndarray[Any, Any], runs: list[_Run], parsed: Parsed
    ) -> Iterator[_Run | _Conformed]:
        """Conform some of the rows of some runs, and leave the others as they were read."""
        start = 0
        for run in runs:
            count = len(run.records)
            own = rows[(rows >= start) & (rows < start + count)] - start
            start += count
            if not len(own):
                yield run
                continue
            if run.conformed:
                raise RedemptionAnalyticsError(
                    f"record {run.records[own[0]]}: what was conformed does not fit. This is a"
                    " fault of redemption_analytics: please report it"
                )
            for piece, first, end, refused in apart(run.block, own.tolist(), count):
                if refused:
                    yield self._conform(piece, parsed, int(run.records[first]) - 1)
                else:
                    yield run.part(piece, first, end)

    def _undecodable(self, record: Record, number: int) -> Reject:
        raw = record.text if self.personal else None
        return Reject("responses", number, record.line, "$", str(record.error), raw)

    def _reject(self, refusal: Refusal, record: Record, number: int) -> Reject:
        raw = record.text_of(refusal.at, refusal.value) if self.personal else None
        return Reject(
            refusal.element,
            number,
            record.line_of(refusal.unfit.steps),
            json_path(refusal.unfit.steps),
            refusal.unfit.sentence(personal=self.personal),
            # Decoded payloads may hold halves of surrogate pairs, which no table can.
            raw and raw.encode(errors="backslashreplace").decode(),
        )

    @property
    def personal(self) -> bool:
        """Tell whether personal data may be shown."""
        return self.flattening.pseudonym is None


def _samples(blocks: Sequence[Block]) -> Iterator[tuple[int, object]]:
    """Decode some records, for Arrow passes over unknown fields silently; give each one's block."""
    read, met = 0, set()
    for step in range(SAMPLES):
        # Multiples of the golden ratio spread evenly, however early one stops.
        place = step * _GOLDEN % 1 * len(blocks)
        number, share = int(place), place % 1
        block = blocks[number]
        start = block.start_after(int(len(block.data) * share))
        if start == len(block.data):
            start = 0
        if block.form == "json" and (number, start) not in met:
            met.add((number, start))
            end = block.start_after(start)
            yield number, decoded(block.data[start:end])
            read += end - start
            if read > _SAMPLED:
                return


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
