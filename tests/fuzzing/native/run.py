"""Fuzz the native reader with libFuzzer, under the sanitizers of addresses and undefined behaviour.

Runs from the project's directory, and needs clang::

    python tests/fuzzing/native/run.py --seconds 120

An input that breaks something is left in the folder that ``--save`` names. With its bug gone, it
goes to ``tests/fuzzing/native/corpus``, where each run begins. What is not known here is for
libFuzzer, as in ``-fork=1 -ignore_crashes=1`` to go on after a find.
"""

from __future__ import annotations

import argparse
import hashlib
import itertools
import os
import re
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterable, Iterator
from pathlib import Path

HERE = Path(__file__).parent
TESTS = HERE.parents[1]
ROOT = TESTS.parent
SOURCES = ROOT / "redemption_analytics" / "parsing" / "src"
CORPUS = HERE / "corpus"
LACKS = "needs clang with its sanitizers: apt-get install clang libclang-rt-dev"

#: How records lie, as the reader is told: XML, or JSON in lines or not, by what a record begins
#: with, or as an array.
XML, JSON = (1,), (0, 2, 6, 8, 10, 32, 34)
#: What may be in a record that is else as all are, and has to be left to the tape.
ODDITIES = (
    b'{"response": {"customer": [{"mobile": "1", "mobile": "2"}]}}',
    b'{"response": {"customer": [{"rows": 1, "other": [0, {"response": {}}]}]}}',
    b'{"response": {"customer": [{"mobile": "1"}, {"response": 0, "rows": 1}]}}',
    b'{"response": {"customer": [{"mobile": "1", "rows": 01}]}}',
    b'{"response": {"customer": [{"mobile": "1", "firstname": "\xff"}]}}',
    b'{"response": {"customer": [{"mobile": "1", "redemptions": {"points": {"point":'
    b' [{}, {"id": 2, "points_redeemed": 1, "redeemed_time": "2020-01-01"}]}}}]}}',
)

#: A declaration is fuzzed, not what is read by it.
DECLARED = 255

_FLAGS = ["-std=c++20", "-O1", "-g", "-fno-omit-frame-pointer", "-fno-exceptions", "-fno-rtti"]
_SANITIZERS = ["-fsanitize=fuzzer,address,undefined", "-fno-sanitize-recover=all"]


def clang() -> str | None:
    """Return the command of a clang that has its sanitizers, or None."""
    found = shutil.which("clang++")
    if found is None:
        return None
    with tempfile.TemporaryDirectory() as name:
        trial = Path(name, "trial.cpp")
        trial.write_text('extern "C" int LLVMFuzzerTestOneInput(const char *, long) { return 0; }')
        command = [found, *_SANITIZERS, "-o", trial.with_suffix(".out"), trial]
        done = subprocess.run(command, capture_output=True, check=False)
    return found if done.returncode == 0 else None


