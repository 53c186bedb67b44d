"""Frames as sources: a column of payloads, whosever frame it is in."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import duckdb
import pandas as pd
import polars as pl
import pyarrow as pa
import pytest

import redemption_analytics as ra


def answer(key: str) -> dict[str, Any]:
    point = {"redemption_id": key, "points_redeemed": 5}
    customer = {"mobile": "1", "redemptions": {"points": {"point": [point]}}}
    return {"response": {"status": {"success": True}, "customer": customer}}


TEXTS = [json.dumps(answer(key)) for key in "ab"]
COLUMNS = {"id": [1, 2], "payload": TEXTS}
FRAMES: dict[str, Any] = {
    "pandas": lambda: pd.DataFrame(COLUMNS, index=[7, 7]),
    "pandas of objects": lambda: pd.DataFrame({"payload": [answer("a"), None, answer("b")]}),
    "pandas of bytes": lambda: pd.DataFrame({"payload": [t.encode() for t in TEXTS]}),
    "polars": lambda: pl.DataFrame(COLUMNS),
    "polars lazy": lambda: pl.DataFrame(COLUMNS).lazy(),
    "polars with nulls": lambda: pl.DataFrame({"payload": [None, *TEXTS]}),
    "pyarrow": lambda: pa.table(COLUMNS),
    "pyarrow of bytes": lambda: pa.table({"payload": pa.array(TEXTS).cast(pa.binary())}),
    "pyarrow of a dictionary": lambda: pa.table({"payload": pa.array(TEXTS).dictionary_encode()}),
    "a stream of Arrow": lambda: pa.table(COLUMNS).to_reader(),
    "duckdb": lambda: duckdb.connect().from_arrow(pa.table(COLUMNS)),
    "several": lambda: [pl.DataFrame({"payload": TEXTS[:1]}), pd.DataFrame({"payload": TEXTS[1:]})],
}


@pytest.mark.parametrize("kind", FRAMES)
def test_payloads_of_a_frame_are_read(kind: str) -> None:
    r = ra.load(FRAMES[kind]())
    assert sorted(r.points["redemption_id"]) == ["a", "b"]
    assert r.rejects.empty
    assert set(r.files["form"]) == {"frame"}
    assert r.files["records"].sum() == 2


def test_a_frame_may_stand_beside_files(tmp_path: Path) -> None:
    (tmp_path / "c.json").write_text(json.dumps(answer("c")))
    r = ra.load([pd.DataFrame(COLUMNS), tmp_path])
    assert sorted(r.points["redemption_id"]) == ["a", "b", "c"]


def test_a_bad_payload_of_a_frame_is_a_reject_with_its_number() -> None:
    r = ra.load(pd.DataFrame({"payload": [TEXTS[0], "no answer", TEXTS[1]]}))
    assert r.rejects[["source", "record"]].to_numpy().tolist() == [["frame", 2]]


@pytest.mark.parametrize("make", [pd.DataFrame, pl.DataFrame, pa.table])
def test_a_frame_without_such_a_column_is_an_error_that_names_it(make: Any) -> None:
    with pytest.raises(ra.SourceError, match='no column "payload" of payloads, but id, body'):
        ra.load(make({"id": [1], "body": ["x"]}))
    with pytest.raises(ra.SourceError, match='a column "payload" of int: give texts'):
        ra.load(make({"payload": [1]}))
