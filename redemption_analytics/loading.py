"""The main job: from a source to validated tables."""

from __future__ import annotations

import os
import sys
from bisect import bisect_left
from collections import Counter, deque
from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from functools import partial
from typing import Any, Literal
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from tqdm.auto import tqdm

from redemption_analytics.blocks import Block, Fault, batched, read_blocks
from redemption_analytics.contract import CONFORMED, IDENTITIES, PointsType, arrow_schema
from redemption_analytics.errors import RejectedError, SourceError, UsageError
from redemption_analytics.flatten import Flattening, Tables
from redemption_analytics.frames import arrow_schema_of, declared
from redemption_analytics.keeping import InMemory, Keep
from redemption_analytics.ledger import findings, ledger
from redemption_analytics.merging import Finding, Merging
from redemption_analytics.parsing import Parsed, Parser, Reject
from redemption_analytics.personal import Pii, pseudonym
from redemption_analytics.redemptions import Redemptions
from redemption_analytics.settling import PARTS, settled
from redemption_analytics.sources import Export, Source, Stream, find_exports

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
    customer_key: CustomerKey | None = None,
    timezone: str | None = None,
    threads: int | None = None,
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
    threads
        How many blocks are parsed at once; by default as many as there are cores, up to 4.
    progress
        Whether to show a progress bar; by default on a terminal only.

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
    keep = InMemory()
    books, found = gather(
        source,
        keep,
        exported_at=exported_at,
        on_error=on_error,
        points=points,
        pii=pii,
        customer_key=customer_key,
        timezone=timezone,
        threads=threads,
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
    customer_key: CustomerKey | None = None,
    timezone: str | None = None,
    threads: int | None = None,
    progress: bool | None = None,
) -> tuple[pa.Table, pa.Table]:
    """Load as :func:`load` does, into tables that grow; give the ledger and the findings."""
    parser = Parser(
        Flattening(_identities(customer_key), pseudonym(pii)),
        _one_of("points", points, ("int", "decimal")),
        _zone(timezone),
    )
    strict = _one_of("on_error", on_error, ("quarantine", "raise")) == "raise"
    workers = _workers(threads)
    exports = find_exports(source, _instant(exported_at))
    harvest = _Harvest(keep, strict)
    with _progress_bar(exports, progress) as advance:
        harvest.gather(exports, parser, workers, advance)
    if not harvest.seen["responses"]:
        raise SourceError(harvest.why_empty(exports))
    return harvest.finish(parser)


@dataclass(frozen=True)
class _Settled:
    """What blocks gave, their tables settled."""

    parsed: Parsed
    tables: list[Tables]
    merged: Counter[str]


def _settled(parser: Parser, blocks: list[Block]) -> _Settled:
    parsed = parser.parse(*blocks)
    done, merged = [], Counter[str]()
    while parsed.tables:
        tables, united = settled(parsed.tables.pop(0))
        done.append(tables)
        merged.update(united)
    return _Settled(parsed, done, merged)


@dataclass(frozen=True)
class _Origin:
    """Where the records of some blocks come from.

    Attributes
    ----------
    exports
        The export of each block.
    starts
        How many records of all the blocks came before it.
    before
        How many records of its export came before it.
    """

    exports: list[Export]
    starts: list[int]
    before: list[int]

    def place(self, reject: Reject) -> tuple[str, Reject]:
        """Give the source of a reject, and the reject with the number of its record there."""
        if reject.record is None:
            return self.exports[0].name, reject
        block = bisect_left(self.starts, reject.record) - 1
        record = reject.record - self.starts[block] + self.before[block]
        return self.exports[block].name, replace(reject, record=record)


