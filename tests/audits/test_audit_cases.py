"""All cases of what the audit finds: as many as it counts, with where each stands."""

from __future__ import annotations

import csv
import io
from collections import Counter
from pathlib import Path
from typing import Any

import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from answers import export
from engines import IN_MEMORY, OPENED, of_every_kind, write_exports
from hypothesis import given
from hypothesis import strategies as st
from payloads import answers, coupon, load, redemption, reversal, table

import redemption_analytics as ra
from redemption_analytics.audits import CHECKS
from redemption_analytics.audits.writing import write_cases
from redemption_analytics.tables.frames import as_arrow
from redemption_analytics.tables.separated import csv_of

COLUMNS = ["check", "severity", "element", "key", "source", "record", "line", "what", "count"]
FOUND = ["element", "key", "source", "record", "what"]


def told(day: int, *points: Any, coupons: Any = ()) -> io.BytesIO:
    return export(f"2026-03-0{day}", *answers(points, coupons))


def cases(r: ra.Redemptions, check: str) -> list[tuple[Any, ...]]:
    return table(ra.audit_cases(r, check), *FOUND)


def test_a_case_names_its_row_its_answer_and_what_is_wrong() -> None:
    r = load(
        [
            redemption("a", 10, back=[reversal(7, 6, "2026-01-09"), reversal(8, 5)]),
            redemption("b", 5, shares={1: 4}, customer="eve"),
        ],
        [coupon(3, customer="eve", discount_type="BOGO")],
    )
    assert cases(r, "over_reversed") == [("points", "a", "payloads", 1, "10 redeemed, 11 reversed")]
    assert cases(r, "reversed_before_redeemed") == [
        ("reversals", "7", "payloads", 1, "reversed 2026-01-09 00:00, redeemed 2026-01-10 00:00")
    ]
    assert cases(r, "breakup_mismatch") == [("points", "b", "payloads", 2, "4 in parts, 5 in all")]
    assert cases(r, "unknown_discount_type") == [("coupons", "3", "payloads", 2, "BOGO")]


def test_a_row_stands_in_the_newest_answer_with_any_of_its_customers() -> None:
    wrong = redemption("a", 10, back=[reversal(7, 11)])
    later = told(2, redemption("b", 1), coupons=[coupon(1, discount_type="X")])
    r = ra.load([told(1, wrong), later, told(3, coupons=[coupon(2)])])
    assert cases(r, "over_reversed")[0][2:4] == ("2026-03-02.jsonl", 1)
    assert cases(r, "unknown_discount_type")[0][2:4] == ("2026-03-03.jsonl", 1)


def test_of_nobody_and_of_tables_alone_the_place_is_not_known() -> None:
    wrong = redemption("a", 10, back=[reversal(7, 11)], customer=None)  # type: ignore[arg-type]
    for r in (
        load([wrong]),
        ra.Redemptions(points=load([wrong]).points, reversals=load([wrong]).reversals),
    ):
        assert cases(r, "over_reversed") == [
            ("points", as_arrow(r.points)["redemption_key"][0].as_py(), None, None,
             "10 redeemed, 11 reversed")
        ]  # fmt: skip


def test_what_was_rejected_stands_on_its_line(tmp_path: Path) -> None:
    (tmp_path / "a.jsonl").write_text('{}\n\n{"response": 5}\n')
    r = ra.load(tmp_path, allow_empty=True)
    found = ra.audit_cases(r, "rejected")
    assert table(found, "record", "line") == [(1, 1), (2, 3)]
    assert found["source"].str.endswith("a.jsonl").all()
    assert found["what"].tolist() == [
        f"{reject.path}: {reject.reason}" for reject in r.rejects.itertuples()
    ]


