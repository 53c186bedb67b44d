"""What the library merges is what loops over dicts merge, whatever was drawn."""

from __future__ import annotations

from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import pytest
from answers import TIME, answer, cells, export, found, ledger, new, old
from hypothesis import given, settings
from hypothesis import strategies as st
from little_memory import little_memory
from merging_by_hand import ByHand, merged_by_hand
from payloads import TIMES

import redemption_analytics as ra

MAYBE = st.none() | st.integers(1, 2)


def _parts(strategy: st.SearchStrategy[Any], key: str) -> st.SearchStrategy[Any]:
    """Some things of different names; or nothing, in one form or another."""
    several = st.lists(strategy, min_size=1, max_size=2, unique_by=lambda one: one[key])
    return st.sampled_from([None, [], ""]) | several


def _shares(points: str) -> st.SearchStrategy[Any]:
    share = {"program_id": st.sampled_from([1, 2]), points: st.integers(1, 5)}
    return _parts(st.fixed_dictionaries(share), "program_id")


REVERSALS = _parts(
    st.fixed_dictionaries(
        {
            "reversal_id": st.integers(1, 5),
            "points_reversed": st.integers(1, 3),
            "reversal_time": st.sampled_from([None, "", TIME, "2020-04-02 00:00:00"]),
            "reversal_breakup_by_program": _shares("points_reversed"),
        }
    ),
    "reversal_id",
)
SOURCES = st.sampled_from([None, []]) | st.lists(
    st.builds(
        lambda code, points: {"source_store": {"code": code}, "points_consumed": points},
        st.sampled_from(["s1", "s2"]),
        st.integers(1, 3),
    ),
    max_size=2,
)
FIELDS = _parts(
    st.fixed_dictionaries({"name": st.sampled_from("ab"), "value": st.sampled_from(["x", None])}),
    "name",
)
TOLD = {
    "program_id": MAYBE,
    "points_redeemed": st.sampled_from([90, 90, 80]),
    "transaction_number": st.sampled_from([None, "", "t"]),
    "notes": st.sampled_from([None, "", "x", "y"]),
    "redeemed_store": st.none()
    | st.fixed_dictionaries(
        {"code": st.sampled_from([None, "c1", "c2"]), "name": st.sampled_from([None, "N"])}
    ),
    "redemption_breakup_by_program": _shares("points_redeemed"),
    "redemption_breakup_by_source": SOURCES,
    "custom_fields": FIELDS.map(lambda fields: fields and {"field": fields}),
    "reversals": REVERSALS,
}
NEW = st.builds(
    lambda key, told: new(key, **told), st.sampled_from("ab"), st.fixed_dictionaries(TOLD)
)
#: Real ids are no place in a list of two.
OLD = st.builds(
    lambda id_, time, told: old(**told | {"id": id_, "redeemed_time": time}),
    st.sampled_from([700, 701]),
    st.sampled_from([TIME, None]),
    st.fixed_dictionaries(TOLD),
)


def _exports(points: st.SearchStrategy[Any]) -> st.SearchStrategy[Any]:
    answers = st.builds(
        lambda points, mobile: answer(*points, mobile=mobile),
        st.lists(points, max_size=2),
        st.sampled_from(["447", "447", "448", None]),
    )
    return st.lists(st.lists(answers, min_size=1, max_size=2), min_size=1, max_size=4)


def _dated(several: list[list[Any]]) -> list[tuple[str, Any]]:
    return [(f"2025-01-0{day}", one) for day, answers in enumerate(several, 1) for one in answers]


def names_of(r: ra.Redemptions) -> dict[str, Any]:
    """Name redemptions as the rules do, by their keys."""
    columns = ("redemption_key", "redemption_id", "customer_key", "redeemed_time", "id")
    return {
        key: given or (customer, None if time is None else str(time), id_)
        for key, given, customer, time, id_ in cells(r.points, *columns)
    }


