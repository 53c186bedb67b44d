"""Which rows stay, where several have one key, and which of them tells what."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from redemption_analytics.columns import key_of
from redemption_analytics.flattening.flatten import ANSWER, PARENT, PARENTS
from redemption_analytics.merging.partitions import ROW, numbered, partitions
from redemption_analytics.merging.renaming import Names, renamed
from redemption_analytics.merging.repeats import Repeats
from redemption_analytics.merging.stores import Keep
from redemption_analytics.merging.told import bits, branches
from redemption_analytics.merging.versions import Hanging, Mask, Versions, codes_of, digests

#: The columns whose values must be there once.
KEYS = {name: key_of(name) for name in ("customers", "coupons", "points", "reversals")}

#: What hangs on the rows of a table.
HANGING = {name: [child for child, parent in PARENTS.items() if parent == name] for name in KEYS}

#: What of breakups is compared.
BREAKUPS = {
    "program_breakups": ("program_id", "points_redeemed"),
    "source_breakups": ("source_store_code", "awarding_date", "points_consumed"),
}

#: What of rows is compared beside.
_COMPARED = {
    "customers": (),
    "coupons": (ANSWER,),
    "points": ("customer_key", "points_redeemed", "program_id", ANSWER),
    "reversals": ("redemption_key", "points_reversed"),
}


@dataclass(frozen=True)
class Rows:
    """The rows that were kept, under the keys that they have in the end.

    Attributes
    ----------
    keep
        Holds them.
    names
        What is put in place of keys.
    repeats
        Knows of the keys that the rows had when they came; None where it does not of these rows.
    """

    keep: Keep
    names: Names = field(default_factory=Names)
    repeats: Repeats | None = None

    def all_differ(self, name: str) -> bool:
        """Check whether the keys of a table are known to be all different."""
        key = KEYS[name]
        if self.repeats is None or key in self.names.within(name):
            return False
        return self.repeats.none(name, key)

    def batches(self, name: str, columns: Iterable[str]) -> Iterator[pa.Table]:
        """Yield some columns of a table, its rows numbered."""
        for batch in numbered(self.keep.batches(name, list(columns))):
            yield self.renamed(name, batch)

    def renamed(self, name: str, batch: pa.Table) -> pa.Table:
        """Put the final keys into a batch of a table."""
        return renamed(batch, self.names.within(name))


class Fate:
    """What becomes of the rows of a table, and of those that hang on them.

    Attributes
    ----------
    several
        Whether the key of each row occurs more than once.
    """

    def __init__(self, name: str, count: int):
        self.name = name
        self.several: Mask = np.zeros(count, bool)
        # For each row a bit whether it stays, and then one for each table that hangs on it, whether
        # the rows there do.
        self._bits = np.full(count, 255, np.uint8)

    def stays(self, rows: npt.NDArray[np.int64], child: str | None = None) -> Mask:
        """Return for some rows whether they stay, or what hangs on them in another table does."""
        stay: Mask = self._bits[rows] & self._bit(child) != 0
        return stay

    def goes(self, rows: npt.NDArray[np.int64]) -> None:
        """Remove rows, with all that hangs on them."""
        self._bits[rows] = 0

    def choose(
        self,
        among: npt.NDArray[np.int64],
        chosen: npt.NDArray[np.int64],
        child: str | None = None,
    ) -> None:
        """Keep only the chosen ones of some rows, or only what hangs on the chosen ones."""
        self._bits[among] &= ~self._bit(child)
        self._bits[chosen] |= self._bit(child)

    def _bit(self, child: str | None) -> np.uint8:
        place = 0 if child is None else 1 + HANGING[self.name].index(child)
        return np.uint8(1 << place)

    def hold(self, rows: npt.NDArray[np.int64], bits_of: npt.NDArray[np.uint8]) -> None:
        """Let some rows have the bits that :attr:`changed` told of them."""
        self._bits[rows] = bits_of

    @property
    def changed(self) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.uint8]]:
        """The rows that do not stay with all that hangs on them, and the bits of each."""
        rows = np.flatnonzero(self._bits != 255)
        return rows, self._bits[rows]

    def within(self, start: int, end: int) -> Fate:
        """Return what becomes of some rows, counted from the first of them."""
        part = Fate(self.name, end - start)
        part._bits = self._bits[start:end].copy()
        return part

    @property
    def all_stay(self) -> bool:
        """Whether nothing goes."""
        return bool((self._bits == 255).all())


def met(rows: Rows, name: str, refused: npt.NDArray[np.int64]) -> Fate:
    """Find the rows of one key, of which the last one stays.

    Parameters
    ----------
    rows
        The rows.
    name
        Their table.
    refused
        The numbers of those that go, ascending.
    """
    key, count = KEYS[name], rows.keep.rows(name)
    fate = Fate(name, count)
    fate.goes(refused)
    if rows.all_differ(name):
        return fate

    def own() -> Iterator[pa.Table]:
        for batch in rows.batches(name, [key]):
            keyed = pc.is_valid(batch[key]).to_numpy()
            numbers = batch[ROW].to_numpy()
            # Where one identity alone names customers, some have no key in the end.
            fate.goes(numbers[~keyed])
            stays = keyed & fate.stays(numbers)
            yield batch if stays.all() else batch.filter(pa.array(stays))

    for partition in partitions(own(), key, count, rows.keep.scratch):
        codes, keys = codes_of(partition[key])
        if keys < len(codes):
            numbers = partition[ROW].to_numpy()
            several = numbers[np.bincount(codes, minlength=keys)[codes] > 1]
            fate.several[several] = True
            last = np.zeros(keys, np.int64)
            # Of several assignments to one place numpy keeps the last.
            last[codes] = numbers
            fate.choose(several, last)
    return fate


def versions(rows: Rows, fate: Fate) -> Iterator[Versions]:
    """Yield the rows whose keys occur more than once, with marks of what they tell.

    Beside what is compared they have a column ``_told`` (the bits of what they tell), for each
    table that hangs on them whether something does (``_has_…``), and for breakups what they say,
    as a number.
    """
    key = KEYS[fate.name]
    for partition in partitions(
        _marked(rows, fate), key, int(fate.several.sum()), rows.keep.scratch
    ):
        yield Versions.of(partition, key)


def _marked(rows: Rows, fate: Fate) -> Iterator[pa.Table]:
    name = fate.name
    parts = branches(name)
    hanging = {child: Hanging(rows.keep, child, BREAKUPS.get(child, ())) for child in HANGING[name]}
    compared = (KEYS[name], *_COMPARED[name])
    columns = dict.fromkeys([*compared, *(column for part in parts for column in part)])
    start = 0
    for batch in rows.batches(name, columns):
        end = start + batch.num_rows
        marked = batch.select([*compared, ROW])
        marked = marked.append_column("_told", pa.array(bits(batch, parts)))
        for child, below in hanging.items():
            found = below.until(end)
            has = np.zeros(batch.num_rows, bool)
            has[found[PARENT].to_numpy() - start] = True
            marked = marked.append_column(f"_has_{child}", pa.array(has))
            if child in BREAKUPS:
                said = digests(found, start, batch.num_rows)
                marked = marked.append_column(f"_{child}", pa.array(said))
        if fate.several[start:end].any():
            yield marked.filter(pa.array(fate.several[start:end]))
        start = end
