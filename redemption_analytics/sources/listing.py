"""Listing a directory: which of its files are read, and why the others are passed over."""

from __future__ import annotations

import os
from collections import defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from redemption_analytics.contract import PAYLOAD_COLUMN
from redemption_analytics.sources.export import HIDDEN
from redemption_analytics.sources.lakes import (
    LOG,
    NOT_IN_TABLE,
    OF_THE_LOG,
    WITHIN_TABLE,
    DeltaTable,
    check_tables,
    delta_tables,
)
from redemption_analytics.tables.outputs import FIRST_ENTRY, MANIFEST, PART, have_tables, is_report

_CONVERTED = "a part of a converted directory, and no export"
WAREHOUSE = "a part of a warehouse, and no export"
_REPORT = "a part of a report, and no export"

_FIRST = f"/{FIRST_ENTRY}"


@dataclass(frozen=True)
class Listed:
    """A file below a directory.

    Attributes
    ----------
    path
        Its path there.
    passed_over
        Why it is not read; None if it is.
    payloads
        The payloads of a table that is more than its files, which then stands for the folder.
    """

    path: str
    passed_over: str | None = None
    payloads: Iterator[bytes] | None = None


def listed(paths: Sequence[str], root: str) -> list[Listed]:
    """Return each file below a directory, and whether it is read.

    Parameters
    ----------
    paths
        Their paths there, with slashes.
    root
        The directory, by its path or URI.

    Raises
    ------
    NoSourceError
        If a table among them needs a tool that is not there.
    """
    warehouses = tuple(p.removesuffix(FIRST_ENTRY) for p in paths if f"/{p}".endswith(_FIRST))
    within = {path for path in paths if warehouses and path.startswith(warehouses)}
    others = [path for path in paths if path not in within]
    check_tables(others, root)
    reasons = dict.fromkeys(within, WAREHOUSE)
    extra: list[Listed] = []
    taken: set[str] = set()
    for folder in delta_tables(others):
        table = DeltaTable(os.path.join(root, folder) if folder else root)
        own = {path for path in paths if path.startswith(folder) and path not in reasons}
        reasons |= {path: _of_table(path.removeprefix(folder)) for path in own}
        files = {folder + file for file in table.files}
        if table.plain:
            taken |= own & files
        else:
            reasons |= dict.fromkeys(own & files, WITHIN_TABLE)
            extra.append(Listed(folder.rstrip("/"), payloads=table.payloads(PAYLOAD_COLUMN)))
    for folder, reason in _own_folders(paths, root):
        own = {path for path in paths if path.startswith(folder)}
        reasons = dict.fromkeys(own, reason) | reasons
    return [
        Listed(path, None if path in taken else reasons.get(path) or _hidden(path))
        for path in paths
    ] + extra


def _of_table(path: str) -> str:
    return OF_THE_LOG if path.startswith(LOG) else NOT_IN_TABLE


def _own_folders(paths: Sequence[str], root: str) -> Iterator[tuple[str, str]]:
    """Find the folders that this library wrote."""
    tables: defaultdict[str, set[str]] = defaultdict(set)
    for path in paths:
        if path.endswith(f"/{PART}"):
            folder, _, table = path.removesuffix(f"/{PART}").rpartition("/")
            tables[f"{folder}/" if folder else ""].add(table)
        elif path.endswith(MANIFEST):
            folder = path.removesuffix(MANIFEST)
            if is_report(os.path.join(root, folder)):
                yield folder, _REPORT
    for folder, names in tables.items():
        if have_tables(names):
            yield folder, _CONVERTED


def _hidden(path: str) -> str | None:
    hidden = path.startswith((".", "_")) or "/." in path or "/_" in path
    return HIDDEN if hidden else None
