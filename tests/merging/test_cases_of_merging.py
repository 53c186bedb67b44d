"""Cases of answers that share nothing are found apart as together, however exports are cut."""

from __future__ import annotations

import io
from collections import Counter
from functools import partial
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any
from unittest import mock

import pyarrow as pa
import pytest
from answers import TIME, answer, export, found, new, old, reversal
from hypothesis import given, settings
from hypothesis import strategies as st
from little_memory import little_memory
from payloads import TIMES

import redemption_analytics as ra
from redemption_analytics.loading import loading, pipeline, units
from redemption_analytics.merging.cases import findings_of
from redemption_analytics.merging.stores import InMemory
from redemption_analytics.privacy import KEY_VARIABLE
from redemption_analytics.reading import blocks
from redemption_analytics.reading.files import read_blocks
from redemption_analytics.tables.ledger import Finding

#: Of some days, and one of which only the reading tells when it was made.
DAYS = ("2025-01-01", "2025-01-02", "export")
#: One is after its export, and one the zero of Unix.
MOMENTS = st.sampled_from([TIME, TIME, "2030-01-01 00:00:00", "1970-01-01 00:00:00", None])
POINTS = st.sampled_from([90, 90, 80, 85.5])

World = list[tuple[str, Any]]


def _parts(strategy: st.SearchStrategy[Any], key: str) -> st.SearchStrategy[Any]:
    return st.lists(strategy, max_size=2, unique_by=lambda one: one[key])


def _answers(number: int) -> st.SearchStrategy[Any]:
    """Draw answers of a few customers who share nothing with those of another number."""
    back = _parts(
        st.builds(
            lambda one, points, time: reversal(10 * number + one, points, reversal_time=time),
            *(st.integers(1, 9), POINTS, MOMENTS),
        ),
        "reversal_id",
    )
    share = {"program_id": st.sampled_from([1, 2]), "points_redeemed": POINTS}
    told = st.fixed_dictionaries(
        {
            "program_id": st.sampled_from([None, 1, 2]),
            "points_redeemed": POINTS,
            "redeemed_time": MOMENTS,
            "redemption_breakup_by_program": _parts(st.fixed_dictionaries(share), "program_id"),
            "reversals": back,
        },
        optional={"unknown": st.just(1)},
    )
    redemption = st.one_of(
        st.builds(lambda key, told: new(f"{key}{number}", **told), st.sampled_from("ab"), told),
        st.builds(lambda id_, told: old(**told | {"id": id_}), st.sampled_from([1, 700]), told),
    )
    coupon = st.fixed_dictionaries(
        {"id": st.sampled_from([10 * number, 10 * number + 1]), "redeemed_time": MOMENTS},
        optional={"unknown": st.just(1)},
    )
    return st.builds(
        lambda points, coupons, mobile, other: answer(
            *points,
            coupons=coupons,
            mobile=f"{number}-{mobile}",
            external_id=other and f"{number}-{other}",
        ),
        st.lists(redemption, max_size=3),
        _parts(coupon, "id"),
        st.sampled_from("12"),
        st.sampled_from([None, "1", "2"]),
    )


@st.composite
def worlds(draw: st.DrawFn, count: int) -> list[World]:
    """Draw worlds that share nothing: answers, each with the day of its export."""
    return [
        draw(st.lists(st.tuples(st.sampled_from(DAYS), _answers(number)), max_size=6))
        for number in range(1, count + 1)
    ]


def exports_of(world: World) -> list[io.BytesIO]:
    days = [(day, [one for other, one in world if other == day]) for day in DAYS]
    return [export(day, *answers) for day, answers in days]


def cases(*parts: World, **options: Any) -> list[tuple[Any, ...]]:
    """Load parts, each by itself, and return the cases of all of them."""
    taken: list[tuple[Any, ...]] = []

    def take(found: pa.Table) -> list[Finding]:
        taken.extend(zip(*found.to_pydict().values(), strict=True))
        return findings_of(found)

    with mock.patch.object(pipeline, "findings_of", take):
        for part in parts:
            loading.gather(exports_of(part), InMemory(), {"allow_empty": True} | options)
    return sorted(taken, key=str)


