"""The main job: from a source to validated tables."""

from __future__ import annotations

import os
from collections import Counter, deque
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import AbstractContextManager
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from typing import Any, Literal
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from redemption_analytics.blocks import Fault, read_blocks
from redemption_analytics.contract import CONFORMED, IDENTITIES, PointsType, arrow_schema
from redemption_analytics.errors import RejectedError, SourceError, UsageError
from redemption_analytics.flatten import Flattening, Tables
from redemption_analytics.frames import arrow_schema_of, declared
from redemption_analytics.ledger import findings, ledger
from redemption_analytics.merging import Finding, gather, merge
from redemption_analytics.parsing import Parsed, Parser, Reject
from redemption_analytics.personal import Pii, pseudonym
from redemption_analytics.progress import progress_bar
from redemption_analytics.redemptions import Redemptions
from redemption_analytics.sources import Export, Source, Stream, find_exports

OnError = Literal["quarantine", "raise"]
CustomerKey = Literal["user_id", "external_id", "mobile", "email"]

_WORKERS = max(2, min(4, os.cpu_count() or 2))


def load(
    source: Source,
    *,
    exported_at: str | datetime | None = None,
    on_error: OnError = "quarantine",
    points: PointsType = "int",
    pii: Pii = "keep",
    customer_key: CustomerKey | None = None,
    timezone: str | None = None,
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
        data; ``"drop"`` does the same with a random key.
    customer_key
        Which identity names a customer; by default the first present of user_id, external_id,
        mobile and email.
    timezone
        IANA name of the organisation's time zone; needed only where times carry a UTC offset.
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
    tables, books, found = load_arrow(
        source,
        exported_at=exported_at,
        on_error=on_error,
        points=points,
        pii=pii,
        customer_key=customer_key,
        timezone=timezone,
        progress=progress,
    )
    return Redemptions.from_arrow(tables, books, found).validate()


def load_arrow(
    source: Source,
    *,
    exported_at: str | datetime | None = None,
    on_error: OnError = "quarantine",
    points: PointsType = "int",
    pii: Pii = "keep",
    customer_key: CustomerKey | None = None,
    timezone: str | None = None,
    progress: bool | None = None,
) -> tuple[Tables, pa.Table, pa.Table]:
    """Load as :func:`load` does, into Arrow tables: the ten by name, the ledger, the findings."""
    parser = Parser(
        Flattening(_identities(customer_key), pseudonym(pii)),
        _one_of("points", points, ("int", "decimal")),
        _zone(timezone),
    )
    strict = _one_of("on_error", on_error, ("quarantine", "raise")) == "raise"
    exports = find_exports(source, _instant(exported_at))
    harvest = _Harvest(strict)
    with _progress_bar(exports, progress) as advance:
        harvest.gather(exports, parser, advance)
    if not harvest.seen["responses"]:
        raise SourceError(harvest.why_empty(exports))
    return harvest.finish(parser)


@dataclass
class _Harvest:
    """What the blocks gave, put together in their order."""

    strict: bool
    parts: list[Tables] = field(default_factory=list)
    rejects: list[tuple[str, Reject]] = field(default_factory=list)
    seen: Counter[str] = field(default_factory=Counter)
    unknown: Counter[str] = field(default_factory=Counter)
    unknown_in: dict[str, str] = field(default_factory=dict)

    def gather(
        self, exports: list[Export], parser: Parser, advance: Callable[[int], object]
    ) -> None:
        # A few blocks ahead keep both cores busy; more would only fill the memory.
        waiting: deque[tuple[Export, Future[Parsed] | Fault]] = deque()
        records: Counter[str] = Counter()
        with ThreadPoolExecutor(_WORKERS) as pool:
            try:
                for export in exports:
                    passed_over = not export.expected
                    for block in read_blocks(_watched(export, advance)):
                        passed_over = False
                        if isinstance(block, Fault):
                            waiting.append((export, block))
                            break
                        waiting.append((export, pool.submit(parser.parse, block)))
                        if len(waiting) > 2 * _WORKERS:
                            self._take(*waiting.popleft(), records)
                    self.seen["files"] += not passed_over
                while waiting:
                    self._take(*waiting.popleft(), records)
            finally:
                pool.shutdown(cancel_futures=True)

    def _take(self, export: Export, block: Future[Parsed] | Fault, records: Counter[str]) -> None:
        if isinstance(block, Fault):
            reject = Reject("files", None, block.line, None, f"the file {block.reason}", None)
            self._reject(export, reject)
            return
        parsed = block.result()
        before = records[export.name]
        records[export.name] += parsed.records
        self.seen.update(parsed.seen)
        self.unknown.update(parsed.unknown)
        for name in parsed.unknown:
            self.unknown_in.setdefault(name, export.name)
        for reject in parsed.rejects:
            number = None if reject.record is None else reject.record + before
            self._reject(export, replace(reject, record=number))
        for tables in parsed.tables:
            responses = _with_provenance(tables["responses"], export, before)
            self.parts.append(tables | {"responses": responses})

    def _reject(self, export: Export, reject: Reject) -> None:
        if self.strict:
            error = SourceError if reject.element == "files" else RejectedError
            raise error(_said(export.name, reject))
        self.rejects.append((export.name, reject))

    def why_empty(self, exports: list[Export]) -> str:
        if self.rejects:
            return _said(*self.rejects[0])
        return f"{exports[0].name} holds no answers, nor does any other file of the source"

    def finish(self, parser: Parser) -> tuple[Tables, pa.Table, pa.Table]:
        parts = self.parts or [_nothing(parser)]
        merged = merge(gather(parts))
        tables = {name: declared(name, table) for name, table in merged.tables.items()}
        rejected = Counter(reject.element for _, reject in self.rejects)
        loaded = {name: table.num_rows for name, table in tables.items()}
        loaded["files"] = self.seen["files"] - rejected["files"]
        tables["rejects"] = _rejects_table(self.rejects)
        unknown = [
            Finding("unknown_fields", count, f"{path} in {self.unknown_in[path]}")
            for path, count in sorted(self.unknown.items())
        ]
        books = ledger(self.seen, loaded, merged.merged, rejected)
        return tables, books, findings([*merged.findings, *unknown])


def _with_provenance(responses: pa.Table, export: Export, before: int) -> pa.Table:
    count = responses.num_rows
    records = pc.add(responses["record"], before)
    ids = pc.binary_join_element_wise(
        pa.scalar(f"{export.name}#"),
        records.cast(pa.string()),
        pa.scalar("/"),
        responses["position"].cast(pa.string()),
        "",
    )
    return (
        responses.drop_columns(["record", "position"])
        .append_column("response_id", ids)
        .append_column("source", pa.repeat(pa.scalar(export.name), count))
        .append_column("record", records)
        .append_column(
            "exported_at", pa.repeat(pa.scalar(export.exported_at, pa.timestamp("us")), count)
        )
    )


def _rejects_table(rejects: list[tuple[str, Reject]]) -> pa.Table:
    schema = arrow_schema_of("rejects")
    columns = [[source for source, _ in rejects]] + [
        [getattr(reject, name) for _, reject in rejects] for name in schema.names[1:]
    ]
    return pa.table([pa.array(c, f.type) for c, f in zip(columns, schema, strict=True)], schema)


def _said(source: str, reject: Reject) -> str:
    place = [source]
    if reject.line is not None:
        place.append(f"line {reject.line}")
    elif reject.record is not None:
        place.append(f"record {reject.record}")
    if reject.path is not None:
        place.append(reject.path)
    return f"{', '.join(place)}: {reject.reason}"


def _nothing(parser: Parser) -> Tables:
    """Give the tables of an export in which everything was refused."""
    answer = arrow_schema(CONFORMED, parser.points).field("response").type
    tables = parser.flattening.tables(pa.array([], answer), np.array([], np.int64))
    nowhere = Export("", datetime.min)
    return tables | {"responses": _with_provenance(tables["responses"], nowhere, 0)}


def _progress_bar(
    exports: list[Export], progress: bool | None
) -> AbstractContextManager[Callable[[int], object]]:
    return progress_bar(sum(export.size for export in exports), progress)


def _watched(export: Export, advance: Callable[[int], object]) -> Export:
    """Let a progress bar see how much of a file was read."""
    opener = export.open
    if opener is None:
        return export
    return replace(export, open=lambda: Stream(opener(), on_read=advance))


def _identities(customer_key: str | None) -> tuple[str, ...]:
    if customer_key is None:
        return IDENTITIES
    return (_one_of("customer_key", customer_key, IDENTITIES),)


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
