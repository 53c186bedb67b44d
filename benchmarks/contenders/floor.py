"""The floor: parsing the same bytes on one core, with nothing kept."""

from __future__ import annotations

from pathlib import Path

from benchmarks.work import Tables

# Bytes. With the usual few, lines are put together from pieces: that took 1.7 times as long.
_BUFFER = 1 << 18


def simdjson(source: Path, _target: Path) -> Tables:
    """Parse each line with simdjson, and look at none."""
    from simdjson import Parser

    parser = Parser()
    with source.open("rb", buffering=_BUFFER) as lines:
        for line in lines:
            parser.parse(line)
    return {}


def orjson(source: Path, _target: Path) -> Tables:
    """Decode each line into Python objects with orjson, and drop them."""
    from orjson import loads

    with source.open("rb", buffering=_BUFFER) as lines:
        for line in lines:
            loads(line)
    return {}
