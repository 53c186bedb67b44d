"""Publication as Delta: version n is version n of the warehouse, whole, for whoever reads Delta."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from datetime import datetime
from pathlib import Path
from typing import Any
from uuid import uuid4

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from everyday import first_everyday

from redemption_analytics.columns import TABLES
from redemption_analytics.errors import FaultError, SourceError
from redemption_analytics.tables.arrow import arrow_schema_of
from redemption_analytics.warehouse import delta
from redemption_analytics.warehouse.delta import is_published, publish
from redemption_analytics.warehouse.log import DataFile, Entry, Log
from redemption_analytics.warehouse.store import Store

deltalake = pytest.importorskip("deltalake")
pl = pytest.importorskip("polars")

PUBLIC = sorted(TABLES)
AT = datetime(2026, 11, 20, 3, 4, 5, 678)
VALUES: dict[pa.DataType, Callable[[int], Any]] = {
    pa.string(): str,
    pa.int64(): int,
    pa.float64(): float,
    pa.bool_(): bool,
    pa.timestamp("us"): lambda number: AT.replace(microsecond=number),
}


def rows_of(table: str, numbers: Sequence[int], *, decimal_points: bool = False) -> pa.Table:
    schema = arrow_schema_of(table, decimal_points=decimal_points)
    columns = [[VALUES[of.type](number) for number in numbers] for of in schema]
    return pa.table(columns, schema=schema)


def file_of(store: Store, table: str, *numbers: int, **options: bool) -> DataFile:
    """Write a file with a row for each number, and a column that is the library's own."""
    rows = rows_of(table, numbers, **options).append_column("_rank", pa.array(numbers))
    partition = f"2026-q{numbers[0] % 4 + 1}"
    name = f"data/{table}/{partition}/{uuid4().hex}.parquet"
    with store.writing(name) as path:
        pq.write_table(rows, path)
        size = path.stat().st_size
    return DataFile(name, table, partition, len(numbers), size)


def commit(store: Store, *files: DataFile, **options: Any) -> int:
    log = Log(store)
    newest = log.newest()
    version = newest.version + 1 if newest else 1
    assert log.commit(Entry(version, AT.replace(minute=version), "0.3.0", options, files, {}))
    return version


def with_deltalake(table: str, version: int | None) -> pa.Table:
    return deltalake.DeltaTable(table, version=version).to_pyarrow_table()


def with_polars(table: str, version: int | None) -> pa.Table:
    return pl.scan_delta(table, version=version).collect().to_arrow()


READERS = {"deltalake": with_deltalake, "polars": with_polars}


@pytest.fixture(params=READERS, name="read")
def each_reader(request: pytest.FixtureRequest) -> Callable[..., Any]:
    """Give how to read a table at a version: the numbers of its rows."""

    def read(location: str | Path, table: str, version: int | None = None) -> list[int]:
        rows = READERS[request.param](f"{location}/data/{table}", version)
        key = next(name for name, of in TABLES[table].items() if of.kind.name == "TEXT")
        numbers = sorted(map(int, rows[key].to_pylist()))
        expected = rows_of(table, numbers)
        assert rows.column_names == expected.column_names
        assert rows.cast(expected.schema).sort_by(key).equals(expected.sort_by(key))
        return numbers

    return read


def a_warehouse(location: str | Path) -> tuple[Store, dict[int, list[int]]]:
    """Make a warehouse of four versions, and tell what its points are in each."""
    store = Store(location)
    first, second = file_of(store, "points", 1, 2, 3), file_of(store, "points", 4, 5)
    customers = file_of(store, "customers", 1, 2)
    commit(store, first, customers)
    commit(store, first, second, customers)
    commit(store, second, customers)
    commit(store, second, customers, file_of(store, "points", 6))
    return store, {1: [1, 2, 3], 2: [1, 2, 3, 4, 5], 3: [4, 5], 4: [4, 5, 6]}


def published(store: Store) -> dict[str, bytes]:
    """Return the Delta logs, by name."""
    return {
        found.name: store.read(found.name)
        for found in store.names("data")
        if "_delta" in found.name
    }


def test_each_version_is_read_whole(tmp_path: Path, read: Callable[..., Any]) -> None:
    store, points = a_warehouse(tmp_path)
    assert publish(store) == 4
    for version, numbers in points.items():
        assert read(tmp_path, "points", version) == numbers
        assert read(tmp_path, "customers", version) == [1, 2]
    assert read(tmp_path, "points") == [4, 5, 6]


def test_every_public_table_is_published_with_its_columns_and_types(
    tmp_path: Path, read: Callable[..., Any]
) -> None:
    store = Store(tmp_path)
    commit(store, *(file_of(store, table, 7, 8) for table in PUBLIC))
    publish(store)
    for table in PUBLIC:
        assert read(tmp_path, table) == [7, 8]
        assert read(tmp_path, table, 0) == []


