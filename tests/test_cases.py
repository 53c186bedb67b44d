"""Inputs from the field that once gave wrong numbers, or lost facts without a word."""

from datetime import datetime
from pathlib import Path
from typing import Any

import narwhals as nw
import pandas as pd
import pytest
from typer.testing import CliRunner

import redemption_analytics as ra
from redemption_analytics.cli import app

CASES = Path(__file__).parent / "cases"
ENGINES = ["pandas", "duckdb", "polars", "pyarrow"]


def loaded(case: str, **options: Any) -> ra.Redemptions:
    return ra.load(CASES / case, **options)


def found(r: ra.Redemptions) -> dict[str, int]:
    """What the audit found, by check."""
    audit = ra.audit(r)
    return {row.check: row.count for row in audit[["check", "count"]].itertuples() if row[2]}


def by_program(r: ra.Redemptions) -> dict[Any, int]:
    # Points that came back of no known program are in the null program.
    rows = ra.net_points(r, by="program_id").dropna(subset="program_id")
    return dict(zip(rows["program_id"], rows["points_redeemed"], strict=True))


def redeemers(r: ra.Redemptions) -> int:
    return int(ra.kpis(r)["redeemers"][0])


def test_one_wrong_year_is_never_now_and_is_an_error() -> None:
    r = loaded("01-one-wrong-year")
    assert r.now == datetime(2026, 10, 5)
    audit = ra.audit(r).set_index("check").loc["times_after_export"]
    assert (audit["severity"], audit["count"]) == ("error", 1)
    assert "future" in audit["example"]
    without = ra.Redemptions(
        **{name: table for name, table in r.tables.items() if name != "points"},
        points=r.points[r.points["redemption_key"] != "future"].reset_index(drop=True),
        findings=r.findings,
    )
    for ask in (
        lambda r: ra.reversal_rates(r, within="30D"),
        ra.reversal_rates,
        ra.reversal_curve,
        ra.expected_reversals,
    ):
        pd.testing.assert_frame_equal(ask(r), ask(without))


def test_an_answer_asked_with_less_erases_nothing() -> None:
    r = loaded("02-asked-with-less")
    assert by_program(r) == {501: 50, 777: 40}
    assert len(ra.source_flows(r)) == len(r.custom_fields) == len(r.reversals) == 1


def test_a_program_that_comes_in_a_later_edition_is_of_the_same_redemption() -> None:
    assert by_program(loaded("03-program-comes-later")) == {501: 80}


def test_a_bill_that_comes_later_is_of_the_same_redemption() -> None:
    r = loaded("04-bill-comes-later")
    assert r.points["points_redeemed"].tolist() == [80]
    assert r.points["transaction_number"].tolist() == ["bill-9"]


def test_two_redemptions_alike_with_different_ids_are_two() -> None:
    r = loaded("05-two-alike")
    assert r.points["points_redeemed"].tolist() == [25, 25]
    assert "truncated_points" not in found(r)


@pytest.mark.parametrize("folder", ["batch-ids", "folders", "hive", "underscores"])
def test_the_date_in_the_path_tells_which_is_newer(folder: str) -> None:
    r = loaded(f"06-dates-in-paths/{folder}")
    assert r.points["notes"].tolist() == ["newer"]
    assert set(r.responses["exported_at"]) == {datetime(2026, 3, 1), datetime(2026, 3, 8)}


def test_every_file_is_read_or_told_of() -> None:
    r = loaded("07-passed-over")
    assert r.points["points_redeemed"].sort_values().tolist() == [10, 30, 30, 30]
    status = {Path(row.source).name: row.status for row in r.files.itertuples()}
    assert status["2026-03-05.jsonl"] == status[".2026-03-06.jsonl"] == "passed over"
    assert status["notes.txt"] == "passed over"
    assert found(r)["passed_over_files"] == 2
    counts = r.ledger.set_index("element").loc["files"]
    assert counts["seen"] == counts[["loaded", "merged", "rejected", "passed_over"]].sum()
    assert counts["seen"] == len(r.files)


