"""The process that reads and parses units for another, which started it and owns its pipes.

It ends when that one closes them, or is itself ended, in whatever way.
"""

from __future__ import annotations

import logging
import os
import pickle
import sys
from collections.abc import Iterator
from logging.handlers import QueueHandler
from queue import SimpleQueue
from typing import BinaryIO

from redemption_analytics.errors import RedemptionAnalyticsError
from redemption_analytics.loading.parser import Parser
from redemption_analytics.loading.units import (
    LOGGER,
    Done,
    Failed,
    Part,
    Setting,
    Task,
    parts_of,
    write,
)
from redemption_analytics.privacy import fingerprint, pseudonym
from redemption_analytics.sources.accounts import Account


def main() -> None:
    """Answer what comes by standard input, until it ends."""
    tasks, answers = sys.stdin.buffer, _pipe()
    try:
        setting: Setting = pickle.load(tasks)
        logged = _logged(setting.level)
        hidden = pseudonym(setting.options.pii)
        parser = Parser.of(setting.options, hidden)
        _answer(answers, hidden and fingerprint(hidden))
        while True:
            task: Task = pickle.load(tasks)
            for message in _answers_to(task, parser, setting.options.limit, logged):
                _answer(answers, message)
    except (EOFError, OSError):
        pass  # Nobody asks any more.
    # Libraries need not be taken down: that takes as long as some units.
    os._exit(0)


def _pipe() -> BinaryIO:
    """Take standard output for answers: what is printed meanwhile goes to standard error."""
    answers = os.fdopen(os.dup(sys.stdout.fileno()), "wb")
    os.dup2(sys.stderr.fileno(), sys.stdout.fileno())
    return answers


def _answer(answers: BinaryIO, message: object) -> None:
    write(message, answers)
    answers.flush()


def _logged(level: int) -> SimpleQueue[logging.LogRecord]:
    """Keep what is logged, for who asked."""
    records: SimpleQueue[logging.LogRecord] = SimpleQueue()
    logger = logging.getLogger(LOGGER)
    logger.setLevel(level)
    logger.addHandler(QueueHandler(records))
    logger.propagate = False
    return records


def _answers_to(
    task: Task, parser: Parser, limit: int, logged: SimpleQueue[logging.LogRecord]
) -> Iterator[Part | Done | Failed]:
    """Do a task: yield its parts, where they do not go to a file, and how it ended."""
    accounts = [Account(export) for export in task.exports]
    try:
        found = parts_of(accounts, parser, limit)
        if task.path is None:
            yield from found
        else:
            with task.path.open("wb") as file:
                for part in found:
                    write(part, file)
                write(None, file)
        seen = [account.seen() for account in accounts]
    except Exception as error:
        yield Failed(_sendable(error))
    else:
        yield Done(seen, [logged.get() for _ in range(logged.qsize())])


def _sendable(error: Exception) -> Exception:
    """Return an error as it is, or what it says where it cannot be sent."""
    try:
        pickle.loads(pickle.dumps(error))
    except Exception:
        return RedemptionAnalyticsError(
            f"a process that parsed exports failed: {type(error).__name__}: {error}"
        )
    return error
