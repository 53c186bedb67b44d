"""Validation: tables against their models and each other."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc
from pandera.api.pandas.container import DataFrameSchema
from pandera.errors import SchemaErrors

from redemption_analytics.columns import RELATIONS
from redemption_analytics.errors import ValidationError
from redemption_analytics.tables.frames import schema_of

_SHOWN_FAILURES = 5


def check_tables(frames: Mapping[str, pd.DataFrame]) -> None:
    """Check whole tables against their models, and the relations between them.

    Raises
    ------
    ValidationError
        If a table breaks its model, or a row belongs to no row of the table that it should belong
        to.
    """
    for name, frame in frames.items():
        _check(name, frame, schema_of(name))
    for child, parent, key in RELATIONS:
        if frames[child].empty:
            # Arrow before 25 died of looking for nothing in a column without chunks.
            continue
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


def _check(name: str, frame: pd.DataFrame, schema: DataFrameSchema) -> None:
    try:
        schema.validate(frame, lazy=True)
    except SchemaErrors as errors:
        raise ValidationError(_failures(name, frame, errors.failure_cases)) from None


def _failures(table: str, frame: pd.DataFrame, cases: Any) -> str:
    if lacking := [name for name in schema_of(table).columns if name not in frame.columns]:
        return f"{table}: lacks {', '.join(map(str, lacking))}"
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
