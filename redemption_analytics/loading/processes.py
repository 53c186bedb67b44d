"""Processes that read and parse for this one, each on a core of its own.

They are plain processes that talk through pipes, and not those of :mod:`multiprocessing`: these
would run the caller's script again, where it has no ``if __name__ == "__main__"``, and outlive a
parent that is killed. The ones here never see that script, end when their pipes do, and find the
key of pseudonyms in their environment.
"""

from __future__ import annotations

import json
import logging
import pickle
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from queue import LifoQueue
from threading import Lock
from typing import Any, cast

from redemption_analytics.errors import RedemptionAnalyticsError
from redemption_analytics.loading.units import (
    Failed,
    Part,
    Setting,
    Task,
    parts_in,
    write,
)
from redemption_analytics.privacy import Pseudonym, fingerprint
from redemption_analytics.sources.accounts import Seen
from redemption_analytics.sources.export import Export

#: What a process runs: modules are found where this one finds them, and not in the directory.
_PROGRAM = (
    "import json, sys; sys.path[:] = json.loads(sys.stdin.buffer.readline());"
    " from redemption_analytics.loading.worker import main; main()"
)
_PIPE_BYTES = 1 << 20
_WITHOUT = "with threads=4, or fewer, none are started"


class Processes:
    """Processes that parse units; they are started when they are needed, and ended in the end.

    Parameters
    ----------
    setting
        What each is told.
    hidden
        What replaces personal data here; theirs has to do the same.
    count
        The most of them.
    scratch
        A directory for what was parsed and is not wanted yet; None where memory holds it.
    """

    def __init__(
        self, setting: Setting, hidden: Pseudonym | None, count: int, scratch: Path | None
    ):
        self._setting = setting
        self._print = hidden and fingerprint(hidden)
        self._scratch = scratch
        self._idle: LifoQueue[_Process | None] = LifoQueue()
        for _ in range(count):
            self._idle.put(None)
        self._lock = Lock()
        self._started: list[_Process] = []
        self._ended = False
        self._units = 0

    def __enter__(self) -> Processes:
        return self

    def __exit__(self, *_: object) -> None:
        self.end()

    def end(self) -> None:
        """End all of them, whatever they do."""
        with self._lock:
            self._ended = True
        for process in self._started:
            process.end()

    def parse(self, exports: list[Export]) -> tuple[Iterator[Part], list[Seen]]:
        """Read and parse a unit: return its parts, and what reading told of each export.

        Raises
        ------
        RedemptionAnalyticsError
            If the process is ended by others, or cannot do it.
        """
        process = self._idle.get()
        try:
            process = process or self._start()
            path = None
            if self._scratch is not None:
                with self._lock:
                    self._units += 1
                    path = self._scratch / f"unit-{self._units}.pickle"
            parts = []
            done = process.answer(Task(exports, path))
            while isinstance(done, Part):
                parts.append(done)
                done = process.next()
        finally:
            self._idle.put(process)
        if isinstance(done, Failed):
            raise _told(done.error)
        for record in done.logged:
            logging.getLogger(record.name).handle(record)
        return iter(parts) if path is None else parts_in(path), done.seen

    def _start(self) -> _Process:
        with self._lock:
            if self._ended:
                raise RedemptionAnalyticsError("the load is over")
            process = _Process()
            self._started.append(process)
        if process.answer(self._setting) != self._print:
            raise RedemptionAnalyticsError(
                "the key of the pseudonyms in the environment was changed during the load"
            )
        return process


class _Process:
    """A process, and the pipes to it."""

    def __init__(self) -> None:
        # Its own group: Ctrl-C is for the one that started it.
        own: dict[str, Any] = {"process_group": 0}
        if sys.platform == "win32":
            own = {
                "creationflags": subprocess.CREATE_NO_WINDOW | subprocess.CREATE_NEW_PROCESS_GROUP
            }
        self._process = subprocess.Popen(
            [sys.executable, "-I", "-X", f"utf8={sys.flags.utf8_mode}", "-c", _PROGRAM],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            pipesize=_PIPE_BYTES,
            **own,
        )
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        self._tasks, self._answers = self._process.stdin, self._process.stdout
        with suppress(OSError):  # asking for an answer will tell
            self._tasks.write(json.dumps(list(map(str, sys.path))).encode() + b"\n")

    def answer(self, message: object) -> Any:
        """Send a message, and wait for the first answer."""
        with suppress(OSError, ValueError):  # waiting for an answer will tell
            write(message, cast(Any, self._tasks))
            self._tasks.flush()
        return self.next()

    def next(self) -> Any:
        """Wait for the next answer."""
        try:
            return pickle.load(self._answers)
        except (EOFError, OSError, ValueError, pickle.UnpicklingError):  # of a pipe that is closed
            raise RedemptionAnalyticsError(
                f"a process that parsed exports {_ended(self._process.wait())}: {_WITHOUT}"
            ) from None

    def end(self) -> None:
        """End it, and close its pipes."""
        self._process.kill()
        self._process.wait()
        for pipe in (self._tasks, self._answers):
            with suppress(OSError):  # what was not sent is not sent any more
                pipe.close()


def _ended(status: int) -> str:
    if status >= 0:
        return f"ended with status {status}"
    memory = ", as the system does where memory runs out" if status == -9 else ""
    return f"was ended by signal {-status} ({signal.strsignal(-status)}){memory}"


def _told(error: Exception) -> Exception:
    """Return an error of a process as one of this library's, or of the system's."""
    if isinstance(error, MemoryError):
        return RedemptionAnalyticsError(
            f"a process that parsed exports ran out of memory: {_WITHOUT}"
        )
    return error
