"""Formats: told by contents and not by names, and read as far as they can be read."""

from __future__ import annotations

import bz2
import gzip
import io
import json
import zipfile
import zlib
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest
from forms import FORMS, NOW, answers_of, compact, read
from pandas.testing import assert_frame_equal
from payloads import PROVENANCE

import redemption_analytics as ra
from redemption_analytics.sample import Organisation

SAMPLES = Path(__file__).parents[2] / "data_samples"
ISO = "ISO-8859-1"


def packed(codec: str, data: bytes) -> bytes:
    sink = pa.BufferOutputStream()
    with pa.CompressedOutputStream(sink, codec) as out:
        out.write(data)
    return sink.getvalue().to_pybytes()


def zipped(data: bytes) -> bytes:
    sink = io.BytesIO()
    with zipfile.ZipFile(sink, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("export.json", data)
    return sink.getvalue()


PACKINGS: dict[str, Callable[[bytes], bytes]] = {
    "plain": bytes,
    "gz": gzip.compress,
    "bz2": bz2.compress,
    "zst": lambda data: packed("zstd", data),
    "lz4": lambda data: packed("lz4", data),
    "zip": zipped,
}
ENCODINGS = {
    "UTF-8 with BOM": "utf-8-sig",
    "UTF-16 with BOM": "utf-16",
    "UTF-16 LE": "utf-16-le",
    "UTF-16 BE": "utf-16-be",
}


def same(one: ra.Redemptions, other: ra.Redemptions) -> None:
    """Both hold the same tables, where the answers came from aside."""
    for name, frame in one.tables.items():
        if name == "files":
            continue
        aside = PROVENANCE if name == "responses" else []
        assert_frame_equal(
            frame.drop(columns=aside), other.tables[name].drop(columns=aside), obj=name
        )


def files(r: ra.Redemptions) -> tuple[int, int]:
    """How many files were loaded and rejected, by the ledger."""
    row = r.ledger.set_index("element").loc["files"]
    assert row["seen"] == row["loaded"] + row["rejected"] + row["passed_over"] == len(r.files)
    return int(row["loaded"]), int(row["rejected"])


def answer(key: str, points: object = 5, **fields: Any) -> dict[str, Any]:
    point = {"redemption_id": key, "points_redeemed": points, **fields}
    return {
        "response": {
            "status": {"success": True, "code": 200},
            "customer": {"mobile": "1", "redemptions": {"points": {"point": [point]}}},
        }
    }


@pytest.fixture(scope="module")
def answers() -> list[dict[str, Any]]:
    return answers_of(20, customers=5)


@pytest.fixture(scope="module")
def expected(answers: list[dict[str, Any]]) -> ra.Redemptions:
    r = ra.load(answers)
    assert len(r.points) > 5
    assert r.rejects.empty
    return r


@pytest.mark.parametrize("form", [form for form in FORMS if not form.startswith("wrapped")])
def test_contents_tell_the_form(
    form: str, answers: list[dict[str, Any]], expected: ra.Redemptions, tmp_path: Path
) -> None:
    path = tmp_path / ("export.json" if form.startswith("XML") else "export.xml")
    path.write_text(FORMS[form](answers), "utf-8")
    r = ra.load(path)
    if form not in ("arrays", "XML documents"):
        same(r, expected)
    # Some hold the answers more than once.
    for table in ("points", "reversals", "program_breakups"):
        assert_frame_equal(r.tables[table], expected.tables[table], obj=table)
    assert files(r) == (1, 0)


@pytest.mark.parametrize("packing", PACKINGS)
@pytest.mark.parametrize("name", ["export.json", "export.gz", "export.xml", "export"])
def test_contents_tell_the_packing(
    packing: str,
    name: str,
    answers: list[dict[str, Any]],
    expected: ra.Redemptions,
    tmp_path: Path,
) -> None:
    path = tmp_path / name
    path.write_bytes(PACKINGS[packing](FORMS["lines"](answers).encode()))
    same(ra.load(path), expected)
    same(ra.load(path.read_bytes()), expected)


@pytest.mark.parametrize("packing", ["gz", "bz2", "zst", "lz4"])
def test_packed_members_follow_each_other(
    packing: str, answers: list[dict[str, Any]], expected: ra.Redemptions
) -> None:
    text = FORMS["pretty"](answers).encode()
    parts = [text[at : at + 1000] for at in range(0, len(text), 1000)]
    same(ra.load(b"".join(map(PACKINGS[packing], parts))), expected)


@pytest.mark.parametrize("encoding", ENCODINGS)
@pytest.mark.parametrize("form", ["lines", "array, pretty", "XML 2020"])
def test_encodings_are_told_from_contents(
    form: str, encoding: str, answers: list[dict[str, Any]], expected: ra.Redemptions
) -> None:
    data = FORMS[form](answers).encode(ENCODINGS[encoding])
    same(ra.load(data), expected)
    # Files that were put together keep the marks that each began with.
    same(ra.load(data + data), ra.load(2 * answers))


def test_white_space_around_answers_is_nothing(
    answers: list[dict[str, Any]], expected: ra.Redemptions
) -> None:
    for form in ("lines", "array", "XML 2018"):
        for space in ("\n \t\r\n", 200_000 * " "):
            for encoding in ("utf-8", "utf-16-le"):
                text = (space + FORMS[form](answers) + space).encode(encoding)
                same(ra.load(text), expected)


# Exports that break off


def complete_lines(text: bytes) -> tuple[int, bool]:
    """How many answers of JSON Lines are whole, and whether there is a part of one more."""
    whole, _, rest = text.rpartition(b"\n")
    whole += b"\n" if whole else b""
    try:
        json.loads(rest)
    except ValueError:
        return whole.count(b"\n"), bool(rest)
    return whole.count(b"\n") + 1, False


def ungzip(data: bytes) -> bytes:
    return zlib.decompressobj(31).decompress(data)


def unbz2(data: bytes) -> bytes:
    return bz2.BZ2Decompressor().decompress(data)


def byte_by_byte(codec: str) -> Callable[[bytes], bytes]:
    def unpack(data: bytes) -> bytes:
        stream, found = pa.CompressedInputStream(io.BytesIO(data), codec), bytearray()
        try:
            while byte := stream.read(1):
                found += byte
        except OSError:
            pass
        return bytes(found)

    return unpack


@pytest.mark.parametrize(
    ("pack", "unpack"),
    [
        (gzip.compress, ungzip),
        (lambda data: bz2.compress(data, 1), unbz2),
        (lambda data: packed("zstd", data), byte_by_byte("zstd")),
        (lambda data: packed("lz4", data), byte_by_byte("lz4")),
    ],
    ids=["gz", "bz2", "zst", "lz4"],
)
def test_a_packed_file_that_breaks_off_is_read_up_to_there(
    pack: Callable[[bytes], bytes], unpack: Callable[[bytes], bytes], tmp_path: Path
) -> None:
    text = FORMS["lines"](answers_of(9, customers=150)).encode()
    data = pack(text)
    found = set()
    for cut in (5, 100, len(data) // 2, len(data) - 9, len(data) - 1):
        path = tmp_path / "2026-11-20.jsonl"
        path.write_bytes(data[:cut])
        whole, part = complete_lines(unpack(data[:cut]))
        found.add(whole)
        if not whole and not part:
            with pytest.raises(ra.SourceError, match=r"20\.jsonl: the file breaks off: Tr"):
                ra.load(path)
            continue
        r = ra.load(path)
        assert len(r.responses) == whole
        assert files(r) == (0, 1)
        reasons = list(r.rejects["reason"])
        assert reasons[-1].startswith("the file breaks off: Truncated")
        assert len(reasons) == 1 + part
        assert not part or "breaks off in the middle" in reasons[0]
    assert len(found) >= 3
    assert 0 in found


def test_members_before_a_break_are_read_whole() -> None:
    texts = [(compact(a) + "\n").encode() for a in answers_of(9, customers=9)]
    for name, pack in PACKINGS.items():
        if name not in ("plain", "zip"):
            members = [pack(text) for text in texts]
            r = ra.load(b"".join(members[:7]) + members[7][: len(members[7]) // 3])
            assert len(r.responses) >= 7
            assert files(r) == (0, 1)
            assert r.rejects["reason"].iloc[-1].startswith("the file breaks off")


# Those that hold a checksum; without one, damaged records tell.
@pytest.mark.parametrize("packing", ["gz", "bz2", "lz4"])
def test_a_packed_file_with_damage_in_the_middle(packing: str) -> None:
    texts = [FORMS["lines"](answers_of(seed, customers=3)).encode() for seed in (1, 2, 3)]
    members = [bytearray(PACKINGS[packing](text)) for text in texts]
    middle = members[1]
    middle[len(middle) // 2 : len(middle) // 2 + 9] = b"x" * 9
    r = ra.load(b"".join(members))
    assert 3 <= len(r.responses) < 9
    assert files(r) == (0, 1)


PARTS: dict[str, tuple[str, str, str, Callable[[dict[str, Any]], str]]] = {
    # before, between, after, and how one is written
    "lines": ("", "\n", "\n", compact),
    "one after another": ("", "", "", compact),
    "pretty": ("", "\n", "\n", lambda a: json.dumps(a, indent=2, ensure_ascii=False)),
    "array": ("[", ",", "]", compact),
    "array, one in a line": ("[\n", ",\n", "\n]\n", compact),
    "array, pretty": ("[\n  ", ",\n  ", "\n]", lambda a: json.dumps(a, indent=4)),
    "XML": ("", "\n", "", lambda a: FORMS["XML 2018"]([a])[46:-9]),
    "XML in root": (
        "<?xml version='1.0'?>\n<root>\n",
        "",
        "\n</root>\n",
        lambda a: FORMS["XML 2020"]([a])[46:-9],
    ),
}


def joined(form: str, pieces: list[str]) -> str:
    before, between, after, _ = PARTS[form]
    return before + between.join(pieces) + after


@pytest.mark.parametrize("form", PARTS)
def test_a_text_that_breaks_off_is_read_up_to_there(form: str) -> None:
    few = [answer("é1", 5), answer("b2", 7.0, notes=None, bill_id=-1, x=[True, {"y": "\u00fc\n"}])]
    pieces = [PARTS[form][3](a).strip() for a in few]
    data = joined(form, pieces).encode()
    (one, two), start = (piece.encode() for piece in pieces), len(PARTS[form][0])
    second = data.index(two, start + len(one))
    spans = [(start, start + len(one)), (second, second + len(two))]
    enclosed = bool(PARTS[form][0])
    for cut in range(start + 20, len(data) + 1):
        records, faults = read(data[:cut])
        inside = any(begin < cut < end for begin, end in spans)
        # Where nothing holds the answers, the one that is cut off tells by itself.
        missing = enclosed and cut < len(data.rstrip())
        whole = [value for _, value, error, _ in records if error is None]
        partial = [error for _, _, error, _ in records if error is not None]
        assert len(whole) == sum(end <= cut for _, end in spans), data[:cut]
        # Of the first byte of a tag nothing tells what it would have been.
        assert len(partial) == inside or cut == second + 1, data[:cut]
        assert bool(faults) == missing, data[:cut]
        assert all("breaks off" in fault.reason for fault in faults)
        assert [fault.line for fault in faults] in ([], [data[:cut].rstrip().count(b"\n") + 1])
        if form not in ("XML", "XML in root"):
            assert all("breaks off" in error for error in partial), (partial, data[:cut])


def test_a_text_that_breaks_off_says_so(tmp_path: Path) -> None:
    answers = answers_of(1, customers=4)
    for form, (before, _, _, write) in PARTS.items():
        data = joined(form, [write(a).strip() for a in answers]).encode()[:-400]
        path = tmp_path / "export"
        path.write_bytes(data)
        r = ra.load(path)
        assert len(r.responses) == 3, form
        cut, *broken = r.rejects.to_dict("records")
        assert (cut["record"], cut["path"]) == (4, "$")
        assert "cut off" in cut["reason"] or "breaks off" in cut["reason"]
        assert cut["line"] <= data.rstrip().count(b"\n") + 1
        if before:
            assert files(r) == (0, 1), form
            assert [(reject["reason"], reject["line"]) for reject in broken] == [
                (
                    "the file breaks off: what holds the answers has no end",
                    data.rstrip().count(b"\n") + 1,
                )
            ]
        else:
            assert files(r) == (1, 0), form
            assert not broken


_KEYS_ON_THE_FIRST_LINE = b"""{"response": {"status": {"success": "true", "code": 200},
  "customer": {"mobile": "1", "rows": 0,
  "redemptions": {"points": {"point": [{"redemption_id": "a",
    "points_redeemed": 5},
    {"redemption_id": "b", "points_redeemed": 7}
    ]}}}}}
"""


def test_an_answer_over_several_lines_that_breaks_off_is_one_reject_however_its_first_line_looks(
    tmp_path: Path,
) -> None:
    whole = b'{"response": {"status": {"success": "true", "code": 200}}}\n'
    laid_out = json.dumps(json.loads(_KEYS_ON_THE_FIRST_LINE), indent=1).encode()
    cuts = {}
    for before, text in (
        (b"", _KEYS_ON_THE_FIRST_LINE),
        (whole, laid_out),
        (b"[" + whole, laid_out),
    ):
        for cut in range(4, len(text) - 9, 3):
            path = tmp_path / f"{len(cuts)}.json"
            path.write_bytes(before + text[:cut])
            cuts[str(path)] = before, text[:cut]
    r = ra.load(list(cuts), allow_empty=True)
    answered = Counter(r.responses["source"])
    reasons = r.rejects["reason"]
    refused = Counter(r.rejects.loc[~reasons.str.startswith("the file"), "source"])
    for path, (before, cut) in cuts.items():
        assert answered[path] == bool(before), cut
        assert refused[path] == 1, cut


def test_one_line_that_was_torn_in_two_makes_no_file_of_lines_another(tmp_path: Path) -> None:
    line = b'{"response": {"status": {"success": "true", "code": 200}}}\n'
    torn = line.replace(b", ", b",\n")
    damaged = line.replace(b"true", b'tr"ue')
    (tmp_path / "x.jsonl").write_bytes(damaged + line + torn + damaged + b"no JSON\n" + line * 3)
    r = ra.load(tmp_path)
    assert len(r.responses) == 5
    assert r.rejects["line"].tolist() == [1, 5, 6]


def test_an_empty_list_is_a_whole_export(tmp_path: Path) -> None:
    (tmp_path / "1.json").write_text(compact(answer("a")))
    for number, empty in enumerate(["[]", " [\n]\n", "[[], []]", "<root/>", "<root>\n</root>"]):
        (tmp_path / f"empty-{number}.json").write_text(empty)
    r = ra.load(tmp_path)
    assert r.rejects.empty
    assert files(r) == (6, 0)


# Damaged records


DAMAGES: dict[str, Callable[[str], str]] = {
    "cut short": lambda text: text[: len(text) // 2],
    "cut in a text": lambda text: text[: text.index("SUCC") + 2] if "SUCC" in text else text[:40],
    "without its last brace": lambda text: text[:-1],
    "without a quote": lambda text: text.replace('"', "", 1),
    "without a comma": lambda text: text.replace(",", "", 1),
    "nonsense": lambda text: "nonsense",
    "another answer": lambda text: '{"message": "Timeout"}',
    "a list": lambda text: '["not", "a", "response"]',
    "null": lambda text: "null",
    "a number": lambda text: "12.5",
    "a text": lambda text: '"a \\"response\\""',
    "an empty object": lambda text: "{}",
    "an unquoted value": lambda text: text.replace(": 200", ": 2020-03-13 18:02:34").replace(
        ":200", ":x"
    ),
    "bytes that are no text": lambda text: text.replace("SUCCESS", "\udcff\udcfe\\").replace(
        "true", "\udcff"
    ),
    "cut after a colon": lambda text: text[:-2] + ',"customer":',
}


@pytest.mark.parametrize("damage", DAMAGES)
def test_a_damaged_record_costs_only_itself(damage: str) -> None:
    for form, (_, _, _, write) in PARTS.items():
        places = [0, 2, 4]
        if damage == "null":
            places = [1, 3]  # of one in first place Arrow's reader dies: apache/arrow#47409
        if "XML" in form or (damage == "cut after a colon" and form == "one after another"):
            continue  # what follows a colon cannot be told from the value that is missing
        pieces = [write(answer(f"a{n}")) for n in range(5)]
        for place in places:
            pieces[place] = DAMAGES[damage](pieces[place])
        r = ra.load(joined(form, pieces).encode(errors="surrogateescape"))
        others = [f"a{n}" for n in range(5) if n not in places]
        assert list(r.points["redemption_id"]) == others, form
        own = r.rejects[r.rejects["record"].notna()]
        assert list(own["record"]) == [place + 1 for place in places], form
        assert set(own["path"]) == {"$"}
        for place, line, raw in zip(places, own["line"], own["raw"], strict=True):
            first = joined(form, [*pieces[:place], ""]).removesuffix(PARTS[form][2]).count("\n")
            # What stands behind it may be where it fails.
            assert 1 <= line - first <= pieces[place].count("\n") + 2, form
            damaged = pieces[place].encode(errors="surrogateescape")
            expected = damaged.decode(errors="backslashreplace")
            assert raw.rstrip(" \n,]") == expected.rstrip(" \n,]"), form


def test_an_answer_behind_one_that_was_never_finished() -> None:
    one, two, three = (compact(answer(key)) for key in "abc")
    for cut in range(30, len(one)):
        r = ra.load(f"{two}\n{one[:cut]}{three}\n".encode()) if cut % 20 == 0 else None
        records, _ = read(f"{two}\n{one[:cut]}{three}\n".encode())
        if not one[:cut].endswith((":", ":[")):
            assert [error is None for _, _, error, _ in records] == [True, False, True], one[:cut]
            assert r is None or list(r.points["redemption_id"]) == ["b", "c"]


def test_too_many_ends_cost_nothing() -> None:
    one, two = (compact(answer(key)) for key in "ab")
    for text in (f"{one}}}\n{two}\n", f"{one}]\n{two}", f"[{one},,{two}]]", f"{one},\n{two},\n"):
        r = ra.load(text.encode())
        assert list(r.points["redemption_id"]) == ["a", "b"]
        assert list(r.rejects["raw"]) == (["}"] if text.startswith(f"{one}}}") else [])
    r = ra.load(f"{one}\n{1_000_000 * '['}\n{two}{1_000_000 * ']'}".encode())
    assert list(r.points["redemption_id"]) == ["a", "b"]


# Where rejects are


def places(r: ra.Redemptions) -> list[tuple[Any, ...]]:
    """Record, line, path and raw text of all rejects; a line that there is not is 0."""
    rejects = r.rejects[["record", "line", "path", "raw"]].fillna({"line": 0})
    return list(rejects.itertuples(index=False, name=None))


def test_the_documented_broken_sample() -> None:
    r = ra.load(SAMPLES / "broken" / "unquoted-time.json")
    assert list(r.rejects["line"]) == [10]
    assert list(r.rejects["record"]) == [1]
    assert r.rejects["raw"][0] == (SAMPLES / "broken" / "unquoted-time.json").read_text().strip()


def test_a_reject_has_the_record_the_line_and_the_exact_text() -> None:
    bad = '{ "redemption_id":"x",  "points_redeemed" : "té\\u006e" }'
    point = "$.response.customer.redemptions.points.point[0]"
    good, wrong = (
        compact(answer("a")),
        compact(answer("b")).replace(
            compact(answer("b")["response"]["customer"]["redemptions"]["points"]["point"][0]), bad
        ),
    )
    assert bad in wrong
    r = ra.load(f"{good}\n\n{wrong}\r\n{good}{wrong}\n[{wrong},{wrong}]".encode())
    path = f"{point}.points_redeemed"
    assert places(r) == [
        (2, 3, path, bad),
        (4, 4, path, bad),
        (5, 5, path, bad),
        (6, 5, path, bad),
    ]
    # Payloads have no lines.
    assert places(ra.load([good.encode(), wrong.encode()])) == [(2, 0, path, bad)]


def test_the_line_is_that_of_the_very_value() -> None:
    answers = [answer(f"a{n}", redeemed_time="2026-01-01 00:00:00", notes="é\n") for n in range(3)]
    points = answers[1]["response"]["customer"]["redemptions"]["points"]["point"]
    points[0]["redeemed_time"] = "yesterday"
    points.append(
        {
            "redemption_id": "ok",
            "points_redeemed": 1,
            "reversals": [{"reversal_id": 8, "points_reversed": "?"}, {"points_reversed": 1}],
        }
    )
    for write in (
        lambda: "\n".join(json.dumps(a, indent=2) for a in answers),
        lambda: json.dumps(answers, indent=1),
        lambda: "\n\n\n" + "".join(json.dumps(a, indent=4) for a in answers),
    ):
        text = write()
        lines = text.split("\n")
        r = ra.load(text.encode())
        assert list(r.points["redemption_id"]) == ["a0", "ok", "a2"]
        assert set(r.rejects["record"]) == {2}
        time, number, missing = r.rejects["line"]
        assert '"yesterday"' in lines[time - 1]
        assert '"?"' in lines[number - 1]
        # What is missing has the line of what it is missing from.
        assert lines[missing - 1].strip() == "{"
        assert '"points_reversed": 1' in lines[missing]
        assert [json.loads(raw) for raw in r.rejects["raw"]] == [
            points[0],
            *points[1]["reversals"],
        ]
        assert all(raw in text for raw in r.rejects["raw"])


def test_of_a_name_given_twice_the_last_counts() -> None:
    text = """{"response": {"status": {"success": true}, "customer": {"mobile": "1",
      "redemptions": {"points": {"point": [
        {"redemption_id": "a", "points_redeemed": 1,
         "points_redeemed": "ten"}]}}}}}"""
    assert [line for _, line, _, _ in places(ra.load(text.encode()))] == [4]


# What is no export


CSV = "id,points\n1,{5}\n[x],6\n"
HTML = (
    '<!DOCTYPE html>\n<html><head><script>\n{"a": 1}\n</script></head><body>Sign in</body></html>'
)
PICTURE = b"\x89PNG\r\n\x1a\n\0\0\0\rIHDR" + bytes(range(256)) * 800 + b'\n{"x\n[{\n<response'
FOREIGN: dict[str, bytes] = {
    "a table": CSV.encode(),
    "a page": HTML.encode(),
    "a drawing": b'<?xml version="1.0"?><svg xmlns="http://www.w3.org/2000/svg"><path/></svg>',
    "a picture": PICTURE,
    "noise": bytes((n * n // 7 + n // 3) % 256 for n in range(300_000)),
    "zeros": bytes(10_000),
    "a log": b"[2026-11-20 03:00] started\n[2026-11-20 03:01] done {}\n",
    "settings": b"[main]\nurl = http://example.com\n",
    "prose": b'The answers come as {"response"}.\n',
    "a packed table": gzip.compress(CSV.encode()),
    "a table in UTF-16": CSV.encode("utf-16"),
}


SAID = {
    "a page": "the file is an HTML page, as servers send in place of answers: ask for them again"
}


@pytest.mark.parametrize("kind", FOREIGN)
def test_a_foreign_file_is_an_error_by_name_and_a_reject_in_a_directory(
    kind: str, tmp_path: Path
) -> None:
    (tmp_path / "2026-11-20.json").write_text(compact(answer("a")))
    foreign = tmp_path / "foreign.json"
    foreign.write_bytes(FOREIGN[kind])
    reason = SAID.get(kind, "the file is no export: it holds neither JSON nor XML answers")
    with pytest.raises(ra.SourceError, match=f"foreign.json, line 1: {reason}"):
        ra.load(foreign)
    r = ra.load(tmp_path)
    assert files(r) == (1, 1)
    assert r.rejects[["source", "line", "reason"]].to_numpy(dtype=object).tolist() == [
        [str(foreign), 1, reason]
    ]
    # Where its name is foreign too, it is passed over.
    foreign.rename(tmp_path / "foreign.dat")
    r = ra.load(tmp_path)
    assert files(r) == (1, 0)
    assert r.rejects.empty


@pytest.mark.parametrize(
    ("data", "reason"),
    [
        (b"", "is empty: an export that broke off before its start"),
        (b" \n\n", "is empty: an export that broke off before its start"),
        (gzip.compress(b"", mtime=0), "is empty: an export that broke off before its start"),
        (b"PK\x03\x04 and no more", "is a .zip that cannot be opened"),
        (b"PAR1 and no more", "cannot be read: "),
        (b"\x1f\x8b", "breaks off: Truncated"),
        (
            b"a/x.json" + bytes(249) + b"ustar\x0000" + 248 * b" " + b'{"response": {}}',
            "cannot be read: its header at byte 0 is damaged",
        ),
    ],
)
def test_what_is_wrong_with_a_file_is_said(data: bytes, reason: str, tmp_path: Path) -> None:
    bad, good = tmp_path / "bad.json", tmp_path / "good.json"
    bad.write_bytes(data)
    good.write_text(compact(answer("a")))
    with pytest.raises(ra.SourceError, match=f"bad.json: the file {reason}"):
        ra.load(bad)
    with pytest.raises(ra.SourceError, match=f"bad.json: the file {reason}"):
        ra.load(tmp_path, on_error="raise")
    r = ra.load(tmp_path)
    assert len(r.points) == 1
    assert files(r) == (1, 1)
    assert r.rejects["reason"][0].startswith(f"the file {reason}")


def test_json_that_is_no_answer_is_a_rejected_record(tmp_path: Path) -> None:
    (tmp_path / "good.json").write_text(compact(answer("a")))
    (tmp_path / "package.json").write_text('{\n  "name": "x",\n  "scripts": {"a": "b"}\n}\n')
    (tmp_path / "list.json").write_text('[{"a": 1}, {"b": 2}]')
    r = ra.load(tmp_path)
    assert files(r) == (3, 0)
    assert set(r.rejects["reason"]) == {'not an answer of this API: it has no object "response"'}
    assert len(r.rejects) == 3


def test_a_large_organisation_is_the_same_in_every_form(tmp_path: Path) -> None:
    answers = list(Organisation(400, seed=3).answers("2025-12", as_of=NOW))
    expected = ra.load(iter(answers))
    assert sum(len(compact(a)) for a in answers) > 3_000_000
    for form in ("lines", "array, pretty"):
        same(ra.load(FORMS[form](answers).encode()), expected)
