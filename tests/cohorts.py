"""Bundles of redemptions and of what came back of them, and the same in loops."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Sequence
from datetime import datetime, timedelta
from typing import Any

import naive
import numpy as np
import pandas as pd

import redemption_analytics as ra
from redemption_analytics.tables.arrow import arrow_schema_of
from redemption_analytics.tables.frames import as_arrow, pandas_frame

DAY = timedelta(days=1)


START = datetime(2025, 1, 1, 12)


ENGINES = ["pandas", "polars", "pyarrow", "duckdb"]


# What leaves those at risk: for each unit, a list of (day, whether reversed, size).
Exits = list[tuple[int, bool, float]]


def table(name: str, rows: Iterable[dict[str, Any]], *, decimal: bool = False) -> pd.DataFrame:
    import pyarrow as pa

    schema = arrow_schema_of(name, decimal_points=decimal)
    return pandas_frame(name, pa.Table.from_pylist(list(rows), schema=schema))


def bundle(
    points: Sequence[dict[str, Any]],
    reversals: Sequence[dict[str, Any]] = (),
    *,
    decimal: bool = False,
    **tables: Sequence[dict[str, Any]],
) -> ra.Redemptions:
    """Redemptions of 10 points at START and in program 1, unless a row says otherwise."""
    usual = {"id": 1, "program_id": 1, "points_redeemed": 10, "redeemed_time": START}
    keyed = [usual | {"redemption_key": f"r{n}"} | row for n, row in enumerate(points)]
    backs = [{"reversal_id": n, "points_reversed": 10} | row for n, row in enumerate(reversals)]
    others: dict[str, Any] = {name: table(name, rows) for name, rows in tables.items()}
    return ra.Redemptions(
        points=table("points", keyed, decimal=decimal),
        reversals=table("reversals", backs, decimal=decimal),
        **others,
    )


def back(key: str, days: float | None, **more: Any) -> dict[str, Any]:
    time = None if days is None else START + days * DAY
    return {"redemption_key": key, "reversal_time": time} | more


def pandas(frame: Any) -> pd.DataFrame:
    if isinstance(frame, pd.DataFrame):
        return frame
    types: dict[Any, Any] = {"int64": pd.Int64Dtype(), "string": pd.StringDtype(na_value=np.nan)}
    return as_arrow(frame).to_pandas(
        types_mapper=lambda kind: types.get(str(kind).removeprefix("large_"))
    )


def units(
    raw: naive.Naive, by: Sequence[str], as_of: datetime, weight: str, horizon: int
) -> dict[naive.Group, list[Exits]]:
    found = followed(raw, by, as_of, weight, horizon)
    return {group: [exits for _, exits in rows] for group, rows in found.items()}


def followed(
    raw: naive.Naive, by: Sequence[str], as_of: datetime, weight: str, horizon: int
) -> dict[naive.Group, list[tuple[int, Exits]]]:
    """Days since the redemption, and exits, of each unit."""
    sizes: dict[tuple[Any, Any], dict[str, Any]] = defaultdict(lambda: {"n": 0, "out": 0})
    backs: dict[tuple[Any, Any], dict[int, Any]] = defaultdict(lambda: defaultdict(int))
    for key, program, reversal, numbers in naive._bookings(raw, by):
        born, time = raw.points[key]["redeemed_time"], reversal.get("reversal_time")
        if born is None or born > as_of or (time and time > as_of):
            continue
        if reversal:
            backs[key, program][reversal["reversal_id"]] += numbers["back"]
        else:
            for name, number in numbers.items():
                sizes[key, program][name] += number
    found: dict[naive.Group, list[tuple[int, Exits]]] = {} if by else {(): []}
    for (key, program), size in sizes.items():
        row = raw.points[key] | {"program_id": program}
        born = row["redeemed_time"]
        days: dict[int | None, Any] = defaultdict(int)
        for number, points in backs[key, program].items():
            time = raw.reversals[number]["reversal_time"]
            if points > 0:
                days[max((time - born) // DAY, 0) if time else None] += points
        unknown = days.pop(None, 0)
        if weight == "redemptions":
            whole = min(size["n"], 1) if days or not unknown else 0
            days = {min(days): 1} if days else {}
        else:
            whole = max(size["out"] - unknown, min(size["out"], sum(days.values())))
        exits: Exits = []
        left = whole
        for day in sorted(days):
            part = min(left, days[day])
            if part > 0 and day <= horizon:
                exits.append((day, True, part))
                left -= part
        if left > 0:
            exits.append((min((as_of - born) // DAY, horizon + 1), False, left))
        if exits and whole > 0:
            since = (as_of - born) // DAY
            found.setdefault(naive._group(by, row, born), []).append((since, exits))
    return found


def newest(r: ra.Redemptions) -> datetime:
    """Now: the sample's exports are dated by their paths, and nothing happens on the last day."""
    assert set(r.responses["dated_by"]) == {"path"}
    return r.responses["exported_at"].max().to_pydatetime()


def grouped(frame: pd.DataFrame, by: Sequence[str]) -> dict[naive.Group, pd.DataFrame]:
    if not by:
        return {(): frame}

    def value(item: Any) -> Any:
        if pd.isna(item):
            return None
        return item.date() if isinstance(item, datetime) else item

    return {tuple(map(value, group)): rows for group, rows in frame.groupby(list(by), dropna=False)}
