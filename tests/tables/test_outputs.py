"""What this library wrote: opened under any name, told from exports, refused where it is torn."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq
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
@pytest.mark.parametrize(
    "name", ["".join(NAMES), *(pytest.param(name, marks=pytest.mark.slow) for name in NAMES)]
)
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
    for damage in ("gone", "empty", "cut"):
        whole = tmp_path / damage
        ra.convert(GOOD, whole)
        part = whole / "points" / "part-0.parquet"
        if damage == "gone":
            shutil.rmtree(part.parent)
        elif damage == "empty":
            part.unlink()
        else:
            part.write_bytes(part.read_bytes()[:-20])
        with pytest.raises(ra.SourceError, match=f"{damage} is torn: its table points cannot be"):
            ra.open(whole, engine)
        done = CliRunner().invoke(app, ["audit", str(whole)])
        assert (done.exit_code, "is torn" in done.stderr) == (2, True)


@pytest.mark.parametrize("engine", ENGINES)
def test_a_directory_of_another_version_is_told_so_with_a_remedy_that_works(
    engine: Any, tmp_path: Path
) -> None:
    def opened() -> str:
        with pytest.raises(ra.SourceError) as error:
            ra.open(tmp_path / "old", engine)
        return str(error.value).partition("old ")[2]

    ra.convert(GOOD, tmp_path / "old")
    written = "was written by another version of redemption_analytics, or changed since: its table "
    again = ". Convert the exports again, with overwrite=True"
    changes: list[tuple[str, Any, str]] = [
        ("points", lambda t: t.drop_columns(["notes", "bill_id"]), "lacks bill_id, notes"),
        ("points", lambda t: t.append_column("tier", t["notes"]), "has tier besides"),
        (
            "coupons",
            lambda t: t.rename_columns({"code": "kode"}),
            "lacks code and has kode besides",
        ),
        ("coupons", lambda t: t.select(t.column_names[::-1]), "has its columns in another order"),
        ("ledger", lambda t: t.drop_columns(["passed_over"]), "lacks passed_over"),
    ]
    for table, change, said in changes:
        part = tmp_path / "old" / table / "part-0.parquet"
        pq.write_table(change(pq.ParquetFile(part).read()), part)
        assert opened() == f"{written}{table} {said}{again}"
        ra.convert(GOOD, tmp_path / "old", overwrite=True)
        assert rows(ra.open(tmp_path / "old", engine).points) == 2
    for table in ("findings", "cases"):
        shutil.rmtree(tmp_path / "old" / table)
        said = f"{table} cannot be read (it has no folder, as where a version without it"
        assert said in opened()
        ra.convert(GOOD, tmp_path / "old", overwrite=True)
        assert rows(ra.open(tmp_path / "old", engine).points) == 2


def test_what_to_do_where_nothing_was_converted_can_be_done(tmp_path: Path) -> None:
    (tmp_path / "empty").mkdir()
    (tmp_path / "other").mkdir()
    (tmp_path / "other" / "notes.txt").write_text("hello")
    for name, where in {
        "new": "it first",
        "empty": "it first",
        "other": "a new directory, and open that",
        "other/notes.txt": "a new directory, and open that",
    }.items():
        with pytest.raises(
            ra.SourceError, match=f"no converted export: convert exports into {where}"
        ):
            ra.open(tmp_path / name)
        if where == "it first":
            ra.convert(GOOD, tmp_path / name)
            assert len(ra.open(tmp_path / name).points) == 2


def test_one_table_of_a_converted_directory_is_told_apart(tmp_path: Path) -> None:
    ra.convert(GOOD, tmp_path / "out")
    with pytest.raises(ra.SourceError, match=r"points is one table of a .*: open .*out$"):
        ra.open(tmp_path / "out" / "points")
    with pytest.raises(ra.SourceError, match="is one table of a converted directory, and no"):
        ra.load(tmp_path / "out" / "points")


@pytest.mark.parametrize("directory", [5, None, "", "a\0b", ["a"]])
def test_what_is_no_path_of_a_directory_is_refused(directory: Any) -> None:
    r = ra.load(GOOD)
    for write in (
        lambda: ra.convert(GOOD, directory),
        lambda: ra.write_reports(r, directory),
        lambda: r.to_parquet(directory),
        lambda: ra.open(directory),
    ):
        with pytest.raises(
            ra.UsageError, match=r"\w+: (directory|path) is the path of a directory"
        ):
            write()


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
