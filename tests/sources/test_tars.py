"""Tape archives: members are files of their own, whatever the archive is packed with or holds."""

from __future__ import annotations

import bz2
import gzip
import io
import json
import lzma
import tarfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest

import redemption_analytics as ra


def answer(key: str) -> bytes:
    point = {"redemption_id": key, "points_redeemed": 5}
    customer = {"mobile": key, "redemptions": {"points": {"point": [point]}}}
    return json.dumps({"response": {"status": {"success": True}, "customer": customer}}).encode()


def tarred(
    members: dict[str, bytes], *more: tarfile.TarInfo, form: int = tarfile.PAX_FORMAT
) -> bytes:
    stream = io.BytesIO()
    with tarfile.open(fileobj=stream, mode="w", format=form) as archive:
        for name, data in members.items():
            header = tarfile.TarInfo(name)
            header.size = len(data)
            archive.addfile(header, io.BytesIO(data))
        for header in more:
            archive.addfile(header)
    return stream.getvalue()


def by_arrow(codec: str) -> Callable[[bytes], bytes]:
    def packed(data: bytes) -> bytes:
        sink = pa.BufferOutputStream()
        with pa.CompressedOutputStream(sink, codec) as stream:
            stream.write(data)
        return sink.getvalue().to_pybytes()

    return packed


PACKINGS: dict[str, Callable[[bytes], bytes]] = {
    "tar": lambda data: data,
    "tar.gz": gzip.compress,
    "tgz": gzip.compress,
    "tar.bz2": bz2.compress,
    "tar.xz": lzma.compress,
    "tar.zst": by_arrow("zstd"),
    "tar.lz4": by_arrow("lz4"),
}


def loaded(data: bytes, tmp_path: Path, name: str = "x.tar", **options: Any) -> ra.Redemptions:
    (tmp_path / name).write_bytes(data)
    return ra.load(tmp_path / name, **options)


def keys(r: ra.Redemptions) -> list[str]:
    return sorted(r.points["redemption_id"])


@pytest.mark.parametrize("suffix", PACKINGS)
@pytest.mark.parametrize("form", [tarfile.USTAR_FORMAT, tarfile.GNU_FORMAT, tarfile.PAX_FORMAT])
def test_members_are_read_as_files_of_their_own(suffix: str, form: int, tmp_path: Path) -> None:
    long = "d" * 60 + "/" + "é" * 40 + ".json"
    members = {"2026-03-01.json": answer("a"), "b/c.jsonl.gz": gzip.compress(answer("b"))}
    data = PACKINGS[suffix](tarred(members | {long: answer("c"), "README": b"x"}, form=form))
    r = loaded(data, tmp_path, f"2026-02-02.{suffix}")
    assert keys(r) == ["a", "b", "c"]
    place = f"{tmp_path}/2026-02-02.{suffix}/"
    dates = {
        row.source.removeprefix(place): str(row.exported_at)[:10] for row in r.files.itertuples()
    }
    assert dates == {
        "2026-03-01.json": "2026-03-01",
        "b/c.jsonl.gz": "2026-02-02",
        long: "2026-02-02",
        "README": "2026-02-02",
    }
    assert r.files["status"].value_counts().to_dict() == {"loaded": 3, "passed over": 1}
    assert keys(ra.load(io.BytesIO(data))) == keys(ra.load(data)) == ["a", "b", "c"]


def test_links_and_hidden_members_are_told_of_and_names_lead_nowhere(tmp_path: Path) -> None:
    link = tarfile.TarInfo("link.json")
    link.type, link.linkname = tarfile.SYMTYPE, "/etc/passwd"
    folder, fifo = tarfile.TarInfo("folder"), tarfile.TarInfo("fifo.json")
    folder.type, fifo.type = tarfile.DIRTYPE, tarfile.FIFOTYPE
    members = {"../../a.json": answer("a"), "/etc/b.json": answer("b"), "_late/c.json": answer("c")}
    before = sorted(tmp_path.rglob("*"))
    r = loaded(tarred(members, link, folder, fifo), tmp_path)
    assert keys(r) == ["a", "b"]
    assert sorted(tmp_path.rglob("*")) == [*before, tmp_path / "x.tar"]
    told = r.files[r.files["status"] == "passed over"].set_index("source")["reason"].to_dict()
    assert told == {
        f"{tmp_path}/x.tar/link.json": "a link to another file in its archive",
        f"{tmp_path}/x.tar/_late/c.json": "may hold answers: hidden: a name in its path begins with"
        ' "." or "_"',
    }


def test_archives_may_hold_archives_with_parquet_in_them(tmp_path: Path) -> None:
    import pyarrow.parquet as pq

    sink = io.BytesIO()
    pq.write_table(pa.table({"payload": [answer("p").decode()]}), sink)
    inner = gzip.compress(tarred({"p.parquet": sink.getvalue(), "a.json": answer("a")}))
    assert keys(loaded(tarred({"inner.tgz": inner, "b.json": answer("b")}), tmp_path)) == [
        "a",
        "b",
        "p",
    ]


@pytest.mark.parametrize("suffix", ["tar", "tar.gz", "tar.xz"])
def test_an_archive_that_breaks_off_gives_what_came_before_and_is_told_of(
    suffix: str, tmp_path: Path
) -> None:
    whole = tarred({"a.json": answer("a"), "b.json": answer("b")})
    for cut in (700, 1500, 2000, 2048, 2100):
        r = loaded(PACKINGS[suffix](whole[:cut]), tmp_path, f"x.{suffix}", on_error="quarantine")
        assert "a" in keys(r)
        counts = r.ledger.set_index("element").loc["files"]
        assert counts["rejected"] >= 1


def test_a_damaged_header_is_told_of(tmp_path: Path) -> None:
    data = bytearray(tarred({"a.json": answer("a"), "b.json": answer("b")}))
    data[1024 + 150] ^= 0xFF
    r = loaded(bytes(data), tmp_path)
    assert keys(r) == ["a"]
    assert r.rejects["reason"].tolist() == [
        "the file cannot be read: its header at byte 1,024 is damaged"
    ]


def test_a_member_of_zeros_without_end_does_not_fill_the_memory(tmp_path: Path) -> None:
    header = tarfile.TarInfo("bomb.json")
    header.size = 300 << 20
    data = gzip.compress(header.tobuf() + bytes(header.size) + bytes(1024), 1)
    (tmp_path / "good.json").write_bytes(answer("good"))
    (tmp_path / "x.tar.gz").write_bytes(data)
    r = ra.load(tmp_path)
    assert keys(r) == ["good"]
    assert len(r.rejects) == 1


def test_members_of_a_packed_archive_are_read_in_one_pass(tmp_path: Path) -> None:
    few, many = (
        gzip.compress(
            tarred({f"{n}.json": answer(str(n)) + b" " * 20_000 for n in range(count)}), 1
        )
        for count in (100, 800)
    )
    taken = []
    for data in (few, many):
        start = time.process_time()
        loaded(data, tmp_path, "x.tar.gz")
        taken.append(time.process_time() - start)
    assert taken[1] < 30 * taken[0]
