"""Mutating bytes, guided by what the library's code makes of them: libFuzzer, by atheris."""

from __future__ import annotations

import sys
import tempfile
from pathlib import Path

import atheris

from fuzzing.mutations import TOKENS, samples

# Only what is imported here is instrumented, and so guides.
with atheris.instrument_imports(include=["redemption_analytics"]):
    from fuzzing.invariants import FINE, Case, check_roads


def guided(seconds: int, seed: int, save: Path) -> None:
    """Fuzz for some time; it ends the process."""
    save.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(prefix="fuzzing-") as folder:
        corpus, words = Path(folder) / "corpus", Path(folder) / "words"
        corpus.mkdir()
        for number, data in enumerate(samples()):
            (corpus / str(number)).write_bytes(data)
        escaped = ["".join(f"\\x{byte:02x}" for byte in token) for token in TOKENS]
        words.write_text("".join(f'"{token}"\n' for token in escaped))
        options = {
            "max_total_time": seconds,
            "seed": seed,
            "dict": words,
            "max_len": 6000,
            "artifact_prefix": f"{save}/",
        }
        arguments = [f"-{name}={value}" for name, value in options.items()]
        atheris.Setup([sys.argv[0], *arguments, str(corpus)], _fuzz)
        atheris.Fuzz()


def _fuzz(data: bytes) -> None:
    check_roads(Case((data,), fine=FINE[len(data) % len(FINE)]))
