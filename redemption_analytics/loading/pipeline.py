"""The pipeline: files in, blocks parsed by several threads, tables put together in their order."""

from __future__ import annotations

import re
from collections import Counter, deque
from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import Executor, Future, ThreadPoolExecutor
from dataclasses import dataclass, field, replace
from datetime import datetime
from functools import partial
from pathlib import Path
from typing import TypeAlias

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from redemption_analytics.errors import RejectedError, SourceError
from redemption_analytics.flattening.flatten import PARENTS, Tables
from redemption_analytics.loading.parser import Parsed, Parser
from redemption_analytics.loading.processes import Processes
from redemption_analytics.loading.provenance import (
    Origin,
    late_rejects,
    rejects_table,
    said,
    with_provenance,
)
from redemption_analytics.loading.sharing import Share
from redemption_analytics.loading.units import reads
from redemption_analytics.merging.cases import findings_of
from redemption_analytics.merging.export_times import Dated, Dating
from redemption_analytics.merging.merge import Merging
from redemption_analytics.merging.stores import Keep
from redemption_analytics.parsing import Read, Reject
from redemption_analytics.privacy import Pseudonym
from redemption_analytics.reading.blocks import Block, Fault, batched
from redemption_analytics.sources.accounts import Account, Seen, files_table
from redemption_analytics.sources.export import Export
from redemption_analytics.sources.streams import Stream
from redemption_analytics.tables.ledger import NOW, Finding, findings, ledger
from redemption_analytics.tables.parts import whole_of

_ANYWAY = "allow_empty=True goes on without"

#: The tables that grow block by block, parents before what hangs on them.
GROWING = ("responses", "customers", "coupons", "points", *PARENTS)

#: What says more of why a file could not be read.
_DETAIL = re.compile(r"[:,].*", re.DOTALL)


@dataclass
class Met:
    """What the reader met that is odd: how often each name, and source and record of the first."""

    counts: Counter[str] = field(default_factory=Counter)
    first: dict[str, tuple[str, int]] = field(default_factory=dict)


def odd_example(check: str, name: str, source: str, record: int) -> str:
    """Say where something odd was met."""
    return (
        f"{name} in {source}"
        if check == "unknown_fields"
        else (f"{name} in record {record} of {source}")
    )


#: Of an export what reading it told, why it was refused, and how many answers it gave.
Told: TypeAlias = tuple[Seen, str | None, int]


@dataclass(frozen=True)
class Gathered:
    """What a pipeline gathered beside its tables.

    Attributes
    ----------
    seen, rejected, merged
        How many elements of each kind were met, refused, and merged into others.
    odd
        What the reader met that is odd.
    succeeded
        How many answers succeeded, and redemptions there are.
    first_reject
        Where the first was that was refused, and why; None if none was.
    accounts
        What is told of each export.
    dated
        When each was made that rows name by its number.
    old
        Whether some points redemption has no redemption_id.
    """

    seen: Counter[str]
    rejected: Counter[str]
    merged: Counter[str]
    odd: dict[str, Met]
    succeeded: int
    first_reject: str | None
    accounts: list[Told]
    dated: list[Dated]
    old: bool


