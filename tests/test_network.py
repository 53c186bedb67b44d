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
MAIN = "from redemption_analytics.cli import main; main()"


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


@pytest.mark.parametrize("isolated", [False, True], ids=["sockets forbidden", "no network"])
def test_main_jobs_need_no_network(tmp_path: Path, isolated: bool) -> None:
    before = without_network() if isolated else ()
    exports, converted, report = SAMPLES / "organisation", tmp_path / "c", tmp_path / "r"
    assert run(MAIN, "convert", exports, converted, before=before)[0] == 0
    assert run(MAIN, "audit", converted, before=before)[0] == 0
    assert run(MAIN, "report", converted, report, before=before) == (0, "")
    assert (report / "manifest.json").exists()