def test_what_merging_saw_is_listed_one_by_one() -> None:
    r = ra.load(
        [
            told(1, *(redemption(key, 10, back=[reversal(n, 1)]) for n, key in enumerate("abc"))),
            told(2, redemption("a", 9), redemption("b", 8, back=[reversal(9, 1)])),
        ]
    )
    assert cases(r, "restated") == [
        ("points", "a", "2026-03-02.jsonl", 1, "redemption a: 10, then 9"),
        ("points", "b", "2026-03-02.jsonl", 1, "redemption b: 10, then 8"),
    ]
    assert cases(r, "vanished_reversals") == [
        ("reversals", "1", "2026-03-02.jsonl", 1, "in an earlier export, and in the newest no more")
    ]


def test_split_customers_are_named_by_answers_also_where_the_tables_have_no_identities(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("REDEMPTION_ANALYTICS_PII_KEY", "sixteen or more bytes")
    seen = [
        {"response": {"status": {"success": True}, "customer": {"user_id": n, "email": "a@b.c"}}}
        for n in ("1", "2")
    ]
    ((element, key, *_, what),) = cases(ra.load(seen), "split_customers")
    assert (element, key) == ("responses", "payloads#1/1")
    assert what == "the email of its customer stands under another, too"
    hidden = ra.load(seen, pii="pseudonymize")
    ((element, key, *_),) = cases(hidden, "split_customers")
    assert element == "customers"
    assert key in set(hidden.customers["customer_key"])


def test_a_bundle_with_findings_and_no_cases_lists_what_was_counted() -> None:
    r = ra.load([told(1, redemption("a", 10)), told(2, redemption("a", 9))])
    alone = ra.Redemptions(**r.tables, findings=r.findings)
    (row,) = table(ra.audit_cases(alone, "restated"), "key", "count", "what")
    assert row == (None, 1, "redemption a: 10, then 9; 1 points moved in all")


def test_no_case_names_a_person() -> None:
    found = ra.audit_cases(ra.load("data_samples"))
    texts = found[["element", "key", "what"]].dropna().agg(" ".join, axis=1)
    assert not texts.str.contains("mobile:|email:|EXT-|example.com|4477", regex=True).any()


@pytest.fixture(scope="module")
def bundles(tmp_path_factory: pytest.TempPathFactory) -> dict[str, ra.Redemptions]:
    exports, converted = (tmp_path_factory.mktemp(name) for name in ("exports", "converted"))
    write_exports(exports)
    # A second history of some, with other points and without their reversals.
    (exports / "2026-11-29.jsonl").write_bytes(
        told(1, *(redemption(f"odd-{n}", n, store="odd") for n in range(1, 5))).getvalue()
    )
    return of_every_kind(exports, converted, "int")


def test_there_are_as_many_cases_as_the_audit_counts(bundles: dict[str, ra.Redemptions]) -> None:
    for name in ("pandas", "open pandas"):
        r = bundles[name]
        counts = ra.audit_cases(r).groupby("check")["count"].sum().to_dict()
        audit = ra.audit(r)
        audit = audit[audit["count"] > 0]
        assert counts == dict(zip(audit["check"], audit["count"], strict=True))
        assert len(counts) >= 12


@pytest.mark.parametrize(
    "kind",
    [
        *(
            pytest.param(kind, marks=() if kind == "duckdb" else pytest.mark.slow)
            for kind in IN_MEMORY
        ),
        *(pytest.param(f"open {engine}", marks=pytest.mark.slow) for engine in OPENED),
    ],
)
def test_cases_are_the_same_on_every_engine(bundles: dict[str, ra.Redemptions], kind: str) -> None:
    ours, theirs = ra.audit_cases(bundles[kind]), ra.audit_cases(bundles["pandas"])
    if kind != "polars lazy":
        assert type(ours) is type(bundles[kind].points)
    assert as_arrow(ours).to_pylist() == as_arrow(theirs).to_pylist()
    assert as_arrow(ours).column_names == COLUMNS


def test_without_cases_the_columns_and_types_are_the_same() -> None:
    none, some = ra.audit_cases(ra.Redemptions()), ra.audit_cases(ra.load("data_samples/broken"))
    assert (len(none), list(none.columns)) == (0, COLUMNS)
    assert none.dtypes.astype(str).to_dict() == some.dtypes.astype(str).to_dict()
    assert str(some.dtypes["record"]) == "Int64"


def test_a_check_that_there_is_not_is_refused() -> None:
    r = ra.Redemptions()
    with pytest.raises(ra.UsageError, match=r"no check 'truncated'.*Did you mean 'truncated_"):
        ra.audit_cases(r, "truncated")
    for wrong in (5, []):
        with pytest.raises(ra.UsageError, match="check is the name of a check"):
            ra.audit_cases(r, wrong)  # type: ignore[arg-type]
    both = ra.audit_cases(ra.load("data_samples/broken"), ["rejected", "truncated_points"])
    assert list(dict.fromkeys(both["check"])) == ["truncated_points", "rejected"]
    assert ra.audit_cases(load([redemption("a", 1)]), as_of="2999-01-01")["check"].tolist() == [
        CHECKS[-1]
    ]


def test_cases_are_kept_by_convert_by_to_parquet_and_by_a_warehouse(tmp_path: Path) -> None:
    exports = tmp_path / "exports"
    exports.mkdir()
    for day, points in ((1, 10), (2, 9)):
        (exports / f"2026-03-0{day}.jsonl").write_bytes(
            told(day, redemption("a", points), redemption("b", points)).getvalue()
        )
    r = ra.load(exports)
    ra.convert(exports, tmp_path / "converted")
    r.to_parquet(tmp_path / "again")
    lake = ra.Warehouse(tmp_path / "lake")
    for day in (1, 2):
        lake.ingest(exports / f"2026-03-0{day}.jsonl")
    expected = ra.audit_cases(r)
    assert Counter(expected["check"])["restated"] == 2
    for other in (
        ra.open(tmp_path / "converted"),
        ra.open(tmp_path / "again"),
        lake.open(),
        lake.open(as_known_on="2026-03-02"),
    ):
        found = ra.audit_cases(other)
        pd.testing.assert_frame_equal(
            found[found["check"] == "restated"].reset_index(drop=True),
            expected[expected["check"] == "restated"].reset_index(drop=True),
        )


def test_all_cases_are_written_in_one_step_as_csv_and_parquet(tmp_path: Path) -> None:
    r = ra.load("data_samples")
    for _ in range(2):  # replaced by the second
        files = write_cases(r, tmp_path / "cases")
        assert sorted(files) == sorted((tmp_path / "cases").iterdir())
    for name, frame in (("cases", ra.audit_cases(r)), ("rejects", r.rejects.drop(columns="raw"))):
        parquet = pq.read_table(tmp_path / "cases" / f"{name}.parquet")
        assert parquet.to_pylist() == as_arrow(frame).to_pylist()
        text = (tmp_path / "cases" / f"{name}.csv").read_bytes()
        assert text.startswith(b"\xef\xbb\xbf")
        rows = list(csv.reader(io.StringIO(text.decode("utf-8-sig"), newline="")))
        assert rows[0] == list(frame.columns)
        assert len(rows) - 1 == len(frame) > 5
    (tmp_path / "other").mkdir()
    (tmp_path / "other" / "cases.csv").touch()
    with pytest.raises(ra.UsageError, match="holds something else"):
        write_cases(r, tmp_path / "other")


@given(
    st.lists(st.one_of(st.none(), st.text(max_size=8), st.sampled_from(["=1", "@a", "\t-", "'="])))
)
def test_no_field_of_a_csv_is_a_formula_and_none_is_lost(texts: list[str | None]) -> None:
    texts = [text and text.encode("utf-8", "ignore").decode() for text in texts]
    data = csv_of(pa.table({"n": range(len(texts)), "text": pa.array(texts, pa.string())}))
    _, *rows = csv.reader(io.StringIO(data.decode("utf-8-sig"), newline=""))
    assert [row[0] for row in rows] == [str(n) for n in range(len(texts))]
    for (_, shown), text in zip(rows, texts, strict=True):
        assert not shown.startswith(("=", "+", "-", "@", "\t", "\r"))
        if text and text.isprintable():
            assert shown in (text, f"'{text}")