class Pipeline:
    """What the blocks gave, put together in their order."""

    def __init__(self, keep: Keep, strict: bool, limit: int):
        self.seen: Counter[str] = Counter()
        self._keep = keep
        self._strict = strict
        self._limit = limit
        self.dating = Dating()
        self.merging = Merging(keep, self.dating)
        self.rejected: Counter[str] = Counter()
        self._first_reject: str | None = None
        self.odd = {"unknown_fields": Met(), "epoch_times": Met()}
        self._parsed = False
        self._succeeded = 0
        self.accounts: list[Account] = []
        self._account_of: dict[str, Account] = {}

    @property
    def scratch(self) -> Path | None:
        """A directory for what memory does not hold; None where it holds all."""
        return self._keep.scratch

    def gather(
        self,
        shared: list[Share],
        parser: Parser,
        workers: int,
        advance: Callable[[int], object],
        processes: Processes,
    ) -> None:
        """Read and parse all exports."""
        # A few blocks ahead keep the cores busy; more would only fill the memory.
        waiting: deque[Callable[[], None]] = deque()
        with ThreadPoolExecutor(workers) as pool, ThreadPoolExecutor(1) as hasher:
            try:
                for share in shared:
                    for take in (
                        [self._elsewhere(share.exports, pool, parser, advance, processes)]
                        if share.elsewhere
                        else self._here(share.exports, pool, parser, advance, hasher)
                    ):
                        waiting.append(take)
                        if len(waiting) > workers + 1:
                            waiting.popleft()()
                while waiting:
                    waiting.popleft()()
            finally:
                processes.end()
                pool.shutdown(cancel_futures=True)
        if not self._parsed:
            # Whatever was read, every table has its columns.
            self.merging.add(_nothing(parser, self.dating))
        self._keep.append("rejects", rejects_table([]))

    def _here(
        self,
        exports: list[Export],
        pool: Executor,
        parser: Parser,
        advance: Callable[[int], object],
        hasher: Executor,
    ) -> Iterator[Callable[[], None]]:
        """Read exports, and have threads parse them; yield what takes what they give."""
        for batch in batched(self._read(exports, advance, hasher)):
            if isinstance(batch, tuple):
                yield partial(self._refuse, *batch, parser.personal)
            else:
                future = pool.submit(parser.parse, *(block for _, block in batch))
                yield partial(self._take_future, [export for export, _ in batch], future)

    def _elsewhere(
        self,
        exports: list[Export],
        pool: Executor,
        parser: Parser,
        advance: Callable[[int], object],
        processes: Processes,
    ) -> Callable[[], None]:
        """Have a process read and parse exports; return what takes what it gives."""
        accounts = [self._account(export, None) for export in exports]
        future = pool.submit(processes.parse, exports)

        def take() -> None:
            parts, seen = future.result()
            for account, told in zip(accounts, seen, strict=True):
                account.take_over(told)
            for part in parts:
                of = [exports[place] for place in part.places]
                if isinstance(part.found, Fault):
                    self._refuse(of[0], part.found, parser.personal)
                else:
                    self._take(of, part.found)
            advance(sum(export.size or 0 for export in exports if export.passed_over is None))

        return take

    def _account(self, export: Export, hasher: Executor | None) -> Account:
        account = self._account_of[export.name] = Account(export, hasher=hasher)
        self.accounts.append(account)
        self.seen["files"] += 1
        return account

    def _read(
        self, exports: list[Export], advance: Callable[[int], object], hasher: Executor
    ) -> Iterator[tuple[Export, Block | Fault]]:
        for export in exports:
            account = self._account(export, hasher)
            for block in reads(_watched(export, advance), account, self._limit):
                yield export, block

    def _refuse(self, export: Export, fault: Fault, personal: bool) -> None:
        # What follows may quote the file: names of columns, of members of a .zip.
        reason = fault.reason if personal else _DETAIL.sub("", fault.reason)
        reject = Reject("files", None, fault.line, None, f"the file {reason}", None)
        self._account_of[export.name].rejected = reject.reason
        self._reject(Origin([export], [0], [0]), [reject])

    def _take_future(self, exports: list[Export], future: Future[Parsed]) -> None:
        self._take(exports, future.result())

    def _take(self, exports: list[Export], parsed: Parsed) -> None:
        self._parsed = True
        read, tables = parsed.read, parsed.tables
        origin = self._origin(exports, read)
        self.seen.update(read.seen)
        unknown, epochs = self.odd["unknown_fields"], self.odd["epoch_times"]
        unknown.counts.update(read.unknown)
        for name, number in read.unknown_in.items():
            unknown.first.setdefault(name, origin.of(number))
        for one in sorted(parsed.epochs, key=lambda one: one.first):
            epochs.counts[one.name] += one.count
            epochs.first.setdefault(one.name, origin.of(one.first))
        self._reject(origin, sorted(read.rejects, key=lambda reject: reject.record or 0))
        self._succeeded += pc.sum(tables["responses"]["success"]).as_py() or 0
        self._succeeded += len(tables["points"]) + len(tables["coupons"])
        self.merging.add(with_provenance(tables, origin, self.dating))
        self.merging.merged.update(parsed.merged)

    def _origin(self, exports: list[Export], read: Read) -> Origin:
        before = []
        for export, count in zip(exports, np.diff([*read.starts, read.records]), strict=True):
            account = self._account_of[export.name]
            before.append(account.records)
            account.records += int(count)
        return Origin(exports, read.starts, before)

    def _reject(self, origin: Origin, rejects: list[Reject]) -> None:
        if not rejects:
            return
        placed = [origin.place(reject) for reject in rejects]
        source, first = placed[0]
        if self._strict:
            error = SourceError if first.element == "files" else RejectedError
            raise error(said(source, first))
        self._first_reject = self._first_reject or said(source, first)
        self.rejected.update(reject.element for reject in rejects)
        self._keep.append("rejects", rejects_table(placed))

    def gathered(self) -> Gathered:
        """Return what was gathered beside the tables."""
        return Gathered(
            self.seen,
            self.rejected,
            self.merging.merged,
            self.odd,
            self._succeeded,
            self._first_reject,
            [(account.seen(), account.rejected, account.records) for account in self.accounts],
            self.dating.exports,
            old=self.merging.old,
        )

    def take_over(self, exports: list[Export], gathered: Gathered) -> None:
        """Take over what another pipeline gathered of exports; the keep has its tables already."""
        for export, (seen, rejected, records) in zip(exports, gathered.accounts, strict=True):
            account = self._account(export, None)
            account.take_over(seen)
            account.rejected, account.records = rejected, records
        # Each file was counted with its account.
        self.seen.update({n: c for n, c in gathered.seen.items() if n != "files"})
        self.rejected.update(gathered.rejected)
        self.merging.take_over(gathered.merged, old=gathered.old)
        for check, met in gathered.odd.items():
            self.odd[check].counts.update(met.counts)
            for name, first in met.first.items():
                self.odd[check].first.setdefault(name, first)
        self._succeeded += gathered.succeeded
        self._first_reject = self._first_reject or gathered.first_reject
        self.dating.exports += gathered.dated

    def why_empty(self, *, useful: bool) -> str | None:
        """Return why no answers are there, or only failed and refused ones; None if some are."""
        if self.seen["responses"] and (self._succeeded or not useful):
            return None
        if self.seen["responses"]:
            example = f" ({self._first_reject})" if self._first_reject else ""
            count = self.seen["responses"]
            why = (
                f"none of the {count:,} answers can be used, for they failed or were refused"
                if count > 1
                else "the only answer cannot be used, for it failed or was refused"
            )
            return f"{why}{example}: {_ANYWAY}"
        if self._first_reject:
            return self._first_reject
        first = self.accounts[0]
        if all(account.export.passed_over for account in self.accounts):
            return (
                f"the source holds no files to read, but {len(self.accounts):,} that are passed"
                f" over, such as {first.export.name}: {first.reason}"
            )
        return f"{first.export.name} holds no answers, nor does any other file of the source"

    def merge(self, parser: Parser) -> tuple[pa.Table, pa.Table, datetime | None]:
        """Merge what was gathered.

        Returns
        -------
        pyarrow.Table
            The reversals that stood under two redemptions, and were refused.
        pyarrow.Table
            The cases of what is odd.
        datetime or None
            What now is.
        """
        cases, now = self.merging.finish(parser.flattening)
        late = late_rejects(self.merging, personal=parser.personal)
        if late and self._strict:
            raise RejectedError(said(*late[0]))
        return rejects_table(late), cases, now

    def finish(
        self, parser: Parser, hidden: Pseudonym | None
    ) -> tuple[pa.Table, pa.Table, pa.Table]:
        """Merge what was gathered, and finish its tables; return ledger, findings and cases."""
        return self.finish_merged(*self.merge(parser), hidden)

    def finish_merged(
        self, late: pa.Table, cases: pa.Table, now: datetime | None, hidden: Pseudonym | None
    ) -> tuple[pa.Table, pa.Table, pa.Table]:
        """Finish tables that are merged; return ledger, findings and cases.

        Parameters
        ----------
        late, cases, now
            As :meth:`merge` returns them.
        hidden
            What replaces personal data; None where that stays.
        """
        if late.num_rows:
            self._keep.append("late_rejects", late)
            self.rejected["reversals"] += late.num_rows
            # What hangs below a refused element is a part of it.
            self.seen.subtract(self.merging.below)
        self._keep.append("files", files_table(self.accounts, hidden))
        of_files = Counter(account.status for account in self.accounts)
        loaded = _summed({name: self._keep.rows(name) for name in GROWING})
        loaded["files"] = of_files["loaded"]
        passed_over = {"files": of_files["passed over"]}
        odd = [
            Finding(check, count, odd_example(check, name, *met.first[name]))
            for check, met in self.odd.items()
            for name, count in sorted(met.counts.items())
        ]
        books = ledger(self.seen, loaded, _summed(self.merging.merged), self.rejected, passed_over)
        moment = [] if now is None else [Finding(NOW, 1, now.isoformat())]
        return books, findings([*findings_of(cases), *moment, *odd]), cases


def _summed(counts: Mapping[str, int]) -> Counter[str]:
    """Count the rows of tables that are parts of another with it."""
    summed: Counter[str] = Counter()
    for name, number in counts.items():
        summed[whole_of(name)] += number
    return summed


def _nothing(parser: Parser, dating: Dating) -> Tables:
    """Return tables without rows, so that each table has its columns whatever was read."""
    tables = parser.parse(Block("json")).tables
    return with_provenance(tables, Origin([Export("", datetime.min, "path")], [0], [0]), dating)


def _watched(export: Export, advance: Callable[[int], object]) -> Export:
    """Let a progress bar see how much of a file was read."""
    opener = export.open
    if opener is None or export.passed_over is not None:
        return export
    return replace(export, open=lambda: Stream(opener(), on_read=advance))
