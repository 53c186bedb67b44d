"""The pipeline: files in, blocks parsed by several threads, tables put together in their order."""

from __future__ import annotations

import re
from collections import Counter, deque
from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import Executor, Future, ThreadPoolExecutor
from contextlib import AbstractContextManager
from dataclasses import replace
from datetime import datetime
from functools import partial

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from redemption_analytics.errors import RejectedError, SourceError
from redemption_analytics.flattening.flatten import Flattening, Tables
from redemption_analytics.loading.option_checks import checked
from redemption_analytics.loading.parser import Parsed, Parser
from redemption_analytics.loading.progress import progress_bar
from redemption_analytics.loading.provenance import Origin, rejects_table, said, with_provenance
from redemption_analytics.merging.cases import findings_of
from redemption_analytics.merging.conflicts import PATH
from redemption_analytics.merging.export_times import Dating
from redemption_analytics.merging.merge import Merging
from redemption_analytics.merging.stores import Keep
from redemption_analytics.options import LoadOptions
from redemption_analytics.parsing import Read, Reject
from redemption_analytics.privacy import Pseudonym, pseudonym
from redemption_analytics.reading.blocks import Block, Fault, batched
from redemption_analytics.reading.files import read_blocks
from redemption_analytics.sources.accounts import Account, files_table
from redemption_analytics.sources.export import Export, in_order, renamed
from redemption_analytics.sources.find import Source, find_exports
from redemption_analytics.sources.streams import Stream
from redemption_analytics.tables.ledger import NOW, Finding, findings, ledger
from redemption_analytics.tables.parts import whole_of

_ANYWAY = "allow_empty=True (--allow-empty) goes on without"

#: What says more of why a file could not be read.
_DETAIL = re.compile(r"[:,].*", re.DOTALL)


def gather(
    source: Source, keep: Keep, given: LoadOptions, *, useful: bool = False
) -> tuple[pa.Table, pa.Table]:
    """Load into tables that grow; return the ledger and the findings.

    Parameters
    ----------
    source, given
        As :func:`redemption_analytics.load` takes them.
    keep
        Where the tables grow.
    useful
        Whether it is an error that answers are there, but all of them failed or were refused.
    """
    options = checked(given)
    hidden = pseudonym(options.pii)
    parser = Parser(
        Flattening(
            options.identities,
            options.only_first,
            hidden,
            options.keep_custom_fields,
        ),
        options.points,
        options.zone,
    )
    exports = find_exports(source, options.exported_at, personal=hidden is None)
    if hidden is not None:
        exports = renamed(exports, hidden)
    if options.pii == "pseudonymize":
        # Their order is that of the names that stay; under a random key these would change it.
        exports = in_order(exports)
    pipeline = Pipeline(keep, options.strict, options.limit)
    with _progress_bar(exports, options.progress) as advance:
        pipeline.gather(exports, parser, options.workers, advance)
    if not options.allow_empty and (why := pipeline.why_empty(useful=useful)):
        raise SourceError(why)
    return pipeline.finish(parser, hidden)


def _progress_bar(
    exports: list[Export], progress: bool | None
) -> AbstractContextManager[Callable[[int], object]]:
    return progress_bar(
        sum(export.size or 0 for export in exports if not export.passed_over), progress
    )


