"""A warehouse as its users meet it: what it reads, keeps, opens, compares and refuses."""

from __future__ import annotations

import io
import json
import logging
import os
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any
from unittest import mock
from uuid import uuid4

import pyarrow as pa
import pytest
from answers import answer, cells, new, old, reversal
from everyday import first_everyday
from warehouses import assert_same, before_commit, named, rows_of, stored, write

import redemption_analytics as ra
from redemption_analytics.privacy import KEY_VARIABLE
from redemption_analytics.tables.frames import as_arrow
from redemption_analytics.warehouse import building, ingest
from redemption_analytics.warehouse.log import Log
from redemption_analytics.warehouse.store import Store

ENGINES = ("pandas", "duckdb", "polars", "pyarrow")

#: Four nights: a redemption, its reversal, its correction, and one more.
NIGHTS = {
    "2026-01-01": [answer(new("a", redeemed_time="2025-12-30 10:00:00"))],
    "2026-01-02": [
        answer(new("a", redeemed_time="2025-12-30 10:00:00", reversals=[reversal(1, 40)]))
    ],
    "2026-01-03": [answer(new("a", redeemed_time="2026-01-01 10:00:00", points_redeemed=80))],
    "2026-01-04": [answer(new("b", points_redeemed=7), old(redeemed_time="2020-05-05 00:00:00"))],
}


def write_nights(folder: Path) -> list[Path]:
    return [write(folder, day, *answers) for day, answers in NIGHTS.items()]


def ingested(warehouse: ra.Warehouse, *paths: Path, **options: Any) -> ra.Warehouse:
    """Ingest paths one by one."""
    for path in paths:
        warehouse.ingest(path, **options)
    return warehouse


def in_arrow(r: ra.Redemptions) -> ra.Redemptions:
    frames = {**r.tables, "ledger": r.ledger, "findings": r.findings, "cases": r.cases}
    return ra.Redemptions(**{name: as_arrow(frame) for name, frame in frames.items()})


def adds_up(r: ra.Redemptions) -> bool:
    ledger = r.ledger.set_index("element")
    parts = ["loaded", "merged", "rejected", "passed_over"]
    files = r.files["status"].value_counts()
    return bool(
        (ledger >= 0).all(axis=None)
        and (ledger["seen"] == ledger[parts].sum(axis=1)).all()
        and ledger.loc["files", "seen"] == len(r.files)
        and ledger.loc["files", "loaded"] == files.get("loaded", 0)
        and ledger.loc["files", "rejected"] == files.get("rejected", 0)
        and ledger.loc["files", "passed_over"] == files.get("passed over", 0)
        and ledger.loc["points", "loaded"] == len(r.points)
        and ledger["rejected"].sum() == len(r.rejects)
    )


# Again.


def test_ingesting_again_reads_nothing_and_changes_nothing(
    warehouse: ra.Warehouse, tmp_path: Path
) -> None:
    paths = write_nights(tmp_path / "exports")
    warehouse.ingest(tmp_path / "exports")
    before = warehouse.open()
    with mock.patch.object(ingest.Ingest, "_ingest", side_effect=AssertionError):
        for source in (tmp_path / "exports", paths, paths[2], str(tmp_path / "exports/*")):
            done = warehouse.ingest(source)
            assert (done.version, done.read, done.counts) == (1, 0, {})
    assert list(warehouse.history()["version"]) == [1]
    assert_same(warehouse.open(), before)


def test_a_file_that_moved_or_was_copied_is_known(warehouse: ra.Warehouse, tmp_path: Path) -> None:
    dated = write(tmp_path / "one", "2026-01-01", answer(new("a")))
    undated = write(tmp_path / "one", "undated", answer(new("b")))
    warehouse.ingest(tmp_path / "one")
    (tmp_path / "two").mkdir()
    dated.rename(tmp_path / "two" / "moved-2026-01-01.jsonl")
    shutil.copy(undated, tmp_path / "two" / "copied.jsonl")
    os.utime(tmp_path / "two" / "copied.jsonl", (1e9, 1e9))
    os.utime(undated, (1e9, 1e9))
    assert warehouse.ingest([tmp_path / "two", tmp_path / "one"]).read == 0


def test_the_same_content_with_another_date_is_another_export(
    warehouse: ra.Warehouse, tmp_path: Path
) -> None:
    paths = [write(tmp_path, day, *NIGHTS["2026-01-01"]) for day in ("2026-01-01", "2026-01-02")]
    ingested(warehouse, *paths)
    assert len(warehouse.history()) == 2
    assert_same(warehouse.open(), ra.load(paths))


def test_the_same_path_with_new_content_gets_response_ids_of_its_own(
    warehouse: ra.Warehouse, tmp_path: Path
) -> None:
    for number, key in enumerate("abc", 1):
        path = write(tmp_path, "latest", answer(new(key)))
        os.utime(path, (1.7e9 + number, 1.7e9 + number))
        assert warehouse.ingest(path).read == 1
        assert warehouse.ingest(path).read == 0
    r = warehouse.open()
    r.validate()
    assert sorted(r.responses["response_id"]) == [
        f"{path}#1/1",
        f"{path}~2#1/1",
        f"{path}~3#1/1",
    ]
    assert set(r.responses["source"]) == {str(path)}
    assert sorted(r.points["redemption_key"]) == ["a", "b", "c"]
    assert adds_up(r)


