"""Forgetting: a warehouse is then one load of exports that never told of the person."""

from __future__ import annotations

import itertools
import json
import os
from collections import defaultdict
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any
from unittest import mock
from uuid import uuid4

import pyarrow as pa
import pytest
from answers import answer, new, old, reversal
from hypothesis import Phase, given, settings
from hypothesis import strategies as st
from payloads import TIMES
from warehouses import (
    assert_as_if_never_told,
    assert_same,
    before_commit,
    contents,
    named,
    stored,
    write,
)
from worlds import ANSWERS

import redemption_analytics as ra
from redemption_analytics.contract import IDENTITIES
from redemption_analytics.merging import customers
from redemption_analytics.privacy import KEY_VARIABLE
from redemption_analytics.warehouse import building, compaction
from redemption_analytics.warehouse.log import Log

NO_SHRINK = [Phase.explicit, Phase.generate]

MOBILE, EMAIL, NEXT = "447700900123", "ada@example.com", "447700900999"


# Whatever exports tell.

#: Records: answers of one customer each, or of two at once.
RECORDS = st.lists(st.lists(ANSWERS, min_size=1, max_size=2), min_size=1, max_size=3)
DAYS = st.sampled_from(["2025-01-01", "2025-01-02", "2025-01-03T04-00", "undated"])


class Exported:
    """An export of records, each of which is the customers of one answer."""

    def __init__(self, path: Path, records: list[list[Any]]):
        self.path = str(path)
        #: By their numbers, as they were written first.
        self.records = {record: dict(enumerate(told, 1)) for record, told in enumerate(records, 1)}
        self.several = {record for record, told in self.records.items() if len(told) > 1}
        # Whatever goes, somebody else is left.
        self.records[len(records) + 1] = {1: answer(mobile="999")}
        self.write()

    def write(self) -> None:
        lines = []
        for record, told in self.records.items():
            payload, *_ = told.values()
            if record in self.several:
                people = [each["response"]["customer"] for each in told.values()]
                payload = {"response": {"status": {"success": True}, "customer": people}}
            lines.append(json.dumps(payload))
        # What has one content and one date is one export.
        blank = "\n" * int(Path(self.path).name[0])
        Path(self.path).write_text("\n".join(lines) + blank)
        os.utime(self.path, (1.7e9, 1.7e9))

    def strip(self, ids: set[str]) -> None:
        """Take answers out."""
        for record, told in list(self.records.items()):
            for position in list(told):
                if f"{self.path}#{record}/{position}" in ids:
                    del told[position]
            if not told:
                del self.records[record]
        self.write()

    def numbers(self) -> dict[str, tuple[str, int]]:
        """Return the first id and record of each answer, by the id that it has now."""
        return {
            f"{self.path}#{now}/{place}": (f"{self.path}#{record}/{position}", record)
            for now, (record, told) in enumerate(self.records.items(), 1)
            for place, position in enumerate(told, 1)
        }


def renumbered(r: ra.Redemptions, exports: list[Exported]) -> ra.Redemptions:
    """Name the answers of exports by the numbers that they had before some were taken out."""
    first = {now: was for export in exports for now, was in export.numbers().items()}
    responses = r.responses.copy()
    responses["record"] = [first[each][1] for each in responses["response_id"]]
    responses["response_id"] = [first[each][0] for each in responses["response_id"]]
    rejects = r.rejects.copy()
    rejects["record"] = [
        first[f"{source}#{record}/1"][1]
        for source, record in zip(rejects["source"], rejects["record"], strict=True)
    ]
    rejects = rejects.astype(r.rejects.dtypes)
    tables = {**r.tables, "responses": responses.astype(r.responses.dtypes), "rejects": rejects}
    return ra.Redemptions(**tables, ledger=r.ledger, findings=r.findings)


