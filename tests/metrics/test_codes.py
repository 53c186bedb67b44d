"""Codes with their names: the newest one, and when each was seen, against plain loops."""

from __future__ import annotations

from datetime import datetime
from typing import Any

import pandas as pd
from payloads import Item, coupon, load, redemption, reversal, table

import redemption_analytics as ra
from redemption_analytics.metrics import codes
from redemption_analytics.plot.groups import names_of
from redemption_analytics.reports.contents import contents
from redemption_analytics.reports.reported import reported
from redemption_analytics.reports.sections import sections
from redemption_analytics.sample import write_sample
from redemption_analytics.tables.frames import as_arrow
from redemption_analytics.tables.now import oldest_of


def at(code: str | None, name: str | None) -> Item:
    return {"redeemed_store": {"code": code, "name": name}}


def placed(key: str, time: str | None, code: str | None, name: str | None) -> Item:
    return redemption(key, 10, time) | at(code, name)


def test_the_newest_name_counts_wherever_it_is_told() -> None:
    r = load(
        [placed("a", "2026-01-01", "n", "Zeta"), placed("b", "2026-01-02", "n", "Alpha")],
        [coupon(1, "2026-01-03") | at("n", None), coupon(2, "2026-01-01") | at("n", "Older")],
    )
    assert table(codes.stores(r)) == [("n", "Alpha", "2026-01-01", "2026-01-03")]
    assert names_of(r, "store_code") == {"n": "Alpha"}


def test_of_two_names_at_one_moment_the_last_by_the_alphabet_counts() -> None:
    seen = [placed("a", "2026-01-01", "n", "North"), placed("b", "2026-01-01", "n", "Nord")]
    for points in (seen, seen[::-1]):
        assert table(codes.stores(load(points)), "store_name") == [("North",)]


def test_a_name_without_a_time_is_older_than_any_with_one() -> None:
    r = load([placed("a", None, "n", "Zeta"), placed("b", "2026-01-01", "n", "Alpha")])
    assert table(codes.stores(r)) == [("n", "Alpha", "2026-01-01", "2026-01-01")]
    assert table(codes.stores(load([placed("a", None, "n", "Zeta")]))) == [
        ("n", "Zeta", None, None)
    ]


def test_what_has_no_code_is_no_store_and_a_code_without_a_name_has_none() -> None:
    r = load([placed("a", "2026-01-01", None, "North"), placed("b", "2026-01-01", "n", None)])
    assert table(codes.stores(r)) == [("n", None, "2026-01-01", "2026-01-01")]


def test_a_time_after_its_export_is_a_mistake_and_not_when_something_was_last_seen() -> None:
    r = load(
        [placed("a", "2062-01-01", "n", "Future"), placed("b", "2026-01-01", "n", "North")],
        exported_at="2026-02-01",
    )
    assert table(codes.stores(r)) == [("n", "North", "2026-01-01", "2026-01-01")]


def test_a_store_that_only_awards_is_a_store() -> None:
    source = {"code": "s", "name": "South"}
    batch = {"source_store": source, "points_consumed": 9, "awarding_date": "2025-06-01 00:00:00"}
    r = load([redemption("a", 9, redemption_breakup_by_source=[batch])])
    assert table(codes.stores(r)) == [
        ("north", None, "2026-01-10", "2026-01-10"),
        ("s", "South", "2025-06-01", "2025-06-01"),
    ]


def test_a_program_is_seen_in_redemptions_their_shares_and_reversals() -> None:
    r = load(
        [
            redemption("a", 10, "2026-01-01", [reversal(1, 4, "2026-02-01", {3: 4})], program=1),
            redemption("b", 10, "2026-01-05", program=1, shares={2: 10}),
            redemption("c", 10, "2026-01-06", program=None),
        ]
    )
    assert table(codes.programs(r), "program_id", "first_seen", "last_seen") == [
        (1, "2026-01-01", "2026-01-05"),
        (2, "2026-01-05", "2026-01-05"),
        (3, "2026-02-01", "2026-02-01"),
    ]


def test_where_nothing_is_there_are_no_codes() -> None:
    for of in (codes.programs, codes.stores, codes.tills):
        found = of(load())
        assert len(found) == 0
        assert [str(kind) for kind in found.dtypes[2:]] == ["datetime64[us]"] * 2


def test_names_and_times_are_what_loops_find(tmp_path: Any) -> None:
    r = ra.load(write_sample(tmp_path, customers=150, exports=2, seed=9))
    points, coupons = r.points.to_dict("records"), r.coupons.to_dict("records")
    home = {row["redemption_key"]: row for row in points}
    back = {row["reversal_id"]: row for row in r.reversals.to_dict("records")}
    shares = r.program_breakups.to_dict("records")
    returned = r.reversal_breakups.to_dict("records")
    batches = r.source_breakups.to_dict("records")
    told = {
        codes.programs: [
            *((row["program_id"], None, row["redeemed_time"]) for row in points),
            *((s["program_id"], s["program_name"], home[s["redemption_key"]]["redeemed_time"])
              for s in shares),
            *((s["program_id"], s["program_name"], back[s["reversal_id"]]["reversal_time"])
              for s in returned),
        ],
        codes.stores: [
            *((row["store_code"], row["store_name"], row["redeemed_time"])
              for row in [*points, *coupons]),
            *((b["source_store_code"], b["source_store_name"], b["awarding_date"])
              for b in batches),
        ],
        codes.tills: [
            (row["till_code"], row["till_name"], row["redeemed_time"])
            for row in [*points, *coupons]
        ],
    }  # fmt: skip
    for of, rows in told.items():
        expected: dict[Any, list[Any]] = {}
        for code, name, time in rows:
            if pd.isna(code):
                continue
            names, times = expected.setdefault(code, [[], []])
            moment = datetime.min if pd.isna(time) else time.to_pydatetime()
            if not pd.isna(name):
                names.append((moment, name))
            if not pd.isna(time):
                times.append(moment)
        found = {row[0]: row[1:] for row in of(r).itertuples(index=False, name=None)}
        assert list(found) == sorted(expected)
        assert len(found) >= 4
        for code, (names, times) in expected.items():
            name, first, last = found[code]
            assert name == max(names)[1]
            assert (first, last) == (min(times), max(times))


def test_in_flows_two_stores_of_one_name_stay_two() -> None:
    def batch(code: str) -> Item:
        return {"source_store": {"code": code, "name": "Main"}, "points_consumed": 5}

    seen = [
        redemption("a", 5, redemption_breakup_by_source=[batch("s1")]) | at("s1", "Main"),
        redemption("b", 5, redemption_breakup_by_source=[batch("s2")]) | at("s2", "Main"),
    ]
    r = load(seen)
    flows = table(ra.source_flows(r), "source_store_code", "store_code")
    assert flows == [("s1", "s1"), ("s2", "s2")]
    now = datetime(2026, 2, 1)
    about = reported(oldest_of(r.tables), "month", now)
    tables = {
        f"{name}.parquet": as_arrow(found()) for name, found in contents(r, r, about, None).items()
    }
    (pages,) = (
        [shown.table.html for shown in section.tables]
        for section in sections(r, tables, about, now)
        if section.name == "flows"
    )
    for page in pages:
        assert [page.count(f"Main (s{n})") for n in (1, 2)] == [2, 2]
    assert pages
