"""Loading on Spark gives what loading on one machine gives, and sends no secret."""

from __future__ import annotations

import gzip
import json
import shutil
import subprocess
import sys
import zipfile
from collections.abc import Callable
from dataclasses import replace
from datetime import datetime
from pathlib import Path
from typing import Any

import pytest
from engines import write_exports
from marked import Marks, write_marked
from payloads import answers, coupon, redemption, reversal
from sparks import CONNECT, SECRET, spark_needed

import redemption_analytics as ra
from redemption_analytics.privacy import KEY_VARIABLE
from redemption_analytics.sources.export import Export
from redemption_analytics.sources.streams import LocalFile
from redemption_analytics.spark import deciding, jobs, loading
from redemption_analytics.spark.stretches import stretches_of
from redemption_analytics.tables.frames import as_arrow

spark_needed()

# PySpark 4.0 leaves its sockets to the collector.
pytestmark = pytest.mark.filterwarnings(
    "ignore:Exception ignored in. <socket:pytest.PytestUnraisableExceptionWarning"
)

BY_NAME = "sparks:secret"


def rows_of(r: ra.Redemptions, table: str) -> list[str]:
    return sorted(map(repr, as_arrow(getattr(r, table)).to_pylist()))


def assert_same(ours: ra.Redemptions, theirs: ra.Redemptions) -> None:
    for table in (*theirs.tables, "ledger", "findings"):
        assert rows_of(ours, table) == rows_of(theirs, table), table


