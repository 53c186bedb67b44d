"""The census: how many elements answers hold, counted before they are flattened."""

from __future__ import annotations

from collections import Counter
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc

from redemption_analytics.contract import RESPONSE, Many, Shape
from redemption_analytics.flattening.columns import lengths


def elements_of(answers: pa.StructArray) -> Counter[str]:
    """Count the elements of answers by kind, as the ledger counts them.

    Parameters
    ----------
    answers
        The column ``response``, in any dialect.
    """
    seen = Counter[str]()
    _count(answers, RESPONSE, seen)
    # An answer without a customer, as failed ones are, is a response too.
    customers = pc.struct_field(answers, "customer")
    if pa.types.is_list(customers.type):
        seen["responses"] += pc.sum(pc.equal(lengths(customers), 0), min_count=0).as_py()
    else:
        seen["responses"] = len(answers)
    return seen


def _count(structs: pa.StructArray, shape: Shape, seen: Counter[str]) -> None:
    for name, part in shape.nested:
        inner: Any = pc.struct_field(structs, name)
        if isinstance(part, Many):
            if pa.types.is_list(inner.type):
                inner = pc.list_flatten(inner)
            part = part.shape
            seen[part.element] += len(inner)
        _count(inner, part, seen)
