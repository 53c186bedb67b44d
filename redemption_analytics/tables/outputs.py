"""What this library wrote: converted directories and reports, told from anybody else's."""

from __future__ import annotations

import json
import os
from collections.abc import Iterable
from pathlib import Path

from redemption_analytics.columns import TABLES
from redemption_analytics.tables.ledger import CASES, FINDINGS, LEDGER

#: The folders of a converted directory.
FOLDERS = (*TABLES, LEDGER, FINDINGS, CASES)

#: The first file of each.
PART = "part-0.parquet"

#: The entry of a warehouse's first version.
FIRST_ENTRY = f"log/{1:020}.json"

#: What lists the files of a report, and what tells it from any other manifest.
MANIFEST, GENERATOR = "manifest.json", "redemption_analytics"


def is_converted(directory: str | os.PathLike[str]) -> bool:
    """Check whether exports were converted into a directory, though some of it may be gone.

    >>> is_converted("data_samples")
    False
    """
    return have_tables(
        name for name in FOLDERS if os.path.isfile(os.path.join(directory, name, PART))
    )


def is_converted_table(directory: str | os.PathLike[str]) -> bool:
    """Check whether a directory is one table of a converted one.

    >>> is_converted_table("data_samples")
    False
    """
    above, name = os.path.split(os.path.realpath(directory))
    return name in FOLDERS and is_converted(above)


def have_tables(folders: Iterable[str]) -> bool:
    """Check whether folders that hold a part are those of a converted directory.

    Exports may well be in folders called points and coupons, or ledger; hardly in most of these.
    """
    return 2 * len(set(folders) & {*FOLDERS}) > len(FOLDERS)


def is_warehouse_directory(directory: str | os.PathLike[str]) -> bool:
    """Check whether a directory is a warehouse: it has the entry of its first version.

    >>> is_warehouse_directory("data_samples")
    False
    """
    return os.path.isfile(os.path.join(directory, FIRST_ENTRY))


def is_report(directory: str | os.PathLike[str]) -> bool:
    """Check whether a report was written to a directory.

    >>> is_report("data_samples")
    False
    """
    return bool(report_files(Path(directory)))


def converted_files(directory: Path) -> set[str]:
    """List what was converted into a directory, by relative paths; nothing if it is no such one."""
    if not is_converted(directory):
        return set()
    files = {
        path.relative_to(directory).as_posix()
        for folder in FOLDERS
        for path in (directory / folder).glob("part-*.parquet")
    }
    return {*FOLDERS} | files


def report_files(directory: Path) -> set[str]:
    """List what the report in a directory consists of; nothing if there is none."""
    try:
        said = json.loads((directory / MANIFEST).read_bytes())
        return {MANIFEST, *said["files"]} if said["generator"] == GENERATOR else set()
    except (OSError, ValueError, TypeError, KeyError):
        return set()
