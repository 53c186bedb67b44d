"""What was known on a day is one load of the exports until then, however they were ingested."""

from __future__ import annotations

import itertools
import os
from collections.abc import Sequence
from datetime import datetime, timedelta
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any
from unittest import mock
from uuid import uuid4

import pytest
from answers import answer, new, reversal
from hypothesis import Phase, given, settings
from hypothesis import strategies as st
from payloads import TIMES
from warehouses import AS_READ, assert_same, contents, rows_of, write
from worlds import ANSWERS

import redemption_analytics as ra
from redemption_analytics.warehouse import building, compaction
from redemption_analytics.warehouse.reject_times import REJECT_TIMES

FIRST = datetime(2026, 1, 1)
NO_SHRINK = [Phase.explicit, Phase.generate]

#: How the audit says that there may be more.
MORE = ", and perhaps more: exports that came by one ingest were counted together"

REFUSED = st.sampled_from(
    [
        answer(new("x", points_redeemed="none")),
        answer(new("y", reversals=[{"reversal_id": "none"}])),
        answer(new("z", surprise=1, redeemed_time="1970-01-01 00:00:00")),
        {"response": {"customer": "nobody"}},
        '{"response": ',
    ]
)
FILES = st.lists(
    st.tuples(
        st.sampled_from(["latest", "other"]),
        st.lists(st.one_of(ANSWERS, ANSWERS, REFUSED), min_size=1, max_size=3),
    ),
    min_size=2,
    max_size=5,
)


@pytest.fixture
def warehouse() -> ra.Warehouse:
    pytest.importorskip("obstore")
    return ra.Warehouse(f"memory://{uuid4().hex}")


def dated(path: Path, day: int) -> Path:
    """Let a file be of a day, which nothing but its modification tells."""
    moment = (FIRST + timedelta(days=day) - datetime(1970, 1, 1)).total_seconds()
    os.utime(path, (moment, moment))
    return path


def loaded(exports: Sequence[tuple[Path, int, Sequence[Any]]]) -> ra.Redemptions:
    """Load exports of which several have one name: each in a folder, which is then left out."""
    with TemporaryDirectory() as folder:
        paths, names = [], {}
        for number, (path, day, answers) in enumerate(exports):
            place = dated(write(Path(folder) / str(number), path.stem, *answers), day)
            paths.append(place)
            names[str(place)] = str(path)
        return renamed(ra.load(paths, allow_empty=True), names)


def renamed(r: ra.Redemptions, names: dict[str, str]) -> ra.Redemptions:
    def told(cell: Any) -> Any:
        if isinstance(cell, str):
            for before, after in names.items():
                cell = cell.replace(before, after)
        return cell

    frames = {**r.tables, "ledger": r.ledger, "findings": r.findings, "cases": r.cases}
    return ra.Redemptions(**{name: frame.map(told) for name, frame in frames.items()})


def without_editions(r: ra.Redemptions) -> ra.Redemptions:
    """Call answers after their files, whichever of the name these are."""
    again = r.responses["response_id"].str.replace(r"~\d+#", "#", regex=True)
    tables = {**r.tables, "responses": r.responses.assign(response_id=again)}
    keys, examples = (
        r.cases[each].str.replace(r"~\d+#", "#", regex=True) for each in ("key", "example")
    )
    cases = r.cases.assign(key=keys, example=examples)
    return ra.Redemptions(**tables, ledger=r.ledger, findings=r.findings, cases=cases)


def on_day(warehouse: ra.Warehouse, day: int) -> ra.Redemptions:
    return warehouse.open(as_known_on=FIRST + timedelta(days=day, hours=1))


def test_rejects_are_told_of_the_exports_until_then_where_several_have_a_name(
    warehouse: ra.Warehouse, tmp_path: Path
) -> None:
    told = [
        (tmp_path / "latest.jsonl", 2, [answer(new("a"), {"id": "x"})]),
        # Mended: nothing is refused any more; then something else is, and again.
        (tmp_path / "latest.jsonl", 4, [answer(new("a"), new("b"))]),
        (tmp_path / "latest.jsonl", 6, [answer(new("c"), {"id": "y"}, {"id": "x"})]),
        (tmp_path / "other.jsonl", 1, [answer(new("d"))]),
    ]
    for path, day, answers in told:
        warehouse.ingest(dated(write(tmp_path, path.stem, *answers), day))
    for day, rejects in {1: 0, 2: 1, 4: 1, 6: 3}.items():
        r = on_day(warehouse, day)
        assert len(r.rejects) == rejects
        assert_same(without_editions(r), loaded([each for each in told if each[1] <= day]))