def test_a_stream_is_known_by_its_content(warehouse: ra.Warehouse, tmp_path: Path) -> None:
    path = write(tmp_path, "2026-01-01", answer(new("a")))
    for read in (1, 0, 0):
        with path.open("rb") as stream:
            assert warehouse.ingest(stream).read == read
    for read in (1, 0):
        assert warehouse.ingest(io.BytesIO(json.dumps(answer(new("b"))).encode())).read == read
    assert warehouse.ingest(json.dumps(answer(new("b"))).encode()).read == 0
    assert warehouse.ingest(path).read == 0


def test_of_several_alike_one_is_read(warehouse: ra.Warehouse, tmp_path: Path) -> None:
    one = write(tmp_path / "one", "2026-01-01", answer(new("a")))
    (tmp_path / "two").mkdir()
    other = shutil.copy(one, tmp_path / "two")
    assert warehouse.ingest([one, other]).read == 1


# Versions.


@pytest.mark.parametrize("where", first_everyday(["directory", "memory"]))
def test_a_version_is_a_load_of_the_exports_until_then_on_every_engine(
    warehouse: ra.Warehouse, where: str, tmp_path: Path
) -> None:
    if where == "directory":
        warehouse = ra.Warehouse(tmp_path / "warehouse")
    paths = write_nights(tmp_path / "exports")
    ingested(warehouse, *paths)
    for version in range(1, len(paths) + 1):
        whole = ra.load(paths[:version])
        points = rows_of(ra.net_points(whole, by="program_id"))
        for engine in ENGINES:
            r = warehouse.open(engine, version=version)
            assert_same(in_arrow(r), in_arrow(whole))
            assert rows_of(ra.net_points(r, by="program_id")) == points
        assert adds_up(warehouse.open(version=version))
    assert_same(warehouse.open(), ra.load(paths))


def test_a_version_that_there_is_not_is_told(warehouse: ra.Warehouse, tmp_path: Path) -> None:
    ingested(warehouse, *write_nights(tmp_path))
    wrong: list[Any] = [0, -1, 5, True, "1", 1.5]
    for version in wrong:
        with pytest.raises(ra.UsageError, match=r"it has 1 to 4|version is .*1 or more"):
            warehouse.open(version=version)


def test_a_warehouse_that_holds_nothing_is_told(warehouse: ra.Warehouse) -> None:
    assert warehouse.history().empty
    assert warehouse.vacuum().versions == ()
    calls: list[Callable[[], Any]] = [
        warehouse.open,
        warehouse.publish,
        lambda: warehouse.diff(1),
        lambda: warehouse.open(version=1),
        lambda: warehouse.open(as_known_on="2026-01-01"),
    ]
    for call in calls:
        with pytest.raises((ra.SourceError, ra.UsageError), match=r"nothing yet|none yet"):
            call()


@pytest.mark.parametrize("path", [5, None, b"warehouse", ["warehouse"]])
def test_a_place_of_another_type_is_refused(path: Any) -> None:
    with pytest.raises(ra.UsageError, match="Warehouse: path is a directory or a URL, not"):
        ra.Warehouse(path)


def test_a_directory_of_something_else_is_no_warehouse(tmp_path: Path) -> None:
    path = write(tmp_path / "exports", "2026-01-01", answer(new("a")))
    with pytest.raises(ra.SourceError, match="is no warehouse, and holds something else"):
        ra.Warehouse(tmp_path / "exports").ingest(path)
    assert list((tmp_path / "exports").iterdir()) == [path]


def test_what_merging_refuses_is_told_as_refused(warehouse: ra.Warehouse, tmp_path: Path) -> None:
    one = write(tmp_path, "2026-01-01", answer(new("a", reversals=[reversal(1, 40)]), mobile="1"))
    two = write(tmp_path, "2026-01-02", answer(new("b", reversals=[reversal(1, 40)]), mobile="2"))
    assert dict(warehouse.ingest(one).rejected) == {}
    assert dict(warehouse.ingest(two).rejected) == {"reversals": 1}
    together = ra.Warehouse(f"memory://{uuid4().hex}").ingest([one, two])
    assert dict(together.rejected) == {"reversals": 1}
    assert "1 rejected" in str(together)


def test_a_file_that_cannot_be_read_is_one_reject_until_it_can(
    warehouse: ra.Warehouse, tmp_path: Path
) -> None:
    write(tmp_path / "x", "2026-01-01", answer(new("a")))
    (tmp_path / "x" / "2026-01-02.jsonl").symlink_to(tmp_path / "nowhere")
    first = warehouse.ingest(tmp_path / "x")
    again = warehouse.ingest(tmp_path / "x")
    assert (first.version, again.version, again.read) == (1, 1, 0)
    assert dict(again.rejected) == {"files": 1}
    write(tmp_path / "x", "2026-01-03", answer(new("b")))
    warehouse.ingest(tmp_path / "x")
    assert len(warehouse.open().rejects) == 1
    (tmp_path / "x" / "2026-01-02.jsonl").unlink()
    write(tmp_path / "x", "2026-01-02", answer(new("c")))
    warehouse.ingest(tmp_path / "x")
    assert_same(warehouse.open(), ra.load(tmp_path / "x"))


def test_notes_that_change_beside_exports_make_no_version(
    warehouse: ra.Warehouse, tmp_path: Path
) -> None:
    write(tmp_path / "x", "2026-01-01", answer(new("a")))
    for number in range(3):
        (tmp_path / "x" / "run.log").write_text("a line\n" * (number + 1))
        assert warehouse.ingest(tmp_path / "x").version == 1
    write(tmp_path / "x", "2026-01-02", answer(new("b")))
    assert warehouse.ingest(tmp_path / "x").version == 2
    assert_same(warehouse.open(), ra.load(tmp_path / "x"))


