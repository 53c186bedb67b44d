"""The table of files: whatever lies below a directory is in it once, and the ledger adds up."""

from __future__ import annotations

import gzip
import hashlib
import io
import json
import lzma
import os
import tarfile
import tempfile
import zipfile
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from payloads import TIMES

import redemption_analytics as ra
from redemption_analytics.tables import passed_over
from redemption_analytics.tables.frames import as_arrow


def answer(key: str) -> bytes:
    point = {"redemption_id": key, "points_redeemed": 5}
    customer = {"mobile": key, "redemptions": {"points": {"point": [point]}}}
    return json.dumps({"response": {"status": {"success": True}, "customer": customer}}).encode()


def zipped(members: dict[str, bytes]) -> bytes:
    stream = io.BytesIO()
    with zipfile.ZipFile(stream, "w") as archive:
        for name, data in members.items():
            archive.writestr(name, data)
    return stream.getvalue()


def tarred(members: dict[str, bytes], mode: str = "w") -> bytes:
    stream = io.BytesIO()
    with tarfile.open(fileobj=stream, mode=mode) as archive:  # type: ignore[call-overload]
        for name, data in members.items():
            header = tarfile.TarInfo(name)
            header.size = len(data)
            archive.addfile(header, io.BytesIO(data))
    return stream.getvalue()


PACKED = {
    "plain": lambda data: data,
    "gz": lambda data: gzip.compress(data, mtime=0),
    "xz": lzma.compress,
}
ARCHIVES = {
    "zip": zipped,
    "tar": tarred,
    "tar.gz": lambda members: tarred(members, "w:gz"),
    "tar.xz": lambda members: tarred(members, "w:xz"),
}
CONTENTS = [
    answer("a"),
    answer("b") + b"\n" + answer("c"),
    b"",
    b"# notes",
    b"<html></html>",
    b"\0\1",
]
NAMES = st.sampled_from(
    [
        *("a.json", "b.jsonl", "2026-03-01.json", ".c.json", "_d.json", "e", "README.md", "f.txt"),
        *("g.csv", "h.7z", "_SUCCESS", "i[1].json", "j*.json", "x.zip", "y.tar", "z.tar.gz"),
    ]
)
FOLDERS = st.sampled_from(["x", "2026", ".git", "_late", "ledger", "points", "a b", "[q]"])
FILES = st.tuples(st.sampled_from(CONTENTS), st.sampled_from(sorted(PACKED))).map(
    lambda drawn: PACKED[drawn[1]](drawn[0])
)
MEMBERS = st.dictionaries(NAMES, FILES, min_size=1, max_size=3)
#: A file, or an archive as its members.
THINGS = st.one_of(FILES, st.tuples(st.sampled_from(sorted(ARCHIVES)), MEMBERS))


def hidden(parts: list[str]) -> bool:
    return any(part.startswith((".", "_")) for part in parts)


@given(st.lists(st.tuples(st.lists(FOLDERS, max_size=2), NAMES, THINGS), max_size=8))
@settings(max_examples=10 * TIMES, deadline=None)
def test_every_file_in_a_random_tree_is_told_of_once(tree: list[Any]) -> None:
    with tempfile.TemporaryDirectory() as directory:
        root = Path(directory)
        (root / "good.json").write_bytes(answer("good"))
        expected = {"good.json"}
        for folders, name, thing in tree:
            path = root.joinpath(*folders, name)
            if path.exists():
                continue
            path.parent.mkdir(parents=True, exist_ok=True)
            place = path.relative_to(root).as_posix()
            if isinstance(thing, bytes):
                path.write_bytes(thing)
                expected.add(place)
                continue
            kind, members = thing
            path.write_bytes(ARCHIVES[kind](members))
            # Of what is hidden nothing is opened.
            whole = hidden([*folders, name])
            expected |= {place} if whole else {f"{place}/{member}" for member in members}
        r = ra.load(root)
        files = r.files.assign(place=r.files["source"].str.removeprefix(f"{root}/"))
        assert sorted(files["place"]) == sorted(expected)
        status = files.set_index("place")["status"]
        assert all(status[place] == "passed over" for place in expected if hidden(place.split("/")))
        counts = r.ledger.set_index("element").loc["files"]
        told = files["status"].value_counts().to_dict()
        assert counts["seen"] == len(files)
        assert counts["merged"] == 0
        for column, name in (("loaded", "loaded"), ("rejected", "rejected")):
            assert counts[column] == told.get(name, 0)
        assert counts["passed_over"] == told.get("passed over", 0)
        assert files["records"].sum() >= r.ledger.set_index("element").loc["responses", "loaded"]
        assert (files["reason"].isna() == (files["status"] == "loaded")).all()
        for row in files.itertuples():
            if (root / row.place).is_file():
                data = (root / row.place).read_bytes()
                assert row.size == len(data)
                digest = hashlib.sha256(data).hexdigest()
                assert row.digest == digest if row.status != "passed over" else row.digest != digest


