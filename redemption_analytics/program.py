"""The program around the command line: how it begins, and how it ends.

A signal (Ctrl-C, ``kill``) ends it without a traceback: at once while libraries are still being
imported, and by an exception once it is at work, so that what it was writing is put away. Where
nobody reads its output any more (``| head``) it ends as other programs do.
"""

from __future__ import annotations

import os
import signal
import sys
from types import FrameType
from typing import Any, NoReturn

#: Signals end a program with the status that shells give it: this and their number.
_ENDED_BY = 128

#: The status where nobody reads the output: that of a program which SIGPIPE ended.
OUTPUT_CLOSED = _ENDED_BY + 13

_UNWRITABLE = 2

_SIGNALS = [
    getattr(signal, name) for name in ("SIGINT", "SIGTERM", "SIGHUP") if hasattr(signal, name)
]


def main() -> NoReturn:
    """Run the command line, and end the process."""
    for number in _SIGNALS:
        # What was ignored when the program was started (nohup, jobs in the background) stays so.
        if signal.getsignal(number) != signal.SIG_IGN:
            signal.signal(number, _end_at_once)
    from redemption_analytics.cli import app

    for stream in (sys.stdout, sys.stderr):
        if hasattr(stream, "reconfigure"):
            stream.reconfigure(errors="backslashreplace")  # what the terminal cannot show
    try:
        app()
        status: Any = 0
    except SystemExit as ended:
        gone = isinstance(ended.__context__, BrokenPipeError)
        status = OUTPUT_CLOSED if gone else ended.code
    except OSError as error:  # of what prints the help
        status = _told(error)
    _change(_end_by_exception, _end_at_once)
    sys.exit(_flushed(status))


def put_away_on_signals() -> None:
    """Have signals end the program by an exception from here on, if it is this program."""
    _change(_end_at_once, _end_by_exception)


def _change(one: Any, other: Any) -> None:
    for number in _SIGNALS:
        if signal.getsignal(number) is one:
            signal.signal(number, other)


def _end_at_once(number: int, _: FrameType | None) -> NoReturn:
    # An exception here might be swallowed by what is being imported, or break it half-way.
    os._exit(_ENDED_BY + number)


def _end_by_exception(number: int, _: FrameType | None) -> NoReturn:
    raise SystemExit(_ENDED_BY + number)


def _told(error: OSError) -> int:
    sys.stderr.write(f"redemption-analytics: {error.strerror or error}\n")
    return _UNWRITABLE


def _flushed(status: Any) -> Any:
    """Write out what is left, and give the status; what cannot be written is not tried again."""
    for stream in filter(None, (sys.__stdout__, sys.__stderr__)):
        try:
            stream.flush()
        except OSError as error:
            status = OUTPUT_CLOSED if isinstance(error, BrokenPipeError) else status or _UNWRITABLE
            os.dup2(os.open(os.devnull, os.O_WRONLY), stream.fileno())
    return status
