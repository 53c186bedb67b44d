"""The bundle at a glance, as text and as HTML."""

from __future__ import annotations

import json
import shutil
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import pandas as pd
import pyarrow as pa
import pytest
from payloads import answers, coupon, redemption

import redemption_analytics as ra

SAMPLES = Path(__file__).parents[2] / "data_samples"


@pytest.fixture(scope="module")
def r() -> ra.Redemptions:
    return ra.load(SAMPLES / "organisation")


@pytest.fixture
def converted(tmp_path: Path) -> Path:
    ra.convert(SAMPLES / "organisation", tmp_path / "out")
    return tmp_path / "out"


def lines(r: ra.Redemptions) -> dict[str, list[str]]:
    """The words of the text, by the label of their line."""
    return {words[0]: words[1:] for words in map(str.split, repr(r).splitlines())}


class Table(HTMLParser):
    """The rows of a table, and the markup that they stand in."""

    def __init__(self, html: str):
        super().__init__()
        self.rows: list[list[str]] = []
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.open: list[str] = []
        self.feed(html)
        assert not self.open

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))
        if tag == "tr":
            self.rows.append([])
        elif tag in ("td", "th"):
            self.rows[-1].append("")
        if tag != "br":
            self.open.append(tag)

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag

    def handle_data(self, data: str) -> None:
        if self.rows:
            self.rows[-1][-1] += data


def test_text_shows_rows_beside_the_ledger(r: ra.Redemptions) -> None:
    found = lines(r)
    assert found["Redemptions"] == ["rows", "seen", "merged", "rejected"]
    for row in r.ledger.itertuples(index=False):
        if row.element != "files":
            counts = (row.loaded, row.seen, row.merged, row.rejected)
            assert found[row.element] == [f"{count:,}" for count in counts]
            assert row.loaded == len(r.tables[row.element])
    assert found["customers"] == [f"{len(r.customers):,}"]
    assert found["files"] == ["7", "7", "0", "0"]
    assert found["read"] == ["7", "files"]
    assert found["redeemed"] == ["2017-07-03", "to", "2026-11-19"]
    assert "rejected" not in found


def test_text_is_aligned_and_fits_a_narrow_terminal(r: ra.Redemptions) -> None:
    header, *body = repr(r).splitlines()
    tables = body[: len(r.tables)]
    assert {len(line) for line in tables if "customers" not in line and "rejects" not in line} == {
        len(header)
    }
    ends = header.index("rows") + len("rows")
    assert all(line[ends - 1].isdigit() and line[ends:][:2] in ("", "  ") for line in tables)
    assert all(line == line.rstrip() for line in repr(r).splitlines())
    assert max(map(len, repr(r).splitlines())) < 80


def loaded(directory: Path, **counts: int) -> ra.Redemptions:
    (answer,) = answers([redemption("a", 5)], [coupon(1)])
    answer["response"]["customer"] |= {"mobile": "1"} | counts
    (directory / "a.json").write_text(json.dumps(answer))
    return ra.load(directory)


def test_truncation_counts_customers_and_what_they_miss(tmp_path: Path) -> None:
    text = repr(loaded(tmp_path, points_count=4, coupons_count=2))
    assert "  1 customer misses 3 points redemptions: see audit\n" in text
    assert text.endswith("  1 customer misses 1 coupon redemption: see audit")


def test_of_customers_who_miss_nothing_nothing_is_said(tmp_path: Path) -> None:
    assert "truncated" not in repr(loaded(tmp_path, points_count=1, coupons_count=1))


def test_what_was_refused_is_said_plainly_and_where_it_is() -> None:
    r = ra.load(SAMPLES / "broken")
    found = lines(r)
    assert found["points"] == ["3", "7", "0", "4"]
    assert found["rejects"] == ["8"]
    text, html = repr(r), r._repr_html_()
    for where in ("7 in ", "bad-elements.jsonl", "1 in ", "unquoted-time.json"):
        assert where in text.partition("8: see rejects\n")[2]
        assert where in html
    assert text.index("7 in ") < text.index("1 in ")
    assert "<strong>4</strong>" in html


def test_only_the_files_with_most_rejects_are_named() -> None:
    sources = [f"file-{number}" for number in range(6) for _ in range(number + 1)]
    rejects = ra.load(SAMPLES / "broken").rejects.head(1)
    many = pd.concat([rejects.assign(source=source) for source in sources], ignore_index=True)
    assert repr(ra.Redemptions(rejects=many)).splitlines()[-5:] == [
        "  rejected           21: see rejects",
        "                     6 in file-5",
        "                     5 in file-4",
        "                     4 in file-3",
        "                     6 in 3 more",
    ]


