"""The options of loading as flags of the command line, and messages that speak of flags."""

from __future__ import annotations

import inspect
import re
from collections.abc import Callable
from functools import wraps
from typing import Annotated, Any

import typer
from typer.core import TyperCommand

from redemption_analytics.errors import UsageError
from redemption_analytics.options import DECLARED, LoadOptions

#: How each option of loading is given on the command line.
_FLAGS: dict[str, Any] = {
    "points": typer.Option(help="Whole points, or points with up to three decimal places."),
    "pii": typer.Option(
        help="Keep personal data; replace customers by hashes under the key in the"
        " environment variable REDEMPTION_ANALYTICS_PII_KEY and drop the rest; or drop it"
        " all. Files are called by hashes too."
    ),
    "keep_custom_fields": typer.Option(
        "--keep-custom-field",
        metavar="NAME",
        help="Custom field whose values stay under any --pii; may be repeated.",
        show_default=False,
    ),
    "customer_key": typer.Option(
        help="Identity that names a customer.  [default: the first present of user_id,"
        " external_id, mobile, email]",
        show_default=False,
    ),
    "timezone": typer.Option(
        metavar="ZONE",
        help="Time zone of the organisation, as Europe/Paris; needed only where times carry"
        " a UTC offset.",
        show_default=False,
    ),
    "exported_at": typer.Option(
        metavar="TIME",
        help="When the exports were made: 2026-11-20, or 2026-11-20T03:00.  [default: the"
        " date in each path, else the file's time]",
        show_default=False,
    ),
    "on_error": typer.Option(
        "--fail-fast", help="Stop at the first element that does not fit the contract."
    ),
    "threads": typer.Option(
        min=1,
        help="Blocks or files to parse at once: by threads, and past 4 by processes where there"
        " are many files.  [default: as many as there are cores, up to 8]",
        show_default=False,
    ),
    "max_record_bytes": typer.Option(
        "--max-record-bytes",
        min=1,
        metavar="BYTES",
        help="Refuse records of more bytes unread.  [default: 64 MiB]",
        show_default=False,
    ),
    "allow_empty": typer.Option(
        "--allow-empty",
        help="Go on where nothing that was read can be used: no answers, failed ones only,"
        " or rejects only.  [default: that is an error, with exit status 2]",
    ),
    "progress": typer.Option(
        "--progress/--no-progress",
        help="Show a progress bar.  [default: on a terminal]",
        show_default=False,
    ),
}

#: Types and defaults of the options that have others on the command line.
_OTHERS: dict[str, tuple[Any, Any]] = {
    "exported_at": (str | None, None),
    "keep_custom_fields": (list[str], []),
    "on_error": (bool, False),
}

#: What flags are called, where that is not the option's name.
_NAMES = {"on_error": "--fail-fast", "keep_custom_fields": "--keep-custom-field"}

#: Options that mean something for what is opened, and not loaded, too.
_OF_OPENED = ("allow_empty", "progress")

#: Arguments of the library that flags give: those of loading, and others of commands.
_GIVEN = {*_FLAGS, "overwrite", "page", "period", "as_of"}

#: How messages of the library write an argument.
_WRITTEN = re.compile(rf'\b({"|".join(sorted(_GIVEN))})=(True\b|"[^"]*"|\d+)')


def loading(command: Callable[..., None]) -> Callable[..., None]:
    """Add the flags of loading to a command, which gets those given as its argument ``options``.

    Those that mean something for what is opened are always there.
    """
    own = inspect.signature(command, eval_str=True).parameters.values()
    declared = DECLARED | _OTHERS
    flags = [
        inspect.Parameter(
            name,
            inspect.Parameter.KEYWORD_ONLY,
            default=declared[name][1],
            annotation=Annotated[declared[name][0], flag],
        )
        for name, flag in _FLAGS.items()
    ]

    @wraps(command)
    def run(ctx: typer.Context, **given: Any) -> None:
        values = {name: given.pop(name) for name in _FLAGS}
        named = {name for name in _FLAGS if _is_given(ctx, name)}
        options = _options(values)
        command(**given, options={n: v for n, v in options.items() if n in {*named, *_OF_OPENED}})

    context = inspect.Parameter(
        "ctx", inspect.Parameter.POSITIONAL_OR_KEYWORD, annotation=typer.Context
    )
    run.__signature__ = inspect.Signature(  # type: ignore[attr-defined]
        [context, *(parameter for parameter in own if parameter.name != "options"), *flags]
    )
    return run


def _is_given(ctx: typer.Context, name: str) -> bool:
    """Check whether a flag was given, be it as its default."""
    source = ctx.get_parameter_source(name)
    return source is not None and source.name == "COMMANDLINE"


def _options(values: dict[str, Any]) -> LoadOptions:
    """Return what flags say as the library's options."""
    return {
        **values,  # type: ignore[typeddict-item]
        "on_error": "raise" if values["on_error"] else "quarantine",
        "keep_custom_fields": tuple(values["keep_custom_fields"]),
    }


def given(options: LoadOptions) -> list[str]:
    """Name the flags that were given of options of loading alone."""
    return [_flag(name) for name in options if name not in _OF_OPENED]


def _flag(name: str) -> str:
    return _NAMES.get(name, f"--{name.replace('_', '-')}")


def in_flags(text: str) -> str:
    """Return a text with flags in place of the arguments that it names as Python writes them.

    >>> in_flags('load with points="decimal" to keep it; allow_empty=True goes on without')
    'load with --points decimal to keep it; --allow-empty goes on without'
    """
    return _WRITTEN.sub(_as_flag, text)


def _as_flag(written: re.Match[str]) -> str:
    name, value = written.groups()
    stands_alone = value == "True" or name == "on_error"
    return _flag(name) if stands_alone else " ".join((_flag(name), value.strip('"')))


def message(error: Exception) -> str:
    """Return what an error of the library says, in flags.

    >>> from redemption_analytics.errors import refused
    >>> message(refused("max_record_bytes", "1 or more", 0))
    '--max-record-bytes is 1 or more, not 0'
    """
    text = str(error)
    if isinstance(error, UsageError) and error.argument in _GIVEN:
        function = f"{error.function}: " if error.function else ""
        text = text.removeprefix(function)
        text = f"{_flag(error.argument)}{text.removeprefix(error.argument)}"
    return in_flags(text)


class Command(TyperCommand):
    """A command whose help is as it is shown, and that says what is wrong with its arguments."""

    def get_help(self, ctx: Any) -> str:
        """Return the help; older versions of Typer write brackets as for Rich, also without it."""
        return super().get_help(ctx).replace(r"\[", "[")

    def parse_args(self, ctx: Any, args: list[str]) -> list[str]:
        """Parse arguments; of one alone the command lacks where to write, not what to read."""
        given = list(args)
        try:
            return super().parse_args(ctx, args)
        except typer.BadParameter as error:
            error.message = error.message.removeprefix("Value error, ")  # Pydantic's
            if error.param is not None and error.param.name == "source":
                found = self.make_parser(ctx).parse_args(args=given)[0]
                # What was not given is None, or a mark of Click's that passes for true.
                if isinstance(found.get("directory"), str):
                    error.param = next(one for one in self.params if one.name == "directory")  # type: ignore[assignment]
            raise
