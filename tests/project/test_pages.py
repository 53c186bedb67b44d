"""What the README and the pages of docs/ show is what happens, and what they point to is there."""

from __future__ import annotations

import importlib.util
import re
import sys
from pathlib import Path
from typing import Any

import pytest
from everyday import first_everyday
from shown import PAGES, README, ROOT, blocks, name_of, place_samples, run_page, runs

import redemption_analytics as ra
from redemption_analytics.columns import TABLES

DOCS = ROOT / "docs"
PICTURES = ROOT / "notebooks" / "pictures"
#: The languages of blocks: the first two are run here, schedules by test_schedules.py.
LANGUAGES = {"console", "pycon", "crontab", "py", "sh", "text"}

#: The pages that are run every day; the others are by `.ci/run`.
EVERYDAY = (README, DOCS / "tutorial.md")

of_each = pytest.mark.parametrize("page", PAGES, ids=name_of)


@pytest.mark.parametrize(
    "page",
    first_everyday([*EVERYDAY, *(p for p in PAGES if runs(p) and p not in EVERYDAY)], 2),
    ids=name_of,
)
def test_a_page_run_from_top_to_bottom_prints_and_draws_what_it_shows(
    page: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    place_samples(tmp_path)
    monkeypatch.chdir(tmp_path)
    different = run_page(page)
    assert not different, "\n".join(different)
    for picture in tmp_path.glob("*.svg"):
        # Where letters stand depends on the fonts of a machine, what is written does not.
        assert texts(picture) == texts(PICTURES / picture.name)


def texts(picture: Path) -> list[str]:
    return re.findall(r"<text[^>]*>([^<]+)<", picture.read_text(encoding="utf-8"))


def test_a_page_that_shows_something_else_is_found_out(tmp_path: Path) -> None:
    page = tmp_path / "page.md"
    page.write_text(
        "```console\n$ echo one\none\n$ echo two\nthree\n```\n\n"
        "```pycon\n>>> x = 1\n>>> x\n1\n```\n\n```pycon\n>>> x + 1\n3\n```\n"
    )
    console, python = run_page(page)
    assert "echo two" in console
    assert "echo one" not in console
    assert "x + 1" in python


@of_each
def test_a_block_says_in_which_language_it_is(page: Path) -> None:
    assert {block.language for block in blocks(page)} <= LANGUAGES
    assert page.read_text("utf-8").count("```") == 2 * len(blocks(page))


@of_each
def test_what_is_shown_tells_of_no_machine(page: Path) -> None:
    # Servers have /srv and /opt, clusters /mnt: nobody's machine.
    machine = r"(?:/home/|/root/|/Users/|/tmp/|/var/folders/|[A-Z]:\\\\|0x[0-9a-f]{6,})"
    assert re.findall(rf"{machine}.*", page.read_text("utf-8")) == []


@of_each
def test_python_that_is_only_read_is_python_and_names_what_is_there(page: Path) -> None:
    for block in blocks(page):
        if block.language == "py":
            compile(block.text, name_of(page), "exec")
            for first, second in re.findall(r"\bra\.(\w+)(?:\.(\w+)\()?", block.text):
                assert hasattr(getattr(ra, first), second or "__doc__"), first


@pytest.mark.parametrize("page", [*PAGES, ROOT / "CONTRIBUTING.md"], ids=name_of)
def test_every_link_leads_to_something_that_is_there(page: Path) -> None:
    text = re.sub(r"^```.*?^```$", "", page.read_text("utf-8"), flags=re.DOTALL | re.MULTILINE)
    found = re.findall(r"\]\(([^)\s]+)\)|src=\"([^\"]+)\"", text)
    targets = [one or other for one, other in found]
    broken = []
    for target in (target for target in targets if not target.startswith("http")):
        path, _, anchor = target.partition("#")
        there = (page.parent / path).resolve() if path else page
        if not there.exists() or (anchor and anchor not in anchors(there)):
            broken.append(target)
    assert broken == []


def anchors(page: Path) -> set[str]:
    """Return what links to a page may lead to: its headings, and names from docstrings."""
    text = page.read_text("utf-8")
    headings = [
        re.sub(r"\[([^\]]*)\]\([^)]*\)", r"\1", heading)
        for heading in re.findall(r"^#+ (.+)$", text, re.MULTILINE)
    ]
    slugs = {re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in headings}
    return slugs | set(re.findall(r"^::: ([\w.]+)$", text, re.MULTILINE))


def test_the_readme_leads_to_every_part_of_the_pages() -> None:
    linked = re.findall(r"\]\(docs/([\w/-]+\.md)", README.read_text("utf-8"))
    parts = {"how-to", "explanation", "reference"}
    assert {path.partition("/")[0] for path in linked} >= {*parts, "index.md", "tutorial.md"}


def test_every_page_is_in_the_navigation() -> None:
    listed = re.findall(r"([\w/-]+\.md)$", (ROOT / "mkdocs.yml").read_text("utf-8"), re.MULTILINE)
    assert sorted(listed) == sorted(p.relative_to(DOCS).as_posix() for p in DOCS.rglob("*.md"))


def test_every_file_of_the_project_that_a_page_names_is_there() -> None:
    for page in PAGES:
        names = re.findall(
            r"`((?:tests|benchmarks|notebooks|redemption_analytics)/[\w./-]+)`",
            page.read_text("utf-8"),
        )
        assert [name for name in names if not (ROOT / name).exists()] == []


# The reference


@pytest.fixture(scope="module")
def derived() -> Any:
    """What writes into pages what the code says."""
    path = DOCS / "making" / "derived.py"
    spec = importlib.util.spec_from_file_location("derived", path)
    assert spec
    assert spec.loader
    module = importlib.util.module_from_spec(spec)
    sys.modules["derived"] = module
    spec.loader.exec_module(module)
    return module


def test_the_reference_is_what_the_code_says(derived: Any) -> None:
    pages = derived.pages()
    assert len(pages) == 5
    for page, text in pages.items():
        written = page.read_text("utf-8")
        assert derived.with_derived(written, text) == written, f"{page}: run {derived.__file__}"


def test_every_public_name_is_in_the_reference(derived: Any) -> None:
    documented = {name for names in derived.documented().values() for name in names}
    public = {f"redemption_analytics.{name}" for name in dir(ra) if not name.startswith("_")}
    public |= {f"redemption_analytics.plot.{name}" for name in ra.plot.__all__}
    assert documented == public | {"redemption_analytics.spark.load"}


def test_every_public_method_is_in_the_reference() -> None:
    reference = "".join(page.read_text("utf-8") for page in (DOCS / "reference").glob("*.md"))
    for kind in (ra.Redemptions, ra.Warehouse):
        (members,) = re.findall(
            rf"::: redemption_analytics.{kind.__name__}\n.*\n +members: \[(.*)\]", reference
        )
        documented = {
            name
            for name, value in vars(kind).items()
            if not name.startswith("_") and ">>> " in (getattr(value, "__doc__", "") or "")
        }
        assert documented <= set(members.split(", "))


def test_the_tables_of_the_reference_are_those_of_the_library() -> None:
    text = (DOCS / "reference" / "tables.md").read_text("utf-8")
    told = {
        section.partition("\n")[0]: re.findall(r"^\| `(\w+)` \|", section, re.MULTILINE)
        for section in text.split("\n## ")[1:]
    }
    assert told == {name: list(columns) for name, columns in TABLES.items()}


def test_every_public_name_is_documented_with_an_example() -> None:
    documented = {**{name: getattr(ra, name) for name in dir(ra) if not name.startswith("_")}}
    documented |= {f"plot.{name}": getattr(ra.plot, name) for name in ra.plot.__all__}
    without = [
        name
        for name, value in documented.items()
        if callable(value)
        and not (isinstance(value, type) and issubclass(value, Exception))
        and ">>> " not in (value.__doc__ or "")
    ]
    assert without == []
    assert all(value.__doc__ for value in documented.values())


def test_every_extra_is_told_of() -> None:
    project = (ROOT / "pyproject.toml").read_text("utf-8")
    (section,) = re.findall(r"^\[project.optional-dependencies\]$(.*?)^\[", project, re.M | re.S)
    extras = re.findall(r"^(\w+) = ", section, re.MULTILINE)
    text = (DOCS / "how-to" / "install.md").read_text("utf-8")
    assert [extra for extra in extras if f"`{extra}`" not in text] == []
