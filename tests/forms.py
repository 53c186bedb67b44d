"""Answers in every form that exports have."""

from __future__ import annotations

import io
import json
from collections.abc import Callable
from datetime import datetime
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from oracle.records import read_records

from redemption_analytics.reading.blocks import Block, Fault
from redemption_analytics.reading.files import read_blocks
from redemption_analytics.sample import Organisation, write_export
from redemption_analytics.sources.export import Export

NOW = datetime(2026, 11, 20)


Answers = list[dict[str, Any]]


def compact(value: object) -> str:
    return json.dumps(value, separators=(",", ":"), ensure_ascii=False)


def styled(style: Any) -> Callable[[Answers], str]:
    def write(answers: Answers) -> str:
        with TemporaryDirectory() as directory:
            return write_export(Path(directory) / "export", answers, style=style).read_text("utf-8")

    return write


def wrapped(answers: Answers) -> Answers:
    """Answers with fields of whoever saved them, one of which is met inside of answers too."""
    return [{"id": n, "saved": "2026-11-20", **answer} for n, answer in enumerate(answers)]


FORMS: dict[str, Callable[[Answers], str]] = {
    "lines": styled("lines"),
    "lines, CRLF, blank ones": lambda answers: "\r\n\r\n".join(map(compact, answers)),
    "one after another": lambda answers: "".join(map(compact, answers)),
    "pretty": styled("pretty"),
    "pretty, without indent": lambda answers: "".join(json.dumps(a, indent=0) for a in answers),
    "array": styled("array"),
    "array, compact": compact,
    "array, pretty": lambda answers: json.dumps(answers, indent=2),
    "arrays": lambda answers: f"{compact(answers)}\n{json.dumps(answers)},[[{compact(answers)}]]",
    "XML 2018": styled("xml-2018"),
    "XML 2020": styled("xml-2020"),
    "XML documents": lambda answers: 2 * styled("xml-2020")(answers),
    "wrapped lines": lambda answers: "\n".join(map(compact, wrapped(answers))),
    "wrapped pretty": lambda answers: "\n".join(json.dumps(a, indent=1) for a in wrapped(answers)),
    "wrapped array": lambda answers: json.dumps(wrapped(answers), indent=2),
}


def answers_of(seed: int, customers: int = 3, edition: Any = "2025-12") -> Answers:
    return list(Organisation(customers, seed).answers(edition, as_of=NOW, limit=2))


def read(data: bytes, size: int = 4 << 20) -> tuple[list[Any], list[Fault]]:
    """All that is read: of each record its line, and its value or what is wrong with it."""
    blocks = list(read_blocks(Export("x", NOW, open=lambda: io.BytesIO(data)), size))
    faults = [block for block in blocks if isinstance(block, Fault)]
    records = [
        (record.line, record.value, record.error, record.text)
        for block in blocks
        if isinstance(block, Block)
        for record in read_records(block)
    ]
    return records, faults
