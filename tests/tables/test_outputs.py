"""What this library wrote: opened under any name, told from exports, refused where it is torn."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

import redemption_analytics as ra
from redemption_analytics.cli import app
from redemption_analytics.tables.frames import as_arrow

GOOD = Path(__file__).parents[2] / "data_samples" / "2020-breakups.json"
ENGINES = ["pandas", "duckdb", "polars", "pyarrow"]
NAMES = [
    "a[1-2]b",
    "*",
    "what?",
    "{a,b}",
    "back\\slash",
    "a b'c\"d",
    "100%41",
    "ключ",
    "line\nbreak",
]


def rows(frame: Any) -> int:
    return as_arrow(frame).num_rows


@pytest.mark.usefixtures("reports_of_one_table")
@pytest.mark.parametrize("name", NAMES)
def test_a_directory_may_have_any_name(name: str, tmp_path: Path) -> None:
    target = tmp_path / name / name
    source = tmp_path / name / "exports" / name
    source.mkdir(parents=True)
    shutil.copy(GOOD, source / f"{name}.json")
    ra.convert(source, target)
    ra.convert(str(source / f"{name}.json"), target, overwrite=True)
    for engine in ENGINES:
        r = ra.open(target, engine)  # type: ignore[arg-type]
        assert [rows(table) for table in r.tables.values()][:4] == [1, 1, 1, 2]
        assert rows(ra.net_points(r)) == 1
    report = [str(target), str(tmp_path / name / "report"), "--no-page"]
    done = CliRunner().invoke(app, ["report", *report])
    assert done.exit_code == 0, done.output


@pytest.mark.parametrize("engine", ENGINES)
def test_a_torn_directory_is_an_error_that_names_it(engine: Any, tmp_path: Path) -> None:
    for damage in ("gone", "empty", "cut", "foreign"):
        whole = tmp_path / damage
        ra.convert(GOOD, whole)
        part = whole / "points" / "part-0.parquet"
        if damage == "gone":
            shutil.rmtree(part.parent)
        elif damage == "empty":
            part.unlink()
        elif damage == "cut":
            part.write_bytes(part.read_bytes()[:-20])
        else:
            shutil.copy(whole / "coupons" / "part-0.parquet", part)
        with pytest.raises(ra.SourceError, match=f"{damage} is torn: its table points cannot be"):
            ra.open(whole, engine)
        done = CliRunner().invoke(app, ["audit", str(whole)])
        assert (done.exit_code, "is torn" in done.stderr) == (2, True)


def test_folders_of_exports_may_be_called_as_tables_are(tmp_path: Path) -> None:
    for name in ("ledger", "points", "files"):
        (tmp_path / name).mkdir()
        shutil.copy(GOOD, tmp_path / name)
    assert CliRunner().invoke(app, ["audit", str(tmp_path)]).exit_code == 0
    assert len(ra.load(tmp_path).responses) == 3
    for engine in ENGINES:
        with pytest.raises(ra.SourceError, match="holds no converted export"):
            ra.open(tmp_path, engine)  # type: ignore[arg-type]


@pytest.mark.parametrize("pii", ["keep", "drop"])
def test_text_given_for_a_path_is_hardly_quoted(pii: Any) -> None:
    for text in (
        "447009001" * 40,
        "*" + "447009001" * 40,
        '{"mobile": "447009001"}',
        "s3x://447009001/x",
    ):
        with pytest.raises(ra.SourceError) as raised:
            ra.load(text, pii=pii)
        assert len(str(raised.value)) < 300
        assert pii == "keep" or "447009001" not in str(raised.value)
