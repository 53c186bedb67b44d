"""The slow road: one decoded record at a time, brought into the declared form or refused.

What comes out is flattened like what the fast road reads, so that there is one meaning. An element
that does not fit takes only itself out, with all that hangs below it.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Callable, Container, Iterator, Mapping
from dataclasses import dataclass
from functools import lru_cache
from typing import Any, TypeGuard
from zoneinfo import ZoneInfo

from redemption_analytics.contract import (
    ANSWER,
    CUSTOMER,
    RESPONSE,
    STATUS,
    TELLING,
    Kind,
    Many,
    PointsType,
    Shape,
)
from oracle.values import Reader, Unfit, is_nothing, readers
from oracle.xml_answers import Repeated

Steps = tuple[str | int, ...]
_Object = dict[str, Any]
_Check = Callable[[_Object, _Object, Steps], None]

#: How PHP names the items of a list that has gaps.
_NUMBER = re.compile("[0-9]+")


#: What is read of a response.
_IN_RESPONSE = RESPONSE.fields.keys() | {"customers"}


class Twice(dict[str, Any]):
    """An object in which a key comes twice.

    Attributes
    ----------
    names
        The keys that come more than once, in their order.
    """

    def __init__(self, pairs: list[tuple[str, Any]]):
        super().__init__(pairs)
        times = Counter(name for name, _ in pairs)
        self.names = [name for name in self if times[name] > 1]


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
    """Brings records into the declared form.

    Attributes
    ----------
    refusals
        What was refused in the record at hand. What hangs below a refused element is a part of it,
        and not refused by itself.
    """

    def __init__(self, points: PointsType = "int", timezone: ZoneInfo | None = None):
        self._status, self._customer, self._failed_customer = _forms(points, timezone)
        self.refusals: list[Refusal] = []

    def record(self, value: object) -> dict[str, Any] | None:
        """Conform one record.

        Returns
        -------
        dict or None
            The response as the conformed dialect has it, or None where nothing of it is left; what
            was refused, in whole or in part, is then in ``refusals``.
        """
        self.refusals = []
        try:
            return self._response(value)
        except Unfit as unfit:
            self.refusals = [Refusal("responses", (), unfit, value)]
            return None

    def _response(self, value: object) -> dict[str, Any] | None:
        if not isinstance(value, dict):
            raise Unfit("not an answer of this API: the record is no object")
        _demand_once(value, ANSWER.known, ())
        response = value.get("response")
        if not isinstance(response, dict):
            raise Unfit('not an answer of this API: it has no object "response"')
        _demand_once(response, _IN_RESPONSE, ("response",))
        status = self._object(self._status, response.get("status"), ("response", "status"))
        failed = status is not None and status.get("success") is False
        form = self._failed_customer if failed else self._customer
        customers = [
            customer
            for given, steps in _customers(response)
            for customer in self._list(form, given, steps)
        ]
        if not customers:
            if self.refusals:
                return None
            if not any(isinstance(response.get(name), dict) for name in ("status", "customer")):
                raise Unfit('not an answer of this API: neither "status" nor "customer"')
            foreign = response.keys() - RESPONSE.known
            if foreign and not failed:
                said = "not an answer of this API: no customer, but other fields"
                raise Unfit(said, names=_listed(foreign))
        return {"status": status or {}, "customer": customers}

    def _object(self, form: _Form, value: object, steps: Steps) -> dict[str, Any] | None:
        if not isinstance(value, dict):
            if isinstance(value, Repeated):
                raise _twice(steps)
            if is_nothing(value):
                return None
            raise Unfit("the value is no object", steps=steps)
        if not value:
            return None
        if isinstance(value, Twice):
            _demand_once(value, form.names, steps)
        conformed: dict[str, Any] = {}
        readers, parts = form.readers, form.parts
        for name, given in value.items():
            if given is None:
                continue
            if name in readers:
                try:
                    conformed[name] = readers[name](given)
                except Unfit as unfit:
                    if isinstance(given, Repeated):
                        raise _twice((*steps, name)) from None
                    unfit.steps = (*steps, name)
                    raise
            elif name in parts:
                many, inner = parts[name]
                read = self._list if many else self._object
                conformed[name] = read(inner, given, (*steps, name))
        for names in form.required:
            for name in names:
                if conformed.get(name) is not None:
                    break
            else:
                raise Unfit(f"{' or '.join(names)} is missing", steps=steps)
        if form.check:
            form.check(value, conformed, steps)
        return conformed

    def _list(self, form: _Form, value: object, steps: Steps) -> list[dict[str, Any]]:
        if is_numbered(value):
            _demand_once(value, value, steps)
        conformed = []
        for number, (item, step) in enumerate(items_of(value), 1):
            place = (*steps, *step)
            refusals = len(self.refusals)
            try:
                fit = self._object(form, item, place)
                if fit is None:
                    continue
                conformed.append(fit)
                if form.ranks and fit.get(form.ranks) == number:
                    # Where an element before was left out, a mere rank would pass for an id.
                    fit[form.ranks] = len(conformed)
            except Unfit as unfit:
                # What hangs below a refused element is a part of it, not refused by itself.
                del self.refusals[refusals:]
                self.refusals.append(Refusal(form.element, place, unfit, item))
        return conformed


class _Form:
    """A shape with what reads its fields: values, and parts that are objects or lists of them."""

    def __init__(self, shape: Shape, read: Mapping[Kind, Reader], check: _Check | None = None):
        self.check = check
        self.element = shape.element
        self.required = shape.required
        self.ranks = shape.ranks
        self.names = shape.fields
        self.readers = {n: read[kind] for n, kind in shape.fields.items() if isinstance(kind, Kind)}
        self.parts = {
            name: (True, _Form(part.shape, read))
            if isinstance(part, Many)
            else (False, _Form(part, read))
            for name, part in shape.nested
        }


def items_of(value: object) -> Iterator[tuple[Any, Steps]]:
    """Give the items of a list, and the step to each.

    A bare object stands for a list of one, and one whose keys are numbers for a list with gaps.
    """
    if isinstance(value, list):
        for position, item in enumerate(value):
            yield item, (position,)
    elif is_numbered(value):
        for name, item in value.items():
            yield item, (name,)
    else:
        yield value, ()


def is_numbered(value: object) -> TypeGuard[_Object]:
    """Tell an object whose keys are numbers, which stands for a list."""
    if not isinstance(value, dict) or not value:
        return False
    return all(isinstance(name, str) and _NUMBER.fullmatch(name) for name in value)


def _demand_once(value: _Object, names: Container[str], steps: Steps) -> None:
    """Refuse an object in which one of some keys comes twice: nothing tells which is meant."""
    for name in value.names if isinstance(value, Twice) else ():
        if name in names:
            raise _twice((*steps, name))


def _twice(steps: Steps) -> Unfit:
    return Unfit(f'"{steps[-1]}" comes twice', steps=steps)


def _demand_redemptions(given: _Object, conformed: _Object, steps: Steps) -> None:
    """Refuse a customer of whom another API answers, which would look like one without any."""
    foreign = given.keys() - CUSTOMER.known
    if not foreign or given.keys() & TELLING:
        return
    if conformed.get("item_status", {}).get("success") is not False:
        said = "not an answer of this API: no redemptions, but other fields"
        raise Unfit(said, steps=steps, names=_listed(foreign))


def _listed(names: set[str]) -> str:
    """List some of the names, which may be no text that a table can hold."""
    listed = ", ".join(sorted(map(str, names))[:5])
    return listed[:200].encode(errors="backslashreplace").decode()


@lru_cache
def _forms(points: PointsType, timezone: ZoneInfo | None) -> tuple[_Form, _Form, _Form]:
    read = readers(points, timezone)
    customer = _Form(CUSTOMER, read, _demand_redemptions)
    return _Form(STATUS, read), customer, _Form(CUSTOMER, read)


def _customers(response: dict[str, Any]) -> Iterator[tuple[object, Steps]]:
    """Find the customers, which some answers wrap once more, as customers.customer."""
    yield response.get("customer"), ("response", "customer")
    wrapped = response.get("customers")
    # A customer itself is the bare object that stands for a list of one.
    if isinstance(wrapped, dict) and ("customer" in wrapped or not wrapped.keys() & CUSTOMER.known):
        if is_numbered(wrapped):
            yield wrapped, ("response", "customers")
            return
        _demand_once(wrapped, ("customer",), ("response", "customers"))
        yield wrapped.get("customer"), ("response", "customers", "customer")
    else:
        yield wrapped, ("response", "customers")


def unknown_fields(
    value: object, shape: Shape = ANSWER, path: str = "$", *, named: bool = True
) -> list[str]:
    """List fields that the contract does not have, by their path without positions.

    Their names may be personal, as where an object has a field for each customer: without them, a
    star stands for each.

    >>> unknown_fields({"response": {"customer": [{"loyalty_tier": "gold"}]}})
    ['$.response.customer.loyalty_tier']
    """
    if not isinstance(value, dict):
        return []
    found = []
    if not value.keys() <= shape.known:
        found = [f"{path}.{name if named else '*'}" for name in value.keys() - shape.known]
    for name, inner_shape in shape.parts:
        inner = value.get(name)
        if inner:
            for item, _ in items_of(inner):
                # Most have none, so their path is written only when one is found.
                below = unknown_fields(item, inner_shape, "", named=named)
                found += [f"{path}.{name}{end}" for end in below]
    return found
