"""Renaming: keys that turned out to be another's."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

import pyarrow as pa

from redemption_analytics.flattening.flatten import PARENTS


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

    def among(self, keys: pa.ChunkedArray) -> Renaming:
        """Return this for some keys alone.

        >>> Renaming({"a": "b", "c": "d"}).among(pa.chunked_array([["a", "a", "e"]]))
        Renaming(names={'a': 'b'})
        """
        here = keys.unique().to_pylist() if self.names else []
        return Renaming({name: self.names[name] for name in here if name in self.names})


@dataclass(frozen=True)
class Names:
    """What is put in place of keys.

    Attributes
    ----------
    customers, redemptions
        In place of keys of customers, and of points redemptions.
    """

    customers: Renaming = field(default_factory=Renaming)
    redemptions: Renaming = field(default_factory=Renaming)

    @classmethod
    def together(cls, several: Iterable[Names]) -> Names:
        """Return what is put in place of keys by any of some, no two of which know one key."""
        customers: dict[str, str | None] = {}
        redemptions: dict[str, str | None] = {}
        for names in several:
            customers.update(names.customers.names)
            redemptions.update(names.redemptions.names)
        return cls(Renaming(customers), Renaming(redemptions))

    def within(self, name: str) -> dict[str, Renaming]:
        """Return what is put in place of keys in a table, by column.

        >>> list(Names(redemptions=Renaming({"a": "b"})).within("reversals"))
        ['redemption_key']
        """
        found = {}
        if self.customers and name in ("responses", "customers", "coupons", "points"):
            found["customer_key"] = self.customers
        if self.redemptions and "points" in (name, PARENTS.get(name)):
            found["redemption_key"] = self.redemptions
        return found


def renamed(batch: pa.Table, renamings: Mapping[str, Renaming]) -> pa.Table:
    """Put other keys into the columns of a batch that have them."""
    for column, renaming in renamings.items():
        if column in batch.column_names:
            place = batch.schema.get_field_index(column)
            keys = renaming.of(batch[column])
            batch = batch.set_column(place, batch.schema.field(column), keys)
    return batch
