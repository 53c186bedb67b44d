"""A warehouse: what exports told so far, which grows by what is new in them."""

from __future__ import annotations

import os
from datetime import datetime
from typing import TYPE_CHECKING, Any, Literal, Unpack, overload

from redemption_analytics.errors import SourceError, UsageError, refused
from redemption_analytics.loading.loading import Loading
from redemption_analytics.loading.option_checks import count
from redemption_analytics.moments import Moment, Span, end, span
from redemption_analytics.options import DECLARED, LoadOptions, NamedBy
from redemption_analytics.sources.find import Source
from redemption_analytics.tables.arguments import public, public_with
from redemption_analytics.warehouse.delta import publish
from redemption_analytics.warehouse.forgetting import Forgetting, Forgotten
from redemption_analytics.warehouse.ingest import Ingest, Ingested
from redemption_analytics.warehouse.log import Entry, Log
from redemption_analytics.warehouse.options import kept_options
from redemption_analytics.warehouse.store import Store
from redemption_analytics.warehouse.units import units_of
from redemption_analytics.warehouse.vacuum import Vacuumed, vacuum

# Without frames and their models, which take longer to import than a night's exports to ingest.
if TYPE_CHECKING:
    import duckdb
    import pandas as pd
    import polars
    import pyarrow as pa

    from redemption_analytics.loading.open import Engine
    from redemption_analytics.redemptions import Redemptions
    from redemption_analytics.warehouse.difference import Difference


