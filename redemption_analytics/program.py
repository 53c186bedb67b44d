"""The program around the command line: how it begins, and how it ends.

Where nobody reads its output any more (``| head``) it ends as other programs do.
"""

from __future__ import annotations

import atexit
import os
import sys
from typing import Any, NoReturn

from redemption_analytics.signals import ENDED_BY, end_at_once_on_signals, put_away_no_longer

#: The status where nobody reads the output: that of a program which SIGPIPE ended.
OUTPUT_CLOSED = ENDED_BY + 13

_UNWRITABLE = 2


def main() -> NoReturn:
    """Run the command line, and end the process."""
    end_at_once_on_signals()
    # Where Jupyter is installed too, jsonschema builds a grammar of IRIs as Altair is imported: in
    # seconds, and no chart asks about IRIs. It does without what cannot be imported.
    sys.modules["rfc3987_syntax"] = None  # type: ignore[assignment]
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
    put_away_no_longer()
    _leave(status)


def _leave(status: Any) -> NoReturn:
    """End the process without taking down what libraries hold.

    Once in some two hundred times a thread of theirs was still there then, and aborted it.
    """
    atexit._run_exitfuncs()
    status = _flushed(status)
    os._exit(status if isinstance(status, int) else int(status is not None))


def _told(error: OSError) -> int:
    sys.stderr.write(f"redemption-analytics: {error.strerror or error}\n")
    return _UNWRITABLE


def _flushed(status: Any) -> Any:
    """Write out what is left, and give the status; what cannot be written is not tried again."""
    for stream in filter(None, (sys.__stdout__, sys.__stderr__)):
        try:
            stream.flush()
        except OSError as error:
            if isinstance(error, BrokenPipeError):
                status = OUTPUT_CLOSED
            elif not status:
                status = _told(error) if stream is sys.__stdout__ else _UNWRITABLE
            os.dup2(os.open(os.devnull, os.O_WRONLY), stream.fileno())
    return status
