"""Arrow's memory is the system's while a load goes on, and as it was before when it has ended."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pyarrow as pa
import pytest

import redemption_analytics as ra
from redemption_analytics import memory

SAMPLES = Path(__file__).parent.parent / "data_samples"


@pytest.fixture(autouse=True)
def by_default(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("ARROW_DEFAULT_MEMORY_POOL", raising=False)


def test_a_load_takes_and_gives_back() -> None:
    before = pa.default_memory_pool().backend_name
    met: list[str] = []

    def source() -> Iterator[bytes]:
        met.append(pa.default_memory_pool().backend_name)
        yield (SAMPLES / "2020-breakups.json").read_bytes()

    ra.load(source())
    assert met == ["system" if before == "mimalloc" else before]
    assert pa.default_memory_pool().backend_name == before


def test_after_an_error_all_is_as_before() -> None:
    before = pa.default_memory_pool().backend_name
    with pytest.raises(ra.SourceError):
        ra.load(SAMPLES / "nothing.json")
    assert pa.default_memory_pool().backend_name == before


def test_what_somebody_chose_stays(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ARROW_DEFAULT_MEMORY_POOL", "mimalloc")
    before = pa.default_memory_pool().backend_name
    with memory.system_memory():
        assert pa.default_memory_pool().backend_name == before
