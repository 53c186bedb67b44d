"""A person: which answers of a warehouse are one customer's, found by one of the identities."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from redemption_analytics.contract import IDENTITIES
from redemption_analytics.errors import UsageError
from redemption_analytics.flattening.flatten import HIDDEN, Flattening
from redemption_analytics.merging.customers import IDENTITY_COLUMNS, united_customers
from redemption_analytics.merging.links import Links, Numbers, UnitLinks, affected
from redemption_analytics.merging.repeats import Repeats
from redemption_analytics.merging.stores import InMemory
from redemption_analytics.options import NamedBy
from redemption_analytics.parsing.digests import numbers_of
from redemption_analytics.warehouse.merged import Mask
from redemption_analytics.warehouse.rewriting import Part
from redemption_analytics.warehouse.stage import StagedUnit


@dataclass(frozen=True)
class Person:
    """What a warehouse holds of a person.

    Attributes
    ----------
    answers
        For each unit which of its answers are the person's.
    identities
        The identities in clear that are nobody else's; none where pseudonyms stand for them.
    """

    answers: list[Mask]
    identities: frozenset[str]


def person_of(
    units: Sequence[StagedUnit], flattening: Flattening, name: NamedBy, value: str
) -> Person | None:
    """Find the answers of a person: all that are united with one that tells an identity.

    Parameters
    ----------
    units
        The units.
    flattening
        How answers became tables.
    name, value
        What the person is named by. Where pseudonyms stand for identities it is the identity still,
        or the pseudonym that is the ``customer_key``.

    Returns
    -------
    Person or None
        None where nobody is named so.

    Raises
    ------
    UsageError
        If several customers are.
    """
    key, column, told = _written(flattening, name, value)
    links = [unit.links() for unit in units]
    kinds = {"customer_key": [key]} | ({} if column is None else {name: [told]})
    near = affected(links, _having(links, kinds))
    keep = InMemory()
    repeats = Repeats({"customers": ["customer_key", *IDENTITY_COLUMNS]})
    named = set[str]()
    for unit, mask in zip(units, near.answers, strict=True):
        for tables in Part(unit, mask).tables() if mask.any() else ():
            keep.append("responses", tables["responses"])
            keep.append("customers", tables["customers"])
            repeats.add("customers", tables["customers"])
            named |= _keys(tables["responses"], "customer_key", key)
            if column is not None:
                named |= _keys(tables["customers"], column, told)
    if not named:
        return None
    # Who has none of the one identity that may name customers is somebody even so.
    united, _ = united_customers(keep, replace(flattening, only_first=False), repeats, near.common)
    finals = {united.names.get(each, each) for each in named}
    if len(finals) > 1:
        raise UsageError(
            f"{len(finals)} customers have this {name}, and it does not say which of them is meant:"
            " name each by its customer_key, which the table customers tells"
        )
    mine = {
        each
        for batch in keep.batches("responses", ["customer_key"])
        for each in batch["customer_key"].drop_null().unique().to_pylist()
        if united.names.get(each, each) in finals
    }
    columns = IDENTITIES if flattening.pseudonym is None else HIDDEN.values()
    own = {
        each: _own(keep, each, mine, near.common[of])
        for each, of in zip(columns, IDENTITIES, strict=True)
    }
    # Answers that failed unite nobody, though they ask for one of the identities.
    if flattening.pseudonym is None:
        mine |= {f"{each}:{text}" for each, texts in own.items() for text in texts}
        identities = frozenset(text for texts in own.values() for text in texts)
    else:
        mine = mine.union(*own.values())
        identities = frozenset()
    return Person(_answers_of(units, links, mine), identities)


def _written(flattening: Flattening, name: NamedBy, value: str) -> tuple[str, str | None, str]:
    """Return a person's key, and the column that tells the identity, with what stands there."""
    if name == "customer_key":
        return value, None, value
    key = f"{name}:{value}"
    if flattening.pseudonym is None:
        return key, name, value
    hidden = str(flattening.pseudonym(pa.array([key], pa.string()))[0])
    return hidden, HIDDEN[name], hidden


def _having(links: Sequence[UnitLinks], kinds: Mapping[str, Collection[str]]) -> dict[int, Numbers]:
    """Find the answers that seem to have some links, by the place of their unit."""
    found = {}
    for place, unit in enumerate(links):
        answers = [np.array([], np.int64)]
        for kind, texts in kinds.items():
            if kind in unit.kinds:
                numbers = numbers_of(pa.chunked_array([pa.array(sorted(texts), pa.string())]))
                places, _ = unit.kinds[kind].having(numbers)
                answers.append(unit.kinds[kind].answers[places].astype(np.int64))
        together = np.unique(np.concatenate(answers))
        if len(together):
            found[place] = together
    return found


def _keys(table: pa.Table, column: str, told: str) -> set[str]:
    """Return the keys beside a text."""
    return set(table["customer_key"].filter(pc.equal(table[column], told)).to_pylist())


def _own(keep: InMemory, column: str, mine: set[str], common: Links) -> set[str]:
    """Return the identities of some keys that no other key has."""
    own, others = set[str](), set[str]()
    for batch in keep.batches("customers", ["customer_key", column]):
        here = pc.is_in(batch["customer_key"], pa.array(sorted(mine), pa.string()))
        for chosen, found in ((here, own), (pc.invert(here), others)):
            values = batch[column].filter(chosen).drop_null().unique()
            # What too many share is nobody's.
            shared = np.isin(numbers_of(pa.chunked_array([values])), common)
            found.update(values.filter(pa.array(~shared)).to_pylist())
    return own - others


def _answers_of(
    units: Sequence[StagedUnit], links: Sequence[UnitLinks], keys: set[str]
) -> list[Mask]:
    """Tell which answers have some keys."""
    masks = [np.zeros(unit.unit.answers, bool) for unit in units]
    wanted = pa.array(sorted(keys), pa.string())
    for place, answers in _having(links, {"customer_key": keys}).items():
        start = 0
        for batch in units[place].batches("responses", ["customer_key"]):
            rows = answers[(answers >= start) & (answers < start + batch.num_rows)]
            own = batch["customer_key"].take(pa.array(rows - start))
            masks[place][rows] = pc.is_in(own, wanted).to_numpy()
            start += batch.num_rows
    return masks
