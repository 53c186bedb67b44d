"""Exports in which every personal value is marked, so that it can be looked for in what comes out.

They are of every edition and packing, and broken in every way in which the contract can be broken:
for each of its fields a record has something else there, and for each reason that there is for a
file to be refused there is a file, called after a customer.
"""

from __future__ import annotations

import copy
import gzip
import json
import zipfile
from collections.abc import Callable, Iterator
from datetime import datetime
from pathlib import Path
from random import Random
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from redemption_analytics.contract import ANSWER, Kind, Many, Shape
from redemption_analytics.sample.damage import compact, damaged
from redemption_analytics.sample.exports import Style, write_export
from redemption_analytics.sample.organisation import Organisation

_IDENTITIES = ("user_id", "external_id", "mobile", "email", "firstname", "lastname")
_EDITIONS: tuple[tuple[Any, Style], ...] = (
    ("2018", "xml-2018"), ("2018", "lines"), ("2020", "xml-2020"), ("2020", "array"),
    ("2025-02", "pretty"), ("2025-12", "lines"),
)  # fmt: skip


class Marks:
    """Values that occur nowhere else.

    Attributes
    ----------
    values
        Those that were given to persons, notes and custom fields, each where it belongs.
    strays
        Those that stand where they do not belong, and those of names.
    """

    def __init__(self) -> None:
        self.values: list[str] = []
        self.strays: list[str] = []
        self._count = 0

    def value(self, kind: str) -> str:
        mark = self._mark(kind)
        self.values.append(mark)
        return mark

    def stray(self, kind: str = "stray") -> str:
        mark = self._mark(kind)
        self.strays.append(mark)
        return mark

    def _mark(self, kind: str) -> str:
        self._count += 1
        number = 8_800_000 + self._count
        if kind == "mobile":
            return f"4479{number}5"
        if kind == "email":
            return f"zq{number}@example.com"
        return f"Zq&ë-{kind}-{number}" if kind in ("notes", "value") else f"zq-{kind}-{number}"


