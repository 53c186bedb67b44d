"""The synthetic organisation: reproducible, and as repetitive and incomplete as real exports."""

from __future__ import annotations

import gzip
import json
from collections.abc import Iterator
from datetime import datetime
from pathlib import Path
from random import Random
from typing import Any, get_args
from xml.etree import ElementTree

import pytest

from redemption_analytics.errors import UsageError, WriteError
from redemption_analytics.sample import (
    ODDITIES,
    Edition,
    Organisation,
    Style,
    damaged,
    write_export,
    write_sample,
)

NOW = datetime(2026, 11, 20)


def lines(path: Path) -> list[str]:
    return gzip.decompress(path.read_bytes()).decode().splitlines()


def points(answer: dict[str, Any]) -> list[dict[str, Any]]:
    found = answer["response"]["customer"]["redemptions"].get("points") or {}
    items = found.get("point") or []
    return items if isinstance(items, list) else [items]


def documents(text: str) -> Iterator[Any]:
    decoder, at = json.JSONDecoder(), 0
    while text := text[at:].lstrip():
        answer, at = decoder.raw_decode(text)
        yield answer


def test_the_same_seed_writes_the_same_bytes(tmp_path: Path) -> None:
    first, again, other = (
        write_sample(tmp_path / name, customers=60, exports=2, seed=seed, damage=0.2)
        for name, seed in (("a", 1), ("b", 1), ("c", 2))
    )
    assert [path.relative_to(tmp_path / "a").as_posix() for path in first] == [
        "archive/2018-12-31.xml",
        "archive/2020-06-30.json",
        "archive/2020-12-31.xml",
        "archive/2025-06-30.json.gz",
        "2026-11-19.jsonl.gz",
        "2026-11-20.jsonl.gz",
    ]
    assert [path.read_bytes() for path in first] == [path.read_bytes() for path in again]
    assert first[-1].read_bytes() != other[-1].read_bytes()


def test_a_customer_does_not_depend_on_how_many_there_are() -> None:
    few, many = (list(Organisation(n).answers("2025-12", as_of=NOW)) for n in (20, 60))
    assert few == many[:20]


def test_redemption_and_reversal_ids_are_unique() -> None:
    known = [
        p for answer in Organisation(600).answers("2025-12", as_of=NOW) for p in points(answer)
    ]
    redemptions = [point["redemption_id"] for point in known]
    reversals = [reversal["reversal_id"] for point in known for reversal in point["reversals"]]
    assert len(set(redemptions)) == len(redemptions) > 5000
    assert {len(redemption_id) for redemption_id in redemptions} == {6}
    assert len(set(reversals)) == len(reversals) > 100


def test_a_later_export_repeats_redemptions_and_loses_no_reversal() -> None:
    organisation = Organisation(300)

    def reversals(as_of: datetime) -> dict[str, list[Any]]:
        answers = organisation.answers("2025-12", as_of=as_of)
        return {p["redemption_id"]: p["reversals"] for answer in answers for p in points(answer)}

    early, late = reversals(datetime(2026, 11, 1)), reversals(NOW)
    assert early.keys() < late.keys()
    assert all(early[key] == late[key][: len(early[key])] for key in early)
    assert any(len(early[key]) < len(late[key]) for key in early)


def test_only_what_happened_in_between_is_exported() -> None:
    since = datetime(2026, 10, 16)
    answers = list(Organisation(80).answers("2025-12", as_of=NOW, changed_since=since))
    assert 0 < len(answers) < 60
    for answer in answers:
        text = json.dumps(answer)
        times = [p["redeemed_time"] for p in points(answer)]
        times += [r["reversal_time"] for p in points(answer) for r in p["reversals"]]
        assert max(times, default="") <= str(NOW)
        assert any(day in text for day in ("2026-10-", "2026-11-"))


def test_an_old_edition_tells_the_same_redemptions() -> None:
    organisation, as_of = Organisation(80), datetime(2018, 12, 31)
    identities = ("user_id", "external_id", "mobile", "email")

    def told(edition: Edition) -> list[tuple[Any, ...]]:
        return [
            (
                *((answer["response"]["customer"].get(k) or None) for k in identities),
                *(str(p[k]) for k in ("redeemed_time", "transaction_number", "points_redeemed")),
            )
            for answer in organisation.answers(edition, as_of=as_of)
            for p in points(answer)
        ]

    new = told("2025-12")
    assert new
    assert all(told(edition) == new for edition in get_args(Edition))


