"""Whatever exports tell, and in whatever order they came: a warehouse is one load of them."""

from __future__ import annotations

import itertools
import os
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any
from unittest import mock

from answers import answer, new
from hypothesis import Phase, given, settings
from hypothesis import strategies as st
from payloads import TIMES
from warehouses import assert_same
from worlds import OPTIONS, exports_of, written

import redemption_analytics as ra
from redemption_analytics.merging import customers
from redemption_analytics.privacy import KEY_VARIABLE
from redemption_analytics.warehouse import compaction

NO_SHRINK = [Phase.explicit, Phase.generate]
_NUMBERS = itertools.count()


@given(st.data())
@settings(max_examples=15 * TIMES, deadline=None, phases=NO_SHRINK)
def test_a_warehouse_is_one_load_of_its_exports_in_whatever_order_they_came(data: Any) -> None:
    exports = data.draw(exports_of(2))
    options = data.draw(st.sampled_from(OPTIONS))
    most = data.draw(st.sampled_from([1, 2, 50]))
    with (
        TemporaryDirectory() as folder,
        mock.patch.object(customers, "MOST_KEYS", most),
        mock.patch.dict(os.environ, {KEY_VARIABLE: "a key that is long enough"}),
        mock.patch.object(compaction, "FANOUT", data.draw(st.sampled_from([1, 2, 8]))),
    ):
        paths = written(Path(folder), exports)
        whole = ra.load(paths, allow_empty=True, **options)
        warehouse = ra.Warehouse(f"memory://worlds-{next(_NUMBERS)}")
        order = data.draw(st.permutations(paths))
        cuts = data.draw(st.sets(st.integers(1, len(order) - 1)))
        for start, end in itertools.pairwise([0, *sorted(cuts), len(order)]):
            warehouse.ingest(order[start:end], allow_empty=True, **options)
        assert_same(warehouse.open(), whole)


def test_what_is_nobodys_splits_nobody_whatever_came_together(tmp_path: Path) -> None:
    def who(name: str) -> Any:
        return answer(new(name), mobile="447", external_id=name)

    with (
        mock.patch.object(customers, "MOST_KEYS", 2),
        mock.patch.dict(os.environ, {KEY_VARIABLE: "a key that is long enough"}),
    ):
        exports = [("2025-01-01", list(map(who, "abc"))), ("2025-01-02", list(map(who, "cde")))]
        paths = written(tmp_path, exports)
        warehouse = ra.Warehouse(tmp_path / "lake")
        for path in paths:
            warehouse.ingest(path, pii="pseudonymize")
        assert_same(warehouse.open(), ra.load(paths, pii="pseudonymize"))
