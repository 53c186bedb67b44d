"""Digests and hashes of texts, by the native library."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from redemption_analytics.parsing.binding import library

_DIGITS = 32


def digests_of(texts: pa.StringArray) -> pa.StringArray:
    """Return the BLAKE2b digest of each text, of 16 bytes in hexadecimal digits.

    Parameters
    ----------
    texts
        The texts; none is null.

    Examples
    --------
    >>> digests_of(pa.array(["a"]))[0].as_py()
    '27c35e6e9373877f29e562464e46497e'
    """
    count = len(texts)
    written = pa.allocate_buffer(_DIGITS * count)
    _call("reader_digests", texts, written.address)
    ends = pa.py_buffer(_DIGITS * np.arange(count + 1, dtype=np.int32))
    return pa.StringArray.from_buffers(count, ends, written)


def hashes_of(texts: pa.StringArray) -> npt.NDArray[np.uint64]:
    """Return a number for each text: where two are different, so are the texts.

    Equal numbers of different texts are rare, but whoever wants can make some.

    Parameters
    ----------
    texts
        The texts; none is null.

    Examples
    --------
    >>> one, other, again = hashes_of(pa.array(["a", "b", "a"]))
    >>> bool(one == again), bool(one == other)
    (True, False)
    """
    hashes = np.empty(len(texts), np.uint64)
    _call("reader_hashes", texts, hashes.ctypes.data)
    return hashes


def _call(function: str, texts: pa.StringArray, to: int) -> None:
    """Let a function of the library write something of each text to an address."""
    count = len(texts)
    _, offsets, data = texts.buffers()
    if count:
        places = np.frombuffer(offsets, np.int32)[texts.offset : texts.offset + count + 1]
        address = 0 if data is None else data.address
        getattr(library(), function)(places.ctypes.data, address, count, to)
