"""What now is, by what is known of the exports and by what can be true of times."""

import json
from datetime import datetime
from pathlib import Path
from typing import Any

import pandas as pd
import pytest
from engines import in_polars
from hypothesis import given, settings
from hypothesis import strategies as st
from payloads import TIMES, Item, answers, redemption, reversal

import redemption_analytics as ra

WRONG_YEAR = "2062-02-03 12:00:00"


def export(path: Path, *times: str) -> Path:
    """Write an export of one redemption at each of some times."""
    items = [
        {"customer": "a", "redemption_id": time, "points_redeemed": 1, "redeemed_time": time}
        for time in times
    ]
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text("".join(f"{json.dumps(answer)}\n" for answer in answers(items)))
    return path


def late_ones(r: ra.Redemptions) -> int:
    return int(ra.audit(r).set_index("check")["count"]["times_after_export"])


@pytest.mark.parametrize(
    ("name", "times", "now"),
    [
        ("2026-11-16T02-00", ["2026-11-15 20:00:00"], "2026-11-16 02:00:00"),
        ("2026-11-16T02-00", ["2026-11-16 09:00:00"], "2026-11-16 02:00:00"),
        ("2026-11-16", ["2026-11-15 20:00:00"], "2026-11-16 00:00:00"),
        ("2026-11-16", ["2026-11-16 01:30:00", "2026-11-17 03:00:00"], "2026-11-16 01:30:00"),
        ("undated", ["2026-01-02 03:04:05", WRONG_YEAR], "2026-01-02 03:04:05"),
    ],
)
def test_now_is_when_the_newest_export_was_made(
    name: str, times: list[str], now: str, tmp_path: Path
) -> None:
    path = export(tmp_path / f"{name}.jsonl", *times)
    assert ra.load(path).now == datetime.fromisoformat(now)
    ra.convert(path, tmp_path / "converted")
    for engine in ("pandas", "duckdb", "polars", "pyarrow"):
        assert ra.open(tmp_path / "converted", engine=engine).now == datetime.fromisoformat(now)


@pytest.mark.parametrize(
    ("name", "time", "is_late"),
    [
        ("2026-11-16T02-00", "2026-11-17 02:00:00", False),
        ("2026-11-16T02-00", "2026-11-17 02:00:01", True),
        ("2026-11-16", "2026-11-17 18:00:00", False),
        ("2026-11-16", "2026-11-18 00:00:01", True),
        ("undated", WRONG_YEAR, True),
    ],
)
def test_a_time_is_late_that_is_a_day_after_its_own_export(
    name: str, time: str, is_late: bool, tmp_path: Path
) -> None:
    export(tmp_path / "2027-01-01.jsonl", "2026-01-01 10:00:00")
    export(tmp_path / f"{name}.jsonl", time)
    assert late_ones(ra.load(tmp_path)) == is_late


def test_a_time_that_only_an_older_export_told_is_one_that_happened(tmp_path: Path) -> None:
    told = redemption("a", 5, back=[reversal(1, 2, "2026-11-16 09:00:00")])
    silent = redemption("a", 5, back=[reversal(1, 2, None)])
    for day, item in (("2026-11-15", told), ("2026-11-16", silent)):
        lines = (json.dumps(answer) for answer in answers([item]))
        (tmp_path / f"{day}.jsonl").write_text("\n".join(lines))
    r = ra.load(tmp_path)
    assert r.reversals["reversal_time"].tolist() == [r.now] == [datetime(2026, 11, 16, 9)]


def test_now_of_tables_put_together_by_hand_is_their_newest_time() -> None:
    times = pd.to_datetime(["2026-01-02 03:04:05", None]).astype("datetime64[us]")
    r = ra.load(answers([{"customer": "a", "id": i, "points_redeemed": 1} for i in (7, 8)]))
    assert ra.Redemptions(points=r.points.assign(redeemed_time=times)).now == times[0]
    assert ra.Redemptions().now is None


def test_what_is_chosen_of_a_bundle_has_its_now(tmp_path: Path) -> None:
    r = ra.load(export(tmp_path / "2026-11-16T02-00.jsonl", "2026-11-10 10:00:00"))
    given: list[tuple[dict[str, Any], datetime]] = [
        ({"customer_key": "user_id:nobody"}, datetime(2026, 11, 16, 2)),
        ({"until": "2026-01"}, datetime(2026, 11, 16, 2)),
        ({"as_of": "2026-11-12T08:00"}, datetime(2026, 11, 12, 8)),
        ({"as_of": "2027-01-01"}, datetime(2026, 11, 16, 2)),
    ]
    for conditions, now in given:
        assert r.filter(**conditions).now == now


# A property: what is dated after its export changes nothing that looks at times.

_DAYS = st.integers(0, 120).map(
    lambda day: f"{pd.Timestamp('2026-07-01') + pd.Timedelta(days=day)}"
)


@st.composite
def _redemptions(draw: st.DrawFn) -> list[Item]:
    found = []
    for number in range(draw(st.integers(1, 8))):
        points = draw(st.integers(1, 200))
        backs = [
            reversal(number * 10 + back, draw(st.integers(0, points)), draw(_DAYS))
            for back in range(draw(st.integers(0, 2)))
        ]
        program = draw(st.sampled_from([1, 2]))
        till = draw(st.sampled_from(["north.till1", "south.till1"]))
        time = draw(st.none() | _DAYS)
        found.append(redemption(f"r{number}", points, time, backs, program=program, till=till))
    return found


ABOUT_NOW: dict[str, Any] = {
    "reversal_rates": lambda r: ra.reversal_rates(r),
    "by program": lambda r: ra.reversal_rates(r, by="program_id"),
    "within": lambda r: ra.reversal_rates(r, by="store_code", within="30D"),
    "reversal_curve": lambda r: ra.reversal_curve(r),
    "of points": lambda r: ra.reversal_curve(r, by="program_id", weight="points"),
    "expected_reversals": lambda r: ra.expected_reversals(r),
    "expected by program": lambda r: ra.expected_reversals(r, by="program_id"),
    "reversal_outliers": lambda r: ra.reversal_outliers(r),
    "time_to_reversal": lambda r: ra.time_to_reversal(r),
}


@settings(max_examples=3 * TIMES, deadline=None)
@given(
    redemptions=_redemptions(),
    late=st.tuples(st.integers(1, 10**6), st.sampled_from([1, 2, 3]), st.booleans(), st.booleans()),
    dated=st.booleans(),
    first=st.booleans(),
)
def test_a_redemption_dated_2062_changes_no_rate_no_curve_and_no_reserve(
    redemptions: list[Item], late: tuple[int, int, bool, bool], dated: bool, first: bool
) -> None:
    points, program, is_back, is_back_early = late
    # Where no export says when it was made, a plausible reversal is news of its own.
    is_back_early &= dated
    back = reversal(999, points, "2026-09-01" if is_back_early else "2062-04-01")
    wrong = redemption("late", points, WRONG_YEAR, [back] if is_back else [], program=program)
    options: dict[str, Any] = {"exported_at": "2026-11-05T03:00"} if dated else {}
    without = ra.load(answers(redemptions), **options)
    both = ra.load(answers([wrong, *redemptions] if first else [*redemptions, wrong]), **options)
    assert both.now == without.now
    assert late_ones(both) == (1 if not is_back or is_back_early else 2)
    ours, theirs = in_polars(both), in_polars(without)
    for name, function in ABOUT_NOW.items():
        assert function(ours).equals(function(theirs)), name
