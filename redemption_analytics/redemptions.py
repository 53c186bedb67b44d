"""The bundle: ten tables that belong together."""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping
from datetime import date, datetime
from html import escape
from pathlib import Path
from typing import Any

import narwhals as nw
import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc
from pandera.errors import SchemaErrors

from redemption_analytics.audits import truncated
from redemption_analytics.errors import ValidationError
from redemption_analytics.filtering import filtered
from redemption_analytics.frames import (
    as_arrow,
    as_pandas,
    conformed,
    declared,
    empty,
    frame_like,
    of_one_kind,
    pandas_frame,
    schema_of,
)
from redemption_analytics.ledger import FINDINGS, LEDGER, no_findings, no_ledger
from redemption_analytics.schemas import MODELS, RELATIONS
from redemption_analytics.storage import write_folders

_SHOWN_FAILURES = 5


class Redemptions:
    """Redemptions of one organisation, as ten tables.

    What :func:`redemption_analytics.load` returns. People who hold frames already build one from
    them; a table that is not given is empty.

    Parameters
    ----------
    responses, customers, coupons, points, program_breakups, reversals, reversal_breakups, \
source_breakups, custom_fields, rejects
        Frames with the columns that the models in :mod:`redemption_analytics.schemas` declare, all
        of one kind: pandas, Polars, PyArrow or DuckDB. What has ``__arrow_c_stream__``, as frames
        of most other libraries do, becomes what the others are, a PyArrow table where it is alone.
    ledger
        What was seen, and what became of it, per kind of element.
    findings
        What only the loader could see, for :func:`redemption_analytics.audit`.

    Attributes
    ----------
    tables : dict of str to frame
        The ten tables by name.
    ledger : frame
        Columns element, seen, loaded, merged, rejected; seen is the sum of the other three.

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

    responses: Any
    customers: Any
    coupons: Any
    points: Any
    program_breakups: Any
    reversals: Any
    reversal_breakups: Any
    source_breakups: Any
    custom_fields: Any
    rejects: Any

    def __init__(
        self,
        *,
        responses: Any = None,
        customers: Any = None,
        coupons: Any = None,
        points: Any = None,
        program_breakups: Any = None,
        reversals: Any = None,
        reversal_breakups: Any = None,
        source_breakups: Any = None,
        custom_fields: Any = None,
        rejects: Any = None,
        ledger: Any = None,
        findings: Any = None,
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
        }
        frames = of_one_kind(given)
        like = next(iter(frames.values()), None)
        for name in given:
            here = name in frames
            setattr(self, name, frames[name] if here else frame_like(like, empty(name), name))
        self.ledger = frame_like(like, no_ledger()) if ledger is None else ledger
        self.findings = frame_like(like, no_findings()) if findings is None else findings

    @property
    def tables(self) -> dict[str, Any]:
        """The ten tables by name."""
        return {name: getattr(self, name) for name in MODELS}

    @classmethod
    def from_arrow(
        cls, tables: Mapping[str, pa.Table], ledger: pa.Table, findings: pa.Table
    ) -> Redemptions:
        """Build a bundle of pandas frames from Arrow tables of declared form."""
        frames: dict[str, Any] = {
            name: pandas_frame(name, declared(name, table)) for name, table in tables.items()
        }
        return cls(**frames, ledger=ledger.to_pandas(), findings=findings.to_pandas())

    def validate(self) -> Redemptions:
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
        frames = {name: as_pandas(frame, name) for name, frame in self.tables.items()}
        for name, frame in frames.items():
            try:
                schema_of(name).validate(frame, lazy=True)
            except SchemaErrors as errors:
                raise ValidationError(_failures(name, frame, errors.failure_cases)) from None
        for child, parent, key in RELATIONS:
            # In Arrow: pandas' isin makes a Python object of every text.
            keys = pa.array(frames[child][key], from_pandas=True)
            known = pc.is_in(keys, pa.array(frames[parent][key], from_pandas=True))
            orphans = pc.indices_nonzero(pc.and_(pc.is_valid(keys), pc.invert(known)))
            # Bundles made by hand may well leave the customers out.
            if len(orphans) and not (parent == "customers" and frames[parent].empty):
                raise ValidationError(
                    f"{child}: {len(orphans)} rows name a {key} that {parent} does not have,"
                    f" the first in row {orphans[0]}"
                )
        return self

    def filter(
        self,
        *,
        since: str | date | datetime | None = None,
        until: str | date | datetime | None = None,
        as_of: str | date | datetime | None = None,
        **conditions: Any,
    ) -> Redemptions:
        """Choose redemptions, with all that belongs to them.

        Parameters
        ----------
        since, until
            Moments of redemption, wall-clock: from ``since`` on, and before ``until``.
        as_of
            A moment, wall-clock: what happened later is not seen, neither redemptions nor
            reversals. What has no time stays.
        **conditions
            Values, or lists of values, of customer_key, store_code, till_code, program_id,
            redemption_purpose, series_id, discount_type or code; None stands for null. A redemption
            belongs to every program that it drew on, or that points of it came back to. Coupon
            redemptions have no program_id and redemption_purpose, points redemptions no series_id,
            discount_type and code: a condition on these chooses none of them.

        Returns
        -------
        Redemptions
            Breakups, reversals, custom fields and customers follow the redemptions. ``responses``
            stays only where customers are chosen whole (by customer_key alone), since answers tell
            what a customer has in all; rejects, ledger and findings are those of a load, and empty.

        Raises
        ------
        UsageError
            If a condition is none of those named.

        Examples
        --------
        >>> import redemption_analytics as ra
        >>> r = ra.load("data_samples/2025-stores.json")
        >>> len(r.filter(store_code="north").points), len(r.filter(until="2025-03-01").points)
        (1, 0)
        """
        return Redemptions(**filtered(self, since, until, as_of, conditions))

    def to_parquet(self, directory: str | os.PathLike[str]) -> Path:
        """Write each table to a folder of its own in a directory, as Parquet.

        Parameters
        ----------
        directory
            Made where it does not exist. Files of an earlier call are replaced.

        Returns
        -------
        pathlib.Path
            The directory.
        """
        tables = {name: conformed(name, frame) for name, frame in self.tables.items()}
        books = {LEDGER: as_arrow(self.ledger), FINDINGS: as_arrow(self.findings)}
        plain = {name: table.replace_schema_metadata() for name, table in (tables | books).items()}
        write_folders(plain, Path(directory))
        return Path(directory)

    def __repr__(self) -> str:
        return "\n".join(["Redemptions", *(f"  {name:<18} {text}" for name, text in self._sums())])

    def _repr_html_(self) -> str:
        rows = "".join(
            f"<tr><th style='text-align:left'>{escape(name)}</th>"
            f"<td style='text-align:left'>{escape(text)}</td></tr>"
            for name, text in self._sums()
        )
        return f"<table><caption>Redemptions</caption>{rows}</table>"

    def _sums(self) -> Iterator[tuple[str, str]]:
        """Sum the bundle up; what is not in memory is not read for that."""
        lazy = False
        for name, frame in self.tables.items():
            native = nw.from_native(frame)
            lazy = lazy or isinstance(native, nw.LazyFrame)
            yield name, "not in memory" if lazy else _rows(len(native))
        if lazy:
            return
        times = [
            nw.from_native(frame, eager_only=True)["redeemed_time"].drop_nulls()
            for frame in (self.points, self.coupons)
        ]
        if any(len(column) for column in times):
            first = min(column.min() for column in times if len(column))
            last = max(column.max() for column in times if len(column))
            yield "redeemed", f"{first:%Y-%m-%d} to {last:%Y-%m-%d}"
        missing = len(as_arrow(truncated(self, "points"))) + len(
            as_arrow(truncated(self, "coupons"))
        )
        if missing:
            whose = "customer misses" if missing == 1 else "customers miss"
            yield "truncated", f"{missing:>12,} {whose} redemptions: see audit"


def _rows(count: int) -> str:
    return f"{count:>12,} {'row' if count == 1 else 'rows'}"


def _failures(table: str, frame: pd.DataFrame, cases: Any) -> str:
    types = cases["check"].astype("str").str.startswith("dtype(")
    wrong = dict.fromkeys(cases.loc[types, "column"])
    shown = []
    if wrong:
        said = ", ".join(f"{column} is {frame[column].dtype}" for column in wrong)
        remedy = ", ".join(f'"{column}": {_pandas_type(table, column)}' for column in wrong)
        shown.append(f"{said}: .astype({{{remedy}}}) puts that right")
    others = cases[~types]
    shown += [
        f"{case.column}: {case.check} fails"
        + ("" if case.index is None else f" in row {case.index}")
        for case in others.head(_SHOWN_FAILURES).itertuples()
    ]
    more = len(others) - _SHOWN_FAILURES
    return f"{table}: " + "; ".join(shown) + (f"; and {more} more" if more > 0 else "")


def _pandas_type(table: str, column: str) -> str:
    """Write the declared type of a column as one would write it in code, for any pandas."""
    name = str(schema_of(table).columns[column].dtype)
    # "str" means another type before pandas 3.
    return 'pd.StringDtype(na_value=float("nan"))' if name == "str" else f'"{name}"'
