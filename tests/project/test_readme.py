"""The README's first screen, its length, and its pictures, which pages of docs/ show too."""

from __future__ import annotations

import os
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
