"""What docs/how-to shows to run on a schedule runs: under cron, in Airflow and in Dagster."""

from __future__ import annotations

import json
import os
import re
import runpy
import shutil
import subprocess
import sys
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import pandas as pd
import pytest
from payloads import answers, redemption
from requirements_of_ci import needed
from shown import ROOT, blocks

import redemption_analytics as ra

BIN = Path(sys.executable).parent
PAGES = ("cron.md", "airflow.md", "dagster.md")
#: The one block of each page that a schedule runs.
BLOCKS = [
    (block.language, block.text)
    for page in PAGES
    for block in blocks(ROOT / "docs" / "how-to" / page)
    if block.language in ("crontab", "py")
]
SAMPLES = ROOT / "data_samples"
GOOD = SAMPLES / "organisation"
BROKEN = SAMPLES / "broken"

INSTALL = 'pip install "redemption-analytics[schedules]"'


@dataclass
class Server:
    """The /srv/redemptions of the pages, in a directory of the test's own."""

    root: Path

    @property
    def report(self) -> Path:
        return self.root / "report"

    def receive(self, exports: Path) -> None:
        shutil.rmtree(self.root / "exports", ignore_errors=True)
        shutil.copytree(exports, self.root / "exports")

    def placed(self, text: str) -> str:
        assert "/srv/redemptions" in text
        text = text.replace("/srv/redemptions", str(self.root))
        return text.replace("/opt/redemptions/.venv/bin", str(BIN))

    def expected(self, **options: Any) -> dict[str, pd.DataFrame]:
        """Give the report on these exports, written in another way than the pages'."""
        ra.write_reports(
            ra.load(self.root / "exports"), self.root / "expected", "week", page=False, **options
        )
        return tables(self.root / "expected")


def tables(report: Path) -> dict[str, pd.DataFrame]:
    return {path.name: pd.read_parquet(path) for path in sorted(report.glob("*.parquet"))}


def assert_same(one: dict[str, pd.DataFrame], other: dict[str, pd.DataFrame]) -> None:
    assert list(one) == list(other)
    for name, frame in one.items():
        pd.testing.assert_frame_equal(frame, other[name], obj=name)


@pytest.fixture
def server(tmp_path: Path) -> Server:
    (tmp_path / "srv" / "log").mkdir(parents=True)
    return Server(tmp_path / "srv")


def test_there_is_one_schedule_for_each_of_three() -> None:
    assert [language for language, _ in BLOCKS] == ["crontab", "py", "py"]
    airflow, dagster = BLOCKS[1][1], BLOCKS[2][1]
    assert "from airflow.sdk import" in airflow
    assert "import dagster as dg" in dagster


# cron


@pytest.fixture
def flock() -> None:
    needed("flock", shutil.which("flock") is not None, "needs flock, of util-linux")


def crontab(text: str) -> tuple[dict[str, str], list[str], str]:
    """Read variables and the one entry: its five fields of time, and its command."""
    lines = [line for line in text.splitlines() if line.strip() and not line.startswith("#")]
    variables = dict(re.split(r"\s*=\s*", line, maxsplit=1) for line in lines[:-1])
    assert all(name.isidentifier() for name in variables)
    *when, command = lines[-1].split(maxsplit=5)
    # To cron, a percent sign ends the command and the rest is its input.
    assert not re.search(r"(?<!\\)%", command)
    return variables, when, command.replace(r"\%", "%")


def cron(server: Server, *, page: bool = False) -> str:
    """Do what cron does at the time of the entry, and give what it would mail.

    Drawing the page takes seconds of each run, and one test reads it.
    """
    variables, _, command = crontab(server.placed(BLOCKS[0][1]))
    assert " --period week " in command
    if not page:
        command = command.replace(" --period week ", " --period week --no-page ")
    home = server.root.parent
    environment = {"HOME": str(home), "PATH": "/usr/bin:/bin", "SHELL": "/bin/sh"} | variables
    done = subprocess.run(
        [environment["SHELL"], "-c", command],
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        cwd=home,
        env=environment,
        check=False,
        timeout=600,
    )
    return done.stdout


