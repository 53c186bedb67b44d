"""Sources: whatever holds the answers, the tables are the same; and what is wrong is said."""

from __future__ import annotations

import gzip
import io
import json
import os
import re
import sys
import threading
import zipfile
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from pandas.testing import assert_frame_equal
from payloads import PROVENANCE

import redemption_analytics as ra
from redemption_analytics.sources.find import find_exports
from redemption_analytics.sources.path_dates import date_in_name

Payload = dict[str, Any]


def answer(key: str, points: int = 5, time: str = "2026-01-01 00:00:00") -> Payload:
    point = {"redemption_id": key, "points_redeemed": points, "redeemed_time": time}
    return {
        "response": {
            "status": {"success": True, "code": 200},
            "customer": {"mobile": f"m-{key}", "redemptions": {"points": {"point": [point]}}},
        }
    }


ANSWERS = [answer(key, points) for points, key in enumerate("abcdef", 1)]
LINES = [json.dumps(a).encode() + b"\n" for a in ANSWERS]
KEYS = list("abcdef")


def write(path: Path, *lines: bytes) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(b"".join(lines))
    return path


def keys(r: ra.Redemptions) -> list[str]:
    return list(r.points["redemption_id"])


def files(r: ra.Redemptions) -> tuple[int, int]:
    """How many files were loaded and rejected, by the ledger, which adds up."""
    row = r.ledger.set_index("element").loc["files"]
    assert row["seen"] == row["loaded"] + row["rejected"] + row["passed_over"] == len(r.files)
    assert row["rejected"] == r.rejects["record"].isna().sum()
    return int(row["loaded"]), int(row["rejected"])


def found(source: Any) -> list[str]:
    """The names of the files that are read."""
    return [export.name for export in find_exports(source) if export.passed_over is None]


def same(one: ra.Redemptions, other: ra.Redemptions) -> None:
    """Both hold the same tables, where the answers came from aside."""
    for name, frame in one.tables.items():
        if name == "files":
            continue
        aside = PROVENANCE if name == "responses" else []
        assert_frame_equal(
            frame.drop(columns=aside), other.tables[name].drop(columns=aside), obj=name
        )


# Every kind of source


class Pipe(io.RawIOBase):
    """What can be read once, and not sought in."""

    def __init__(self, data: bytes):
        self._inner = io.BytesIO(data)

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int:
        return self._inner.readinto(buffer)


class OnlyRead:
    """What has no method but one."""

    def __init__(self, data: bytes):
        self._inner = io.BytesIO(data)

    def read(self, size: int = -1) -> bytes:
        return self._inner.read(size)


def one_file(directory: Path) -> Path:
    return write(directory / "export.jsonl", *LINES)


def several_files(directory: Path) -> Path:
    write(directory / "a.jsonl", LINES[0])
    write(directory / "b" / "a.json", b"[" + LINES[1] + b"," + LINES[2] + b"]")
    write(directory / "b" / "c" / "d.jsonl.gz", gzip.compress(LINES[3]))
    write(directory / "e.jsonl", LINES[4], LINES[5])
    # Neither hidden files nor those that jobs leave for themselves are exports.
    for name in (".hidden.json", "_SUCCESS", "_temporary/1.json", "b/.git/x.json", "b/_x.json"):
        write(directory / name, b'{"x":')
    return directory


def in_time(source: Callable[[Path], Path]) -> Callable[[Path], Path]:
    """All files were written at the same moment: their order is that of their names."""

    def make(directory: Path) -> Path:
        path = source(directory)
        for file in directory.rglob("*"):
            os.utime(file, (1_700_000_000, 1_700_000_000))
        return path

    return make


def archive(directory: Path) -> Path:
    path = directory / "exports.zip"
    with zipfile.ZipFile(path, "w") as file:
        file.writestr("2026-01-02/b.json", LINES[1] + LINES[2])
        file.writestr("2026-01-01/deep/er/a.json", LINES[0])
        file.writestr("__MACOSX/2026-01-01/a.json", b"\0\0")
        file.writestr("2026-01-03.jsonl.gz", gzip.compress(b"".join(LINES[3:])))
        file.mkdir("empty")
    return path


