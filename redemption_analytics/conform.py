"""The slow road: one decoded record at a time, brought into the declared form or refused.

What comes out is what the fast road reads, so that there is one flattening and one meaning. An
element that does not fit takes only itself out, with all that hangs below it.
"""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any
from zoneinfo import ZoneInfo

from redemption_analytics.contract import (
    ANSWER,
    CUSTOMER,
    STATUS,
    Kind,
    Many,
    PointsType,
    Shape,
)
from redemption_analytics.values import Unfit, is_blank, readers

Steps = tuple[str | int, ...]


@dataclass(frozen=True)
class Refusal:
    """An element that was refused.

    Attributes
    ----------
    element
        What kind of element it is, as the ledger counts.
    at
        Where in its record it stands.
    unfit
        What is wrong with it; its steps lead to the very value.
    value
        The element itself.
    """

    element: str
    at: Steps
    unfit: Unfit
    value: object


def json_path(steps: Steps) -> str:
    """Write the way to a value as a JSON path.

    >>> json_path(("response", "customer", 0, "mobile"))
    '$.response.customer[0].mobile'
    """
    return "$" + "".join(f"[{s}]" if isinstance(s, int) else f".{s}" for s in steps)


class Conformer:
    """Brings records into the declared form, and counts what it saw.

    Attributes
    ----------
    seen
        Elements by kind, as the ledger counts them. What hangs below a refused element is a part of
        it, and not counted by itself.
    refusals
        What was refused in the record at hand.
    """

    def __init__(self, points: PointsType = "int", timezone: ZoneInfo | None = None):
        self._readers = readers(points, timezone)
        self.seen: Counter[str] = Counter()
        self.refusals: list[Refusal] = []
        self._elements: list[str] = []

    def record(self, value: object) -> dict[str, Any] | None:
        """Conform one record.

        Returns
        -------
        dict or None
            The record as the conformed dialect has it, or None where nothing of it is left; what
            was refused, in whole or in part, is then in ``refusals``.
        """
        self.refusals, self._elements = [], []
        try:
            response = self._response(value)
        except Unfit as unfit:
            self.refusals = [Refusal("responses", (), unfit, value)]
            self._elements = ["responses"]
            response = None
        self.seen.update(self._elements)
        return None if response is None else {"response": response}

    def _response(self, value: object) -> dict[str, Any] | None:
        if not isinstance(value, dict):
            raise Unfit("not an answer of this API: the record is no object")
        response = value.get("response")
        if not isinstance(response, dict):
            raise Unfit('not an answer of this API: it has no object "response"')
        status = self._nested(STATUS, response.get("status"), ("response", "status"))
        customers, steps = _customers(response)
        if customers is None:
            if not any(isinstance(response.get(name), dict) for name in ("status", "customer")):
                raise Unfit('not an answer of this API: neither "status" nor "customer"')
            self._elements.append("responses")
            return {"status": status or {}}
        conformed = self._list(CUSTOMER, customers, steps)
        return {"status": status, "customer": conformed} if conformed else None

    def _object(self, shape: Shape, value: dict[str, Any], steps: Steps) -> dict[str, Any]:
        conformed: dict[str, Any] = {}
        read = self._readers
        for name, kind in shape.fields.items():
            given = value.get(name)
            if given is None:
                continue
            if isinstance(kind, Kind):
                try:
                    conformed[name] = read[kind](given)
                except Unfit as unfit:
                    unfit.steps = (*steps, name)
                    raise
            else:
                conformed[name] = self._nested(kind, given, (*steps, name))
        for names in shape.required:
            if all(_is_nothing(conformed.get(name)) for name in names):
                raise Unfit(f"{' or '.join(names)} is missing", steps=steps)
        return conformed

    def _nested(self, kind: Shape | Many, value: object, steps: Steps) -> Any:
        if isinstance(kind, Many):
            return self._list(kind.shape, value, steps)
        if _is_nothing(value):
            return None
        if not isinstance(value, dict):
            raise Unfit("is no object", value, steps=steps)
        return self._object(kind, value, steps)

    def _list(self, shape: Shape, value: object, steps: Steps) -> list[dict[str, Any]]:
        conformed = []
        for place, item in _items(value, steps):
            if _is_nothing(item):
                continue
            elements, refusals = len(self._elements), len(self.refusals)
            try:
                if not isinstance(item, dict):
                    raise Unfit("is no object", item, steps=place)
                conformed.append(self._object(shape, item, place))
            except Unfit as unfit:
                # What hangs below a refused element is a part of it, not refused by itself.
                del self._elements[elements:], self.refusals[refusals:]
                self.refusals.append(Refusal(shape.element, place, unfit, item))
            self._elements.append(shape.element)
        return conformed


def unknown_fields(value: object, shape: Shape = ANSWER, path: str = "$") -> Iterator[str]:
    """List fields that the contract does not have, by their path without positions.

    >>> list(unknown_fields({"response": {"customer": [{"loyalty_tier": "gold"}]}}))
    ['$.response.customer.loyalty_tier']
    """
    if not isinstance(value, dict):
        return
    if not value.keys() <= shape.known:
        for name in value.keys() - shape.known:
            yield f"{path}.{name}"
    for name, kind in shape.nested:
        inner = value.get(name)
        if inner:
            below = f"{path}.{name}"
            if isinstance(kind, Shape):
                yield from unknown_fields(inner, kind, below)
            else:
                for item in inner if isinstance(inner, list) else (inner,):
                    yield from unknown_fields(item, kind.shape, below)


def _customers(response: dict[str, Any]) -> tuple[object, Steps]:
    """Find the customers, which some answers wrap once more, as customers.customer."""
    wrapped = response.get("customers")
    steps: Steps
    if isinstance(wrapped, dict) and _is_nothing(response.get("customer")):
        value, steps = wrapped.get("customer"), ("response", "customers", "customer")
    elif isinstance(wrapped, list) and _is_nothing(response.get("customer")):
        value, steps = wrapped, ("response", "customers")
    else:
        value, steps = response.get("customer"), ("response", "customer")
    return (None if _is_nothing(value) else value), steps


def _items(value: object, steps: Steps) -> Iterator[tuple[Steps, object]]:
    if isinstance(value, list):
        for position, item in enumerate(value):
            yield (*steps, position), item
    elif not _is_nothing(value):
        yield steps, value


def _is_nothing(value: object) -> bool:
    return (
        value is None
        or (isinstance(value, str) and is_blank(value))
        or (isinstance(value, dict) and not value)
        or (isinstance(value, list) and all(map(_is_nothing, value)))
    )


def as_json_line(conformed: dict[str, Any]) -> bytes:
    """Write a conformed record as the line that the fast road reads."""
    return json.dumps(conformed, separators=(",", ":")).encode() + b"\n"
