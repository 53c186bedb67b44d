"""The page of a report as people meet it: drawn, quiet, alone, and usable by everyone."""

from __future__ import annotations

import csv
import re
import tempfile
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

import pytest
from browser import axe, browser, need_chromium, picture, requested, said, wait
from payloads import coupon, load, redemption, reversal
from selenium.common.exceptions import TimeoutException
from selenium.webdriver import ActionChains, Chrome
from selenium.webdriver.common.by import By
from selenium.webdriver.common.keys import Keys
from selenium.webdriver.remote.webelement import WebElement
from selenium.webdriver.support.ui import WebDriverWait

import redemption_analytics as ra

pytestmark = pytest.mark.slow

need_chromium()

DESKTOP, PHONE = 1100, 390
HOSTILE = "<script>alert(1)</script>"


@pytest.fixture(scope="module")
def page(tmp_path_factory: pytest.TempPathFactory) -> str:
    directory = tmp_path_factory.mktemp("report")
    ra.write_reports(ra.load("data_samples/organisation"), directory, page=True)
    return (directory / "report.html").as_uri()


@pytest.fixture(scope="module", params=[DESKTOP, PHONE], ids=["desktop", "phone"])
def opened(request: pytest.FixtureRequest, page: str) -> Iterator[Chrome]:
    with browser(request.param) as driver:
        driver.get(page)
        wait(driver, "document.documentElement.dataset.drawn")
        yield driver


def test_nothing_is_logged_and_no_request_leaves_the_file(opened: Chrome, page: str) -> None:
    opened.get(page)
    wait(opened, "document.documentElement.dataset.drawn")
    assert said(opened) == []
    assert set(requested(opened)) == {page}


def test_all_charts_are_drawn_as_wide_as_the_page(opened: Chrome) -> None:
    charts = opened.find_elements(By.CSS_SELECTOR, ".chart.vega-embed svg")
    assert len(charts) == 6
    room = opened.find_element(By.TAG_NAME, "main").size["width"]
    assert all(0.85 * room <= chart.size["width"] <= room + 1 for chart in charts)


def test_the_page_is_as_wide_as_the_window(opened: Chrome, tmp_path: Path) -> None:
    width = opened.execute_script("return document.documentElement.clientWidth")
    assert opened.execute_script("return document.documentElement.scrollWidth") == width
    for fold in opened.find_elements(By.TAG_NAME, "details"):
        opened.execute_script("arguments[0].open = true", fold)
    assert opened.execute_script("return document.documentElement.scrollWidth") == width
    picture(opened, tmp_path / "page.png")
    assert (tmp_path / "page.png").stat().st_size > 50_000


def test_axe_core_finds_no_serious_violation(opened: Chrome) -> None:
    opened.execute_script(axe())
    for fold in opened.find_elements(By.TAG_NAME, "details"):
        opened.execute_script("arguments[0].open = true", fold)
    found = opened.execute_async_script(
        "const done = arguments[0]; axe.run().then(found => done(found.violations))"
    )
    bad = [
        (violation["id"], violation["impact"], node["html"][:200], node["failureSummary"])
        for violation in found
        if violation["impact"] in ("serious", "critical")
        for node in violation["nodes"]
    ]
    assert bad == []


def test_the_keyboard_reaches_the_figures_the_links_and_the_tables(page: str) -> None:
    with browser(DESKTOP) as driver:
        driver.get(page)
        wait(driver, "document.documentElement.dataset.drawn")
        keys = driver.find_element(By.TAG_NAME, "body")
        keys.send_keys(Keys.TAB)
        assert driver.switch_to.active_element.text == "Skip to the figures"
        met = []
        for _ in range(40):
            driver.switch_to.active_element.send_keys(Keys.TAB)
            active = driver.switch_to.active_element
            met.append(active.text if active.tag_name in ("a", "summary") else active.tag_name)
        assert {"Net points", "Data quality", "The same as a table"} <= set(met)
        fold = driver.find_element(By.CSS_SELECTOR, "#net summary")
        fold.send_keys(Keys.ENTER)
        assert driver.find_element(By.CSS_SELECTOR, "#net table").is_displayed()


