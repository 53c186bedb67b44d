"""Damage to bytes: what broken pipes, editors and encodings do to an export."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from hypothesis import strategies as st

ROOT = Path(__file__).parents[2]

#: What is put in: marks of the formats, and what their readers might stumble on.
TOKENS = [
    *(
        b'"',
        b"{",
        b"}",
        b"[",
        b"]",
        b",",
        b":",
        b"\n",
        b"\r",
        b"\\",
        b"\\u0000",
        b"\\ud800",
        b"null",
    ),
    *(b"\x00", b"\xff", b"\xc3", b"\xed\xa0\x80", b"\xef\xbb\xbf", b"\xe2\x80\xa8", b" ", b"\t\n"),
    *(
        b"-",
        b"0",
        b"1e400",
        b"1e-99",
        b".",
        b"NaN",
        b"9" * 40,
        b"true",
        b'"true"',
        b"[]",
        b"{}",
        b'""',
    ),
    *(
        b'{"response":',
        b'"response"',
        b'\n{"response": {}}\n',
        b'"customer":',
        b'"customers": {',
        b"}}}",
    ),
    *(
        b"<",
        b">",
        b"</",
        b"/>",
        b"&",
        b"&amp;",
        b"&x;",
        b"<!--",
        b"-->",
        b"<![CDATA[",
        b"]]>",
        b"<?x?>",
    ),
    *(
        b"<response>",
        b"</response>",
        b"<response/>",
        b"<element>",
        b"</element>",
        b"<root>",
        b"</root>",
    ),
    *(b'<!DOCTYPE r [<!ENTITY x "y">]>', b' xmlns="u"', b" a='1'", b"<point>", b"<customer/>"),
    *(b"\x1f\x8b", b"PK\x03\x04", b"PAR1", b"BZh", b"\xff\xfe", b"2020-03-13 18:02:34"),
]


def samples() -> list[bytes]:
    """Small exports of every edition, those that are broken too, and what once was a bug."""
    shipped = (ROOT / "data_samples").glob("**/*.*")
    small = [path for path in shipped if path.suffix in (".json", ".xml", ".jsonl")]
    corpus = [path for path in (Path(__file__).parent / "corpus").glob("**/*") if path.is_file()]
    found = [path.read_bytes() for path in sorted(small) + sorted(corpus)]
    return [data for data in found if 0 < len(data) < 8000]


def _cut_out(data: bytes, start: int, end: int, _: bytes) -> bytes:
    return data[:start] + data[end:]


def _repeat(data: bytes, start: int, end: int, _: bytes) -> bytes:
    return data[:end] + data[start:]


def _insert(data: bytes, start: int, _: int, token: bytes) -> bytes:
    return data[:start] + token + data[start:]


def _overwrite(data: bytes, start: int, _: int, token: bytes) -> bytes:
    return data[:start] + token + data[start + len(token) :]


def _replace(data: bytes, start: int, end: int, token: bytes) -> bytes:
    return data[:start] + token + data[end:]


def _swap(data: bytes, start: int, end: int, _: bytes) -> bytes:
    middle = (start + end) // 2
    return data[:start] + data[middle:end] + data[start:middle] + data[end:]


def _break_off(data: bytes, start: int, _: int, token: bytes) -> bytes:
    return data[:start]


DAMAGE: list[Callable[[bytes, int, int, bytes], bytes]] = [
    *(_cut_out, _repeat, _insert, _overwrite, _replace, _swap, _break_off),
]

_PLACES = st.integers(0, 9999)
_LENGTHS = st.sampled_from([1, 1, 2, 5, 20, 100, 1000])
_TOKENS = st.one_of(st.sampled_from(TOKENS), st.binary(min_size=1, max_size=3))


@st.composite
def damaged(draw: st.DrawFn, wholes: st.SearchStrategy[bytes]) -> bytes:
    """Exports in which a few places are damaged."""
    data = draw(wholes)
    for _ in range(draw(st.sampled_from([1, 1, 2, 3, 6]))):
        start = draw(_PLACES) * len(data) // 10_000
        end = min(len(data), start + draw(_LENGTHS))
        data = draw(st.sampled_from(DAMAGE))(data, start, end, draw(_TOKENS))
    return data
