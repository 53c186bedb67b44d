"""The bundle: eleven tables that belong together."""

from __future__ import annotations

import os
from collections.abc import Mapping
from datetime import datetime
from functools import cached_property, partial
from pathlib import Path
from typing import Any, Generic, cast

import pandas as pd
import pyarrow as pa

from redemption_analytics.atomic_directory import check_replaceable, write_folders, written_beside
from redemption_analytics.moments import Moment
from redemption_analytics.schemas import MODELS
from redemption_analytics.tables.arguments import path_of, public
from redemption_analytics.tables.arrow import empty
from redemption_analytics.tables.custom_fields import custom_names
from redemption_analytics.tables.filtering import filtered
from redemption_analytics.tables.frames import (
    as_arrow,
    as_pandas,
    conformed,
    frame_like,
    of_one_kind,
    pandas_frame,
    texts_as_declared,
    with_types_of,
)
from redemption_analytics.tables.lazy import FrameT, frame, native
from redemption_analytics.tables.lazy_validation import check_lazily
from redemption_analytics.tables.ledger import (
    CASE,
    CASES,
    FINDINGS,
    LEDGER,
    no_cases,
    no_findings,
    no_ledger,
)
from redemption_analytics.tables.now import findings_of_now, now_as_of, now_of, with_now
from redemption_analytics.tables.outputs import converted_files
from redemption_analytics.tables.points import point_sums
from redemption_analytics.tables.spark import is_spark
from redemption_analytics.tables.spark_writing import write_by_spark
from redemption_analytics.tables.summary import as_html, as_text, summary
from redemption_analytics.tables.validation import check_tables


