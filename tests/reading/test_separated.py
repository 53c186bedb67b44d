"""Tables as text: the rows of a CSV with a column of payloads, however they are written or torn."""

from __future__ import annotations

import csv
import gzip
import io
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import redemption_analytics as ra
from redemption_analytics.reading.delimited import cells, columns_in


def answer(key: str, notes: str = "") -> dict[str, Any]:
    point = {"redemption_id": key, "points_redeemed": 5, "notes": notes}
    customer = {"mobile": "1", "redemptions": {"points": {"point": [point]}}}
    return {"response": {"status": {"success": True}, "customer": customer}}


def table(rows: list[list[str]], header: tuple[str, ...] = ("id", "payload"), **how: Any) -> bytes:
    text = io.StringIO(newline="")
    writer = csv.writer(text, **how)
    writer.writerows([header, *rows])
    return text.getvalue().encode()


def loaded(data: bytes, tmp_path: Path, name: str = "a.csv") -> ra.Redemptions:
    (tmp_path / name).write_bytes(data)
    return ra.load(tmp_path / name)


ROWS = [["1", json.dumps(answer("a", 'say "hi", you'))], ["2", json.dumps(answer("b"), indent=1)]]


@pytest.mark.parametrize("delimiter", [",", "\t", ";", "|"])
@pytest.mark.parametrize("end", ["\r\n", "\n"])
def test_payloads_are_read_whatever_separates_cells_and_rows(
    delimiter: str, end: str, tmp_path: Path
) -> None:
    data = table(ROWS, delimiter=delimiter, lineterminator=end)
    for written in (data, b"\xef\xbb\xbf" + data, gzip.compress(data), b"\n\n" + data):
        r = loaded(written, tmp_path)
        assert r.points["redemption_id"].tolist() == ["a", "b"]
        assert r.points["notes"].dropna().tolist() == ['say "hi", you']
        assert r.rejects.empty
        assert r.files["records"].tolist() == [2]


def test_xml_and_empty_payloads_may_stand_in_a_table(tmp_path: Path) -> None:
    status = "<status><success>true</success></status>"
    xml = f"<response>{status}<customer><mobile>1</mobile></customer></response>"
    rows = [["1", xml], ["2", ""], ["3", json.dumps(answer("a"))], []]
    r = loaded(table(rows, ("id", "Payload")), tmp_path)
    assert (len(r.responses), len(r.points), len(r.rejects)) == (2, 1, 0)


def test_a_torn_row_is_a_reject_with_its_line_and_takes_no_other_with_it(tmp_path: Path) -> None:
    data = table([[str(n), json.dumps(answer(f"k{n}"))] for n in range(5)], lineterminator="\n")
    lines = data.splitlines(keepends=True)
    lines[2] = lines[2][:40] + b"\n"
    lines[4] = b"short\n"
    r = loaded(b"".join(lines), tmp_path)
    assert r.points["redemption_id"].tolist() == ["k0", "k2", "k4"]
    assert r.rejects["line"].tolist() == [3, 5]
    assert "torn" in r.rejects["reason"][0]


def test_a_bad_payload_is_a_reject_with_its_line(tmp_path: Path) -> None:
    bad = json.dumps(answer("b")).replace("5", '"five"')
    rows = [ROWS[1], ["2", bad], ["3", '{"response": {'], ROWS[0]]
    r = loaded(table(rows, lineterminator="\n"), tmp_path)
    height = ROWS[1][1].count("\n") + 1
    assert r.rejects["line"].tolist() == [height + 2, height + 3]
    assert sorted(r.points["redemption_id"]) == ["a", "b"]


def test_a_table_without_the_column_is_an_error_that_names_it(tmp_path: Path) -> None:
    with pytest.raises(ra.SourceError, match='has no column "payload"'):
        loaded(b"id,body\n1,x\n", tmp_path)
    (tmp_path / "good.json").write_text(json.dumps(answer("a")))
    (tmp_path / "b.csv").write_bytes(table(ROWS, ("id", "body")))
    files = ra.load(tmp_path).files
    status = {Path(row.source).name: (row.status, row.reason) for row in files.itertuples()}
    assert status["a.csv"] == ("passed over", 'no export: a table without a column "payload"')
    assert status["b.csv"][1].startswith("may hold answers: ")


def test_a_row_that_never_ends_is_bounded(tmp_path: Path) -> None:
    (tmp_path / "a.csv").write_bytes(b'payload\n"' + b"x" * 3_000_000 + b"\n" + b"y" * 100)
    (tmp_path / "b.json").write_text(json.dumps(answer("a")))
    r = ra.load(tmp_path, max_record_bytes=100_000)
    assert r.points["redemption_id"].tolist() == ["a"]
    assert len(r.rejects) >= 1
    assert r.rejects["raw"].str.len().max() < 3000


@given(
    st.lists(st.lists(st.text('a",\n\r;{'), min_size=3, max_size=3), max_size=6),
    st.integers(1, 20),
)
@settings(max_examples=200)
def test_rows_are_cut_as_a_reader_of_csv_cuts_them(rows: list[list[str]], step: int) -> None:
    data = table(rows, ("id", "payload", "more"), lineterminator="\n", quoting=csv.QUOTE_ALL)
    columns = columns_in(data)
    assert columns is not None
    chunks = [data[at : at + step] for at in range(0, len(data), step)]
    found = [(cell.text.decode(), cell.torn) for cell in cells(columns, chunks, 10**6)]
    assert found == [(row[1], None) for row in rows if row[1].strip()]


@pytest.mark.parametrize("packed", [bytes, gzip.compress])
def test_a_table_without_payloads_is_told_so_alone_and_among_others(
    packed: Callable[[bytes], bytes], tmp_path: Path
) -> None:
    suffix = ".csv" if packed is bytes else ".csv.gz"
    (tmp_path / "stores.csv").write_bytes(b"code,name\nnorth,North\n")
    answers = tmp_path / f"answers{suffix}"
    answers.write_bytes(packed(b'id,answer\n1,"{""response"": {}}"\n'))
    with pytest.raises(ra.SourceError, match='it has no column "payload" of payload texts: call'):
        ra.load(answers)
    (tmp_path / "good.json").write_text('{"response": {"status": {"success": true}}}')
    r = ra.load(tmp_path)
    reasons = {Path(path).name: why for path, why in r.files[["source", "reason"]].to_numpy()}
    assert reasons["stores.csv"] == 'no export: a table without a column "payload"'
    assert 'without a column "payload"' in reasons[answers.name] or packed is not bytes
    assert "call the one so that holds them" in reasons[answers.name]
    found = ra.audit(r).set_index("check")["count"]
    assert found["passed_over_files"] + found["rejected"] == 1
