"""How a report presents itself: its title, whose it is, and its style."""

from __future__ import annotations

import hashlib
import json
import re
from pathlib import Path
from typing import Any

import openpyxl
import pytest
from payloads import load, redemption
from typer.testing import CliRunner

import redemption_analytics as ra
from redemption_analytics.cli import app

TITLE, WHOSE = "Points & <more>", "North \u202eLtd"
STYLE = ":root { --accent: #7a1f5c; } /* é */\n"


@pytest.fixture(scope="module")
def tiny() -> ra.Redemptions:
    return load([redemption("a", 100, "2026-10-02"), redemption("b", 5, "2026-11-20")])


@pytest.fixture(scope="module")
def stylesheet(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("style") / "house.css"
    path.write_text(STYLE, encoding="utf-8-sig")
    return path


@pytest.fixture(scope="module")
def plain(tiny: ra.Redemptions, tmp_path_factory: pytest.TempPathFactory) -> Path:
    directory = tmp_path_factory.mktemp("plain")
    ra.write_reports(tiny, directory, page=True)
    return directory


@pytest.fixture(scope="module")
def dressed(
    tiny: ra.Redemptions, stylesheet: Path, tmp_path_factory: pytest.TempPathFactory
) -> Path:
    directory = tmp_path_factory.mktemp("dressed")
    options: Any = {"title": TITLE, "organisation": WHOSE, "stylesheet": stylesheet}
    ra.write_reports(tiny, directory, page=True, excel=True, **options)
    return directory


def page_in(directory: Path) -> str:
    return (directory / "report.html").read_text(encoding="utf-8")


def test_the_page_has_the_title_and_before_it_whose_it_is_as_texts(dressed: Path) -> None:
    html = page_in(dressed)
    title, whose = "Points &amp; &lt;more&gt;, October 2026", "North \\u202eLtd"
    assert f"<title>{whose}: {title}</title>" in html
    assert f'<p class="organisation">{whose}</p>\n<h1>{title}</h1>' in html


def test_without_them_a_report_is_of_redemptions_and_of_nobody(plain: Path) -> None:
    html = page_in(plain)
    assert "<title>Redemptions, October 2026</title>" in html
    assert "<header>\n<h1>Redemptions, October 2026</h1>" in html
    manifest = json.loads((plain / "manifest.json").read_text())
    assert not {"title", "organisation", "stylesheet", "locale"} & set(manifest)


def test_the_title_that_it_has_anyway_changes_nothing(
    tiny: ra.Redemptions, plain: Path, tmp_path: Path
) -> None:
    ra.write_reports(tiny, tmp_path, page=True, title="Redemptions")
    for path in plain.iterdir():
        assert (tmp_path / path.name).read_bytes() == path.read_bytes()


def test_the_stylesheet_stands_behind_the_pages_own_style_which_may_load_nothing(
    dressed: Path,
) -> None:
    html = page_in(dressed)
    (style,) = re.findall(r"<head>.*?<style>\n(.*?)</style>", html, re.DOTALL)
    assert style.startswith(":root {")
    assert style.endswith(f"}}\n{STYLE}")
    (policy,) = re.findall(r'Content-Security-Policy" content="([^"]*)"', html)
    assert policy.startswith("default-src 'none'; ")
    assert "style-src 'unsafe-inline'; img-src data:;" in policy


def test_the_manifest_says_what_was_given(dressed: Path, stylesheet: Path) -> None:
    manifest = json.loads((dressed / "manifest.json").read_text())
    assert (manifest["title"], manifest["organisation"]) == (TITLE, WHOSE)
    assert manifest["stylesheet"] == hashlib.sha256(stylesheet.read_bytes()).hexdigest()


def test_the_workbook_has_the_title_and_says_whose_it_is(dressed: Path) -> None:
    book = openpyxl.load_workbook(dressed / "report.xlsx")
    rows = [[cell.value for cell in row] for row in book["overview"].iter_rows(max_row=3)]
    assert rows[0][0] == TITLE
    assert rows[2][:2] == ["Organisation", "North \\u202eLtd"]
    assert book.properties.title == f"North \\u202eLtd: {TITLE}"


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (None, "cannot be read (No such file or directory): give the path of a CSS file"),
        (b"a" * 1_000_001, "is larger than 1 MB, and the page would have all of it"),
        (b"p { } </STYLE><script>", "contains </style, which would end the page's style"),
        ("é".encode("latin-1"), "is not UTF-8: save it as UTF-8"),
    ],
    ids=["none", "too large", "end of style", "not UTF-8"],
)
def test_a_stylesheet_that_is_none_is_named_and_nothing_is_written(
    tiny: ra.Redemptions, tmp_path: Path, content: bytes | None, said: str
) -> None:
    path = tmp_path / "house.css"
    if content is not None:
        path.write_bytes(content)
    with pytest.raises(ra.UsageError) as caught:
        ra.write_reports(tiny, tmp_path / "report", stylesheet=path)
    assert str(path) in str(caught.value)
    assert said in str(caught.value)
    assert not (tmp_path / "report").exists()


@pytest.mark.parametrize("name", ["title", "organisation"])
@pytest.mark.parametrize("value", ["", "  ", 5])
def test_an_empty_title_is_refused(
    tiny: ra.Redemptions, tmp_path: Path, name: str, value: Any
) -> None:
    with pytest.raises(ra.UsageError, match=f"{name} is a text that is not empty"):
        ra.write_reports(tiny, tmp_path / "report", **{name: value})


def test_the_command_takes_them_and_refuses_before_it_reads(
    tmp_path: Path, stylesheet: Path
) -> None:
    def run(*options: str) -> Any:
        source, target = "data_samples/2020-breakups.json", str(tmp_path / "report")
        return CliRunner().invoke(app, ["report", source, target, "--no-page", *options])

    done = run("--title", "Points", "--organisation", "North", "--stylesheet", str(stylesheet))
    assert done.exit_code == 0, done.output
    manifest = json.loads((tmp_path / "report" / "manifest.json").read_text())
    assert (manifest["title"], manifest["organisation"]) == ("Points", "North")
    assert len(manifest["stylesheet"]) == 64
    assert run("--stylesheet", str(tmp_path / "nowhere.css")).exit_code == 2