MAY_HOLD = {
    "old.7z": b"7z\xbc\xaf\x27\x1c",
    "old.rar": b"Rar!\x1a\x07",
    "a.json.gpg": b"\x85\x01",
    "a.jsonl.age": b"age-encryption.org/v1\n",
    "error.html": b"<!DOCTYPE html><html><body>502</body></html>",
    "page": b"<html><body>504</body></html>",
    "table.xlsx": b"PK\x03\x04",
    "body.csv": b'id,body\n1,"{""response"": {}}"\n',
    ".hidden.json": b"x",
    "_late/a.json": b"x",
    ".hidden": answer("a"),
    "a.json.part": b"x",
}
HARMLESS = {
    ".DS_Store": b"\0\0\0\1Bud1",
    "_SUCCESS": b"",
    "Thumbs.db": b"\xd0\xcf\x11\xe0",
    "README.md": b'# Exports\n\n    {"response": {}}\n',
    "README": b"see wiki",
    "notes.txt": b"call Ada\n",
    "table.csv": b"a,b\n1,2\n",
    ".a.json.crc": b"crc",
    "a.json.sha256": b"0" * 64,
    "picture.png": b"\x89PNG\r\n",
    "_committed_1": b"{}",
    ".gitkeep": b"",
    ".git/config": b"[core]",
    "__MACOSX/._a.json": b"\0",
    "LICENSE": b"MIT",
}


def test_what_may_hold_answers_warns_and_what_cannot_does_not(tmp_path: Path) -> None:
    (tmp_path / "good.json").write_bytes(answer("good"))
    for name, data in (MAY_HOLD | HARMLESS).items():
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_bytes(data)
    r = ra.load(tmp_path)
    files = r.files.set_index(r.files["source"].str.removeprefix(f"{tmp_path}/"))
    assert dict(files["status"]) == dict.fromkeys(MAY_HOLD | HARMLESS, "passed over") | {
        "good.json": "loaded"
    }
    warning = files[files["reason"].str.startswith(passed_over.MAY_HOLD).fillna(False)]
    assert set(warning.index) == set(MAY_HOLD)
    audit = ra.audit(r).set_index("check").loc["passed_over_files"]
    assert (audit["severity"], audit["count"]) == ("warning", len(MAY_HOLD))
    assert audit["example"].startswith(min(warning["source"]))


def test_what_holds_no_answers_is_no_warning(tmp_path: Path) -> None:
    (tmp_path / "good.json").write_bytes(answer("good"))
    (tmp_path / "README.md").write_bytes(HARMLESS["README.md"])
    audit = ra.audit(ra.load(tmp_path)).set_index("check").loc["passed_over_files"]
    assert audit["count"] == 0


def test_links_are_told_of_and_read_once(tmp_path: Path) -> None:
    (tmp_path / "a.json").write_bytes(answer("a"))
    (tmp_path / "latest.json").symlink_to("a.json")
    os.link(tmp_path / "a.json", tmp_path / "hard.json")
    (tmp_path / "broken.json").symlink_to("gone")
    r = ra.load(tmp_path)
    assert len(r.responses) == 1
    found = {Path(row.source).name: (row.status, row.reason) for row in r.files.itertuples()}
    assert [status for status, _ in found.values()].count("loaded") == 1
    assert found["latest.json"] == ("passed over", f"the same file as {tmp_path / 'a.json'}")
    assert found["broken.json"][0] == "rejected"
    hidden = ra.load(tmp_path, pii="drop")
    assert str(tmp_path) not in hidden.files.to_csv()
    assert "a.json" not in hidden.files.to_csv()


@pytest.mark.parametrize("engine", ["pandas", "duckdb", "polars", "pyarrow"])
def test_the_table_is_kept_by_converting(engine: Any, tmp_path: Path) -> None:
    (tmp_path / "in").mkdir()
    (tmp_path / "in" / "a.json").write_bytes(answer("a"))
    (tmp_path / "in" / ".b.json").write_bytes(answer("b"))
    ra.convert(tmp_path / "in", tmp_path / "out")
    audit = ra.audit(ra.open(tmp_path / "out", engine))
    counts = {row["check"]: row["count"] for row in as_arrow(audit).to_pylist()}
    assert counts["passed_over_files"] == 1
