"""Writing in processes that die before each of their file operations in turn, in a process itself.

Arguments: a directory, and how directories change places. Prints at how many steps a run died, as
JSON: in how many of them something torn was left, and after how many the next run left litter.
"""

from __future__ import annotations

import json
import os
import signal
import sys
from contextlib import suppress
from itertools import count
from pathlib import Path
from typing import Any
from unittest import mock

from redemption_analytics import atomic_directory

_OPERATIONS = {"open", "shutil.rmtree"} | {
    f"os.{name}"
    for name in ("mkdir", "rename", "remove", "rmdir", "chmod", "truncate", "listdir", "scandir")
}
_FILES = ("a", "b")


def write(target: Path, text: str | None) -> None:
    with atomic_directory.written_beside(target, lambda _: None) as fresh:
        for name in _FILES:
            (fresh / name).write_text(str(text))
        if text is None:
            raise KeyError


def held(target: Path) -> dict[str, str]:
    return {path.name: path.read_text() for path in target.iterdir()} if target.exists() else {}


def whole(text: str) -> dict[str, str]:
    return dict.fromkeys(_FILES, text)


def dies(target: Path, step: int) -> bool:
    """Write in a process that dies before an operation; tell whether it came to that."""
    process = os.fork()
    if process:
        return os.waitpid(process, 0)[1] == signal.SIGKILL
    done = 0

    def hook(event: str, _: tuple[Any, ...]) -> None:
        nonlocal done
        if event in _OPERATIONS:
            done += 1
            if done == step:
                os.kill(os.getpid(), signal.SIGKILL)

    sys.addaudithook(hook)
    write(target, "new")
    os._exit(0)


def main(directory: str, exchange: str) -> None:
    target = Path(directory) / "target"
    found = {"died": 0, "torn": 0, "litter": 0}
    at_once = exchange == "at once"
    with mock.patch.object(
        atomic_directory, "_exchanged", atomic_directory._exchanged if at_once else lambda *_: 0
    ):
        for before in ({}, whole("old")):
            for step in count(1):
                if before:
                    write(target, "old")
                if not dies(target, step):
                    break
                found["died"] += 1
                if not at_once:
                    # Between its two steps nothing is there; the next run puts the old one back,
                    # even if it fails.
                    with suppress(KeyError):
                        write(target, None)
                found["torn"] += held(target) not in (before, whole("new"))
                write(target, "next")
                found["litter"] += [path.name for path in target.parent.iterdir()] != ["target"]
                for name in _FILES:
                    (target / name).unlink()
                target.rmdir()
            write(target, "old")
            for name in _FILES:
                (target / name).unlink()
            target.rmdir()
    print(json.dumps(found))  # noqa: T201


if __name__ == "__main__":
    main(*sys.argv[1:])