def answers_of(
    key: str, r: ra.Redemptions, exports: list[Exported], most: int, *first: str
) -> set[str]:
    """Return the ids of a customer's answers, and of the failed ones that ask for nobody else."""
    told = {
        f"{export.path}#{record}/{position}": each["response"]["customer"]
        for export in exports
        for record, people in export.records.items()
        for position, each in people.items()
    }
    having: defaultdict[str, set[tuple[str, str]]] = defaultdict(set)
    for row in r.responses.to_dict("records"):
        if row["success"] or row["points_loaded"] or row["coupons_loaded"]:
            own = told[row["response_id"]]
            names = [f"{each}:{own[each]}" for each in (*first, *IDENTITIES) if own.get(each)]
            for each in names:
                having[each].add((names[0], row["customer_key"]))
    own = {
        each
        for each, keys in having.items()
        if len({now for _, now in keys}) == 1
        and {now for _, now in keys} == {key}
        and len({was for was, _ in keys}) <= most
    }
    return set(r.responses.loc[r.responses["customer_key"].isin({key, *own}), "response_id"])


@pytest.mark.slow
@given(st.data())
@settings(max_examples=15 * TIMES, deadline=None, phases=NO_SHRINK)
def test_a_warehouse_that_forgot_somebody_is_a_load_of_exports_without_them(data: Any) -> None:
    drawn = data.draw(st.lists(st.tuples(DAYS, RECORDS), min_size=2, max_size=5))
    options = data.draw(
        st.sampled_from([{}, {}, {"customer_key": "mobile"}, {"points": "decimal"}])
    )
    most = data.draw(st.sampled_from([1, 2, 50]))
    with (
        TemporaryDirectory() as folder,
        mock.patch.object(customers, "MOST_KEYS", most),
        mock.patch.object(compaction, "FANOUT", data.draw(st.sampled_from([2, 3, 8]))),
        mock.patch.object(building, "MOST_ANSWERS", data.draw(st.sampled_from([0, 10**6, 10**6]))),
    ):
        exports = [
            Exported(Path(folder) / f"{number}-{day}.jsonl", records)
            for number, (day, records) in enumerate(drawn)
        ]
        paths = [export.path for export in exports]
        warehouse = ra.Warehouse(f"memory://forgotten-{uuid4().hex}")
        order = data.draw(st.permutations(paths))
        cuts = [
            0,
            *sorted(data.draw(st.sets(st.integers(1, len(order) - 1), min_size=1))),
            len(order),
        ]
        nights = list(itertools.pairwise(cuts))
        at = data.draw(st.integers(0, len(nights) - 1))
        first = None
        if at < len(nights) - 1:
            first = data.draw(st.sampled_from(["the forgetting", "the next ingest", None]))
        other = ra.Warehouse(warehouse._store.location)

        def ingest(night: int) -> None:
            start, end = nights[night]
            warehouse.ingest(order[start:end], allow_empty=True, **options)

        for night in range(at + 1):
            ingest(night)
        # What another ingests meanwhile is forgotten too, where that is committed first.
        known = order[: nights[at + (first == "the next ingest")][1]]
        before = ra.load(order[: nights[at][1]], allow_empty=True, **options)
        whole = ra.load(known, allow_empty=True, **options)
        keys = set(before.customers["customer_key"]) & set(whole.customers["customer_key"])
        if not keys - {"mobile:999"}:
            return
        key = data.draw(st.sampled_from(sorted(keys - {"mobile:999"})))
        ids = answers_of(key, whole, exports, most, *options.get("customer_key", "").split())
        if first == "the next ingest":
            with before_commit(lambda: ingest(at + 1)):
                assert other.forget(customer_key=key).answers == len(ids)
        elif first == "the forgetting":
            with before_commit(lambda: other.forget(customer_key=key)):
                ingest(at + 1)
        else:
            assert warehouse.forget(customer_key=key).answers == len(ids)
        for night in range(at + 1 + (first is not None), len(nights)):
            ingest(night)
        for export in exports:
            if export.path in known:
                export.strip(ids)
        without = ra.load(paths, allow_empty=True, **options)
        assert_as_if_never_told(warehouse.open(), renumbered(without, exports))


# How a person is named.


