"""The page of a report: its words and figures, and that nothing from the data is more than text."""

from __future__ import annotations

import base64
import csv
import hashlib
import html
import io
import json
import re
from datetime import datetime
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq
import pytest
from everyday import first_everyday
from payloads import answers, coupon, load, redemption, reversal

import redemption_analytics as ra
from redemption_analytics.reports import quality
from redemption_analytics.reports.contents import contents
from redemption_analytics.reports.headline import Card, headline
from redemption_analytics.reports.reported import Reported, reported
from redemption_analytics.tables.frames import as_arrow
from redemption_analytics.tables.now import oldest_of

SAMPLES = "data_samples/organisation"
HOSTILE = "<script>alert(1)</script>"


class Page(HTMLParser):
    """What a page holds, as a browser sees it: its tags with attributes, and its text."""

    def __init__(self, html: str):
        super().__init__()
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.scripts: list[str] = []
        self.words: list[str] = []
        self.inside = ""
        self.feed(html)
        self.text = " ".join(" ".join(self.words).split())

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))
        self.inside = tag

    def handle_endtag(self, tag: str) -> None:
        self.inside = ""

    def handle_data(self, data: str) -> None:
        if self.inside == "script" and "type" not in self.tags[-1][1]:
            self.scripts.append(data)
        elif self.inside not in ("script", "style"):
            self.words.append(data)


def page_of(r: ra.Redemptions, directory: Path, **options: Any) -> str:
    ra.write_reports(r, directory, page=True, **options)
    return (directory / "report.html").read_text(encoding="utf-8")


@pytest.fixture(scope="module")
def organisation() -> ra.Redemptions:
    return ra.load(SAMPLES)


@pytest.fixture(scope="module")
def sample(organisation: ra.Redemptions, tmp_path_factory: pytest.TempPathFactory) -> str:
    return page_of(organisation, tmp_path_factory.mktemp("report"))


def test_the_headline_holds_the_last_whole_month_against_the_one_before(
    organisation: ra.Redemptions, sample: str
) -> None:
    r = organisation
    text = Page(sample).text
    kpis = ra.kpis(r, "month").set_index("month")
    posted = ra.net_points(r, "month", basis="event").set_index("month")
    october = datetime(2026, 10, 1)
    for frame, column, title in (
        (kpis, "points_redeemed", "Points redeemed"),
        (posted, "points_reversed", "Points reversed, posted"),
        (posted, "net_points", "Net points, posted"),
        (kpis, "redemption_bills", "Point redemption bills"),
        (kpis, "redeemers", "Redeemers"),
        (kpis, "coupons_redeemed", "Coupons redeemed"),
    ):
        now = frame.loc[october, column]
        changes = []
        for then, name in (
            (datetime(2026, 9, 1), "September 2026"),
            (datetime(2025, 10, 1), "October 2025"),
        ):
            before = frame.loc[then, column]
            direction = "up" if now > before else "down"
            changes.append(f"{direction} {abs(now - before) / before * 100:,.1f} % from {name}")
        assert f"{title} {now:,} {' '.join(changes)}" in text
    assert "November 2026 is not over" in text


def tables_of(r: ra.Redemptions, about: Reported, as_of: datetime | None) -> Any:
    found = contents(r, r, about, as_of)
    return {f"{name}.parquet": as_arrow(compute()) for name, compute in found.items()}


def heads(items: list[Any], as_of: str, period: Any = "month") -> tuple[Reported, dict[str, Card]]:
    r, moment = load(items), datetime.fromisoformat(as_of)
    about = reported(oldest_of(r.tables), period, moment)
    cards = headline(tables_of(r, about, moment), about)
    return about, {card.name: card for card in cards}


def of_days(redeemed: dict[str, int]) -> list[Any]:
    return [redemption(f"r{n}", p, t) for n, (t, p) in enumerate(redeemed.items())]


def test_a_period_in_which_nothing_happened_counts_as_zero() -> None:
    about, cards = heads(of_days({"2026-01-05": 100}), "2026-03-10")
    assert (about.name, about.name_of(about.before), about.name_of(about.running)) == (
        "February 2026", "January 2026", "March 2026",
    )  # fmt: skip
    card = cards["Points redeemed"]
    assert (card.value, card.changes) == ("0", ["down 100.0 % from January 2026"])
    assert "Reversal rate so far" not in cards