class Redemptions(Generic[FrameT]):
    """Redemptions of one organisation, as eleven tables.

    What :func:`redemption_analytics.load` returns. People who hold frames already build one from
    them; a table that is not given is empty. The frames have the columns that the models in
    :mod:`redemption_analytics.schemas` declare, and all are of one kind: pandas, Polars, PyArrow,
    DuckDB or Spark. What has ``__arrow_c_stream__``, as frames of most other libraries do, becomes
    what the others are, a PyArrow table where it is alone.

    Parameters
    ----------
    responses, customers, coupons, points, program_breakups, reversals, reversal_breakups, \
source_breakups, custom_fields, rejects, files
        The table of this name.
    ledger
        What was seen, and what became of it, per kind of element.
    findings
        What only the loader could see, for :func:`redemption_analytics.audit`.
    cases
        The redemptions, reversals and customers in which it saw that, for
        :func:`redemption_analytics.audit_cases`.

    Attributes
    ----------
    tables : dict of str to frame
        The eleven tables by name.
    ledger : frame
        Columns element, seen, loaded, merged, rejected, passed_over; seen is the sum of the others.

    Notes
    -----
    The tables go into other libraries as they are: ``pl.from_pandas(r.points)``,
    ``pa.table(r.points)``, ``duckdb.sql("FROM points")`` after ``points = r.points``, and
    scikit-learn's ``fit(r.points[[…]], …)``. What needs a word more:

    - All tables in one's own DuckDB: ``for name, table in r.tables.items():
      connection.register(name, table)``; a relation goes to another database as
      ``table.to_arrow_table()``.
    - A Polars LazyFrame gives its Arrow stream after ``.collect()``.
    - scikit-learn takes columns by name from pandas and Polars only: ``table.to_pandas()`` of
      PyArrow, ``relation.df()`` of DuckDB. Integers that may be null are floats to it, and a
      category "469.0": ``astype("str")`` before a OneHotEncoder makes it "469".
    - The way back needs no pandas: give ``ra.Redemptions(points=…)`` the frame itself, since
      ``to_pandas()`` makes floats of integers that may be null.

    Examples
    --------
    >>> import redemption_analytics as ra
    >>> r = ra.load("data_samples/2020-breakups.json")
    >>> r.points[["program_id", "points_redeemed"]]
       program_id  points_redeemed
    0         469               90
    1        1234               30

    >>> import duckdb
    >>> points, reversals = r.points, r.reversals
    >>> duckdb.sql("SELECT sum(points_reversed) FROM reversals JOIN points USING (redemption_key)")
    ┌──────────────────────┐
    │ sum(points_reversed) │
    │        int128        │
    ├──────────────────────┤
    │                   30 │
    └──────────────────────┘
    """

    responses: FrameT
    customers: FrameT
    coupons: FrameT
    points: FrameT
    program_breakups: FrameT
    reversals: FrameT
    reversal_breakups: FrameT
    source_breakups: FrameT
    custom_fields: FrameT
    rejects: FrameT
    files: FrameT

    #: The custom fields of the bundle that this one was chosen from.
    _unfiltered: Any = None

    @public
    def __init__(
        self,
        *,
        responses: Any = None,
        customers: Any = None,
        coupons: Any = None,
        points: FrameT | None = None,
        program_breakups: Any = None,
        reversals: Any = None,
        reversal_breakups: Any = None,
        source_breakups: Any = None,
        custom_fields: Any = None,
        rejects: Any = None,
        files: Any = None,
        ledger: Any = None,
        findings: Any = None,
        cases: Any = None,
    ):
        given: dict[str, Any] = {
            "responses": responses,
            "customers": customers,
            "coupons": coupons,
            "points": points,
            "program_breakups": program_breakups,
            "reversals": reversals,
            "reversal_breakups": reversal_breakups,
            "source_breakups": source_breakups,
            "custom_fields": custom_fields,
            "rejects": rejects,
            "files": files,
        }
        frames = of_one_kind(given)
        like = next(iter(frames.values()), None)
        for name in given:
            here = name in frames
            setattr(self, name, frames[name] if here else frame_like(like, empty(name), name))
        self.ledger = frame_like(like, no_ledger()) if ledger is None else ledger
        self.findings = frame_like(like, no_findings()) if findings is None else findings
        self.cases = frame_like(like, no_cases()) if cases is None else cases

    @property
    def tables(self) -> dict[str, FrameT]:
        """The eleven tables by name."""
        return {name: getattr(self, name) for name in MODELS}

    @cached_property
    def now(self) -> datetime | None:
        """The moment up to which this tells what happened: when the newest export was made.

        Where only a date is known of that export, it is the later of the date's midnight and the
        newest time on that day; where no export says when it was made (modification times do not
        say it), the newest time in the data; None where there is none. Times after their own
        export, by more than a day, are mistakes and never now: the audit names them.
        """
        return now_of(self.tables, self.findings)

    @cached_property
    def point_sums(self) -> dict[str, int]:
        """The points of each table that has whole ones, added up: exactly, past 2^63 too."""
        return point_sums(self.tables)

    @cached_property
    def custom_names(self) -> dict[str, list[str]]:
        """The custom fields of "points" and of "coupon" redemptions, those filtered out included.

        They are what ``by="custom:NAME"`` takes.
        """
        whole = self._unfiltered
        return custom_names(self.custom_fields if whole is None else whole)

    @classmethod
    def from_arrow(
        cls,
        tables: Mapping[str, pa.Table],
        ledger: pa.Table,
        findings: pa.Table,
        cases: pa.Table,
    ) -> Redemptions[pd.DataFrame]:
        """Build a bundle of pandas frames from Arrow tables of declared form."""
        # These are frames of one kind: nothing is to be found out.
        found = cast("Redemptions[pd.DataFrame]", cls.__new__(cls))
        for name, table in tables.items():
            setattr(found, name, pandas_frame(name, table))
        for name, book in ((LEDGER, ledger), (FINDINGS, findings), (CASES, cases)):
            setattr(found, name, book.to_pandas())
        return found

    def in_arrow(self) -> Redemptions:
        """Return a bundle of pandas frames as one of Arrow tables, and any other as it is.

        Each step over pandas frames takes a millisecond, however little they hold, and what asks
        for hundreds of steps is several times as fast on Arrow tables; on many rows it is as fast.
        What pandas holds and Arrow cannot stays as it is.
        """
        if not isinstance(self.points, pd.DataFrame):
            return self

        def read(table: Any, like: pa.Table) -> pa.Table:
            return with_types_of(like, as_arrow(native(frame(table))))

        try:
            tables = {name: read(table, empty(name)) for name, table in self.tables.items()}
            books = {
                LEDGER: read(self.ledger, no_ledger()),
                CASES: read(self.cases, no_cases()),
                FINDINGS: with_now(self.findings, self.now),
            }
            found = Redemptions(**tables, **books)
        except (pa.ArrowException, OverflowError):
            return self
        # What is of a wrong type is told of as what was given.
        if not all(texts_as_declared(name, table) for name, table in tables.items()):
            return self
        whole = self._unfiltered
        found._unfiltered = None if whole is None else read(whole, empty("custom_fields"))
        return found

    def validate(self) -> Redemptions[FrameT]:
        """Check every table against its schema, and the relations between them.

        Returns
        -------
        Redemptions
            The bundle itself.

        Raises
        ------
        ValidationError
            If a table breaks its schema, or a row belongs to no row of the table that it should
            belong to: a reversal without its redemption, say.
        """
        if is_spark(self.points):
            check_lazily(self.tables)
        else:
            check_tables({name: as_pandas(frame, name) for name, frame in self.tables.items()})
        return self

    @public
    def filter(
        self,
        *,
        since: Moment | None = None,
        until: Moment | None = None,
        as_of: Moment | None = None,
        **conditions: Any,
    ) -> Redemptions[FrameT]:
        """Choose redemptions, with all that belongs to them.

        Parameters
        ----------
        since, until
            Moments of redemption, wall-clock: a date, a datetime, or text such as ``"2026-10-31"``,
            ``"2026-10"`` or ``"2026-10-31T18:00"``. A date is all of that day, a month all of it:
            from its beginning in ``since``, to its end in ``until``, so that
            ``since="2026-10-01", until="2026-10-31"`` is October. A time of day is exact, and
            belongs to the period.
        as_of
            A moment, as ``until``: what happened later is not seen, neither redemptions nor
            reversals. What has no time stays.
        **conditions
            Values of the type of the column, or lists of these, of customer_key, store_code,
            till_code, program_id, redemption_purpose, series_id, discount_type or code; None stands
            for null. A redemption belongs to every program that it drew on, or that points of it
            came back to. Coupon redemptions have no program_id and redemption_purpose, points
            redemptions no series_id, discount_type and code: a condition on these chooses none.

        Returns
        -------
        Redemptions
            Breakups, reversals, custom fields and customers follow the redemptions. ``responses``
            stays only where customers are chosen whole (by customer_key alone), since answers tell
            what a customer has in all; rejects, files and ledger are those of a load, and empty.
            ``now`` is that of the bundle, or ``as_of`` where that is earlier.

        Raises
        ------
        UsageError
            If a condition is none of those named, a value is not of its column's type, or a moment
            is none.

        Examples
        --------
        >>> import redemption_analytics as ra
        >>> r = ra.load("data_samples/2025-stores.json")
        >>> len(r.filter(store_code="north").points), len(r.filter(until="2025-03").points)
        (1, 2)
        """
        chosen = filtered(self.tables, since, until, as_of, conditions)
        findings = findings_of_now(now_as_of(self.now, as_of))
        found = Redemptions(**chosen, findings=frame_like(self.points, findings))
        whole = self._unfiltered
        found._unfiltered = self.custom_fields if whole is None else whole
        return found

    @public
    def to_parquet(self, directory: str | os.PathLike[str]) -> Path:
        """Write each table to a folder of its own in a directory, as Parquet.

        Parameters
        ----------
        directory
            It appears whole or not at all. What an earlier call or :func:`convert` wrote there is
            replaced, any other directory that is not empty is refused.

        Returns
        -------
        pathlib.Path
            The directory.

        Raises
        ------
        UsageError
            If the directory holds something else.
        ValidationError
            If a column lacks, or cannot be of its type.
        WriteError
            If the disk is full, the directory may not be written to, or another run is writing it;
            or if it is another place to Spark, whose executors write the tables of its frames.
        """
        target = path_of(directory, "directory")
        by_spark = is_spark(self.points)
        tables = {} if by_spark else {n: conformed(n, frame) for n, frame in self.tables.items()}
        books = {
            LEDGER: as_arrow(self.ledger),
            FINDINGS: with_now(self.findings, self.now),
            CASES: as_arrow(self.cases).cast(CASE),
        }
        plain = {name: table.replace_schema_metadata() for name, table in (tables | books).items()}
        check = partial(check_replaceable, own=converted_files, overwrite=True)
        with written_beside(target, check) as fresh:
            if by_spark:
                write_by_spark(self.tables, fresh)
            write_folders(plain, fresh)
        return target

    def __repr__(self) -> str:
        return as_text(summary(self.tables, self.ledger))

    def _repr_html_(self) -> str:
        return as_html(summary(self.tables, self.ledger))

    def _repr_mimebundle_(self, **_: Any) -> dict[str, str]:
        # A notebook asks for text and HTML: of many rows one summing up is enough.
        glance = summary(self.tables, self.ledger)
        return {"text/plain": as_text(glance), "text/html": as_html(glance)}
