"""What is refused: only itself and what hangs below it, and never silently."""

from __future__ import annotations

import json
from collections import Counter
from pathlib import Path
from typing import Any

import pytest

import redemption_analytics as ra

BROKEN = Path(__file__).parents[2] / "data_samples" / "broken"
POINT = "$.response.customer.redemptions.points.point"


def answer(*points: Any, coupons: Any = None, **customer: Any) -> dict[str, Any]:
    redemptions = {"points": {"point": list(points)}, "coupons": {"coupon": coupons}}
    customer = {"mobile": "447", "redemptions": redemptions} | customer
    return {"response": {"status": {"success": True}, "customer": customer}}


def point(key: str = "a", **fields: Any) -> dict[str, Any]:
    return {"redemption_id": key, "points_redeemed": 1} | fields


def load(*answers: Any, **options: Any) -> ra.Redemptions:
    return ra.load(b"\n".join(json.dumps(one).encode() for one in answers), **options)


def ledger(r: ra.Redemptions, column: str) -> dict[str, int]:
    counts = r.ledger.set_index("element")[column]
    return {element: int(count) for element, count in counts.items() if count}


@pytest.mark.parametrize("points", ["int", "decimal"])
def test_bad_elements(points: str) -> None:
    r = ra.load(BROKEN / "bad-elements.jsonl", points=points)
    fraction = (1, 1, f"{POINT}[3].points_redeemed", "12.5 is no whole number of points")
    expected = [
        (1, 1, f"{POINT}[1].points_redeemed", "'ten' is no number"),
        (1, 1, f"{POINT}[2].points_redeemed", "-5 is negative"),
        *([fraction] if points == "int" else []),
        (1, 1, f"{POINT}[4].redeemed_time", "'yesterday' is no time"),
        (1, 1, f"{POINT}[5].reversals[0]", "reversal_id is missing"),
        (3, 4, "$", "not an answer of this API: the record is no object"),
        (4, 5, "$", "not valid JSON: it breaks off in the middle"),
    ]
    rejects = list(r.rejects.itertuples(index=False))
    assert len(rejects) == len(expected)
    for row, (record, line, path, reason) in zip(rejects, expected, strict=True):
        assert row.source == str(BROKEN / "bad-elements.jsonl")
        assert (row.record, row.line, row.path) == (record, line, path)
        assert row.reason.startswith(reason)
    assert '"points_redeemed": "ten"' in rejects[0].raw
    assert rejects[-2].raw == '["not", "a", "response"]'
    loaded = ["ok0001", "bad003", "ok0002", "ok0003"]
    if points == "int":
        loaded.remove("bad003")
    assert r.points["redemption_id"].tolist() == loaded
    assert r.reversals["reversal_id"].tolist() == [9001]
    refused = {"points": 4 if points == "int" else 3, "reversals": 1, "responses": 2}
    assert ledger(r, "rejected") == refused
    assert sum(refused.values()) == len(rejects)


def test_a_time_without_quotes_costs_its_record() -> None:
    r = ra.load(BROKEN / "unquoted-time.json")
    (reject,) = r.rejects.itertuples(index=False)
    assert (reject.record, reject.line, reject.path) == (1, 10, "$")
    assert reject.reason.startswith("not valid JSON")
    assert '"reversal_time": 2020-03-13 18:02:34' in reject.raw
    assert ledger(r, "seen") == {"files": 1, "responses": 1}
    assert ledger(r, "rejected") == {"responses": 1}


GOOD = {"reversal_id": 1, "points_reversed": 1}
BREAKUP = {"program_id": 1, "points_redeemed": "many"}
SOURCE = {"points_consumed": 1, "awarding_date": "soon"}
FIELD = {"value": "nameless"}
BACK = {"program_id": 1, "points_reversed": -1}
NO_POINTS = {"reversal_id": 1, "reversal_breakup_by_program": [BACK]}

# A redemption, what of it is refused, at which path, why, and the kinds of element that stay.
REFUSED: list[tuple[Any, Any, str, str, str]] = [
    *(
        (wrong, wrong, path, f"points: {reason}", "")
        for wrong, path, reason in (
            (point(points_redeemed=None), "", "points_redeemed is missing"),
            ({"points_redeemed": 1}, "", "redemption_id or id is missing"),
            (point(redemption_id=" "), "", "redemption_id or id is missing"),
            ("a redemption", "", "the value is no object"),
            (point(redeemed_store=["x"]), ".redeemed_store", "the value is no object"),
            (point(redeemed_till={"name": [1]}), ".redeemed_till.name", "the value is no text"),
            (
                point(points_redeemed="x", reversals=[GOOD], custom_fields={"field": FIELD}),
                ".points_redeemed",
                "'x' is no number",
            ),
        )
    ),
    (
        point(redemption_breakup_by_program=[BREAKUP]),
        BREAKUP,
        ".redemption_breakup_by_program[0].points_redeemed",
        "program_breakups: 'many' is no number",
        "points",
    ),
    (
        point(redemption_breakup_by_source=SOURCE),
        SOURCE,
        ".redemption_breakup_by_source.awarding_date",
        "source_breakups: 'soon' is no time",
        "points",
    ),
    (
        point(custom_fields={"field": [FIELD, {"name": "n"}]}),
        FIELD,
        ".custom_fields.field[0]",
        "custom_fields: name is missing",
        "points custom_fields",
    ),
    (
        point(reversals=[NO_POINTS, GOOD]),
        NO_POINTS,
        ".reversals[0]",
        "reversals: points_reversed is missing",
        "points reversals",
    ),
    (
        point(reversals=[GOOD | {"reversal_breakup_by_program": [None, BACK]}]),
        BACK,
        ".reversals[0].reversal_breakup_by_program[1].points_reversed",
        "reversal_breakups: -1 is negative",
        "points reversals",
    ),
]