def logged(server: Server) -> str:
    (log,) = (server.root / "log").iterdir()
    assert re.fullmatch(r"\d{4}-\d\d-\d\d\.log", log.name)
    return log.read_text()


def test_cron_starts_it_on_mondays_at_two_and_knows_whom_to_mail() -> None:
    variables, when, _ = crontab(BLOCKS[0][1])
    assert when == ["0", "2", "*", "*", "1"]
    assert "@" in variables["MAILTO"]


@pytest.mark.slow
def test_cron_of_monday_the_16th_reports_the_week_of_the_9th_and_mails_nothing(
    server: Server, flock: None
) -> None:
    redemptions = [
        redemption("last-week", 40, "2026-11-10 10:00:00"),
        redemption("this-morning", 7, "2026-11-16 01:30:00"),
    ]
    (server.root / "exports").mkdir()
    (server.root / "exports" / "2026-11-16T02-00.json").write_text(json.dumps(answers(redemptions)))
    assert cron(server, page=True) == ""
    assert f"written to {server.report}" in logged(server)
    assert_same(tables(server.report), server.expected())
    page = (server.report / "report.html").read_text("utf-8")
    text = " ".join(re.sub(r"<[^>]+>", " ", page).split())
    assert "week of 9 November 2026" in text
    assert "Points redeemed 40" in text
    assert "week of 16 November 2026 is not over" in text


@pytest.fixture(scope="module")
def mailed(tmp_path_factory: pytest.TempPathFactory) -> tuple[Server, str]:
    """A server on which something was rejected, and what was mailed of it."""
    needed("flock", shutil.which("flock") is not None, "needs flock, of util-linux")
    server = Server(tmp_path_factory.mktemp("broken") / "srv")
    (server.root / "log").mkdir(parents=True)
    server.receive(BROKEN)
    return server, cron(server)


@pytest.mark.slow
def test_cron_writes_the_report_and_mails_when_something_was_rejected(
    mailed: tuple[Server, str],
) -> None:
    server, mail = mailed
    assert mail.startswith("redemption report: exit 1\n")
    assert f"8 rejected: redemption-analytics audit {server.root / 'lake'} --cases DIR" in mail
    assert len(tables(server.report)["rejects.parquet"]) == 8
    assert_same(tables(server.report), server.expected())


@pytest.mark.slow
def test_cron_mails_of_a_reject_once_and_not_after_its_file_is_mended(
    server: Server, flock: None
) -> None:
    (server.root / "exports").mkdir()
    export = server.root / "exports" / "2026-11-16T02-00.json"
    whole = json.dumps(answers([redemption("one", 40, "2026-11-10 10:00:00")]))
    export.write_text(f"{whole}\n{whole[:100]}")
    assert cron(server).startswith("redemption report: exit 1\n")
    assert cron(server) == ""
    export.write_text(whole)
    assert cron(server) == ""


def test_cron_mails_when_the_exports_cannot_be_used_and_the_last_report_stands(
    mailed: tuple[Server, str], tmp_path: Path
) -> None:
    server = Server(tmp_path / "srv")
    shutil.copytree(mailed[0].root, server.root)
    before = tables(server.report)
    shutil.rmtree(server.root / "exports")
    mail = cron(server)
    assert mail.startswith("redemption report: exit 2\n")
    assert f"{server.root / 'exports'} does not exist" in mail
    assert_same(tables(server.report), before)
    assert "8 rejected" in logged(server), "the log holds the first run of the day too"