@pytest.fixture(scope="module")
def exports(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Exports that overlap and are damaged, of every edition; two are packed in an archive."""
    folder = tmp_path_factory.mktemp("exports")
    write_exports(folder)
    shutil.copytree("data_samples", folder / "samples")
    with zipfile.ZipFile(folder / "packed-2026-11-21.zip", "w") as archive:
        for day, points in (("20", 10), ("21", 20)):
            told = answers([redemption("odd-1", points, back=[reversal(7, points)])])
            archive.writestr(f"2026-11-{day}.json", json.dumps(told))
    return folder


@pytest.fixture(params=["driver", "executors"])
def decided_on(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> str:
    """Where it is decided which rows stay: executors do it of many rows, here of any."""
    if request.param == "executors":
        monkeypatch.setattr(loading, "DECIDED_HERE_ROWS", -1)
        monkeypatch.setattr(deciding, "SHARD_ANSWERS", 300)
    return str(request.param)


@pytest.mark.parametrize("megabytes", [0.05] if CONNECT else [0.05, 1, 64])
def test_all_is_as_loaded_on_one_machine(
    session: Any,
    exports: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    decided_on: str,
    megabytes: float,
) -> None:
    monkeypatch.setattr("redemption_analytics.spark.loading.UNIT_BYTES", int(megabytes * 2**20))
    ours = ra.spark.load(session, exports, staging=tmp_path / "staging")
    assert type(ours.points) is type(session.range(1))
    assert_same(ours, ra.load(exports))
    (folder,) = (tmp_path / "staging").iterdir()
    assert_same(ra.open(folder, engine="pyarrow"), ours)


@pytest.fixture(scope="module")
def lines(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """JSON Lines with what breaks them: torn lines, two answers in one, blank ones, no values."""
    path = tmp_path_factory.mktemp("lines") / "2026-11-18.jsonl"
    told = gzip.decompress(Path("data_samples/organisation/2026-11-18.jsonl.gz").read_bytes())
    found = told[:600_000].split(b"\n")
    for number in range(0, len(found), 3):
        line = found[number]
        found[number] = (
            line[: len(line) // 2],
            line[: len(line) // 3] + b"\n" + line[len(line) // 3 :],
            line.replace(b'"points_redeemed":', b'"points_redeemed":"x",\n"y":', 1),
            b"\n\n" + line,
            line + line,
        )[number % 5]
    path.write_bytes(b"\n".join(found))
    return path


def test_a_large_file_of_lines_is_parsed_in_stretches(
    session: Any, lines: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, decided_on: str
) -> None:
    monkeypatch.setattr("redemption_analytics.spark.loading.UNIT_BYTES", 100_000)
    cut: list[int] = []
    add = loading._add_stretches

    def added(united: Any, export: Any, parts: list[Any], *surveyed: Any) -> None:
        cut.append(len(parts))
        add(united, export, parts, *surveyed)

    monkeypatch.setattr(loading, "_add_stretches", added)
    ours = ra.spark.load(session, lines, staging=tmp_path)
    assert len(as_arrow(ours.rejects)) > 5
    assert cut == [6]
    assert_same(ours, ra.load(lines))


def test_a_file_that_goes_on_as_something_else_is_read_as_it_began(
    session: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("redemption_analytics.spark.loading.UNIT_BYTES", 10_000)
    told = answers([redemption(f"r{number}", 5) for number in range(200)])
    text = "".join(json.dumps(one) + "\n" for one in told)
    # Where a stretch begins there may be a line so long that its beginning does not show its end.
    text += "".join(
        json.dumps(answers([redemption(f"s{n}", 5) for n in range(300)])[0]) + "\n"
        for _ in range(3)
    )
    text += "".join(json.dumps(one, indent=2) + "\n" for one in told)
    path = tmp_path / "2026-11-18.jsonl"
    path.write_text(text)
    assert_same(ra.spark.load(session, path, staging=tmp_path / "staging"), ra.load(path))


def test_stretches_are_of_plain_lines_only_and_begin_where_records_do(
    lines: Path, tmp_path: Path
) -> None:
    def cut(path: Path) -> list[Any]:
        export = Export(str(path), datetime(2026, 11, 18), open=LocalFile(str(path)))
        return stretches_of(replace(export, size=path.stat().st_size), 100_000)

    data = lines.read_bytes()
    found = cut(lines)
    opened = [part.open().read() for part in found]
    assert b"".join(opened) == data
    assert all(part.startswith(b'{"response"') for part in opened)
    small = lines.with_name("small.jsonl")
    small.write_bytes(data[:90_000])
    for name, other in (
        ("packed.jsonl", gzip.compress(data, 0)),
        ("array.json", b"[" + data.replace(b"\n", b",\n")),
        ("pretty.json", data.replace(b":{", b":\n{\n")),
        ("table.csv", b"id,payload\n" + data),
        ("utf16.jsonl", data.decode().encode("utf-16")),
    ):
        (tmp_path / name).write_bytes(other)
        assert cut(tmp_path / name) == [], name
    assert cut(small) == []


def test_payloads_and_decimals_are_loaded_too(session: Any, tmp_path: Path) -> None:
    told = answers([redemption("a", 1.5), redemption("b", 2.25)], [coupon(1)])
    ours = ra.spark.load(
        session, told, staging=tmp_path, points="decimal", exported_at="2026-11-20"
    )
    assert_same(ours, ra.load(told, points="decimal", exported_at="2026-11-20"))


def test_a_frame_of_payloads_is_read_where_its_rows_are(session: Any, tmp_path: Path) -> None:
    told = [json.dumps(one) for one in answers([redemption(f"r{n}", n + 1) for n in range(9)])]
    again = json.dumps(answers([redemption("r0", 100, back=[reversal(1, 4)])])[0])
    texts = [*told, None, "{ no answer", again]
    frame = session.createDataFrame([(text,) for text in texts], "payload STRING").repartition(3)
    ours = ra.spark.load(session, frame, staging=tmp_path, exported_at="2026-11-20")
    assert sorted(as_arrow(ours.files)["source"].to_pylist()) == ["frame", "frame (2)", "frame (3)"]
    ledger = {row["element"]: row for row in as_arrow(ours.ledger).to_pylist()}
    assert ledger["responses"]["seen"] == len(texts) - 1
    assert ledger["points"] == {
        "element": "points", "seen": 10, "loaded": 9, "merged": 1, "rejected": 0, "passed_over": 0,
    }  # fmt: skip
    assert [row["reason"] for row in as_arrow(ours.rejects).to_pylist()]
    with pytest.raises(ra.SourceError, match='no column "payload" of payloads, but text'):
        ra.spark.load(session, frame.withColumnRenamed("payload", "text"), staging=tmp_path)


def test_what_a_second_try_leaves_counts_for_nothing(
    session: Any, exports: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    real = jobs.on_executors

    def twice(session: Any, job: Callable[[int], object], numbers: list[int]) -> Any:
        for number in numbers:
            job(number)
        return real(session, job, numbers)  # type: ignore[arg-type]

    for module in ("loading", "staged_tables"):
        monkeypatch.setattr(f"redemption_analytics.spark.{module}.on_executors", twice)
    ours = ra.spark.load(session, exports, staging=tmp_path)
    assert_same(ours, ra.load(exports))


@pytest.mark.skipif(CONNECT, reason="the server has the executors")
def test_an_executor_killed_in_any_step_changes_nothing(exports: Path, tmp_path: Path) -> None:
    program = Path(__file__).parents[1] / "killed_executors.py"
    done = subprocess.run(
        [sys.executable, "-W", "ignore", str(program), str(exports), str(tmp_path)],
        stdout=subprocess.PIPE,
        text=True,
        check=True,
    )
    assert done.stdout.split() == [
        "driver-Finish",
        "driver-Parse",
        "executors-Decide",
        "executors-Divide",
        "executors-FinishUnits",
        "executors-Give",
        "executors-Parse",
        "executors-TakeLinks",
    ]


def test_the_first_reject_stops_a_strict_load(session: Any, tmp_path: Path) -> None:
    with pytest.raises(ra.RejectedError) as theirs:
        ra.load("data_samples/broken", on_error="raise")
    with pytest.raises(ra.RejectedError) as ours:
        ra.spark.load(session, "data_samples/broken", staging=tmp_path, on_error="raise")
    assert str(ours.value) == str(theirs.value)
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({"pii": "drop"}, "draws a key that does not leave the process"),
        ({"pii": "pseudonymize", "pii_key": "nowhere"}, "names a function as 'module:function'"),
        ({"pii": "pseudonymize", "pii_key": "sparks:nothing"}, "'sparks:nothing' is none"),
        ({"pointz": 1}, "no argument 'pointz'"),
    ],
)
def test_what_cannot_be_is_refused(
    session: Any, tmp_path: Path, options: dict[str, Any], said: str
) -> None:
    with pytest.raises(ra.UsageError, match=said):
        ra.spark.load(session, "data_samples", staging=tmp_path, **options)


@pytest.mark.skipif(CONNECT, reason="the server has the log of events")
def test_neither_the_key_nor_a_person_is_sent_or_written(
    session: Any,
    spark_folder: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    decided_on: str,
) -> None:
    monkeypatch.delenv(KEY_VARIABLE, raising=False)
    marks = Marks()
    write_marked(tmp_path / "exports", marks)
    # The log of events goes on from what other tests did.
    before = {path: path.stat().st_size for path in (spark_folder / "events").rglob("*")}
    monkeypatch.setattr("redemption_analytics.spark.loading.shutil.rmtree", lambda *_, **__: None)
    ours = ra.spark.load(
        session, tmp_path / "exports", staging=tmp_path / "staging", pii="pseudonymize",
        pii_key=BY_NAME,
    )  # fmt: skip
    monkeypatch.setenv(KEY_VARIABLE, SECRET)
    assert_same(ours, ra.load(tmp_path / "exports", pii="pseudonymize"))
    written = [*(tmp_path / "staging").rglob("*"), *(spark_folder / "events").rglob("*")]
    files = [path for path in written if path.is_file()]
    assert {"setting", "tasks"} <= {path.name for path in written}
    decisions = "decisions" if decided_on == "driver" else "shards"
    assert any(path.parent.name == decisions for path in files)
    assert any(path.stat().st_size > size for path, size in before.items())
    for path in files:
        data = path.read_bytes()[before.get(path, 0) :]
        assert SECRET.encode() not in data, path
        # The names of files are where executors are told what to open, while a load runs.
        if path.parent.name != "tasks":
            for mark in (*marks.values, *marks.strays):
                assert mark.encode() not in data, (path, mark)


def test_executors_import_no_frames_and_no_models() -> None:
    """Pandera imports all of PySpark's pandas: seconds for each worker that starts."""
    said = subprocess.run(
        [
            sys.executable,
            "-c",
            "import sys, redemption_analytics.spark.jobs; print('pandera' in sys.modules)",
        ],
        capture_output=True,
        text=True,
        check=True,
    )
    assert said.stdout.strip() == "False"
