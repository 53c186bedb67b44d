"""The README's first screen, its length, and its pictures, which pages of docs/ show too."""

from __future__ import annotations

import os
import re
import runpy
import shutil
import tempfile
from pathlib import Path

from shown import README, ROOT, blocks, place_samples, run_page

TEXT = README.read_text(encoding="utf-8")
SET_UP = "python3 -m venv"
#: Where each picture is drawn.
PICTURES = {
    "net_points.svg": README,
    "reversal_curve.svg": ROOT / "docs" / "how-to" / "draw.md",
    "reversal_funnel.svg": ROOT / "docs" / "how-to" / "draw.md",
}


def test_the_first_screen_has_one_command_for_the_main_job_and_one_for_the_tests() -> None:
    shown = [command for block in blocks(README) for command, _ in block.commands]
    commands = [command for command in shown if command.startswith(SET_UP)]
    assert len(commands) == 2
    assert TEXT.index(commands[1]) < TEXT.index("\n## ")
    assert commands[0].endswith("redemption-analytics report data_samples/organisation report")
    assert commands[1].endswith(".venv/bin/python -m pytest -n auto --dist loadfile")


def test_the_words_are_explained_before_the_first_command() -> None:
    before = TEXT[: TEXT.index("```")]
    words = ("redemption", "reversal", "breakup", "answer", "edition", "till", "export")
    assert [word for word in words if f"**{word}**" not in before] == []


def test_it_is_read_in_a_few_minutes() -> None:
    assert 150 <= len(TEXT.splitlines()) <= 200


def test_the_package_index_shows_no_picture_and_no_link_that_leads_nowhere_there() -> None:
    path = ROOT / "docs" / "making" / "readme.py"
    for_the_index = runpy.run_path(str(path))["for_the_index"]
    assert for_the_index("![A](a.svg)\n\n[B](b.md#c), [D](https://d.example)") == (
        "B, [D](https://d.example)"
    )
    shown = for_the_index(TEXT)
    assert re.findall(r"\]\((?!https?://)|<img|!\[", shown) == []
    assert len(shown.splitlines()) > 150
    assert 'path = "docs/making/readme.py"' in (ROOT / "pyproject.toml").read_text("utf-8")


def draw(page: Path, directory: Path) -> list[str]:
    """Run a page in a directory; give what is not as it is shown."""
    place_samples(directory)
    os.chdir(directory)
    return run_page(page)


if __name__ == "__main__":  # draws the pictures anew
    for page in set(PICTURES.values()):
        with tempfile.TemporaryDirectory() as directory:
            draw(page, Path(directory))
            for name in (name for name, drawn in PICTURES.items() if drawn == page):
                shutil.copy(Path(directory) / name, ROOT / "notebooks" / "pictures" / name)