def test_a_table_is_sorted_by_its_heads_and_searched(page: str) -> None:
    with browser(DESKTOP) as driver:
        driver.get(page)
        wait(driver, "document.documentElement.dataset.drawn")

        def column(number: int) -> list[str]:
            cells = driver.find_elements(By.CSS_SELECTOR, "#stores tbody tr")
            return [row.find_elements(By.TAG_NAME, "td")[number].text for row in cells]

        def numbers(number: int) -> list[float]:
            return [float(text.replace(",", "").rstrip("%")) for text in column(number) if text]

        net = driver.find_elements(By.CSS_SELECTOR, "#stores th button")[2]
        net.send_keys(Keys.ENTER)
        rising = numbers(2)
        assert rising == sorted(rising)
        assert len(rising) > 10
        net.send_keys(Keys.ENTER)
        assert numbers(2) == rising[::-1]
        driver.find_elements(By.CSS_SELECTOR, "#stores th button")[0].send_keys(Keys.ENTER)
        assert column(0)[0].startswith("Airport")
        search = driver.find_element(By.CSS_SELECTOR, "#stores input[type=search]")
        search.send_keys("HARBOUR")
        assert [text for text in column(0) if text] == ["Harbour Mall (harbour)"]


def test_in_a_locale_tables_are_sorted_and_charts_written_in_its_forms(tmp_path: Path) -> None:
    ra.write_reports(ra.load("data_samples/organisation"), tmp_path, page=True, locale="de_DE")
    with browser(DESKTOP) as driver:
        driver.get((tmp_path / "report.html").as_uri())
        wait(driver, "document.documentElement.dataset.drawn")
        assert said(driver) == []
        driver.find_elements(By.CSS_SELECTOR, "#stores th button")[2].send_keys(Keys.ENTER)
        rows = driver.find_elements(By.CSS_SELECTOR, "#stores tbody tr")
        net = [row.find_elements(By.TAG_NAME, "td")[2].text for row in rows]
        assert net[-1] == "23.864"
        assert [int(text.replace(".", "")) for text in net] == sorted(
            int(text.replace(".", "")) for text in net
        )
        texts = driver.find_elements(By.CSS_SELECTOR, "#net .chart text")
        assert "20.000" in {text.text for text in texts}
        cell = driver.find_elements(By.CSS_SELECTOR, "#flows .mark-rect path")[0]
        driver.execute_script("arguments[0].scrollIntoView({block: 'center'})", cell)
        ActionChains(driver).move_to_element(cell).perform()
        tip = wait(driver, "document.querySelector('#vg-tooltip-element.visible')?.innerText")
        assert re.search(r"\d\.\d{3}\b", tip)


def test_on_paper_all_tables_are_open(page: str, tmp_path: Path) -> None:
    with browser(DESKTOP) as driver:
        driver.get(page)
        wait(driver, "document.documentElement.dataset.drawn")
        shut = "return document.querySelectorAll('main details:not([open])').length"
        assert driver.execute_script(shut) > 0
        driver.execute_cdp_cmd("Page.printToPDF", {})
        assert driver.execute_script(shut) == 0


def test_a_mark_tells_its_numbers_when_pointed_at(page: str) -> None:
    with browser(DESKTOP) as driver:
        driver.get(page)
        wait(driver, "document.documentElement.dataset.drawn")
        bar = driver.find_elements(By.CSS_SELECTOR, "#net .mark-rect path")[3]
        driver.execute_script("arguments[0].scrollIntoView({block: 'center'})", bar)
        ActionChains(driver).move_to_element(bar).perform()
        tip = wait(driver, "document.querySelector('#vg-tooltip-element.visible')?.innerText")
        assert "points redeemed" in tip
        assert "2025" in tip


def told_at(driver: Chrome, place: WebElement) -> str:
    """Point at something, again where the page was still moving; give what is told there."""
    driver.execute_script("arguments[0].scrollIntoView({block: 'center'})", place)
    for _ in range(20):
        ActionChains(driver).move_by_offset(1, 1).move_to_element(place).perform()
        with suppress(TimeoutException):
            tip = "document.querySelector('#vg-tooltip-element.visible')?.innerText"
            return str(wait(driver, tip, seconds=2))
    raise AssertionError("nothing is told")