def test_cron_lets_one_run_work_at_a_time(server: Server, flock: None) -> None:
    import fcntl

    with (server.root / "lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        assert cron(server).startswith("redemption report: exit 75\n")
    # No longer kept out, it comes to look for the exports.
    assert cron(server).startswith("redemption report: exit 2\n")


# Airflow


@pytest.fixture(scope="module")
def airflow_home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    needed("airflow", find_spec("airflow") is not None, f"needs Airflow: {INSTALL}")
    home = tmp_path_factory.mktemp("airflow")
    (home / "dags").mkdir()
    in_airflow(home, "-m", "airflow", "db", "migrate")
    return home


def in_airflow(home: Path, *arguments: str) -> str:
    ours = {name: value for name, value in os.environ.items() if not name.startswith("AIRFLOW")}
    done = subprocess.run(
        [sys.executable, *arguments],
        capture_output=True,
        text=True,
        check=False,
        timeout=600,
        env=ours
        | {
            "AIRFLOW_HOME": str(home),
            "AIRFLOW__CORE__LOAD_EXAMPLES": "False",
            "PYTHONPATH": str(home / "dags"),
        },
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def airflow_run(home: Path, server: Server, logical_date: str, failures: int = 0) -> Any:
    (home / "dags" / "redemption_report.py").write_text(server.placed(BLOCKS[1][1]))
    printed = in_airflow(home, str(ROOT / "tests" / "airflow_run.py"), logical_date, str(failures))
    return json.loads(printed.splitlines()[-1])


def test_airflow_reports_as_of_the_monday_at_two_that_ends_the_week(
    server: Server, airflow_home: Path
) -> None:
    server.receive(GOOD)
    run = airflow_run(airflow_home, server, "2026-11-18")
    assert run["tasks"] == {name: ["success", 1] for name in ("ingest", "report", "strict")}
    assert run["state"] == "success"
    # Two in Paris is one in UTC in winter.
    assert run["interval"] == ["2026-11-09 01:00:00+00:00", "2026-11-16 01:00:00+00:00"]
    assert run["catchup"] is False
    assert_same(tables(server.report), server.expected(as_of="2026-11-16T02:00"))
    name = "reversal_rates.parquet"
    assert not server.expected()[name].equals(tables(server.report)[name])


def test_airflow_tries_again_after_a_failure_that_may_pass_and_turns_red_on_rejects(
    server: Server, airflow_home: Path
) -> None:
    server.receive(BROKEN)
    run = airflow_run(airflow_home, server, "2026-08-05", failures=2)
    assert run["tasks"] == {
        "ingest": ["success", 1],
        "report": ["success", 3],
        "strict": ["failed", 1],
    }
    assert run["state"] == "failed"
    assert run["minutes_between_tries"] == 10
    # In summer it is midnight.
    assert run["interval"] == ["2026-07-27 00:00:00+00:00", "2026-08-03 00:00:00+00:00"]
    assert len(tables(server.report)["rejects.parquet"]) == 8


def test_airflow_does_not_try_again_when_the_exports_cannot_be_used(
    server: Server, airflow_home: Path
) -> None:
    (server.root / "exports").mkdir()
    run = airflow_run(airflow_home, server, "2026-10-14")
    assert run["tasks"] == {
        "ingest": ["failed", 1],
        "report": ["upstream_failed", 0],
        "strict": ["upstream_failed", 0],
    }
    assert run["state"] == "failed"
    assert not server.report.exists()


# Dagster


@pytest.fixture
def definitions(server: Server, tmp_path: Path) -> dict[str, Any]:
    found = find_spec("dagster") is not None and find_spec("dagster_pandera") is not None
    needed("dagster", found, f"needs Dagster: {INSTALL}")
    path = tmp_path / "definitions.py"
    path.write_text(server.placed(BLOCKS[2][1]))
    return runpy.run_path(str(path))


def weekly_run(definitions: dict[str, Any]) -> Any:
    """Run what the schedule runs."""
    repository = definitions["defs"].get_repository_def()
    job = repository.get_job(repository.get_schedule_def("weekly").job_name)
    return job.execute_in_process(raise_on_error=False)


def metadata(run: Any) -> dict[str, dict[str, Any]]:
    return {
        event.asset_key.to_user_string(): {
            name: entry.value for name, entry in event.materialization.metadata.items()
        }
        for event in run.get_asset_materialization_events()
    }


# Nothing else in Dagster says that it is unstable; nothing else is let through.
beta = pytest.mark.filterwarnings(
    "ignore:Function `pandera_schema_to_dagster_type` is currently in"
)


def in_order(table: pd.DataFrame) -> pd.DataFrame:
    """Put rows in an order of their own: in a warehouse they lie by quarter."""
    return table.sort_values(list(table)).reset_index(drop=True)


@beta
def test_dagster_starts_it_on_mondays_at_two(definitions: dict[str, Any]) -> None:
    schedule = definitions["defs"].get_repository_def().get_schedule_def("weekly")
    assert (schedule.cron_schedule, schedule.execution_timezone) == ("0 2 * * 1", "Europe/Paris")
    assert schedule.default_status.value == "RUNNING"


@beta
def test_dagster_writes_tables_and_report_with_the_ledger_beside_them(
    server: Server, definitions: dict[str, Any]
) -> None:
    server.receive(BROKEN)
    run = weekly_run(definitions)
    assert run.success
    r = ra.load(server.root / "exports")
    told = metadata(run)
    assert set(told) == {*r.tables, "report"}
    for name, table in r.tables.items():
        assert told[name]["dagster/row_count"] == len(table)
        pd.testing.assert_frame_equal(in_order(run.asset_value(name)), in_order(table), obj=name)
    ledger = r.ledger.set_index("element")
    for name in ledger.index.drop("files"):
        assert {key: told[name][key] for key in ledger} == ledger.loc[name].to_dict()
    records = [row.data for row in told["report"]["ledger"].records]
    assert records == r.ledger.to_dict("records")
    assert told["report"]["net_points"] == ra.net_points(r)["net_points"].item()
    assert_same(tables(server.report), server.expected())


@beta
def test_dagster_fails_a_check_on_an_error_of_the_audit_and_warns_on_a_warning(
    server: Server, definitions: dict[str, Any]
) -> None:
    server.receive(GOOD)
    run = weekly_run(definitions)
    told = {
        check.check_name: (
            "passed" if check.passed else check.severity.value,
            check.metadata["count"].value,
            check.description,
        )
        for check in run.get_asset_check_evaluations()
    }
    outcomes = {"error": "ERROR", "warning": "WARN", "info": "passed"}
    assert told == {
        row.check: (outcomes[row.severity], row.cases, row.example)
        if row.cases
        else ("passed", 0, None)
        for row in ra.audit(ra.load(server.root / "exports"))
        .rename(columns={"count": "cases"})
        .itertuples()
    }
    assert {outcome for outcome, *_ in told.values()} == {"ERROR", "WARN", "passed"}


@beta
def test_dagster_fails_the_run_on_a_table_that_breaks_its_model(
    server: Server, definitions: dict[str, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    import dagster as dg

    server.receive(BROKEN)
    r = ra.load(BROKEN)
    bad = r.points.assign(points_redeemed=-1)
    opened = ra.Redemptions(**(r.tables | {"points": bad}))
    monkeypatch.setattr(ra.Warehouse, "open", lambda warehouse: opened)
    run = dg.materialize(
        [definitions["tables"], definitions["report"], definitions["audit"]], raise_on_error=False
    )
    (failed,) = run.filter_events(lambda event: event.is_step_failure)
    assert failed.step_key == "tables"
    assert "points_redeemed" in failed.event_specific_data.error.message
    assert "Points" in failed.event_specific_data.error.message
    assert not {"points", "report"} & set(metadata(run))


@beta
@pytest.mark.parametrize("table", ra.schemas.MODELS)
def test_the_dagster_type_of_a_table_is_its_model(definitions: dict[str, Any], table: str) -> None:
    kind, model = definitions["TYPES"][table], ra.schemas.MODELS[table]
    columns = kind.metadata["schema"].schema.columns
    assert kind.unique_name == model.__name__
    assert [column.name for column in columns] == list(model.to_schema().columns)
    assert kind.type_check(None, ra.Redemptions().tables[table]).success
    assert not kind.type_check(None, ra.Redemptions().tables[table].iloc[:, 1:]).success
