"""How a signal (Ctrl-C, ``kill``) ends the program: without a traceback.

At once while libraries are still being imported, and by an exception once it is at work, so that
what it was writing is put away.
"""

from __future__ import annotations

import os
import signal
from types import FrameType
from typing import Any, NoReturn

#: Signals end a program with the status that shells give it: this and their number.
ENDED_BY = 128

_SIGNALS = [
    getattr(signal, name) for name in ("SIGINT", "SIGTERM", "SIGHUP") if hasattr(signal, name)
]


def end_at_once_on_signals() -> None:
    """Make signals end the program at once, without anything being put away."""
    for number in _SIGNALS:
        # What was ignored when the program was started (nohup, jobs in the background) stays so.
        if signal.getsignal(number) != signal.SIG_IGN:
            signal.signal(number, _end_at_once)


def put_away_on_signals() -> None:
    """Make signals end the program by an exception from here on, if it is this program."""
    _change(_end_at_once, _end_by_exception)


def put_away_no_longer() -> None:
    """Make signals end the program at once again, when its work is done."""
    _change(_end_by_exception, _end_at_once)


def _change(one: Any, other: Any) -> None:
    for number in _SIGNALS:
        if signal.getsignal(number) is one:
            signal.signal(number, other)


def _end_at_once(number: int, _: FrameType | None) -> NoReturn:
    # An exception here might be swallowed by what is being imported, or break it half-way.
    os._exit(ENDED_BY + number)


def _end_by_exception(number: int, _: FrameType | None) -> NoReturn:
    raise SystemExit(ENDED_BY + number)
