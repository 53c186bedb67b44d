"""How exports are loaded, by options: which exports there are, and what gathers them."""

from __future__ import annotations

import logging
from collections.abc import Callable
from contextlib import AbstractContextManager
from dataclasses import dataclass

import pyarrow as pa

from redemption_analytics.errors import SourceError
from redemption_analytics.loading.option_checks import Checked, checked
from redemption_analytics.loading.parser import Parser
from redemption_analytics.loading.pipeline import Pipeline
from redemption_analytics.loading.processes import Processes
from redemption_analytics.loading.progress import progress_bar
from redemption_analytics.loading.sharing import shares
from redemption_analytics.loading.units import LOGGER, Setting
from redemption_analytics.merging.stores import Keep
from redemption_analytics.options import LoadOptions
from redemption_analytics.privacy import Pseudonym, pseudonym
from redemption_analytics.sources.export import Export, in_order, renamed
from redemption_analytics.sources.find import Source, find_exports

_LOG = logging.getLogger(__name__)


@dataclass(frozen=True)
class Loading:
    """How exports are loaded: checked options, and what they make.

    Attributes
    ----------
    options
        The options.
    hidden
        What replaces personal data; None where that stays.
    parser
        Parses blocks as the options say.
    """

    options: Checked
    hidden: Pseudonym | None
    parser: Parser

    @classmethod
    def of(cls, given: LoadOptions) -> Loading:
        """Check options.

        Raises
        ------
        UsageError
            If one makes no sense.
        """
        options = checked(given)
        hidden = pseudonym(options.pii)
        return cls(options, hidden, Parser.of(options, hidden))

    def exports(self, source: Source) -> list[Export]:
        """List the exports of a source."""
        exports = find_exports(source, self.options.exported_at, personal=self.hidden is None)
        if self.hidden is None:
            return exports
        exports = renamed(exports, self.hidden)
        # Their order is that of the names that stay; under a random key these would change it.
        return in_order(exports) if self.options.pii == "pseudonymize" else exports

    def pipeline(self, keep: Keep) -> Pipeline:
        """Return a pipeline into tables that grow."""
        return Pipeline(keep, self.options.strict, self.options.limit)

    def gather(self, pipeline: Pipeline, exports: list[Export]) -> None:
        """Read exports, which are in their order, into the tables of a pipeline."""
        shared, workers = shares(exports, self.options.threads, self.options.pii)
        level = logging.getLogger(LOGGER).getEffectiveLevel()
        with (
            _progress_bar(exports, self.options.progress) as advance,
            Processes(
                Setting(self.options, level),
                self.hidden,
                workers,
                pipeline.scratch,
            ) as processes,
        ):
            pipeline.gather(shared, self.parser, workers, advance, processes)

    def check_some(self, pipeline: Pipeline, *, useful: bool) -> None:
        """Check that something was read, unless that is not needed.

        Parameters
        ----------
        pipeline
            The pipeline.
        useful
            Whether it is an error that answers are there, but all of them failed or were refused.

        Raises
        ------
        SourceError
            If nothing of the source can be used.
        """
        if not self.options.allow_empty and (why := pipeline.why_empty(useful=useful)):
            raise SourceError(why)


def gather(
    source: Source, keep: Keep, given: LoadOptions, *, useful: bool = False
) -> tuple[pa.Table, pa.Table, pa.Table]:
    """Load into tables that grow; return the ledger, the findings and the cases.

    Parameters
    ----------
    source, given
        As :func:`redemption_analytics.load` takes them.
    keep
        Where the tables grow.
    useful
        As :meth:`Loading.check_some` takes it.
    """
    loading = Loading.of(given)
    pipeline = loading.pipeline(keep)
    exports = loading.exports(source)
    _LOG.info("%d files found", len(exports))
    loading.gather(pipeline, exports)
    _LOG.info("%d answers read", pipeline.seen["responses"])
    loading.check_some(pipeline, useful=useful)
    found = pipeline.finish(loading.parser, loading.hidden)
    _LOG.info(
        "%d redemptions and %d coupon redemptions merged", keep.rows("points"), keep.rows("coupons")
    )
    return found


def _progress_bar(
    exports: list[Export], progress: bool | None
) -> AbstractContextManager[Callable[[int], object]]:
    return progress_bar(
        sum(export.size or 0 for export in exports if not export.passed_over), progress
    )