class Pipeline:
    """What the blocks gave, put together in their order."""

    def __init__(self, keep: Keep, strict: bool, limit: int):
        self.seen: Counter[str] = Counter()
        self._keep = keep
        self._strict = strict
        self._limit = limit
        self._dating = Dating()
        self._merging = Merging(keep, self._dating)
        self._rejected: Counter[str] = Counter()
        self._first_reject: str | None = None
        self._unknown: Counter[str] = Counter()
        self._unknown_in: dict[str, str] = {}
        self._epochs: Counter[str] = Counter()
        self._epoch_in: dict[str, str] = {}
        self._succeeded = 0
        self.accounts: list[Account] = []
        self._account_of: dict[str, Account] = {}

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
        with ThreadPoolExecutor(workers) as pool, ThreadPoolExecutor(1) as hasher:
            try:
                for batch in batched(self._read(exports, advance, hasher)):
                    if isinstance(batch, tuple):
                        waiting.append(partial(self._refuse, *batch, parser.personal))
                    else:
                        blocks = [block for _, block in batch]
                        future = pool.submit(parser.parse, *blocks)
                        waiting.append(partial(self._take, [export for export, _ in batch], future))
                    if len(waiting) > workers + 1:
                        waiting.popleft()()
                while waiting:
                    waiting.popleft()()
            finally:
                pool.shutdown(cancel_futures=True)

    def _read(
        self, exports: list[Export], advance: Callable[[int], object], hasher: Executor
    ) -> Iterator[tuple[Export, Block | Fault]]:
        for export in exports:
            account = self._account_of[export.name] = Account(export, hasher=hasher)
            self.accounts.append(account)
            self.seen["files"] += 1
            # Of what is wrong with a file the first is told.
            done = False
            for block in read_blocks(_watched(export, advance), limit=self._limit, account=account):
                if not done:
                    yield export, block
                done = done or isinstance(block, Fault)

    def _refuse(self, export: Export, fault: Fault, personal: bool) -> None:
        # What follows may quote the file: names of columns, of members of a .zip.
        reason = fault.reason if personal else _DETAIL.sub("", fault.reason)
        reject = Reject("files", None, fault.line, None, f"the file {reason}", None)
        self._account_of[export.name].rejected = reject.reason
        self._reject(Origin([export], [0], [0]), [reject])

    def _take(self, exports: list[Export], future: Future[Parsed]) -> None:
        parsed = future.result()
        read, tables = parsed.read, parsed.tables
        origin = self._origin(exports, read)
        self.seen.update(read.seen)
        self._unknown.update(read.unknown)
        for name, number in read.unknown_in.items():
            self._unknown_in.setdefault(name, origin.of(number)[0])
        for epochs in sorted(parsed.epochs, key=lambda epochs: epochs.first):
            self._epochs[epochs.name] += epochs.count
            source, record = origin.of(epochs.first)
            self._epoch_in.setdefault(epochs.name, f"record {record} of {source}")
        self._reject(origin, sorted(read.rejects, key=lambda reject: reject.record or 0))
        self._succeeded += pc.sum(tables["responses"]["success"]).as_py() or 0
        self._succeeded += len(tables["points"]) + len(tables["coupons"])
        self._merging.add(with_provenance(tables, origin, self._dating))
        self._merging.merged.update(parsed.merged)

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
        self._rejected.update(reject.element for reject in rejects)
        self._keep.append("rejects", rejects_table(placed))

    def _refuse_reversals(self, personal: bool) -> None:
        """Refuse the reversals that merging found under two redemptions."""
        refused = self._merging.refused
        if not refused:
            return
        places = self._merging.answers([reversal.answer for reversal in refused.reversals])
        placed = [
            (
                source,
                Reject("reversals", record, None, PATH, one.reason, one.raw if personal else None),
            )
            for (source, record), one in zip(places, refused.reversals, strict=True)
        ]
        if self._strict:
            raise RejectedError(said(*placed[0]))
        self._rejected["reversals"] += len(placed)
        # What hangs below a refused element is a part of it.
        self.seen.subtract(self._merging.below)
        self._keep.append("late_rejects", rejects_table(placed))

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

    def finish(self, parser: Parser, hidden: Pseudonym | None) -> tuple[pa.Table, pa.Table]:
        """Merge what was gathered; return the ledger and the findings."""
        nothing = _nothing(parser, self._dating)
        self._merging.add(nothing)
        self._keep.append("rejects", rejects_table([]))
        cases, now = self._merging.finish(parser.flattening)
        self._refuse_reversals(parser.personal)
        self._keep.append("files", files_table(self.accounts, hidden))
        loaded = _summed({name: self._keep.rows(name) for name in nothing})
        of_files = Counter(account.status for account in self.accounts)
        loaded["files"] = of_files["loaded"]
        passed_over = {"files": of_files["passed over"]}
        unknown = [
            Finding("unknown_fields", count, f"{path} in {self._unknown_in[path]}")
            for path, count in sorted(self._unknown.items())
        ]
        epochs = [
            Finding("epoch_times", count, f"{name} in {self._epoch_in[name]}")
            for name, count in sorted(self._epochs.items())
        ]
        merged = _summed(self._merging.merged)
        books = ledger(self.seen, loaded, merged, self._rejected, passed_over)
        moment = [] if now is None else [Finding(NOW, 1, now.isoformat())]
        return books, findings([*findings_of(cases), *moment, *epochs, *unknown])


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
