"""The bundle: filtering, and frames that people hold already."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import duckdb
import pandas as pd
import polars as pl
import pytest

import redemption_analytics as ra
from redemption_analytics.tables.frames import as_arrow

SAMPLES = Path(__file__).parent.parent / "data_samples"


@pytest.fixture(scope="module")
def r() -> ra.Redemptions:
    return ra.load(SAMPLES / "organisation")


@pytest.fixture(scope="module")
def converted(tmp_path_factory: pytest.TempPathFactory) -> Path:
    directory = tmp_path_factory.mktemp("converted") / "out"
    ra.convert(SAMPLES / "organisation", directory)
    return directory


@pytest.mark.parametrize(
    "conditions",
    [
        {"store_code": "harbour"},
        {"till_code": ["harbour.till1", "station.till2"]},
        {"store_code": None},
        {"program_id": 469},
        {"program_id": [1886, None]},
        {"redemption_purpose": ["Donation", None]},
        {"discount_type": "BOGO"},
        {"since": "2026-01-01", "until": "2026-07-01"},
        {"since": "2026-01-01", "store_code": "north"},
    ],
    ids=str,
)
def test_what_is_chosen_is_a_bundle_of_its_own(
    r: ra.Redemptions, conditions: dict[str, Any]
) -> None:
    chosen = r.filter(**conditions).validate()
    for name, frame in chosen.tables.items():
        assert list(frame.dtypes) == list(r.tables[name].dtypes), name
    assert 0 < len(chosen.points) + len(chosen.coupons) < len(r.points)
    kept = r.reversals["redemption_key"].isin(chosen.points["redemption_key"])
    assert len(chosen.reversals) == kept.sum()
    people = {*chosen.points["customer_key"].dropna(), *chosen.coupons["customer_key"].dropna()}
    assert set(chosen.customers["customer_key"]) == people


@pytest.mark.parametrize("column", ["store_code", "program_id", "redemption_purpose"])
def test_filtering_then_summing_equals_summing_the_group(r: ra.Redemptions, column: str) -> None:
    groups = ra.net_points(r, by=column)
    for row in groups.itertuples(index=False):
        value = None if pd.isna(row[0]) else row[0]
        alone = ra.net_points(r.filter(**{column: value}), by=column)
        same = alone[column].isna() if value is None else alone[column] == value
        assert alone[same.fillna(False)].iloc[0, 1:].tolist() == list(row[1:])


def test_months_filtered_one_by_one_add_up_to_the_year(r: ra.Redemptions) -> None:
    months = [
        ra.net_points(r.filter(since=month, until=month)).iloc[0]
        for month in (f"2026-{number:02}" for number in range(1, 13))
    ]
    year = ra.net_points(r.filter(since="2026-01-01", until="2026-12-31")).iloc[0]
    assert pd.DataFrame(months).sum().tolist() == year.tolist()


def test_a_condition_on_points_chooses_no_coupons_and_the_other_way_round(
    r: ra.Redemptions,
) -> None:
    assert r.filter(program_id=469).coupons.empty
    assert r.filter(discount_type="ABS").points.empty


def test_answers_stay_only_where_customers_are_whole(r: ra.Redemptions) -> None:
    keys = r.customers["customer_key"].head(3).tolist()
    whole = r.filter(customer_key=keys)
    assert set(whole.responses["customer_key"]) == set(keys)
    assert r.filter(customer_key=keys, store_code="north").responses.empty


def test_an_unknown_condition_names_the_known_and_the_nearest(r: ra.Redemptions) -> None:
    listed = r"takes since, until, as_of, customer_key, .*'store_code'\?"
    with pytest.raises(ra.UsageError, match=listed):
        r.filter(store_cod="north")


@pytest.mark.parametrize("engine", ["duckdb", "polars", "pyarrow"])
def test_every_engine_filters_alike(r: ra.Redemptions, converted: Path, engine: Any) -> None:
    conditions: dict[str, Any] = {"program_id": 469, "since": "2025-06-01", "store_code": "north"}
    expected = r.filter(**conditions)
    found = ra.open(converted, engine).filter(**conditions)
    for name, frame in expected.tables.items():
        rows = as_arrow(found.tables[name]).to_pylist()
        assert sorted(map(str, rows)) == sorted(map(str, as_arrow(frame).to_pylist())), name


def test_frames_that_people_hold_make_a_bundle_and_what_is_missing_is_empty() -> None:
    loaded = ra.load(SAMPLES / "2020-breakups.json")
    mine = ra.Redemptions(points=loaded.points, reversals=loaded.reversals).validate()
    assert mine.coupons.empty
    assert list(mine.coupons.columns) == list(loaded.coupons.columns)
    assert ra.net_points(mine).to_numpy().tolist() == [[2, 120, 30, 90]]
    assert ra.audit(mine)["count"].sum() == 0


def test_what_is_missing_is_empty_in_the_kind_that_was_given() -> None:
    loaded = ra.load(SAMPLES / "2020-breakups.json")
    for kind in (pl.DataFrame, pl.LazyFrame):
        points = pl.from_arrow(as_arrow(loaded.points))
        mine = ra.Redemptions(points=points if kind is pl.DataFrame else points.lazy())
        assert isinstance(mine.reversals, kind)
        assert isinstance(ra.net_points(mine), kind)


def test_relations_of_ones_own_connection_can_be_joined_with_what_is_missing() -> None:
    loaded = ra.load(SAMPLES / "2020-breakups.json")
    connection = duckdb.connect()
    mine = ra.Redemptions(points=connection.from_arrow(as_arrow(loaded.points)))
    assert ra.net_points(mine, by="program_id").fetchall() == [
        (469, 1, 90, 0, 90),
        (1234, 1, 30, 0, 30),
    ]
    assert all(count == 0 for (_, _, count, _) in ra.audit(mine).fetchall())


def test_a_reversal_without_its_redemption_is_named() -> None:
    loaded = ra.load(SAMPLES / "2020-breakups.json")
    torn = ra.Redemptions(points=loaded.points.iloc[1:], reversals=loaded.reversals)
    with pytest.raises(ra.ValidationError, match="reversals: 2 rows name a redemption_key"):
        torn.validate()


def test_what_is_written_is_what_is_opened(r: ra.Redemptions, tmp_path: Path) -> None:
    r.to_parquet(tmp_path)
    again = ra.open(tmp_path)
    for name, frame in r.tables.items():
        pd.testing.assert_frame_equal(frame, again.tables[name])
    pd.testing.assert_frame_equal(r.ledger, again.ledger)
    pd.testing.assert_frame_equal(ra.audit(r), ra.audit(again))


def test_opening_says_what_is_missing(tmp_path: Path) -> None:
    with pytest.raises(ra.SourceError, match="no converted export"):
        ra.open(tmp_path)
    with pytest.raises(ra.UsageError, match="'duckdb'"):
        ra.open(tmp_path, "excel")  # type: ignore[arg-type]
