"""How the program begins and ends: at once, quietly, and with nothing half-written."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest
from everyday import first_everyday

import redemption_analytics as ra

SAMPLES = Path(__file__).parent.parent / "data_samples"
GOOD = str(SAMPLES / "2020-breakups.json")
LARGE = str(SAMPLES / "organisation")

pytestmark = pytest.mark.skipif(os.name == "nt", reason="signals and pipes are POSIX's")

COMMAND = [sys.executable, "-m", "redemption_analytics"]


def started(*arguments: object, python: tuple[str, ...] = (), **options: Any) -> Any:
    command = [sys.executable, *python, *COMMAND[1:], *map(str, arguments)]
    return subprocess.Popen(
        command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, **options
    )


def finished(*arguments: object, **options: Any) -> subprocess.CompletedProcess[str]:
    command = [*COMMAND, *map(str, arguments)]
    return subprocess.run(
        command, stderr=subprocess.PIPE, text=True, check=False, timeout=120, **options
    )


def test_the_command_line_and_its_help_need_no_pandas_pyarrow_or_pandera() -> None:
    code = (
        "import sys\n"
        "from redemption_analytics.cli import app\n"
        "for command in ([], ['convert'], ['report'], ['audit'], ['sample']):\n"
        "    try: app([*command, '--help'])\n"
        "    except SystemExit as ended: assert not ended.code\n"
        "heavy = {'pandas', 'pyarrow', 'pandera', 'narwhals', 'numpy', 'duckdb', 'altair'}\n"
        "sys.exit(', '.join(sorted(heavy & set(sys.modules))) or 0)\n"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert (done.returncode, done.stderr) == (0, "")


def test_what_takes_seconds_to_import_and_no_chart_needs_is_left_out(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    slow = tmp_path / "slow" / "rfc3987_syntax.py"
    slow.parent.mkdir()
    slow.write_text("raise SystemExit('it is imported')")
    monkeypatch.setenv("PYTHONPATH", f"{slow.parent}{os.pathsep}{os.environ['PYTHONPATH']}")
    program = (
        "from redemption_analytics import cli, program\n"
        "cli.app = lambda: __import__('altair')\n"
        "program.main()\n"
    )
    for code, status, said in (("import altair", 1, "it is imported\n"), (program, 0, "")):
        command = [sys.executable, "-c", code]
        done = subprocess.run(command, capture_output=True, text=True, check=False)
        assert (done.returncode, done.stderr) == (status, said)


def test_converting_needs_no_library_for_frames_or_their_models(tmp_path: Path) -> None:
    code = (
        "import sys\n"
        "from redemption_analytics.cli import app\n"
        "try: app(['convert', *sys.argv[1:]])\n"
        "except SystemExit as ended: assert not ended.code\n"
        "heavy = {'pandera', 'narwhals', 'duckdb', 'altair', 'tqdm'}\n"
        "sys.exit(', '.join(sorted(heavy & set(sys.modules))) or 0)\n"
    )
    command = [sys.executable, "-c", code, GOOD, tmp_path / "out"]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert (done.returncode, done.stderr) == (0, "")


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
@pytest.mark.parametrize(
    "module", ["typer.core", "numpy", "pandas._libs", "pyarrow.lib", "pyarrow.parquet"]
)
def test_a_signal_while_libraries_are_imported_ends_the_program_quietly(
    module: str, number: signal.Signals, tmp_path: Path
) -> None:
    process = started("convert", GOOD, tmp_path / "out", python=("-X", "importtime"))
    for line in process.stderr:
        if line.split("|")[-1].strip().startswith(module):
            process.send_signal(number)
            break
    rest = process.communicate(timeout=60)[1]
    assert [line for line in rest.splitlines() if not line.startswith("import time:")] == []
    assert process.returncode == 128 + number
    assert list(tmp_path.iterdir()) == []


@pytest.mark.usefixtures("reports_of_one_table")
@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
@pytest.mark.parametrize("command", ["convert", "report"])
def test_a_signal_at_work_leaves_what_was_there_and_no_litter(
    command: str, number: signal.Signals, tmp_path: Path
) -> None:
    options = ["--overwrite"] if command == "convert" else ["--no-page"]
    target = tmp_path / "out"
    if command == "convert":
        ra.convert(GOOD, target)
    else:
        ra.write_reports(ra.load(GOOD), target, page=False)
    before = {path.name: path.stat().st_mtime_ns for path in target.rglob("*")}
    process = started(command, LARGE, target, *options)
    work = tmp_path / ".out.redemption_analytics"
    while not (work / "new").exists():
        assert process.poll() is None
        time.sleep(0.002)
    process.send_signal(number)
    assert process.communicate(timeout=60)[1] == ""
    assert process.returncode == 128 + number
    assert {path.name: path.stat().st_mtime_ns for path in target.rglob("*")} == before
    assert [path.name for path in tmp_path.iterdir()] == ["out"]


def test_a_signal_that_was_ignored_at_the_start_stays_so() -> None:
    process = started(
        "audit",
        GOOD,
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_IGN),  # as nohup, or "&"
        python=("-X", "importtime"),
    )
    for line in process.stderr:
        if "pandas._libs" in line:
            process.send_signal(signal.SIGINT)
            break
    assert "audit" in process.communicate(timeout=60)[0]
    assert process.returncode == 0


@pytest.mark.parametrize("arguments", [["--help"], ["audit", GOOD], ["report", GOOD]])
def test_output_that_nobody_reads_ends_the_program_as_it_does_others(
    arguments: list[str], tmp_path: Path
) -> None:
    if arguments[0] == "report":
        arguments = [*arguments, str(tmp_path / "out"), "--no-page"]
    reading, writing = os.pipe()
    os.close(reading)
    done = finished(*arguments, stdout=writing)
    os.close(writing)
    assert (done.returncode, done.stderr) == (141, "")
    if arguments[0] == "report":
        # It was written before the first line was printed.
        assert (tmp_path / "out" / "manifest.json").is_file()
        assert [path.name for path in tmp_path.iterdir()] == ["out"]


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="needs /dev/full")
@pytest.mark.parametrize("arguments", [["--help"], ["audit", GOOD]])
def test_output_that_cannot_be_written_is_exit_status_2(arguments: list[str]) -> None:
    with open("/dev/full", "w") as full:
        done = finished(*arguments, stdout=full)
    assert done.returncode == 2
    assert done.stderr == "redemption-analytics: No space left on device\n"


@pytest.mark.parametrize("encoding", first_everyday(["ascii", "cp1252", "utf-8"]))
def test_what_a_terminal_cannot_show_is_escaped(encoding: str, tmp_path: Path) -> None:
    source = tmp_path / "Zürich 東京.json"
    shutil.copy(SAMPLES / "broken" / "bad-elements.jsonl", source)
    environment = os.environ | {"PYTHONIOENCODING": encoding, "PYTHONUTF8": "0"}
    for arguments in (["audit", source], ["audit", tmp_path / "東京"], ["--help"]):
        command = [*COMMAND, *map(str, arguments)]
        done = subprocess.run(command, capture_output=True, check=False, env=environment)
        assert done.returncode == (2 if "東京" in command[-1][-3:] else 0)
        shown = (done.stdout + done.stderr).decode(encoding)
        assert "Traceback" not in shown
        if arguments[0] == "audit":
            city = {"utf-8": "東京"}.get(encoding, r"\u6771\u4eac")
            assert city in shown


def test_no_name_steers_the_terminal(tmp_path: Path) -> None:
    source = tmp_path / "\x1b]0;owned\x07\x1b[31m\u202e.json"
    shutil.copy(SAMPLES / "broken" / "bad-elements.jsonl", source)
    for arguments in (["audit", source], ["audit", f"{source}\n\x9b2J"]):
        done = finished(*arguments, stdout=subprocess.PIPE)
        shown = done.stdout + done.stderr
        assert r"\x1b]0;owned\x07\x1b[31m\u202e.json" in shown
        assert not {"\x1b", "\x07", "\x9b", "\u202e"} & set(shown)


@pytest.mark.skipif(sys.platform != "linux", reason="has the C library of Linux call abort")
def test_what_libraries_do_when_they_are_taken_down_does_not_change_the_status() -> None:
    # As a thread of theirs did now and then, which was still there at the end.
    code = (
        "import atexit, ctypes, sys\n"
        "c = ctypes.CDLL(None)\n"
        "c.__cxa_atexit(c.abort, None, None)\n"
        "atexit.register(print, 'put away')\n"
        "from redemption_analytics.program import main\n"
        "sys.argv[1:] = ['audit', *sys.argv[1:]]\n"
        "main()\n"
    )
    for source, status in ((GOOD, 0), (f"{GOOD} that is missing", 2)):
        command = [sys.executable, "-c", code, source]
        done = subprocess.run(command, capture_output=True, text=True, check=False)
        assert done.returncode == status
        assert done.stdout.endswith("put away\n")
        assert "aborted" not in done.stderr.lower()