def column(kind: pa.DataType) -> Callable[[Path], Path]:
    def make(directory: Path) -> Path:
        payloads = pa.array([line.decode() for line in LINES]).cast(kind)
        path = directory / "payloads.parquet"
        pq.write_table(pa.table({"id": range(6), "payload": payloads}), path)
        return path

    return make


several = in_time(several_files)
SOURCES: dict[str, Callable[[Path], Any]] = {
    "a path as text": lambda d: str(one_file(d)),
    "a path": one_file,
    "a directory": several,
    "a directory with a slash": lambda d: f"{several(d)}/",
    "a glob": lambda d: f"{one_file(d).parent}/ex*[!x].json?",
    "globs": lambda d: [f"{several(d)}/a*", f"{d}/b/*.json*", f"{d}/*/c/?.*", f"{d}/[e].jsonl"],
    "a glob below": lambda d: str(several(d) / "**" / "*.js*"),
    "a glob of all": lambda d: str(several(d) / "**"),
    "a glob of directories": lambda d: [d / "a.jsonl", str(several(d) / "?"), d / "e.jsonl"],
    "paths": lambda d: [several(d) / "a.jsonl", str(d / "b"), d / "e.jsonl"],
    "paths, one twice": lambda d: [several(d) / "a.jsonl", d, f"{d}/../{d.name}/e.jsonl"],
    "paths from a generator": lambda d: (path for path in [several(d)]),
    "an open file": lambda d: one_file(d).open("rb"),
    "bytes in memory": lambda d: io.BytesIO(b"".join(LINES)),
    "a pipe": lambda d: Pipe(b"".join(LINES)),
    "something to read": lambda d: OnlyRead(gzip.compress(b"".join(LINES))),
    "open files": lambda d: [io.BytesIO(line) for line in LINES],
    "a file's content": lambda d: b"".join(LINES),
    "a file's packed content": lambda d: bytearray(gzip.compress(b"".join(LINES))),
    "payloads": lambda d: ANSWERS,
    "raw payloads": lambda d: LINES,
    "mixed payloads": lambda d: [ANSWERS[0], LINES[1], bytearray(LINES[2]), *ANSWERS[3:]],
    "a generator of payloads": lambda d: (answer for answer in ANSWERS),
    "a tuple of raw payloads": lambda d: tuple(LINES),
    "a path, then payloads": lambda d: [write(d / "1990-01-01.json", *LINES[:2]), *ANSWERS[2:]],
    "a URI of a file": lambda d: one_file(d).as_uri(),
    "a URI of a directory": lambda d: several(d).as_uri(),
    "a URI of a directory with a slash": lambda d: several(d).as_uri() + "/",
    "a zip": archive,
    "an open zip": lambda d: archive(d).open("rb"),
    "a zip's content": lambda d: archive(d).read_bytes(),
    "a URI of a zip": lambda d: archive(d).as_uri(),
    "a directory with a zip": lambda d: archive(d).parent,
    "a column of text": column(pa.string()),
    "a column of large text": column(pa.large_string()),
    "a column of binary": column(pa.binary()),
    "a URI of a column": lambda d: column(pa.string())(d).as_uri(),
    "an open column": lambda d: column(pa.string())(d).open("rb"),
}


@pytest.fixture(scope="module")
def expected() -> ra.Redemptions:
    r = ra.load(ANSWERS)
    assert keys(r) == KEYS
    return r


@pytest.mark.parametrize("kind", SOURCES)
def test_every_kind_of_source_gives_the_same_tables(
    kind: str, tmp_path: Path, expected: ra.Redemptions
) -> None:
    source = SOURCES[kind](tmp_path)
    r = ra.load(source)
    same(r, expected)
    assert r.rejects.empty
    assert files(r)[0] >= 1
    if hasattr(source, "close"):
        source.close()