def test_history_tells_what_each_version_holds(warehouse: ra.Warehouse, tmp_path: Path) -> None:
    ingested(warehouse, *write_nights(tmp_path))
    history = warehouse.history()
    columns = ["version", "exports", "points", "coupons", "reversals", "customers"]
    assert cells(history, *columns) == [
        [1, 1, 1, 0, 0, 1],
        [2, 2, 1, 0, 1, 1],
        [3, 3, 1, 0, 1, 1],
        [4, 4, 3, 0, 1, 1],
    ]
    assert [str(day.date()) for day in history["newest_export"]] == list(NIGHTS)
    assert history["committed_at"].is_monotonic_increasing
    assert str(history["committed_at"].dtype) == "datetime64[us]"


def test_the_newest_export_is_the_newest_by_its_date_and_not_the_last_ingested(
    warehouse: ra.Warehouse, tmp_path: Path
) -> None:
    ingested(warehouse, *reversed(write_nights(tmp_path)))
    assert {str(day.date()) for day in warehouse.history()["newest_export"]} == {"2026-01-04"}


# As known on.


def test_as_known_on_a_date_is_all_of_that_day(warehouse: ra.Warehouse, tmp_path: Path) -> None:
    paths = [
        write(tmp_path, "2026-01-01T03-00", answer(new("a"))),
        write(tmp_path, "2026-01-01T23-30", answer(new("b"))),
        write(tmp_path, "2026-01-02T00-00", answer(new("c"))),
    ]
    ingested(warehouse, *paths)
    for moment, keys in {
        "2026-01-01T03:00": ["a"],
        "2026-01-01T23:00": ["a"],
        "2026-01-01": ["a", "b"],
        "2026-01": ["a", "b", "c"],
    }.items():
        r = warehouse.open(as_known_on=moment)
        assert sorted(r.points["redemption_key"]) == keys
        # It is a version, whole.
        assert len(r.ledger) > 0


@pytest.mark.parametrize("engine", ENGINES)
def test_as_known_on_merges_again_where_no_version_fits(
    warehouse: ra.Warehouse, engine: Any, tmp_path: Path
) -> None:
    paths = write_nights(tmp_path)
    ingested(warehouse, *reversed(paths))
    for day, until in zip(NIGHTS, range(1, 5), strict=True):
        r, whole = warehouse.open(engine, as_known_on=day), ra.load(paths[:until])
        for name in r.tables:
            assert rows_of(r.tables[name]) == rows_of(whole.tables[name]), name
        assert r.now == whole.now


def test_as_known_on_merges_again_what_one_ingest_took_together(
    warehouse: ra.Warehouse, tmp_path: Path
) -> None:
    paths = write_nights(tmp_path)
    warehouse.ingest(tmp_path)
    r, whole = warehouse.open(as_known_on="2026-01-02"), ra.load(paths[:2])
    for name in r.tables:
        assert rows_of(r.tables[name]) == rows_of(whole.tables[name]), name
    assert rows_of(r.ledger) == rows_of(whole.ledger)


def test_as_known_on_before_the_first_export_is_refused(
    warehouse: ra.Warehouse, tmp_path: Path
) -> None:
    ingested(warehouse, *write_nights(tmp_path))
    with pytest.raises(
        ra.UsageError, match="no export had been made by the end of 31 December 2025"
    ):
        warehouse.open(as_known_on="2025-12-31")
    with pytest.raises(ra.UsageError, match="not both"):
        warehouse.open(version=1, as_known_on="2026-01-01")
    with pytest.raises(ra.UsageError, match="as_known_on"):
        warehouse.open(as_known_on="soon")


def test_as_known_on_is_still_known_when_its_version_was_vacuumed(
    warehouse: ra.Warehouse, tmp_path: Path
) -> None:
    paths = write_nights(tmp_path)
    ingested(warehouse, *paths)
    warehouse.vacuum(1, grace="0D")
    r, whole = warehouse.open(as_known_on="2026-01-02"), ra.load(paths[:2])
    for name in r.tables:
        assert rows_of(r.tables[name]) == rows_of(whole.tables[name]), name


# What changed.


def test_diff_tells_what_came_was_restated_and_how_net_points_moved(
    warehouse: ra.Warehouse, tmp_path: Path
) -> None:
    ingested(warehouse, *write_nights(tmp_path))
    came = warehouse.diff(1, 2)
    assert cells(came.came["reversals"], "reversal_id", "points_reversed") == [[1, 40]]
    assert cells(came.net_points, *came.net_points) == [[0, 0, 40, -40]]
    restated = warehouse.diff(2, 3)
    told = restated.restated.set_index("column")
    points = told[told["table"] == "points"]
    assert list(points.loc["points_redeemed", ["key", "before", "after"]]) == ["a", "90", "80"]
    assert points.loc["redeemed_time", "before"].startswith("2025-12-30 10:00")
    assert points.loc["redeemed_time", "after"].startswith("2026-01-01 10:00")
    assert cells(restated.net_points, *restated.net_points) == [[0, -10, 0, -10]]
    assert restated.came["points"].empty
    assert restated.went["points"].empty
    assert cells(warehouse.diff(1).net_points, "redemptions", "net_points") == [[2, 47]]
    assert "points" in repr(restated)


def test_diff_backwards_tells_what_went(warehouse: ra.Warehouse, tmp_path: Path) -> None:
    ingested(warehouse, *write_nights(tmp_path))
    forth, back = warehouse.diff(3, 4), warehouse.diff(4, 3)
    assert "b" in list(forth.came["points"]["redemption_key"])
    for name in forth.came:
        assert rows_of(forth.came[name]) == rows_of(back.went[name])
        assert rows_of(forth.went[name]) == rows_of(back.came[name])
    assert (back.net_points == -forth.net_points).all(axis=None)


