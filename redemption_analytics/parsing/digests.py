"""Digests of texts, and numbers that tell values apart, by the native library."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from redemption_analytics.parsing.binding import library

_DIGITS = 32

#: The number of what is null.
NOTHING = np.uint64(0)

Numbers = npt.NDArray[np.uint64]


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


def numbers_of(values: pa.ChunkedArray) -> Numbers:
    """Return a number for each value: where two are different, so are the values.

    Equal numbers of different values are rare, but whoever wants can make some.

    Parameters
    ----------
    values
        Texts or integers.

    Returns
    -------
    numpy.ndarray
        Their numbers, ``NOTHING`` for nulls, and hardly ever for values.

    Examples
    --------
    >>> one, other, again = numbers_of(pa.chunked_array([["a", "b", "a"]]))
    >>> bool(one == again), bool(one == other)
    (True, False)
    """
    whole = values.combine_chunks()
    numbers = np.empty(len(whole), np.uint64)
    if pa.types.is_integer(whole.type):
        numbers[:] = whole.fill_null(int(NOTHING)).to_numpy().view(np.uint64)
        return numbers
    _call("reader_hashes", whole, numbers.ctypes.data)
    if whole.null_count:
        numbers[pc.is_null(whole).to_numpy(zero_copy_only=False)] = NOTHING
    return numbers


def _call(function: str, texts: pa.StringArray, to: int) -> None:
    """Let a function of the library write something of each text to an address."""
    count = len(texts)
    _, offsets, data = texts.buffers()
    if count:
        places = np.frombuffer(offsets, np.int32)[texts.offset : texts.offset + count + 1]
        address = 0 if data is None else data.address
        getattr(library(), function)(places.ctypes.data, address, count, to)
