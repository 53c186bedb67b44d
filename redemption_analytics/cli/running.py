"""How a command runs: what all of them take, how errors end it, and what is logged meanwhile."""

from __future__ import annotations

import importlib
import inspect
import logging
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import wraps
from typing import Annotated, Any

import typer

import redemption_analytics as ra
from redemption_analytics.cli.output import Output, printed
from redemption_analytics.flags import message
from redemption_analytics.signals import put_away_on_signals
from redemption_analytics.visible import visible

#: Exit statuses.
DONE, NOT_AS_WANTED, UNUSABLE = 0, 1, 2

_EVERY: dict[str, Any] = {
    "quiet": typer.Option(
        "--quiet", "-q", help="Print nothing but what is wrong, and show no progress bar."
    ),
    "verbose": typer.Option(
        "--verbose", "-v", help="Log each stage on standard error, in place of a progress bar."
    ),
}
_JSON = typer.Option("--json", help="Print one JSON object on standard output, and no text.")


def command(*, can_json: bool = False) -> Callable[[Callable[..., None]], Callable[..., None]]:
    """Make a function a command, which gets its argument ``output`` from the flags of all commands.

    Parameters
    ----------
    can_json
        Whether it can print JSON, too.
    """
    flags = _EVERY | ({"as_json": _JSON} if can_json else {})

    def decorated(function: Callable[..., None]) -> Callable[..., None]:
        own = inspect.signature(function, eval_str=True).parameters.values()

        @wraps(function)
        def run(**given: Any) -> None:
            importlib.import_module("redemption_analytics.terminal")  # and pandas with it
            put_away_on_signals()
            said = {name: given.pop(name) for name in flags}
            if (said["quiet"] or said["verbose"]) and given.get("progress", False) is None:
                given["progress"] = False
            with _logged(said["verbose"]), _errors_told():
                function(**given, output=Output(said["quiet"], said.get("as_json", False)))

        run.__signature__ = inspect.Signature(  # type: ignore[attr-defined]
            [*(one for one in own if one.name != "output"), *map(_parameter, flags, flags.values())]
        )
        return run

    return decorated


def _parameter(name: str, flag: Any) -> inspect.Parameter:
    kind, annotation = inspect.Parameter.KEYWORD_ONLY, Annotated[bool, flag]
    return inspect.Parameter(name, kind, default=False, annotation=annotation)


@contextmanager
def _errors_told() -> Iterator[None]:
    """End the program where what it was to do cannot be done, and say why."""
    try:
        yield
    except ra.RedemptionAnalyticsError as error:
        printed(f"redemption-analytics: {message(error)}", err=True)
        raise typer.Exit(UNUSABLE) from None
    except BrokenPipeError:
        raise  # Nobody reads what is printed: the program knows how to end then.
    except OSError as error:
        named = f"{error.filename}: " if error.filename else ""
        printed(f"redemption-analytics: {named}{error.strerror or error}", err=True)
        raise typer.Exit(UNUSABLE) from None


@contextmanager
def _logged(verbose: bool) -> Iterator[None]:
    """Show on standard error what the library logs, if that is wanted."""
    if not verbose:
        yield
        return
    logger = logging.getLogger("redemption_analytics")
    before = logger.level
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(_Visible("%(asctime)s %(message)s"))
    logger.addHandler(handler)
    logger.setLevel(logging.INFO)
    try:
        yield
    finally:
        logger.setLevel(before)
        logger.removeHandler(handler)


class _Visible(logging.Formatter):
    """Writes records so that no name in them steers the terminal."""

    def format(self, record: logging.LogRecord) -> str:
        """Write a record."""
        return visible(super().format(record))
