"""Merging once more, from its rules alone: loops over dicts, no data frames.

Redemptions either all have a redemption_id, or all have a real id; customers have one identity.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field
from itertools import pairwise
from typing import Any

Row = dict[str, Any]

#: What a redemption tells or not; of a place code and name go together.
TELLING = [
    *(["id"], ["program_id"], ["points_redeemed"], ["transaction_number"], ["notes"]),
    *(["customer_key"], ["store_code", "store_name"]),
]
#: What stands below a redemption as a whole, and its field.
BELOW = {
    "program_breakups": "redemption_breakup_by_program",
    "source_breakups": "redemption_breakup_by_source",
    "custom_fields": "custom_fields",
}


@dataclass
class ByHand:
    """What stays of exports that were seen in this order."""

    points: dict[Any, Row] = field(default_factory=dict)
    below: dict[str, dict[Any, list[Row]]] = field(default_factory=dict)
    reversals: dict[int, Row] = field(default_factory=dict)
    reversal_breakups: dict[int, list[Row]] = field(default_factory=dict)
    seen: Counter[str] = field(default_factory=Counter)
    refused: int = 0
    vanished: set[int] = field(default_factory=set)
    conflicting: set[int] = field(default_factory=set)
    moved: dict[Any, int] = field(default_factory=dict)


def merged_by_hand(answers: list[tuple[str, Row]], keys: Mapping[Any, str]) -> ByHand:
    """Merge answers, each with the day of its export, the oldest first.

    Of redemptions with a real id the library's keys are given: of equally new ones they decide.
    """
    done = ByHand(below={name: {} for name in BELOW})
    versions: dict[Any, list[tuple[str, Row]]] = {}
    for day, answer in answers:
        customer = answer["response"]["customer"]
        key = customer.get("mobile") and f"mobile:{customer['mobile']}"
        for point in customer["redemptions"]["points"]["point"]:
            row = _row(point) | {"customer_key": key}
            name = row["redemption_id"] or (key, row["redeemed_time"], row["id"])
            versions.setdefault(name, []).append((day, row))
            _count(done.seen, row)
    for name, several in versions.items():
        rows = [row for _, row in several]
        done.points[name] = _newest_told(rows, TELLING)
        for table, where in BELOW.items():
            told = [row[where] for row in rows if row[where]]
            done.below[table][name] = told[-1] if told else []
        done.moved |= _moved(name, rows)
    _unite_reversals(done, versions, keys)
    return done


def _row(point: Row) -> Row:
    names = ("id", "redemption_id", "program_id", "points_redeemed", "transaction_number", "notes")
    row = {name: point.get(name) or None for name in (*names, "redeemed_time")}
    if row["redemption_id"]:
        row["id"] = None  # but a rank
    store = point.get("redeemed_store") or {}
    row |= {"store_code": store.get("code"), "store_name": store.get("name")}
    for where in ("redemption_breakup_by_program", "redemption_breakup_by_source", "reversals"):
        row[where] = point.get(where) or []
    row["custom_fields"] = (point.get("custom_fields") or {}).get("field") or []
    return row


def _count(seen: Counter[str], row: Row) -> None:
    seen["points"] += 1
    for table, where in BELOW.items():
        seen[table] += len(row[where])
    seen["reversals"] += len(row["reversals"])
    for back in row["reversals"]:
        seen["reversal_breakups"] += len(back.get("reversal_breakup_by_program") or [])


def _newest_told(rows: list[Row], branches: list[list[str]]) -> Row:
    told: Row = {}
    for branch in branches:
        telling = [row for row in rows if any(row.get(name) is not None for name in branch)]
        for name in branch:
            told[name] = telling[-1].get(name) if telling else None
    return told


def _unite_reversals(
    done: ByHand, versions: dict[Any, list[tuple[str, Row]]], keys: Mapping[Any, str]
) -> None:
    met: dict[int, dict[Any, list[tuple[str, Row]]]] = {}
    for name, several in versions.items():
        for day, row in several:
            for back in row["reversals"]:
                by_name = met.setdefault(back["reversal_id"], {})
                by_name.setdefault(name, []).append((day, back))
    for number, by_name in met.items():
        newest = max(day for told in by_name.values() for day, _ in told)
        newest_ones = [name for name, told in by_name.items() if told[-1][0] == newest]
        keeps = min(newest_ones, key=lambda name: keys.get(name, name))
        if len(by_name) > 1:
            done.conflicting.add(number)
            for name in by_name.keys() - {keeps}:
                # What hangs below goes with it: it is a part of what was refused.
                done.refused += len(by_name[name])
                for _, back in by_name[name]:
                    hung = len(back.get("reversal_breakup_by_program") or [])
                    done.seen["reversal_breakups"] -= hung
        # Blank is nothing.
        rows = [{n: v or None for n, v in back.items()} for _, back in by_name[keeps]]
        told = [["points_reversed"], ["reversal_time"]]
        done.reversals[number] = _newest_told(rows, told) | {"of": keeps}
        shares = [s for row in rows if (s := row.get("reversal_breakup_by_program"))]
        done.reversal_breakups[number] = shares[-1] if shares else []
        with_any = [row for _, row in versions[keeps] if row["reversals"]]
        if number not in [back["reversal_id"] for back in with_any[-1]["reversals"]]:
            done.vanished.add(number)
        points = [row["points_reversed"] for row in rows]
        steps = [abs(b - a) for a, b in pairwise(points)]
        if any(steps):
            done.moved[keeps] = done.moved.get(keeps, 0) + sum(steps)


def _moved(name: Any, rows: list[Row]) -> dict[Any, int]:
    """Say how many points moved between versions of one redemption, where they differ."""
    programs = [row["program_id"] for row in rows if row["program_id"] is not None]
    breakups = [row["redemption_breakup_by_program"] for row in rows]
    shares = [
        Counter({share["program_id"]: share["points_redeemed"] for share in breakup})
        for breakup in breakups
        if breakup
    ]
    sources = [
        sorted(
            (batch["source_store"]["code"], batch["points_consumed"])
            for batch in row["redemption_breakup_by_source"]
        )
        for row in rows
        if row["redemption_breakup_by_source"]
    ]
    points = {row["points_redeemed"] for row in rows}
    if len(points) == 1 and len(set(programs)) < 2 and _equal(shares) and _equal(sources):
        return {}
    # Where the program is not told it is as before, and at first as it will be.
    known = programs[0] if programs else None
    whole = []
    for row in rows:
        known = row["program_id"] if row["program_id"] is not None else known
        label = None if shares else known
        whole.append(Counter({label: row["points_redeemed"]}))
    return {name: max(_steps(whole), _steps(shares))}


def _equal(several: list[Any]) -> bool:
    return all(one == several[0] for one in several)


def _steps(versions: list[Counter[Any]]) -> int:
    moved = 0
    for one, other in pairwise(versions):
        change = [other[label] - one[label] for label in {*one, *other}]
        moved += max(sum(c for c in change if c > 0), -sum(c for c in change if c < 0))
    return moved
