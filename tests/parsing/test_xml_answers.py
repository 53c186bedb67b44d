"""XML answers: what is read, what is passed over, what is refused, and where."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from oracle.xml_answers import XmlError, decoded, placed, xml_records
from payloads import TIMES

import redemption_analytics as ra

SAMPLES = Path(__file__).parents[2] / "data_samples"


def response(key: str, points: object = 5, inner: str = "") -> str:
    return f"""<response>
  <status><success>true</success><code>200</code></status>
  <customer>
    <mobile>44700900101</mobile>
    <redemptions><points>
      <point>
        <redemption_id>{key}</redemption_id>
        <points_redeemed>{points}</points_redeemed>{inner}
      </point>
    </points></redemptions>
  </customer>
</response>"""


def loaded(text: str, encoding: str = "utf-8") -> list[str]:
    r = ra.load(text.encode(encoding))
    assert r.rejects.empty, r.rejects.to_dict("records")
    assert (r.ledger.set_index("element").loc["files"].to_dict()) == {
        "seen": 1,
        "loaded": 1,
        "merged": 0,
        "rejected": 0,
        "passed_over": 0,
    }
    return list(r.points["redemption_id"])


def rejected(text: str) -> tuple[list[str], list[tuple[int, int, str, str]]]:
    """The redemptions that were loaded; record, line, path and reason of the rejects."""
    r = ra.load(text.encode())
    columns = ["record", "line", "path", "reason"]
    return list(r.points["redemption_id"]), list(r.rejects[columns].itertuples(False, None))


@pytest.mark.parametrize(
    "text",
    [
        f"{response('a')}{response('b')}",
        f"<root>{response('a')}\n{response('b')}</root>",
        f"<root>{response('a')}</root>\n<root>{response('b')}</root>\n",
        f"<root>{response('a')}</root>\n{response('b')}",
        f"<?xml version='1.0'?><root>{response('a')}</root>"
        f"<?xml version='1.0'?><root>{response('b')}</root>",
        f"<responses><element>{response('a')}</element><element>{response('b')}</element></responses>",
        f'<root xmlns:x="urn:x">\n\n<!-- a -->{response("a")}<!-- b -->{response("b")}</root>',
        f"<root/>{response('a')}<root />\n{response('b')}",
        f"<!DOCTYPE root><root>{response('a')}{response('b')}</root>",
        f'<!DOCTYPE r [<!ENTITY x "y"> <!ELEMENT r ANY>]>{response("a")}{response("b")}',
        f"{response('a')}{response('b')}".replace("</response>", "</response\n >"),
        f"{response('a')}{response('b')}".replace("<response>", '<response lang="en" >'),
    ],
)
def test_what_stands_around_answers_is_passed_over(text: str) -> None:
    assert loaded(text) == ["a", "b"]


@pytest.mark.parametrize(
    ("declared", "encoding"),
    [
        ("ISO-8859-1", "latin-1"),
        ("windows-1252", "cp1252"),
        ("Shift_JIS", "shift_jis"),
        ("UTF-8", "utf-8"),
        ("utf-8", "utf-8-sig"),
        ("UTF-16", "utf-16"),
        ("UTF-16", "utf-16-le"),
        ("UTF-32", "utf-32"),
        # Written so by programs that encode the text anew, and leave its declaration.
        ("utf-16", "utf-8"),
        ("ISO-8859-1", "utf-8-sig"),
    ],
)
def test_the_declared_encoding_is_used(declared: str, encoding: str) -> None:
    name = "高島屋" if declared == "Shift_JIS" else "Café Zoë"
    text = f'<?xml version="1.0" encoding="{declared}"?>\n' + response(
        "a", inner=f"<redeemed_store><name>{name}</name></redeemed_store>"
    )
    r = ra.load(text.encode(encoding))
    assert list(r.points["store_name"]) == [name]
    payloads = ra.load([text.encode(encoding)])
    assert list(payloads.points["store_name"]) == [name]


@pytest.mark.parametrize("declared", ["klingon", "base64", "undefined", "idna"])
def test_an_encoding_that_is_none_is_said(declared: str) -> None:
    text = f'<?xml version="1.0" encoding="{declared}"?>{response("a")}'
    with pytest.raises(ra.SourceError, match=f"written in {declared}, an encoding that is not"):
        ra.load(text.encode())


def test_entities_are_never_resolved(tmp_path: Path) -> None:
    (tmp_path / "secret").write_text("secret")
    declared = (
        f'<!DOCTYPE root [<!ENTITY inner "7"><!ENTITY outer SYSTEM "{tmp_path}/secret">'
        '<!ENTITY a "&inner;&inner;"><!ENTITY b "&a;&a;">]>'
    )
    for name in ("inner", "outer", "b"):
        points, rejects = rejected(f"{declared}<root>{response('a', f'&{name};')}</root>")
        assert points == []
        assert [reason for *_, reason in rejects] == ["not valid XML: undefined entity"]
    assert loaded(response("a", inner="<notes>&lt;&amp;&#233;</notes>")) == ["a"]


def test_values_are_those_of_json() -> None:
    inner = "<notes><![CDATA[a < b & c]]></notes><reversals/><validation_code> </validation_code>"
    r = ra.load(response("a", " 101.000 ", inner).encode())
    (point,) = r.points.to_dict("records")
    assert point["points_redeemed"] == 101
    assert point["notes"] == "a < b & c"
    assert r.reversals.empty
    for dialect in ("2018-all-strings.xml", "2020-elements.xml"):
        assert ra.load(SAMPLES / dialect).rejects.empty


@pytest.mark.parametrize(
    ("bad", "line", "reason"),
    [
        (response("x").replace("</mobile>", ""), 11, "mismatched tag"),
        (response("x").replace("</customer>", ""), 12, "mismatched tag"),
        (response("x", "&nbsp;"), 8, "undefined entity"),
        (response("x", "5 & 6"), 8, "not well-formed (invalid token)"),
        (response("x").removesuffix("</response>"), 1, "the answer is cut off before </response>"),
        (response("x")[:100], 1, "the answer is cut off before </response>"),
        ("<response>", 1, "the answer is cut off before </response>"),
    ],
)
def test_a_damaged_answer_costs_only_itself(bad: str, line: int, reason: str) -> None:
    line += 13
    points, rejects = rejected(f"<root>\n{response('a')}\n{bad}\n{response('b')}</root>")
    assert points == ["a", "b"]
    assert rejects == [(2, line, "$", f"not valid XML: {reason}")]
    # So it does in first place and in last, and the raw text is that of the answer.
    for text in (f"<root>\n{bad}\n{response('b')}</root>", f"<root>{response('a')}{bad}\n</root>"):
        r = ra.load(text.encode())
        assert len(r.points) == 1
        (raw,) = r.rejects["raw"]
        assert raw.removesuffix("</root>").strip() == bad.strip()


@pytest.mark.parametrize(
    "bad",
    [
        "<error><message>Timeout</message></error>",
        '<error code="500"/>',
        '<error code="500"></error>',
        "502 Bad Gateway",
        response("x").replace("<response>", "<rasponse>"),
    ],
)
def test_what_is_no_answer_is_rejected_with_its_line(bad: str) -> None:
    points, rejects = rejected(f"<root>{response('a')}\n\n{bad}\n{response('b')}</root>")
    reason = "not an answer of this API: it has no element <response>"
    assert points == ["a", "b"]
    assert rejects == [(2, 14, "$", reason)]


def test_a_reject_shows_the_very_line_and_the_exact_text() -> None:
    reversal = "<reversal_id>1</reversal_id>\n<points_reversed>x</points_reversed>"
    one = f"\n<reversals>{reversal}</reversals>"
    two = (
        f"\n<reversals>\n<element>{reversal}</element>\n<element >{reversal}</element></reversals>"
    )
    r = ra.load(f"<root>\n\n{response('a', 'ten')}{response('b', 5, one)}".encode() + b"</root>")
    raws = list(r.rejects["raw"])
    assert list(r.rejects["line"]) == [10, 23]
    assert raws[0].startswith("<point>\n        <redemption_id>a</")
    assert raws[0].endswith("</points_redeemed>\n      </point>")
    assert raws[1] == one.strip()
    r = ra.load(response("c", 5, two).encode())
    assert list(r.rejects["line"]) == [11, 13]
    assert list(r.rejects["raw"]) == [
        f"<element>{reversal}</element>",
        f"<element >{reversal}</element>",
    ]
    r = ra.load(response("d", 5, "<reversals>\n7</reversals>").encode())
    assert list(r.rejects[["line", "raw"]].itertuples(False, None)) == [
        (8, "<reversals>\n7</reversals>")
    ]
    assert list(r.rejects["path"]) == ["$.response.customer.redemptions.points.point.reversals"]


def test_places_are_in_bytes_and_in_lines() -> None:
    r = ra.load(response("a", "é\n\nten").replace("44700900101", "ééé").encode())
    assert list(r.rejects["line"]) == [8]
    assert r.rejects["raw"][0].startswith("<point>")
    assert r.rejects["raw"][0].endswith("</point>")
    r = ra.load(response("a", "ten").replace("\n", "\r\n").encode())
    assert list(r.rejects["line"]) == [8]


def test_what_stands_for_a_list_or_an_object() -> None:
    inner = b"<a><element>1</element></a><b><element/></b><c>1</c><c/><d><e>1</e></d>"
    ((_, _, value),) = xml_records(b"<response>" + inner + b"</response>", 1)
    assert value == {"response": {"a": ["1"], "b": [None], "c": ["1", None], "d": {"e": "1"}}}


def test_many_starts_without_an_end_take_no_longer_each() -> None:
    found = list(xml_records(100_000 * b"<response><status>", 1))
    assert len(found) == 100_000
    assert all(isinstance(value, XmlError) for _, _, value in found)


def test_nesting_has_no_limit_that_matters() -> None:
    deep = 5000 * "<a>" + 5000 * "</a>"
    r = ra.load(f"<root>{response('a', inner=deep)}{response('b')}</root>".encode())
    assert "b" in list(r.points["redemption_id"])
    assert len(r.points) + len(r.rejects) == 2


LEAVES = st.sampled_from(
    ["", "7", " é ", "&amp;&#233;", "<!-- no -->7", "<![CDATA[<b>]]>", "&nbsp;"]
)
ELEMENTS = st.recursive(
    LEAVES,
    lambda inner: st.lists(
        st.tuples(st.sampled_from(["a", "b", "element", "n:a", "a x='1'"]), inner), max_size=4
    ).map(lambda pairs: "".join(f"<{tag}>{text}</{tag.split()[0]}>" for tag, text in pairs)),
    max_leaves=12,
)


@given(ELEMENTS, st.sampled_from(["", " xmlns='u'", " xmlns:n='u'"]))
@settings(max_examples=50 * TIMES, deadline=None)
def test_what_is_decoded_in_haste_means_the_same(inner: str, names: str) -> None:
    text = f"<response{names}>{inner}</response>".encode()
    hasty, thorough = decoded(text), placed(text, 1)
    assert hasty is None or hasty == thorough
    # Only what is rare takes the long way.
    assert hasty is not None or names or isinstance(thorough, XmlError) or b":" in text