def test_a_customer_who_gains_an_identity_is_one() -> None:
    r = loaded("08-customer-gains-identity")
    assert r.points["points_redeemed"].sum() == 35
    assert redeemers(r) == 1
    assert not {"truncated_points", "conflicting_customer"} & found(r).keys()


def test_a_customer_who_gains_an_identity_in_an_old_edition_is_one() -> None:
    r = loaded("09-old-edition-gains-identity")
    assert r.points["points_redeemed"].sum() == 70
    assert redeemers(r) == 1


@pytest.mark.parametrize("engine", ENGINES)
def test_large_points_do_not_overflow(engine: Any, tmp_path: Path) -> None:
    ra.convert(CASES / "10-large-points", tmp_path / "converted")
    flows = nw.from_native(ra.source_flows(ra.open(tmp_path / "converted", engine=engine)))
    rows = (flows.collect() if isinstance(flows, nw.LazyFrame) else flows).to_arrow().to_pylist()
    assert [row["mean_age_days"] for row in rows] == [1826.0]


def test_of_a_reversal_in_two_redemptions_no_point_vanishes() -> None:
    r = loaded("11-reversal-id-twice")
    refused = r.rejects["reason"].str.contains("reversal").sum()
    assert r.reversals["points_reversed"].sum() == 7 or refused == 1
    assert found(r)["conflicting_reversal"] == 1


def test_a_typed_answer_takes_part_in_the_check_of_truncation() -> None:
    audit = ra.audit(loaded("12-typed-answer")).set_index("check").loc["truncated_points"]
    assert audit["count"] == 1
    assert audit["example"].endswith("12 said, 1 here")
    assert "unknown_fields" not in found(loaded("12-typed-answer"))


def test_a_key_that_stands_twice_is_refused_with_its_place() -> None:
    # Nothing else is in the file, so that a load of it alone finds no answer.
    r = loaded("13-key-twice", on_error="quarantine")
    assert r.points["points_redeemed"].sum() == 40 or (
        len(r.rejects) == 1 and r.rejects["line"].tolist() == [1]
    )


def test_offsets_of_every_form_become_wall_clock_time() -> None:
    r = loaded("14-offsets", timezone="Asia/Kolkata")
    assert r.points["redeemed_time"].dt.strftime("%d %H:%M").tolist() == [
        f"03 {time}" for time in ("17:30", "12:30", "12:00", "10:30", "17:30", "12:00")
    ]


def test_zstandard_with_skippable_frames_is_read() -> None:
    assert loaded("15-pzstd").points["points_redeemed"].tolist() == [30]


def test_files_removed_from_a_delta_table_do_not_come_back() -> None:
    pytest.importorskip("deltalake")
    assert loaded("16-delta-directory").points["points_redeemed"].tolist() == [10]


def test_control_characters_stop_no_report(tmp_path: Path) -> None:
    done = CliRunner().invoke(
        app, ["report", str(CASES / "17-control-characters"), str(tmp_path / "report")]
    )
    assert done.exit_code == 0
    page = (tmp_path / "report" / "report.html").read_text(encoding="utf-8")
    assert not {"\u2028", "\u202e", "\x0b"} & set(page)
    assert r"\u202e" in page


def test_zero_dates_are_no_times() -> None:
    r = loaded("18-zero-dates")
    assert r.points["redeemed_time"].isna().tolist() == [True] * 4
    assert found(r)["epoch_times"] == 1


def test_what_is_encoded_twice_is_read() -> None:
    assert loaded("19-double-encoded").points["points_redeemed"].tolist() == [10]


def test_rubbish_before_an_answer_is_rejected_by_itself() -> None:
    r = loaded("20-leading-rubbish")
    assert r.points["points_redeemed"].tolist() == [10]
    assert len(r.rejects) >= 1
    assert r.rejects["line"].notna().all()
