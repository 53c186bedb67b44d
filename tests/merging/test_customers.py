"""Who is one customer: those who share an identity and contradict one another in none."""

from __future__ import annotations

from itertools import combinations
from pathlib import Path
from typing import Any

import pytest
from answers import answer, cells, export, found, load, new, old
from hypothesis import given, settings
from hypothesis import strategies as st

import redemption_analytics as ra
from redemption_analytics.merging.customers import clustered
from redemption_analytics.privacy import KEY_VARIABLE

PII = pytest.mark.parametrize("pii", ["keep", "pseudonymize", "drop"])


@pytest.fixture(autouse=True)
def secret(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(KEY_VARIABLE, "sixteen or more bytes")


def seen(day: int, point: Any, **who: Any) -> Any:
    return export(f"2025-01-0{day}", answer(point, **{"mobile": None} | who))


@PII
def test_who_gains_an_identity_is_one_customer(pii: Any) -> None:
    exports = [
        seen(1, new("a"), email="a@example.com"),
        seen(2, new("b"), mobile="447", email="a@example.com"),
        seen(3, new("c"), mobile="447", external_id="E9"),
    ]
    r = load(*exports, pii=pii)
    (key,) = set(cells(r.points, "customer_key"))
    assert cells(r.customers, "customer_key") == [key]
    assert set(cells(r.responses, "customer_key")) == {key}
    assert found(r, "split_customers") == found(r, "conflicting_customer") == (0, None)
    if pii == "keep":
        assert key == "external_id:E9"
        told = cells(r.customers, "external_id", "mobile", "email")
        assert told == [["E9", "447", "a@example.com"]]
    if pii == "pseudonymize":
        # As if the strongest identity had been told from the first.
        (alone,) = load(seen(3, new("c"), external_id="E9"), pii=pii).points["customer_key"]
        assert key == alone


@PII
def test_those_who_contradict_each_other_stay_two_and_are_told_of(pii: Any) -> None:
    r = load(
        seen(1, new("a"), mobile="447", external_id="E9"),
        seen(2, new("b"), mobile="447", external_id="E7"),
        pii=pii,
    )
    assert r.points["customer_key"].nunique() == len(r.customers) == 2
    count, example = found(r, "split_customers")
    assert count == 1
    assert not {"447", "E9", "E7"} & set(example.split()) if pii != "keep" else True


@PII
@pytest.mark.parametrize(("keys", "split"), [(50, 1), (51, 0)])
def test_what_too_many_customers_share_is_a_shops_own_and_splits_nobody(
    pii: Any, keys: int, split: int
) -> None:
    told = [answer(new(f"r{n}"), mobile="447", external_id=f"E{n}") for n in range(keys)]
    r = load(export("2025-01-01", *told), pii=pii)
    assert r.points["customer_key"].nunique() == keys
    assert found(r, "split_customers")[0] == split


def test_who_agrees_with_two_that_contradict_each_other_stays_alone() -> None:
    r = load(
        seen(1, new("a"), mobile="447", external_id="E9"),
        seen(2, new("b"), mobile="447", external_id="E7"),
        seen(3, new("c"), mobile="447"),
    )
    assert r.points["customer_key"].nunique() == 3


@pytest.mark.parametrize("pii", ["keep", "pseudonymize"])
def test_one_identity_that_names_customers_is_found_by_way_of_the_others(pii: Any) -> None:
    r = load(
        seen(1, new("a"), external_id="E9"),
        seen(2, new("b"), external_id="E9", mobile="447"),
        seen(3, new("c"), external_id="E7"),
        customer_key="mobile",
        pii=pii,
    )
    keys = dict(cells(r.points, "redemption_key", "customer_key"))
    assert keys["a"] == keys["b"]
    assert keys["c"] is None
    assert cells(r.customers, "customer_key") == [keys["b"]]
    if pii == "keep":
        assert keys["b"] == "mobile:447"


@PII
def test_an_old_redemption_of_who_gained_an_identity_is_counted_once(pii: Any) -> None:
    r = load(
        seen(1, old(), mobile="447"),
        seen(2, new("a"), mobile="447", external_id="E9"),
        pii=pii,
    )
    assert cells(r.points, "redemption_key") == ["a"]


def test_no_identity_is_left_on_disk_where_customers_are_united(tmp_path: Path) -> None:
    exports = [
        seen(1, new("a"), mobile="447000111"),
        seen(2, new("b"), mobile="447000111", external_id="EXT-9"),
    ]
    ra.convert(exports, tmp_path / "out", pii="pseudonymize")
    (key,) = set(ra.open(tmp_path / "out").points["customer_key"])
    written = b"".join(path.read_bytes() for path in tmp_path.rglob("*") if path.is_file())
    assert key.encode() in written
    assert b"447000111" not in written
    assert b"EXT-9" not in written


IDENTITIES = st.tuples(
    *(st.frozensets(st.sampled_from([f"{name}1", f"{name}2"]), max_size=1) for name in "uxme")
)


def _contradict(one: Any, other: Any) -> bool:
    return any(a and b and not a & b for a, b in zip(one, other, strict=True))


@given(st.lists(IDENTITIES, min_size=2, max_size=6), st.randoms(use_true_random=False))
@settings(max_examples=300, deadline=None)
def test_who_is_one_does_not_depend_on_order_and_nobody_contradicts_himself(
    several: list[Any], random: Any
) -> None:
    values = {f"key{n}": one for n, one in enumerate(several)}
    clusters = {frozenset(cluster) for cluster in clustered(values)}
    for cluster in clusters:
        assert not any(_contradict(values[a], values[b]) for a, b in combinations(cluster, 2))
    shuffled = list(values)
    random.shuffle(shuffled)
    assert {frozenset(c) for c in clustered({key: values[key] for key in shuffled})} == clusters
    for group in _connected(values):
        pairs = combinations(group, 2)
        if len(group) > 1 and not any(_contradict(values[a], values[b]) for a, b in pairs):
            assert frozenset(group) in clusters


def _connected(values: dict[str, Any]) -> list[set[str]]:
    """Put together who share an identity, directly or by way of others."""
    groups: list[set[str]] = []
    for key, own in values.items():
        near = [
            group
            for group in groups
            if any(a & b for other in group for a, b in zip(own, values[other], strict=True))
        ]
        groups = [group for group in groups if group not in near] + [{key}.union(*near)]
    return groups
