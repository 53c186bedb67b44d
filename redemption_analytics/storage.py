"""Directories of Parquet that appear whole or not at all."""

from __future__ import annotations

import os
import shutil
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq

from redemption_analytics.errors import UsageError


def write_folders(tables: Mapping[str, pa.Table], directory: Path) -> None:
    """Write each table to a folder of its own."""
    for name, table in tables.items():
        folder = directory / name
        folder.mkdir(parents=True, exist_ok=True)
        pq.write_table(table, folder / "part-0.parquet")


def check_replaceable(target: Path, mark: str, *, overwrite: bool) -> None:
    """Refuse a directory that must not be replaced, before the work and not after it."""
    if not target.exists() or (target.is_dir() and not any(target.iterdir())):
        return
    if not (target / mark).exists():
        raise UsageError(f"{target} holds something else: name a new or an empty directory")
    if not overwrite:
        raise UsageError(
            f"{target} exists already: name another, or replace it with overwrite=True"
            " (--overwrite)"
        )


@contextmanager
def written_beside(target: Path) -> Iterator[Path]:
    """Give a new directory that takes the place of the target when all went well."""
    target = target.absolute()
    target.parent.mkdir(parents=True, exist_ok=True)
    fresh = Path(tempfile.mkdtemp(prefix=f".{target.name}-", dir=target.parent))
    try:
        # mkdtemp makes it for its owner only; people read what is written here.
        fresh.chmod(0o777 & ~_umask())
        yield fresh
        if target.exists():
            old = Path(tempfile.mkdtemp(prefix=f".{target.name}-", dir=target.parent))
            target.rename(old / target.name)
            fresh.rename(target)
            shutil.rmtree(old)
        else:
            fresh.rename(target)
    finally:
        shutil.rmtree(fresh, ignore_errors=True)


def _umask() -> int:
    mask = os.umask(0)
    os.umask(mask)
    return mask
