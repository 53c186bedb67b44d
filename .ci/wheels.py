"""Makes the wheels of every system with Zig's compiler, and looks into them.

Needs ``hatchling``, ``ziglang`` and ``lief``, and for the last step all that the package needs: the
wheel that fits this system reads a sample.
"""

from __future__ import annotations

import os
import re
import subprocess
import sys
import tempfile
import zipfile
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import lief
from packaging.tags import platform_tags

ROOT = Path(__file__).parents[1]
sys.path.insert(0, str(ROOT))

from hatch_build import LIBRARY, NATIVE, WHEEL, WHEELS  # noqa: E402

#: All that the library may ask of a system.
NEEDED = re.compile(r"libc\.so(\.6)?|/usr/lib/libSystem\.B\.dylib|KERNEL32\.dll|api-ms-win-crt-.*")
GLIBC = (2, 17)
READS = """
import sys, redemption_analytics as ra
assert ra.__file__.startswith(sys.argv[1]), ra.__file__
redemptions = ra.load(sys.argv[2])
assert len(redemptions.points) == 1, redemptions
print("the wheel for this system reads a sample")
"""


def main() -> None:
    """Make all wheels, check each, and read with one."""
    lief.logging.disable()
    source = (ROOT / NATIVE / "src" / "reader.cpp").read_text()
    functions = set(re.findall(r"^PUBLIC .*?\b(reader_\w+)\(", source, re.MULTILINE))
    here = next(tag for tag in platform_tags() if tag in WHEELS)
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        with ThreadPoolExecutor(os.cpu_count()) as several:
            wheels = dict(zip(WHEELS, several.map(lambda s: make(s, folder), WHEELS), strict=True))
        for system, wheel in wheels.items():
            library = zipfile.ZipFile(wheel).read(LIBRARY.as_posix())
            check(system, library, functions)
            size = wheel.stat().st_size
            print(f"{system:22}  wheel {size:9,} bytes  reader {len(library):9,} bytes")
        zipfile.ZipFile(wheels[here]).extractall(folder / "unpacked")
        sample = ROOT / "data_samples" / "2025-sources.json"
        words = [sys.executable, "-c", READS, folder / "unpacked", sample]
        subprocess.run(
            words, check=True, cwd=folder, env=os.environ | {"PYTHONPATH": str(folder / "unpacked")}
        )


def make(system: str, folder: Path) -> Path:
    """Make the wheel of a system."""
    to = folder / system
    done = subprocess.run(
        [sys.executable, "-m", "hatchling", "build", "-t", "wheel", "-d", to],
        check=False,
        cwd=ROOT,
        capture_output=True,
        text=True,
        env={"ZIG_GLOBAL_CACHE_DIR": str(folder / "cache")} | os.environ | {WHEEL: system},
    )
    assert done.returncode == 0, f"{system}: {done.stdout}{done.stderr}"
    (wheel,) = to.glob(f"*-py3-none-{system}.whl")
    return wheel


def check(system: str, library: bytes, functions: set[str]) -> None:
    """Check what a library is for, what it gives, and what it needs."""
    parsed = lief.parse(library)
    assert parsed is not None, f"{system}: no library"
    machine = "ARM64" if system.endswith(("aarch64", "arm64")) else "X86_64"
    assert parsed.abstract.header.architecture.name == machine, f"{system}: not for {machine}"
    given = {function.name.removeprefix("_") for function in parsed.exported_functions}
    assert functions <= given, f"{system}: lacks {functions - given}"
    more = given - functions - {"_mh_dylib_header", "__dso_handle"}
    assert not more, f"{system}: shows {more}"
    if isinstance(parsed, lief.MachO.Binary):
        itself = lief.MachO.LoadCommand.TYPE.ID_DYLIB
        needed = [other.name for other in parsed.libraries if other.command != itself]
        assert parsed.has_code_signature or machine != "ARM64", f"{system}: not signed"
    else:
        needed = list(parsed.libraries)
    strange = [name for name in needed if not NEEDED.fullmatch(name)]
    assert not strange, f"{system}: needs {strange}"
    if isinstance(parsed, lief.ELF.Binary):
        versions = {
            version.name.removeprefix("GLIBC_")
            for library in parsed.symbols_version_requirement
            for version in library.get_auxiliary_symbols()
        }
        late = [name for name in versions if tuple(map(int, name.split("."))) > GLIBC]
        assert not late, f"{system}: needs glibc {late}"


if __name__ == "__main__":
    main()
