"""Arguments of the public functions: what is wrong with one, and in which function."""

from __future__ import annotations

import inspect
import os
import re
from collections.abc import Callable, Mapping
from functools import wraps
from pathlib import Path
from typing import Any, ParamSpec, TypeVar

from redemption_analytics.columns import TABLES
from redemption_analytics.errors import (
    RedemptionAnalyticsError,
    UsageError,
    ValidationError,
    nearest,
    refused,
)

P = ParamSpec("P")
T = TypeVar("T")

#: What does not come from what a bundle holds.
_OUTSIDE = (OSError, MemoryError, RecursionError, ImportError)


def public(function: Callable[P, T]) -> Callable[P, T]:
    """Make a public function name itself in errors about its arguments.

    Arguments that it does not have are refused with the nearest that it has; a first argument
    ``r`` is a bundle, and a column that the bundle lacks is named with its table, as is one of
    which the type or the values are wrong, where the function cannot work with it.
    """
    return _public(function, inspect.signature(function))


def public_with(
    options: Mapping[str, tuple[Any, Any]],
) -> Callable[[Callable[P, T]], Callable[P, T]]:
    """Make a function with ``**options`` public, as :func:`public` does, and show its options.

    Parameters
    ----------
    options
        Type and default of each.
    """
    return lambda function: _public(function, _expanded(inspect.signature(function), options))


def _public(function: Callable[P, T], signature: inspect.Signature) -> Callable[P, T]:
    name = function.__qualname__.removesuffix(".__init__").rpartition(".")[2]
    first = next(iter(signature.parameters), "")
    of_bundle = first == "r" or function.__name__ in ("filter", "to_parquet")

    @wraps(function)
    def called(*args: P.args, **kwargs: P.kwargs) -> T:
        bundle = _bound(signature, name, args, kwargs).get(first)
        try:
            if first == "r":
                _check_bundle(bundle)
            result = function(*args, **kwargs)
            if of_bundle:
                _resolve(result)
        except UsageError as error:
            if error.argument and not error.function:
                error.function = name
                error.args = (f"{name}: {error}",)
            raise
        except RedemptionAnalyticsError:
            raise
        except Exception as error:
            lacking = _lacking(bundle, _said(error)) if of_bundle else ""
            if lacking:
                raise ValidationError(f"{name}: {lacking}") from None
            invalid = _invalid(bundle) if of_bundle and not isinstance(error, _OUTSIDE) else ""
            if invalid:
                raise ValidationError(f"{name}: {invalid}") from error
            raise
        return result

    called.__signature__ = signature  # type: ignore[attr-defined]
    return called


def _expanded(
    signature: inspect.Signature, options: Mapping[str, tuple[Any, Any]]
) -> inspect.Signature:
    """Write options out in a signature, in the place of ``**options``."""
    fixed = [p for p in signature.parameters.values() if p.kind is not p.VAR_KEYWORD]
    written = [
        inspect.Parameter(name, inspect.Parameter.KEYWORD_ONLY, default=default, annotation=kind)
        for name, (kind, default) in options.items()
    ]
    return signature.replace(parameters=[*fixed, *written])


def _bound(
    signature: inspect.Signature, name: str, args: tuple[Any, ...], kwargs: Mapping[str, Any]
) -> Mapping[str, Any]:
    try:
        return signature.bind(*args, **kwargs).arguments
    except TypeError as error:
        known = [parameter for parameter in signature.parameters if parameter != "self"]
        unknown = [option for option in kwargs if option not in known]
        if not unknown:
            raise UsageError(f"{name}: {error}: it takes {', '.join(known)}") from None
        raise UsageError(
            f"{name} has no argument {unknown[0]!r}: it takes {', '.join(known)}."
            + nearest(unknown[0], known)
        ) from None


def path_of(value: Any, argument: str) -> Path:
    """Read the path of a directory.

    Raises
    ------
    UsageError
        If it is none.
    """
    try:
        text = os.fsdecode(value)
    except TypeError:
        text = ""
    if not text or "\0" in text:
        raise refused(argument, "the path of a directory, a text or a path object", value)
    return Path(text)


def _check_bundle(bundle: Any) -> None:
    tables = getattr(bundle, "tables", None)
    if not (isinstance(tables, dict) and tables.keys() >= TABLES.keys()):
        raise refused(
            "r",
            "a bundle of tables, as load and open give it (of a frame of points, say,"
            " Redemptions(points=frame) makes one)",
            bundle,
        )


def _resolve(result: Any) -> None:
    """Make lazy frames find their columns now, where an error can be told in plain words."""
    tables = getattr(result, "tables", None)
    for frame in tables.values() if isinstance(tables, dict) else [result]:
        # On frames of Spark Connect every name is an attribute, of a column.
        if callable(getattr(frame, "collect_schema", None)):
            frame.collect_schema()


def _invalid(bundle: Any) -> str:
    """Return what breaks the models in a bundle made by hand, as a wrong type of a column does."""
    try:
        bundle.validate()
    except ValidationError as error:
        return str(error)
    except Exception:
        return ""  # What cannot be looked at tells nothing.
    return ""


def _said(error: BaseException) -> str:
    """Return what an error says, with what the errors said that it was made of."""
    texts = []
    told: BaseException | None = error
    while told is not None:
        texts.append(str(told))
        told = told.__cause__ or told.__context__
    return "\n".join(texts)


def _lacking(bundle: Any, said: str) -> str:
    """Name the columns that tables of a bundle lack, of those that an error speaks of."""
    spoken = set(re.findall(r"\w+", said))
    # Only here, so that converting needs no frames.
    from redemption_analytics.tables.frames import columns_of

    found = []
    for table, frame in bundle.tables.items():
        try:
            here = set(columns_of(frame))
        except Exception:
            continue  # A lazy frame that cannot be resolved tells nothing.
        missing = [name for name in TABLES[table] if name not in here and name in spoken]
        if missing:
            found.append(f"the table {table} lacks the column {', '.join(missing)}")
    return "; ".join(found)
