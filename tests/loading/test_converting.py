"""Converting streams: what it writes is what loading gives, whatever memory holds at a time."""

from __future__ import annotations

import json
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any
from unittest import mock

import pyarrow.compute as pc
import pyarrow.parquet as pq
import pytest
from answers import EXPORTS, answer, export, new, old, reversal
from hypothesis import given, settings
from little_memory import little_memory
from pandas.testing import assert_frame_equal
from payloads import TIMES

import redemption_analytics as ra
from redemption_analytics.errors import RedemptionAnalyticsError, ValidationError
from redemption_analytics.merging.fates import Fate
from redemption_analytics.merging.merge import Merging

SAMPLES = Path(__file__).parents[2] / "data_samples"


def assert_equals_load(source: Any, again: Any, directory: Path, **options: Any) -> None:
    loaded = ra.load(source, **options)
    ledger = ra.convert(again, directory, **options)
    opened = ra.open(directory)
    for name, frame in loaded.tables.items():
        assert_frame_equal(opened.tables[name], frame, obj=name)
    assert_frame_equal(ledger, loaded.ledger)
    assert_frame_equal(opened.ledger, loaded.ledger)
    assert_frame_equal(opened.findings, loaded.findings)


@pytest.mark.parametrize("rows", [2_000, 65_536])
@pytest.mark.parametrize("points", ["int", "decimal"])
def test_convert_writes_what_load_gives(rows: int, points: str, tmp_path: Path) -> None:
    with little_memory(rows):
        assert_equals_load(SAMPLES, SAMPLES, tmp_path / "out", points=points)


@given(EXPORTS)
@settings(max_examples=3 * TIMES, deadline=None)
def test_convert_merges_as_load_does(several: list[Any]) -> None:
    def exports() -> list[Any]:
        return [export(f"2025-01-0{day}", *answers) for day, answers in enumerate(several, 1)]

    with little_memory(1), TemporaryDirectory() as folder:
        assert_equals_load(exports(), exports(), Path(folder) / "out")


def test_what_only_merging_sees_is_seen_across_row_groups(tmp_path: Path) -> None:
    first = [
        answer(old(reversals=[reversal(1), reversal(2)])),
        answer(new("b"), mobile="448"),
    ]
    second = [
        answer(new("AfL2vt", reversals=[reversal(1)])),
        answer(new("b"), mobile="449"),
    ]
    with little_memory(1):
        ra.convert([export("2020-01-01", *first), export("2025-01-01", *second)], tmp_path / "out")
    opened = ra.open(tmp_path / "out")
    assert opened.points["redemption_key"].tolist() == ["AfL2vt", "b"]
    assert opened.reversals["redemption_key"].tolist() == ["AfL2vt", "AfL2vt"]
    found = opened.findings.set_index("check")
    assert found.loc["vanished_reversals"].tolist() == [1, "reversal 2 of redemption AfL2vt"]
    assert found.loc["conflicting_customer"].tolist() == [1, "redemption b"]


def test_row_groups_are_large_and_dictionaries_where_values_repeat(tmp_path: Path) -> None:
    with little_memory(5_000):
        ra.convert(SAMPLES / "organisation", tmp_path / "out")
    points = pq.ParquetFile(tmp_path / "out" / "points" / "part-0.parquet").metadata
    assert [points.row_group(i).num_rows >= 5_000 for i in range(points.num_row_groups - 1)]
    columns = {
        name: points.row_group(0).column(place)
        for place, name in enumerate(points.schema.to_arrow_schema().names)
    }
    assert columns["store_code"].has_dictionary_page
    assert not columns["redemption_key"].has_dictionary_page
    assert columns["redeemed_time"].statistics.has_min_max


@pytest.mark.parametrize("overwrite", [False, True])
def test_nothing_is_left_of_a_conversion_that_fails(overwrite: bool, tmp_path: Path) -> None:
    target = tmp_path / "out"
    if overwrite:
        ra.convert(SAMPLES / "2020-breakups.json", target)
    before = sorted(tmp_path.rglob("*"))
    with pytest.raises(ra.RejectedError):
        ra.convert(
            [SAMPLES / "2025-stores.json", SAMPLES / "broken"],
            target,
            on_error="raise",
            overwrite=overwrite,
        )
    assert sorted(tmp_path.rglob("*")) == before


def test_a_batch_that_breaks_its_model_is_not_written(tmp_path: Path) -> None:
    def broken(merging: Merging, tables: Any) -> None:
        points = tables["points"]
        place = points.schema.get_field_index("points_redeemed")
        negative = pc.negate(points["points_redeemed"])
        points = points.set_column(place, points.schema.field(place), negative)
        added(merging, tables | {"points": points})

    added = Merging.add
    with (
        mock.patch.object(Merging, "add", broken),
        pytest.raises(ValidationError, match="points_redeemed"),
    ):
        ra.convert(SAMPLES / "2020-breakups.json", tmp_path / "out")
    assert not list(tmp_path.iterdir())


def test_keys_that_stay_twice_are_a_fault(tmp_path: Path) -> None:
    def all_but_one(fate: Fate, among: Any, _chosen: Any, child: str | None = None) -> None:
        choose(fate, among, among[1:], child)

    choose = Fate.choose
    twice = json.dumps(answer(new("a"))).encode()
    with (
        mock.patch.object(Fate, "choose", all_but_one),
        pytest.raises(RedemptionAnalyticsError, match="there twice"),
    ):
        ra.convert([twice] * 3, tmp_path / "out")


@pytest.mark.parametrize("threads", [1, 3])
def test_the_number_of_threads_changes_nothing(threads: int) -> None:
    few = ra.load(SAMPLES / "organisation", threads=threads)
    for name, frame in ra.load(SAMPLES / "organisation").tables.items():
        assert_frame_equal(few.tables[name], frame, obj=name)


def test_threads_are_one_or_more() -> None:
    with pytest.raises(ra.UsageError, match="1 or more, not 0"):
        ra.load(SAMPLES / "2020-breakups.json", threads=0)