def assert_merged_as_by_hand(dated: list[tuple[str, Any]]) -> None:
    """Check all tables, the ledger and what the audit says."""
    # A file each: those of one day are read in their order.
    r = ra.load([export(day, one) for day, one in dated])
    names = names_of(r)
    by_hand = merged_by_hand(dated, {name: key for key, name in names.items()})
    columns = ["customer_key", "id", "points_redeemed", "program_id", "transaction_number"]
    columns += ["notes", "store_code", "store_name"]
    for key, row in zip(r.points["redemption_key"], cells(r.points, *columns), strict=True):
        assert dict(zip(columns, row, strict=True)) == by_hand.points[names[key]]
    assert set(names.values()) == by_hand.points.keys()
    assert_children_are(r, by_hand, names)
    for element, seen in by_hand.seen.items():
        assert ledger(r, element)[0] == seen, element
        ledger(r, element)
    assert (r.rejects["path"].fillna("").str.endswith("reversals")).sum() == by_hand.refused
    assert found(r, "vanished_reversals")[0] == len(by_hand.vanished)
    assert found(r, "conflicting_reversal")[0] == len(by_hand.conflicting)
    count, example = found(r, "restated")
    assert count == len(by_hand.moved)
    if count:
        assert example.endswith(f"; {sum(by_hand.moved.values())} points moved in all")


def assert_children_are(r: ra.Redemptions, by_hand: ByHand, names: dict[str, Any]) -> None:
    tables = {
        "program_breakups": ["program_id", "points_redeemed"],
        "source_breakups": ["source_store_code", "points_consumed"],
        "custom_fields": ["name", "value"],
    }
    for table, columns in tables.items():
        rows = cells(getattr(r, table), "redemption_key", *columns)
        ours = sorted(((str(names[key]), *row) for key, *row in rows), key=str)
        expected = sorted(
            (
                (str(name), *_values(table, part))
                for name, parts in by_hand.below[table].items()
                for part in parts
            ),
            key=str,
        )
        assert ours == expected, table
    ours = cells(r.reversals, "reversal_id", "redemption_key", "points_reversed")
    assert sorted([number, str(names[key]), points] for number, key, points in ours) == sorted(
        [number, str(row["of"]), row["points_reversed"]]
        for number, row in by_hand.reversals.items()
    )
    times = dict(cells(r.reversals, "reversal_id", "reversal_time"))
    for number, row in by_hand.reversals.items():
        time = row["reversal_time"] or None
        assert time == (None if times[number] is None else str(times[number]))
    shares = cells(r.reversal_breakups, "reversal_id", "program_id", "points_reversed")
    assert sorted(shares) == sorted(
        [number, share["program_id"], share["points_reversed"]]
        for number, parts in by_hand.reversal_breakups.items()
        for share in parts
    )


def _values(table: str, part: dict[str, Any]) -> tuple[Any, ...]:
    if table == "source_breakups":
        return part["source_store"]["code"], part["points_consumed"]
    if table == "custom_fields":
        return part["name"], part["value"]
    return part["program_id"], part["points_redeemed"]


@pytest.mark.parametrize("points", [NEW, OLD], ids=["redemption_ids", "real ids"])
def test_what_is_merged_is_what_loops_merge(points: Any) -> None:
    @given(_exports(points))
    @settings(max_examples=6 * TIMES, deadline=None)
    def merges(several: list[list[Any]]) -> None:
        assert_merged_as_by_hand(_dated(several))

    merges()


@given(_exports(NEW | OLD))
@settings(max_examples=3 * TIMES, deadline=None)
def test_splitting_answers_over_files_and_rows_over_batches_changes_nothing(
    several: list[list[Any]],
) -> None:
    dated = _dated(several)
    whole = ra.load([export(f"2025-01-0{day}", *one) for day, one in enumerate(several, 1)])
    with little_memory(1), TemporaryDirectory() as folder:
        ra.convert([export(*one) for one in dated], Path(folder) / "out")
        split = ra.open(Path(folder) / "out")
    for name, frame in whole.tables.items():
        if name not in ("responses", "rejects", "files"):
            assert frame.equals(split.tables[name]), name
    assert found(whole, "restated") == found(split, "restated")
