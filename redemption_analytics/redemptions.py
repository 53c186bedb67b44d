"""The bundle: ten tables that belong together."""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping
from datetime import date, datetime
from html import escape
from pathlib import Path
from typing import Any

import narwhals as nw
import pyarrow as pa

from redemption_analytics.audits import truncated
from redemption_analytics.filtering import filtered
from redemption_analytics.frames import (
    as_arrow,
    as_pandas,
    declared,
    empty,
    frame_like,
    pandas_frame,
)
from redemption_analytics.ledger import FINDINGS, LEDGER, no_findings, no_ledger
from redemption_analytics.schemas import MODELS
from redemption_analytics.storage import write_folders
from redemption_analytics.validation import check_tables


class Redemptions:
    """Redemptions of one organisation, as ten tables.

    What :func:`redemption_analytics.load` returns. People who hold frames already build one from
    them; a table that is not given is empty.

    Parameters
    ----------
    responses, customers, coupons, points, program_breakups, reversals, reversal_breakups, \
source_breakups, custom_fields, rejects
        Frames with the columns that the models in :mod:`redemption_analytics.schemas` declare.
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

    Examples
    --------
    >>> import redemption_analytics as ra
    >>> r = ra.load("data_samples/2020-breakups.json")
    >>> r.points[["program_id", "points_redeemed"]]
       program_id  points_redeemed
    0         469               90
    1        1234               30
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
        given = {
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
        like = next((frame for frame in given.values() if frame is not None), None)
        for name, frame in given.items():
            setattr(self, name, frame_like(like, empty(name), name) if frame is None else frame)
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
        check_tables({name: as_pandas(frame, name) for name, frame in self.tables.items()})
        return self

    def filter(
        self,
        *,
        since: str | date | datetime | None = None,
        until: str | date | datetime | None = None,
        **conditions: Any,
    ) -> Redemptions:
        """Choose redemptions, with all that belongs to them.

        Parameters
        ----------
        since, until
            Moments of redemption, wall-clock: from ``since`` on, and before ``until``.
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
        return Redemptions(**filtered(self, since, until, conditions))

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
        tables = {name: declared(name, as_arrow(frame)) for name, frame in self.tables.items()}
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
