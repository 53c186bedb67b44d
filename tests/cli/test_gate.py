"""Gates: what ends a command with status 1 after its work is done, for schedules."""

from __future__ import annotations

import json
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
from everyday import first_everyday
from hypothesis import given
from hypothesis import strategies as st
from payloads import answers, redemption, reversal
from typer.testing import CliRunner

import redemption_analytics as ra
from redemption_analytics.audits import CHECKS
from redemption_analytics.cli import app
from redemption_analytics.cli.gate import Gate

SAMPLES = Path(__file__).parents[2] / "data_samples"
BAD = SAMPLES / "broken" / "bad-elements.jsonl"
TRUNCATED = SAMPLES / "2025-stores.json"
GOOD = SAMPLES / "2025-sources.json"


def run(*args: object) -> tuple[int, str, str]:
    result = CliRunner().invoke(app, [str(arg) for arg in args])
    return result.exit_code, result.stdout, result.stderr


def row(element: str, seen: int, rejected: int) -> dict[str, Any]:
    return {"element": element, "seen": seen, "rejected": rejected}


def found(check: str, severity: str, count: int) -> dict[str, Any]:
    return {"check": check, "severity": severity, "count": count}


AUDIT = [
    found("truncated_points", "error", 3),
    found("split_customers", "warning", 2),
    found("unknown_fields", "info", 36),
    found("over_reversed", "error", 0),
]


@pytest.mark.parametrize(
    ("fail_on", "failing"),
    [
        (None, []),
        ("error", ["truncated_points"]),
        ("warning", ["truncated_points", "split_customers"]),
        ("over_reversed", []),
        ("unknown_fields", ["unknown_fields"]),
        ("unknown_fields, split_customers", ["split_customers", "unknown_fields"]),
        ("unknown_fields,error", ["truncated_points", "unknown_fields"]),
    ],
)
def test_a_gate_forbids_what_it_names_and_what_is_as_bad(
    fail_on: str | None, failing: list[str]
) -> None:
    failures = Gate.of(False, fail_on, None).failures([], AUDIT)
    assert [failure.split()[0] for failure in failures] == failing


@pytest.mark.parametrize(
    ("most", "failing"),
    [
        ("0.1%", []),
        ("0.09%", ["points"]),
        ("0%", ["points"]),
        ("100%", []),
        ("1", []),
        ("0", ["1"]),
    ],
)
def test_how_much_may_be_rejected_is_a_share_of_each_kind_or_a_number_of_all(
    most: str, failing: list[str]
) -> None:
    ledger = [row("points", 1000, 1), row("coupons", 0, 0)]
    failures = Gate.of(False, None, most).failures(ledger)
    assert [f.split()[3] if "%" in most else f.split()[0] for f in failures] == failing


def test_many_elements_of_one_kind_hide_no_rejects_of_another() -> None:
    ledger = [row("responses", 10, 1), row("custom_fields", 1_000_000, 0)]
    assert Gate.of(False, None, "1%").failures(ledger) == [
        "1 of 10 responses rejected, more than 1%"
    ]


@given(st.integers(0, 10**6), st.integers(1, 10**6), st.decimals(0, 100, places=3))
def test_a_share_is_compared_exactly(rejected: int, seen: int, percent: Decimal) -> None:
    ledger = [row("points", seen, rejected)]
    failures = Gate.of(False, None, f"{percent}%").failures(ledger)
    assert bool(failures) == (Decimal(rejected) * 100 > percent * seen)


@pytest.mark.parametrize(
    ("flag", "value", "said"),
    [
        ("--fail-on", "eror", "'eror' is none. Did you mean 'error'?"),
        ("--fail-on", "truncated_point", "Did you mean 'truncated_points'?"),
        ("--fail-on", ",", "--fail-on takes error, warning, or checks"),
        ("--max-rejected", "a few", "a share as 0.1% or a whole number of elements, not 'a few'"),
        ("--max-rejected", "0.5", "a whole number of elements, not '0.5'"),
        ("--max-rejected", "101%", "not '101%'"),
        ("--max-rejected", "-1", "not '-1'"),
    ],
)
def test_a_gate_that_means_nothing_is_refused_before_anything_is_read(
    flag: str, value: str, said: str
) -> None:
    code, out, err = run("audit", "nowhere", f"{flag}={value}")
    assert (code, out) == (2, "")
    assert said in err