def test_files_that_were_refused_are_counted(tmp_path: Path) -> None:
    shutil.copy(SAMPLES / "2020-breakups.json", tmp_path)
    (tmp_path / "cut.json.gz").write_bytes(b"\x1f\x8b\x08\x00")
    r = ra.load(tmp_path)
    assert lines(r)["read"] == ["1", "file,", "1", "rejected"]
    assert "1 in " in repr(r)


def test_a_bundle_made_by_hand_has_no_ledger_to_show(r: ra.Redemptions) -> None:
    for mine in (ra.Redemptions(points=r.points), r.filter(store_code="north"), ra.Redemptions()):
        found = lines(mine)
        assert found["Redemptions"] == ["rows"]
        assert found["points"] == [f"{len(mine.points):,}"]
        assert "read" not in found
        assert len(Table(mine._repr_html_()).rows[0]) == 2
    assert set(lines(ra.Redemptions())) == {"Redemptions", *ra.schemas.MODELS}


def test_one_who_has_not_checked_their_frames_still_sees_them(r: ra.Redemptions) -> None:
    bare = {"points": r.points[["points_redeemed"]], "responses": r.responses[["source"]]}
    for kind in (lambda frame: frame, pa.table):
        mine = ra.Redemptions(**{name: kind(frame) for name, frame in bare.items()})
        assert lines(mine)["points"] == ["15,727"]
        assert "redeemed" not in lines(mine)
    times = r.points.assign(redeemed_time="yesterday")
    assert lines(ra.Redemptions(points=times))["points"] == ["15,727"]


@pytest.mark.parametrize("engine", ["duckdb", "polars"])
def test_of_lazy_tables_only_the_ledger_is_read(
    r: ra.Redemptions, converted: Path, engine: Any
) -> None:
    opened = ra.open(converted, engine)
    for name in r.tables:
        shutil.rmtree(converted / name)
    found, eager = lines(opened), lines(r)
    for name in r.tables:
        assert found[name] == (["not", "read"] if name == "customers" else eager[name])
    assert found["files"] == eager["files"]
    assert "time span and truncation, as tables are not in memory: see audit" in repr(opened)
    assert "not read" in opened._repr_html_()


def test_rejects_of_lazy_tables_are_told_from_the_ledger(tmp_path: Path) -> None:
    ra.convert(SAMPLES / "broken", tmp_path / "out")
    found = lines(ra.open(tmp_path / "out", "duckdb"))
    assert found["rejects"] == ["8"]
    assert found["rejected"] == ["8:", "see", "rejects"]


def test_lazy_tables_without_a_ledger_are_not_counted(converted: Path) -> None:
    found = lines(ra.open(converted, "duckdb").filter(store_code="north"))
    assert found["points"] == ["not", "read"]


@pytest.mark.parametrize("engine", ["pandas", "pyarrow"])
def test_engines_in_memory_say_the_same(r: ra.Redemptions, converted: Path, engine: Any) -> None:
    assert repr(ra.open(converted, engine)) == repr(r)


def test_html_says_what_the_text_says() -> None:
    r = ra.load(SAMPLES / "broken")
    said = " ".join(" ".join(row) for row in Table(r._repr_html_()).rows)
    assert "".join(said.split()).removeprefix("table") == "".join(
        repr(r).removeprefix("Redemptions").split()
    )


def test_html_is_a_table_that_a_screen_reader_can_tell() -> None:
    html = ra.load(SAMPLES / "broken")._repr_html_()
    table = Table(html)
    assert html.startswith("<table")
    assert [tag for tag, _ in table.tags[:2]] == ["table", "caption"]
    heads = [attrs["scope"] for tag, attrs in table.tags if tag == "th"]
    assert heads == ["col"] * 5 + ["row"] * (len(table.rows) - 1)
    assert all(
        "text-align:right" in str(a["style"])
        for t, a in table.tags
        if t == "td" and "colspan" not in a
    )
    # A notebook's own colours hold, and nothing is fetched.
    assert not [
        word for word in ("color", "background", "<style", "class=", "http", "src") if word in html
    ]


def test_html_of_a_hostile_file_name_stays_text(tmp_path: Path) -> None:
    name = "<script>alert(1)<&>.json"
    (tmp_path / name).write_text(
        '{"response": {"customer": {"redemptions": {"points": {"point": [{"id": "x"}]}}}}}'
    )
    r = ra.load(tmp_path)
    assert len(r.rejects) > 0
    html = r._repr_html_()
    assert "<script" not in html
    assert name in "".join(Table(html).rows[-1])


def test_nothing_personal_is_shown(r: ra.Redemptions) -> None:
    shown = repr(r) + r._repr_html_()
    for column in r.customers.columns:
        assert not [value for value in r.customers[column].dropna() if value in shown]


def test_a_notebook_gets_both_from_one_summing_up(r: ra.Redemptions) -> None:
    assert r._repr_mimebundle_(include=None, exclude=None) == {
        "text/plain": repr(r),
        "text/html": r._repr_html_(),
    }
