"""The options of loading as flags of the command line, for every command that loads."""

from __future__ import annotations

import enum
import inspect
from collections.abc import Callable
from functools import wraps
from typing import Annotated, Any

import typer

from redemption_analytics.options import DEFAULTS, LoadOptions


class Points(enum.StrEnum):
    """How points are written."""

    INT = "int"
    DECIMAL = "decimal"


class Personal(enum.StrEnum):
    """What happens to personal data."""

    KEEP = "keep"
    PSEUDONYMIZE = "pseudonymize"
    DROP = "drop"


class Identity(enum.StrEnum):
    """What names a customer."""

    USER_ID = "user_id"
    EXTERNAL_ID = "external_id"
    MOBILE = "mobile"
    EMAIL = "email"


#: The flag of each option of loading: its type and help, and its default on the command line.
_FLAGS: dict[str, tuple[Any, Any]] = {
    "points": (
        Annotated[
            Points, typer.Option(help="Whole points, or points with up to three decimal places.")
        ],
        Points.INT,
    ),
    "pii": (
        Annotated[
            Personal,
            typer.Option(
                help="Keep personal data; replace customers by hashes under the key in the"
                " environment variable REDEMPTION_ANALYTICS_PII_KEY and drop the rest; or drop it"
                " all. Files are called by hashes too."
            ),
        ],
        Personal.KEEP,
    ),
    "keep_custom_fields": (
        Annotated[
            list[str],
            typer.Option(
                "--keep-custom-field",
                metavar="NAME",
                help="Custom field whose values stay under any --pii; may be repeated.",
                show_default=False,
            ),
        ],
        [],
    ),
    "customer_key": (
        Annotated[
            Identity | None,
            typer.Option(
                help="Identity that names a customer.  [default: the first present of user_id,"
                " external_id, mobile, email]",
                show_default=False,
            ),
        ],
        None,
    ),
    "timezone": (
        Annotated[
            str | None,
            typer.Option(
                metavar="ZONE",
                help="Time zone of the organisation, as Europe/Paris; needed only where times carry"
                " a UTC offset.",
                show_default=False,
            ),
        ],
        None,
    ),
    "exported_at": (
        Annotated[
            str | None,
            typer.Option(
                metavar="TIME",
                help="When the exports were made: 2026-11-20, or 2026-11-20T03:00.  [default: the"
                " date in each path, else the file's time]",
                show_default=False,
            ),
        ],
        None,
    ),
    "on_error": (
        Annotated[
            bool,
            typer.Option(
                "--fail-fast", help="Stop at the first element that does not fit the contract."
            ),
        ],
        False,
    ),
    "threads": (
        Annotated[
            int | None,
            typer.Option(
                min=1,
                help="Blocks to parse at once.  [default: as many as there are cores, up to 4]",
                show_default=False,
            ),
        ],
        None,
    ),
    "max_record_bytes": (
        Annotated[
            int,
            typer.Option(
                "--max-record-bytes",
                min=1,
                metavar="BYTES",
                help="Refuse records of more bytes unread.  [default: 64 MiB]",
                show_default=False,
            ),
        ],
        DEFAULTS["max_record_bytes"],
    ),
    "allow_empty": (
        Annotated[
            bool,
            typer.Option(
                "--allow-empty",
                help="Go on where nothing that was read can be used: no answers, failed ones only,"
                " or rejects only.  [default: that is an error, with exit status 2]",
            ),
        ],
        False,
    ),
    "progress": (
        Annotated[
            bool | None,
            typer.Option(
                "--progress/--no-progress",
                help="Show a progress bar.  [default: on a terminal]",
                show_default=False,
            ),
        ],
        None,
    ),
}

#: What flags are called, where that is not the option's name.
_NAMES = {"on_error": "--fail-fast", "keep_custom_fields": "--keep-custom-field"}


def loading(command: Callable[..., None]) -> Callable[..., None]:
    """Give a command the flags of loading, which it takes together as its argument ``options``."""
    own = inspect.signature(command, eval_str=True).parameters.values()
    flags = [
        inspect.Parameter(name, inspect.Parameter.KEYWORD_ONLY, default=default, annotation=kind)
        for name, (kind, default) in _FLAGS.items()
    ]

    @wraps(command)
    def run(**given: Any) -> None:
        values = {name: given.pop(name) for name in _FLAGS}
        command(**given, options=_options(values))

    run.__signature__ = inspect.Signature(  # type: ignore[attr-defined]
        [*(parameter for parameter in own if parameter.name != "options"), *flags]
    )
    return run


def _options(values: dict[str, Any]) -> LoadOptions:
    """Read flags as the library's options."""
    key = values["customer_key"]
    return {
        **values,  # type: ignore[typeddict-item]
        "points": values["points"].value,
        "pii": values["pii"].value,
        "customer_key": key and key.value,
        "on_error": "raise" if values["on_error"] else "quarantine",
        "keep_custom_fields": tuple(values["keep_custom_fields"]),
    }


def given(options: LoadOptions) -> list[str]:
    """Name the flags of the options that are not their defaults."""
    return [
        _NAMES.get(name, f"--{name.replace('_', '-')}")
        for name, value in options.items()
        if name != "allow_empty" and value != DEFAULTS[name]  # type: ignore[literal-required]
    ]
