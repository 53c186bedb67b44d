"""Reports: whole, the same again, of what was known at a moment, and nothing else replaced."""

from __future__ import annotations

import hashlib
import json
import sys
from datetime import datetime
from pathlib import Path
from typing import Any

import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from engines import in_polars
from payloads import answers, coupon, load, redemption, reversal

import redemption_analytics as ra
from redemption_analytics.reports import extra
from redemption_analytics.sample import write_sample
from redemption_analytics.tables.frames import as_arrow

POSTED = {"points_reversed": "points_reversed_posted", "net_points": "net_points_posted"}


def october(r: ra.Redemptions) -> ra.Redemptions:
    """Choose the redemptions of the period that the report is about."""
    return r.filter(since="2026-10", until="2026-10")


def compared(r: ra.Redemptions) -> pd.DataFrame:
    """Compare October with September, and with that of the year before, at one age."""
    now = r.now
    assert now is not None
    rates = ra.reversal_rates(october(r))
    parts = []
    for month in ("2026-09", "2025-10"):
        start = datetime.fromisoformat(f"{month}-01")
        then = now - (datetime(2026, 10, 1) - start)
        before = ra.reversal_rates(r.filter(since=month, until=month), as_of=then)
        parts.append(ra.compare_rates(before, rates).assign(compared_with=start))
    found = pd.concat(parts, ignore_index=True)
    return found[["compared_with", *found.columns.drop("compared_with")]]


FILES = {
    "net_points": lambda r: ra.net_points(r, "month"),
    "reversal_rates": lambda r: ra.reversal_rates(r, "month"),
    "net_points_by_program": lambda r: ra.net_points(r, ["program_id", "month"]),
    "reversal_rates_by_program": lambda r: ra.reversal_rates(r, ["program_id", "month"]),
    "net_points_by_store": lambda r: ra.net_points(r, ["store_code", "month"]),
    "reversal_rates_by_store": lambda r: ra.reversal_rates(r, ["store_code", "month"]),
    "net_points_by_till": lambda r: ra.net_points(r, ["till_code", "month"]),
    "reversal_rates_by_till": lambda r: ra.reversal_rates(r, ["till_code", "month"]),
    "reversal_rates_settled_by_program": lambda r: ra.reversal_rates(r, "program_id", "30D"),
    "net_points_posted": lambda r: ra.net_points(r, "month", "event").rename(columns=POSTED),
    "reconciliation": lambda r: ra.reconciliation(r, "month"),
    "kpis": lambda r: ra.kpis(r, "month"),
    "coupon_summary": lambda r: ra.coupon_summary(r, "month"),
    "coupon_performance": lambda r: ra.coupon_performance(r, "month"),
    "reversal_curve": lambda r: ra.reversal_curve(r),
    "expected_reversals": lambda r: ra.expected_reversals(r),
    "reversal_curve_by_program": lambda r: ra.reversal_curve(r, "program_id"),
    "expected_reversals_by_program": lambda r: ra.expected_reversals(r, "program_id"),
    "reversal_outliers": lambda r: ra.reversal_outliers(r),
    "source_flows": lambda r: ra.source_flows(r),
    "reversal_rates_compared": lambda r: compared(r),
    "reversal_outliers_of_period": lambda r: ra.reversal_outliers(october(r), as_of=r.now),
    "source_flows_of_period": lambda r: ra.source_flows(october(r)),
    "programs": lambda r: ra.programs(r),
    "stores": lambda r: ra.stores(r),
    "tills": lambda r: ra.tills(r),
    "audit": lambda r: ra.audit(r),
    "ledger": lambda r: r.ledger,
    "rejects": lambda r: r.rejects.drop(columns="raw"),
}