def test_one_payload_is_a_source(expected: ra.Redemptions) -> None:
    assert keys(ra.load(ANSWERS[0])) == keys(ra.load(LINES[0])) == ["a"]


def test_a_file_of_the_user_stays_open_and_usable(tmp_path: Path) -> None:
    for data in (b"".join(LINES), gzip.compress(b"".join(LINES)), archive(tmp_path).read_bytes()):
        for stream in (io.BytesIO(b"head" + data), write(tmp_path / "x", b"head", data).open("rb")):
            with stream:
                assert stream.read(4) == b"head"
                # What comes before is the user's own.
                assert keys(ra.load(stream)) == KEYS
                assert not stream.closed
                stream.seek(4)
                assert keys(ra.load(stream)) == KEYS
                stream.seek(0)
                assert stream.read() == b"head" + data
    truncated = io.BytesIO(gzip.compress(b"".join(LINES))[:-3])
    assert keys(ra.load(truncated)) == KEYS
    assert truncated.seek(0) == 0


def test_sources_are_named_as_they_were_given(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    several(tmp_path)
    monkeypatch.chdir(tmp_path)
    names = ["a.jsonl", "b/a.json", "b/c/d.jsonl.gz", "e.jsonl"]
    assert found(".") == [f"./{name}" for name in names]
    assert found(Path("b")) == names[1:3]
    assert found("b/../*.jsonl") == [
        "b/../a.jsonl",
        "b/../e.jsonl",
    ]
    uri = Path("b").absolute().as_uri()
    assert found(uri + "/") == [
        f"{uri}/a.json",
        f"{uri}/c/d.jsonl.gz",
    ]
    with open("a.jsonl", "rb") as stream:
        r = ra.load([stream, io.BytesIO(LINES[1]), io.BytesIO(LINES[2]), LINES[3]])
    assert list(r.responses["source"]) == ["a.jsonl", "stream", "stream (2)", "payloads"]
    r = ra.load(archive(tmp_path).relative_to(tmp_path))
    assert list(r.responses["source"].unique()) == [
        "exports.zip/2026-01-01/deep/er/a.json",
        "exports.zip/2026-01-02/b.json",
        "exports.zip/2026-01-03.jsonl.gz",
    ]


def test_payloads_are_taken_as_they_come() -> None:
    taken = []

    def endless() -> Iterator[Payload]:
        for number in range(10**9):
            taken.append(number)
            yield answer(f"k{number}") if number < 5000 else answer("x", -1)

    with pytest.raises(ra.RejectedError, match="record 5001"):
        ra.load(endless(), on_error="raise")
    assert len(taken) < 200_000


def test_links_are_followed_once(tmp_path: Path) -> None:
    exports = several(tmp_path / "exports")
    elsewhere = write(tmp_path / "elsewhere" / "x.jsonl", *LINES).parent
    os.utime(elsewhere / "x.jsonl", (1_700_000_000, 1_700_000_000))
    (exports / "all").symlink_to(elsewhere, target_is_directory=True)
    (exports / "again").symlink_to(exports / "b", target_is_directory=True)
    (exports / "loop").symlink_to(exports, target_is_directory=True)
    (exports / "b" / "up").symlink_to("..", target_is_directory=True)
    (exports / "1-latest.jsonl").symlink_to(exports / "e.jsonl")
    # What has two names is known by its own, which may hold its date.
    assert [
        export.name.removeprefix(f"{exports}/")
        for export in find_exports(exports)
        if not export.passed_over
    ] == [
        "a.jsonl",
        "all/x.jsonl",
        "b/a.json",
        "b/c/d.jsonl.gz",
        "e.jsonl",
    ]
    assert files(ra.load(exports)) == (5, 0)


def test_a_directory_has_one_order(tmp_path: Path) -> None:
    names = ["b.json", "a.json", "a/z.json", "a/b.json", "c/a.json", "B.json"]
    for name in names:
        os.utime(write(tmp_path / name, LINES[0]), (1, 1))
    found = [export.name.removeprefix(f"{tmp_path}/") for export in find_exports(tmp_path)]
    assert found == ["B.json", "a.json", "a/b.json", "a/z.json", "b.json", "c/a.json"]
    uri = tmp_path.as_uri()
    assert [export.name.removeprefix(f"{uri}/") for export in find_exports(uri)] == found


@pytest.mark.parametrize("pii", ["keep", "pseudonymize"])
def test_many_archives_need_few_open_files(
    pii: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("REDEMPTION_ANALYTICS_PII_KEY", "sixteen or more bytes")
    resource = pytest.importorskip("resource")
    for number in range(90):
        with zipfile.ZipFile(tmp_path / f"{number}.zip", "w") as file:
            file.writestr("a.json", LINES[0])
            file.writestr("b.json", LINES[1])
    limit, highest = resource.getrlimit(resource.RLIMIT_NOFILE)
    free = os.open(os.devnull, os.O_RDONLY)
    os.close(free)
    resource.setrlimit(resource.RLIMIT_NOFILE, (free + 30, highest))
    try:
        r = ra.load(tmp_path, exported_at="2026-01-01", pii=pii)
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, (limit, highest))
    assert files(r) == (180, 0)


def test_an_archive_may_hold_archives_and_a_name_twice(tmp_path: Path) -> None:
    inner = archive(tmp_path).read_bytes()
    path = tmp_path / "outer.json"
    with zipfile.ZipFile(path, "w") as file:
        file.writestr("inner.zip", inner)
        file.writestr("same.json", LINES[0])
        with pytest.warns(UserWarning, match="Duplicate name"):
            file.writestr("same.json", LINES[1])
    r = ra.load(path)
    assert sorted(keys(r)) == KEYS
    assert files(r) == (5, 0)


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="no FIFOs here")
def test_a_fifo_is_read_where_it_is_named_and_not_waited_for_elsewhere(tmp_path: Path) -> None:
    one_file(tmp_path)
    os.mkfifo(tmp_path / "fifo.json")
    (tmp_path / "link.json").symlink_to(tmp_path / "fifo.json")
    assert files(ra.load(tmp_path)) == (1, 0)
    assert files(ra.load(f"{tmp_path}/*")) == (1, 0)
    data = gzip.compress(b"".join(LINES))
    writer = threading.Thread(target=lambda: (tmp_path / "fifo.json").write_bytes(data))
    writer.start()
    assert keys(ra.load(tmp_path / "fifo.json")) == KEYS
    writer.join()


