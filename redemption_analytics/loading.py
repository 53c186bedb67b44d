"""The main job: from a source to validated tables."""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager
from datetime import UTC, datetime
from typing import Any, Literal
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

import pyarrow as pa

from redemption_analytics.contract import IDENTITIES, PointsType
from redemption_analytics.errors import SourceError, UsageError
from redemption_analytics.exports import Export
from redemption_analytics.flatten import Flattening, Tables
from redemption_analytics.harvest import Harvest
from redemption_analytics.keeping import InMemory, Keep
from redemption_analytics.limits import MAX_RECORD_BYTES
from redemption_analytics.memory import system_memory
from redemption_analytics.parsing import Parser
from redemption_analytics.personal import Pii, pseudonym, renamed
from redemption_analytics.progress import progress_bar
from redemption_analytics.redemptions import Redemptions
from redemption_analytics.settling import PARTS
from redemption_analytics.sources import Source, find_exports

OnError = Literal["quarantine", "raise"]
CustomerKey = Literal["user_id", "external_id", "mobile", "email"]

#: What parsing gains from more threads than these, merging in order holds up.
_MOST_WORKERS = 4


def load(
    source: Source,
    *,
    exported_at: str | datetime | None = None,
    on_error: OnError = "quarantine",
    points: PointsType = "int",
    pii: Pii = "keep",
    keep_custom_fields: Sequence[str] = (),
    customer_key: CustomerKey | None = None,
    timezone: str | None = None,
    threads: int | None = None,
    max_record_bytes: int = MAX_RECORD_BYTES,
    progress: bool | None = None,
) -> Redemptions:
    """Load redemption exports into validated pandas DataFrames.

    Parameters
    ----------
    source
        A file, a directory (read with all that is below it), a glob, an open binary file, a URI
        that ``pyarrow.fs`` reads, a decoded payload (dict) or raw one (bytes), or an iterable of
        these; text is always a path. Files hold JSON answers (one, many, in lines or in an array),
        XML in either dialect, or Parquet with a column ``payload``; plain, .gz, .bz2, .zst, .lz4
        or in a .zip. Contents tell what they are, not names.
    exported_at
        When the exports were made. By default the last date (and time) in each file's path tells,
        and where there is none the file's modification time (UTC). Where a redemption was seen more
        than once, the newest export wins, and of equally new ones the later one read.
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
        How many blocks are parsed at once; by default as many as there are cores, up to 4.
    max_record_bytes
        A record of more bytes (of text, unpacked) is refused unread; by default 64 MiB.
    progress
        Whether to show a progress bar; by default on a terminal, and in a notebook where the load
        takes longer than a second.

    Returns
    -------
    Redemptions
        The ten tables, the ledger and the findings.

    Raises
    ------
    SourceError
        If a path is missing, or nothing in the source can be read.
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
        books, found = gather(
            source,
            keep,
            exported_at=exported_at,
            on_error=on_error,
            points=points,
            pii=pii,
            keep_custom_fields=keep_custom_fields,
            customer_key=customer_key,
            timezone=timezone,
            threads=threads,
            max_record_bytes=max_record_bytes,
            progress=progress,
        )
        return Redemptions.from_arrow(_ten(keep.tables()), books, found).validate()


def _ten(tables: Tables) -> Tables:
    """Put the tables together that are parts of one."""
    ten: Tables = {}
    for name, table in tables.items():
        whole = PARTS.get(name, name)
        ten[whole] = pa.concat_tables([ten[whole], table]) if whole in ten else table
    return ten


def gather(
    source: Source,
    keep: Keep,
    *,
    exported_at: str | datetime | None = None,
    on_error: OnError = "quarantine",
    points: PointsType = "int",
    pii: Pii = "keep",
    keep_custom_fields: Sequence[str] = (),
    customer_key: CustomerKey | None = None,
    timezone: str | None = None,
    threads: int | None = None,
    max_record_bytes: int = MAX_RECORD_BYTES,
    progress: bool | None = None,
) -> tuple[pa.Table, pa.Table]:
    """Load as :func:`load` does, into tables that grow; give the ledger and the findings."""
    hidden = pseudonym(pii)
    parser = Parser(
        Flattening(_identities(customer_key), hidden, _names(keep_custom_fields)),
        _one_of("points", points, ("int", "decimal")),
        _zone(timezone),
    )
    strict = _one_of("on_error", on_error, ("quarantine", "raise")) == "raise"
    workers = _workers(threads)
    exports = find_exports(source, _instant(exported_at))
    if hidden is not None:
        exports = renamed(exports, hidden)
    harvest = Harvest(keep, strict, _limit(max_record_bytes))
    with _progress_bar(exports, progress) as advance:
        harvest.gather(exports, parser, workers, advance)
    if not harvest.seen["responses"]:
        raise SourceError(harvest.why_empty(exports))
    return harvest.finish(parser)


def _progress_bar(
    exports: list[Export], progress: bool | None
) -> AbstractContextManager[Callable[[int], object]]:
    return progress_bar(sum(export.size for export in exports), progress)


def _identities(customer_key: str | None) -> tuple[str, ...]:
    if customer_key is None:
        return IDENTITIES
    return (_one_of("customer_key", customer_key, IDENTITIES),)


def _names(keep_custom_fields: Sequence[str]) -> list[str]:
    if isinstance(keep_custom_fields, str):
        raise UsageError(f"keep_custom_fields is a list of names: [{keep_custom_fields!r}]")
    return list(keep_custom_fields)


def _workers(threads: int | None) -> int:
    if threads is None:
        return max(2, min(_MOST_WORKERS, os.cpu_count() or 2))
    if threads < 1:
        raise UsageError(f"threads is 1 or more, not {threads}")
    return threads


def _limit(max_record_bytes: int) -> int:
    if max_record_bytes < 1:
        raise UsageError(f"max_record_bytes is 1 or more, not {max_record_bytes}")
    return max_record_bytes


def _one_of(name: str, value: Any, allowed: tuple[str, ...]) -> Any:
    if value not in allowed:
        raise UsageError(f"{name} is one of {', '.join(map(repr, allowed))}, not {value!r}")
    return value


def _zone(timezone: str | None) -> ZoneInfo | None:
    try:
        return None if timezone is None else ZoneInfo(timezone)
    except (ZoneInfoNotFoundError, ValueError, OSError):
        raise UsageError(
            f"timezone is an IANA name such as 'Europe/Paris', not {timezone!r}"
        ) from None


def _instant(exported_at: str | datetime | None) -> datetime | None:
    if isinstance(exported_at, str):
        try:
            exported_at = datetime.fromisoformat(exported_at)
        except ValueError:
            raise UsageError(
                f"exported_at is a time such as '2026-11-20T03:00', not {exported_at!r}"
            ) from None
    if exported_at is not None and exported_at.tzinfo is not None:
        return exported_at.astimezone(UTC).replace(tzinfo=None)
    return exported_at
