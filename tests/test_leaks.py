"""Nothing personal comes out: each marked value is looked for in each byte of what is written."""

from __future__ import annotations

import base64
import hashlib
import html
import io
import json
import logging
import re
import traceback
import zipfile
from collections.abc import Iterable
from contextlib import redirect_stderr, redirect_stdout
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq
import pytest
from everyday import first_everyday
from marked import Marks, write_marked

import redemption_analytics as ra
from redemption_analytics.cli import app

KEY = "a key of more than sixteen bytes"


@pytest.fixture(scope="module")
def source(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Marks]:
    directory, marks = tmp_path_factory.mktemp("leaks") / "exports", Marks()
    write_marked(directory, marks)
    return directory, marks


def run(*arguments: object) -> str:
    """Run a command; give what it printed, its progress too."""
    said = io.StringIO()
    with redirect_stdout(said), redirect_stderr(said), pytest.raises(SystemExit) as ended:
        app([*map(str, arguments), "--progress"])
    assert ended.value.code == 0, said.getvalue()
    return said.getvalue()


def errors(paths: Iterable[Path], pii: Any) -> str:
    """Load each file by itself, up to the first thing that does not fit; give what is said."""
    said = []
    for path in paths:
        with path.open("rb") as file:
            content = file.read()
        try:
            ra.load(content, pii=pii, on_error="raise")
        except ra.RedemptionAnalyticsError as error:
            said.append("".join(traceback.format_exception(error)))
    return "\n".join(said)


def views(directory: Path) -> Iterable[bytes]:
    """Give the files of a directory as they are, and decoded."""
    for path in sorted(directory.rglob("*")):
        yield str(path.relative_to(directory)).encode()
        if not path.is_file():
            continue
        data = path.read_bytes()
        yield data
        if path.suffix == ".parquet":
            table = pq.read_table(path)
            rows = [str(value) for column in table.columns for value in column.to_pylist()]
            yield "\n".join([str(table.schema), str(table.schema.metadata), *rows]).encode()
        elif path.suffix == ".json":
            yield json.dumps(json.loads(data), ensure_ascii=False).encode()
        elif path.suffix == ".html":
            yield html.unescape(data.decode()).encode()
            for file in re.findall(rb'href="data:text/csv[^"]*,([^"]*)"', data):
                yield base64.b64decode(file)
        elif path.suffix == ".xlsx":
            with zipfile.ZipFile(path) as parts:
                for name in parts.namelist():
                    yield html.unescape(parts.read(name).decode()).encode()


def texts_of(r: ra.Redemptions) -> bytes:
    books = [r.ledger, r.findings, r.cases]
    frames = [*r.tables.values(), *books, ra.audit(r), ra.audit_cases(r)]
    cells = [str(cell) for frame in frames for name in frame for cell in frame[name]]
    return "\n".join([*cells, repr(r), r._repr_html_()]).encode()


def found(needles: Iterable[str], haystack: list[bytes]) -> list[str]:
    """Look for marked values, also as JSON, HTML and Python write them."""
    together = b"\0".join(haystack)
    # Each has a number of its own, which is written in one way: one pass finds who may be there.
    numbers = {match[1] for match in re.finditer(rb"(?=(88\d{5}))", together)}
    hits = [
        needle
        for needle in needles
        if re.search(r"88\d{5}", needle)[0].encode() in numbers  # type: ignore[index]
        and any(form.encode() in together for form in _written(needle))
    ]
    print(f"{len(set(needles))} values in {len(together)} bytes: {len(hits)} hits")  # noqa: T201
    return hits


def _written(needle: str) -> set[str]:
    escaped = json.dumps(needle)[1:-1], ascii(needle)[1:-1], html.escape(needle)
    return {needle, *escaped}


def found_digests(digests: set[str], haystack: list[bytes]) -> set[str]:
    runs = re.findall(rb"(?<![0-9a-f])[0-9a-f]{32}", b"\n".join(haystack))
    return digests & {run.decode() for run in runs}


def unkeyed(values: Iterable[str]) -> set[str]:
    """Give what anyone can compute of values, and so find them by trying all."""
    named = ("", "mobile:", "email:", "external_id:", "user_id:")
    return {
        digest.hexdigest()[:32]
        for value in values
        for name in named
        for digest in (
            hashlib.sha256(f"{name}{value}".encode()),
            hashlib.md5(f"{name}{value}".encode()),
            hashlib.blake2b(f"{name}{value}".encode(), digest_size=16),
        )
    }


@pytest.mark.parametrize("pii", first_everyday(["pseudonymize", "drop"]))
def test_no_value_name_or_note_is_left_in_what_is_written_or_said(
    pii: Any,
    source: tuple[Path, Marks],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
) -> None:
    directory, marks = source
    monkeypatch.setenv("REDEMPTION_ANALYTICS_PII_KEY", KEY)
    caplog.set_level(logging.DEBUG)
    tables, report = tmp_path / "tables", tmp_path / "report"
    said = run("convert", directory, tables, "--pii", pii, "--threads", "1")
    page = "--page" if pii == "pseudonymize" else "--no-page"
    said += run("report", directory, report, "--pii", pii, page, "--excel", "--verbose")
    said += run("audit", directory, "--cases", tmp_path / "cases", "--pii", pii, "--json")
    r = ra.load(directory, pii=pii)
    r.to_parquet(tmp_path / "loaded")
    said += errors((path for path in directory.rglob("*") if path.is_file()), pii)
    haystack = [*views(tmp_path), texts_of(r), said.encode(), caplog.text.encode()]
    assert "is no export, and passed over" in caplog.text
    assert found([*marks.values, *marks.strays], haystack) == []
    assert found_digests(unkeyed(marks.values), haystack) == set()
    # What is counted is the same.
    assert r.ledger.equals(ra.load(directory).ledger)
    assert len(r.rejects) > 200


def test_reports_errors_and_logs_tell_of_no_person_even_where_tables_do(
    source: tuple[Path, Marks], tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    directory, marks = source
    caplog.set_level(logging.DEBUG)
    said = run("report", directory, tmp_path / "report", "--page", "--excel")
    said += errors((path for path in directory.rglob("*") if path.is_file()), "keep")
    r = ra.load(directory)
    told = [repr(r), r._repr_html_(), said, caplog.text]
    assert found(marks.values, [*views(tmp_path), *(text.encode() for text in told)]) == []


def test_the_marks_are_all_in_the_exports_and_are_found_where_personal_data_stays(
    source: tuple[Path, Marks], tmp_path: Path
) -> None:
    """Else nothing would be looked for."""
    directory, marks = source
    ra.convert(directory, tmp_path / "tables")
    # Of a customer who is there twice, and of a file that breaks off, not all is in the tables.
    there = found(marks.values, list(views(tmp_path / "tables")))
    assert len(there) > 0.7 * len(marks.values)