def build(to: Path, sources: Path = SOURCES, *flags: str) -> None:
    """Compile the target; what clang says of it is an error."""
    command = [clang() or "clang++", *_FLAGS, *_SANITIZERS, *flags, f"-I{sources}", "-o", to]
    done = subprocess.run(
        [*command, HERE / "target.cpp"], capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr


def declarations() -> list[bytes]:
    """Return the contract as the reader takes it: with and without decimal points, and offsets."""
    from redemption_analytics.parsing.declaration import declaration

    return [
        declaration().encoded(points, offsets=offsets)
        for offsets in (False, True)
        for points in ("int", "decimal")
    ]


def seeds() -> Iterator[bytes]:
    """Give inputs to begin with: samples and answers in each form, with much memory and little."""
    rest = itertools.cycle(
        (memory, cut + number)
        for memory in (0, 0, 205, 0, 240)
        for cut in (0, 128)
        for number in range(len(declarations()))
    )
    for text in _texts():
        for form in XML if text.lstrip()[:1] == b"<" else JSON:
            yield bytes([form, 0, 0]) + text
            yield bytes([form, *next(rest)]) + text
    for declared in declarations():
        yield bytes([DECLARED, 0, 0]) + declared


def _texts() -> list[bytes]:
    from hypothesis import HealthCheck, Phase, given, settings
    from hypothesis import strategies as st

    from fuzzing.answers import RECORDS
    from fuzzing.mutations import samples
    from fuzzing.packing import FORMS as TEXTS

    # What is near the end is never read directly.
    found = [text for one in (*ODDITIES, *samples()) for text in (one, one + b" " * 64)]

    @settings(
        max_examples=150,
        deadline=None,
        database=None,
        phases=[Phase.generate],
        suppress_health_check=list(HealthCheck),
    )
    @given(st.lists(RECORDS, min_size=1, max_size=3), st.sampled_from(list(TEXTS)))
    def draw(records: list[object], form: str) -> None:
        found.append(TEXTS[form](records).encode(errors="surrogatepass") + b"\n" * 64)

    draw()
    return found


def words() -> list[bytes]:
    """Return what is put in by fuzzing: the contract's names, and marks of the formats."""
    from fuzzing.mutations import TOKENS
    from redemption_analytics.parsing.declaration import declaration

    names = {name.encode() for place in declaration().places for name, *_ in place.fields}
    written = [form % name for name in sorted(names) for form in (b'"%s":', b"<%s>", b"</%s>")]
    return [*written, *(token for token in TOKENS if len(token) < 64)]


def prepare(folder: Path, texts: Iterable[bytes]) -> None:
    """Write what a run begins with into a folder."""
    for name in ("seeds", "declarations"):
        (folder / name).mkdir()
    for text in texts:
        (folder / "seeds" / hashlib.sha1(text).hexdigest()).write_bytes(text)
    for number, text in enumerate(declarations()):
        (folder / "declarations" / str(number)).write_bytes(text)
    lines = ('"' + "".join(f"\\x{byte:02x}" for byte in word) + '"' for word in words())
    (folder / "words").write_text("\n".join(lines) + "\n")


def run(seconds: int, save: Path, kept: Path | None = None, more: Iterable[str] = ()) -> int:
    """Fuzz for some seconds; return how many inputs were tried.

    Raises
    ------
    AssertionError
        If an input broke something: what libFuzzer said of it.
    """
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        build(folder / "target")
        prepare(folder, seeds())
        new = kept or folder / "new"
        for needed in (new, save, CORPUS):
            needed.mkdir(parents=True, exist_ok=True)
        done = subprocess.run(
            [
                folder / "target",
                f"-max_total_time={seconds}",
                f"-dict={folder / 'words'}",
                f"-artifact_prefix={save}{os.sep}",
                *("-max_len=20000", "-timeout=20", "-rss_limit_mb=2500"),
                *("-print_final_stats=1", "-use_value_profile=1"),
                *more,
                *(new, CORPUS, folder / "seeds"),
            ],
            env=os.environ
            | {
                "READER_DECLARATIONS": str(folder / "declarations"),
                "ASAN_OPTIONS": "allocator_may_return_null=1",
                "UBSAN_OPTIONS": "print_stacktrace=1",
            },
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            check=False,
        )
    said = done.stdout.decode(errors="replace")
    if done.returncode:
        raise AssertionError(said[-6000:])
    return int((re.findall(r"number_of_executed_units: (\d+)", said) or ["0"])[-1])


def main() -> int:
    parser = argparse.ArgumentParser(description="Fuzz the native reader with libFuzzer.")
    parser.add_argument("--seconds", type=int, default=60, help="how long, about")
    parser.add_argument("--save", type=Path, default=Path("fuzzing-found"), help="folder of finds")
    parser.add_argument("--kept", type=Path, help="folder of inputs that are kept between runs")
    given, more = parser.parse_known_args()
    if clang() is None:
        parser.error(LACKS)
    try:
        count = run(given.seconds, given.save, given.kept, more)
    except AssertionError as error:
        print(error)
        print(f"found: see {given.save}")
        return 1
    print(f"the native reader under sanitizers: {count} inputs, nothing found")
    return 0


if __name__ == "__main__":
    sys.path[:0] = [str(TESTS), str(ROOT)]
    sys.exit(main())
