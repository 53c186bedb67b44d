"""Loading on Spark gives what loading on one machine gives, and sends no secret."""

from __future__ import annotations

import json
import shutil
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from engines import write_exports
from marked import Marks, write_marked
from payloads import answers, coupon, redemption, reversal
from sparks import CONNECT, SECRET, spark_needed

import redemption_analytics as ra
from redemption_analytics.privacy import KEY_VARIABLE
from redemption_analytics.spark import jobs
from redemption_analytics.tables.frames import as_arrow

spark_needed()

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


@pytest.mark.parametrize("megabytes", [0.05] if CONNECT else [0.05, 1, 64])
def test_all_is_as_loaded_on_one_machine(
    session: Any, exports: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, megabytes: float
) -> None:
    monkeypatch.setattr("redemption_analytics.spark.loading.UNIT_BYTES", int(megabytes * 2**20))
    ours = ra.spark.load(session, exports, staging=tmp_path / "staging")
    assert type(ours.points) is type(session.range(1))
    assert_same(ours, ra.load(exports))
    (folder,) = (tmp_path / "staging").iterdir()
    assert_same(ra.open(folder, engine="pyarrow"), ours)


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
    session: Any, spark_folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv(KEY_VARIABLE, raising=False)
    marks = Marks()
    write_marked(tmp_path / "exports", marks)
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
    assert any(path.parent.name == "decisions" for path in files)
    assert any(path.parent.name == "events" and path.stat().st_size for path in files)
    for path in files:
        data = path.read_bytes()
        assert SECRET.encode() not in data, path
        # The names of files are where executors are told what to open, while a load runs.
        if path.parent.name != "tasks":
            for mark in (*marks.values, *marks.strays):
                assert mark.encode() not in data, (path, mark)
