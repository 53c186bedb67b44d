"""Compaction: units of many nights become one, and nobody can tell but by the time it takes."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any
from unittest import mock

import pytest
from answers import answer, new, reversal
from hypothesis import given
from hypothesis import strategies as st
from warehouses import assert_same, before_commit, named, rows_of, stored

import redemption_analytics as ra
from redemption_analytics.warehouse import compaction, opening
from redemption_analytics.warehouse.compaction import run_of
from redemption_analytics.warehouse.units import units_of


def write(folder: Path, day: int, *answers: Any) -> Path:
    path = folder / f"2026-01-{day:02}.jsonl"
    path.write_text("\n".join(map(json.dumps, answers)))
    return path


def nights(folder: Path, count: int) -> list[Path]:
    """Each night tells of one redemption, and of a reversal of the one before."""
    return [
        write(
            folder,
            day,
            answer(new(f"r{day}"), mobile=f"44{day}"),
            answer(new(f"r{day - 1}", reversals=[reversal(day, 5)]), mobile=f"44{day - 1}"),
        )
        for day in range(1, count + 1)
    ]


def units(warehouse: ra.Warehouse) -> list[int]:
    return [len(unit.came_in) for unit in units_of(warehouse._log.newest())]


@given(st.lists(st.integers(0, 1000), min_size=300, max_size=300))
def test_units_stay_few_and_are_written_again_a_few_times(sizes: list[int]) -> None:
    left: list[int] = []
    written = 0
    for size in sizes:
        run = run_of(left)
        if run:
            together = sum(left[-run:])
            left[-run:] = [together]
            written += together
        left.append(size)
        assert len(left) <= 30
    assert sum(left) == sum(sizes)
    # A night without answers counts as one: it is looked into.
    assert written <= 10 * sum(max(size, 1) for size in sizes)


def test_a_large_unit_is_left_alone_until_the_small_ones_are_as_much() -> None:
    assert run_of([1000, *[1] * 8]) == 8
    assert run_of([1000, *[1] * 7]) == 0
    assert run_of([1000, *[125] * 8]) == 9
    assert run_of([compaction.MOST_ANSWERS + 1] * 20) == 0
    assert run_of([0] * 8) == 8


@pytest.mark.parametrize("backwards", [False, True])
def test_every_version_is_a_load_of_the_exports_until_then(
    warehouse: ra.Warehouse, backwards: bool, tmp_path: Path
) -> None:
    paths = nights(tmp_path, 8)
    if backwards:
        paths.reverse()
    with mock.patch.object(compaction, "FANOUT", 3):
        for count, path in enumerate(paths, 1):
            warehouse.ingest(path)
            assert_same(warehouse.open(), ra.load(paths[:count]))
    assert len(units(warehouse)) < 6
    assert sum(units(warehouse)) == 8
    for count in range(1, 9):
        assert_same(warehouse.open(version=count), ra.load(paths[:count]))
    assert warehouse.ingest(paths).read == 0
    assert list(warehouse.history()["exports"]) == list(range(1, 9))


def test_as_known_on_finds_its_version_among_units_that_were_put_together(
    warehouse: ra.Warehouse, tmp_path: Path
) -> None:
    paths = nights(tmp_path, 6)
    with mock.patch.object(compaction, "FANOUT", 2):
        for path in paths:
            warehouse.ingest(path)
    assert max(units(warehouse)) > 1
    with mock.patch.object(opening, "_merged_again", side_effect=AssertionError):
        for count in range(1, 7):
            known = warehouse.open(as_known_on=f"2026-01-{count:02}")
            assert_same(known, ra.load(paths[:count]))
    # And merges again where it was vacuumed.
    warehouse.vacuum(keep=1, grace="0s")
    known, whole = warehouse.open(as_known_on="2026-01-03"), ra.load(paths[:3])
    for name in known.tables:
        assert rows_of(known.tables[name]) == rows_of(whole.tables[name]), name
    assert known.now == whole.now


def test_what_was_put_together_is_vacuumed_with_the_versions_that_named_it(
    warehouse: ra.Warehouse, tmp_path: Path
) -> None:
    with mock.patch.object(compaction, "FANOUT", 2):
        for path in nights(tmp_path, 5):
            warehouse.ingest(path)
    warehouse.vacuum(keep=1, grace="0s")
    assert stored(warehouse) == named(warehouse)
    assert len(warehouse.open().points) == 6


def test_a_writer_that_is_beaten_leaves_nothing_of_what_it_put_together(
    warehouse: ra.Warehouse, tmp_path: Path
) -> None:
    *paths, late, last = nights(tmp_path, 6)
    other = ra.Warehouse(warehouse._store.location)
    with mock.patch.object(compaction, "FANOUT", 2):
        for path in paths:
            warehouse.ingest(path)
        with before_commit(lambda: other.ingest(late)):
            warehouse.ingest(last)
    assert_same(warehouse.open(), ra.load([*paths, late, last]))
    warehouse.vacuum(keep=30, grace="1D")
    assert stored(warehouse) == named(warehouse)
