"""Writing all cases of an audit, and what was rejected, for those who look them up."""

from __future__ import annotations

import logging
import os
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

import narwhals as nw
import pyarrow.parquet as pq

from redemption_analytics.atomic_directory import check_replaceable, written_beside
from redemption_analytics.audits.cases import audit_cases
from redemption_analytics.tables.arguments import path_of
from redemption_analytics.tables.frames import as_arrow
from redemption_analytics.tables.lazy import frame, native
from redemption_analytics.tables.separated import csv_of

if TYPE_CHECKING:
    from redemption_analytics.redemptions import Redemptions

_LOG = logging.getLogger(__name__)

_FILES = ("cases.csv", "cases.parquet", "rejects.csv", "rejects.parquet")

#: The columns of rejects that are shown: not their text, which may be about people.
_SHOWN = ("source", "record", "line", "path", "reason")


def write_cases(r: Redemptions, directory: str | os.PathLike[str]) -> list[Path]:
    """Write the cases that :func:`audit_cases` lists, and what was rejected, as CSV and Parquet.

    Parameters
    ----------
    r
        The bundle.
    directory
        It appears whole or not at all; what was written there before is replaced, any other
        directory that is not empty is refused.

    Returns
    -------
    list of pathlib.Path
        ``cases`` and ``rejects``, each as ``.csv`` and ``.parquet``. Rejects are named by their
        places, without their text.

    Raises
    ------
    UsageError
        If the directory holds something else.
    WriteError
        If the disk is full, the directory may not be written to, or another run is writing it.

    Examples
    --------
    >>> import redemption_analytics as ra
    >>> import tempfile
    >>> r = ra.load("data_samples/2025-stores.json")
    >>> [file.name for file in write_cases(r, tempfile.mkdtemp())]
    ['cases.csv', 'cases.parquet', 'rejects.csv', 'rejects.parquet']
    """
    target = path_of(directory, "directory")
    with written_beside(target, partial(check_replaceable, own=_own, overwrite=True)) as fresh:
        rejects = frame(r.rejects).select(*map(nw.col, _SHOWN))
        tables = {"cases": audit_cases(r), "rejects": native(rejects)}
        for name, found in tables.items():
            table = as_arrow(found).replace_schema_metadata()
            (fresh / f"{name}.csv").write_bytes(csv_of(table))
            pq.write_table(table, fresh / f"{name}.parquet")
            _LOG.info("%d %s written", table.num_rows, name)
    return [target / name for name in _FILES]


def _own(directory: Path) -> set[str]:
    """List what was written to a directory; nothing if something else stands there."""
    return {*_FILES} if all((directory / name).is_file() for name in _FILES) else set()
