"""What pages show: their commands and their Python, run in the order in which they stand.

A page is run in an empty directory that holds the samples, as a reader does who follows it: what a
command writes is there for the Python below it.
"""

from __future__ import annotations

import doctest
import os
import re
import shutil
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).parents[1]
README = ROOT / "README.md"
#: All that shows something to run.
PAGES = [README, *sorted((ROOT / "docs").rglob("*.md"))]

#: What a continuous integration run does, and what a test of its own does in a browser.
ELSEWHERE = ("-m pytest -n auto --dist loadfile", "jupyter lab notebooks")

_FENCED = re.compile(r"^```(?P<language>\w*)\n(?P<text>.*?)^```$", re.DOTALL | re.MULTILINE)
_COMMAND = re.compile(r"^\$ (.*)\n((?:(?!\$ ).*\n)*)", re.MULTILINE)
_SETS_UP = re.compile(r"python3 -m venv |\.venv/bin/pip install ").match
_PLACE = re.compile(r"^\.venv/bin/")
_FLAGS = doctest.NORMALIZE_WHITESPACE | doctest.ELLIPSIS


@dataclass(frozen=True)
class Block:
    """A block of a page: the language that it says it is in, its text, and its line."""

    language: str
    text: str
    line: int

    @property
    def commands(self) -> list[tuple[str, str]]:
        """The commands of a console, each with what it prints."""
        return _COMMAND.findall(self.text)


def name_of(page: Path) -> str:
    return os.path.relpath(page, ROOT).replace(os.sep, "/")


def blocks(page: Path) -> list[Block]:
    text = page.read_text(encoding="utf-8")
    return [
        Block(found["language"], found["text"], text.count("\n", 0, found.start()) + 1)
        for found in _FENCED.finditer(text)
    ]


def runs(page: Path) -> bool:
    return any(block.language in ("console", "pycon") for block in blocks(page))


def place_samples(directory: Path) -> None:
    shutil.copytree(ROOT / "data_samples", directory / "data_samples")


def run_page(page: Path) -> list[str]:
    """Run a page where one stands; give what is not as it is shown."""
    names: dict[str, object] = {}
    return [
        different
        for block in blocks(page)
        for different in (
            _console(page, block)
            if block.language == "console"
            else _python(page, block, names)
            if block.language == "pycon"
            else ()
        )
    ]


def _console(page: Path, block: Block) -> Iterator[str]:
    for command, output in block.commands:
        if command.endswith(ELSEWHERE):
            continue
        printed = printed_by(command)
        shown = [line.rstrip() for line in output.splitlines()]
        if printed != shown:
            lines = "\n".join(printed)
            yield f"{name_of(page)}, line {block.line}: $ {command}\nprints\n{lines}"


def printed_by(command: str) -> list[str]:
    """Run a command as it is shown, but for what sets up: that continuous integration does."""
    bin_directory = str(Path(sys.executable).parent)
    parts = [part.strip() for part in command.split("&&")]
    done = subprocess.run(
        ["bash", "-c", " && ".join(_PLACE.sub("", part) for part in parts if not _SETS_UP(part))],
        capture_output=True,
        text=True,
        check=False,
        env=os.environ | {"PATH": f"{bin_directory}:{os.environ['PATH']}", "COLUMNS": "80"},
    )
    return [line.rstrip() for line in (done.stdout + done.stderr).splitlines()]


def _python(page: Path, block: Block, names: dict[str, object]) -> Iterator[str]:
    test = doctest.DocTestParser().get_doctest(
        block.text, names, name_of(page), str(page), block.line
    )
    told: list[str] = []
    doctest.DocTestRunner(optionflags=_FLAGS).run(test, out=told.append, clear_globs=False)
    names.update(test.globs)
    if told:
        yield "".join(told)