def test_a_version_does_not_differ_from_itself(warehouse: ra.Warehouse, tmp_path: Path) -> None:
    ingested(warehouse, *write_nights(tmp_path))
    same = warehouse.diff(3, 3)
    assert not same.counts[["added", "changed", "removed"]].any(axis=None)
    assert same.restated.empty
    assert list(same.restated) == ["table", "key", "column", "before", "after"]
    assert cells(same.net_points, *same.net_points) == [[0, 0, 0, 0]]
    assert repr(same) == "versions 3 and 3 do not differ"


def test_an_ingest_tells_what_diff_tells(warehouse: ra.Warehouse, tmp_path: Path) -> None:
    done = [warehouse.ingest(path) for path in write_nights(tmp_path)]
    for version in (2, 3, 4):
        differs = warehouse.diff(version - 1, version).counts.set_index("table")
        for table, counts in done[version - 1].counts.items():
            assert dict(differs.loc[table]) == dict(counts), (version, table)
    assert str(done[1]) == "version 2: 1 export read, 0 known already; reversals 1 added"


# Options.


@pytest.mark.parametrize(
    ("made", "other"),
    [
        ({}, {"points": "decimal"}),
        ({"points": "decimal"}, {"points": "int"}),
        ({}, {"customer_key": "mobile"}),
        ({"customer_key": "email"}, {"customer_key": "mobile"}),
        ({}, {"timezone": "Asia/Kolkata"}),
        ({"keep_custom_fields": ["shift"]}, {"keep_custom_fields": ["till"]}),
        ({"keep_custom_fields": ["shift"]}, {"keep_custom_fields": []}),
    ],
)
def test_options_are_fixed_by_the_first_ingest(
    warehouse: ra.Warehouse, made: Any, other: Any, tmp_path: Path
) -> None:
    first, second, *_ = write_nights(tmp_path)
    warehouse.ingest(first, **made)
    (name,) = other
    with pytest.raises(ra.UsageError, match=rf"{name} is .* leave it out, or .*new warehouse"):
        warehouse.ingest(second, **other)
    assert len(warehouse.history()) == 1
    warehouse.ingest(second)
    warehouse.ingest(first, **made)
    assert_same(warehouse.open(), ra.load([first, second], **made))


def test_kept_custom_fields_are_a_set_of_names(warehouse: ra.Warehouse, tmp_path: Path) -> None:
    first, second, *_ = write_nights(tmp_path)
    for wrong in ("shift", 3, [3]):
        with pytest.raises(ra.UsageError, match="keep_custom_fields is a list of names"):
            warehouse.ingest(first, keep_custom_fields=wrong)
    warehouse.ingest(first, keep_custom_fields=("shift", "till"))
    assert warehouse.ingest(second, keep_custom_fields=["till", "shift", "till"]).version == 2


def test_dropped_keys_are_refused_with_the_remedy(warehouse: ra.Warehouse, tmp_path: Path) -> None:
    first, *_ = write_nights(tmp_path)
    with pytest.raises(ra.UsageError, match=r'know no customer again: use pii="pseudonymize"'):
        warehouse.ingest(first, pii="drop")
    assert warehouse.history().empty