def connected(folder: Path) -> list[Path]:
    """One person under three identities, told in two exports, beside another."""
    return [
        write(
            folder,
            "2026-01-01",
            answer(new("a"), mobile=MOBILE, email=EMAIL),
            answer(new("c"), mobile=NEXT, email="grace@example.com"),
        ),
        write(folder, "2026-01-02", answer(new("b"), mobile=None, email=EMAIL, external_id="E7")),
    ]


@pytest.mark.parametrize(
    "name",
    [
        {"mobile": MOBILE},
        {"mobile": f" {MOBILE}\n"},
        {"email": EMAIL},
        {"external_id": "E7"},
        {"customer_key": "external_id:E7"},
        {"customer_key": f"mobile:{MOBILE}"},
    ],
)
def test_all_that_is_united_with_an_identity_goes(
    warehouse: ra.Warehouse, name: Any, tmp_path: Path
) -> None:
    for path in connected(tmp_path):
        warehouse.ingest(path)
    done = warehouse.forget(**name)
    assert (done.version, done.answers, done.older) == (3, 2, (1, 2))
    r = warehouse.open()
    assert list(r.points["redemption_key"]) == ["c"]
    assert list(r.customers["mobile"]) == [NEXT]
    r.validate()
    with pytest.raises(ra.UsageError, match="holds nobody with this"):
        warehouse.forget(**name)


@pytest.mark.parametrize(
    "name",
    [{}, {"mobile": "447", "email": "a"}, {"mobile": ""}, {"mobile": 447}, {"email": " "}],
)
def test_a_person_is_named_by_one_text(warehouse: ra.Warehouse, name: Any, tmp_path: Path) -> None:
    warehouse.ingest(connected(tmp_path))
    with pytest.raises(ra.UsageError, match="forget"):
        warehouse.forget(**name)


def test_who_is_not_there_is_told_without_the_name(warehouse: ra.Warehouse, tmp_path: Path) -> None:
    with pytest.raises(ra.SourceError, match="nothing yet"):
        warehouse.forget(mobile=MOBILE)
    warehouse.ingest(connected(tmp_path))
    with pytest.raises(ra.UsageError, match="nobody with this mobile") as error:
        warehouse.forget(mobile="447700900555")
    assert "447700900555" not in str(error.value)
    assert len(warehouse.history()) == 1


def test_an_identity_of_several_customers_names_none_of_them(
    warehouse: ra.Warehouse, tmp_path: Path
) -> None:
    told = [answer(new(key), mobile=MOBILE, external_id=key) for key in ("E7", "E9")]
    warehouse.ingest(write(tmp_path, "2026-01-01", *told))
    with pytest.raises(ra.UsageError, match="2 customers have this mobile") as error:
        warehouse.forget(mobile=MOBILE)
    assert MOBILE not in str(error.value)
    warehouse.forget(external_id="E7")
    r = warehouse.open()
    # What another has too is the other's.
    assert [list(r.customers[name]) for name in ("external_id", "mobile")] == [["E9"], [MOBILE]]


def test_failed_answers_that_ask_for_the_person_go(warehouse: ra.Warehouse, tmp_path: Path) -> None:
    failed = answer(mobile=MOBILE, success=False)
    del failed["response"]["customer"]["redemptions"]
    path = write(tmp_path, "2026-01-01", failed, answer(new("c"), mobile=NEXT))
    warehouse.ingest(path)
    assert warehouse.forget(mobile=MOBILE).answers == 1
    assert list(warehouse.open().responses["record"]) == [2]


