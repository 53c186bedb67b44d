"""The command line: the same verbs as the library, exit codes, and nothing lost on the way."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pandas as pd
import pytest
from typer.testing import CliRunner

import redemption_analytics as ra
from redemption_analytics.cli import app
from redemption_analytics.reports import extra
from redemption_analytics.sample import write_sample

SAMPLES = Path(__file__).parents[2] / "data_samples"
BAD = str(SAMPLES / "broken" / "bad-elements.jsonl")
GOOD = str(SAMPLES / "2020-breakups.json")


def run(*args: object, **options: str) -> tuple[int, str, str]:
    result = CliRunner().invoke(app, [str(arg) for arg in args], **options)
    return result.exit_code, result.stdout, result.stderr


def test_convert_writes_what_load_gives(tmp_path: Path) -> None:
    code, out, err = run("convert", SAMPLES, tmp_path / "out")
    assert (code, err) == (0, f"8 rejected: see {tmp_path / 'out' / 'rejects'}\n")
    loaded, opened = ra.load(SAMPLES), ra.open(tmp_path / "out")
    assert {path.name for path in (tmp_path / "out").iterdir()} == {
        *loaded.tables,
        "ledger",
        "findings",
        "cases",
    }
    for name, frame in loaded.tables.items():
        pd.testing.assert_frame_equal(frame, opened.tables[name])
    pd.testing.assert_frame_equal(loaded.ledger, opened.ledger)
    assert f"written to {tmp_path / 'out'}" in out


@pytest.mark.usefixtures("reports_of_one_table")  # all others: see test_reports
@pytest.mark.parametrize("command", ["report", "audit"])
def test_a_converted_directory_is_as_good_as_the_exports(tmp_path: Path, command: str) -> None:
    exports = tmp_path / "exports"
    write_sample(exports, customers=50, exports=2, seed=3)
    ra.convert(exports, tmp_path / "converted")
    targets: list[list[Any]] = [[], []]
    if command == "report":
        targets = [[tmp_path / name, "--no-page"] for name in ("a", "b")]
    _, from_exports, _ = run(command, exports, *targets[0])
    _, from_parquet, _ = run(command, tmp_path / "converted", *targets[1])
    assert from_parquet == from_exports.replace(str(tmp_path / "a"), str(tmp_path / "b"))
    for written in (tmp_path / "a").glob("*.parquet"):
        pd.testing.assert_frame_equal(
            pd.read_parquet(written), pd.read_parquet(tmp_path / "b" / written.name)
        )


def test_options_of_loading_are_refused_for_a_converted_directory(tmp_path: Path) -> None:
    ra.convert(GOOD, tmp_path / "converted")
    code, _, err = run("audit", tmp_path / "converted", "--pii", "drop", "--points", "decimal")
    assert code == 2
    assert "is converted already, too late for --points, --pii" in err


def test_report_writes_every_cut_and_sums_up(tmp_path: Path) -> None:
    exports = tmp_path / "exports"
    write_sample(exports, customers=50, exports=2, seed=3)
    target = tmp_path / "report"
    code, out, _ = run("report", exports, target, "--period", "year")
    assert code == 0
    assert "31 files written" in out
    assert len(list(target.iterdir())) == 31
    assert f"to read: {target / 'report.html'}" in out
    by_till = pd.read_parquet(target / "net_points_by_till.parquet")
    assert list(by_till.columns[:2]) == ["till_code", "year"]
    total = ra.net_points(ra.load(exports)).iloc[0]
    assert by_till["net_points"].sum() == total["net_points"]
    assert "merged_duplicates" in out


@pytest.mark.usefixtures("reports_of_one_table")
def test_report_without_a_page_says_so_only_where_it_was_not_asked_for(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    code, out, err = run("report", GOOD, tmp_path / "report", "--no-page")
    assert (code, "to read" in out, err) == (0, False, "")
    monkeypatch.setattr(extra, "find_spec", lambda name: None)
    code, out, err = run("report", GOOD, tmp_path / "report")
    assert (code, "2 files written" in out) == (0, True)
    assert 'left out: pip install "redemption-analytics[report]" adds it' in err
    assert run("report", GOOD, tmp_path / "report", "--page")[0] == 2


@pytest.mark.usefixtures("reports_of_one_table")
def test_report_as_of_shows_the_figures_of_that_moment(tmp_path: Path) -> None:
    code, out, _ = run(
        "report", SAMPLES / "organisation", tmp_path, "--as-of", "2020-12-31", "--no-page"
    )
    assert code == 0
    known = ra.load(SAMPLES / "organisation").filter(as_of="2020-12-31")
    total = int(ra.net_points(known, by="program_id")["points_redeemed"][0])
    assert f"{total:,}" in out
    by_month = pd.read_parquet(tmp_path / "net_points.parquet")
    assert by_month["month"].max() <= pd.Timestamp("2020-12-01")


@pytest.mark.usefixtures("reports_of_one_table")
def test_a_report_replaces_a_report_and_nothing_else(tmp_path: Path) -> None:
    for _ in range(2):
        assert run("report", GOOD, tmp_path / "report", "--no-page")[0] == 0
    (tmp_path / "photos").mkdir()
    (tmp_path / "photos" / "cat.png").touch()
    code, _, err = run("report", GOOD, tmp_path / "photos")
    assert (code, "holds something else" in err) == (2, True)
    assert (tmp_path / "photos" / "cat.png").exists()


def test_convert_replaces_only_when_told_and_only_its_own(tmp_path: Path) -> None:
    assert run("convert", GOOD, tmp_path / "out")[0] == 0
    code, _, err = run("convert", GOOD, tmp_path / "out")
    assert (code, "--overwrite" in err) == (2, True)
    assert run("convert", BAD, tmp_path / "out", "--overwrite")[0] == 0
    assert len(ra.open(tmp_path / "out").points) == 3
    assert [path.name for path in tmp_path.iterdir()] == ["out"]


@pytest.mark.usefixtures("reports_of_one_table")
@pytest.mark.parametrize("command", ["convert", "report", "audit"])
def test_exit_status_1_says_done_with_rejects_under_strict(tmp_path: Path, command: str) -> None:
    def status(source: str, *options: str) -> int:
        target: list[Any] = []
        if command != "audit":
            target.append(tmp_path / str(len(list(tmp_path.iterdir()))))
        if command == "report":
            target.append("--no-page")
        return run(command, source, *target, *options)[0]

    assert status(BAD) == 0
    assert status(BAD, "--strict") == 1
    assert status(GOOD, "--strict") == 0


@pytest.mark.parametrize(
    ("args", "said"),
    [
        (["audit", "nowhere.json"], "nowhere.json does not exist"),
        (["audit", BAD, "--fail-fast"], "line 1, $.response.customer.redemptions.points.point[1]"),
        (["audit", GOOD, "--timezone", "Middle-earth"], "analytics: --timezone is an IANA name"),
        (["audit", GOOD, "--exported-at", "soon"], "analytics: --exported-at is a time"),
        (["audit", GOOD, "--pii", "pseudonymize"], "REDEMPTION_ANALYTICS_PII_KEY"),
        (["report", GOOD, "report", "--as-of", "soon"], "analytics: --as-of is a moment"),
        (["report", GOOD, "report", "--period", "decade"], "'--period': 'decade' is not one of"),
        (["audit", GOOD, "--customer-key", "x"], "'--customer-key': 'x' is not one of"),
        (["audit", GOOD, "--pii", "pseudonymize"], "analytics: --pii pseudonymize needs a key"),
        (["convert", GOOD], "Missing argument 'DIR'"),
        (["convert", "--threads", "1", GOOD], "Missing argument 'DIR'"),
        (["report", GOOD, "--page"], "Missing argument 'DIR'"),
        (["report"], "Missing argument 'SOURCE'"),
        (["audit"], "Missing argument"),
        (["ingest"], "Missing argument 'SOURCE'"),
        (["ingest", GOOD], "Missing argument 'WAREHOUSE'"),
        (["history", "nowhere"], "nowhere is no warehouse, or holds nothing yet"),
        (["vacuum", "nowhere"], "nowhere is no warehouse, or holds nothing yet"),
        (["harvest"], "No such command"),
    ],
)
def test_exit_status_2_says_wrong_usage_or_unreadable_input(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, args: list[str], said: str
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("REDEMPTION_ANALYTICS_PII_KEY", raising=False)
    code, _, err = run(*args)
    assert code == 2
    assert said in " ".join(err.split())
    assert "Traceback" not in err
    assert not list(tmp_path.iterdir())


def test_messages_speak_of_flags(tmp_path: Path) -> None:
    assert run("convert", GOOD, tmp_path / "out")[0] == 0
    (tmp_path / "failed.json").write_bytes(FAILED)
    for args, said in (
        (["convert", GOOD, tmp_path / "out"], "or replace it with --overwrite"),
        (
            ["convert", tmp_path / "failed.json", tmp_path / "new"],
            ": --allow-empty goes on without",
        ),
        (["report", tmp_path / "failed.json", tmp_path / "new"], "--allow-empty writes it all the"),
        (["audit", GOOD, "--max-record-bytes", "9"], "load with --max-record-bytes "),
        (["audit", BAD], "12.5 is no whole number of points: load with --points decimal to keep"),
        (["convert", tmp_path / "out", tmp_path / "new"], "give it to the commands report and"),
    ):
        _, out, err = run(*args)
        assert said in out + err
        assert "=" not in out + err


def test_an_audit_says_why_elements_were_rejected_and_where_all_of_them_are(
    tmp_path: Path,
) -> None:
    def answer(*points: Any) -> str:
        items = [{"redemption_id": f"a{n}", "points_redeemed": p} for n, p in enumerate(points)]
        customer = {"mobile": "1", "redemptions": {"points": {"point": items}}}
        return json.dumps({"response": {"status": {"success": True}, "customer": customer}})

    text = "\n".join((answer(1, "ten", "it's"), answer("ten", -5, 2), "no JSON", answer(-7)))
    (tmp_path / "a.jsonl").write_text(text)
    path = "$.response.customer.redemptions.points.point"
    shown = [
        "rejected:",
        f"      3  'ten' is no number (for example a.jsonl, line 1, {path}[1].points_redeemed)",
        f"      2  -5 is negative (for example a.jsonl, line 2, {path}[1].points_redeemed)",
        "      1  not valid JSON: Expecting value (column 1) (a.jsonl, line 3, $)",
    ]
    code, out, err = run("audit", tmp_path / "a.jsonl")
    assert code == 0
    assert out.replace(f"{tmp_path}/", "").splitlines()[-4:] == shown
    assert err == (
        "6 rejected: --cases DIR lists all of them, and all cases of what the audit found\n"
    )
    code, again, err = run("audit", tmp_path / "a.jsonl", "--cases", tmp_path / "cases")
    assert (code, err) == (0, f"6 rejected: see {tmp_path / 'cases' / 'rejects.csv'}\n")
    assert again == f"{out}\nall cases written to {tmp_path / 'cases'}\n"
    for name, count in (("rejects", 6), ("cases", 6 + 2)):
        assert len(pd.read_parquet(tmp_path / "cases" / f"{name}.parquet")) == count
    _, _, err = run("convert", tmp_path / "a.jsonl", tmp_path / "out")
    assert err == f"6 rejected: see {tmp_path / 'out' / 'rejects'}\n"
    _, again, err = run("audit", tmp_path / "out")
    assert (again, err) == (out, f"6 rejected: see {tmp_path / 'out' / 'rejects'}\n")
    assert len(pd.read_parquet(tmp_path / "out" / "rejects")) == 6


def test_of_many_reasons_for_rejects_the_most_frequent_are_shown(tmp_path: Path) -> None:
    fields = [name for n, name in enumerate("abcdefghijkl", 1) for _ in range(n)]
    bad = [{"response": {"status": {"success": True}, "customer": {name: 1}}} for name in fields]
    (tmp_path / "a.jsonl").write_text("\n".join(map(json.dumps, bad)))
    _, out, _ = run("audit", tmp_path / "a.jsonl")
    shown = out[out.index("rejected:") :].splitlines()[1:]
    assert [int(line.split()[0]) for line in shown] == [12, 11, 10, 9, 8, 7, 6, 5, 10]
    assert shown[-1].endswith("for 4 other reasons")


def test_how_examples_name_answers_is_explained_where_they_do(tmp_path: Path) -> None:
    (tmp_path / "failed.json").write_bytes(FAILED)
    _, out, _ = run("audit", tmp_path / "failed.json")
    assert out.splitlines()[-2].endswith(f"{tmp_path / 'failed.json'}#1/1")
    assert out.splitlines()[-1] == "FILE#456/1 is the 456th answer in FILE, its 1st customer"
    assert "FILE#" not in run("audit", SAMPLES / "2025-sources.json")[1]


def test_standard_input_is_a_source() -> None:
    code, out, _ = run("audit", "-", input=Path(GOOD).read_text())
    assert code == 0
    assert "truncated_points" in out


def test_several_sources_are_one_load() -> None:
    _, out, _ = run("audit", GOOD, SAMPLES / "2025-stores.json")
    assert out.splitlines()[1].split() == ["files", "2", "2", "0", "0", "0"]


@pytest.mark.parametrize("command", [[], ["convert"], ["report"], ["audit"], ["sample"]])
def test_help_is_complete(command: list[str]) -> None:
    code, out, _ = run(*command, "--help")
    assert code == 0
    expected = {
        (): ["convert", "report", "audit", "sample", "Exit status"],
        ("sample",): ["--customers", "--exports", "--seed", "--damage"],
    }.get(tuple(command), ["SOURCE", "--points", "--pii", "--strict", "--timezone", "--fail-fast"])
    assert not [word for word in expected if word not in out]


@pytest.mark.slow
def test_sample_writes_the_committed_organisation(tmp_path: Path) -> None:
    import gzip

    def content(path: Path) -> bytes:
        data = path.read_bytes()
        return gzip.decompress(data) if path.suffix == ".gz" else data

    code, _, _ = run(
        "sample", tmp_path / "o", "--customers", "2000", "--exports", "3", "--seed", "0"
    )
    assert code == 0
    written = {p.relative_to(tmp_path / "o") for p in (tmp_path / "o").rglob("*.*")}
    committed = {
        p.relative_to(SAMPLES / "organisation") for p in (SAMPLES / "organisation").rglob("*.*")
    }
    assert written == committed
    for path in written:
        assert content(tmp_path / "o" / path) == content(SAMPLES / "organisation" / path), path


def test_there_is_no_progress_bar_in_a_pipe_and_one_where_it_is_asked_for() -> None:
    def err(*options: str) -> str:
        return subprocess.run(
            [sys.executable, "-m", "redemption_analytics", "audit", GOOD, *options],
            capture_output=True,
            text=True,
            check=True,
            env=os.environ,
        ).stderr

    assert err() == ""
    assert "loading" in err("--progress")


FAILED = b'{"response": {"status": {"success": false, "code": 500}}}\n'
NOTHING = {
    "failed answers only": {"a.json": FAILED},
    "rejects only": {"a.json": b'{"message": "Timeout"}\n', "b.json": b"<html>"},
    "refused files only": {"a.json": b"<html></html>", "b.json.gz": b"\x1f\x8b"},
    "passed over only": {".a.json": FAILED, "README.md": b"# Exports"},
}


@pytest.mark.usefixtures("reports_of_one_table")
@pytest.mark.parametrize("command", ["convert", "report"])
@pytest.mark.parametrize("kind", NOTHING)
def test_an_export_of_which_nothing_can_be_used_is_an_error_unless_meant(
    command: str, kind: str, tmp_path: Path
) -> None:
    (tmp_path / "exports").mkdir()
    for name, data in NOTHING[kind].items():
        (tmp_path / "exports" / name).write_bytes(data)
    more = ["--overwrite"] if command == "convert" else ["--no-page"]
    target = tmp_path / "out"
    assert run(command, GOOD, target, *more)[0] == 0
    before = {path: path.read_bytes() for path in target.rglob("*.parquet")}
    code, _, err = run(command, tmp_path / "exports", target, *more)
    assert (code, err.count("\n")) == (2, 1)
    assert {path: path.read_bytes() for path in target.rglob("*.parquet")} == before
    code, _, _ = run(command, tmp_path / "exports", target, *more, "--allow-empty")
    assert code == 0
    assert {path: path.read_bytes() for path in target.rglob("*.parquet")} != before


def test_failed_answers_can_be_looked_at(tmp_path: Path) -> None:
    (tmp_path / "a.json").write_bytes(FAILED)
    assert len(ra.load(tmp_path).responses) == 1
    assert run("audit", tmp_path)[0] == 0
    with pytest.raises(ra.SourceError, match="can be used"):
        ra.write_reports(ra.load(tmp_path), tmp_path / "report")


@pytest.mark.usefixtures("reports_of_one_table")
@pytest.mark.parametrize("command", ["convert", "report", "audit"])
def test_what_this_library_wrote_is_no_export(command: str, tmp_path: Path) -> None:
    ra.convert(GOOD, tmp_path / "in" / "converted")
    ra.write_reports(ra.load(GOOD), tmp_path / "in" / "report", page=False)
    out = [] if command == "audit" else [tmp_path / "out"]
    code, _, err = run(command, tmp_path / "in" / "report", *out)
    assert (code, "holds a report, and no export" in err) == (2, True)
    if command == "convert":
        code, _, err = run(command, tmp_path / "in" / "converted", *out)
        assert (code, "was converted already" in err) == (2, True)
    code, _, err = run(command, tmp_path / "in", *out)
    assert (code, "passed over" in err) == (2, True)
    assert not (tmp_path / "out").exists()


def test_forget_takes_who_it_is_from_standard_input(tmp_path: Path) -> None:
    pytest.importorskip("obstore")
    lake = str(tmp_path / "lake")
    assert run("ingest", GOOD, lake)[0] == 0
    (key,) = ra.Warehouse(lake).open().customers["customer_key"]
    by, _, identity = key.partition(":")
    code, out, err = run("forget", lake, "--by", by, input=f"{identity}\n")
    assert (code, err) == (0, "")
    assert out.startswith("version 2: 1 answer forgotten; points 2 removed; ")
    assert out.endswith(f"redemption-analytics vacuum {lake} --keep 1 --grace 0s\n")
    code, out, err = run("forget", lake, "--by", by, input=identity)
    assert (code, out) == (2, "")
    assert f"holds nobody with this {by}" in err
    assert identity not in err
    assert run("vacuum", lake, "--keep", 1, "--grace", "0s")[1].startswith("1 versions and ")
    assert run("forget", lake, "--by", "name", input="Ada")[0] == 2
