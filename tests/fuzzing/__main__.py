"""Fuzz at length: ``PYTHONPATH=tests python -m fuzzing --help``."""

from __future__ import annotations

import argparse
import faulthandler
import random
import sys
import warnings
from pathlib import Path


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m fuzzing", description="Fuzz at length.")
    parser.add_argument("--seconds", type=int, default=60, help="how long, about")
    parser.add_argument("--seed", type=int, help="where to begin; at random otherwise")
    parser.add_argument("--save", type=Path, default=Path("fuzzing-found"), help="folder of finds")
    parser.add_argument("--target", action="append", help="what to draw; all in turns otherwise")
    parser.add_argument(
        "--guided",
        action="store_true",
        help="mutate the samples' bytes, guided by the library's coverage (needs atheris)",
    )
    given = parser.parse_args()
    faulthandler.enable()
    warnings.simplefilter("error")
    seed = random.randrange(2**31) if given.seed is None else given.seed
    if given.guided:
        try:
            from fuzzing.guided import guided
        except ImportError:
            parser.error("--guided needs atheris: pip install atheris")
        guided(given.seconds, seed, given.save)
        return 0
    from fuzzing.drawing import drawn
    from fuzzing.targets import TARGETS

    return drawn(given.seconds, seed, given.save, given.target or list(TARGETS))


if __name__ == "__main__":
    sys.exit(main())