@pytest.mark.parametrize("clear", [True, False])
def test_under_pseudonyms_the_identity_or_the_pseudonym_names_a_person(
    warehouse: ra.Warehouse, clear: bool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(KEY_VARIABLE, "a key of more than sixteen bytes")
    paths = connected(tmp_path)
    for path in paths:
        warehouse.ingest(path, pii="pseudonymize")
    r = warehouse.open()
    (key,) = r.points.loc[r.points["redemption_key"] == "a", "customer_key"]
    warehouse.forget(**({"email": EMAIL} if clear else {"customer_key": key}))
    r = warehouse.open()
    assert list(r.points["redemption_key"]) == ["c"]
    assert len(r.customers) == 1
    monkeypatch.setenv(KEY_VARIABLE, "another key of more than sixteen bytes")
    with pytest.raises(ra.UsageError, match="is another than this warehouse"):
        warehouse.forget(email="grace@example.com")


def test_who_has_none_of_the_identity_that_names_customers_is_forgotten_too(
    warehouse: ra.Warehouse, tmp_path: Path
) -> None:
    warehouse.ingest(
        write(
            tmp_path,
            "2026-01-01",
            answer(new("a"), mobile=None, external_id="E7", email=EMAIL),
            answer(new("b"), mobile=None, external_id="E7"),
            answer(new("c"), mobile=NEXT),
        ),
        customer_key="mobile",
    )
    assert warehouse.forget(email=EMAIL).answers == 2
    assert list(warehouse.open().points["redemption_key"]) == ["c"]


# What remains.


def test_rejects_of_the_person_go_and_others_lose_what_they_quote(
    warehouse: ra.Warehouse, tmp_path: Path
) -> None:
    half = {**new("x"), "points_redeemed": 1.5, "notes": "for Ada"}
    wrong = {**new("y"), "points_redeemed": 2.5}
    both = {
        "response": {
            "status": {"success": True},
            "customer": [
                answer(half, mobile=MOBILE)["response"]["customer"],
                answer(wrong, mobile=NEXT)["response"]["customer"],
            ],
        }
    }
    torn = '{"response": {"customer": {"mobile": "447700900123", "firstname": '
    path = write(
        tmp_path,
        "2026-01-01",
        answer(new("a", reversals=[reversal("none")]), half, mobile=MOBILE),
        answer(new("c"), wrong, mobile=NEXT),
        both,
        torn,
    )
    warehouse.ingest(path)
    before = warehouse.open()
    assert len(before.rejects) == 6
    warehouse.forget(mobile=MOBILE)
    r = warehouse.open()
    assert list(r.rejects["record"].sort_values()) == [2, 3, 3, 4]
    own = r.rejects.set_index("record")
    assert "2.5" in own.loc[2, "reason"]
    assert "2.5" in own.loc[2, "raw"]
    # Whose reject it is in an answer of several, nothing says.
    assert own.loc[[3, 4], ["path", "raw"]].isna().all(axis=None)
    assert set(own.loc[[3, 4], "reason"]) == {"the value was refused, and is forgotten"}
    ledger = r.ledger.set_index("element")
    parts = ["loaded", "merged", "rejected", "passed_over"]
    assert (ledger["seen"] == ledger[parts].sum(axis=1)).all()
    was = before.ledger.set_index("element")
    fewer = (was - ledger)[["seen", "rejected"]]
    assert fewer.loc["responses"].tolist() == [2, 0]
    assert fewer.loc["points"].tolist() == [2, 1]
    assert fewer.loc["reversals"].tolist() == [1, 1]
    assert ledger["rejected"].sum() == len(r.rejects)


def test_texts_of_others_that_name_the_person_go(warehouse: ra.Warehouse, tmp_path: Path) -> None:
    def told(text: str | None) -> list[Any]:
        fields = {"field": [{"name": "referred_by", "value": text}]}
        redemption = new("c", notes=text, custom_fields=fields)
        coupon = {"id": 1, "code": "C", "custom_fields": fields}
        other = answer(redemption, coupons=[coupon], mobile=NEXT)
        other["response"]["status"]["message"] = text
        return [other, answer(new("d", notes="4477009001234"), mobile="448")]

    mine = answer(new("a"), mobile=MOBILE)
    path = write(tmp_path, "2026-01-01", *told(f"Asked for {MOBILE}."), mine)
    warehouse.ingest(path)
    warehouse.forget(mobile=MOBILE)
    found = warehouse.open()
    write(tmp_path, "2026-01-01", *told(None))
    assert_as_if_never_told(found, ra.load(path))
    assert "4477009001234" in list(found.points["notes"])


def test_files_that_are_called_after_the_person_are_renamed(
    warehouse: ra.Warehouse, tmp_path: Path
) -> None:
    mine = write(
        tmp_path, f"{MOBILE}-2026-01-01", answer(new("a"), mobile=MOBILE), answer(new("b"))
    )
    other = write(tmp_path, "2026-01-02", answer(new("c"), mobile=NEXT))
    warehouse.ingest([mine, other])
    warehouse.forget(mobile=MOBILE)
    r = warehouse.open()
    (new_name,) = set(r.files["source"]) - {str(other)}
    assert "forgotten-" in new_name
    assert MOBILE not in new_name
    assert sorted(r.responses["response_id"]) == sorted([f"{new_name}#2/1", f"{other}#1/1"])
    r.validate()
    assert warehouse.ingest([mine, other]).read == 0


# Afterwards.


def test_a_known_file_does_not_bring_a_person_back_and_a_new_one_does(
    warehouse: ra.Warehouse, tmp_path: Path
) -> None:
    paths = connected(tmp_path)
    warehouse.ingest(paths)
    warehouse.forget(mobile=MOBILE)
    assert warehouse.ingest(paths).read == 0
    warehouse.ingest(write(tmp_path, "2026-01-03", answer(new("z"), mobile=MOBILE)))
    assert sorted(warehouse.open().points["redemption_key"]) == ["c", "z"]


def test_everybody_may_be_forgotten(warehouse: ra.Warehouse, tmp_path: Path) -> None:
    warehouse.ingest(write(tmp_path, "2026-01-01", answer(new("a"), old(), mobile=MOBILE)))
    warehouse.forget(mobile=MOBILE)
    r = warehouse.open()
    r.validate()
    assert [len(r.points), len(r.responses), len(r.files)] == [0, 0, 1]
    path = write(tmp_path, "2026-01-02", answer(new("c"), mobile=NEXT))
    warehouse.ingest(path)
    assert list(warehouse.open().points["redemption_key"]) == ["c"]


def test_what_was_known_on_a_day_is_without_the_person_from_then_on(
    warehouse: ra.Warehouse, tmp_path: Path
) -> None:
    for path in connected(tmp_path):
        warehouse.ingest(path)
    assert len(warehouse.open(as_known_on="2026-01-01").points) == 2
    warehouse.forget(mobile=MOBILE)
    assert list(warehouse.open(as_known_on="2026-01-01").points["redemption_key"]) == ["c"]
    # Older versions are as they were, until they are vacuumed.
    assert len(warehouse.open(version=1).points) == 2
    gone = warehouse.diff(2, 3).counts
    assert len(warehouse.history()) == 3
    assert gone is not None


def test_after_vacuuming_no_file_holds_anything_of_the_person(tmp_path: Path) -> None:
    warehouse = ra.Warehouse(tmp_path / "warehouse")
    secret = {"firstname": "Zq-first", "lastname": "Zq-last", "user_id": "Zq-user-id"}
    fields = {"field": [{"name": "card", "value": "Zq-card"}]}
    own = answer(
        new("a", notes="Zq-note", custom_fields=fields, reversals=[reversal(1, 5)]),
        {**new("x"), "points_redeemed": "Zq-odd"},
        coupons=[{"id": 1, "code": "Zq-code", "custom_fields": fields}],
        mobile=MOBILE,
        email=EMAIL,
        **secret,
    )
    own["response"]["customer"][MOBILE] = "an unknown field"
    asked = answer(mobile=MOBILE, success=False)
    asked["response"]["status"]["message"] = f"{MOBILE} is not known"
    for number in range(1, 12):
        other = answer(new(f"o{number}", notes=f"see {EMAIL}"), mobile=f"4488{number:08}")
        nobody = {"response": {"status": {"success": False, "message": f"no {MOBILE}"}}}
        path = write(tmp_path, f"2026-01-{number:02}-{MOBILE}", own, other, asked, nobody)
        warehouse.ingest(path)
    held = contents(warehouse)
    marks = [MOBILE, EMAIL, "Zq-"]
    assert all(mark.encode() in held for mark in marks)
    done = warehouse.forget(email=EMAIL)
    assert str(done.version) in str(done)
    assert MOBILE not in repr(done)
    assert warehouse.vacuum(keep=1, grace="0s").versions == done.older
    held = contents(warehouse)
    left = {
        each: held[held.find(each.encode()) - 300 :][:400]
        for each in marks
        if each.encode() in held
    }
    assert not left, left
    assert b"448800000011" in held
    assert stored(warehouse) == named(warehouse)
    assert len(warehouse.open().points) == 11


# Others, and dying.


def told_last(folder: Path, *of: bool) -> list[Path]:
    """Write exports that tell of the person last, or do not tell of them."""
    mine = answer(
        new("shared", reversals=[reversal(1)]),
        new("own", notes=EMAIL),
        {"id": "Zq-odd"},
        mobile=MOBILE,
        email=EMAIL,
    )
    return [
        write(
            folder,
            f"2026-01-0{day}",
            answer(new("shared", points_redeemed=80 + day), mobile=NEXT),
            answer(new(f"of-{day}", notes=f"day {day}"), mobile=f"44770090010{day}"),
            *([mine] if told else []),
        )
        for day, told in enumerate(of, 1)
    ]


def test_wherever_it_lies_a_warehouse_forgets(location: str, tmp_path: Path) -> None:
    warehouse = ra.Warehouse(location)
    paths = told_last(tmp_path, True, False, True)
    for path in paths:
        warehouse.ingest(path)
    before = warehouse.open()
    assert all(mark in contents(warehouse) for mark in (MOBILE.encode(), b"Zq-odd"))
    done = ra.Warehouse(location).forget(email=EMAIL)
    assert (done.version, done.answers, done.older) == (4, 2, (1, 2, 3))
    assert_same(warehouse.open(version=3), before)
    told_last(tmp_path, False, False, False)
    assert_as_if_never_told(warehouse.open(), ra.load(paths))
    assert warehouse.vacuum(keep=1, grace="0s").versions == (1, 2, 3)
    assert stored(warehouse) == named(warehouse)
    assert not [m for m in (MOBILE, EMAIL, "Zq-odd") if m.encode() in contents(warehouse)]
    assert_as_if_never_told(warehouse.open(), ra.load(paths))


@pytest.mark.parametrize("written", [True, False])
def test_where_it_is_unknown_whether_it_was_forgotten_the_next_forgetting_ends_well(
    location: str, written: bool, tmp_path: Path
) -> None:
    """The answer of a bucket may get lost, whatever it did."""
    paths = told_last(tmp_path, True, True)
    warehouse = ra.Warehouse(location)
    warehouse.ingest(paths)
    before, commit = warehouse.open(), Log.commit

    def lost(log: Log, entry: Any) -> bool:
        if written:
            commit(log, entry)
        raise ra.WriteError("the connection was reset")

    with (
        mock.patch.object(Log, "commit", lost),
        pytest.raises(ra.WriteError, match="was reset"),
    ):
        warehouse.forget(mobile=MOBILE)
    if written:
        with pytest.raises(ra.UsageError, match="nobody"):
            warehouse.forget(mobile=MOBILE)
    else:
        assert_same(warehouse.open(), before)
        assert warehouse.forget(mobile=MOBILE).version == 2
    told_last(tmp_path, False, False)
    assert_as_if_never_told(warehouse.open(), ra.load(paths))
    warehouse.vacuum(1, grace="0s")
    assert stored(warehouse) == named(warehouse)


@pytest.mark.parametrize("told", [True, False], ids=["tells of the person", "tells of others"])
def test_what_another_writer_commits_meanwhile_is_forgotten_too(
    location: str, told: bool, tmp_path: Path
) -> None:
    first, second = told_last(tmp_path, True, told)
    warehouse, other = ra.Warehouse(location), ra.Warehouse(location)
    warehouse.ingest(first)
    with before_commit(lambda: other.ingest(second)):
        done = warehouse.forget(mobile=MOBILE)
    assert (done.version, done.answers) == (3, 1 + told)
    told_last(tmp_path, False, False)
    assert_as_if_never_told(warehouse.open(), ra.load([first, second]))
    warehouse.vacuum(keep=1, grace="0s")
    assert stored(warehouse) == named(warehouse)


@pytest.mark.parametrize("told", [True, False], ids=["tells of the person", "tells of others"])
def test_an_ingest_that_is_beaten_by_a_forgetting_goes_on_upon_it(
    location: str, told: bool, tmp_path: Path
) -> None:
    first, second = told_last(tmp_path, True, told)
    warehouse, other = ra.Warehouse(location), ra.Warehouse(location)
    warehouse.ingest(first)
    with before_commit(lambda: other.forget(mobile=MOBILE)):
        warehouse.ingest(second)
    told_last(tmp_path, False, told)
    # It was read before, and tells what it tells.
    assert_as_if_never_told(warehouse.open(), ra.load([first, second]))
    if told:
        warehouse.forget(mobile=MOBILE)
        told_last(tmp_path, False, False)
        assert_as_if_never_told(warehouse.open(), ra.load([first, second]))
    warehouse.vacuum(keep=1, grace="0s")
    assert stored(warehouse) == named(warehouse)


@pytest.mark.parametrize("where", ["put", "create", "writing"])
def test_an_error_at_any_write_leaves_the_version_before(
    warehouse: ra.Warehouse, where: str, tmp_path: Path
) -> None:
    for path in connected(tmp_path):
        warehouse.ingest(path)
    before, files = warehouse.open(), stored(warehouse)
    kept = type(warehouse._store)
    for failing in range(40):
        real, calls = getattr(kept, where), itertools.count()

        def fails(
            store: Any, *given: Any, real: Any = real, calls: Any = calls, at: int = failing
        ) -> Any:
            mine = store.location == warehouse._store.location
            if mine and next(calls) == at:
                raise ra.WriteError("no room")
            return real(store, *given)

        with mock.patch.object(kept, where, fails):
            try:
                warehouse.forget(mobile=MOBILE)
                break
            except ra.WriteError:
                assert_same(warehouse.open(), before)
                if where != "create":
                    assert stored(warehouse) == files
    assert failing > 0
    assert list(warehouse.open().points["redemption_key"]) == ["c"]


def test_published_tables_follow(tmp_path: Path) -> None:
    deltalake = pytest.importorskip("deltalake")
    warehouse = ra.Warehouse(tmp_path / "warehouse")
    warehouse.ingest(connected(tmp_path / "exports"))
    warehouse.publish()
    warehouse.forget(mobile=MOBILE)
    points = deltalake.DeltaTable(str(tmp_path / "warehouse" / "data" / "points"))
    assert points.version() == 2
    table = pa.table(points.to_pyarrow_table())
    assert table["redemption_key"].to_pylist() == ["c"]


def test_a_forgetting_that_died_before_it_was_published_is_published_by_the_next(
    tmp_path: Path,
) -> None:
    deltalake = pytest.importorskip("deltalake")
    warehouse = ra.Warehouse(tmp_path / "warehouse")
    warehouse.ingest(connected(tmp_path / "exports"))
    warehouse.publish()
    from redemption_analytics.warehouse import delta

    with (
        mock.patch.object(delta, "publish", side_effect=ra.WriteError("no room")),
        pytest.raises(ra.WriteError),
    ):
        warehouse.forget(mobile=MOBILE)
    with pytest.raises(ra.UsageError, match="nobody"):
        warehouse.forget(mobile=MOBILE)
    points = deltalake.DeltaTable(str(tmp_path / "warehouse" / "data" / "points"))
    assert points.version() == Log(warehouse._store).versions()[-1] == 2
