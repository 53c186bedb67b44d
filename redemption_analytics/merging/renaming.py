"""Renaming: keys that turned out to be another's."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

import pyarrow as pa


@dataclass(frozen=True)
class Renaming:
    """Keys in whose place another stands in the end.

    Attributes
    ----------
    names
        The new key of each old one; None where there is none any more.
    """

    names: Mapping[str, str | None] = field(default_factory=dict)

    def __bool__(self) -> bool:
        return bool(self.names)

    def of(self, keys: pa.ChunkedArray) -> pa.ChunkedArray:
        """Return the keys that stand in place of these.

        >>> Renaming({"a": "b"}).of(pa.chunked_array([["a", "c", None]])).to_pylist()
        ['b', 'c', None]
        """
        if not self.names:
            return keys
        encoded = keys.combine_chunks().dictionary_encode()
        names = [self.names.get(name, name) for name in encoded.dictionary.to_pylist()]
        return pa.chunked_array([pa.array(names, pa.string()).take(encoded.indices)])