@pytest.fixture(scope="module")
def exports(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Exports of a small organisation."""
    directory = tmp_path_factory.mktemp("organisation") / "exports"
    write_sample(directory, customers=60, exports=2, damage=0.02)
    return directory


@pytest.fixture(scope="module")
def organisation(exports: Path) -> ra.Redemptions:
    return ra.load(exports)


@pytest.fixture(scope="module")
def report(organisation: ra.Redemptions, tmp_path_factory: pytest.TempPathFactory) -> Path:
    directory = tmp_path_factory.mktemp("report")
    ra.write_reports(organisation, directory)
    return directory


def written(directory: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in directory.iterdir()}


def plain(table: pa.Table) -> pa.Table:
    """Give texts the one type that Parquet files have for them."""
    fields = [f.with_type(pa.string()) if f.type == pa.large_string() else f for f in table.schema]
    return table.cast(pa.schema(fields))


@pytest.mark.parametrize("name", FILES)
def test_each_file_holds_its_metric(organisation: ra.Redemptions, report: Path, name: str) -> None:
    expected = plain(as_arrow(FILES[name](organisation)).replace_schema_metadata())
    assert pq.read_table(report / f"{name}.parquet").equals(expected)


def test_a_report_holds_these_files_and_no_other(report: Path) -> None:
    expected = {f"{name}.parquet" for name in FILES} | {"manifest.json", "report.html"}
    assert {path.name for path in report.iterdir()} == expected


@pytest.mark.usefixtures("reports_of_one_table", "page_of_words")
def test_the_paths_given_back_are_the_files_in_the_directory(tmp_path: Path) -> None:
    r = load([redemption("a", 5)])
    for page in (True, False):
        files = ra.write_reports(r, tmp_path / "report", page=page)
        assert sorted(files) == sorted((tmp_path / "report").iterdir())


def test_the_same_input_gives_the_same_bytes(exports: Path, report: Path, tmp_path: Path) -> None:
    again = tmp_path / "again"
    ra.write_reports(ra.load(exports), again)
    assert written(again) == written(report)


@pytest.fixture(scope="module")
def converted(exports: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    directory = tmp_path_factory.mktemp("converted")
    ra.convert(exports, directory)
    return directory


#: How often each engine writes: those on several threads might give other bytes each time.
TIMES = {"pandas": 1, "duckdb": 2, "polars": 2, "pyarrow": 1}


@pytest.mark.parametrize(
    "engine",
    [pytest.param(name, marks=() if name == "duckdb" else pytest.mark.slow) for name in TIMES],
)
def test_from_a_converted_directory_the_numbers_are_the_same(
    converted: Path, report: Path, tmp_path: Path, engine: Any
) -> None:
    directories = [tmp_path / str(number) for number in range(TIMES[engine])]
    for directory in directories:
        ra.write_reports(ra.open(converted, engine), directory, page=False)
        assert written(directory) == written(directories[0])
    for name in FILES:
        ours = pd.read_parquet(directories[0] / f"{name}.parquet")
        theirs = pd.read_parquet(report / f"{name}.parquet")
        pd.testing.assert_frame_equal(ours, theirs, check_dtype=False, rtol=1e-12)


EARLY = [
    redemption("a", 100, "2026-01-05", [reversal(1, 30, "2026-01-07")]),
    redemption("b", 50, "2026-01-31 23:59:59"),
    redemption("c", 7, None),
]
LATE = [
    redemption("a", 100, "2026-01-05", [reversal(1, 30, "2026-01-07"), reversal(2, 20)]),
    redemption("d", 40, "2026-02-01 00:00:01", [reversal(3, 40, "2026-02-02")]),
]


def test_as_of_writes_the_report_of_an_earlier_day_again(tmp_path: Path) -> None:
    exports = tmp_path / "exports"
    exports.mkdir()
    first = exports / "2026-02-01.json"
    first.write_text(json.dumps(answers(EARLY, [coupon(1, "2026-01-09")])))
    early = in_polars(ra.load(first))
    ra.write_reports(early, tmp_path / "then", as_of="2026-02-01T00:00", page=False)
    (exports / "2026-03-01.json").write_text(
        json.dumps(answers(LATE, [coupon(1, "2026-01-09"), coupon(2, "2026-02-09")]))
    )
    # The second reversal of "a" happened before February: no export of then had told of it.
    late = [row for row in LATE[0]["reversals"] if row["reversal_id"] == 2]
    late[0]["reversal_time"] = "2026-02-20 00:00:00"
    (exports / "2026-03-01.json").write_text(json.dumps(answers(LATE, [coupon(2, "2026-02-09")])))
    late_too = in_polars(ra.load(exports))
    ra.write_reports(late_too, tmp_path / "now", as_of="2026-02-01T00:00", page=False)
    then, now = written(tmp_path / "then"), written(tmp_path / "now")
    # The audit, the ledger and the manifest tell of what was read.
    about_reading = {"audit.parquet", "ledger.parquet", "rejects.parquet", "manifest.json"}
    assert {name for name in then if then[name] != now[name]} <= about_reading
    # Without as_of it would be another one.
    assert len(ra.net_points(ra.load(exports), "month")) > len(
        pd.read_parquet(tmp_path / "now" / "net_points.parquet")
    )


def test_without_as_of_the_newest_time_in_the_data_is_the_moment(tmp_path: Path) -> None:
    r = in_polars(load([redemption("a", 5, "2026-01-10")], [coupon(1, "2026-03-04 05:06:07")]))
    ra.write_reports(r, tmp_path / "one", page=False)
    said = json.loads((tmp_path / "one" / "manifest.json").read_text())
    assert said["as_of"] == "2026-03-04T05:06:07"
    ra.write_reports(r, tmp_path / "two", as_of=said["as_of"], page=False)
    assert written(tmp_path / "one") == written(tmp_path / "two")


def test_the_manifest_tells_what_was_read_and_what_was_written(
    organisation: ra.Redemptions, report: Path
) -> None:
    said = json.loads((report / "manifest.json").read_text())
    assert (said["generator"], said["version"]) == ("redemption_analytics", ra.__version__)
    assert organisation.now is not None
    assert (said["period"], said["as_of"]) == ("month", organisation.now.isoformat())
    assert said["ledger"] == organisation.ledger.to_dict("records")
    assert said["tables"] == {name: len(table) for name, table in organisation.tables.items()}
    assert len(said["read"]) > 2
    assert {row["source"] for row in said["read"]} > set(organisation.responses["source"])
    assert sum(row["responses"] for row in said["read"]) == len(organisation.responses)
    digests = dict(organisation.files[["source", "digest"]].itertuples(index=False))
    assert {row["source"]: row["sha256"] for row in said["read"]} == digests
    for name, told in said["files"].items():
        data = (report / name).read_bytes()
        assert told["sha256"] == hashlib.sha256(data).hexdigest()
        assert told["bytes"] == len(data)
        if name.endswith(".parquet"):
            assert told["rows"] == pq.read_metadata(report / name).num_rows
    assert {path.name for path in report.iterdir()} == {"manifest.json", *said["files"]}


@pytest.mark.usefixtures("reports_of_one_table")
def test_a_file_of_which_nothing_could_be_read_is_in_the_manifest(tmp_path: Path) -> None:
    (tmp_path / "good.json").write_text(json.dumps(answers([redemption("a", 5)])[0]))
    (tmp_path / "torn.json").write_text('{"response": {')
    ra.write_reports(ra.load(tmp_path), tmp_path / "report", page=False)
    said = json.loads((tmp_path / "report" / "manifest.json").read_text())
    assert [row["responses"] for row in said["read"]] == [1, 0]
    assert said["read"][1]["source"].endswith("torn.json")
    assert [row["sha256"] for row in said["read"]] == [
        hashlib.sha256((tmp_path / name).read_bytes()).hexdigest()
        for name in ("good.json", "torn.json")
    ]


def test_what_was_refused_is_named_by_its_place_and_not_passed_on(tmp_path: Path) -> None:
    r = load([redemption("a", 5), redemption("b", -1, notes="call 447009001")])
    ra.write_reports(in_polars(r), tmp_path / "report")
    rejects = pd.read_parquet(tmp_path / "report" / "rejects.parquet")
    assert rejects["reason"].tolist() == ["-1 is negative"]
    assert "447009001" in r.rejects["raw"][0]
    assert not [name for name, data in written(tmp_path / "report").items() if b"447009001" in data]


@pytest.mark.usefixtures("reports_of_one_table", "page_of_words")
def test_an_earlier_report_is_replaced_whole(tmp_path: Path) -> None:
    directory = tmp_path / "report"
    ra.write_reports(load([redemption("a", 5)]), directory, page=True)
    ra.write_reports(load([redemption("a", 7)]), directory, page=False)
    assert not (directory / "report.html").exists()
    assert pd.read_parquet(directory / "net_points.parquet")["points_redeemed"].tolist() == [7]


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("notes.txt", "mine"),
        ("manifest.json", "{}"),
        ("manifest.json", '{"generator": "a web page", "files": {}}'),
        ("manifest.json", "[1, 2]"),
        ("manifest.json", "no JSON"),
    ],
)
def test_any_other_directory_is_refused(tmp_path: Path, name: str, text: str) -> None:
    (tmp_path / name).write_text(text)
    with pytest.raises(ra.UsageError, match="holds something else"):
        ra.write_reports(load([redemption("a", 5)]), tmp_path, page=False)
    assert (tmp_path / name).read_text() == text


@pytest.mark.usefixtures("reports_of_one_table")
def test_a_file_that_people_put_beside_a_report_is_never_deleted(tmp_path: Path) -> None:
    directory = tmp_path / "report"
    ra.write_reports(load([redemption("a", 5)]), directory, page=False)
    (directory / "comment.docx").write_text("mine")
    with pytest.raises(ra.UsageError, match=r"comment\.docx is no part of what would be replaced"):
        ra.write_reports(load([redemption("a", 5)]), directory, page=False)
    assert (directory / "comment.docx").read_text() == "mine"


@pytest.mark.usefixtures("reports_of_one_table")
def test_where_the_extra_is_missing_the_page_is_left_out_or_the_error_names_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(extra, "find_spec", lambda name: None if name == "altair" else sys)
    r = load([redemption("a", 5)])
    names = {path.name for path in ra.write_reports(r, tmp_path / "report")}
    assert "report.html" not in names
    assert "manifest.json" in names
    with pytest.raises(ra.UsageError, match=r'needs altair: pip install "redemption-analytics\['):
        ra.write_reports(r, tmp_path / "report", page=True)


def test_wrong_arguments_are_told_before_anything_is_written(tmp_path: Path) -> None:
    r = load([redemption("a", 5)])
    with pytest.raises(ra.UsageError, match="period is one of day, week"):
        ra.write_reports(r, tmp_path / "report", period="fortnight")  # type: ignore[arg-type]
    with pytest.raises(ra.UsageError, match="as_of is a moment"):
        ra.write_reports(r, tmp_path / "report", as_of="soon")
    assert not (tmp_path / "report").exists()


def test_filter_as_of_leaves_out_what_happened_later() -> None:
    r = load(
        [
            redemption("a", 5, "2026-01-01", [reversal(1, 2, "2026-01-03"), reversal(2, 1, None)]),
            redemption("b", 7, "2026-01-03 00:00:01", [reversal(3, 7, "2026-01-04")]),
            redemption("c", 9, None, [reversal(4, 9, "2026-01-04")]),
        ],
        [coupon(1, "2026-01-03"), coupon(2, "2026-01-04"), coupon(3, None)],
    )
    known = r.filter(as_of="2026-01-03T00:00").validate()
    assert sorted(known.points["redemption_key"]) == ["a", "c"]
    assert sorted(known.reversals["reversal_id"]) == [1, 2]
    assert sorted(known.coupons["id"]) == [1, 3]
    assert r.filter(as_of="2026-01-02").reversals["reversal_id"].tolist() == [2]
