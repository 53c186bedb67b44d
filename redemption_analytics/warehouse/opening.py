"""Opening versions of a warehouse as bundles."""

from __future__ import annotations

from datetime import datetime

import pyarrow as pa

from redemption_analytics.columns import TABLES
from redemption_analytics.loading.open import Reader
from redemption_analytics.redemptions import Redemptions
from redemption_analytics.tables.ledger import FINDINGS, LEDGER
from redemption_analytics.warehouse.files import read_rows
from redemption_analytics.warehouse.log import Entry, Log
from redemption_analytics.warehouse.store import Store


def opened(store: Store, entry: Entry, reader: Reader) -> Redemptions:
    """Open a version.

    Parameters
    ----------
    store
        Holds its files.
    entry
        The version.
    reader
        Makes frames of them.
    """
    frames = {}
    for name in (*TABLES, LEDGER, FINDINGS):
        files = entry.tables[name]
        paths = [path for file in files if (path := store.path(file.path)) is not None]
        if len(paths) == len(files):
            frames[name] = reader.of_files(paths, name)
        else:
            table = pa.concat_tables([read_rows(store, file) for file in files])
            frames[name] = reader.of_arrow(table, name)
    return Redemptions(**frames)


def known_on(
    store: Store, log: Log, newest: Entry, moment: datetime, reader: Reader
) -> Redemptions:
    """Open what exports told that had been made until a moment.

    Parameters
    ----------
    store, log
        The warehouse's.
    newest
        Its newest version.
    moment
        The moment, exclusive.
    reader
        Makes frames.
    """
    raise NotImplementedError
