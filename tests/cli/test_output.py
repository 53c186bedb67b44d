"""What commands print: text, one JSON object, nothing, or what they do; and their help."""

from __future__ import annotations

import json
import logging
import os
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

import redemption_analytics as ra
from redemption_analytics.cli import app

SAMPLES = Path(__file__).parents[2] / "data_samples"
BAD = SAMPLES / "broken" / "bad-elements.jsonl"
GOOD = SAMPLES / "2020-breakups.json"
COMMANDS = ["convert", "ingest", "history", "vacuum", "forget", "report", "audit", "sample"]

pytestmark = pytest.mark.usefixtures("reports_of_one_table")


def run(*args: object, **options: Any) -> tuple[int, str, str]:
    result = CliRunner().invoke(app, [str(arg) for arg in args], **options)
    return result.exit_code, result.stdout, result.stderr


def arguments(command: str, target: Path) -> list[object]:
    return {"audit": [], "convert": [target], "report": [target, "--no-page"]}[command]


@pytest.mark.parametrize("command", ["audit", "convert", "report"])
def test_json_is_one_object_with_the_numbers_of_the_library(command: str, tmp_path: Path) -> None:
    code, out, err = run(command, BAD, *arguments(command, tmp_path / "out"), "--json")
    assert code == 0
    assert err.startswith("7 rejected: ")
    said = json.loads(out)
    r = ra.load(BAD)
    assert (said["version"], said["status"], said["failures"]) == (ra.__version__, 0, [])
    assert said["rejected"] == len(r.rejects)
    assert said["ledger"] == r.ledger.to_dict("records")
    assert sum(one["count"] for one in said["reasons"]) == len(r.rejects)
    assert said["passed_over"] == []
    if command == "convert":
        assert said["directory"] == str(tmp_path / "out")
    else:
        audit = ra.audit(r)
        assert [one["count"] for one in said["audit"]] == audit["count"].tolist()
    if command == "report":
        assert set(said["files"]) == {path.name for path in (tmp_path / "out").iterdir()}
        assert said["as_of"] == r.now.isoformat()
        (total,) = ra.reversal_rates(r).to_dict("records")
        assert said["reversal_rates"].items() <= total.items()


def test_json_of_an_ingest_is_about_what_is_new(tmp_path: Path) -> None:
    lake = tmp_path / "lake"
    assert json.loads(run("ingest", GOOD, lake, "--json")[1])["failures"] == []
    code, out, err = run("ingest", GOOD, BAD, lake, "--json", "--max-rejected", "5")
    said = json.loads(out)
    assert (code, said["status"]) == (1, 1)
    assert said["failures"] == ["7 rejected, more than 5"]
    assert err.startswith(f"7 rejected: redemption-analytics audit {lake} --cases DIR")
    ledger = ra.load(BAD).ledger[["element", "seen", "rejected"]]
    assert said["ledger"] == ledger.to_dict("records")
    assert (said["directory"], said["warehouse_version"]) == (str(lake), 2)
    assert (said["read"], said["known"]) == (1, 1)
    assert said["changes"]["points"] == {"added": 3, "changed": 0, "removed": 0}
    again = json.loads(run("ingest", GOOD, BAD, lake, "--json", "--strict")[1])
    assert (again["status"], again["rejected"], again["read"]) == (0, 0, 0)
    assert not any(one["seen"] for one in again["ledger"])


@pytest.mark.parametrize("command", ["audit", "convert", "report"])
def test_a_gate_that_fails_is_in_the_object(command: str, tmp_path: Path) -> None:
    target = arguments(command, tmp_path / "out")
    code, out, _ = run(command, BAD, *target, "--json", "--fail-on", "rejected")
    said = json.loads(out)
    assert (code, said["status"], said["failures"]) == (1, 1, ["rejected (error): 7"])


def test_what_json_cannot_hold_is_null_and_what_cannot_be_seen_is_escaped(tmp_path: Path) -> None:
    (tmp_path / "evil\u202e.json").write_bytes(b'{"response": {"status": {"success": false}}}')
    code, out, _ = run("report", tmp_path, tmp_path / "out", "--no-page", "--allow-empty", "--json")
    assert code == 0
    assert json.loads(out, parse_constant=pytest.fail)["reversal_rates"] == {
        "redemptions": 0,
        "reversed_redemptions": 0,
        "redemption_reversal_rate": None,
        "points_reversal_rate": None,
    }
    assert out.isascii()


def test_an_error_is_on_standard_error_and_no_object_is_printed() -> None:
    code, out, err = run("audit", "nowhere.json", "--json")
    assert (code, out) == (2, "")
    assert "nowhere.json does not exist" in err