@pytest.mark.parametrize(("redemption", "refused", "path", "reason", "left"), REFUSED)
def test_a_refused_element_takes_only_itself_and_what_hangs_below_it(
    redemption: Any, refused: Any, path: str, reason: str, left: str
) -> None:
    fine = point("fine", reversals=[GOOD | {"reversal_id": 77}])
    r = load(answer(fine, redemption, point("too")), answer(point("other"), mobile="448"))
    (reject,) = r.rejects.itertuples(index=False)
    kind, reason = reason.split(": ")
    assert (reject.record, reject.line, reject.path) == (1, 1, f"{POINT}[1]{path}")
    assert reject.reason.startswith(reason)
    assert json.loads(reject.raw) == refused
    assert ledger(r, "rejected") == {kind: 1}
    others = Counter({"files": 1, "responses": 2, "points": 3, "reversals": 1})
    assert ledger(r, "loaded") == others + Counter(left.split())
    assert {"fine", "too", "other"} <= set(r.points["redemption_id"])


def test_a_refused_customer_takes_only_itself_out_of_a_batch() -> None:
    batch = answer(point("a"))
    batch["response"]["customer"] = [
        batch["response"]["customer"],
        {"mobile": "448", "rows": "many", "redemptions": {"points": {"point": [point("b")]}}},
        {"mobile": "449"},
    ]
    r = load(batch)
    (reject,) = r.rejects.itertuples(index=False)
    assert (reject.path, reject.reason) == ("$.response.customer[1].rows", "'many' is no number")
    assert r.responses["customer_key"].tolist() == ["mobile:447", "mobile:449"]
    assert ledger(r, "seen") == {"files": 1, "responses": 3, "points": 1}


def test_a_refused_coupon_and_its_path() -> None:
    r = load(answer(coupons=[{"id": 1}, {"code": "x"}, {"id": 2, "discount_value": "half"}]))
    at = "$.response.customer.redemptions.coupons.coupon"
    assert r.rejects[["path", "reason"]].to_numpy().tolist() == [
        [f"{at}[1]", "id is missing"],
        [f"{at}[2].discount_value", "'half' is no number"],
    ]
    assert r.coupons["id"].tolist() == [1]


NO_ANSWERS: list[tuple[bytes, str]] = [
    (b'["response"]', "not an answer of this API: the record is no object"),
    (b'{"message": "Timeout"}', 'not an answer of this API: it has no object "response"'),
    (b'{"response": []}', 'not an answer of this API: it has no object "response"'),
    (b'{"response": {}}', 'not an answer of this API: neither "status" nor "customer"'),
    (b'{"response": {"status": "up"}}', "the value is no object"),
    (b'{"response": {"status": {"code": "x"}}}', "'x' is no number"),
    (b'{"response": {"customer": 7}}', "the value is no object"),
]


@pytest.mark.parametrize(("record", "reason"), NO_ANSWERS)
def test_what_is_no_answer_is_one_reject(record: bytes, reason: str) -> None:
    good = json.dumps(answer(point())).encode()
    for data in (record + b"\n" + good, good + b"\n" + record + b"\n" + good):
        r = ra.load(data)
        assert r.rejects["reason"].tolist() == [reason]
        assert ledger(r, "rejected") == {"responses": 1}
        assert r.points["redemption_id"].tolist() == ["a"]


def test_raise_names_file_line_path_and_reason(tmp_path: Path) -> None:
    file = tmp_path / "export.jsonl"
    wrong = answer(point("b"), point("c", redeemed_time="never"))
    file.write_text("\n".join(map(json.dumps, [answer(point("a")), wrong])))
    with pytest.raises(ra.RejectedError) as raised:
        ra.load(file, on_error="raise")
    assert str(raised.value) == (
        f"{file}, line 2, {POINT}[1].redeemed_time:"
        " 'never' is no time of the form YYYY-MM-DD HH:MM:SS"
    )
    with pytest.raises(ra.RejectedError, match=r"^payloads, record 1, \$.*is missing$"):
        ra.load([answer({"id": 1})], on_error="raise")
    with pytest.raises(ra.RejectedError, match=r"load with points=\"decimal\" to keep it$"):
        load(answer(point(points_redeemed=12.5)), on_error="raise")
    assert len(load(answer(point(points_redeemed=12)), on_error="raise").points) == 1


def test_an_element_deep_in_a_pretty_printed_file_is_found_by_its_line(tmp_path: Path) -> None:
    file = tmp_path / "export.json"
    back = GOOD | {"points_reversed": "WRONG"}
    file.write_text(json.dumps(answer(point("a"), point("b", reversals=[back])), indent=2))
    (reject,) = ra.load(file).rejects.itertuples(index=False)
    line = next(n for n, text in enumerate(file.read_text().splitlines(), 1) if "WRONG" in text)
    assert reject.line == line


def test_times_with_an_offset_are_refused_without_a_zone() -> None:
    offset = answer(point("a", redeemed_time="2025-07-01T12:00:00Z"))
    (reject,) = load(offset).rejects.itertuples(index=False)
    assert "timezone=" in reject.reason
    r = load(offset, timezone="Asia/Kolkata")
    assert r.rejects.empty
    assert str(r.points["redeemed_time"].item()) == "2025-07-01 17:30:00"
    with pytest.raises(ra.UsageError, match="timezone is an IANA name"):
        load(offset, timezone="Mars/Olympus")