def test_the_first_whole_period_has_none_to_be_compared_with() -> None:
    about, cards = heads(of_days({"2026-01-05": 100}), "2026-02-10")
    assert (about.name, about.earlier) == ("January 2026", [])
    assert [card.changes for card in cards.values()] == [[]] * 7


def test_where_no_period_is_over_the_running_one_is_shown() -> None:
    about, cards = heads(of_days({"2026-02-05": 100}), "2026-02-10")
    assert (about.name, about.over, about.earlier, about.running) == (
        "February 2026", False, [], None,
    )  # fmt: skip
    assert cards["Points redeemed"].value == "100"


def test_a_rise_from_nothing_has_no_percentage() -> None:
    _, cards = heads(of_days({"2025-12-05": 9, "2026-02-05": 100}), "2026-03-10")
    assert cards["Points redeemed"].changes == ["up from 0 in January 2026"]


def test_what_december_always_does_is_no_news() -> None:
    redeemed = {"2024-12-05": 100, "2025-11-05": 50, "2025-12-05": 100}
    _, cards = heads(of_days(redeemed), "2026-01-10")
    assert cards["Points redeemed"].changes == [
        "up 100.0 % from November 2025", "unchanged from December 2024",
    ]  # fmt: skip


def test_a_rate_is_compared_with_what_others_were_at_the_same_age() -> None:
    items = []
    for month in ("2026-01", "2026-02"):
        for n in range(200):
            # Of each month 20 are back within days, and of January 100 more much later.
            back = f"{month}-25" if n < 20 else "2026-03-09" if n < 120 else None
            late = month == "2026-02" and n >= 20
            backs = [] if back is None or late else [reversal(1000 * int(month[-1]) + n, 5, back)]
            items.append(redemption(f"{month} {n}", 10, f"{month}-20", backs))
    _, cards = heads(items, "2026-03-05")
    card = cards["Reversal rate so far"]
    assert card.value == "10.0 %"
    assert card.changes == [
        "+0.0 %-points from January 2026 (95 %: -6.0 to +6.0), no more than chance"
    ]


@pytest.mark.parametrize(
    ("period", "names"),
    first_everyday(
        [
            ("day", ("9 March 2026", "8 March 2026", "10 March 2025")),
            ("week", ("week of 2 March 2026", "week of 23 February 2026", "week of 3 March 2025")),
            ("quarter", ("Q4 2025", "Q3 2025", "Q4 2024")),
            ("year", ("2025", "2024", "")),
        ],
        2,
    ),
)
def test_periods_are_compared_by_their_own_calendar(period: str, names: tuple[str, ...]) -> None:
    about, _ = heads(of_days({"2020-01-05": 100}), "2026-03-10", period)
    assert (about.name, *map(about.name_of, (about.before, about.year_before))) == names


@pytest.mark.parametrize("name", ["{}.json", "{}T02-00.json", "exports/{}/answers.json"])
@pytest.mark.parametrize(
    "newest",
    ["{} 01:59:00", "{} 00:00:00", "2026-10-30 12:00:00"],
    ids=["in the last hours", "at midnight", "days before"],
)
@pytest.mark.parametrize(
    ("made", "period", "last", "running"),
    [
        ("2026-11-16", "week", "week of 9 November 2026", "week of 16 November 2026"),
        ("2026-11-01", "month", "October 2026", "November 2026"),
        ("2026-11-01", "day", "31 October 2026", "1 November 2026"),
        ("2027-01-01", "quarter", "Q4 2026", "Q1 2027"),
        ("2027-01-01", "year", "2026", "2027"),
    ],
)
def test_a_report_is_about_the_last_period_that_was_over_when_the_export_was_made(
    tmp_path: Path, name: str, newest: str, made: str, period: str, last: str, running: str
) -> None:
    export = tmp_path / name.format(made)
    export.parent.mkdir(parents=True, exist_ok=True)
    redemptions = [redemption("a", 100, "2026-10-02"), redemption("b", 5, newest.format(made))]
    export.write_text(json.dumps(answers(redemptions)))
    r = ra.load(export)
    assert r.now is not None
    about = reported(oldest_of(r.tables), period, r.now)  # type: ignore[arg-type]
    assert (about.name, about.over) == (last, True)
    assert about.name_of(about.running) in (running, "")
    assert bool(about.running) == (r.now > datetime.fromisoformat(made))