# What is wrong


@pytest.mark.parametrize(
    ("make", "said"),
    [
        (lambda d: d / "missing.json", "missing.json does not exist"),
        (lambda d: [one_file(d), str(d / "missing")], "missing does not exist"),
        (lambda d: str(d / "*.json"), r"\*.json matches no file"),
        (lambda d: str(d / "**" / "x"), "x matches no file"),
        (lambda d: d, "holds no files: is it the right directory"),
        (lambda d: write(d / ".hidden.json", *LINES).parent, "holds no files"),
        (lambda d: d.as_uri(), "holds no files: is it the right directory"),
        (lambda d: (d / "missing.json").as_uri(), "missing.json does not exist"),
        (lambda d: "nonsense://bucket/x.json", "nonsense://bucket/x.json cannot be reached"),
        (lambda d: "https://example.com/x.json", "elsewhere has to be downloaded first"),
        (lambda d: "~/x.json", "~/x.json does not exist: write it out"),
        (lambda d: "", "^'' does not exist"),
        (lambda d: spreadsheet(d), "x.xlsx: the file is a spreadsheet, which is not read: save"),
        (
            lambda d: write(d / "x.7z", b"7z"),
            "x.7z, line 1: the file is a .7z archive, which is not",
        ),
        (lambda d: write(d / "README.md", b"# Exports\n").parent, "README.md holds no answers"),
        (lambda d: write(d / "x.json").parent, "x.json: the file is empty"),
        (lambda d: write(d / "x.json"), "x.json: the file is empty"),
        (lambda d: one_file(d).open(encoding="utf-8"), 'open it as binary, with mode "rb"'),
        (lambda d: io.StringIO("{}"), 'open it as binary, with mode "rb"'),
        (lambda d: (d / "out").open("wb"), "out cannot be read"),
        (lambda d: 5, "a source cannot be of type int: give the path of a file or directory"),
        (lambda d: None, "a source cannot be None: give the path"),
        (lambda d: [5], "a source cannot be of type int"),
        (lambda d: [ANSWERS[0], "x.json"], "a payload cannot be of type str: give dict or bytes"),
        (lambda d: iter([LINES[0], Path("x.json")]), "a payload cannot be of type PosixPath"),
        (lambda d: [LINES[0], None], "a payload cannot be None"),
        (lambda d: [], "the given list holds nothing to read"),
        (lambda d: iter(()), "tuple_iterator holds nothing to read"),
        (lambda d: LINES[0].decode(), "text is taken for a path"),
        (lambda d: json.dumps(ANSWERS), "text is taken for a path"),
        (lambda d: "<response></response>", "give it as bytes"),
        (lambda d: "a\0b", "does not exist"),
        (lambda d: b"", "payloads: the file is empty"),
        (lambda d: empty_zip(d, {}), "x.zip"),
        (lambda d: empty_zip(d, {"x.jsonl": b""}), "x.jsonl: the file is empty"),
        (lambda d: empty_zip(d, {"notes.txt": b""}), "notes.txt holds no answers"),
    ],
)
def test_a_source_that_is_none_is_an_error(
    make: Callable[[Path], Any], said: str, tmp_path: Path
) -> None:
    source = make(tmp_path)
    with pytest.raises(ra.SourceError, match=said):
        ra.load(source)
    if hasattr(source, "close"):
        source.close()


