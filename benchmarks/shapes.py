"""The shapes in which an export may come: packed, wrapped, split, damaged, old, as XML."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from random import Random

from benchmarks.data import NAME, NEWEST, Data, first, made, save
from redemption_analytics.sample import damaged

_DAMAGE = 0.01
_FILES = 10_000  # of one answer each, if there are so many


@dataclass(frozen=True)
class Shape:
    """A way in which an export may come.

    Attributes
    ----------
    title
        What the table calls it; ``{files}`` stands for how many files there are.
    write
        Writes it from the clean export to a path.
    path
        Where, relative to the directory.
    same
        Whether the same tables have to come out as of what it is compared with.
    beside
        The shape that it is compared with, if not the clean export.
    """

    title: str
    write: Callable[[Data, Path, Path], None]
    path: str
    same: bool = True
    beside: str | None = None


def shaped(data: Data, export: Path, name: str) -> Path:
    """Write an export of about the size and content of the clean one, in one of the shapes."""
    shape = SHAPES[name]
    path = export.parent.parent / name / shape.path
    return made(path, lambda to: shape.write(data, export, to))


def small_file(export: Path) -> Path:
    """Write the first answer of an export as a file of its own."""
    path = export.parent.parent / "small-file" / "2026-11-20.json"
    return made(path, lambda to: save(to, _start(export, 1)))


def files_of(path: Path) -> list[Path]:
    """List the files of an export."""
    return [file for file in path.rglob("*") if file.is_file()] if path.is_dir() else [path]


def unpacked_megabytes(path: Path, export: Path) -> float:
    """Tell how much there is to parse: of a compressed file that is the clean export's size."""
    files = [export] if path.suffix in (".gz", ".zst") else files_of(path)
    return sum(file.stat().st_size for file in files) / 1e6


def _start(export: Path, answers: int) -> Iterator[bytes]:
    with export.open("rb") as lines:
        yield from islice(lines, answers)


def _small_files(_data: Data, export: Path, to: Path) -> None:
    to.mkdir()
    for number, line in enumerate(_start(export, _FILES)):
        folder = to / f"{number // 1000:03d}"
        if not number % 1000:
            folder.mkdir()
        (folder / f"{number:06d}.json").write_bytes(line)


def _same_in_one(_data: Data, export: Path, to: Path) -> None:
    save(to, _start(export, _FILES))


def _compressed(_data: Data, export: Path, to: Path) -> None:
    import pyarrow as pa

    # What the ending says, at the level that Arrow takes by itself.
    with export.open("rb") as plain, pa.output_stream(str(to), compression="detect") as out:
        shutil.copyfileobj(plain, out, 1 << 20)


def _array(_data: Data, export: Path, to: Path) -> None:
    with export.open("rb") as lines, to.open("wb") as out:
        for number, line in enumerate(lines):
            out.write((b",\n" if number else b"[\n") + line.rstrip(b"\n"))
        out.write(b"\n]\n")


def _pretty(data: Data, export: Path, to: Path) -> None:
    with export.open("rb") as lines, to.open("w", encoding="utf-8", newline="\n") as out:
        for line in lines:
            out.write(json.dumps(json.loads(line), indent=data.indent, ensure_ascii=False) + "\n")


def _xml(elements: bool) -> Callable[[Data, Path, Path], None]:
    return lambda data, export, to: data.write_xml(export, to, elements)


def _damaged(_data: Data, export: Path, to: Path) -> None:
    with export.open(encoding="utf-8", newline="\n") as lines:
        save(to, (line.encode() for line in damaged(lines, _DAMAGE, Random(1))))


def _overlapping(data: Data, export: Path, to: Path) -> None:
    to.mkdir()
    newest = list(first(data.lines(), export.stat().st_size / 3e6))
    save(to / NAME, newest)
    for month in (10, 9):
        as_of = NEWEST.replace(month=month)
        save(to / f"{as_of:%Y-%m-%d}.jsonl", data.lines("2025-12", as_of, len(newest)))


def _edition(edition: str) -> Callable[[Data, Path, Path], None]:
    def write(data: Data, export: Path, to: Path) -> None:
        save(to, first(data.lines(edition), export.stat().st_size / 1e6))

    return write


#: The shapes beside the clean single file, by name, in the order of the table.
SHAPES: dict[str, Shape] = {
    "array": Shape("one JSON array", _array, "2026-11-20.json"),
    "pretty": Shape("pretty-printed", _pretty, "2026-11-20.json"),
    "gz": Shape(".gz", _compressed, f"{NAME}.gz"),
    "zst": Shape(".zst", _compressed, f"{NAME}.zst"),
    "damaged": Shape("1 % of the answers damaged", _damaged, NAME, same=False),
    "2018": Shape("edition 2018 (bare objects)", _edition("2018"), NAME, same=False),
    "2020": Shape("edition 2020 (bare coupons)", _edition("2020"), NAME, same=False),
    "xml": Shape("XML (element lists)", _xml(True), "2026-11-20.xml"),
    "xml-2018": Shape("XML (repeated tags)", _xml(False), "2026-11-20.xml"),
    "overlapping": Shape("{files} overlapping exports", _overlapping, "exports", same=False),
    "small-files": Shape("{files:,} small files", _small_files, "2026-11-20", beside="in-one"),
    "in-one": Shape("the small files in one", _same_in_one, NAME, same=False),
}