class _Harvest:
    """What the blocks gave, put together in their order."""

    def __init__(self, keep: Keep, strict: bool):
        self.seen: Counter[str] = Counter()
        self._keep = keep
        self._strict = strict
        self._merging = Merging(keep)
        self._rejected: Counter[str] = Counter()
        self._first_reject: str | None = None
        self._records: Counter[str] = Counter()
        self._unknown: Counter[str] = Counter()
        self._unknown_in: dict[str, str] = {}

    def gather(
        self,
        exports: list[Export],
        parser: Parser,
        workers: int,
        advance: Callable[[int], object],
    ) -> None:
        """Read and parse all exports."""
        # A few blocks ahead keep the cores busy; more would only fill the memory.
        waiting: deque[Callable[[], None]] = deque()
        with ThreadPoolExecutor(workers) as pool:
            try:
                for batch in batched(self._read(exports, advance)):
                    if isinstance(batch, tuple):
                        waiting.append(partial(self._refuse, *batch))
                    else:
                        blocks = [block for _, block in batch]
                        future = pool.submit(_settled, parser, blocks)
                        waiting.append(partial(self._take, [export for export, _ in batch], future))
                    if len(waiting) > 2 * workers:
                        waiting.popleft()()
                while waiting:
                    waiting.popleft()()
            finally:
                pool.shutdown(cancel_futures=True)

    def _read(
        self, exports: list[Export], advance: Callable[[int], object]
    ) -> Iterator[tuple[Export, Block | Fault]]:
        for export in exports:
            passed_over = not export.expected
            for block in read_blocks(_watched(export, advance)):
                passed_over = False
                yield export, block
                if isinstance(block, Fault):
                    break
            self.seen["files"] += not passed_over

    def _refuse(self, export: Export, fault: Fault) -> None:
        reject = Reject("files", None, fault.line, None, f"the file {fault.reason}", None)
        self._reject(_Origin([export], [0], [0]), [reject])

    def _take(self, exports: list[Export], future: Future[_Settled]) -> None:
        result = future.result()
        parsed = result.parsed
        origin = self._origin(exports, parsed)
        self.seen.update(parsed.seen)
        self._unknown.update(parsed.unknown)
        for name, block in parsed.unknown_in.items():
            self._unknown_in.setdefault(name, exports[block].name)
        self._reject(origin, parsed.rejects)
        for tables in result.tables:
            self._merging.add(_with_provenance(tables, origin))
        self._merging.merged.update(result.merged)

    def _origin(self, exports: list[Export], parsed: Parsed) -> _Origin:
        before = []
        for export, count in zip(exports, np.diff([*parsed.starts, parsed.records]), strict=True):
            before.append(self._records[export.name])
            self._records[export.name] += int(count)
        return _Origin(exports, parsed.starts, before)

    def _reject(self, origin: _Origin, rejects: list[Reject]) -> None:
        if not rejects:
            return
        placed = [origin.place(reject) for reject in rejects]
        source, first = placed[0]
        if self._strict:
            error = SourceError if first.element == "files" else RejectedError
            raise error(_said(source, first))
        self._first_reject = self._first_reject or _said(source, first)
        self._rejected.update(reject.element for reject in rejects)
        self._keep.append("rejects", _rejects_table(placed))

    def why_empty(self, exports: list[Export]) -> str:
        """Say why there are no answers."""
        return self._first_reject or (
            f"{exports[0].name} holds no answers, nor does any other file of the source"
        )

    def finish(self, parser: Parser) -> tuple[pa.Table, pa.Table]:
        """Merge what was gathered; give the ledger and the findings."""
        nothing = _nothing(parser)
        self._merging.add(nothing)
        self._keep.append("rejects", _rejects_table([]))
        found = self._merging.finish()
        loaded = _summed({name: self._keep.rows(name) for name in nothing})
        loaded["files"] = self.seen["files"] - self._rejected["files"]
        unknown = [
            Finding("unknown_fields", count, f"{path} in {self._unknown_in[path]}")
            for path, count in sorted(self._unknown.items())
        ]
        books = ledger(self.seen, loaded, _summed(self._merging.merged), self._rejected)
        return books, findings([*found, *unknown])


def _summed(counts: Mapping[str, int]) -> Counter[str]:
    """Count the rows of tables that are parts of another with it."""
    summed: Counter[str] = Counter()
    for name, number in counts.items():
        summed[PARTS.get(name, name)] += number
    return summed


def _with_provenance(tables: Tables, origin: _Origin) -> Tables:
    rows = tables["responses"]
    numbers = rows["record"].to_numpy()
    blocks = np.searchsorted(origin.starts, numbers) - 1
    records = pa.array(numbers + np.subtract(origin.before, origin.starts)[blocks])
    names = pa.array([export.name for export in origin.exports], pa.string())
    made = pa.array([export.exported_at for export in origin.exports], pa.timestamp("us"))
    sources = names.take(pa.array(blocks))
    ids = pc.binary_join_element_wise(
        pc.binary_join_element_wise(sources, records.cast(pa.string()), "#"),
        rows["position"].cast(pa.string()),
        "/",
    )
    responses = (
        rows.drop_columns(["record", "position"])
        .append_column("response_id", ids)
        .append_column("source", sources)
        .append_column("record", records)
        .append_column("exported_at", made.take(pa.array(blocks)))
    )
    return tables | {"responses": declared("responses", responses)}


def _rejects_table(placed: list[tuple[str, Reject]]) -> pa.Table:
    schema = arrow_schema_of("rejects")
    columns = [[source for source, _ in placed]] + [
        [getattr(reject, name) for _, reject in placed] for name in schema.names[1:]
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
    """Give tables without rows, so that each table has its columns whatever was read."""
    answer = arrow_schema(CONFORMED, parser.points).field("response").type
    tables, _ = settled(parser.flattening.tables(pa.array([], answer), np.array([], np.int64)))
    return _with_provenance(tables, _Origin([Export("", datetime.min)], [0], [0]))


@contextmanager
def _progress_bar(
    exports: list[Export], progress: bool | None
) -> Iterator[Callable[[int], object]]:
    shown = sys.stderr.isatty() if progress is None else progress
    with tqdm(
        total=sum(export.size for export in exports) or None,
        unit="B",
        unit_scale=True,
        desc="loading",
        disable=not shown,
    ) as bar:
        yield bar.update


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


def _workers(threads: int | None) -> int:
    if threads is None:
        return max(2, min(_MOST_WORKERS, os.cpu_count() or 2))
    if threads < 1:
        raise UsageError(f"threads is 1 or more, not {threads}")
    return threads


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