def test_pseudonyms_are_under_one_key(
    warehouse: ra.Warehouse, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    first, second, third, _ = write_nights(tmp_path)
    keys = ["the-first-key-of-32-letters-and-more", "another-key-of-32-letters-and-more-"]
    monkeypatch.setenv(KEY_VARIABLE, keys[0])
    ingested(warehouse, first, second, pii="pseudonymize")
    assert_same(warehouse.open(), ra.load([first, second], pii="pseudonymize"))
    monkeypatch.setenv(KEY_VARIABLE, keys[1])
    with pytest.raises(ra.UsageError, match=f"{KEY_VARIABLE} is another than this") as caught:
        warehouse.ingest(third)
    assert not any(key in str(caught.value) for key in keys)
    monkeypatch.delenv(KEY_VARIABLE)
    with pytest.raises(ra.UsageError, match=KEY_VARIABLE):
        warehouse.ingest(third)
    # What stands is opened without the key.
    assert len(warehouse.open().points) == 1
    assert len(warehouse.open(as_known_on="2026-01-01").points) == 1
    monkeypatch.setenv(KEY_VARIABLE, keys[0])
    with pytest.raises(ra.UsageError, match="pii is 'pseudonymize' in this warehouse"):
        warehouse.ingest(third, pii="keep")
    warehouse.ingest(third)
    assert_same(warehouse.open(), ra.load([first, second, third], pii="pseudonymize"))


def test_a_warehouse_of_pseudonyms_holds_neither_its_key_nor_who_it_is_about(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    key = "a-key-of-32-letters-and-some-more-of-them"
    monkeypatch.setenv(KEY_VARIABLE, key)
    told = answer(new("a", notes="MARK-notes"), mobile="44700900101", firstname="MARK-name")
    path = write(tmp_path / "exports", "2026-01-01", told, {"response": {"MARK-odd": 1}})
    warehouse = ra.Warehouse(tmp_path / "warehouse")
    warehouse.ingest(path, pii="pseudonymize")
    warehouse.ingest(write(tmp_path / "exports", "2026-01-02", told))
    for path in (tmp_path / "warehouse").rglob("*"):
        if path.is_file():
            data = path.read_bytes()
            if path.suffix != ".json":
                data += str(_rows_in(path)).encode()
            for secret in (key, "44700900101", "MARK-n"):
                assert secret.encode() not in data, path


def _rows_in(path: Path) -> list[Any]:
    if path.suffix == ".arrow":
        with pa.ipc.open_file(str(path)) as file:
            return list(file.read_all().to_pylist())
    import pyarrow.parquet as pq

    return list(pq.read_table(path).to_pylist())


# Vacuum.


def test_vacuum_takes_old_versions_and_keeps_the_others_whole(
    warehouse: ra.Warehouse, tmp_path: Path
) -> None:
    paths = write_nights(tmp_path)
    ingested(warehouse, *paths)
    before = stored(warehouse)
    done = warehouse.vacuum(2, grace="0D")
    assert done.versions == (1, 2)
    assert stored(warehouse) == named(warehouse)
    assert len(before - stored(warehouse)) == done.files > 0
    assert done.size > 0
    for version in (3, 4):
        assert_same(warehouse.open(version=version), ra.load(paths[:version]))
    for call in (lambda: warehouse.open(version=2), lambda: warehouse.diff(1, 4)):
        with pytest.raises(ra.UsageError, match=r"was vacuumed: the oldest that is left is 3"):
            call()
    assert list(warehouse.history()["version"]) == [3, 4]
    assert warehouse.vacuum(2, grace="0D").versions == ()
    last = write(tmp_path, "2026-01-05", answer(new("c"), mobile="448", email="x@example.com"))
    assert warehouse.ingest(last).version == 5
    assert_same(warehouse.open(), ra.load([*paths, last]))


def test_vacuum_spares_what_is_younger_than_the_grace(
    warehouse: ra.Warehouse, tmp_path: Path
) -> None:
    ingested(warehouse, *write_nights(tmp_path))
    before = stored(warehouse)
    done = warehouse.vacuum(1)
    assert (done.versions, done.files, done.size) == ((), 0, 0)
    assert stored(warehouse) == before


@pytest.mark.parametrize(("keep", "grace"), [(0, "1D"), (-1, "1D"), (1, 5), (1, "-1D")])
def test_vacuum_refuses_what_means_nothing(
    warehouse: ra.Warehouse, keep: int, grace: Any, tmp_path: Path
) -> None:
    ingested(warehouse, *write_nights(tmp_path)[:1])
    with pytest.raises(ra.UsageError, match=r"keep is|grace"):
        warehouse.vacuum(keep, grace=grace)


def test_an_ingest_beside_a_vacuum_is_unharmed(warehouse: ra.Warehouse, tmp_path: Path) -> None:
    paths = write_nights(tmp_path)
    ingested(warehouse, *paths[:3])
    with before_commit(lambda: warehouse.vacuum(1)):
        warehouse.ingest(paths[3])
    assert_same(warehouse.open(), ra.load(paths))
    assert warehouse.vacuum(1, grace="0D").versions == (1, 2, 3)
    assert_same(warehouse.open(), ra.load(paths))


# Other writers.


@pytest.mark.parametrize("first", [0, 1], ids=["the first version", "a later version"])
def test_a_writer_that_wakes_after_anothers_commit_goes_on_upon_it(
    warehouse: ra.Warehouse, first: int, tmp_path: Path
) -> None:
    paths = write_nights(tmp_path)
    ingested(warehouse, *paths[:first])
    other = ra.Warehouse(warehouse._store.location)
    with before_commit(lambda: other.ingest(paths[first])):
        done = warehouse.ingest(paths[first + 1 :])
    assert (done.version, done.read) == (first + 2, 3 - first)
    assert_same(warehouse.open(), ra.load(paths))
    assert stored(warehouse) == named(warehouse)


@pytest.mark.parametrize("first", [0, 1], ids=["the first version", "a later version"])
def test_what_another_writer_took_meanwhile_is_not_taken_twice(
    warehouse: ra.Warehouse, first: int, tmp_path: Path
) -> None:
    paths = write_nights(tmp_path)
    ingested(warehouse, *paths[:first])
    other = ra.Warehouse(warehouse._store.location)
    with before_commit(lambda: other.ingest(paths[:3])):
        done = warehouse.ingest(paths)
    assert (done.version, done.read, done.known) == (first + 2, 1, 3)
    assert_same(warehouse.open(), ra.load(paths))
    with before_commit(lambda: pytest.fail("nothing is committed")):
        assert warehouse.ingest(paths).read == 0


def test_all_that_a_writer_has_may_have_been_taken_meanwhile(
    warehouse: ra.Warehouse, tmp_path: Path
) -> None:
    paths = write_nights(tmp_path)
    other = ra.Warehouse(warehouse._store.location)
    with before_commit(lambda: other.ingest(paths)):
        done = warehouse.ingest(paths)
    assert (done.version, done.read, done.known) == (1, 0, 4)
    assert stored(warehouse) == named(warehouse)


def payloads(*keys: str) -> Iterator[Any]:
    """Payloads that can be read once."""
    return iter([answer(new(key), mobile=key) for key in keys])


def test_payloads_that_can_be_read_once_are_not_lost_where_another_writer_is_first(
    warehouse: ra.Warehouse,
) -> None:
    other = ra.Warehouse(warehouse._store.location)
    with before_commit(lambda: other.ingest(payloads("c", "d", "e"))):
        warehouse.ingest(payloads("a", "b"))
    r = warehouse.open()
    r.validate()
    assert sorted(r.points["redemption_key"]) == list("abcde")
    assert sorted(r.responses["response_id"]) == [
        *(f"payloads#{record}/1" for record in (1, 2, 3)),
        *(f"payloads~2#{record}/1" for record in (1, 2)),
    ]
    assert adds_up(r)
    assert_same(
        warehouse.open(as_known_on="2100-01-01"),
        warehouse.open(),
    )


def test_payloads_beside_files_are_not_lost_where_another_writer_takes_these(
    warehouse: ra.Warehouse, tmp_path: Path
) -> None:
    path = write(tmp_path, "2026-01-01", answer(new("z")))
    other = ra.Warehouse(warehouse._store.location)
    with before_commit(lambda: other.ingest(path)):
        done = warehouse.ingest(iter([path, *payloads("a", "b")]))
    assert (done.version, done.read, done.known) == (2, 1, 1)
    assert sorted(warehouse.open().points["redemption_key"]) == ["a", "b", "z"]


def test_who_never_gets_first_gives_up(warehouse: ra.Warehouse, tmp_path: Path) -> None:
    first, second, *_ = write_nights(tmp_path)
    warehouse.ingest(first)
    before = stored(warehouse)
    with (
        mock.patch.object(Log, "commit", return_value=False),
        pytest.raises(ra.WriteError, match="by others all the time: try again later"),
    ):
        warehouse.ingest(second)
    assert stored(warehouse) == before


# What is no export.


def test_rejected_and_passed_over_files_are_known(warehouse: ra.Warehouse, tmp_path: Path) -> None:
    paths = exports_with_others(tmp_path)
    done = warehouse.ingest(tmp_path)
    assert (done.read, done.rejected) == (4, {"files": 1, "points": 1})
    assert warehouse.ingest(tmp_path).read == 0
    assert_same(warehouse.open(), ra.load(tmp_path))
    assert adds_up(warehouse.open())
    assert len(paths) == 4


def exports_with_others(folder: Path) -> list[Path]:
    """Write an export with a reject, one that is none, one that is hidden, and a note."""
    good = write(folder, "2026-01-01", answer(new("a"), {"id": "x"}))
    others = {"2026-01-02.json": "no export {", ".2026-01-03.json": "{}", "README.md": "# Exports"}
    for name, text in others.items():
        (folder / name).write_text(text)
    return [good, *(folder / name for name in others)]


@pytest.mark.parametrize("first", ["exports", "./exports/", "absolute"])
def test_files_are_known_however_their_directory_is_written(
    first: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    folder = tmp_path / "exports"
    exports_with_others(folder)
    (folder / "2026-01-04.jsonl").symlink_to("nowhere")
    (tmp_path / "linked").symlink_to("exports")
    start = str(folder) if first == "absolute" else first
    for spelling in ("exports", "./exports/", "linked", "linked/../exports", folder):
        warehouse = ra.Warehouse(tmp_path / f"warehouse-{uuid4().hex}")
        warehouse.ingest(start)
        before = warehouse.open()
        done = warehouse.ingest(spelling)
        assert (done.version, done.read) == (1, 0), spelling
        with mock.patch.object(ingest, "__version__", "another"):
            # What is tried again takes the place of what it was, under its new name.
            warehouse.ingest(spelling)
        r = warehouse.open()
        assert [len(r.files), len(r.rejects)] == [len(before.files), len(before.rejects)]
        assert adds_up(r)


def test_a_file_of_the_same_name_elsewhere_is_another(
    warehouse: ra.Warehouse, tmp_path: Path
) -> None:
    for number, folder in enumerate(("one", "two")):
        write(tmp_path / folder, f"2026-01-0{number + 1}", answer(new(folder)))
        (tmp_path / folder / "README.md").write_text("# Exports")
        os.utime(tmp_path / folder / "README.md", (1.7e9, 1.7e9))
        warehouse.ingest(tmp_path / folder)
    assert list(warehouse.open().files["status"]).count("passed over") == 2


def test_what_was_rejected_is_tried_again_by_another_version_of_the_library(
    warehouse: ra.Warehouse, tmp_path: Path
) -> None:
    exports_with_others(tmp_path)
    warehouse.ingest(tmp_path)
    before = warehouse.open()
    with mock.patch.object(ingest, "__version__", "another"):
        done = warehouse.ingest(tmp_path)
        # The note too, which was looked into; not what is hidden.
        assert (done.version, done.read, done.known) == (2, 2, 2)
        assert_same(warehouse.open(), before)
        assert warehouse.ingest(tmp_path).read == 0
    assert adds_up(warehouse.open())


def test_what_another_version_of_the_library_can_read_takes_the_place_of_its_reject(
    warehouse: ra.Warehouse, tmp_path: Path
) -> None:
    first = write(tmp_path, "2026-01-01", answer(new("a")))
    write(tmp_path, "2026-01-03", answer(new("c")))
    text = json.dumps(answer(new("b")))
    path = tmp_path / "2026-01-02.json"
    path.write_text("no export".ljust(len(text)))
    warehouse.ingest(tmp_path)
    # By all that is looked at it is the same file, which can be read now.
    modified = path.stat().st_mtime_ns
    path.write_text(text)
    os.utime(path, ns=(modified, modified))
    assert warehouse.ingest(tmp_path).read == 0
    with mock.patch.object(ingest, "__version__", "another"):
        assert warehouse.ingest(tmp_path).read == 1
    assert_same(warehouse.open(), ra.load(tmp_path))
    assert adds_up(warehouse.open())
    # Merged again it is told once, too.
    known, whole = warehouse.open(as_known_on="2026-01-02"), ra.load([first, path])
    for name in known.tables:
        assert rows_of(known.tables[name]) == rows_of(whole.tables[name]), name


def test_a_file_that_was_rejected_several_times_is_rejected_once_in_the_end(
    warehouse: ra.Warehouse, tmp_path: Path
) -> None:
    write(tmp_path, "2026-01-01", answer(new("a")))
    (tmp_path / "2026-01-02.json").write_text("no export")
    for library, version in {"1": 1, "2": 2, "3": 3}.items():
        with mock.patch.object(ingest, "__version__", library):
            assert warehouse.ingest(tmp_path).version == version
            assert warehouse.ingest(tmp_path).version == version
        assert_same(warehouse.open(), ra.load(tmp_path))
    assert list(warehouse.open().files["status"]).count("rejected") == 1


def test_a_path_that_held_an_export_keeps_its_rejects_when_it_holds_none(
    warehouse: ra.Warehouse, tmp_path: Path
) -> None:
    """What is tried again is a file, and not all that ever lay at its path."""
    path = write(tmp_path, "latest", answer(new("a"), {"id": "x"}))
    warehouse.ingest(path)
    path.write_text("no export")
    os.utime(path, (1.7e9, 1.7e9))
    for library in ("1", "2", "3"):
        with mock.patch.object(ingest, "__version__", library):
            warehouse.ingest(path, allow_empty=True)
        r = warehouse.open()
        assert sorted(r.files["status"]) == ["loaded", "rejected"]
        assert len(r.rejects) == 2
        assert adds_up(r)


def test_a_note_beside_known_exports_makes_no_ingest_fail(
    warehouse: ra.Warehouse, tmp_path: Path
) -> None:
    write(tmp_path, "2026-01-01", answer(new("a")))
    warehouse.ingest(tmp_path)
    for name in (".hidden.json", "README.md"):
        (tmp_path / name).write_text("# Exports")
        assert warehouse.ingest(tmp_path).known == 1 + (name == "README.md")
        assert_same(warehouse.open(), ra.load(tmp_path))
    assert warehouse.ingest(tmp_path).read == 0


def test_a_new_file_that_fails_wholly_is_told_and_makes_no_version(
    warehouse: ra.Warehouse, tmp_path: Path
) -> None:
    first, *_ = write_nights(tmp_path / "exports")
    warehouse.ingest(first)
    before = stored(warehouse)
    bad = tmp_path / "2026-02-01.json"
    failed = tmp_path / "2026-02-02.json"
    bad.write_text("no export")
    failed.write_text(json.dumps(answer(success=False)))
    for source, told in {bad: "neither JSON nor XML", failed: "the only answer cannot be"}.items():
        for sources in ([source], [first, source]):
            with pytest.raises(ra.SourceError, match=told):
                warehouse.ingest(sources)
    with pytest.raises(ra.SourceError, match="does not exist"):
        warehouse.ingest(tmp_path / "missing.json")
    assert list(warehouse.history()["version"]) == [1]
    assert stored(warehouse) == before


def test_the_first_ingest_of_nothing_makes_no_warehouse(tmp_path: Path) -> None:
    warehouse = ra.Warehouse(tmp_path / "warehouse")
    (tmp_path / "README.md").write_text("# Exports")
    with pytest.raises(ra.SourceError):
        warehouse.ingest([tmp_path / "README.md"])
    assert not (tmp_path / "warehouse").exists()


def test_allow_empty_lets_a_night_without_answers_pass(
    warehouse: ra.Warehouse, tmp_path: Path
) -> None:
    failed = write(tmp_path, "2026-01-01", answer(success=False))
    bad = tmp_path / "2026-01-02.json"
    bad.write_text("no export")
    good = write(tmp_path, "2026-01-03", answer(new("a")))
    for version, path in enumerate((failed, bad, good), 1):
        assert warehouse.ingest(path, allow_empty=True).version == version
        assert adds_up(warehouse.open())
    assert_same(warehouse.open(), ra.load(tmp_path))


def test_strict_ingests_stop_at_the_first_reject_and_leave_nothing(
    warehouse: ra.Warehouse, tmp_path: Path
) -> None:
    first, second, *_ = write_nights(tmp_path)
    warehouse.ingest(first)
    before = stored(warehouse)
    broken = write(tmp_path, "2026-01-09", answer(new("q"), {"id": "x"}))
    with pytest.raises(ra.RejectedError, match=r"2026-01-09\.jsonl.*point"):
        warehouse.ingest([second, broken], on_error="raise")
    assert stored(warehouse) == before
    assert warehouse.ingest([second, broken]).rejected == {"points": 1}


@pytest.mark.parametrize("published", [False, True])
def test_a_warehouse_below_its_source_does_not_take_itself_in(
    published: bool, tmp_path: Path
) -> None:
    second = write_nights(tmp_path)[1]
    second.rename(tmp_path / "later")
    warehouse = ra.Warehouse(tmp_path / "warehouse")
    for _ in range(2):
        assert warehouse.ingest(tmp_path).version == 1
        if published:
            warehouse.publish()
    (tmp_path / "later").rename(second)
    assert warehouse.ingest(tmp_path).version == 2
    assert warehouse.ingest(tmp_path).version == 2
    r = ra.load(tmp_path)
    assert set(r.files["status"]) == {"loaded", "passed over"}
    assert set(r.files["reason"].dropna()) >= {"a part of a warehouse, and no export"}
    assert len(r.rejects) == 0
    with pytest.raises(ra.SourceError, match=r"is a warehouse, and no export"):
        warehouse.ingest(tmp_path / "warehouse")


@pytest.mark.parametrize("most", [0, 300_000], ids=["all merged again", "some merged again"])
def test_strict_ingests_stop_at_a_reversal_that_stands_under_a_redemption_known_before(
    warehouse: ra.Warehouse, most: int, tmp_path: Path
) -> None:
    first, second, third = (
        write(tmp_path, f"2026-01-0{day}", answer(new(key, reversals=[reversal(id_)])))
        for day, key, id_ in ((1, "a", 1), (2, "b", 1), (3, "c", 3))
    )
    with mock.patch.object(building, "MOST_ANSWERS", most):
        warehouse.ingest(first)
        before = stored(warehouse)
        with pytest.raises(ra.RejectedError, match="reversal_id 1 of redemption a is also"):
            warehouse.ingest(second, on_error="raise")
        assert stored(warehouse) == before
        warehouse.ingest(second)
        # What was refused before is no reason to stop.
        assert warehouse.ingest(third, on_error="raise").version == 3
    assert_same(warehouse.open(), ra.load([first, second, third]))


# Redemptions and customers that turn out otherwise.


def test_a_customer_gains_an_identity_later(warehouse: ra.Warehouse, tmp_path: Path) -> None:
    paths = [
        write(tmp_path, "2026-01-01", answer(new("a"), mobile="447")),
        write(tmp_path, "2026-01-02", answer(new("b"), mobile=None, email="a@example.com")),
        write(tmp_path, "2026-01-03", answer(mobile="447", email="a@example.com")),
        write(tmp_path, "2026-01-04", answer(new("c"), mobile="447", external_id="E7")),
    ]
    customers = []
    for until, path in enumerate(paths, 1):
        warehouse.ingest(path)
        assert_same(warehouse.open(), ra.load(paths[:until]))
        customers.append(len(warehouse.open().customers))
    assert customers == [1, 2, 1, 1]
    assert set(warehouse.open().points["customer_key"]) == {"external_id:E7"}


def test_a_redemption_moves_to_another_quarter_with_all_that_hangs_on_it(
    warehouse: ra.Warehouse, tmp_path: Path
) -> None:
    def told(time: str | None) -> Any:
        share = {"program_id": 1, "points_redeemed": 90}
        back = reversal(1, 5, reversal_breakup_by_program=[{"program_id": 1, "points_reversed": 5}])
        field = {"field": [{"name": "shift", "value": "late"}]}
        return answer(
            new(
                "a",
                redeemed_time=time,
                reversals=[back],
                custom_fields=field,
                redemption_breakup_by_program=[share],
            ),
            coupons=[{"id": 1, "code": "C", "redeemed_time": time}],
        )

    times = ["2025-12-31 23:59:59", "2026-01-01 00:00:00", "2062-07-01 00:00:00", None]
    paths = [write(tmp_path, f"2026-02-0{n}", told(time)) for n, time in enumerate(times, 1)]
    for until, path in enumerate(paths, 1):
        warehouse.ingest(path)
        assert_same(warehouse.open(), ra.load(paths[:until]))
        quarters = {
            file.partition
            for table in ("points", "coupons", "reversals", "program_breakups", "custom_fields")
            for file in warehouse._log.read(until).tables[table]
            if file.rows
        }
        assert quarters == {["2025-q4", "2026-q1", "2062-q3", "2062-q3"][until - 1]}


@pytest.mark.parametrize(
    "options", first_everyday([{"customer_key": "mobile"}, {}, {"points": "decimal"}])
)
def test_merging_everything_again_gives_what_merging_some_does(
    warehouse: ra.Warehouse, options: Any, tmp_path: Path
) -> None:
    paths = write_nights(tmp_path / "exports")
    late = answer(new("b", reversals=[reversal(1, 3)]), mobile="448", surprise=1)
    paths += [write(tmp_path / "exports", "2026-01-05", late), *exports_with_others(tmp_path)[:2]]
    anew = ra.Warehouse(f"memory://{uuid4().hex}")
    for path in paths:
        warehouse.ingest(path, allow_empty=True, **options)
        with mock.patch.object(building, "MOST_ANSWERS", 0):
            anew.ingest(path, allow_empty=True, **options)
        assert_same(anew.open(), warehouse.open())
        assert adds_up(anew.open())
    assert_same(anew.open(), ra.load(paths, **options))
    assert stored(anew) == named(anew)
    with mock.patch.object(building, "MOST_ANSWERS", 0):
        again = write(tmp_path, "2026-01-06", answer(new("z")))
        told = anew.ingest(again).counts
    assert told["points"]["added"] == 1


# What it says meanwhile.


def test_each_stage_says_a_line_and_nothing_personal(
    warehouse: ra.Warehouse, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    who = {"mobile": "44700900101", "email": "mark@example.com", "firstname": "Mark-name"}
    paths = [
        write(tmp_path, day, answer(new(key, notes="Mark-note"), **who))
        for day, key in (("2026-01-01", "a"), ("2026-01-02", "b"))
    ]
    with caplog.at_level(logging.DEBUG, "redemption_analytics"):
        ingested(warehouse, *paths)
        warehouse.vacuum(1, grace="0D")
    said = [record.getMessage() for record in caplog.records]
    for stage in ("1 exports, of which 0 are known", "answers to be merged again", "version 2: "):
        assert any(stage in line for line in said), stage
    assert all(record.name.startswith("redemption_analytics") for record in caplog.records)
    for secret in ("44700900101", "mark@example", "Mark-"):
        assert not any(secret in line for line in said)


def test_a_warehouse_says_where_it_is(warehouse: ra.Warehouse) -> None:
    assert repr(warehouse) == f"Warehouse({warehouse._store.location!r})"
    assert isinstance(warehouse._store, Store)
    with pytest.raises(ra.UsageError, match="Warehouse"):
        ra.Warehouse(paht="x")  # type: ignore[call-arg]
