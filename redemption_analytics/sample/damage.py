"""Damaging exports, in ways that a reader has to survive."""

from __future__ import annotations

import json
from collections.abc import Iterator
from random import Random
from typing import Any

from redemption_analytics.sample.history import Payload


def damaged(lines: Iterator[str], share: float, random: Random) -> Iterator[str]:
    """Damage a share of the answers in JSON Lines, in ways that a reader has to survive.

    Parameters
    ----------
    lines : iterator of str
        One answer each, with or without the line break.
    share : float
        The chance of an answer to be damaged: 0 leaves all as they are.
    random : Random
        What decides.
    """
    for line in lines:
        if random.random() >= share:
            yield line
        else:
            text = line.rstrip("\n")
            yield from (bad + line[len(text) :] for bad in _damage(text, random))


_WRONG: tuple[tuple[str, str, tuple[Any, ...]], ...] = (  # which object, its field, wrong values
    ("redemption_id", "points_redeemed", ("ten", -5, 12.5)),
    ("redemption_id", "redeemed_time", ("yesterday",)),
    ("reversal_id", "reversal_id", ()),
    ("reversal_id", "reversal_time", ("soon",)),
    ("reversal_id", "points_reversed", (-3,)),
    ("series_id", "id", ()),
)


def _damage(text: str, random: Random) -> list[str]:
    found: dict[str, list[Payload]] = {"redemption_id": [], "reversal_id": [], "series_id": []}

    def note(item: Payload) -> Payload:
        for key in found.keys() & item:
            found[key].append(item)
        return item

    answer, half = json.loads(text, object_hook=note), text[: len(text) // 2]
    lines = [[text, '["not", "a", "response"]'], [text, half], [half], ['{"message": "Timeout"}']]
    # Only what this answer has can be wrong in it: so rare reversals get their share of damage.
    fields = [wrong for wrong in _WRONG if found[wrong[0]]]
    which = random.randrange(len(lines) + len(fields))
    if which < len(lines):
        return lines[which]
    key, name, values = fields[which - len(lines)]
    item = random.choice(found[key])
    if values:
        item[name] = random.choice(values)
    else:
        del item[name]
    return [compact(answer)]


def compact(answer: Payload) -> str:
    """Write an answer as one line."""
    return json.dumps(answer, separators=(",", ":"), ensure_ascii=False)