@pytest.fixture(autouse=True)
def secret(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(KEY_VARIABLE, "sixteen or more bytes")


@given(worlds(3), st.sampled_from(["keep", "pseudonymize"]), st.randoms(use_true_random=False))
@settings(max_examples=15 * TIMES, deadline=None)
def test_the_cases_of_parts_that_share_nothing_are_those_of_the_whole(
    several: list[World], pii: Any, random: Any
) -> None:
    # Answers of one world keep their order among those of others.
    places = [number for number, world in enumerate(several) for _ in world]
    random.shuffle(places)
    left = [iter(world) for world in several]
    options = {"points": "decimal", "pii": pii}
    whole = cases([next(left[place]) for place in places], **options)
    assert cases(*several, **options) == whole
    assert cases([*several[0], *several[1]], several[2], **options) == whole


def odd(number: int) -> World:
    """Write a world with a case of everything."""
    key, back, who = f"a{number}", 10 * number, {"mobile": f"{number}"}
    first = new(key, redeemed_time="2030-01-01 00:00:00", reversals=[reversal(back, 1)])
    then = new(key, points_redeemed=80, reversals=[reversal(back + 1, 1)])
    return [
        ("2025-01-01", answer(first, new(f"b{number}"), external_id=f"{number}-1", **who)),
        ("2025-01-02", answer(then, external_id=f"{number}-2", **who)),
        ("2025-01-02", answer(new(f"b{number}", reversals=[reversal(back + 1, 1)]), **who)),
        ("export", answer(new(f"b{number}", redeemed_time="2090-01-01 00:00:00"), **who)),
    ]


def test_every_check_has_its_cases() -> None:
    together = cases([*odd(1), *odd(2)], pii="pseudonymize")
    assert cases(odd(1), odd(2), pii="pseudonymize") == together
    assert Counter(check for check, *_ in together) == {
        "conflicting_customer": 4,
        "conflicting_reversal": 2,
        "restated": 2,
        "split_customers": 2,
        "times_after_export": 2,
        "undated_overlaps": 2,
        "vanished_reversals": 2,
    }


@given(
    worlds(1),
    st.sampled_from([64, 300, 2000]),
    st.sampled_from([1, 2, 5]),
    st.sampled_from([1, 3]),
)
@settings(max_examples=15 * TIMES, deadline=None)
def test_findings_are_the_same_however_exports_are_cut(
    several: list[World], size: int, rows: int, threads: int
) -> None:
    (world,) = several
    _, whole, every = loading.gather(
        exports_of(world), InMemory(), {"allow_empty": True, "points": "decimal"}
    )
    with (
        mock.patch.object(units, "read_blocks", partial(read_blocks, size=size)),
        mock.patch.object(blocks, "_SMALL", -1),
        little_memory(rows),
        TemporaryDirectory() as folder,
    ):
        ra.convert(
            exports_of(world)[::-1],
            Path(folder) / "out",
            allow_empty=True,
            points="decimal",
            threads=threads,
        )
        cut = ra.open(Path(folder) / "out", engine="pyarrow")
    assert cut.findings.to_pylist() == whole.to_pylist()
    assert sorted(map(str, cut.cases.to_pylist())) == sorted(map(str, every.to_pylist()))


def at_zero(key: str) -> Any:
    return answer(new(key, redeemed_time="1970-01-01 00:00:00", unknown=1))


@pytest.mark.parametrize(("size", "small"), [(blocks.BLOCK_BYTES, 256 << 10), (64, -1)])
def test_the_example_of_a_field_is_of_the_first_record_by_time_and_name(
    size: int, small: int
) -> None:
    coupon = answer(coupons=[{"id": 1, "redeemed_time": "1970-01-01 00:00:00"}], mobile="448")
    exports = [
        export("2025-01-02/a", at_zero("d")),
        export("2025-01-01/b", at_zero("c")),
        export("2025-01-01/a", answer(new("a")), coupon, at_zero("b")),
    ]
    with (
        mock.patch.object(units, "read_blocks", partial(read_blocks, size=size)),
        mock.patch.object(blocks, "_SMALL", small),
    ):
        r = ra.load(exports)
    assert found(r, "epoch_times") == (4, "redeemed_time in record 2 of 2025-01-01/a.jsonl")
    count, example = found(r, "unknown_fields")
    assert (count, example.split(" in ")[1]) == (3, "2025-01-01/a.jsonl")


def test_of_the_cases_of_a_check_the_first_by_its_text_is_the_example() -> None:
    back = [[reversal(10, 1)], [reversal(9, 1)]]
    told = [answer(*(new(key, reversals=one) for key, one in zip("ab", back, strict=True)))]
    told.append(answer(new("a", reversals=[reversal(1)]), new("b", reversals=[reversal(2)])))
    r = ra.load([export(f"2025-01-0{day}", one) for day, one in enumerate(told, 1)])
    assert found(r, "vanished_reversals") == (2, "reversal 10 of redemption a")
