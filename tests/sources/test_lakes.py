"""Tables of a lake: of a Delta table what its newest version holds, of others nothing."""

from __future__ import annotations

import json
import shutil
import sys
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest

import redemption_analytics as ra


def answer(key: str) -> str:
    point = {"redemption_id": key, "points_redeemed": 5}
    customer = {"mobile": "1", "redemptions": {"points": {"point": [point]}}}
    return json.dumps({"response": {"status": {"success": True}, "customer": customer}})


@pytest.fixture(name="lake")
def a_table_that_was_overwritten(tmp_path: Path) -> Path:
    deltalake = pytest.importorskip("deltalake")
    lake = tmp_path / "exports" / "lake"
    for keys in ("ab", "c"):
        rows = pa.table(
            {"payload": [answer(key) for key in keys], "dt": ["2026-01-01"] * len(keys)}
        )
        deltalake.write_deltalake(str(lake), rows, mode="overwrite", partition_by=["dt"])
    (lake.parent / "x.json").write_text(answer("x"))
    return lake


def keys(source: Any) -> list[str]:
    return sorted(ra.load(source).points["redemption_id"])


def test_a_table_is_read_as_its_newest_version(lake: Path) -> None:
    assert keys(lake) == keys(str(lake)) == keys(lake.as_uri()) == ["c"]
    for source in (lake.parent, f"{lake.parent}/*", lake.parent.as_uri(), [lake.parent, lake]):
        assert keys(source) == ["c", "x"]
    r = ra.load(lake.parent)
    assert r.files["status"].value_counts().to_dict() == {"loaded": 2, "passed over": 3}
    assert set(r.files["reason"].dropna()) == {
        "the log of a Delta table",
        "not in the newest version of its Delta table",
    }
    assert r.responses["exported_at"].dt.year.tolist()[0] == 2026


def test_rows_that_were_deleted_do_not_come_back(lake: Path) -> None:
    deltalake = pytest.importorskip("deltalake")
    deltalake.write_deltalake(
        str(lake), pa.table({"payload": [answer("d")], "dt": ["2026-01-02"]}), mode="append"
    )
    deltalake.DeltaTable(str(lake)).delete("dt = '2026-01-01'")
    assert keys(lake) == ["d"]


def test_a_part_of_a_table_is_refused(lake: Path) -> None:
    for source in (lake / "dt=2026-01-01", f"{lake}/*", f"{lake}/dt=*/*.parquet", f"{lake}/**"):
        with pytest.raises(ra.SourceError, match="is a part of a Delta table"):
            ra.load(source)


def test_without_the_package_a_table_is_refused_with_the_remedy(
    lake: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "deltalake", None)
    with pytest.raises(ra.SourceError, match=r'pip install "redemption-analytics\[delta\]"'):
        ra.load(lake.parent)


def test_a_table_that_is_damaged_is_refused_by_name(lake: Path) -> None:
    (lake / "_delta_log" / "00000000000000000001.json").write_text("{")
    with pytest.raises(ra.SourceError, match=r"lake is a Delta table that .* cannot read"):
        ra.load(lake)
    with pytest.raises(ra.SourceError, match=r"^the path given is a Delta table"):
        ra.load(lake, pii="drop")
    shutil.rmtree(lake / "_delta_log")
    assert keys(lake) == ["a", "b", "c"]


@pytest.mark.parametrize(
    ("file", "kind"),
    [
        ("metadata/v1.metadata.json", "an Iceberg table"),
        (".hoodie/hoodie.properties", "a Hudi table"),
    ],
)
def test_tables_of_other_lakes_are_refused_with_a_remedy(
    file: str, kind: str, tmp_path: Path
) -> None:
    (tmp_path / "x.json").write_text(answer("x"))
    (tmp_path / "t" / file).parent.mkdir(parents=True)
    (tmp_path / "t" / file).write_text("{}")
    for source in (tmp_path / "t", tmp_path, tmp_path.as_uri()):
        with pytest.raises(ra.SourceError, match=f"holds {kind}.*: write its newest version"):
            ra.load(source)
