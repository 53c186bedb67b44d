"""The options that a warehouse is made with, and keeps: they decide what its tables say."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import pyarrow as pa

from redemption_analytics.errors import UsageError
from redemption_analytics.loading.option_checks import checked
from redemption_analytics.options import DEFAULTS, LoadOptions
from redemption_analytics.privacy import KEY_VARIABLE, pseudonym

#: The options that do not change from one ingest to the next.
FIXED = ("points", "pii", "keep_custom_fields", "customer_key", "timezone")

#: The option under which the log keeps what tells one key of pseudonyms from another.
_KEY = "pii_key"


def kept_options(
    given: LoadOptions, kept: Mapping[str, Any] | None
) -> tuple[LoadOptions, dict[str, Any]]:
    """Return the options of an ingest, and those that the log keeps.

    Parameters
    ----------
    given
        What was given to the ingest.
    kept
        What the log keeps; None where the warehouse is made now.

    Raises
    ------
    UsageError
        If an option is another than the warehouse was made with, or of no use with one.
    """
    defaults: Mapping[str, Any] = {**DEFAULTS}
    fixed: dict[str, Any] = {name: given.get(name, defaults[name]) for name in FIXED}
    fixed["keep_custom_fields"] = sorted({*checked(given).keep_custom_fields})
    if kept is not None:
        for name in FIXED:
            if given.get(name) is not None and fixed[name] != kept[name]:
                raise UsageError(
                    f"{name} is {kept[name]!r} in this warehouse, for that is how it was made:"
                    f" leave it out, or ingest into a new warehouse with {name}={fixed[name]!r}"
                )
        fixed = {name: kept[name] for name in FIXED}
    if fixed["pii"] == "drop":
        raise UsageError(
            'pii="drop" throws its key away, so that the next ingest would know no customer again:'
            ' use pii="pseudonymize", with a key that you keep'
        )
    whole: LoadOptions = {**given, **fixed}  # type: ignore[typeddict-item]
    print_of_key = _print_of_key(fixed["pii"])
    if kept is not None and print_of_key != kept.get(_KEY):
        raise UsageError(
            f"the key in the environment variable {KEY_VARIABLE} is another than this warehouse was"
            " made with: under it no customer would be known again. Set that key"
        )
    return whole, {**fixed, _KEY: print_of_key}


def _print_of_key(pii: Any) -> str | None:
    """Return what tells one key from another, and nothing else of it."""
    if pii != "pseudonymize":
        return None
    hide = pseudonym(pii)
    return None if hide is None else str(hide(pa.array(["fingerprint:"], pa.string()))[0])[:16]
