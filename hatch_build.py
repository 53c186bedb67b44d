"""Builds the native reader together with the package.

It is one shared library, loaded through its C ABI: built once for a system, it serves every Python
there, and needs the C library alone. The C++ compiler that is there builds it: ``CXX``, else c++,
g++ or clang++, whichever proves able to. Where none is, Zig's does, which pip brings for the time
of the build. A development install has the library beside its binding; a wheel holds it.

``REDEMPTION_ANALYTICS_WHEEL`` asks for a wheel for one of :data:`WHEELS`, whatever this system is::

    REDEMPTION_ANALYTICS_WHEEL=manylinux2014_x86_64 pip wheel --no-deps .

``python hatch_build.py`` builds in place again, if a source has changed since.
"""

from __future__ import annotations

import os
import shlex
import subprocess
import sys
import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from hatchling.builders.hooks.plugin.interface import BuildHookInterface
from packaging.tags import platform_tags

NATIVE = Path("redemption_analytics", "parsing")
LIBRARY = NATIVE / "_reader.lib"

#: The systems that wheels can be made for by Zig's compiler, as wheels and as Zig call them.
WHEELS = {
    "manylinux2014_x86_64": "x86_64-linux-gnu.2.17",
    "manylinux2014_aarch64": "aarch64-linux-gnu.2.17",
    "musllinux_1_2_x86_64": "x86_64-linux-musl",
    "musllinux_1_2_aarch64": "aarch64-linux-musl",
    "macosx_11_0_x86_64": "x86_64-macos.11.0",
    "macosx_11_0_arm64": "aarch64-macos.11.0",
    "win_amd64": "x86_64-windows-gnu",
    "win_arm64": "aarch64-windows-gnu",
}
WHEEL = "REDEMPTION_ANALYTICS_WHEEL"

ZIG = (sys.executable, "-m", "ziglang", "c++")

_FLAGS = ("-std=c++20", "-O3", "-fno-exceptions", "-fno-rtti", "-fvisibility=hidden", "-shared")
#: Not of Zig, which knows by itself: position-independent, and nothing linked but what is used.
_SYSTEM_FLAGS = {
    "darwin": ("-fPIC", "-Wl,-dead_strip_dylibs"),
    "win32": ("-static",),
}
_ELSEWHERE = ("-fPIC", "-static-libgcc", "-Wl,--as-needed")

#: Whether a library runs here: it is to refuse an empty contract.
_TRIAL = """
import ctypes, sys
opened = ctypes.c_void_p()
sys.exit(ctypes.CDLL(sys.argv[1]).reader_open(b"", ctypes.c_size_t(0), ctypes.byref(opened)) != 3)
"""


class BuildError(Exception):
    """The reader cannot be built here, and why."""


def compilers(environ: Mapping[str, str] = os.environ) -> list[tuple[str, ...]]:
    """Return the commands that may be a C++ compiler, the one that is asked for before others."""
    asked = tuple(shlex.split(environ.get("CXX", ""), posix=os.name != "nt"))
    return [*([asked] if asked else []), ("c++",), ("g++",), ("clang++",)]


def able(root: Path, commands: Sequence[tuple[str, ...]]) -> tuple[str, ...] | None:
    """Return the first of the compilers that makes a reader that runs, or None."""
    for command in commands:
        try:
            with tempfile.TemporaryDirectory() as folder:
                build(root, Path(folder, "trial.so"), command, "-O0")
        except BuildError:
            continue
        return command
    return None


def build(
    root: Path, to: Path, command: Sequence[str], *flags: str, target: str | None = None
) -> None:
    """Compile the reader, and try it unless it is for another system.

    Parameters
    ----------
    root
        The project's directory.
    to
        The library's file.
    command
        The compiler.
    flags
        More flags, for it.
    target
        The system that the reader is for, as Zig calls it; None for this one.

    Raises
    ------
    BuildError
        If the compiler is missing or does not know C++20, or what it makes does not run.
    """
    source = root / NATIVE / "src"
    with tempfile.TemporaryDirectory() as folder:
        # The linker of Windows writes a file `.lib` beside what it links.
        made = Path(folder, "reader.so")
        words = [*command, *_FLAGS, "-nostdinc++", "-isystem", str(source / "c_headers"), *flags]
        if tuple(command) == ZIG:
            words += ["-nostdlib++", "-s", "-mcpu=baseline"]
            here = target or _zig_name()
            words += ["-target", here] if here else []
        else:
            words += _SYSTEM_FLAGS.get(sys.platform, _ELSEWHERE)
        _run([*words, "-o", str(made), str(source / "reader.cpp")], folder)
        if target is None:
            _run([sys.executable, "-c", _TRIAL, str(made)], folder)
        to.parent.mkdir(parents=True, exist_ok=True)
        # Who has the old one open keeps it.
        fresh = to.with_name(f"{to.name}.{os.getpid()}")
        fresh.write_bytes(made.read_bytes())
        fresh.chmod(0o755)
        fresh.replace(to)


