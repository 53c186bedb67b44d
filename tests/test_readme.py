"""What the README shows is what happens."""

from __future__ import annotations

import doctest
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

import redemption_analytics as ra

ROOT = Path(__file__).parent.parent
README = (ROOT / "README.md").read_text(encoding="utf-8")
BLOCKS = re.findall(r"^```console\n(.*?)^```", README, re.DOTALL | re.MULTILINE)
COMMANDS = [
    (command, output)
    for block in BLOCKS
    for command, output in re.findall(r"^\$ (.*)\n((?:(?!\$ ).*\n)*)", block, re.MULTILINE)
]
SET_UP = "python3 -m venv"


@pytest.fixture
def project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The samples in an empty directory, as in a fresh clone."""
    shutil.copytree(ROOT / "data_samples", tmp_path / "data_samples")
    monkeypatch.chdir(tmp_path)
    return tmp_path


def run(command: str) -> subprocess.CompletedProcess[str]:
    bin_directory = str(Path(sys.executable).parent)
    return subprocess.run(
        ["bash", "-c", command],
        capture_output=True,
        text=True,
        check=False,
        env=os.environ | {"PATH": f"{bin_directory}:{os.environ['PATH']}", "COLUMNS": "80"},
    )


def test_the_first_screen_has_one_command_for_the_main_job_and_one_for_the_tests() -> None:
    commands = [command for command, _ in COMMANDS if command.startswith(SET_UP)]
    assert len(commands) == 2
    assert README.index(commands[1]) < README.index("\n## ")
    assert commands[0].endswith("redemption-analytics report data_samples/organisation report")
    assert commands[1].endswith(".venv/bin/python -m pytest")


@pytest.mark.parametrize(
    ("command", "output"),
    [pair for pair in COMMANDS if not pair[0].endswith("-m pytest")],
    ids=lambda text: text[-40:].strip(),
)
def test_a_shown_command_prints_what_is_shown(project: Path, command: str, output: str) -> None:
    # Setting up is what a continuous integration run does, word for word.
    command = command.split("&&")[-1].strip().removeprefix(".venv/bin/")
    done = run(command)
    printed = [line.rstrip() for line in (done.stdout + done.stderr).splitlines()]
    assert printed == [line.rstrip() for line in output.splitlines()]


def test_the_python_shown_prints_what_is_shown(project: Path) -> None:
    ra.convert("data_samples/organisation", "converted")  # as the command shown before does
    shown = "".join(re.findall(r"^```python\n(.*?)^```", README, re.DOTALL | re.MULTILINE))
    test = doctest.DocTestParser().get_doctest(shown, {}, "README.md", "README.md", 0)
    flags = doctest.NORMALIZE_WHITESPACE | doctest.ELLIPSIS
    failures, tried = doctest.DocTestRunner(optionflags=flags).run(test)
    assert tried > 10
    assert failures == 0
