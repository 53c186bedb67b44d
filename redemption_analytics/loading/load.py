"""Loading: from a source to validated tables in memory."""

from __future__ import annotations

from typing import Unpack

import pandas as pd
import pyarrow as pa

from redemption_analytics.flattening.flatten import Tables
from redemption_analytics.loading.loading import gather
from redemption_analytics.memory import system_memory
from redemption_analytics.merging.stores import InMemory
from redemption_analytics.options import DECLARED, LoadOptions
from redemption_analytics.redemptions import Redemptions
from redemption_analytics.sources.find import Source
from redemption_analytics.tables.arguments import public_with
from redemption_analytics.tables.arrow import check_whole, declared
from redemption_analytics.tables.parts import whole_of


@public_with(DECLARED)
def load(source: Source, **options: Unpack[LoadOptions]) -> Redemptions[pd.DataFrame]:
    """Load redemption exports into validated pandas DataFrames.

    Parameters
    ----------
    source
        A file, a directory (read with all that is below it), a glob, an open binary file, a URI
        that ``pyarrow.fs`` reads, a decoded payload (dict) or raw one (bytes), a frame with a
        column ``payload`` (pandas, Polars, PyArrow, DuckDB), or an iterable of these; text is
        always a path. Files hold JSON answers (one, many, in lines or in an array), XML in either
        dialect, or Parquet, CSV or TSV with a column ``payload``; plain, .gz, .bz2, .zst, .lz4,
        .xz, or in a .zip or .tar. Contents tell what they are, not names. A Delta table is read as
        its newest version, by the extra ``delta``. Every file of a directory stands in the table
        ``files``, those that are passed over too: hidden ones (a name in their path begins with
        "." or "_"), and those that are no exports.
    exported_at
        When the exports were made: a date (its midnight), a datetime, or text such as
        ``"2026-11-20"`` or ``"2026-11-20T03:00"``, which may carry a UTC offset. By default the
        last date (and time) in each file's path tells, and where there is none the file's
        modification time (UTC). Where a redemption was seen more than once, the newest export wins,
        and of equally new ones that whose name comes last (payloads and frames have none, and count
        in their order); so the order in which files are given changes nothing.
    on_error
        ``"quarantine"`` puts what does not fit the contract into ``rejects`` and goes on;
        ``"raise"`` stops there.
    points
        ``"int"`` for whole points; ``"decimal"`` reads up to three decimal places exactly and
        gives float64.
    pii
        ``"keep"``; ``"pseudonymize"`` replaces customer keys by keyed hashes (the key comes from
        the environment variable ``REDEMPTION_ANALYTICS_PII_KEY``) and drops all other personal
        data: names, notes, values of custom fields, messages of answers, texts of rejects, refused
        values, and names of unknown fields. Files are called by keyed hashes too, for one may be
        named after a customer. ``"drop"`` does the same with a random key.
    keep_custom_fields
        Names of custom fields whose values stay under any ``pii``.
    customer_key
        Which identity names a customer; by default the first present of user_id, external_id,
        mobile and email.
    timezone
        IANA name of the organisation's time zone; needed only where times carry a UTC offset.
    threads
        How many blocks or files are parsed at once. Up to 4 by threads; beyond, where there are
        many files and much to read (a gigabyte of text, or ten thousand small files), by processes,
        which read them too and take some 120 MB each. By default as many as there are cores, up to
        8 of these.
    max_record_bytes
        A record of more bytes (of text, unpacked) is refused unread; by default 64 MiB.
    progress
        Whether to show a progress bar; by default on a terminal, and in a notebook where the load
        takes longer than a second.
    allow_empty
        Whether a source without any answers gives empty tables, in place of an error.

    Returns
    -------
    Redemptions
        The eleven tables, the ledger, the findings and their cases.

    Raises
    ------
    SourceError
        If a path is missing, or nothing in the source can be read.
    UsageError
        If an option is unknown or makes no sense.
    RejectedError
        Under ``on_error="raise"``, at the first element that does not fit the contract.

    Examples
    --------
    >>> import redemption_analytics as ra
    >>> r = ra.load("data_samples/2025-stores.json")
    >>> r.reversals[["reversal_id", "redemption_key", "points_reversed"]]
       reversal_id redemption_key  points_reversed
    0      2000001         cLrg2k              250
    """
    with system_memory():
        keep = InMemory()
        books, found, cases = gather(source, keep, options)
        tables = {name: declared(name, table) for name, table in _whole(keep.tables()).items()}
        check_whole(tables)
        return Redemptions.from_arrow(tables, books, found, cases)


def _whole(parts: Tables) -> Tables:
    """Return whole tables, the parts of each put together."""
    tables: Tables = {}
    for name, table in parts.items():
        whole = whole_of(name)
        tables[whole] = pa.concat_tables([tables[whole], table]) if whole in tables else table
    return tables
