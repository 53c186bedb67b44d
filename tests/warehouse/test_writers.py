"""Whoever ingests what, at once or in turn: a warehouse is one load, and so is what was known."""

from __future__ import annotations

import itertools
import json
from collections import Counter
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any
from unittest import mock

import pytest
from answers import EXPORTS
from hypothesis import Phase, given, settings
from hypothesis import strategies as st
from payloads import TIMES
from warehouses import assert_same, before_commit, named, rows_of, stored

import redemption_analytics as ra
from redemption_analytics.warehouse import building

pytest.importorskip("obstore")

NO_SHRINK = [Phase.explicit, Phase.generate]
_NUMBERS = itertools.count()


def write(folder: str, exports: list[Any]) -> list[Path]:
    paths = []
    for day, answers in enumerate(exports, 1):
        paths.append(Path(folder) / f"2026-01-0{day}.jsonl")
        paths[-1].write_text("\n".join(map(json.dumps, answers)))
    return paths


def a_place() -> str:
    return f"memory://writers-{next(_NUMBERS)}"


@given(EXPORTS, st.data())
@settings(max_examples=6 * TIMES, deadline=None, phases=NO_SHRINK)
def test_writers_that_wake_after_one_another_end_as_one_load(exports: Any, data: Any) -> None:
    with (
        TemporaryDirectory() as folder,
        mock.patch.object(building, "MOST_ANSWERS", data.draw(st.sampled_from([0, 2, 300_000]))),
    ):
        paths = write(folder, exports)
        some = st.lists(st.sampled_from(paths), min_size=1, unique=True)
        place = a_place()
        warehouse, other = ra.Warehouse(place), ra.Warehouse(place)
        if data.draw(st.booleans()):
            warehouse.ingest(data.draw(some), allow_empty=True)
        for _ in range(2):
            first, second = data.draw(some), data.draw(some)
            with before_commit(lambda taken=second: other.ingest(taken, allow_empty=True)):
                warehouse.ingest(first, allow_empty=True)
        warehouse.ingest(paths, allow_empty=True)
        assert_same(warehouse.open(), ra.load(paths, allow_empty=True))
        assert stored(warehouse) == named(warehouse)
        warehouse.vacuum(1, grace="0D")
        assert_same(warehouse.open(), ra.load(paths, allow_empty=True))


@given(EXPORTS, st.data())
@settings(max_examples=4 * TIMES, deadline=None, phases=NO_SHRINK)
def test_what_was_known_on_a_day_is_a_load_of_the_exports_until_then(
    exports: Any, data: Any
) -> None:
    with TemporaryDirectory() as folder:
        paths = write(folder, exports)
        warehouse = ra.Warehouse(a_place())
        order = data.draw(st.permutations(paths))
        cut = data.draw(st.integers(1, len(order)))
        for source in filter(None, (order[:cut], order[cut:])):
            warehouse.ingest(source, allow_empty=True)
        for until, path in enumerate(paths, 1):
            r = warehouse.open(as_known_on=path.stem)
            whole = ra.load(paths[:until], allow_empty=True)
            for name in r.tables:
                assert rows_of(r.tables[name]) == rows_of(whole.tables[name]), name
            assert r.now == whole.now


@given(EXPORTS, st.data())
@settings(max_examples=4 * TIMES, deadline=None, phases=NO_SHRINK)
def test_what_a_difference_tells_leads_from_one_version_to_another(exports: Any, data: Any) -> None:
    with TemporaryDirectory() as folder:
        paths = write(folder, exports)
        warehouse = ra.Warehouse(a_place())
        for path in data.draw(st.permutations(paths)):
            warehouse.ingest(path, allow_empty=True)
        numbers = st.integers(1, len(paths))
        one, two = data.draw(numbers), data.draw(numbers)
        before, after = warehouse.open(version=one), warehouse.open(version=two)
        differs = warehouse.diff(one, two)
        counts = differs.counts.set_index("table")
        for name in before.tables:
            # What was refused may be there twice, word for word.
            was, became = (Counter(rows_of(r.tables[name])) for r in (before, after))
            came, went = rows_of(differs.came[name]), rows_of(differs.went[name])
            changed = counts.loc[name, "changed"]
            assert len(came) == counts.loc[name, "added"]
            assert len(went) == counts.loc[name, "removed"]
            assert was.total() + len(came) - len(went) == became.total()
            assert (became - was).total() == len(came) + changed
            assert (was - became).total() == len(went) + changed
            told = differs.restated[differs.restated["table"] == name]
            assert told["key"].nunique() == changed
        moved = ra.net_points(after).iloc[0] - ra.net_points(before).iloc[0]
        assert differs.net_points.iloc[0]["net_points"] == moved["net_points"]
        assert differs.net_points.iloc[0]["redemptions"] == moved["redemptions"]
