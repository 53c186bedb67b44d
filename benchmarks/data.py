"""The data: exports of a synthetic organisation, in every shape that the library reads.

Whatever is made is kept under its directory, and not made again where it is there already.
"""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from random import Random
from typing import Any

from redemption_analytics.sample import Edition, Organisation, damaged, write_export

_NEWEST = datetime(2026, 11, 20, 3)
_MANY = 100_000_000  # customers: more than are ever asked for, and none is made before
_DAMAGE = 0.01
_NAME = f"{_NEWEST:%Y-%m-%d}.jsonl"  # in which the library finds when the export was made


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
        Whether the same tables have to come out as of the clean export.
    """

    title: str
    write: Callable[[Path, Path], None]
    path: str
    same: bool = True


def clean_export(directory: Path, megabytes: float) -> Path:
    """Write one JSON Lines file of the edition of December 2025."""
    path = directory / f"{megabytes:g}-mb" / "clean" / _NAME
    return _made(path, lambda to: _save(to, _first(_lines("2025-12"), megabytes)))


def beginning(directory: Path, export: Path, megabytes: float) -> Path:
    """Write the first megabytes of an export, in whole lines, as an export of its own."""

    def write(to: Path) -> None:
        with export.open(encoding="utf-8") as lines:
            _save(to, _first(lines, megabytes))

    return _made(directory / f"{megabytes:g}-mb" / "beginning" / _NAME, write)


def shaped(directory: Path, export: Path, name: str) -> Path:
    """Write an export of about the size and content of the clean one, in one of the shapes."""
    shape = SHAPES[name]
    path = directory / f"{export.parent.parent.name}" / name / shape.path
    return _made(path, lambda to: shape.write(export, to))


def files_of(path: Path) -> list[Path]:
    """List the files of an export."""
    return [file for file in path.rglob("*") if file.is_file()] if path.is_dir() else [path]


def unpacked_megabytes(path: Path, export: Path) -> float:
    """Tell how much there is to parse: of a compressed file that is the clean export's size."""
    files = [export] if path.suffix in (".gz", ".zst") else files_of(path)
    return sum(file.stat().st_size for file in files) / 1e6


def _made(path: Path, write: Callable[[Path], None]) -> Path:
    if not path.exists():
        # A name of the same ending: what is half written is not found there the next time.
        half = path.with_name(f"half-{path.name}")
        if half.is_dir():
            shutil.rmtree(half)
        path.parent.mkdir(parents=True, exist_ok=True)
        write(half)
        half.rename(path)
    return path


def _lines(edition: Edition, as_of: datetime = _NEWEST, customers: int = _MANY) -> Iterator[str]:
    answers = Organisation(customers, 1).answers(edition, as_of=as_of)
    return (
        json.dumps(answer, separators=(",", ":"), ensure_ascii=False) + "\n" for answer in answers
    )


def _first(lines: Iterable[str], megabytes: float) -> Iterator[str]:
    size = 0
    for line in lines:
        yield line
        size += len(line)
        if size >= megabytes * 1e6:
            return


def _save(path: Path, lines: Iterable[str]) -> None:
    with path.open("w", encoding="utf-8", newline="\n") as out:
        out.writelines(lines)


def _answers(export: Path) -> Iterator[Any]:
    with export.open("rb") as lines:
        yield from map(json.loads, lines)


def _small_files(export: Path, to: Path) -> None:
    to.mkdir()
    with export.open("rb") as lines:
        for number, line in enumerate(lines):
            folder = to / f"{number // 1000:03d}"
            if not number % 1000:
                folder.mkdir()
            (folder / f"{number:06d}.json").write_bytes(line)


def _compressed(export: Path, to: Path) -> None:
    import pyarrow as pa

    # What the ending says, at the level that Arrow takes by itself.
    with export.open("rb") as plain, pa.output_stream(str(to), compression="detect") as out:
        shutil.copyfileobj(plain, out, 1 << 20)


def _array(export: Path, to: Path) -> None:
    write_export(to, _answers(export), style="array")


def _xml(export: Path, to: Path) -> None:
    write_export(to, _answers(export), style="xml-2020")


def _repeated_tags(export: Path, to: Path) -> None:
    write_export(to, _answers(export), style="xml-2018")


def _pretty(export: Path, to: Path) -> None:
    write_export(to, _answers(export), style="pretty")


def _damaged(export: Path, to: Path) -> None:
    with export.open(encoding="utf-8") as lines:
        _save(to, damaged(lines, _DAMAGE, Random(1)))


def _overlapping(export: Path, to: Path) -> None:
    to.mkdir()
    third = export.stat().st_size / 3e6
    newest = list(_first(_lines("2025-12"), third))
    _save(to / f"{_NEWEST:%Y-%m-%d}.jsonl", newest)
    for month in (10, 9):
        as_of = _NEWEST.replace(month=month)
        _save(to / f"{as_of:%Y-%m-%d}.jsonl", _lines("2025-12", as_of, len(newest)))


def _edition(edition: Edition) -> Callable[[Path, Path], None]:
    def write(export: Path, to: Path) -> None:
        _save(to, _first(_lines(edition), export.stat().st_size / 1e6))

    return write


#: The shapes beside the clean single file, by name, in the order of the table.
SHAPES: dict[str, Shape] = {
    "small-files": Shape("{files:,} small files", _small_files, "2026-11-20"),
    "gz": Shape(".gz", _compressed, f"{_NAME}.gz"),
    "zst": Shape(".zst", _compressed, f"{_NAME}.zst"),
    "array": Shape("one JSON array", _array, "2026-11-20.json"),
    "pretty": Shape("pretty-printed", _pretty, "2026-11-20.json"),
    "xml": Shape("XML (element lists)", _xml, "2026-11-20.xml"),
    "xml-2018": Shape("XML (repeated tags)", _repeated_tags, "2026-11-20.xml"),
    "damaged": Shape("1 % of the answers damaged", _damaged, _NAME, same=False),
    "overlapping": Shape("{files} overlapping exports", _overlapping, "exports", same=False),
    "2018": Shape("edition 2018 (bare objects)", _edition("2018"), _NAME, same=False),
    "2020": Shape("edition 2020 (bare coupons)", _edition("2020"), _NAME, same=False),
}