def test_rejects_of_a_file_that_was_mended_stay_and_a_version_tells_its_own(
    warehouse: ra.Warehouse, tmp_path: Path
) -> None:
    told = [
        (tmp_path / "latest.jsonl", 1, [answer(new("a"), {"id": "x"})]),
        (tmp_path / "latest.jsonl", 2, [answer(new("a"), new("b"))]),
        (tmp_path / "latest.jsonl", 3, [answer(new("c"), {"id": "y"})]),
    ]
    for path, day, answers in told:
        warehouse.ingest(dated(write(tmp_path, path.stem, *answers), day))
    assert_same(without_editions(warehouse.open()), loaded(told))
    assert list(warehouse.open().rejects["raw"].sort_values()) == ['{"id": "x"}', '{"id": "y"}']
    came = [warehouse.diff(version, version + 1).came["rejects"] for version in (1, 2)]
    assert [list(rejects["raw"]) for rejects in came] == [[], ['{"id": "y"}']]


def test_the_audit_is_that_of_a_load_of_the_exports_until_then(
    warehouse: ra.Warehouse, tmp_path: Path
) -> None:
    odd = new("b", redeemed_time="1970-01-01 00:00:00", surprise=1)
    paths = [
        write(tmp_path, "2026-01-01", answer(new("a"), {"id": "x"}), answer(new("a"), odd)),
        write(tmp_path, "2026-01-02", answer(new("a", reversals=[reversal(1)]), odd)),
        write(tmp_path, "2026-01-03", answer(new("c", reversals=[reversal(1)]), odd)),
    ]
    for path in reversed(paths):
        warehouse.ingest(path)
    for until, path in enumerate(paths, 1):
        r, whole = warehouse.open(as_known_on=path.stem), ra.load(paths[:until])
        assert_same(r, whole)
        audit = ra.audit(r).set_index("check")
        assert rows_of(ra.audit(r)) == rows_of(ra.audit(whole))
        for check in ("unknown_fields", "epoch_times", "merged_duplicates", "rejected"):
            assert audit.loc[check, "count"] > 0


def test_what_came_by_one_ingest_is_counted_at_least_and_said_to_be_so(
    warehouse: ra.Warehouse, tmp_path: Path
) -> None:
    both = {"surprise": 1}
    paths = [
        write(tmp_path, "2026-01-01", answer(new("a", **both), new("b", **both))),
        write(tmp_path, "2026-01-02", answer(new("c", once=1, **both))),
        write(tmp_path, "2026-01-03", answer(new("d", later=1))),
    ]
    warehouse.ingest(paths)
    r, whole = warehouse.open(as_known_on="2026-01-02"), ra.load(paths[:2])
    assert rows_of(r.ledger) == rows_of(whole.ledger)
    found = {
        example: count
        for count, example in zip(r.findings["count"], r.findings["example"], strict=True)
    }
    field = "$.response.customer.redemptions.points.point."
    assert found[f"{field}surprise in {paths[0]}{MORE}"] == 1
    assert found[f"{field}once in {paths[1]}"] == 1
    assert not any("later" in example for example in found)


@pytest.mark.parametrize("most", [0, 100_000], ids=["all merged again", "some merged again"])
def test_rejects_of_several_exports_of_a_name_are_told_after_a_forgetting(
    warehouse: ra.Warehouse, most: int, tmp_path: Path
) -> None:
    mobile = "447700900123"
    with mock.patch.object(building, "MOST_ANSWERS", most):
        for day, key in enumerate("abc", 1):
            mine = answer(new(f"mine-{key}"), {"id": key}, mobile=mobile)
            quoting = answer(new(key), {"id": f"of {mobile}"}, {"id": f"of {key}"}, mobile="448")
            warehouse.ingest(dated(write(tmp_path, "latest", mine, quoting), day))
        warehouse.forget(mobile=mobile)
    for day in (1, 2, 3):
        r = on_day(warehouse, day)
        assert sorted(r.rejects["raw"].dropna()) == [f'{{"id": "of {key}"}}' for key in "abc"[:day]]
        assert len(r.rejects) == 2 * day
        assert ra.audit(r).set_index("check").loc["rejected", "count"] == 2 * day


