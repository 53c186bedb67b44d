"""Mentions: where texts of others name a person, as messages, rejects and names of files may."""

from __future__ import annotations

import re
from dataclasses import dataclass
from functools import cached_property

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from redemption_analytics.contract import ANSWER as ENVELOPE
from redemption_analytics.contract import Many, Shape
from redemption_analytics.flattening.flatten import ANSWER, PARENT, PARENTS
from redemption_analytics.warehouse.merged import Mask
from redemption_analytics.warehouse.stage import StagedUnit

#: Texts that may name anybody, by their tables.
TEXTS = {
    "responses": "message",
    "points": "notes",
    "point_fields": "value",
    "coupon_fields": "value",
}

#: What is shorter is looked for nowhere: it may mean anything.
_SHORTEST = 6

_NOT_APART, _APART = "[0-9A-Za-z]", "[^0-9A-Za-z]"


@dataclass(frozen=True)
class Mentions:
    """Finds identities that stand by themselves in texts.

    Parameters
    ----------
    identities
        The identities.

    Examples
    --------
    >>> mentions = Mentions(frozenset({"447700900123", "E7"}))
    >>> texts = pa.array(["447700900123 is not known", "bill 4477009001234", None, "E7"])
    >>> mentions.named_in(texts).to_pylist()
    [True, False, False, False]
    >>> mentions.replaced("exports/447700900123.json", "somebody")
    'exports/somebody.json'
    """

    identities: frozenset[str]

    @cached_property
    def _any(self) -> str:
        return "|".join(sorted(re.escape(e) for e in self.identities if len(e) >= _SHORTEST))

    def __bool__(self) -> bool:
        return bool(self._any)

    def named_in(self, texts: pa.Array | pa.ChunkedArray) -> pa.Array | pa.ChunkedArray:
        """Tell which texts name one."""
        if not self:
            return pa.repeat(pa.scalar(value=False), len(texts))
        pattern = f"(?i)(?:^|{_APART})(?:{self._any})(?:$|{_APART})"
        return pc.fill_null(pc.match_substring_regex(texts, pattern), fill_value=False)

    def named_by(self, text: str) -> bool:
        """Tell whether a text names one."""
        return self.replaced(text, "") != text

    def replaced(self, text: str, by: str) -> str:
        """Put something in their place."""
        if not self:
            return text
        pattern = f"(?i)(?<!{_NOT_APART})(?:{self._any})(?!{_NOT_APART})"
        return re.sub(pattern, lambda _: by, text)

    def without(self, table: pa.Table, column: str) -> pa.Table:
        """Take away the texts of a column that name one."""
        named = self.named_in(table[column])
        if not pc.any(named, min_count=0).as_py():
            return table
        place = table.schema.get_field_index(column)
        texts = pc.if_else(named, pa.scalar(None, pa.string()), table[column])
        return table.set_column(place, table.schema.field(place), texts)

    def answers_of(self, unit: StagedUnit) -> Mask:
        """Tell which answers of a unit name one in some text."""
        found = np.zeros(unit.unit.answers, bool)
        for name, column in TEXTS.items() if self else ():
            parts = [self.named_in(batch[column]) for batch in unit.batches(name, [column])]
            named = np.concatenate([np.array([], bool), *(part.to_numpy() for part in parts)])
            rows = np.flatnonzero(named)
            while len(rows) and name != "responses":
                mark = PARENT if name in PARENTS else ANSWER
                above = [batch[mark].to_numpy() for batch in unit.batches(name, [mark])]
                rows = np.concatenate(above)[rows]
                name = PARENTS.get(name, "responses")
            found[rows] = True
        return found


def element_of(path: str | None) -> str:
    """Return the kind of element that was refused at a path.

    >>> element_of("$.response.customer[1].redemptions.points.point.3.reversals[0].reversal_id")
    'reversals'
    >>> element_of("$.response.customer.redemptions.points.point[0].redeemed_store")
    'points'
    >>> element_of("$")
    'responses'
    """
    shape: Shape = ENVELOPE
    element = "responses"
    for step in (path or "$").split("."):
        node = shape.fields.get(step.partition("[")[0])
        if isinstance(node, (Many, Shape)):
            shape = node.shape if isinstance(node, Many) else node
            element = shape.element or element
    return element
