"""Gates: when a command that has done its work ends with status 1, so that a schedule notices."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from decimal import Decimal
from typing import Annotated, Any

import typer

from redemption_analytics.errors import UsageError, nearest

StrictOption = Annotated[
    bool, typer.Option("--strict", help="Exit with status 1 if anything was rejected.")
]
FailOnOption = Annotated[
    str | None,
    typer.Option(
        metavar="WHAT",
        help="Exit with status 1 if the audit finds an error; with `warning`, a warning or an"
        " error; or any of the checks named: error, warning, or CHECK,CHECK,…",
        show_default=False,
    ),
]
MaxRejectedOption = Annotated[
    str | None,
    typer.Option(
        metavar="SHARE",
        help="Exit with status 1 if more was rejected of any kind of element: 0.1% of the"
        " answers, of the points redemptions …; or 5, for so many elements in all.",
        show_default=False,
    ),
]

_LIMIT = re.compile(r"(\d+(?:\.\d+)?)\s*(%?)")
_SEVERITIES = ("error", "warning")


@dataclass(frozen=True)
class Gate:
    """What must not be found.

    Attributes
    ----------
    strict
        Whether nothing may be rejected.
    fail_on
        Severities and checks of the audit that must find nothing.
    most
        How much may be rejected: percent of each kind of element where ``is_share``, else so many
        elements; None for any number.
    is_share
        What ``most`` is.
    """

    strict: bool = False
    fail_on: tuple[str, ...] = ()
    most: Decimal | None = None
    is_share: bool = False

    @classmethod
    def of(cls, strict: bool, fail_on: str | None, max_rejected: str | None) -> Gate:
        """Read the flags.

        Raises
        ------
        UsageError
            If a check is unknown, or a share is none.
        """
        limit = None if max_rejected is None else _LIMIT.fullmatch(max_rejected.strip())
        if max_rejected is not None and (limit is None or _senseless(*limit.groups())):
            raise UsageError(
                f"--max-rejected is a share as 0.1% or a whole number of elements, not"
                f" {max_rejected!r}"
            )
        share = limit is not None and limit[2] == "%"
        most = None if limit is None else Decimal(limit[1])
        return cls(strict, _checks(fail_on), most, share)

    @property
    def asks_audit(self) -> bool:
        """Whether it cannot be told without the audit."""
        return bool(self.fail_on)

    def forbidden(self, audit: Iterable[Mapping[str, Any]]) -> list[Mapping[str, Any]]:
        """Return those rows of an audit that must find nothing, and do."""
        severities = _SEVERITIES if "warning" in self.fail_on else self.fail_on
        return [
            row
            for row in audit
            if row["count"] and (row["check"] in self.fail_on or row["severity"] in severities)
        ]

    def failures(
        self, ledger: Iterable[Mapping[str, Any]], audit: Iterable[Mapping[str, Any]] = ()
    ) -> list[str]:
        """Say what was found that must not be.

        Parameters
        ----------
        ledger, audit
            The rows of both; the audit only where it is asked.
        """
        rows = list(ledger)
        rejected = sum(row["rejected"] for row in rows)
        found = []
        if self.strict and rejected:
            found.append(f"{rejected:,} rejected")
        if self.most is not None and self.is_share:
            found += [
                f"{row['rejected']:,} of {row['seen']:,} {row['element']} rejected, more than"
                f" {self.most}%"
                for row in rows
                if row["rejected"] * 100 > self.most * row["seen"]
            ]
        elif self.most is not None and rejected > self.most:
            found.append(f"{rejected:,} rejected, more than {self.most}")
        return found + [
            f"{row['check']} ({row['severity']}): {row['count']:,}" for row in self.forbidden(audit)
        ]


def _senseless(number: str, unit: str) -> bool:
    return Decimal(number) > 100 if unit else "." in number


def _checks(fail_on: str | None) -> tuple[str, ...]:
    if fail_on is None:
        return ()
    from redemption_analytics.audits import CHECKS

    names = tuple(name.strip() for name in fail_on.split(",") if name.strip())
    known: Sequence[str] = (*_SEVERITIES, *CHECKS)
    for name in names:
        if name not in known:
            raise UsageError(
                f"--fail-on takes error, warning, or checks of the audit, and {name!r} is none."
                + nearest(name, known)
            )
    if not names:
        raise UsageError("--fail-on takes error, warning, or checks of the audit")
    return names
