"""The data: exports of two organisations, clean and whole.

Whatever is made is kept under its directory, and not made again where it is there already.
"""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

from benchmarks.foreign import foreign_lines
from benchmarks.foreign_xml import write_foreign_xml
from redemption_analytics.sample import Organisation, write_export

NEWEST = datetime(2026, 11, 20, 3)
#: A file's name, in which the library finds when the export was made.
NAME = f"{NEWEST:%Y-%m-%d}.jsonl"
_MANY = 100_000_000  # customers: more than are ever asked for, and none is made before


@dataclass(frozen=True)
class Data:
    """An organisation whose exports can be made.

    Attributes
    ----------
    name
        What it is called in tables and options.
    make
        Yields lines of JSON, for an edition, a time of asking, and a number of customers.
    write_xml
        Writes a JSON Lines export to a path as XML, with lists of elements (2020) or repeated tags.
    indent
        What a pretty-printed export is indented by.
    """

    name: str
    make: Callable[[str, datetime, int], Iterator[str]]
    write_xml: Callable[[Path, Path, bool], None]
    indent: int | str

    def lines(
        self, edition: str = "2025-12", as_of: datetime = NEWEST, customers: int = _MANY
    ) -> Iterator[bytes]:
        """Yield an export's lines."""
        return (line.encode() for line in self.make(edition, as_of, customers))


def _own_lines(edition: str, as_of: datetime, customers: int) -> Iterator[str]:
    answers = Organisation(customers, 1).answers(edition, as_of=as_of)  # type: ignore[arg-type]
    return (
        json.dumps(answer, separators=(",", ":"), ensure_ascii=False) + "\n" for answer in answers
    )


def _write_own_xml(export: Path, to: Path, elements: bool) -> None:
    with export.open("rb") as lines:
        write_export(to, map(json.loads, lines), style="xml-2020" if elements else "xml-2018")


#: The organisations, by name: the library's own sample, and one that it does not know.
DATA: dict[str, Data] = {
    "own": Data("own", _own_lines, _write_own_xml, 2),
    "foreign": Data("foreign", foreign_lines, write_foreign_xml, "\t"),
}


def clean_export(directory: Path, data: Data, megabytes: float) -> Path:
    """Write one JSON Lines file of the edition of December 2025."""
    path = directory / data.name / f"{megabytes:g}-mb" / "clean" / NAME
    return made(path, lambda to: save(to, first(data.lines(), megabytes)))


def beginning(directory: Path, data: Data, export: Path, megabytes: float) -> Path:
    """Write the first megabytes of an export, in whole lines, as an export of its own."""

    def write(to: Path) -> None:
        with export.open("rb") as lines:
            save(to, first(lines, megabytes))

    return made(directory / data.name / f"{megabytes:g}-mb" / "beginning" / NAME, write)


def made(path: Path, write: Callable[[Path], None]) -> Path:
    """Write what is to be at a path, if it is not there yet."""
    if not path.exists():
        # A name of the same ending: what is half written is not found there the next time.
        half = path.with_name(f"half-{path.name}")
        if half.is_dir():
            shutil.rmtree(half)
        path.parent.mkdir(parents=True, exist_ok=True)
        write(half)
        half.rename(path)
    return path


def first(lines: Iterable[bytes], megabytes: float) -> Iterator[bytes]:
    """Yield lines until there are so many megabytes."""
    size = 0
    for line in lines:
        yield line
        size += len(line)
        if size >= megabytes * 1e6:
            return


def save(path: Path, lines: Iterable[bytes]) -> None:
    """Write lines to a file."""
    with path.open("wb") as out:
        out.writelines(lines)
