"""What a block gives, read in plain Python, one decoded record at a time."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any
from zoneinfo import ZoneInfo

from redemption_analytics.blocks import Block
from oracle.conform import Conformer, json_path, unknown_fields
from redemption_analytics.contract import ANSWER, Kind, Many, PointsType, Shape
from oracle.records import read_records

Row = dict[str, Any]


@dataclass
class Told:
    """What was read, as plain values."""

    tables: dict[str, list[Row]] = field(default_factory=dict)
    rejects: list[tuple[Any, ...]] = field(default_factory=list)
    records: int = 0
    seen: Counter[str] = field(default_factory=Counter)
    unknown: Counter[str] = field(default_factory=Counter)


#: The tables of lists whose elements stand in several.
NAMES = {"points.custom_fields": "point_fields", "coupons.custom_fields": "coupon_fields"}


def read(
    block: Block,
    points: PointsType = "int",
    timezone: ZoneInfo | None = None,
    *,
    personal: bool = True,
) -> Told:
    told = Told()
    conformer = Conformer(points, timezone)
    for record in read_records(block):
        told.records += 1
        if record.error is not None:
            raw = record.text if personal else None
            told.rejects.append(("responses", told.records, record.line, "$", record.error, raw))
            continue
        told.unknown.update(unknown_fields(record.value, named=personal))
        response = conformer.record(record.value)
        for refusal in conformer.refusals:
            raw = record.text_of(refusal.at, refusal.value) if personal else None
            told.rejects.append(
                (
                    refusal.element,
                    told.records,
                    record.line_of(refusal.unfit.steps),
                    json_path(refusal.unfit.steps),
                    refusal.unfit.sentence(personal=personal),
                    raw and raw.encode(errors="backslashreplace").decode(),
                )
            )
        if response is not None:
            answers = told.tables.setdefault("answers", [])
            row = {"_record": told.records}
            answers.append(row)
            _fill(told, ANSWER.fields["response"], response, row, "answers", len(answers) - 1)
    told.seen.update(reject[0] for reject in told.rejects)
    for name, rows in told.tables.items():
        if name == "answers":
            told.seen["responses"] += len(rows) - len({r["_parent"] for r in told.tables.get("responses", ())})
        else:
            told.seen["custom_fields" if name.endswith("_fields") else name] += len(rows)
    told.seen = +told.seen
    return told


def _fill(
    told: Told, shape: Any, value: Row, row: Row, table: str, number: int, prefix: str = ""
) -> None:
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
            rows = told.tables.setdefault(into, [])
            for item in given:
                child: Row = {"_parent": number}
                rows.append(child)
                _fill(told, part.shape, item, child, into, len(rows) - 1)
        else:
            _fill(told, part, given, row, table, number, f"{prefix}{name}_")