def spreadsheet(directory: Path) -> Path:
    with zipfile.ZipFile(directory / "x.xlsx", "w") as file:
        file.writestr("[Content_Types].xml", '<?xml version="1.0"?><Types/>')
        file.writestr("xl/worksheets/sheet1.xml", '<?xml version="1.0"?><worksheet/>')
    return directory / "x.xlsx"


def empty_zip(directory: Path, members: dict[str, bytes]) -> Path:
    with zipfile.ZipFile(directory / "x.zip", "w") as file:
        for name, data in members.items():
            file.writestr(name, data)
    return directory / "x.zip"


def test_what_is_no_export_by_its_name_is_passed_over(tmp_path: Path) -> None:
    one_file(tmp_path)
    write(tmp_path / "README.md", b'# Exports\n\n```\n{"response": {}}\n```\n')
    write(tmp_path / "table.csv", b"a,b\n1,2\n")
    write(tmp_path / "picture.png", b"\x89PNG\r\n\x1a\n" + bytes(range(256)) * 300)
    write(tmp_path / "page.html", b"<!DOCTYPE html><html><body>hello</body></html>")
    write(tmp_path / "drawing.svg", b'<?xml version="1.0"?><svg/>')
    write(tmp_path / "fetch.py", b"import json\n[1, 2]\n")
    write(tmp_path / "empty")
    with zipfile.ZipFile(tmp_path / "sheet.xlsx", "w") as file:
        file.writestr("xl/workbook.xml", '<?xml version="1.0"?><workbook/>')
    pq.write_table(pa.table({"x": [1]}), tmp_path / "other.pq")
    for source in (tmp_path, f"{tmp_path}/*", tmp_path.as_uri()):
        r = ra.load(source)
        assert keys(r) == KEYS
        assert files(r) == (1, 0)
    # By name they are rejected, and where nothing else is there, an error.
    for name in ("table.csv", "picture.png", "page.html", "drawing.svg", "fetch.py"):
        r = ra.load([tmp_path / "export.jsonl", tmp_path / name])
        assert files(r) == (1, 1)
        assert list(r.rejects["source"]) == [str(tmp_path / name)]
        with pytest.raises(ra.SourceError, match=r"no export|no answers|an HTML page"):
            ra.load(tmp_path / name)
    assert files(ra.load([tmp_path / "export.jsonl", f"{tmp_path}/*.csv"])) == (1, 1)


