"""A published warehouse: each version that is ingested is read by others as it is opened here."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any
from unittest import mock

import pyarrow as pa
import pytest
from answers import answer, new, old, reversal
from warehouses import assert_same, before_commit, rows_of

import redemption_analytics as ra
from redemption_analytics.columns import TABLES
from redemption_analytics.warehouse import building, delta

deltalake = pytest.importorskip("deltalake")

NIGHTS = {
    "2026-01-01": [answer(new("a", redeemed_time="2025-12-30 10:00:00"), new("b"))],
    "2026-01-02": [answer(new("a", points_redeemed=80, reversals=[reversal(1, 40)]))],
    # The reversal moves into another quarter, with its redemption.
    "2026-01-03": [answer(new("a", redeemed_time="2026-01-01 10:00:00", reversals=[reversal(2)]))],
    "2026-01-04": [answer(old(redeemed_time="2020-05-05 00:00:00"), mobile="448")],
}


def write_nights(folder: Path) -> list[Path]:
    folder.mkdir()
    paths = []
    for day, answers in NIGHTS.items():
        paths.append(folder / f"{day}.jsonl")
        paths[-1].write_text("\n".join(map(json.dumps, answers)))
    return paths


def assert_published(warehouse: ra.Warehouse, version: int, **options: Any) -> None:
    """Check that what Delta's own reader finds is what is opened."""
    r = warehouse.open("pyarrow", version=version)
    for name in TABLES:
        table = deltalake.DeltaTable(
            f"{warehouse._store.location}/data/{name}", version=version, **options
        ).to_pyarrow_table()
        opened: pa.Table = r.tables[name]
        assert table.column_names == opened.column_names
        assert rows_of(table.cast(opened.schema)) == rows_of(opened), (name, version)


@pytest.mark.parametrize("after", [1, 2, 4])
def test_each_version_is_read_whole_whenever_it_was_published(after: int, tmp_path: Path) -> None:
    paths = write_nights(tmp_path / "exports")
    warehouse = ra.Warehouse(tmp_path / "warehouse")
    for number, path in enumerate(paths, 1):
        warehouse.ingest(path)
        if number == after:
            warehouse.publish()
    for version in range(1, len(paths) + 1):
        assert_published(warehouse, version)
    newest = deltalake.DeltaTable(str(tmp_path / "warehouse/data/points"))
    assert newest.version() == len(paths)


def test_versions_in_a_bucket_are_read_whole(
    bucket: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("AWS_ALLOW_HTTP", "true")
    first, second, *_ = write_nights(tmp_path / "exports")
    warehouse = ra.Warehouse(bucket)
    warehouse.ingest(first)
    warehouse.publish()
    warehouse.ingest(second)
    for version in (1, 2):
        assert_published(warehouse, version)


def test_merging_everything_again_is_published_whole(tmp_path: Path) -> None:
    first, second, *_ = write_nights(tmp_path / "exports")
    warehouse = ra.Warehouse(tmp_path / "warehouse")
    warehouse.ingest(first, points="decimal")
    warehouse.publish()
    with mock.patch.object(building, "MOST_ANSWERS", 0):
        warehouse.ingest(second)
    assert_published(warehouse, 1)
    assert_published(warehouse, 2)


def test_what_two_writers_ingest_is_published_whole(tmp_path: Path) -> None:
    paths = write_nights(tmp_path / "exports")
    warehouse, other = (ra.Warehouse(tmp_path / "warehouse") for _ in range(2))
    warehouse.ingest(paths[0])
    warehouse.publish()
    with before_commit(lambda: other.ingest(paths[1])):
        warehouse.ingest(paths[2:])
    for version in (1, 2, 3):
        assert_published(warehouse, version)
    assert_same(warehouse.open(), ra.load(paths))


def test_a_vacuum_leaves_what_is_published_of_kept_versions_whole(tmp_path: Path) -> None:
    paths = write_nights(tmp_path / "exports")
    warehouse = ra.Warehouse(tmp_path / "warehouse")
    for path in paths[:3]:
        warehouse.ingest(path)
    warehouse.publish()
    assert warehouse.vacuum(2, grace="0D").versions == (1,)
    warehouse.ingest(paths[3])
    for version in (2, 3, 4):
        assert_published(warehouse, version)


def test_a_warehouse_that_was_vacuumed_is_published_from_what_is_left(tmp_path: Path) -> None:
    paths = write_nights(tmp_path / "exports")
    warehouse = ra.Warehouse(tmp_path / "warehouse")
    for path in paths[:3]:
        warehouse.ingest(path)
    warehouse.vacuum(1, grace="0D")
    warehouse.publish()
    warehouse.ingest(paths[3])
    for version in (3, 4):
        assert_published(warehouse, version)


@pytest.mark.parametrize("then", [1, 2], ids=["of nothing new", "of something new"])
def test_a_version_that_could_not_be_published_is_by_the_next_ingest(
    then: int, tmp_path: Path
) -> None:
    paths = write_nights(tmp_path / "exports")
    warehouse = ra.Warehouse(tmp_path / "warehouse")
    warehouse.ingest(paths[0])
    warehouse.publish()
    with (
        mock.patch.object(delta, "publish", side_effect=ra.WriteError("no room")),
        pytest.raises(ra.WriteError, match="no room"),
    ):
        warehouse.ingest(paths[1])
    # What was committed stays.
    assert_same(warehouse.open(), ra.load(paths[:2]))
    warehouse.ingest(paths[then])
    for version in range(1, then + 2):
        assert_published(warehouse, version)