def build_for_this_system(root: Path, to: Path) -> str:
    """Compile the reader with the first compiler that is able to.

    Returns
    -------
    str
        Which compilers were tried, and what each said.

    Raises
    ------
    BuildError
        If none is: which were tried, what each said, and what to do.
    """
    said = []
    for command in [*compilers(), ZIG]:
        try:
            build(root, to, command)
        except BuildError as error:
            said.append(f"  {' '.join(command)}: {error}")
        else:
            return "\n".join([*said, f"  {' '.join(command)}: built the native reader"])
    raise BuildError(
        "no C++20 compiler could build the native reader. Tried were:\n"
        + "\n".join(said)
        + "\nInstall one (g++ 11, clang 14, Xcode's command line tools, or: pip install ziglang),"
        " or name one in the environment variable CXX."
    )


def build_in_place(root: Path) -> str:
    """Compile the reader beside its binding, unless the one there is newer than its sources.

    Returns
    -------
    str
        Which compilers were tried, and what each said.
    """
    to = root / LIBRARY
    if to.exists() and not _is_stale(root, to):
        try:
            _run([sys.executable, "-c", _TRIAL, str(to)], root)
        except BuildError:
            pass  # of another system, or broken
        else:
            return "  the native reader is newer than its sources"
    return build_for_this_system(root, to)


def _is_stale(root: Path, library: Path) -> bool:
    sources = [Path(__file__), *(root / NATIVE / "src").rglob("*")]
    return any(path.stat().st_mtime_ns >= library.stat().st_mtime_ns for path in sources)


def _zig_name() -> str | None:
    """Return Zig's name of this system, None where Zig is to find out."""
    return next((WHEELS[tag] for tag in platform_tags() if tag in WHEELS), None)


def _run(words: Sequence[str], folder: str | Path) -> None:
    """Run a command, Zig's caches in a folder unless they have one; what it says is its failure."""
    environ = {
        "ZIG_GLOBAL_CACHE_DIR": str(Path(folder, "zig")),
        "ZIG_LOCAL_CACHE_DIR": str(Path(folder, "zig")),
    } | os.environ
    try:
        done = subprocess.run(words, capture_output=True, env=environ, check=False)
    except OSError as error:
        raise BuildError(error.strerror) from None
    if done.returncode:
        lines = (done.stderr + done.stdout).decode(errors="replace").strip().splitlines()
        telling = [line for line in lines if "error" in line.lower() or "No module" in line]
        raise BuildError(" ".join([*telling, *lines, "it failed"][:1]).strip())


class NativeReader(BuildHookInterface):  # type: ignore[type-arg]
    """The step of the package's build that makes the reader."""

    def dependencies(self) -> list[str]:
        """Ask for Zig's compiler where no other is able."""
        root = Path(self.root)
        if os.environ.get(WHEEL) or able(root, compilers()) is None:
            return ["ziglang>=0.13"]
        return []

    def initialize(self, version: str, build_data: dict[str, Any]) -> None:
        """Build the reader, in place or into the wheel."""
        root = Path(self.root)
        system = os.environ.get(WHEEL)
        if system and system not in WHEELS:
            self.app.abort(f"{WHEEL} is {system!r}; it may be {', '.join(WHEELS)}")
        try:
            if version == "editable":
                self.app.display_info(build_in_place(root))
            else:
                made = self._folder() / LIBRARY.name
                if system:
                    build(root, made, ZIG, target=WHEELS[system])
                else:
                    self.app.display_info(build_for_this_system(root, made))
                build_data["force_include"][str(made)] = LIBRARY.as_posix()
        except BuildError as error:
            self.app.abort(str(error))
        build_data["pure_python"] = False
        build_data["tag"] = f"py3-none-{system or _platform_tag()}"

    def _folder(self) -> Path:
        """Make a folder that is there as long as this hook."""
        self._made = tempfile.TemporaryDirectory()
        return Path(self._made.name)


def _platform_tag() -> str:
    """Return what a wheel for this system alone is marked with."""
    return next(tag for tag in platform_tags() if "many" not in tag and "musl" not in tag)


if __name__ == "__main__":
    try:
        sys.stdout.write(build_in_place(Path(__file__).parent) + "\n")
    except BuildError as error:
        sys.exit(str(error))
