"""The package builds its native reader with any compiler that is able to, or says what it lacks."""

from __future__ import annotations

import os
import shlex
import shutil
import subprocess
import sys
import tarfile
import zipfile
from pathlib import Path
from typing import Any

import pytest
from hatchling.builders.hooks.plugin.interface import BuildHookInterface
from requirements_of_ci import needed

import hatch_build
from redemption_analytics.parsing.binding import is_older

pytestmark = pytest.mark.slow

ROOT = Path(__file__).parents[2]
ABLE = hatch_build.able(ROOT, hatch_build.compilers())


def tree(folder: Path) -> Path:
    """Copy what the reader is built from."""
    shutil.copytree(ROOT / hatch_build.NATIVE / "src", folder / hatch_build.NATIVE / "src")
    return folder


def hook(root: Path = ROOT) -> BuildHookInterface[Any]:
    unused: Any = None
    return hatch_build.NativeReader(str(root), {}, unused, unused, "", "wheel")


def script(path: Path, does: str) -> tuple[str, ...]:
    path.write_text(does)
    return (sys.executable, str(path))


def make(target: str, root: Path, folder: Path) -> Path:
    command = [sys.executable, "-m", "hatchling", "build", "-t", target, "-d", folder]
    subprocess.run(command, check=True, cwd=root, capture_output=True)
    (made,) = folder.glob("*.tar.gz" if target == "sdist" else "*.whl")
    return made