@pytest.mark.parametrize(
    ("mark", "said"),
    [("#net .mark-symbol path", "net points"), ("#curve .mark-rule line", "at risk")],
)
def test_a_line_tells_the_numbers_of_where_it_is_pointed_at(
    page: str, mark: str, said: str
) -> None:
    with browser(DESKTOP) as driver:
        driver.get(page)
        wait(driver, "document.documentElement.dataset.drawn")
        tips = set()
        for place in driver.find_elements(By.CSS_SELECTOR, mark)[-6:-2:2]:
            tips.add(told_at(driver, place))
        assert len(tips) == 2
        assert all(said in tip for tip in tips)


def test_the_heads_of_tables_are_on_each_sheet_of_paper(page: str) -> None:
    with browser(DESKTOP) as driver:
        driver.get(page)
        wait(driver, "document.documentElement.dataset.drawn")
        driver.execute_cdp_cmd("Emulation.setEmulatedMedia", {"media": "print"})
        # What is drawn as a control of a form is not drawn again on the next sheet.
        display = "return getComputedStyle(document.querySelector('#stores th button')).display"
        assert driver.execute_script(display) == "contents"


def test_a_click_saves_the_table_as_csv_and_asks_for_nothing(page: str, tmp_path: Path) -> None:
    with browser(DESKTOP) as driver:
        allowed = {"behavior": "allow", "downloadPath": str(tmp_path)}
        driver.execute_cdp_cmd("Browser.setDownloadBehavior", allowed)
        driver.get(page)
        wait(driver, "document.documentElement.dataset.drawn")
        requested(driver)
        driver.find_element(By.CSS_SELECTOR, "#net summary").send_keys(Keys.ENTER)
        shown = driver.find_element(By.CSS_SELECTOR, "#net table")
        cells = [
            [cell.text.replace(",", "") for cell in row.find_elements(By.CSS_SELECTOR, "th, td")]
            for row in shown.find_elements(By.TAG_NAME, "tr")
        ]
        link = driver.find_element(By.CSS_SELECTOR, "#net a[download]")
        instantly = "arguments[0].scrollIntoView({block: 'center', behavior: 'instant'})"
        driver.execute_script(instantly, link)
        link.click()
        saved = tmp_path / "page-net.csv"
        WebDriverWait(driver, 20).until(lambda _: saved.is_file() and saved.stat().st_size)
        with saved.open(encoding="utf-8-sig", newline="") as file:
            assert [*csv.reader(file)] == cells
        assert len(cells) == 25
        assert said(driver) == []
        assert [url for url in requested(driver) if not url.startswith("data:text/csv;")] == []
        assert driver.current_url == page


def test_nothing_from_the_data_runs(tmp_path: Path) -> None:
    r = load(
        [
            redemption(
                f"r{n}", 100, f"2026-0{n % 6 + 1}-10", [reversal(n, 100)] if n < 30 else [],
                store=HOSTILE, till=f"<img src=x onerror=alert({n % 3})>",
            )
            for n in range(60)
        ],
        [coupon(1, discount_type="javascript:alert(1)", code=HOSTILE)],
    )  # fmt: skip
    ra.write_reports(r, tmp_path, page=True)
    with browser() as driver:
        driver.get((tmp_path / "report.html").as_uri())
        wait(driver, "document.documentElement.dataset.drawn")
        assert said(driver) == []
        assert driver.find_elements(By.CSS_SELECTOR, "img") == []
        assert driver.find_elements(By.XPATH, "//*[contains(text(), 'onerror=alert')]")
        # What is injected all the same does not run: the policy refuses it.
        driver.execute_script(
            "const s = document.createElement('script'); s.textContent = 'window.ran = 1';"
            "document.body.append(s)"
        )
        assert driver.execute_script("return window.ran") is None


def test_without_scripts_the_charts_are_there(page: str) -> None:
    with browser() as driver:
        driver.execute_cdp_cmd("Emulation.setScriptExecutionDisabled", {"value": True})
        driver.get(page)
        charts = driver.find_elements(By.CSS_SELECTOR, ".chart > svg")
        assert len(charts) == 6
        assert all(chart.size["height"] > 50 for chart in charts)


if __name__ == "__main__":  # takes the README's picture anew
    with tempfile.TemporaryDirectory() as directory, browser(DESKTOP) as window:
        ra.write_reports(ra.load("data_samples/organisation"), directory, page=True)
        window.get((Path(directory) / "report.html").as_uri())
        wait(window, "document.documentElement.dataset.drawn")
        picture(window, Path("notebooks/pictures/report.png"), 1180)
