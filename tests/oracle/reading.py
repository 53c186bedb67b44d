"""What blocks give, read in plain Python, one decoded record at a time."""

from __future__ import annotations

from collections import Counter
from typing import Any
from zoneinfo import ZoneInfo

import pyarrow as pa

from oracle.conform import Conformer, Refusal, json_path, unknown_fields
from oracle.records import Record, read_records
from redemption_analytics.contract import RESPONSE, Kind, Many, PointsType
from redemption_analytics.parsing import Read, Reject
from redemption_analytics.parsing.declaration import declaration
from redemption_analytics.reading.blocks import Block

Row = dict[str, Any]

#: The tables of lists whose elements stand in several.
NAMES = {"points.custom_fields": "point_fields", "coupons.custom_fields": "coupon_fields"}


class OracleReader:
    """Reads as the native reader does."""

    def __init__(
        self,
        points: PointsType = "int",
        timezone: ZoneInfo | None = None,
        *,
        personal: bool = True,
    ):
        self._points = points
        self._conformer = Conformer(points, timezone)
        self._personal = personal

    def read(self, *blocks: Block) -> Read:
        tables: dict[str, list[Row]] = {table.name: [] for table in declaration().tables}
        read = Read({}, [], 0, [], Counter(), Counter(), {})
        records = 0
        for block in blocks:
            read.starts.append(records)
            for record in read_records(block):
                records += 1
                self._take(record, records, read, tables)
        seen = Counter(reject.element for reject in read.rejects)
        with_somebody = {row["_parent"] for row in tables["responses"]}
        seen["responses"] += len(tables["answers"]) - len(with_somebody)
        for name, rows in tables.items():
            if name != "answers":
                seen["custom_fields" if name.endswith("_fields") else name] += len(rows)
        return Read(
            {name: self._batch(name, rows) for name, rows in tables.items()},
            read.rejects,
            records,
            read.starts,
            +seen,
            read.unknown,
            read.unknown_in,
        )

    def _take(self, record: Record, number: int, read: Read, tables: dict[str, list[Row]]) -> None:
        if record.error is not None:
            raw = record.text if self._personal else None
            read.rejects.append(Reject("responses", number, record.line, "$", record.error, raw))
            return
        for path in unknown_fields(record.value, named=self._personal):
            read.unknown[path] += 1
            read.unknown_in.setdefault(path, number)
        response = self._conformer.record(record.value)
        for refusal in self._conformer.refusals:
            read.rejects.append(self._reject(refusal, record, number))
        if response is not None:
            row = {"_record": number}
            tables["answers"].append(row)
            _fill(tables, RESPONSE, response, row, "answers")

    def _reject(self, refusal: Refusal, record: Record, number: int) -> Reject:
        raw = record.text_of(refusal.at, refusal.value) if self._personal else None
        return Reject(
            refusal.element,
            number,
            record.line_of(refusal.unfit.steps),
            json_path(refusal.unfit.steps),
            refusal.unfit.sentence(personal=self._personal),
            raw and raw.encode(errors="backslashreplace").decode(),
        )

    def _batch(self, name: str, rows: list[Row]) -> pa.RecordBatch:
        types = {
            Kind.TEXT: pa.string(),
            Kind.INTEGER: pa.int64(),
            Kind.POINTS: pa.int64() if self._points == "int" else pa.float64(),
            Kind.AMOUNT: pa.float64(),
            Kind.TIME: pa.timestamp("us"),
            Kind.BOOLEAN: pa.bool_(),
        }
        (table,) = (one for one in declaration().tables if one.name == name)
        place = "_record" if name == "answers" else "_parent"
        fields = [pa.field(place, pa.int64(), nullable=False)]
        fields += [pa.field(column, types[kind]) for column, kind in table.columns]
        return pa.RecordBatch.from_pylist(rows, pa.schema(fields))


def _fill(
    tables: dict[str, list[Row]], shape: Any, value: Row, row: Row, table: str, prefix: str = ""
) -> None:
    """Put what an object holds into a row, and what its lists hold into rows below it."""
    number = len(tables[table]) - 1
    for name, part in shape.fields.items():
        given = value.get(name)
        if given is None:
            continue
        if isinstance(part, Kind):
            row[prefix + name] = given
        elif isinstance(part, Many):
            if part.told:
                row[prefix + name] = True
            element = part.shape.element
            into = NAMES.get(f"{table}.{element}", element)
            for item in given:
                child: Row = {"_parent": number}
                tables[into].append(child)
                _fill(tables, part.shape, item, child, into)
        else:
            _fill(tables, part, given, row, table, f"{prefix}{name}_")