@pytest.fixture(scope="module")
def unpacked(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The source distribution, unpacked."""
    folder = tmp_path_factory.mktemp("source")
    with tarfile.open(make("sdist", ROOT, folder)) as archive:
        # Python 3.11.2, as Debian has it, does not know the argument yet.
        safe = {"filter": "data"} if hasattr(tarfile, "data_filter") else {}
        archive.extractall(folder, **safe)
    (root,) = (path for path in folder.iterdir() if path.is_dir())
    return root


@pytest.fixture(scope="module")
def wheel(unpacked: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The wheel that is made of the source distribution."""
    needed("compiler", ABLE is not None, "needs a C++20 compiler")
    return make("wheel", unpacked, tmp_path_factory.mktemp("wheel"))


@pytest.fixture(scope="module")
def reader(wheel: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The reader that was built into the wheel."""
    with zipfile.ZipFile(wheel) as archive:
        return Path(
            archive.extract(hatch_build.LIBRARY.as_posix(), tmp_path_factory.mktemp("reader"))
        )


def test_a_compiler_that_is_missing_fails_or_makes_nothing_usable_is_passed_by(
    tmp_path: Path,
) -> None:
    needed("compiler", ABLE is not None, "needs a C++20 compiler")
    assert ABLE is not None
    too_old = script(tmp_path / "old.py", "raise SystemExit('error: unknown -std=c++20')")
    for_others = script(
        tmp_path / "others.py",
        "import sys; open(sys.argv[sys.argv.index('-o') + 1], 'w').write('of another system')",
    )
    unable = [("no-such-compiler",), too_old, for_others]
    assert hatch_build.able(ROOT, unable) is None
    assert hatch_build.able(ROOT, [*unable, ABLE]) == ABLE


def test_the_compiler_that_is_asked_for_goes_first() -> None:
    asked = hatch_build.compilers({"CXX": "ccache g++-14"})
    assert asked == [("ccache", "g++-14"), ("c++",), ("g++",), ("clang++",)]
    assert hatch_build.compilers({}) == asked[1:]


def test_zig_is_asked_for_only_where_no_compiler_is_able(monkeypatch: pytest.MonkeyPatch) -> None:
    needed("compiler", ABLE is not None, "needs a C++20 compiler")
    assert hook().dependencies() == []
    monkeypatch.setenv(hatch_build.WHEEL, "win_amd64")
    assert [asked.split(">")[0] for asked in hook().dependencies()] == ["ziglang"]
    monkeypatch.delenv(hatch_build.WHEEL)
    monkeypatch.delenv("CXX", raising=False)
    monkeypatch.setenv("PATH", "")
    assert [asked.split(">")[0] for asked in hook().dependencies()] == ["ziglang"]


def test_without_any_compiler_the_error_names_what_was_tried_and_what_to_do(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setattr(hatch_build, "ZIG", ("no-such-zig", "c++"))
    monkeypatch.setenv("PATH", "")
    monkeypatch.setenv("CXX", "mine")
    with pytest.raises(hatch_build.BuildError) as told:
        hatch_build.build_for_this_system(tree(tmp_path), tmp_path / "reader")
    for tried in ("mine", "c++", "g++", "clang++", "no-such-zig c++"):
        assert f"\n  {tried}: No such file or directory\n" in str(told.value)
    assert "pip install ziglang" in str(told.value)


def test_what_a_compiler_says_of_an_error_is_told(tmp_path: Path) -> None:
    needed("compiler", ABLE is not None, "needs a C++20 compiler")
    assert ABLE is not None
    root = tree(tmp_path)
    (root / hatch_build.NATIVE / "src" / "reader.cpp").write_text("no C++")
    with pytest.raises(hatch_build.BuildError, match=r"reader\.cpp:1:1: .*error"):
        hatch_build.build(root, tmp_path / "reader", ABLE)


def test_in_place_it_is_built_only_where_it_is_missing_broken_or_older(
    reader: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    # What takes seconds is no part of the question: this compiler has the reader ready.
    copies = f"import shutil, sys; shutil.copy({str(reader)!r}, sys.argv[sys.argv.index('-o') + 1])"
    monkeypatch.setenv("CXX", shlex.join(script(tmp_path / "copies.py", copies)))
    root = tree(tmp_path)
    library = root / hatch_build.LIBRARY
    source = root / hatch_build.NATIVE / "src" / "reader.cpp"
    assert "built" in hatch_build.build_in_place(root)
    assert "newer" in hatch_build.build_in_place(root)
    now = library.stat().st_mtime
    os.utime(source, (now + 1, now + 1))
    assert is_older(library, source.parent)
    assert "built" in hatch_build.build_in_place(root)
    os.utime(source, (now - 1, now - 1))
    assert not is_older(library, source.parent)
    library.write_bytes(b"of another system")
    assert "built" in hatch_build.build_in_place(root)
    assert [path.name for path in library.parent.iterdir() if path.is_file()] == [library.name]


def test_a_system_that_no_wheel_is_made_for_is_refused(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv(hatch_build.WHEEL, "amiga")
    with pytest.raises(SystemExit):
        hook().initialize("standard", {"force_include": {}})
    said = capsys.readouterr()
    assert "is 'amiga'; it may be manylinux2014_x86_64," in said.out + said.err


def test_the_source_distribution_holds_the_source_and_the_wheel_made_of_it_the_library(
    unpacked: Path, wheel: Path
) -> None:
    assert (unpacked / hatch_build.NATIVE / "src" / "reader.cpp").exists()
    assert not (unpacked / hatch_build.LIBRARY).exists()
    assert "-py3-none-" in wheel.name
    assert not wheel.name.endswith("-any.whl")
    names = zipfile.ZipFile(wheel).namelist()
    assert hatch_build.LIBRARY.as_posix() in names
    assert not [name for name in names if name.endswith((".hpp", ".cpp"))]


@pytest.mark.skipif(sys.platform != "linux", reason="reads what a library of Linux asks for")
def test_the_library_asks_for_the_c_library_alone(reader: Path) -> None:
    asks = subprocess.run(["ldd", reader], capture_output=True, text=True, check=True).stdout
    assert not [line for line in asks.splitlines() if "stdc++" in line or "gcc" in line]
    assert "libc" in asks


def test_sources_without_a_built_reader_say_where_to_build_it(tmp_path: Path) -> None:
    ignored = shutil.ignore_patterns("_reader.lib", "__pycache__")
    shutil.copytree(
        ROOT / "redemption_analytics", tmp_path / "redemption_analytics", ignore=ignored
    )
    done = subprocess.run(
        [sys.executable, "-c", "import redemption_analytics as ra; ra.load([])"],
        cwd=tmp_path,
        env={**os.environ, "PYTHONPATH": ""},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 1
    assert f"imported from its sources in {tmp_path}" in done.stderr
    assert 'Build it there: pip install --editable "."' in done.stderr
