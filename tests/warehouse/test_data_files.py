"""Data files: in which quarter rows lie, and that none gets lost where they are divided by it."""

from __future__ import annotations

from datetime import datetime
from pathlib import Path
from unittest import mock

import numpy as np
import pyarrow as pa
import pytest

from redemption_analytics.warehouse import files
from redemption_analytics.warehouse.files import Quarters, Writing, name_of, read_rows
from redemption_analytics.warehouse.store import Store

TIMES = [datetime(2026, 11, 1), None, datetime(2025, 1, 1), datetime(2026, 12, 1)]


@pytest.mark.parametrize("numbered", [(), ("coupon_fields",)])
def test_what_hangs_on_a_row_lies_in_its_quarter_by_number_or_by_key(numbered: list[str]) -> None:
    quarters = Quarters(numbered)
    for keys, times in ((["a", "b"], TIMES[:2]), (["c", "d"], TIMES[2:])):
        quarters.of(
            "coupons",
            pa.table(
                {"redemption_key": keys, "redeemed_time": pa.array(times, pa.timestamp("us"))}
            ),
        )
    fields = pa.table({"redemption_key": ["d", "a", "b", "c", "c"], "_parent": [3, 0, 1, 2, 2]})
    found = [name_of(quarter) for quarter in quarters.of("coupon_fields", fields).tolist()]
    assert found == ["2026-q4", "2026-q4", "all", "2025-q1", "2025-q1"]


@pytest.mark.parametrize("held", [1, 1 << 20])
def test_rows_of_a_quarter_are_all_in_its_files_in_their_order(tmp_path: Path, held: int) -> None:
    store = Store(tmp_path)
    quarters = np.array([8104, 8100, 8104, 8100, 0], np.int16)
    with mock.patch.object(files, "_HELD_BYTES", held), Writing(store) as writing:
        for start in range(0, 15, 5):
            rows = pa.table({"check": [f"{number}" for number in range(start, start + 5)]})
            writing.add("cases", rows, quarters)
        writing.finish()
        written = {
            file.partition: read_rows(store, file)["check"].to_pylist() for file in writing.written
        }
    assert written == {
        "all": ["4", "9", "14"],
        "2025-q1": ["1", "3", "6", "8", "11", "13"],
        "2026-q1": ["0", "2", "5", "7", "10", "12"],
    }