def test_versions_in_a_bucket_are_read_whole(bucket: str, read: Callable[..., Any]) -> None:
    store, points = a_warehouse(bucket)
    publish(store)
    with pytest.MonkeyPatch.context() as environment:
        environment.setenv("AWS_ALLOW_HTTP", "true")
        for version, numbers in points.items():
            assert read(bucket, "points", version) == numbers


def test_times_are_of_a_wall_clock(tmp_path: Path) -> None:
    store, _ = a_warehouse(tmp_path)
    publish(store)
    table = deltalake.DeltaTable(str(tmp_path / "data/points"))
    types = {of.name: str(of.type) for of in table.schema().fields}
    assert "timestamp_ntz" in types["redeemed_time"]
    assert table.protocol().reader_features == ["timestampNtz"]


def test_tables_without_times_ask_nothing_new_of_their_readers(tmp_path: Path) -> None:
    store, _ = a_warehouse(tmp_path)
    publish(store)
    protocol = deltalake.DeltaTable(str(tmp_path / "data/customers")).protocol()
    assert (protocol.min_reader_version, protocol.min_writer_version) == (1, 2)


def test_decimal_points_are_published_as_they_are_stored(tmp_path: Path) -> None:
    store = Store(tmp_path)
    commit(store, file_of(store, "points", 1, decimal_points=True), points="decimal")
    publish(store)
    assert with_polars(f"{tmp_path}/data/points", 1)["points_redeemed"].to_pylist() == [1.0]


def test_rows_are_counted_without_a_file_being_opened(tmp_path: Path) -> None:
    store, _ = a_warehouse(tmp_path)
    publish(store)
    for found in (tmp_path / "data/points").rglob("2026*/*.parquet"):
        found.unlink()
    adds = deltalake.DeltaTable(str(tmp_path / "data/points")).get_add_actions(flatten=True)
    assert sum(pa.table(adds)["num_records"].to_pylist()) == 3


def test_tables_that_are_the_librarys_own_are_not_published(tmp_path: Path) -> None:
    store = Store(tmp_path)
    store.put("data/occurrences/all/a.parquet", b"")
    commit(store, DataFile("data/occurrences/all/a.parquet", "occurrences", "all", 1, 0))
    publish(store)
    assert sorted({name.split("/")[1] for name in published(store)}) == PUBLIC


def test_nothing_is_published_of_a_place_without_versions(tmp_path: Path) -> None:
    assert publish(Store(tmp_path / "new")) is None
    assert not (tmp_path / "new").exists()


# Again, by several, by the next.


def test_publishing_again_writes_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    store, _ = a_warehouse(tmp_path)
    assert not is_published(store)
    publish(store)
    assert is_published(store)
    before = published(store)

    def never(*_: Any) -> None:
        raise AssertionError

    for verb in ("create", "put", "delete"):
        monkeypatch.setattr(store, verb, never)
    assert publish(store) == 4
    assert published(store) == before


def test_what_is_published_at_once_or_by_and_by_is_the_same(tmp_path: Path) -> None:
    """For all of it follows from the warehouse's own log."""
    whole, _ = a_warehouse(tmp_path / "whole")
    shutil.copytree(tmp_path / "whole", tmp_path / "late")
    late = Store(tmp_path / "late")
    publish(whole)
    log = sorted((tmp_path / "late/log").iterdir())
    for entry in log[1:]:
        entry.rename(tmp_path / entry.name)
    publish(late)
    for entry in log[1:]:
        (tmp_path / entry.name).rename(entry)
        publish(late)
    assert published(late) == published(whole)


@pytest.mark.parametrize("count", [0, 1, 5, 11, 20, 40, 54])
def test_who_comes_after_one_that_died_goes_on(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, count: int
) -> None:
    whole, _ = a_warehouse(tmp_path / "whole")
    shutil.copytree(tmp_path / "whole", tmp_path / "torn")
    publish(whole)
    torn = Store(tmp_path / "torn")
    with monkeypatch.context() as patched:
        dies_after(patched, torn, count)
        with pytest.raises(KeyboardInterrupt):
            publish(torn)
    assert len(published(torn)) <= count
    assert publish(torn) == 4
    assert published(torn) == published(whole)


def dies_after(patched: pytest.MonkeyPatch, store: Store, count: int) -> None:
    left = iter(range(count))
    for verb in ("create", "delete"):
        patched.setattr(store, verb, while_it_lives(getattr(store, verb), left))


def while_it_lives(do: Callable[..., Any], left: Any) -> Callable[..., Any]:
    def done(*given: Any) -> Any:
        if next(left, None) is None:
            raise KeyboardInterrupt
        return do(*given)

    return done


@pytest.mark.slow
def test_several_may_publish_at_once(shared: str) -> None:
    store, _ = a_warehouse(shared)
    with ThreadPoolExecutor(3) as pool:
        assert list(pool.map(publish, [Store(shared) for _ in range(3)])) == [4, 4, 4]
    together = published(store)
    store.delete(together)
    publish(store)
    assert published(store) == together


# Vacuumed versions, and many.