@pytest.mark.usefixtures("reports_of_one_table")
@pytest.mark.parametrize("command", first_everyday(["audit", "convert", "report"], 2))
def test_a_gate_ends_each_command_with_1_after_its_work(command: str, tmp_path: Path) -> None:
    def tried(source: Path, *flags: str) -> tuple[int, str]:
        target: list[Any] = [tmp_path / f"out{len(list(tmp_path.iterdir()))}"]
        more = {"audit": [], "convert": target, "report": [*target, "--no-page"]}[command]
        code, out, err = run(command, source, *more, *flags)
        assert (command == "audit") or next(more[0].iterdir())
        assert out
        return code, err

    assert tried(TRUNCATED) == (0, "")
    assert tried(TRUNCATED, "--fail-on", "error") == (1, "failed: truncated_points (error): 1\n")
    assert tried(TRUNCATED, "--fail-on", "over_reversed") == (0, "")
    code, err = tried(BAD, "--max-rejected", "50%")
    assert code == 1
    assert "failed: 4 of 7 points rejected, more than 50%" in err
    assert tried(BAD, "--max-rejected", "99%")[0] == 0
    assert "failed: 7 rejected\n" in tried(BAD, "--strict")[1]
    assert tried(GOOD, "--strict", "--fail-on", "warning", "--max-rejected", "0")[0] == 0


def test_a_gate_of_an_ingest_is_about_what_is_new(tmp_path: Path) -> None:
    lake = tmp_path / "lake"
    gates = ("--strict", "--max-rejected", "50%", "--fail-on", "error")

    def tried(*sources: Path) -> tuple[int, list[str]]:
        code, _, err = run("ingest", *sources, lake, *gates)
        return code, [line for line in err.splitlines() if line.startswith("failed: ")]

    assert tried(TRUNCATED) == (1, ["failed: truncated_points (error): 1"])
    assert tried(TRUNCATED) == (0, [])
    assert tried(TRUNCATED, GOOD) == (0, [])
    code, failed = tried(GOOD, BAD)
    assert (code, failed) == (
        1,
        [
            "failed: 7 rejected",
            "failed: 4 of 7 points rejected, more than 50%",
            "failed: truncated_points (error): 1",
            "failed: rejected (error): 7",
        ],
    )
    assert tried(GOOD, BAD) == (0, [])


def test_an_old_case_that_is_told_again_is_new_where_the_new_export_has_it(tmp_path: Path) -> None:
    def night(day: int, *points: Any) -> Path:
        path = tmp_path / f"2026-03-0{day}.json"
        path.write_text(json.dumps(answers(points)))
        return path

    def failed(*sources: Path, fail_on: str) -> str:
        return run("ingest", *sources, tmp_path / "lake", "--fail-on", fail_on)[2]

    over = redemption("a", 10, back=[reversal(1, 11)])
    both = "over_reversed,truncated_points"
    assert failed(night(1, over), fail_on=both) == "failed: over_reversed (error): 1\n"
    assert failed(night(2, over), fail_on=both) == ""
    # As many as before, and another one.
    mended = redemption("a", 12, back=[reversal(1, 11)])
    other = redemption("b", 10, back=[reversal(2, 11)])
    assert failed(night(3, mended, other), fail_on=both) == "failed: over_reversed (error): 1\n"
    # It is another reversal, and so more that is wrong with an old one.
    more = redemption("b", 10, back=[reversal(3, 1)])
    assert failed(night(4, more), fail_on=both) == "failed: over_reversed (error): 1\n"
    for day in (5, 6):
        path = night(day, redemption("c", 10))
        (answer,) = json.loads(path.read_text())
        answer["response"]["customer"]["points_count"] = 9
        path.write_text(json.dumps(answer))
        assert failed(path, fail_on=both) == "failed: truncated_points (error): 1\n"


def test_the_checks_that_a_gate_knows_are_those_of_the_audit() -> None:
    assert list(CHECKS) == ra.audit(ra.Redemptions())["check"].tolist()