def test_counts_say_more_than_a_truncated_answer_holds() -> None:
    whole = Organisation(30).answers("2025-12", as_of=NOW)
    cut = Organisation(30).answers("2025-12", as_of=NOW, limit=3)
    truncated = 0
    for full, short in zip(whole, cut, strict=True):
        customer = short["response"]["customer"]
        assert len(points(short)) == min(3, len(points(full)))
        assert (customer.get("points_count") or 0) == len(points(full))
        assert customer["rows"] <= 6
        truncated += len(points(full)) > 3
    assert truncated


def test_a_batch_holds_several_customers_each_with_a_status() -> None:
    batches = list(Organisation(25).answers("2025-12", as_of=NOW, batch=10))
    customers = [batch["response"]["customer"] for batch in batches]
    assert [len(several) for several in customers] == [10, 10, 5]
    assert all(one["item_status"]["success"] == "true" for several in customers for one in several)


def test_the_oddities_are_there(tmp_path: Path) -> None:
    assert max(ODDITIES) < 50
    path = write_sample(tmp_path, customers=50, exports=1)[-1]
    text = "\n".join(lines(path))
    assert '"BOGO"' in text
    assert '"loyalty_tier"' in text
    assert '"0000-00-00 00:00:00"' in text
    assert text.count('"c000019@example.com"') == 2


@pytest.mark.parametrize("edition", get_args(Edition))
@pytest.mark.parametrize("style", get_args(Style))
def test_every_style_reads_back(tmp_path: Path, edition: Edition, style: Style) -> None:
    answers = list(Organisation(60).answers(edition, as_of=NOW))
    for name in ("export", "export.gz"):
        path = write_export(tmp_path / name, iter(answers), style=style)
        data = path.read_bytes()
        text = (gzip.decompress(data) if name.endswith(".gz") else data).decode()
        if style.startswith("xml"):
            assert len(ElementTree.fromstring(text.encode()).findall("response")) == len(answers)
        elif style == "array":
            assert json.loads(text) == answers
        else:
            assert list(documents(text)) == answers


def test_damage_is_in_proportion() -> None:
    whole = [json.dumps(answer) for answer in Organisation(60).answers("2025-12", as_of=NOW)]
    assert list(damaged(iter(whole), 0, Random(0))) == whole
    kept = sum(line in whole for line in damaged(iter(whole), 0.5, Random(0)))
    assert 20 < kept < 60
    everything = list(damaged(iter(whole * 5), 1, Random(0)))
    for sign in ('"ten"', '"yesterday"', '"soon"', "-5", "12.5", '["not"', '{"message"'):
        assert any(sign in line for line in everything), sign


@pytest.mark.parametrize("wrong", [{"damage": 1.5}, {"exports": -1}, {"customers": -1}])
def test_nonsense_is_refused(tmp_path: Path, wrong: dict[str, Any]) -> None:
    with pytest.raises(ValueError, match="not"):
        write_sample(tmp_path, **wrong)


def test_a_sample_replaces_a_sample_in_one_step_and_nothing_else(tmp_path: Path) -> None:
    target = tmp_path / "exports"
    assert len(write_sample(target, customers=5, exports=3)) == 7
    written = write_sample(target, customers=5, exports=1)
    assert sorted(written) == sorted(path for path in target.rglob("*") if path.is_file())
    assert len(written) == 5
    (target / "mine.json").write_text("{}")
    with pytest.raises(UsageError, match=r"mine\.json is no part of what would be replaced"):
        write_sample(target, customers=5, exports=1)
    (tmp_path / "photos").mkdir()
    (tmp_path / "photos" / "cat.png").touch()
    with pytest.raises(UsageError, match="holds something else"):
        write_sample(tmp_path / "photos", customers=5)
    assert [path.name for path in tmp_path.iterdir()] == ["exports", "photos"]


def test_a_sample_that_fails_leaves_what_was_there(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    before = {path: path.read_bytes() for path in write_sample(tmp_path, customers=5, exports=1)}

    def broken(*_: Any) -> Any:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("redemption_analytics.sample.exports._nightly", broken)
    with pytest.raises(WriteError):
        write_sample(tmp_path, customers=6, exports=1)
    files = [path for path in tmp_path.rglob("*") if path.is_file()]
    assert {path: path.read_bytes() for path in files} == before
