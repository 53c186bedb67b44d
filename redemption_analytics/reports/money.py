"""What points are worth in money, beside the points of a report."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping
from dataclasses import dataclass
from decimal import Decimal, InvalidOperation
from numbers import Integral
from typing import TYPE_CHECKING, Any, TypeAlias

import pyarrow as pa

from redemption_analytics.contract import DECIMAL_PLACES
from redemption_analytics.errors import UsageError, refused
from redemption_analytics.metrics import net_points
from redemption_analytics.numerals import fixed
from redemption_analytics.tables.frames import as_arrow

if TYPE_CHECKING:
    from redemption_analytics.redemptions import Redemptions

Value: TypeAlias = "float | str | Decimal"
PointValue: TypeAlias = "Value | Mapping[int, Value] | Mapping[int | None, Value]"

_DIGITS = 38
#: How small and how large a value may be, so that an amount has no more digits than it can have.
_PLACES, _BELOW = 12, Decimal(10) ** 9
_FORM = (
    "what a point is worth, a number from 0 on, below 1,000,000,000 and with at most 12 decimal"
    " places, or a mapping of each program_id to its number"
)
_EXPECTED = {"expected_points": "expected_value", "low": "low_value", "high": "high_value"}


@dataclass(frozen=True)
class Money:
    """What a point is worth: of all programs the same, or of each its own.

    Attributes
    ----------
    values
        By program_id, of which None stands for points of no known program; or one for all.
    currency
        What amounts are in, as people write it: "EUR".
    """

    values: Decimal | Mapping[int | None, Decimal]
    currency: str

    @classmethod
    def of(cls, point_value: PointValue | None, currency: str | None) -> Money | None:
        """Read what a caller gave; None where nothing was given.

        Raises
        ------
        UsageError
            If these are no values, or there is a currency and nothing in it.
        """
        if currency is not None and not isinstance(currency, str):
            raise refused("currency", "a text such as 'EUR'", currency)
        if point_value is None:
            if currency is not None:
                raise UsageError("currency is of point_value: give both, or none of them")
            return None
        if not isinstance(point_value, Mapping):
            return cls(_value(point_value), currency or "")
        if not point_value:
            raise refused("point_value", _FORM, point_value)
        values = {_program(program): _value(value) for program, value in point_value.items()}
        return cls(values, currency or "")

    def check(self, known: Redemptions) -> None:
        """Check that each program with points has a value.

        Raises
        ------
        UsageError
            If one has none.
        """
        if isinstance(self.values, Decimal):
            return
        rows = as_arrow(net_points(known, "program_id")).to_pylist()
        lacking = [row["program_id"] for row in rows if row["program_id"] not in self.values]
        if lacking:
            named = ", ".join("none" if program is None else str(program) for program in lacking)
            raise UsageError(
                f"point_value has no value of these programs: {named}. Give each that has points"
                " its value; None (on the command line none) stands for points of no known program"
            )

    def beside(self, name: str, table: pa.Table, known: Redemptions) -> pa.Table:
        """Return a table of a report with money beside its points, where it has any.

        Parameters
        ----------
        name
            The name of the table.
        table
            What it holds.
        known
            The bundle that it was computed of.
        """
        if name.startswith("net_points"):
            posted = "_posted" if name.endswith("_posted") else ""
            by = table.column_names[: table.column_names.index("redemptions")]
            amounts = self._of_net_points(table, by, f"net_points{posted}", known)
            return table.append_column(f"net_value{posted}", self._exact(amounts))
        if name == "expected_reversals_by_program":
            for points, column in _EXPECTED.items():
                programs = table["program_id"].to_pylist()
                worth = map(self._worth, programs, table[points].to_pylist())
                table = table.append_column(column, pa.array(map(float, worth), pa.float64()))
        return table

    def in_all(self, expected: pa.Table, by_program: pa.Table) -> pa.Table:
        """Return what is expected of all programs, with money beside its points.

        A point that is expected back is worth what one is on average of those that programs expect,
        and all together are worth no more than what is open. (Programs are estimated each for
        itself, so their amounts do not add up to that of all, as their points do not.)
        """
        (row,) = expected.to_pylist()
        programs = [
            (float(self._worth(one["program_id"], 1)), one) for one in by_program.to_pylist()
        ]
        most = sum(worth * one["open_points"] for worth, one in programs)
        weighed = [(worth, one["expected_points"]) for worth, one in programs]
        if not sum(points for _, points in weighed):
            weighed = [(worth, one["open_points"]) for worth, one in programs]
        points = sum(points for _, points in weighed)
        each = sum(worth * points for worth, points in weighed) / points if points else 0.0
        if isinstance(self.values, Decimal):
            each = float(self.values)
        for name, column in _EXPECTED.items():
            worth = min(row[name] * each, most)
            expected = expected.append_column(column, pa.array([worth], pa.float64()))
        return expected

    def text(self, amount: float | Decimal) -> str:
        """Write an amount for people.

        >>> Money(Decimal("0.01"), "EUR").text(Decimal("1234.5"))
        '1,234.50 EUR'
        """
        return f"{fixed(amount, 2)} {self.currency}".rstrip()

    def described(self) -> dict[str, str]:
        """Write the values, by program where they differ.

        >>> Money({469: Decimal("0.010"), None: Decimal(0)}, "EUR").described()
        {'469': '0.010', 'none': '0'}
        """
        if isinstance(self.values, Decimal):
            return {"all": str(self.values)}
        return {
            "none" if program is None else str(program): str(value)
            for program, value in self.values.items()
        }

    def _worth(self, program: int | None, points: float) -> Decimal:
        value = self.values if isinstance(self.values, Decimal) else self.values[program]
        return value * _as_decimal(points)

    def _of_net_points(
        self, table: pa.Table, by: list[str], column: str, known: Redemptions
    ) -> list[Decimal]:
        rows = table.to_pylist()
        if isinstance(self.values, Decimal) or "program_id" in by:
            return [self._worth(row.get("program_id"), row[column]) for row in rows]
        basis: Any = "event" if column.endswith("_posted") else "redemption"
        amounts: dict[tuple[Any, ...], Decimal] = defaultdict(Decimal)
        for row in as_arrow(net_points(known, [*by, "program_id"], basis)).to_pylist():
            amounts[tuple(row[name] for name in by)] += self._worth(
                row["program_id"], row["net_points"]
            )
        return [amounts[tuple(row[name] for name in by)] for row in rows]

    def _exact(self, amounts: list[Decimal]) -> pa.Array:
        values = [self.values] if isinstance(self.values, Decimal) else self.values.values()
        places = max(-int(value.as_tuple().exponent) for value in values)
        try:
            return pa.array(amounts, pa.decimal128(_DIGITS, max(places, 0) + DECIMAL_PLACES))
        except pa.ArrowInvalid:
            raise UsageError(
                f"point_value: an amount has more than {_DIGITS} digits. Give values with fewer"
                " decimal places, or in a larger unit of money"
            ) from None


def _program(given: Any) -> int | None:
    """Read which program a value is of."""
    if given is None or (isinstance(given, Integral) and not isinstance(given, bool)):
        return None if given is None else int(given)
    raise refused("point_value", _FORM, given)


def _value(given: Any) -> Decimal:
    text = str(given)
    is_number = not isinstance(given, bool) and text.isascii() and "_" not in text
    try:
        value = Decimal(text) if is_number else None
    except InvalidOperation:
        value = None
    if value is None or not value.is_finite() or not 0 <= value < _BELOW:
        raise refused("point_value", _FORM, given)
    plain = abs(value)
    if -int(plain.as_tuple().exponent) > _PLACES:
        raise refused("point_value", _FORM, given)
    return plain


def _as_decimal(points: float) -> Decimal:
    return Decimal(points) if isinstance(points, int) else Decimal(str(points))
