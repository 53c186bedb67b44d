"""Converting exports to Parquet, one folder per table."""

from __future__ import annotations

import logging
import os
from functools import partial
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Unpack

import pyarrow as pa

from redemption_analytics.atomic_directory import check_replaceable, write_folders, written_beside
from redemption_analytics.loading.loading import gather
from redemption_analytics.loading.option_checks import checked, flag
from redemption_analytics.merging.stores import OnDisk
from redemption_analytics.options import DECLARED, LoadOptions
from redemption_analytics.sources.find import Source
from redemption_analytics.tables.arguments import path_of, public_with
from redemption_analytics.tables.ledger import CASES, FINDINGS, LEDGER
from redemption_analytics.tables.outputs import converted_files
from redemption_analytics.tables.parts import PARTS

if TYPE_CHECKING:
    import pandas as pd

_LOG = logging.getLogger(__name__)


@public_with(DECLARED)
def convert(
    source: Source,
    directory: str | os.PathLike[str],
    *,
    overwrite: bool = False,
    **options: Unpack[LoadOptions],
) -> pd.DataFrame:
    """Load an export and write its tables as Parquet, one folder per table.

    The tables are those of :func:`redemption_analytics.load`, row for row, and memory stays
    bounded: blocks come in and row groups go out; what overlaps is merged on disk.

    Parameters
    ----------
    source
        As :func:`redemption_analytics.load` takes it.
    directory
        Where to write. It appears whole or not at all, even if the run is killed.
    overwrite
        Whether to replace the directory where it exists.
    **options
        The options of :func:`redemption_analytics.load`.

    Returns
    -------
    pandas.DataFrame
        The ledger.

    Raises
    ------
    UsageError
        If the directory exists and is not empty, without ``overwrite``; or holds what this function
        did not write; or an option is unknown or makes no sense.
    SourceError
        If nothing of the source can be used: it holds no answers, or all of them failed or were
        refused. ``allow_empty`` lets that pass.
    WriteError
        If the disk is full, the directory may not be written to, or another run is writing it.

    Examples
    --------
    >>> import redemption_analytics as ra
    >>> import tempfile
    >>> folder = tempfile.mkdtemp()
    >>> ledger = ra.convert("data_samples/2020-breakups.json", folder)
    >>> len(ra.open(folder).points)
    2
    """
    ledger: pd.DataFrame = converted(source, directory, options, overwrite=overwrite).to_pandas()
    return ledger


def converted(
    source: Source,
    directory: str | os.PathLike[str],
    options: LoadOptions,
    *,
    overwrite: bool = False,
) -> pa.Table:
    """Convert as :func:`convert` does; return the ledger in Arrow."""
    checked(options)  # before anything is made
    target = path_of(directory, "directory")
    check = partial(check_replaceable, own=converted_files, overwrite=flag("overwrite", overwrite))
    with written_beside(target, check) as fresh:
        with TemporaryDirectory(dir=fresh) as scratch, OnDisk(fresh, scratch, PARTS) as keep:
            books, found, cases = gather(source, keep, options, useful=True)
            keep.finish()
        write_folders({LEDGER: books, FINDINGS: found, CASES: cases}, fresh)
    _LOG.info("the tables are in their place")
    return books
