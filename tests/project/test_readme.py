"""What the README shows is what happens."""

from __future__ import annotations

import doctest
import os
import re
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

import pytest

import redemption_analytics as ra

ROOT = Path(__file__).parents[2]
README = (ROOT / "README.md").read_text(encoding="utf-8")
BLOCKS = re.findall(r"^```console\n(.*?)^```", README, re.DOTALL | re.MULTILINE)
SHOWN = [re.findall(r"^\$ (.*)\n((?:(?!\$ ).*\n)*)", block, re.MULTILINE) for block in BLOCKS]
COMMANDS = [pair for block in SHOWN for pair in block]
SET_UP = "python3 -m venv"
#: What a continuous integration run does, and what a test of its own does in a browser.
ELSEWHERE = ("-m pytest -n auto --dist loadfile", "jupyter lab notebooks")
PICTURES = re.findall(r"!\[.+?\]\((.+?\.svg)\)", README)


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
    assert commands[1].endswith(".venv/bin/python -m pytest -n auto --dist loadfile")


@pytest.mark.parametrize(
    "block",
    [block for block in SHOWN if block and not block[0][0].endswith(ELSEWHERE)],
    ids=lambda block: block[0][0][-40:].strip(),
)
def test_commands_shown_together_print_what_is_shown(
    project: Path, block: list[tuple[str, str]]
) -> None:
    for command, output in block:
        # Setting up is what a continuous integration run does, word for word.
        done = run(command.split("&&")[-1].strip().removeprefix(".venv/bin/"))
        printed = [line.rstrip() for line in (done.stdout + done.stderr).splitlines()]
        assert printed == [line.rstrip() for line in output.splitlines()]


def test_the_python_shown_prints_and_draws_what_is_shown(project: Path) -> None:
    tried, failures = run_python()
    assert tried > 10
    assert failures == 0
    assert len(PICTURES) == 3
    for picture in PICTURES:
        # Where letters stand depends on the fonts of a machine, what is written does not.
        assert texts(project / Path(picture).name) == texts(ROOT / picture)


def run_python() -> tuple[int, int]:
    """Run all Python of the README where one stands; give how many examples ran and failed."""
    # As the commands do that are shown before.
    ra.convert("data_samples/organisation", "converted")
    first = ["data_samples/organisation/archive", "data_samples/organisation/2026-11-18.jsonl.gz"]
    for source in (first, "data_samples/organisation"):
        ra.Warehouse("lake").ingest(source)
    shown = "".join(re.findall(r"^```python\n(.*?)^```", README, re.DOTALL | re.MULTILINE))
    test = doctest.DocTestParser().get_doctest(shown, {}, "README.md", "README.md", 0)
    flags = doctest.NORMALIZE_WHITESPACE | doctest.ELLIPSIS
    failures, tried = doctest.DocTestRunner(optionflags=flags).run(test)
    return tried, failures


def texts(picture: Path) -> list[str]:
    return re.findall(r"<text[^>]*>([^<]+)<", picture.read_text(encoding="utf-8"))


def test_every_picture_and_file_that_is_linked_is_there() -> None:
    linked = re.findall(r"\]\(([^)#]+?)\)|src=\"([^\"]+)\"", README)
    targets = {one or other for one, other in linked}
    assert {target for target in targets if not target.startswith("http")} >= set(PICTURES)
    assert [t for t in targets if not t.startswith("http") and not (ROOT / t).exists()] == []


def test_every_public_name_is_in_the_reference() -> None:
    reference = README[README.index("## Reference") : README.index("## Where things are")]
    missing = [
        name for name in dir(ra) if not name.startswith("_") and f"`{name}`" not in reference
    ]
    assert missing == []


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


if __name__ == "__main__":  # draws the pictures anew
    with tempfile.TemporaryDirectory() as directory:
        shutil.copytree(ROOT / "data_samples", Path(directory) / "data_samples")
        os.chdir(directory)
        run_python()
        for name in PICTURES:
            (ROOT / name).parent.mkdir(exist_ok=True)
            shutil.copy(Path(name).name, ROOT / name)
