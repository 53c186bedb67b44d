"""Digests of texts, by the native library."""

from __future__ import annotations

import numpy as np
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
    _, offsets, data = texts.buffers()
    written = pa.allocate_buffer(_DIGITS * count)
    places = np.frombuffer(offsets, np.int32)[texts.offset : texts.offset + count + 1]
    if count:
        address = 0 if data is None else data.address
        library().reader_digests(places.ctypes.data, address, count, written.address)
    ends = pa.py_buffer(_DIGITS * np.arange(count + 1, dtype=np.int32))
    return pa.StringArray.from_buffers(count, ends, written)
