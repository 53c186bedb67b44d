"""The shared library that the reader is, loaded through its C ABI, without Python's headers."""

from __future__ import annotations

import ctypes
from functools import lru_cache
from pathlib import Path

from redemption_analytics.errors import RedemptionAnalyticsError

#: What the library is called, on whatever system.
FILE = Path(__file__).with_name("_reader.lib")

#: What it is built from, where the package is installed for development.
_SOURCES = Path(__file__).with_name("src")

_POINTER = ctypes.c_void_p
_SIZE = ctypes.c_size_t


@lru_cache(maxsize=1)
def library() -> ctypes.CDLL:
    """Load the library.

    Raises
    ------
    RedemptionAnalyticsError
        If it was not built for this system, or not since its sources changed.
    """
    if FILE.exists() and is_older(FILE, _SOURCES):
        raise RedemptionAnalyticsError(
            "the native reader is older than its sources. Build it again: python hatch_build.py, or"
            ' pip install --editable "."'
        )
    if not FILE.exists() and _SOURCES.exists():
        raise RedemptionAnalyticsError(
            f"the package is imported from its sources in {_SOURCES.parents[2]}, where the native"
            ' reader is not built. Build it there: pip install --editable "."; or, where the'
            " package is installed, start Python in another folder"
        )
    try:
        loaded = ctypes.CDLL(str(FILE))
    except OSError as error:
        raise RedemptionAnalyticsError(
            f"the native reader cannot be loaded ({error}). Install the package again on this"
            " system: pip install --force-reinstall redemption-analytics"
        ) from None
    word = ctypes.c_uint32
    signatures = {
        "reader_open": (ctypes.c_int, [_POINTER, _SIZE, _POINTER]),
        "reader_close": (None, [_POINTER]),
        "reader_read": (
            ctypes.c_int,
            [_POINTER, _POINTER, _SIZE, _POINTER, word, _SIZE, _POINTER],
        ),
        "reader_records": (word, [_POINTER]),
        "reader_table": (ctypes.c_int, [_POINTER, _POINTER, word, _POINTER, _POINTER]),
        "reader_part": (_POINTER, [_POINTER, ctypes.c_int, _POINTER]),
        "reader_free": (None, [_POINTER]),
        "reader_digests": (None, [_POINTER, _POINTER, _SIZE, _POINTER]),
        "reader_hashes": (None, [_POINTER, _POINTER, _SIZE, _POINTER]),
    }
    for name, (gives, takes) in signatures.items():
        function = getattr(loaded, name)
        function.restype, function.argtypes = gives, takes
    return loaded


def is_older(library: Path, sources: Path) -> bool:
    """Check whether a library is older than one of the files that it is built from."""
    built = library.stat().st_mtime_ns
    return any(path.stat().st_mtime_ns > built for path in sources.rglob("*"))