def test_answers_under_a_name_of_their_own_are_found(tmp_path: Path) -> None:
    write(tmp_path / "part-0000", LINES[0])
    write(tmp_path / "export.bak", b" [\n", LINES[1], b"]")
    write(tmp_path / "answers", gzip.compress(LINES[2]))
    write(tmp_path / "4", b"<?xml version='1.0'?><root><response><status/></response></root>")
    r = ra.load(tmp_path)
    assert sorted(keys(r)) == ["a", "b", "c"]
    assert files(r) == (4, 0)


@pytest.mark.parametrize(
    ("spoil", "reason"),
    [
        (lambda path: path.symlink_to("nowhere"), "cannot be read: No such file"),
        (lambda path: path.symlink_to(path.name), "cannot be read: Too many levels"),
        (lambda path: encrypt(path), "cannot be read: it is encrypted: unpack it with its"),
        (lambda path: write(path, LINES[0]).chmod(0), "cannot be read: Permission denied"),
        (lambda path: write(path / "x.json", LINES[0]).parent.chmod(0), "cannot be read: Permis"),
    ],
    ids=["broken link", "link to itself", "encrypted zip", "unreadable", "unreadable directory"],
)
def test_a_file_that_cannot_be_read_is_a_reject(
    spoil: Callable[[Path], Any], reason: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    one_file(tmp_path)
    bad = tmp_path / "bad.json"
    spoil(bad)
    if "Permis" in reason and os.access(bad, os.R_OK):
        pytest.skip("nothing is unreadable to root")
    for source in (tmp_path, f"{tmp_path}/*"):
        r = ra.load(source)
        assert keys(r) == KEYS
        assert files(r) == (1, 1)
        assert r.rejects["source"].str.startswith(str(bad)).all()
        assert r.rejects["reason"].str.match(f"the file {reason}").all()
        with pytest.raises(ra.SourceError, match=f"bad.json.*: the file {reason}"):
            ra.load(source, on_error="raise")
    bad.chmod(0o700) if bad.exists() else None


def encrypt(path: Path) -> None:
    """Write a zip that says that it is encrypted."""
    with zipfile.ZipFile(path, "w") as file:
        file.writestr("a.json", LINES[0])
    data = bytearray(path.read_bytes())
    data[6] |= 1
    data[data.index(b"PK\x01\x02") + 8] |= 1
    path.write_bytes(data)


def test_a_file_that_is_refused_is_a_reject(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As the one above, for those to whom nothing is unreadable."""
    one_file(tmp_path)
    write(tmp_path / "bad.json", LINES[0])
    real = open

    def refusing(path: Any, *args: Any, **options: Any) -> Any:
        if str(path).endswith("bad.json"):
            raise PermissionError(13, "Permission denied", str(path))
        return real(path, *args, **options)

    monkeypatch.setattr("builtins.open", refusing)
    r = ra.load(tmp_path)
    assert files(r) == (1, 1)
    assert list(r.rejects["reason"]) == ["the file cannot be read: Permission denied"]


class Failing(io.BytesIO):
    """What fails after so many bytes, as a disk or a network may."""

    def __init__(self, data: bytes, after: int):
        super().__init__(data)
        self._after = after

    def read(self, size: int | None = -1) -> bytes:
        if size is None or size < 0 or self.tell() + size > self._after:
            raise OSError(5, "Input/output error")
        return super().read(size)


def test_what_was_read_before_a_failure_is_loaded() -> None:
    after = sum(map(len, LINES[:3])) + 10
    r = ra.load(Failing(b"".join(LINES), after))
    assert keys(r) == ["a", "b", "c"]
    assert files(r) == (0, 1)
    assert list(r.rejects["reason"]) == [
        "not valid JSON: it breaks off in the middle",
        "the file breaks off: Input/output error",
    ]


def test_a_zip_that_breaks_off_is_a_reject(tmp_path: Path) -> None:
    data = archive(tmp_path).read_bytes()
    write(tmp_path / "exports.zip", data[:-30])
    one_file(tmp_path)
    r = ra.load(tmp_path)
    assert keys(r) == KEYS
    assert files(r) == (1, 1)
    assert r.rejects["reason"][0].startswith("the file is a .zip that cannot be opened")


def test_an_error_of_the_users_own_is_not_hidden() -> None:
    def failing() -> Iterator[Payload]:
        yield ANSWERS[0]
        raise OSError("the network is down")

    with pytest.raises(OSError, match="the network is down"):
        ra.load(failing())


# When an export was made


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("2026-11-20.json", "2026-11-20"),
        ("exports/20261120/part-7.jsonl.gz", "2026-11-20"),
        ("2026-11-20T03-00/x.json", "2026-11-20 03:00"),
        ("2026-11-20T03:00:07Z.json", "2026-11-20 03:00:07"),
        ("x_20261120_031500.json", "2026-11-20 03:15"),
        ("20261120031500.json", "2026-11-20 03:15"),
        ("2026-11-20 0315.json", "2026-11-20 03:15"),
        ("2025-01-01/2026-11-20.json", "2026-11-20"),
        ("2026-11-20/2025-01-01.json", "2025-01-01"),
        ("2026-11-20-part-12.json", "2026-11-20"),
        ("2026-11-20_9999.json", "2026-11-20"),
        ("2026-13-45/2026-11-20/99999999.json", "2026-11-20"),
        ("2026-02-30.json", None),
        ("120261120.json", None),
        ("2025-stores.json", None),
        ("part-00012.json", None),
    ],
)
def test_the_last_date_in_a_path_tells(name: str, expected: str | None) -> None:
    found = date_in_name(name)
    assert found == (expected and datetime.fromisoformat(expected))


def test_exported_at_is_the_parameter_or_the_path_or_the_modification_time(tmp_path: Path) -> None:
    dated = write(tmp_path / "2026-11-20T03-00" / "a.json", LINES[0])
    plain = write(tmp_path / "b.json", LINES[1])
    os.utime(plain, (1_600_000_000, 1_600_000_000))
    with zipfile.ZipFile(tmp_path / "2026-10-01.zip", "w") as file:
        file.writestr("c.json", LINES[2])
        file.writestr("20261002/d.json", LINES[3])
    written = datetime.fromtimestamp(1_600_000_000, UTC).replace(tzinfo=None)
    times = {
        "a": datetime(2026, 11, 20, 3),
        "b": written,
        "c": datetime(2026, 10, 1),
        "d": datetime(2026, 10, 2),
    }

    def told(r: ra.Redemptions) -> dict[str, datetime]:
        return dict(
            zip(r.responses["customer_key"].str[-1], r.responses["exported_at"], strict=True)
        )

    for source in (tmp_path, tmp_path.as_uri(), [plain, dated, tmp_path / "2026-10-01.zip"]):
        assert told(ra.load(source)) == times
    assert set(told(ra.load(tmp_path, exported_at="2020-02-02")).values()) == {datetime(2020, 2, 2)}
    with dated.open("rb") as stream:
        assert told(ra.load(stream)) == {"a": times["a"]}
    before = datetime.now(UTC).replace(tzinfo=None, microsecond=0)
    (now,) = told(ra.load(ANSWERS[0])).values()
    assert before <= now <= datetime.now(UTC).replace(tzinfo=None)


def test_of_two_copies_the_newer_counts_in_whatever_order(tmp_path: Path) -> None:
    old = write(tmp_path / "2026-01-01.json", json.dumps(answer("a", 10)).encode())
    new = write(tmp_path / "2026-02-01.json", json.dumps(answer("a", 20)).encode())
    loads = [ra.load(source) for source in ([old, new], [new, old], tmp_path, [new, tmp_path])]
    for r in loads:
        assert list(r.points["points_redeemed"]) == [20]
        ledger = r.ledger.set_index("element").loc["points"]
        assert ledger.to_dict() == {
            "seen": 2,
            "loaded": 1,
            "merged": 1,
            "rejected": 0,
            "passed_over": 0,
        }
        for name, frame in r.tables.items():
            assert_frame_equal(frame, loads[0].tables[name])
    # Of equally new ones the one whose name comes last counts.
    for source in ([new, old], [old, new]):
        r = ra.load(source, exported_at="2026-01-01")
        assert list(r.points["points_redeemed"]) == [20]


@pytest.mark.parametrize("pii", ["keep", "pseudonymize", "drop"])
def test_the_order_in_which_sources_are_given_changes_nothing(
    pii: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("REDEMPTION_ANALYTICS_PII_KEY", "sixteen or more bytes")
    data = [json.dumps(answer("a", points)).encode() for points in (10, 20, 30, 40)]
    first = write(tmp_path / "below" / "one.json", data[0])
    hidden = write(tmp_path / "below" / "_two.json", data[1])
    odd = write(tmp_path / "below" / "three", data[2])
    (tmp_path / "a link.json").symlink_to(first)
    with zipfile.ZipFile(tmp_path / "four.zip", "w") as file:
        file.writestr("four.json", data[3])
        file.writestr("three.json", data[2])
    sources = [tmp_path, tmp_path / "below", first, hidden, odd, tmp_path / "four.zip"]
    loads = [
        ra.load(list(order), exported_at="2026-01-01", pii=pii)
        for order in (sources, sources[::-1], sources[3:] + sources[:3])
    ]
    assert len(loads[0].files) == 6
    assert loads[0].files["status"].value_counts().to_dict() == {"loaded": 5, "passed over": 1}
    told = [cells_without_keys(r) if pii == "drop" else r.tables for r in loads]
    for tables in told:
        for name, frame in tables.items():
            assert_frame_equal(frame, told[0][name], obj=name)


def cells_without_keys(r: ra.Redemptions) -> dict[str, Any]:
    """What is the same whatever the random key."""
    return {
        "points": r.points.drop(columns="customer_key"),
        "files": r.files[["size", "status", "exported_at"]],
    }


def test_what_is_called_the_same_is_read_in_the_order_given(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("REDEMPTION_ANALYTICS_PII_KEY", "sixteen or more bytes")

    def named(points: int) -> io.BytesIO:
        stream = io.BytesIO(json.dumps(answer("a", points)).encode())
        stream.name = "same.json"
        return stream

    for pii in ("keep", "pseudonymize"):
        r = ra.load([*map(named, range(1, 13))], exported_at="2026-01-01", pii=pii)
        assert list(r.points["points_redeemed"]) == [12]
        (name,) = {re.sub(r" \(\d+\)$", "", source) for source in r.files["source"]}
        assert list(r.files["source"])[1:3] == [f"{name} (2)", f"{name} (3)"]


# Progress


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


@pytest.mark.parametrize(
    ("terminal", "progress", "shown"),
    [
        (False, None, False),
        (True, None, True),
        (False, True, True),
        (True, False, False),
    ],
)
def test_progress_is_shown_on_a_terminal_or_when_asked_for(
    terminal: bool,
    progress: bool | None,
    shown: bool,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    stream = Terminal() if terminal else io.StringIO()
    monkeypatch.setattr(sys, "stderr", stream)
    r = ra.load(several(tmp_path), progress=progress)
    assert keys(r) == KEYS
    assert ("loading" in stream.getvalue()) == shown
    assert ("100%" in stream.getvalue()) == shown
