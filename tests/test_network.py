"""Nothing is fetched and nothing is sent: the main jobs do without a network."""

from __future__ import annotations

import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from requirements_of_ci import needed

SAMPLES = Path(__file__).parent.parent / "data_samples"

# CPython raises these events before it does what they are called for (sys.addaudithook).
FORBIDDING = """
import sys

def forbid(event, arguments):
    if event.startswith("socket.") and event not in ("socket.__new__", "socket.gethostname"):
        raise SystemExit(f"a socket is used: {event}")

sys.addaudithook(forbid)
"""
MAIN = """
from redemption_analytics import cli

exports, converted, report = sys.argv[1:]
commands = ["convert", exports, converted], ["audit", converted], ["report", converted, report]
for command in commands:
    cli.app(command, standalone_mode=False)
"""


def run(code: str, *arguments: object, before: tuple[str, ...] = ()) -> tuple[int, str]:
    command = [*before, sys.executable, "-c", FORBIDDING + code, *map(str, arguments)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    return done.returncode, done.stderr


def without_network() -> tuple[str, ...]:
    """A command that runs another where there is no network at all, if the system has one."""
    command = ("unshare", "--map-root-user", "--net")
    found = shutil.which("unshare") and subprocess.run([*command, "true"], check=False)
    isolates = bool(found) and not found.returncode
    needed("unshare", isolates, "unshare is not here, or may not make a network namespace")
    return command


def test_a_socket_would_be_noticed() -> None:
    code, said = run("import socket; socket.create_connection(('127.0.0.1', 9))")
    assert code == 1
    assert said.startswith("a socket is used: socket.")


@pytest.mark.slow
def test_main_jobs_need_no_network(tmp_path: Path) -> None:
    exports, converted, report = SAMPLES / "2025-sources.json", tmp_path / "c", tmp_path / "r"
    assert run(MAIN, exports, converted, report, before=without_network()) == (0, "")
    assert (report / "report.html").exists()


def test_loading_uses_no_socket() -> None:
    code = "import redemption_analytics as ra; ra.load(sys.argv[1])"
    assert run(code, SAMPLES / "2020-breakups.json") == (0, "")