def write_marked(directory: Path, marks: Marks) -> None:
    """Write the exports."""
    organisation = Organisation(30, 0)
    directory.mkdir()
    for edition, style in _EDITIONS:
        answers = organisation.answers(edition, as_of=datetime(2026, 6, 1), every=10)
        chosen = [_marked(answer, marks) for answer in answers]
        suffix = "xml" if style.startswith("xml") else "json"
        path = directory / f"{marks.stray('file')}-{edition}.{suffix}"
        write_export(path, chosen, style=style)
        lines = (compact(_marked(answer, marks)) + "\n" for answer in chosen)
        (directory / f"{marks.stray('file')}-damaged.jsonl").write_text(
            "".join(damaged(lines, 0.8, Random(edition))), encoding="utf-8"
        )
    text = "".join(compact(answer) + "\n" for answer in _broken(marks))
    folder = directory / marks.stray("folder")
    folder.mkdir()
    (folder / "broken.jsonl").write_text(text, encoding="utf-8")
    write_export(folder / "broken.xml", _broken(marks, 3), style="xml-2020")
    for number, answer in enumerate(_broken(marks, 8)):
        pretty = json.dumps(answer, indent=1, ensure_ascii=False)
        (folder / f"{marks.stray('file')}.json").write_text(
            pretty[: len(pretty) * (number % 9) // 8], encoding="utf-8"
        )
    _write_packings(folder, [compact(a) for a in _broken(marks, 20)], marks)


def _write_packings(folder: Path, lines: list[str], marks: Marks) -> None:
    data = "\n".join(lines).encode()

    def name(suffix: str) -> Path:
        return folder / f"{marks.stray('file')}.{suffix}"

    name("jsonl.gz").write_bytes(gzip.compress(data))
    name("jsonl.gz").write_bytes(gzip.compress(data)[:-100])
    for codec in ("bz2", "zstd", "lz4"):
        with pa.output_stream(name("jsonl"), compression=codec) as stream:
            stream.write(data)
    pq.write_table(pa.table({"payload": lines}), name("parquet"))
    pq.write_table(pa.table({marks.stray("column"): lines}), name("parquet"))
    nested = [{marks.stray("column"): line} for line in lines[:3]]
    pq.write_table(pa.table({"payload": nested}), name("parquet"))
    archive = name("zip")
    with zipfile.ZipFile(archive, "w") as file:
        file.writestr(f"{marks.stray('member')}.jsonl", data)
        file.writestr(f"{marks.stray('member')}.jsonl", gzip.compress(data)[:-100])
        file.writestr(f"{marks.stray('member')}.json", f"{marks.stray()} is no export")
    packed = bytearray(archive.read_bytes())
    packed[len(packed) // 4] ^= 0xFF
    name("zip").write_bytes(packed)
    name("zip").write_bytes(packed[: len(packed) // 2])
    # The first of these members claims to be encrypted.
    packed = bytearray(archive.read_bytes())
    packed[6] |= 1
    packed[packed.find(b"PK\x01\x02") + 8] |= 1
    name("zip").write_bytes(packed)
    name("json").write_bytes(b"")
    name("json").write_text(f"{marks.stray()} is no export", encoding="utf-8")
    name("md").write_text(f"# {marks.stray()}", encoding="utf-8")
    name("json").write_bytes(data.decode().encode("utf-16"))
    name("xml").write_bytes(b'<?xml version="1.0" encoding="klingon"?><root>' + data)
    name("txt").write_bytes(data.replace(b'"response"', b'"answer"', 2))
    name("json").write_text(f'{{"{marks.stray()}": "{marks.stray()}"}}', encoding="utf-8")
    name("json").write_text(f'["{marks.stray()}", {{"{marks.stray()}": 1}}]', encoding="utf-8")


def _marked(answer: Any, marks: Marks) -> Any:
    """Copy an answer; all that is personal in it is new and marked."""
    answer = copy.deepcopy(answer)
    customers = answer["response"].get("customer") or []
    for customer in customers if isinstance(customers, list) else [customers]:
        if not isinstance(customer, dict):
            continue
        customer |= {name: marks.value(name) for name in _IDENTITIES}
        for item in _items(customer):
            item["custom_fields"] = {"field": [{"name": "card", "value": marks.value("value")}]}
            item["notes"] = marks.value("notes")
    return answer


def _items(customer: dict[str, Any]) -> Iterator[dict[str, Any]]:
    redemptions = customer.get("redemptions")
    for kind in ("coupons", "points"):
        held = redemptions.get(kind) if isinstance(redemptions, dict) else None
        items = held.get(kind[:-1]) if isinstance(held, dict) else None
        for item in items if isinstance(items, list) else [items]:
            if isinstance(item, dict):
                yield item


def _broken(marks: Marks, every: int = 1) -> Iterator[dict[str, Any]]:
    """Give answers that have, for each field of the contract, something else there."""
    wrongs = [(path, wrong) for path, node in _fields(ANSWER) for wrong in _wrongs(node)]
    for path, wrong in wrongs[::every]:
        answer = _filled(ANSWER)
        for customer in answer["response"]["customer"]:
            customer |= {name: marks.value(name) for name in _IDENTITIES}
        place: Any = answer
        for step in path[:-1]:
            place = place[step]
        place[path[-1]] = wrong(marks)
        yield answer
    unknown = _filled(ANSWER)
    unknown["response"]["customer"][0] |= {marks.stray("field"): 1, marks.stray("a.b"): 2}
    yield unknown
    refused = {"success": "false", "code": 816, "message": f"{marks.value('mobile')} is not known"}
    yield {
        "response": {
            "status": refused | {"message": f"{marks.value('email')} is not known"},
            "customer": [{"mobile": marks.value("mobile"), "item_status": refused}],
        }
    }
    yield {"response": {"customers": {marks.stray("key"): {"mobile": marks.stray("mobile")}}}}


def _wrongs(node: Kind | Shape | Many) -> Iterator[Callable[[Marks], Any]]:
    yield lambda marks: {marks.stray(): marks.stray(), "also": [marks.stray("mobile")]}
    yield lambda marks: [[marks.stray()]]
    if node is not Kind.TEXT:
        yield lambda marks: f"{marks.stray('mobile')} {marks.stray('email')}"


def _fields(
    shape: Shape, path: tuple[Any, ...] = ()
) -> Iterator[tuple[tuple[Any, ...], Kind | Shape | Many]]:
    for name, node in shape.fields.items():
        yield (*path, name), node
        if isinstance(node, Many):
            yield from _fields(node.shape, (*path, name, 0))
        elif isinstance(node, Shape):
            yield from _fields(node, (*path, name))


def _filled(shape: Shape) -> dict[str, Any]:
    """Write an object of which every field is there."""
    plain = {Kind.TEXT: "t", Kind.TIME: "2025-03-10 14:37:11", Kind.BOOLEAN: True}
    filled: dict[str, Any] = {}
    for name, node in shape.fields.items():
        if isinstance(node, Many):
            filled[name] = [_filled(node.shape)]
        else:
            filled[name] = _filled(node) if isinstance(node, Shape) else plain.get(node, 7)
    for name in set(filled) & {*_IDENTITIES, "notes"}:
        filled[name] = None
    return filled
