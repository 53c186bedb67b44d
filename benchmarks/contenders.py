"""What is measured: each a function from a source file and a target directory."""

from __future__ import annotations

from pathlib import Path

import redemption_analytics as ra


def load(source: Path, _target: Path) -> None:
    """Load into validated pandas DataFrames."""
    ra.load(source)


def convert(source: Path, target: Path) -> None:
    """Convert to Parquet, one folder per table."""
    ra.convert(source, target)


CONTENDERS = {"load": load, "convert": convert}
