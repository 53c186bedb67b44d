"""What CONTRIBUTING.md points to is there."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
TEXT = (ROOT / "CONTRIBUTING.md").read_text(encoding="utf-8")
#: What the text tells to make.
TO_BE_MADE = {"frequency.py", "tests/metrics/test_frequency.py", "dist"}


def named() -> list[str]:
    """Give the files and folders that the text names, as it names them."""
    found = re.findall(r"`([\w./-]+(?:\.\w+|/))`", TEXT) + re.findall(r"\]\(([\w./-]+)\)", TEXT)
    return sorted({name.rstrip("/") for name in found if "/" in name or name.endswith(".py")})


def test_every_file_that_is_named_is_there() -> None:
    package = ROOT / "redemption_analytics"
    folders = [
        ROOT,
        ROOT / "tests",
        package,
        *(path for path in package.rglob("*") if path.is_dir()),
    ]
    names = [name for name in named() if name not in TO_BE_MADE]
    assert len(names) > 30
    assert [name for name in names if not any((at / name).exists() for at in folders)] == []


@pytest.mark.parametrize(
    ("file", "names"),
    [
        ("redemption_analytics/contract.py", ["Kind", "POINTS", "ELEMENTS"]),
        ("redemption_analytics/columns.py", ["_TEXT", "UNIQUE", "RELATIONS"]),
        ("redemption_analytics/flattening/flatten.py", ["_points", "_personal", "PARENTS"]),
        ("redemption_analytics/__init__.py", ["_HOMES", "__version__"]),
        ("redemption_analytics/audits/checks.py", ["_CHECKS", "_loaders", "_here"]),
        ("redemption_analytics/sources/compression.py", ["_CODECS", "unpacked"]),
        ("redemption_analytics/parsing/rejects.py", ["REASONS"]),
        ("redemption_analytics/parsing/src/values.hpp", ["Reason"]),
        ("tests/flattening/test_shapes.py", ["COLUMNS"]),
        ("tests/parsing/test_reader.py", ["whole_answer"]),
        ("tests/naive.py", ["FIELDS"]),
        ("tests/test_usage.py", ["METRICS"]),
        ("tests/audits/test_audits.py", ["CHECKS", "CASES"]),
        ("tests/plot/test_plot.py", ["CHARTS"]),
        ("hatch_build.py", ["WHEELS"]),
    ],
)
def test_every_name_that_is_named_is_in_its_file(file: str, names: list[str]) -> None:
    code = (ROOT / file).read_text(encoding="utf-8")
    for name in names:
        assert re.search(rf"`[^`]*\b{name}\b[^`]*`", TEXT), name
        assert re.search(rf"\b{name}\b", code), name


def test_the_hooks_run_what_is_told_and_fetch_nothing() -> None:
    hooks = (ROOT / ".pre-commit-config.yaml").read_text(encoding="utf-8")
    entries = re.findall(r"entry: (.*)", hooks)
    told = ["ruff check", "ruff format", "mypy", "lint-imports"]
    assert [entry.removesuffix(" --force-exclude") for entry in entries] == told
    assert all(f"`{entry}`" in TEXT for entry in told)
    assert re.findall(r"repo: (.*)", hooks) == ["local"]
    assert re.findall(r"language: (.*)", hooks) == ["system"] * len(told)