@pytest.mark.parametrize("as_of", ["2026-10-31", "2026-10", "2026-11-01T00:00"])
def test_at_the_end_of_its_last_day_a_month_is_over(
    tmp_path: Path, as_of: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    def figures(r: ra.Redemptions, known: ra.Redemptions, about: Reported, moment: Any) -> Any:
        found.append((about.name, about.running))
        return {"kpis": lambda: ra.kpis(known, about.grain)}

    found: list[Any] = []
    monkeypatch.setattr("redemption_analytics.reports.writing.contents", figures)
    r = load([redemption("a", 100, "2026-10-02"), redemption("b", 5, "2026-11-20")])
    ra.write_reports(r, tmp_path / "report", as_of=as_of, page=False)
    assert found == [("October 2026", None)]


def test_a_till_that_was_bad_in_the_period_stands_out_however_good_its_history(
    tmp_path: Path,
) -> None:
    items = [
        redemption(f"{till} {n}", 10, f"2026-0{n % 8 + 1}-10", till=till)
        for till in ("a", "b", "c", "d", "e")
        for n in range(400)
    ]
    for n in range(20):
        items += [
            redemption(f"{till} in September {n}", 10, "2026-09-10", till=till)
            for till in ("b", "c", "d", "e")
        ]
        back = [reversal(n + 1, 10, "2026-09-11")] if n < 15 else []
        items.append(redemption(f"bad {n}", 10, "2026-09-10", back, till="a"))
    text = Page(page_of(load(items), tmp_path, as_of="2026-10-05")).text
    assert "Of September 2026: tills that stand out" in text
    assert "1 of 5 stands out (q below 1 %): a." in text


def test_each_section_says_what_it_covers(sample: str) -> None:
    text = Page(sample).text
    for said in (
        "The newest 24 months until 20 November 2026, 00:00.",
        "In the 24 months shown,",
        "October 2026, and for the opening all before it, on both bases.",
        "Redemptions of the 90 days before 20 November 2026, 00:00.",
        "Redemptions of October 2026, and beside them all until 20 November 2026, 00:00.",
        "All redemptions that are 30 days old, and those of October 2026, by redemption date.",
    ):
        assert said in text, said


def test_what_the_page_reconciles_adds_up(organisation: ra.Redemptions, sample: str) -> None:
    found = ra.reconciliation(organisation)
    october = found[found["month"] == datetime(2026, 10, 1)].sum(numeric_only=True)
    text = Page(sample).text
    numbers = [
        f"{int(october[name]):,}"
        for name in (
            "opening_points", "points_redeemed", "points_reversed_posted", "closing_points",
        )
    ]  # fmt: skip
    assert f"All programs {' '.join(numbers)}" in text


def test_where_nothing_moved_in_the_period_what_is_open_stays(tmp_path: Path) -> None:
    r = load([redemption("a", 100, "2026-01-10", [reversal(1, 30, "2026-01-12")])])
    text = text_of_whole(page_of(r, tmp_path, as_of="2026-04-10"))
    assert "Redemptions, March 2026" in text
    assert "70 points were redeemed and had not come back when the month began" in text
    assert "All programs 70 0 0 70" in text


def test_a_section_without_figures_says_so_and_draws_no_empty_axes(tmp_path: Path) -> None:
    html = page_of(load((), [coupon(1)]), tmp_path)
    assert 'data-chart="' not in html
    text = text_of_whole(html)
    for said in ("No redemption names its till.", "No points were redeemed in these days."):
        assert said in text


def test_where_nothing_has_a_time_there_is_no_first_month_of_the_calendar(tmp_path: Path) -> None:
    for r in (ra.Redemptions(), load([redemption("a", 5, None)], [coupon(1, None)])):
        text = text_of_whole(page_of(r, tmp_path, allow_empty=True))
        assert "Nothing in the data has a time." in text
        assert "January" not in text
        assert "Data quality" in text


def test_of_one_the_words_are_of_one(tmp_path: Path) -> None:
    r = load([redemption("a", 1, "2026-01-10")])
    text = text_of_whole(page_of(r, tmp_path, as_of="2026-04-10"))
    assert "Of 1 redemption, 0.0 % were reversed" in text
    assert not re.search(r"\b1 (redemptions|stores|tills|months|files|answers|groups)\b", text)
    assert ra.plot.net_points(r).title.subtitle[0] == "1 point redeemed, 0 came back, 1 remains."


def test_stores_are_ranked_by_net_points_of_the_period(
    organisation: ra.Redemptions, sample: str
) -> None:
    text = Page(sample).text
    october = organisation.filter(since="2026-10", until="2026-10")
    found = ra.net_points(october, "store_code").sort_values("net_points", ascending=False)
    places = [
        text.index(f"{row.points_redeemed:,} {row.net_points:,} {row.redemptions:,}")
        for row in found.itertuples()
    ]
    assert places == sorted(places)


@pytest.fixture(scope="module")
def crowd(tmp_path_factory: pytest.TempPathFactory) -> str:
    """Write a page of 25 programs and 120 stores, of which the first took much and gave it back."""
    items = [
        redemption(
            f"r{n}", 1000 + n, "2026-10-05",
            [reversal(n + 1, 1000 + n, "2026-10-06")] if n < 10 else [],
            program=n % 25, shares={n % 25: 1000 + n}, store=f"s{n:03}", till=f"t{n:03}",
        )
        for n in range(120)
    ]  # fmt: skip
    return page_of(load(items), tmp_path_factory.mktemp("crowd"), as_of="2026-10")


def test_an_account_adds_up_where_not_all_programs_have_a_row(crowd: str) -> None:
    for name in ("account", "bases"):
        _, *rows = shown_in(crowd)[name]
        assert len(rows) == 22
        assert [row[0] for row in rows[-2:]] == ["5 other programs", "All programs"]
        columns = [[*map(int, column)] for column in zip(*(row[1:] for row in rows), strict=True)]
        assert all(sum(column[:-1]) == column[-1] for column in columns)


def test_the_stores_listed_are_those_with_the_most_net_points(crowd: str) -> None:
    rows = shown_in(crowd)["stores"][1:]
    assert [row[0] for row in rows] == [f"s{n:03}" for n in range(119, 19, -1)]
    text = Page(crowd).text
    assert "120 stores, by net points, the most first" in text
    assert "The first 100 are shown." in text


def test_it_is_said_which_programs_a_table_has(crowd: str) -> None:
    text = Page(crowd).text
    assert "Redemptions of October 2026, the 20 largest of 25 programs" in text
    assert "The 20 largest of 25 groups, by closing points." in text


def test_pictures_for_readers_without_scripts_hold_nothing_to_be_pointed_at(sample: str) -> None:
    (still,) = re.findall(r'data-chart="tills-chart">(<svg .*?</svg>)', sample, re.DOTALL)
    # Less than half of what there is to be pointed at along the four lines alone.
    assert 37 < still.count("<path") < 160


def test_what_is_later_than_as_of_is_not_on_the_page(tmp_path: Path) -> None:
    r = load([redemption("a", 100, "2026-10-02"), redemption("b", 5, "2026-11-20")])
    text = Page(page_of(r, tmp_path / "report", as_of="2026-10")).text
    assert "Points redeemed 100" in text
    assert "is not over" not in text


def test_every_check_of_the_audit_has_a_sentence() -> None:
    checks = set(ra.audit(ra.Redemptions())["check"])
    assert checks == set(quality.SENTENCES)


def test_findings_come_errors_first_in_words_that_fit_their_number() -> None:
    r = ra.load("data_samples/broken/bad-elements.jsonl")
    found = quality.in_words(as_arrow(ra.audit(r)))
    severities = [finding.severity for finding in found]
    assert severities == sorted(severities, key=["error", "warning", "info"].index)
    assert found[0].text == "1 customer has more points redemptions than the exports hold."
    refused = next(finding for finding in found if "refused" in finding.text)
    assert refused.text.startswith(f"{len(r.rejects)} elements did not fit")


@pytest.mark.parametrize(
    ("severities", "words"),
    [
        ([], "Nothing was found that makes figures wrong."),
        (["info"], "Nothing was found that makes figures wrong."),
        (["warning"], "Nothing is known to be wrong; 1 thing should be checked."),
        (["error", "warning", "warning"], "1 thing makes figures wrong, and 2 should be checked."),
        (["error", "error"], "2 things make figures wrong, and 0 should be checked."),
    ],
)
def test_the_verdict_says_whether_to_trust_the_figures(severities: list[str], words: str) -> None:
    found = [quality.Finding("", severity, "", "", "", "") for severity in severities]
    assert quality.verdict(found) == words


def test_the_ledger_is_told_in_words(organisation: ra.Redemptions, sample: str) -> None:
    ledger = organisation.ledger.set_index("element").loc["points"]
    assert (
        f"Of {ledger['seen']:,} points redemptions read, {ledger['loaded']:,} were kept and"
        f" {ledger['merged']:,} were found again in other exports."
    ) in Page(sample).text


def test_how_examples_name_answers_is_explained(sample: str) -> None:
    text = Page(sample).text
    assert re.search(r"\.jsonl\.gz#\d+/\d+", text)
    assert "FILE#456/1 is the 456th answer in FILE, its 1st customer." in text


def test_every_section_has_its_heading_its_chart_and_its_table(sample: str) -> None:
    page = Page(sample)
    ids = [attributes["id"] for tag, attributes in page.tags if tag == "section"]
    assert ids == [
        "headline", "net", "reconciliation", "stores", "rates", "curve", "expected", "tills",
        "flows", "coupons", "quality",
    ]  # fmt: skip
    linked = {attributes["href"] for tag, attributes in page.tags if tag == "a"}
    assert {f"#{name}" for name in ids} <= linked
    charts = [a["data-chart"] for _, a in page.tags if "data-chart" in a]
    without = ("headline", "reconciliation", "stores", "coupons", "quality")
    assert charts == [f"{name}-chart" for name in ids if name not in without]
    assert sum(tag == "table" for tag, _ in page.tags) == 13
    assert "station.till2" in page.text


def test_only_the_pages_own_script_may_run_and_nothing_may_be_fetched(sample: str) -> None:
    page = Page(sample)
    (script,) = page.scripts
    digest = base64.b64encode(hashlib.sha256(script.encode()).digest()).decode()
    (policy,) = [
        attributes["content"]
        for tag, attributes in page.tags
        if attributes.get("http-equiv") == "Content-Security-Policy"
    ]
    assert policy is not None
    assert policy.startswith(f"default-src 'none'; script-src 'sha256-{digest}';")
    assert "unsafe-eval" not in policy
    for tag, attributes in page.tags:
        assert not any(name.startswith("on") for name in attributes), (tag, attributes)
        for name in ("src", "href", "xlink:href", "action"):
            value = attributes.get(name) or ""
            inside = ("#", "data:,", "data:text/csv;charset=utf-8;base64,")
            assert value.startswith(inside) or not value, (tag, value)


def test_names_from_the_data_stay_text(tmp_path: Path) -> None:
    (tmp_path / f"{HOSTILE.replace('/', '')}.json").write_text(
        json.dumps(
            answers(
                [
                    redemption(
                        f"r{n}", 100, f"2026-0{n % 6 + 1}-10",
                        [reversal(n, 100, shares={7: 100})] if n < 30 else [],
                        shares={7: 100},
                        store=HOSTILE, till=f"{HOSTILE}{n % 3}",
                        redemption_purpose=HOSTILE,
                        redemption_breakup_by_source=[
                            {"source_store": {"code": f"{HOSTILE}s"}, "points_consumed": 5}
                        ],
                    )
                    for n in range(60)
                ],
                [coupon(1, discount_type=HOSTILE, code=HOSTILE, series_id=3)],
            )
        ).replace('"program_id": 7', f'"program_id": 7, "program_name": "{HOSTILE}"')
    )  # fmt: skip
    r = ra.load(tmp_path)
    assert HOSTILE in r.points["store_code"].tolist()
    assert HOSTILE in r.program_breakups["program_name"].tolist()
    html = page_of(r, tmp_path / "report")
    page = Page(html)
    assert page.text.count("alert(1)") > 4
    assert "<script>alert" not in html
    scripts = [attributes for tag, attributes in page.tags if tag == "script"]
    assert [a for a in scripts if a.get("type") != "application/json"] == [{}]
    assert [a for a in scripts if a.get("type") == "application/json"]


@pytest.mark.parametrize(
    "r",
    [
        ra.Redemptions(),
        load([redemption("a", 5, None)], [coupon(1, None)]),
        load((), [coupon(1)]),
        load([redemption("a", 5, "0001-01-01"), redemption("b", 5, "9999-12-31")], [coupon(1)]),
    ],
    ids=["nothing", "no times", "coupons only", "ends of the calendar"],
)
def test_a_page_of_little_or_nothing_can_be_written(tmp_path: Path, r: ra.Redemptions) -> None:
    text_of_whole(page_of(r, tmp_path))


def text_of_whole(html: str) -> str:
    """Give the text of a page, which ends as it should and shows nothing that only Python knows."""
    assert html.rstrip().endswith("</html>")
    text = Page(html).text
    assert not re.search(r"\b(nan|None|NaT|Undefined)\b", text)
    return text


def test_decimal_points_are_shown_to_the_last_place(tmp_path: Path) -> None:
    redemptions = [
        redemption("a", 1234.125, "2026-01-05", [reversal(1, 0.125)]),
        redemption("b", 1, "2026-02-05"),
    ]
    page = page_of(load(redemptions, points="decimal"), tmp_path)
    assert "Points redeemed 1,234.125" in text_of_whole(page)


def test_all_charts_come_drawn_for_readers_without_scripts(sample: str) -> None:
    assert len(re.findall(r'data-chart="\w+-chart"><svg ', sample)) == 6


def test_a_page_is_under_three_megabytes(sample: str) -> None:
    assert len(sample.encode()) < 3_000_000


@pytest.mark.slow
def test_the_largest_page_is_no_larger(tmp_path: Path) -> None:
    """Thousands of tills and stores: charts and tables show the largest."""
    r = load([redemption(f"r{n}", 5, store=f"s{n}", till=f"t{n}") for n in range(2500)])
    assert len(page_of(r, tmp_path).encode()) < 3_000_000


def files_of(html: str) -> dict[str, list[list[str]]]:
    """Give the files that a page offers, by their names: their rows."""
    found = {}
    for tag, attributes in Page(html).tags:
        if tag == "a" and "download" in attributes:
            kind, data = str(attributes["href"]).split(",")
            assert kind == "data:text/csv;charset=utf-8;base64"
            text = base64.b64decode(data).decode("utf-8-sig")
            found[str(attributes["download"])] = [*csv.reader(io.StringIO(text, newline=""))]
    return found


def shown_in(html: str) -> dict[str, list[list[str]]]:
    """Give the files of the tables that a page shows, by their sections."""
    of_page = re.compile(r"page-(.*)\.csv")
    return {
        match[1]: rows for name, rows in files_of(html).items() if (match := of_page.match(name))
    }


def test_each_table_is_there_as_csv_with_plain_numbers(
    organisation: ra.Redemptions, sample: str
) -> None:
    files = shown_in(sample)
    assert list(files) == [
        "net", "account", "bases", "stores", "rates-of-period", "rates", "curve", "expected",
        "tills-of-period", "tills", "flows-of-period", "flows", "coupons",
    ]  # fmt: skip
    posted = ra.net_points(organisation, "month", basis="event")
    amounts = ["redemptions", "points_redeemed", "points_reversed", "net_points"]
    head, *rows = files["net"]
    assert head == [
        "Month", "Redemptions", "Points redeemed", "Points reversed (posted)",
        "Net points (posted)",
    ]  # fmt: skip
    newest = posted.sort_values("month", ascending=False).head(24)
    assert [[*map(int, row[1:])] for row in rows] == newest[amounts].to_numpy().tolist()
    rates = ra.reversal_rates(organisation, "program_id", within="30D")
    told = {row[3] for row in files["rates"][1:]}
    assert told == {repr(rate) for rate in rates["redemption_reversal_rate"].dropna()}


def test_each_csv_has_the_rows_and_titles_of_the_table_above_it(sample: str) -> None:
    shown = re.findall(r'<table class="gt_table".*?</table>', sample, re.DOTALL)
    files = shown_in(sample)
    assert len(shown) == len(files)
    for table, (head, *rows) in zip(shown, files.values(), strict=True):
        titles = re.findall(r"<th [^>]*>(.*?)</th>", table, re.DOTALL)
        assert [html.unescape(title) for title in titles if title != "Trend"] == head
        cells = [re.findall(r"<td[^>]*>(.*?)</td>", row) for row in table.split("<tr>")[1:]]
        labels = [html.unescape(row[0]) for row in cells if row]
        assert [label.replace(",", "") for label in labels] == [row[0] for row in rows]


def test_what_a_spreadsheet_would_take_for_a_formula_is_a_text(tmp_path: Path) -> None:
    names = ["=1+1", "+1", "-1", "@SUM(A1)", "north"]
    r = load(
        [redemption(f"r{n}", 5, till=name, store=name) for n, name in enumerate(names)],
    )
    html = page_of(r, tmp_path)
    for files, name in ((shown_in(html), "tills"), (files_of(html), "tills.csv")):
        assert {row[0] for row in files[name][1:]} == {"'=1+1", "'+1", "'-1", "'@SUM(A1)", "north"}


def test_all_tables_in_full_are_there_as_csv_and_equal_the_parquet_files(
    organisation: ra.Redemptions, tmp_path: Path
) -> None:
    files = files_of(page_of(organisation, tmp_path))
    tables = sorted(tmp_path.glob("*.parquet"))
    assert [name for name in files if not name.startswith("page-")] == [
        path.with_suffix(".csv").name for path in tables
    ]
    for path in tables:
        table = pq.read_table(path)
        head, *rows = files[path.with_suffix(".csv").name]
        assert head == table.column_names
        assert len(rows) == table.num_rows
        for name, cells in zip(head, zip(*rows, strict=True), strict=False):
            for value, cell in zip(table[name].to_pylist(), cells, strict=True):
                same = float(cell) == value if isinstance(value, float) else cell == str(value)
                assert same or (value is None and cell == ""), (path, name, value, cell)


def test_the_largest_tables_are_no_csv_where_there_is_no_room(
    organisation: ra.Redemptions, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("redemption_analytics.reports.page._ROOM", 60_000)
    html = page_of(organisation, tmp_path)
    files = files_of(html)
    full = {path.with_suffix(".csv").name for path in tmp_path.glob("*.parquet")}
    there = full & set(files)
    assert {"ledger.csv", "net_points_posted.csv"} <= there
    assert "net_points_by_till.csv" in full - there
    assert "net_points_by_till.parquet" in Page(html).text
    taken = re.findall(r'download="(?!page-)[^"]*" href="([^"]*)"', html)
    assert 30_000 < sum(map(len, taken)) <= 60_000


def test_tables_escape_and_align() -> None:
    from redemption_analytics.reports.tables import page_table

    rows = [{"name": "<b>x</b>", "rate": 0.1234}, {"name": None, "rate": None}]
    html = page_table("t", rows, {"name": ("Name", "text"), "rate": ("Rate", "percent")}).html
    assert "&lt;b&gt;x&lt;/b&gt;" in html
    assert ">12.3%<" in html
    assert "nan" not in html.lower().replace("sans", "")


def test_a_line_in_a_cell_goes_through_its_numbers_and_says_them() -> None:
    from redemption_analytics.reports.tables import line

    drawn = line([5, 1, 3])
    (points,) = re.findall(r'points="([^"]*)"', drawn)
    (x1, y1), (x2, y2), (x3, y3) = (map(float, point.split(",")) for point in points.split())
    assert x1 < x2 < x3
    assert y1 < y3 < y2  # down is up in SVG
    assert 'aria-label="3 values from 1 to 5, the last 3"' in drawn
    assert len(re.findall(r"[\d.]+,[\d.]+", line([7, 7]))) == 2
