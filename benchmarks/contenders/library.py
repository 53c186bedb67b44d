"""The library itself, by its public functions."""

from __future__ import annotations

from pathlib import Path

import redemption_analytics as ra
from benchmarks.work import WORK, Tables


def load(source: Path, _target: Path) -> Tables:
    """Load into validated pandas DataFrames."""
    r = ra.load(source)
    return {name: r.tables[name] for name in WORK}


def convert(source: Path, target: Path) -> Tables:
    """Convert to Parquet, one folder per table."""
    ra.convert(source, target)
    return {name: target / name for name in WORK}