@pytest.mark.parametrize("published_before", [0, 1, 2, 3, 4])
@pytest.mark.parametrize("oldest", first_everyday([3, 2, 4]))
def test_what_was_vacuumed_is_refused_and_the_rest_read_whole(
    tmp_path: Path, read: Callable[..., Any], oldest: int, published_before: int
) -> None:
    store, points = a_warehouse(tmp_path)
    later = [tmp_path / f"log/{number:020}.json" for number in range(published_before + 1, 5)]
    for entry in later:
        entry.rename(tmp_path / entry.name)
    publish(store)
    for entry in later:
        (tmp_path / entry.name).rename(entry)
    Log(store).vacuum(oldest)
    assert publish(store) == 4
    for version, numbers in points.items():
        if version >= oldest:
            assert read(tmp_path, "points", version) == numbers
        else:
            with pytest.raises(Exception, match=r"version|Version|log"):
                read(tmp_path, "points", version)
    assert read(tmp_path, "points") == [4, 5, 6]
    before = published(store)
    assert all(int(name.rpartition("/")[2][:20]) >= oldest for name in before)
    assert publish(store) == 4
    assert published(store) == before


@pytest.mark.parametrize("published_before", [0, 4])
def test_between_vacuuming_and_publishing_readers_see_a_whole_version(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    read: Callable[..., Any],
    published_before: int,
) -> None:
    for count in range(0, 36, 3):
        store, points = a_warehouse(tmp_path / str(count))
        if published_before:
            publish(store)
        Log(store).vacuum(3)
        with monkeypatch.context() as patched:
            dies_after(patched, store, count)
            with suppress(KeyboardInterrupt):
                publish(store)
        names = [name for name in published(store) if name.startswith("data/points")]
        if names:
            assert read(store.location, "points") in points.values()


def test_many_versions_have_checkpoints_and_are_read_whole(
    tmp_path: Path, read: Callable[..., Any]
) -> None:
    store, files = Store(tmp_path), []
    for number in range(1, 24):
        files.append(file_of(store, "points", number))
        commit(store, *files[-5:])
    publish(store)
    checkpoints = sorted(
        path.name[:20] for path in (tmp_path / "data/points/_delta_log").glob("*.parquet")
    )
    assert [int(name) for name in checkpoints] == [10, 20]
    for version in (1, 9, 10, 11, 19, 20, 21, 23):
        assert read(tmp_path, "points", version) == list(range(max(1, version - 4), version + 1))
    for path in sorted((tmp_path / "data/points/_delta_log").glob("*.json"))[:20]:
        path.unlink()
    assert read(tmp_path, "points") == [19, 20, 21, 22, 23]


# What goes wrong, and what is new.


def test_a_table_that_another_program_wrote_to_is_refused(tmp_path: Path) -> None:
    store, _ = a_warehouse(tmp_path)
    publish(store)
    deltalake.write_deltalake(
        str(tmp_path / "data/customers"), rows_of("customers", [9]), mode="append"
    )
    with pytest.raises(SourceError, match=r"customers/_delta_log/0+5\.json was not written by"):
        publish(store)
    shutil.rmtree(tmp_path / "data/customers/_delta_log")
    assert publish(store) == 4


def test_another_program_that_is_first_with_a_version_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    store, _ = a_warehouse(tmp_path)
    create: Callable[[str, bytes], bool] = store.create

    def late(name: str, data: bytes) -> bool:
        if name == f"data/points/_delta_log/{3:020}.json":
            create(name, b'{"commitInfo":{"operation":"OPTIMIZE"}}\n')
        return create(name, data)

    monkeypatch.setattr(store, "create", late)
    with pytest.raises(SourceError, match="nothing else may write"):
        publish(store)


def test_files_of_a_table_that_lie_elsewhere_are_no_part_of_it(tmp_path: Path) -> None:
    store = Store(tmp_path)
    commit(store, DataFile("data/elsewhere/a.parquet", "points", "q", 1, 1))
    with pytest.raises(FaultError, match="elsewhere"):
        publish(store)


def test_a_column_that_a_newer_library_knows_is_there_from_then_on(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    columns: Callable[..., list[Mapping[str, Any]]] = delta._columns
    store = Store(tmp_path)
    with monkeypatch.context() as older:
        older.setattr(delta, "_columns", lambda *of: columns(*of)[:-1])
        commit(store, file_of(store, "customers", 1))
        publish(store)
    first = deltalake.DeltaTable(str(tmp_path / "data/customers"))
    entry = Log(store).read(1)
    commit(store, *entry.files, file_of(store, "customers", 2))
    publish(store)
    second = deltalake.DeltaTable(str(tmp_path / "data/customers"))
    assert with_deltalake(str(tmp_path / "data/customers"), 1).column_names[-1] == "firstname"
    names = with_deltalake(str(tmp_path / "data/customers"), 2)["lastname"].to_pylist()
    assert sorted(names) == ["1", "2"]
    assert first.metadata().id == second.metadata().id