def test_a_version_that_quotes_whom_a_later_one_forgot_is_not_what_was_known(
    warehouse: ra.Warehouse, tmp_path: Path
) -> None:
    mobile = "447700900123"
    # Of the first export only a reject names the person.
    warehouse.ingest(write(tmp_path, "2026-01-01", answer(new("a"), {"id": f"of {mobile}"})))
    warehouse.ingest(write(tmp_path, "2026-01-02", answer(new("b"), mobile=mobile)))
    warehouse.forget(mobile=mobile)
    r = warehouse.open(as_known_on="2026-01-01")
    assert len(r.rejects) == 1
    assert not any(mobile in repr(rows_of(table)) for table in r.tables.values())
    warehouse.vacuum(1, grace="0s")
    assert mobile.encode() not in contents(warehouse)


def test_rejects_that_an_earlier_release_took_in_are_told_by_the_name_of_their_export(
    warehouse: ra.Warehouse, tmp_path: Path
) -> None:
    with mock.patch.object(building, "noted", lambda _store, kept, *_: kept):
        for day, key in ((1, "a"), (5, "b")):
            path = write(tmp_path, "latest", answer(new(key), {"id": key}))
            warehouse.ingest(dated(path, day))
        warehouse.ingest(dated(write(tmp_path, "early", answer(new("e"))), 0))
    assert REJECT_TIMES not in warehouse._log.read(3).tables
    warehouse.ingest(dated(write(tmp_path, "latest", answer(new("c"), {"id": "c"})), 3))
    assert [len(on_day(warehouse, day).rejects) for day in (0, 1, 3, 5)] == [0, 2, 3, 3]


@given(FILES, st.data())
@settings(max_examples=6 * TIMES, deadline=None, phases=NO_SHRINK)
def test_whatever_came_in_whatever_order_what_was_known_is_a_load(files: Any, data: Any) -> None:
    with (
        TemporaryDirectory() as folder,
        mock.patch.object(compaction, "FANOUT", data.draw(st.sampled_from([2, 8]))),
        mock.patch.object(building, "MOST_ANSWERS", data.draw(st.sampled_from([0, 10**6]))),
    ):
        warehouse = ra.Warehouse(f"memory://known-{uuid4().hex}")
        exports = [
            # What has one content and one date is one export.
            (Path(folder) / f"{name}.jsonl", day, [*answers, answer(mobile=f"9{day}")])
            for day, (name, answers) in enumerate(files)
        ]
        order = data.draw(st.permutations(exports))
        cuts = [0, *sorted(data.draw(st.sets(st.integers(1, len(order) - 1)))), len(order)]
        for start, end in itertools.pairwise(cuts):
            # Of one name there is one file at a time.
            taken = {path: (day, told) for path, day, told in order[start:end]}
            for path, day, told in order[start:end]:
                if taken[path] != (day, told):
                    warehouse.ingest(dated(write(path.parent, path.stem, *told), day))
            for path, (day, told) in taken.items():
                dated(write(path.parent, path.stem, *told), day)
            warehouse.ingest(list(taken))
        for day in range(len(exports)):
            r, whole = without_editions(on_day(warehouse, day)), loaded(exports[: day + 1])
            for name in r.tables:
                assert rows_of(r.tables[name]) == rows_of(whole.tables[name]), name
            assert rows_of(r.ledger) == rows_of(whole.ledger)
            assert r.now == whole.now
            counted = [counts_of(each) for each in (r, whole)]
            assert counted[0].keys() == counted[1].keys()
            for found, (least, exact) in counted[0].items():
                assert least <= counted[1][found][0]
                assert exact is False or least == counted[1][found][0]


def counts_of(r: ra.Redemptions) -> dict[tuple[str, str], tuple[int, bool]]:
    """Return how often each thing was found, and whether that is all."""
    return {
        (row["check"], row["example"].removesuffix(MORE)): (
            row["count"],
            not (row["check"] in AS_READ and row["example"].endswith(MORE)),
        )
        for row in r.findings.to_dict("records")
    }