class Warehouse:
    """What exports told so far: it grows by a night, and its older versions stay readable.

    Parameters
    ----------
    path
        A directory, which need not be there yet, or a URL (``s3://``, ``gs://``, ``az://``).

    Raises
    ------
    UsageError
        If the place is of no known kind.

    Examples
    --------
    >>> import redemption_analytics as ra
    >>> warehouse = ra.Warehouse("memory://docs")
    >>> warehouse.ingest("data_samples/2020-breakups.json")
    version 1: 1 export read, 0 known already; points 2 added; reversals 2 added;
    coupons 1 added; customers 1 added
    >>> ra.net_points(warehouse.open())
       redemptions  points_redeemed  points_reversed  net_points
    0            2              120               30          90
    """

    @public
    def __init__(self, path: str | os.PathLike[str]):
        if not isinstance(path, (str, os.PathLike)):
            raise refused("path", "a directory or a URL", path)
        self._store = Store(path)
        self._log = Log(self._store)

    def __repr__(self) -> str:
        return f"Warehouse({self._store.location!r})"

    @public_with(DECLARED)
    def ingest(self, source: Source, **options: Unpack[LoadOptions]) -> Ingested:
        """Take in what is new in exports.

        What was ingested before is not read again: an export is known by its content and its date.
        Whatever the order in which exports are ingested, the tables are those of one load of them
        all.

        Parameters
        ----------
        source
            As :func:`redemption_analytics.load` takes it.
        **options
            The options of :func:`redemption_analytics.load`. Those that decide what the tables say
            (``points``, ``pii``, ``keep_custom_fields``, ``customer_key``, ``timezone``) are fixed
            by the first ingest; later ones need not give them.

        Returns
        -------
        Ingested
            The version, and what changed.

        Raises
        ------
        UsageError
            If an option is another than the warehouse was made with.
        SourceError
            If there is something new, but nothing of it can be used. ``allow_empty`` lets that
            pass.
        WriteError
            If the warehouse cannot be written.
        """
        entry = self._log.newest()
        whole, kept = kept_options(options, None if entry is None else entry.options)
        return Ingest(self._store, self._log, Loading.of(whole), kept).run(source)

    @overload
    def open(
        self,
        engine: Literal["pandas"] = "pandas",
        *,
        version: int | None = None,
        as_known_on: Moment | None = None,
        session: Any = None,
    ) -> Redemptions[pd.DataFrame]: ...

    @overload
    def open(
        self,
        engine: Literal["duckdb"],
        *,
        version: int | None = None,
        as_known_on: Moment | None = None,
        session: Any = None,
    ) -> Redemptions[duckdb.DuckDBPyRelation]: ...

    @overload
    def open(
        self,
        engine: Literal["polars"],
        *,
        version: int | None = None,
        as_known_on: Moment | None = None,
        session: Any = None,
    ) -> Redemptions[polars.LazyFrame]: ...

    @overload
    def open(
        self,
        engine: Literal["pyarrow"],
        *,
        version: int | None = None,
        as_known_on: Moment | None = None,
        session: Any = None,
    ) -> Redemptions[pa.Table]: ...

    @overload
    def open(
        self,
        engine: Engine = "pandas",
        *,
        version: int | None = None,
        as_known_on: Moment | None = None,
        session: Any = None,
    ) -> Redemptions: ...

    @public
    def open(
        self,
        engine: Engine = "pandas",
        *,
        version: int | None = None,
        as_known_on: Moment | None = None,
        session: Any = None,
    ) -> Redemptions:
        """Open a version as a bundle of tables.

        Parameters
        ----------
        engine, session
            As :func:`redemption_analytics.open` takes them.
        version
            Which version; by default the newest.
        as_known_on
            A moment: what the exports told that had been made until then (a date is all of that
            day), whenever they were ingested; by the time of each in ``files``, which is UTC where
            that of a file dates it, or a path with an offset. Where no version consists of just
            these, their answers are merged again, in memory. Unknown fields and zero times of
            exports that came by one ingest were counted together: where some of these exports were
            made later, the audit counts at least what there was, and says so. What 0.2.0 or an
            earlier release refused is told by the name of its export: with a later export of the
            same name, that one's rejects are told, too.

        Returns
        -------
        Redemptions
            The bundle.

        Raises
        ------
        UsageError
            If both are given, or there is no such version, or nothing was known then.
        SourceError
            If the warehouse holds nothing yet, or cannot be read.
        """
        from redemption_analytics.loading.open import reader_of
        from redemption_analytics.warehouse.opening import known_on, opened

        if version is not None and as_known_on is not None:
            raise UsageError("open takes version or as_known_on, not both")
        moment = end(as_known_on, "as_known_on")
        reader = reader_of(engine, session)
        entry = self._entry(version)
        if moment is None:
            return opened(self._store, entry, reader)

        def loading() -> Loading:
            return Loading.of(kept_options({}, entry.options)[0])

        return known_on(self._store, self._log, entry, moment, loading, reader)

    def history(self) -> pd.DataFrame:
        """Return the versions that can be opened, the oldest first.

        Returns
        -------
        pandas.DataFrame
            One row for each version: ``version``, ``committed_at`` (UTC), ``exports`` (how many
            were met so far), ``newest_export`` (when the newest of those was made that tell it),
            and how many ``points``, ``coupons``, ``reversals`` and ``customers`` there are.

        Examples
        --------
        >>> import redemption_analytics as ra
        >>> warehouse = ra.Warehouse("memory://history")
        >>> done = warehouse.ingest("data_samples/2020-breakups.json")
        >>> warehouse.history()[["version", "exports", "points", "reversals"]]
           version  exports  points  reversals
        0        1        1       2          2
        """
        import pandas as pd

        tables = ("points", "coupons", "reversals", "customers")
        rows = []
        for version in self._log.versions():
            entry = self._log.read(version)
            newest = [unit.newest for unit in units_of(entry) if unit.newest]
            rows.append(
                (
                    version,
                    entry.committed_at,
                    sum(file.rows for file in entry.tables["files"]),
                    datetime.fromisoformat(max(newest)) if newest else None,
                    *(sum(file.rows for file in entry.tables[name]) for name in tables),
                )
            )
        columns = ["version", "committed_at", "exports", "newest_export", *tables]
        frame = pd.DataFrame(rows, columns=columns)
        times = dict.fromkeys(("committed_at", "newest_export"), "datetime64[us]")
        return frame.astype({**times, "version": "int64"})

    @public
    def diff(self, before: int, after: int | None = None) -> Difference:
        """Compare two versions: what came, what was restated, and how net points moved.

        Parameters
        ----------
        before, after
            Two versions; by default the later one is the newest.

        Returns
        -------
        Difference
            The rows that came and went, the values that changed, and the totals' change.

        Raises
        ------
        UsageError
            If there is no such version.
        """
        from redemption_analytics.warehouse.difference import difference

        first = self._entry(count("before", before))
        return difference(self._store, first, self._entry(after and count("after", after)))

    @public
    def vacuum(self, keep: int = 30, *, grace: Span = "1D") -> Vacuumed:
        """Take away old versions, and the files that no version names any more.

        Parameters
        ----------
        keep
            How many of the newest versions stay.
        grace
            A span: versions that were the newest so long ago stay too, for who opened one may still
            read it; and so do files that are no older, for an ingest may be writing them.

        Returns
        -------
        Vacuumed
            What went.
        """
        least = count("keep", keep)
        return vacuum(self._store, self._log, least, span(grace, "grace"))

    @public
    def forget(
        self,
        *,
        mobile: str | None = None,
        email: str | None = None,
        external_id: str | None = None,
        user_id: str | None = None,
        customer_key: str | None = None,
    ) -> Forgotten:
        """Take a person out of all that the newest version holds.

        The person is the customer that is named, by whatever identities the exports told them: all
        that is united under one ``customer_key``. Their answers go, and what was merged of them, as
        if they had never been in the exports; so do rejects of their answers. Where others' answers
        (messages, notes, custom fields), what was refused, or names of files name one of their
        identities of six characters or more, that text goes. The ledger counts what went as never
        seen. Kept are the files that were met, with size and digest, so that they are not read
        again (the names, too, of files that were passed over or could not be read: by these they
        are known), and how often unknown fields and zero times were met.

        **Older versions hold the person until they are vacuumed.** ``vacuum(keep=1)`` takes them
        away once they have been superseded for a day; ``vacuum(keep=1, grace="0s")`` at once, when
        no ingest is under way and nobody reads older versions. Copies elsewhere (exports, what
        :func:`redemption_analytics.convert` wrote, reports) are not the warehouse's; nor is what a
        killed ingest or forgetting leaves in the system's temporary directory, in folders that
        begin with ``redemption-analytics-``.

        **A new export that tells of the person brings them back:** no list of the forgotten is
        kept, for it would have to name them. Remove them at the source first.

        Parameters
        ----------
        mobile, email, external_id, user_id
            An identity, as the exports write it; also under ``pii="pseudonymize"``, where the key
            of the environment is needed.
        customer_key
            The customer, as the tables name them: there a pseudonym, else an identity with its
            kind, as ``"mobile:447700900123"``. One of the five is to be given.

        Returns
        -------
        Forgotten
            The version, what changed, and the older versions that may hold the person.

        Raises
        ------
        UsageError
            If not just one name is given, if nobody or several customers have it, or if the key of
            the environment is another than that of the warehouse.
        SourceError
            If the warehouse holds nothing yet.
        WriteError
            If the warehouse cannot be written.

        Examples
        --------
        >>> import redemption_analytics as ra
        >>> warehouse = ra.Warehouse("memory://forgetting")
        >>> done = warehouse.ingest("data_samples/2020-breakups.json")
        >>> warehouse.forget(customer_key=warehouse.open().customers["customer_key"][0])
        version 2: 1 answer forgotten; points 2 removed; reversals 2 removed; coupons 1 removed;
        customers 1 removed; in version 1 until vacuumed
        >>> len(warehouse.open().points), warehouse.vacuum(keep=1, grace="0s").versions
        (0, (1,))
        """
        given: dict[NamedBy, str | None] = {
            "mobile": mobile,
            "email": email,
            "external_id": external_id,
            "user_id": user_id,
            "customer_key": customer_key,
        }
        named = [(name, value) for name, value in given.items() if value is not None]
        if len(named) != 1:
            raise UsageError(f"forget takes one of {', '.join(given)}: {len(named)} were given")
        name, value = named[0]
        # What is wrong about it must not be told with it.
        if not isinstance(value, str) or not value.strip():
            raise UsageError(f"forget: {name} is to be a text that is not empty")
        entry = self._entry(None)
        whole, kept = kept_options({}, entry.options)
        forgetting = Forgetting(self._store, self._log, Loading.of(whole), kept)
        return forgetting.run(entry, name, value.strip())

    def publish(self) -> None:
        """Publish the versions as Delta tables, over the same files.

        Each public table is one, at ``data/<table>``, and version n of it is version n of the
        warehouse. Once published, later ingests publish their versions too.

        Raises
        ------
        UsageError
            If the extra ``delta`` is missing.
        """
        self._entry(None)
        publish(self._store)

    def _entry(self, version: int | None) -> Entry:
        if version is not None:
            return self._log.read(count("version", version))
        entry = self._log.newest()
        if entry is None:
            raise SourceError(f"{self._store.location} holds nothing yet: ingest exports first")
        return entry