@pytest.mark.parametrize("command", ["audit", "convert", "report"])
def test_quiet_leaves_only_what_is_wrong(command: str, tmp_path: Path) -> None:
    target = arguments(command, tmp_path / "a")
    assert run(command, GOOD, *target, "--quiet") == (0, "", "")
    code, out, err = run(command, BAD, *arguments(command, tmp_path / "b"), "-q", "--strict")
    assert (code, out) == (1, "")
    assert "7 rejected" in err


def test_quiet_of_a_converted_directory_is_no_option_of_loading(tmp_path: Path) -> None:
    ra.convert(GOOD, tmp_path / "out")
    assert run("audit", tmp_path / "out", "--quiet", "--no-progress") == (0, "", "")


STAGES = {
    "audit": ["files found", "answers read", "merged"],
    "convert": ["files found", "answers read", "merged", "tables are in their place"],
    "report": ["files found", "answers read", "merged", "computed", "report is in its place"],
}


@pytest.mark.parametrize("command", STAGES)
def test_verbose_logs_a_line_for_each_stage(command: str, tmp_path: Path) -> None:
    target = arguments(command, tmp_path / "a")
    code, out, err = run(command, GOOD, *target, "--verbose")
    assert code == 0
    lines = err.splitlines()
    assert len(lines) == len(STAGES[command])
    assert all(stage in line for stage, line in zip(STAGES[command], lines, strict=True))
    assert all(re.match(r"\d{4}-\d\d-\d\d \d\d:\d\d:\d\d", line) for line in lines)
    assert (out, "") == run(command, GOOD, *arguments(command, tmp_path / "a"), *(
        ["--overwrite"] if command == "convert" else []
    ))[1:]  # fmt: skip
    assert logging.getLogger("redemption_analytics").handlers == []


def test_what_is_logged_names_nobody(tmp_path: Path) -> None:
    from redemption_analytics.sample import write_sample

    write_sample(tmp_path / "exports", customers=20, exports=1)
    _, _, err = run("audit", tmp_path / "exports", "--pii", "drop", "-v")
    assert err
    assert not re.search(r"4477|@|mobile|exports", err)


def test_the_version_is_that_of_the_library() -> None:
    assert run("--version") == (0, f"redemption-analytics {ra.__version__}\n", "")


@pytest.mark.parametrize("command", [None, *COMMANDS])
def test_help_fits_80_columns_with_options_whole_and_defaults_shown(command: str | None) -> None:
    args = [command] if command else []
    code, out, _ = run(*args, "--help", env={"COLUMNS": "80"}, terminal_width=80)
    assert code == 0
    assert max(map(len, out.splitlines())) <= 80
    assert not re.search(r"--[a-z-]*…|╭|\\\[", out)
    if command == "report":
        for option in ("--keep-custom-field", "--max-record-bytes", "REDEMPTION_ANALYTICS_PII_KEY"):
            assert option in out
        shown = " ".join(out.split())
        for default in ("month", "when the newest export was made", "64 MiB", "on a terminal"):
            assert f"[default: {default}]" in shown


@pytest.mark.parametrize("shell", ["bash", "zsh", "fish"])
def test_shells_complete_commands(shell: str) -> None:
    name = "redemption-analytics"
    words = {"COMP_WORDS": f"{name} au", "COMP_CWORD": "1"}
    others = {"_TYPER_COMPLETE_ARGS": f"{name} au", "_TYPER_COMPLETE_FISH_ACTION": "get-args"}
    done = subprocess.run(
        [Path(sys.executable).with_name(name)],
        capture_output=True,
        text=True,
        check=False,
        env=os.environ | words | others | {"_REDEMPTION_ANALYTICS_COMPLETE": f"complete_{shell}"},
    )
    assert "audit" in done.stdout
    assert "convert" not in done.stdout


def test_a_bar_goes_through_the_second_half_of_a_report_and_through_a_sample(
    tmp_path: Path,
) -> None:
    def err(*args: object) -> str:
        return run(*args)[2]

    assert "reporting: 100%" in err("report", GOOD, tmp_path / "a", "--no-page", "--progress")
    ra.convert(GOOD, tmp_path / "tables")
    opened = err("report", tmp_path / "tables", tmp_path / "a", "--no-page", "--progress")
    assert "reporting: 100%" in opened
    sample = ("sample", tmp_path / "s", "--customers", 20, "--exports", 1)
    assert "writing: 100%" in err(*sample, "--progress")
    assert err(*sample) == ""
