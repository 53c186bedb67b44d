"""The site of docs/ is built without a warning, and fetches nothing."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from importlib.util import find_spec
from pathlib import Path

import pytest
from browser import browser, need_chromium, requested, said, wait
from requirements_of_ci import needed
from shown import ROOT

import redemption_analytics as ra

pytestmark = pytest.mark.slow

#: What a browser loads by itself.
LOADED = re.compile(
    r"<(?:script|img|iframe|source|video|audio|embed)\b[^>]*?\bsrc=[\"']?([^\"'\s>]+)"
    r"|<link\b(?=[^>]*\brel=[\"']?(?:stylesheet|preload|prefetch|preconnect|icon|modulepreload))"
    r"[^>]*?\bhref=[\"']?([^\"'\s>]+)"
)
IN_STYLES = re.compile(r"@import\s+[\"']?([^\"';\s]+)|url\(\s*[\"']?([^\"')\s]+)")


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Path:
    found = all(find_spec(name) for name in ("mkdocs", "material", "mkdocstrings_handlers"))
    needed("mkdocs", found, 'needs MkDocs: pip install "redemption-analytics[docs]"')
    directory = tmp_path_factory.mktemp("site")
    command = [sys.executable, "-m", "mkdocs", "build", "--strict", "--site-dir", str(directory)]
    done = subprocess.run(
        command,
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
        env=os.environ | {"NO_MKDOCS_2_WARNING": "1"},
    )
    assert done.returncode == 0, done.stderr
    return directory


def pages(site: Path) -> dict[str, str]:
    return {
        page.relative_to(site).as_posix(): page.read_text("utf-8") for page in site.rglob("*.html")
    }


def test_a_browser_is_told_to_fetch_nothing(site: Path) -> None:
    loaded = [
        target
        for text in pages(site).values()
        for pair in LOADED.findall(text)
        for target in pair
        if target
    ]
    styles = [
        target
        for style in site.rglob("*.css")
        for pair in IN_STYLES.findall(style.read_text("utf-8"))
        for target in pair
        if target
    ]
    assert len(loaded) > 50
    assert [t for t in loaded + styles if re.match(r"(?:https?:)?//", t)] == []


def test_nothing_is_there_for_which_the_theme_would_fetch_a_library(site: Path) -> None:
    for name, text in pages(site).items():
        assert 'class="mermaid"' not in text, name
    # Where pages are opened as files, the theme asks for workers elsewhere unless they are here.
    assert "iframe-worker" in pages(site)["index.html"]


def test_every_link_and_anchor_of_the_site_resolves(site: Path) -> None:
    texts = pages(site)
    broken = []
    for name, text in texts.items():
        for target in re.findall(r"<a\b[^>]*?\bhref=[\"']?([^\"'\s>]+)", text):
            if re.match(r"\w+:", target) or name == "404.html":
                continue
            path, _, anchor = target.partition("#")
            there = os.path.normpath(f"{name}/../{path}") if path else name
            there = "index.html" if there == "." else there
            id_of = rf"\bid=[\"']?{re.escape(anchor)}[\"'\s>]"
            found = (site / there).exists()
            if not found or (anchor and not re.search(id_of, texts[there])):
                broken.append(f"{name}: {target}")
    assert broken == []


def test_every_public_name_has_its_place_on_the_site(site: Path) -> None:
    reference = "".join(text for name, text in pages(site).items() if name.startswith("reference"))
    names = [f"redemption_analytics.{name}" for name in dir(ra) if not name.startswith("_")]
    names += [f"redemption_analytics.plot.{name}" for name in ra.plot.__all__]
    assert [name for name in names if f'id="{name}"' not in reference] == []


def test_no_role_of_a_docstring_is_left_as_it_is_written(site: Path) -> None:
    assert [
        n for n, text in pages(site).items() if re.search(r":(func|mod|attr|class):", text)
    ] == []


# In a browser


def test_a_page_opened_as_a_file_is_searched_and_asks_for_nothing_elsewhere(site: Path) -> None:
    need_chromium()
    with browser() as driver:
        for page in ("index.html", "explanation/outliers.html", "reference/metrics.html"):
            driver.get((site / page).as_uri())
            driver.execute_script(
                "const box = document.querySelector('.md-search__input');"
                "box.focus(); box.value = 'beta-binomial'; box.dispatchEvent(new Event('keyup'))"
            )
            found = (
                "[...document.querySelectorAll('.md-search-result__item h1')].map(e => e.innerText)"
            )
            wait(driver, f"{found}.length")
            assert "Tills that stand out" in driver.execute_script(f"return {found}")
            assert said(driver) == []
        assert [one for one in requested(driver) if not one.startswith(("file:", "data:"))] == []


@pytest.mark.parametrize("page", ["index.html", "how-to/gates.html", "reference/tables.html"])
def test_a_phone_shows_a_page_without_scrolling_sideways(site: Path, page: str) -> None:
    need_chromium()
    with browser(390, 800) as driver:
        driver.get((site / page).as_uri())
        assert driver.execute_script("return document.documentElement.scrollWidth") <= 390
