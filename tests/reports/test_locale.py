"""Numbers and dates of a report in the forms of a locale: the same in words, tables and charts."""

from __future__ import annotations

import html
import json
import re
import subprocess
import sys
from datetime import datetime
from pathlib import Path
from typing import Any

import pytest
import vl_convert
from babel.numbers import format_decimal
from hypothesis import given
from hypothesis import strategies as st
from payloads import coupon, load, redemption, reversal

import redemption_analytics as ra
from redemption_analytics import numerals
from redemption_analytics.numerals import locale_of, written_in
from redemption_analytics.reports.tables import page_table

LOCALES = ["de_DE", "en_IN", "fr_FR", "sv_SE", "tr_TR", "es_ES", "de_CH", "ar_EG"]


def small() -> ra.Redemptions:
    items = [
        redemption(
            f"{month} {n}", 14_220 + n, f"2026-{month}-20", store=f"s{n % 7}", till=f"t{n % 7}"
        )
        for month in ("09", "10", "11")
        for n in range(100)
    ]
    back = [reversal(5, 1_234, "2026-10-22")]
    items.append(redemption("back", 3_000, "2026-10-20", back))
    return load(items, [coupon(1, "2026-10-20", discount_type="ABS", discount_value=1234.5)])


@pytest.fixture(scope="module")
def german(tmp_path_factory: pytest.TempPathFactory) -> Path:
    directory = tmp_path_factory.mktemp("german")
    ra.write_reports(
        small(), directory, as_of="2026-11-20", page=True, locale="de-DE",
        point_value="0.01", currency="EUR",
    )  # fmt: skip
    return directory


@pytest.fixture(scope="module")
def page(german: Path) -> str:
    return (german / "report.html").read_text(encoding="utf-8")


def test_words_and_cards_have_the_forms_of_the_locale_and_stay_english(page: str) -> None:
    text = " ".join(re.sub(r"<[^>]*>", " ", page.split("<script>")[0]).split())
    for said in (
        "As of the end of 20.11.2026, by month.",
        "Points redeemed 1.429.950",  # 100 of 14.220 and more, and 3.000
        "1.428.716 net points",
        "up 0,2 % from September 2026",
        "14.287,16 EUR",
        "1,0 %",
        "Oktober 2026 against September 2026",
    ):
        assert said in text.replace("\xa0", " "), said


def test_tables_have_the_same_forms_as_the_words(page: str) -> None:
    cells = re.findall(r"<td[^>]*>([^<]*)</td>", page)
    assert "1.429.950" in cells
    assert any(re.fullmatch(r"\d+,\d\s%", cell) for cell in cells)
    assert not any(re.search(r"\d,\d\d\d\b|\d\.\d%", cell) for cell in cells)


def test_charts_have_them_on_the_page_and_in_their_pictures(page: str) -> None:
    assert '"thousands": "."' in page
    assert re.search(r'data-chart="net-chart"><svg .*?>1\.400\.000<', page, re.DOTALL)


def test_the_page_tells_its_script_how_to_read_numbers(page: str, german: Path) -> None:
    assert '<html lang="en" data-decimal="," data-group=".">' in page
    assert json.loads((german / "manifest.json").read_text())["locale"] == "de_DE"


def test_files_beside_the_page_are_the_same_in_any_locale(german: Path, tmp_path: Path) -> None:
    options: Any = {"point_value": "0.01", "currency": "EUR"}
    ra.write_reports(small(), tmp_path, as_of="2026-11-20", page=False, **options)
    for path in tmp_path.glob("*.parquet"):
        assert (german / path.name).read_bytes() == path.read_bytes()


def test_after_a_report_numbers_are_as_before(german: Path) -> None:
    assert numerals.number(1422022.5) == "1,422,022.5"
    assert numerals.for_charts() == {}


@pytest.mark.parametrize("name", ["xx_YY", "", "de_XX_YY_ZZ", 5])
def test_an_unknown_locale_is_refused_with_one_that_is_known(tmp_path: Path, name: Any) -> None:
    with pytest.raises(ra.UsageError, match=r"locale is .*such as 'de_DE'"):
        ra.write_reports(small(), tmp_path / "report", locale=name)
    assert not (tmp_path / "report").exists()


@given(
    st.sampled_from([name for name in LOCALES if name != "de_CH"]),
    st.integers(-(10**15), 10**15).map(lambda n: n / 1000),
)
def test_numbers_are_babels(name: str, value: float) -> None:
    with written_in(locale_of(name)):
        assert numerals.number(value) == format_decimal(round(value, 3), locale=name)
        if name != "en_IN":  # of which groups are of two digits
            assert numerals.fixed(value, 2) == format_decimal(value, "#,##0.00", locale=name)


def test_what_babel_leaves_out_of_swiss_numbers_is_there() -> None:
    with written_in(locale_of("de_CH")):
        written = numerals.number(1_422_022.5)
    assert re.fullmatch(r"1['\u2019]422['\u2019]022\.5", written)  # which one is up to its version


@pytest.mark.parametrize("name", LOCALES)
def test_a_chart_writes_numbers_and_days_as_the_words_do(name: str) -> None:
    value, moment = 1_422_022.5, datetime(2026, 11, 20)
    with written_in(locale_of(name)):
        locale = numerals.for_charts()["locale"]
        words = [numerals.number(value), numerals.number(-1500), numerals.day_name(moment)]
        form = numerals.day_format()
    texts = [
        ("a", "quantitative", ",.3~f"),
        ("b", "quantitative", ",.3~f"),
        ("t", "temporal", form),
    ]
    spec = {
        "data": {"values": [{"a": value, "b": -1500, "t": "2026-11-20T00:00:00"}]},
        "layer": [
            {"mark": "text", "encoding": {"text": {"field": field, "type": kind, "format": form}}}
            for field, kind, form in texts
        ],
        "config": {"locale": locale},
    }
    svg = vl_convert.vegalite_to_svg(spec)
    assert [html.unescape(text) for text in re.findall(r">([^<>]+)</text>", svg)] == words


@pytest.mark.parametrize("name", LOCALES)
def test_a_table_writes_numbers_as_the_words_do(name: str) -> None:
    row = {"a": 1_422_022, "b": 1234.125, "c": 0.0815, "d": 1234.5, "e": None}
    columns: Any = {
        "a": ("A", "count"), "b": ("B", "points"), "c": ("C", "percent"), "d": ("D", "money"),
        "e": ("E", "percent"),
    }  # fmt: skip
    with written_in(locale_of(name)):
        table = page_table("t", [row], columns).html
        words = [
            numerals.number(1_422_022),
            numerals.number(1234.125),
            numerals.percent(0.0815),
            numerals.fixed(1234.5, 2),
        ]
    assert re.findall(r"<td[^>]*>([^<]*)</td>", table) == [*words, "-"]


def test_without_babel_the_error_names_the_extra_and_all_else_works() -> None:
    code = (
        "import sys; sys.modules['babel'] = None\n"
        "from redemption_analytics import numerals, UsageError\n"
        "print(numerals.number(1422022))\n"
        "try: numerals.locale_of('de_DE')\n"
        "except UsageError as error: print(error)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert "1,422,022" in done.stdout
    assert 'pip install "redemption-analytics[report]"' in done.stdout
