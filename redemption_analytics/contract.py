"""The wire contract: what an answer of "Get Customer Redemptions" holds, declared once.

Parsing, conforming and the report of unknown fields are all driven by the :class:`Shape` objects
below. They cover the four documented editions of the API (2018, 2020, February and December 2025).
"""

from __future__ import annotations

import enum
from dataclasses import dataclass, field
from datetime import datetime
from functools import cached_property
from typing import get_args

from redemption_analytics.options import CustomerKey
from redemption_analytics.options import PointsType as PointsType

#: The column of a table that holds raw answers: of Parquet, of CSV, of a frame.
PAYLOAD_COLUMN = "payload"

#: The zero dates of MySQL, PHP, .NET and Java: whatever the time of day, they are no time.
ZERO_DATES = ("0000-00-00", "-0001-11-30", "0001-01-01", "0002-11-30")
#: The zero of Unix, in whatever time zone: times from the first to the last of these are no times
#: either, but one could be meant, so they are reported.
EPOCH_TIMES = (datetime(1969, 12, 31), datetime(1970, 1, 2))

#: What the API writes for "no such bill".
NO_BILLS = (0, -1)

#: Decimal points are written with so many places.
DECIMAL_PLACES = 3

#: Points are fewer than that: sums of them have to fit 64 bits too.
POINTS_LIMIT = 10**18
#: Of decimal points, all below that are held by 64-bit floats to three places, and only some above.
EXACT_POINTS = 2**43

#: How the identities of a customer are called, the strongest first.
IDENTITIES = get_args(CustomerKey)

#: Identities of which the audit says where two customers have the same.
SPLITTING = ("mobile", "email")

#: Discount types that are documented (PERC, FLAT) or sent (ABS).
DISCOUNT_TYPES = ("PERC", "FLAT", "ABS")


class Kind(enum.Enum):
    """What a single value on the wire means."""

    TEXT = enum.auto()
    INTEGER = enum.auto()
    POINTS = enum.auto()
    AMOUNT = enum.auto()
    TIME = enum.auto()
    BOOLEAN = enum.auto()


@dataclass(frozen=True)
class Many:
    """A list of objects of one shape; a bare object stands for a list of one.

    Attributes
    ----------
    shape
        The objects.
    told
        Whether it matters that a list is there without any.
    """

    shape: Shape
    told: bool = False


@dataclass(frozen=True)
class Shape:
    """An object on the wire.

    Attributes
    ----------
    fields
        What is read, by name.
    element
        The kind of element that one such object is, as the ledger counts it; empty for objects that
        are only a part of one.
    required
        Groups of fields of which at least one has to be there.
    unused
        Known fields that no table needs. They are not parsed, and so cannot fail.
    ranks
        The field that may hold but the place of such an object in its list, counted from 1.
    """

    fields: dict[str, Kind | Shape | Many]
    element: str = ""
    required: tuple[tuple[str, ...], ...] = ()
    unused: frozenset[str] = field(default_factory=frozenset)
    ranks: str = ""

    @cached_property
    def known(self) -> frozenset[str]:
        """Names of all fields that the contract has here."""
        return self.unused | self.fields.keys()

    @cached_property
    def nested(self) -> tuple[tuple[str, Shape | Many], ...]:
        """The fields that are objects or lists of objects."""
        return tuple((n, f) for n, f in self.fields.items() if not isinstance(f, Kind))

    @cached_property
    def parts(self) -> tuple[tuple[str, Shape], ...]:
        """The shapes of these objects, or of those in the lists."""
        return tuple((n, f.shape if isinstance(f, Many) else f) for n, f in self.nested)


PLACE = Shape({"code": Kind.TEXT, "name": Kind.TEXT})
CUSTOM_FIELDS = Shape(
    {
        "field": Many(
            Shape(
                {"name": Kind.TEXT, "value": Kind.TEXT},
                element="custom_fields",
                required=(("name",),),
            )
        )
    }
)
REVERSAL = Shape(
    {
        "reversal_id": Kind.INTEGER,
        "points_reversed": Kind.POINTS,
        "reversal_time": Kind.TIME,
        "reversed_on_till_id": Kind.INTEGER,
        "reversal_breakup_by_program": Many(
            Shape(
                {
                    "program_id": Kind.INTEGER,
                    "points_reversed": Kind.POINTS,
                    "program_name": Kind.TEXT,
                },
                element="reversal_breakups",
                required=(("points_reversed",),),
            )
        ),
    },
    element="reversals",
    required=(("reversal_id",), ("points_reversed",)),
)
POINTS = Shape(
    {
        "id": Kind.INTEGER,
        "redemption_id": Kind.TEXT,
        "program_id": Kind.INTEGER,
        "points_redeemed": Kind.POINTS,
        "transaction_number": Kind.TEXT,
        "bill_id": Kind.INTEGER,
        "validation_code": Kind.TEXT,
        "redeemed_time": Kind.TIME,
        "redeemed_at": Kind.TEXT,
        "redemption_purpose": Kind.TEXT,
        "notes": Kind.TEXT,
        "external_reference_number": Kind.TEXT,
        "redeemed_store": PLACE,
        "redeemed_till": PLACE,
        "custom_fields": CUSTOM_FIELDS,
        "redemption_breakup_by_program": Many(
            Shape(
                {
                    "program_id": Kind.INTEGER,
                    "points_redeemed": Kind.POINTS,
                    "program_name": Kind.TEXT,
                },
                element="program_breakups",
                required=(("points_redeemed",),),
            )
        ),
        "reversals": Many(REVERSAL),
        "redemption_breakup_by_source": Many(
            Shape(
                {
                    "source_store": PLACE,
                    "points_consumed": Kind.POINTS,
                    "awarding_date": Kind.TIME,
                },
                element="source_breakups",
                required=(("points_consumed",),),
            )
        ),
    },
    element="points",
    required=(("redemption_id", "id"), ("points_redeemed",)),
    ranks="id",
)
COUPON = Shape(
    {
        "id": Kind.INTEGER,
        "code": Kind.TEXT,
        "series_id": Kind.INTEGER,
        "description": Kind.TEXT,
        "discount_code": Kind.TEXT,
        "discount_type": Kind.TEXT,
        "discount_value": Kind.AMOUNT,
        "transaction_number": Kind.TEXT,
        "bill_id": Kind.INTEGER,
        "redeemed_time": Kind.TIME,
        "redeemed_at": Kind.TEXT,
        "redeemed_store": PLACE,
        "redeemed_till": PLACE,
        "custom_fields": CUSTOM_FIELDS,
    },
    element="coupons",
    required=(("id",),),
)
STATUS = Shape(
    {"success": Kind.BOOLEAN, "code": Kind.INTEGER, "message": Kind.TEXT},
    unused=frozenset({"total", "success_count", "warnings"}),
)
CUSTOMER = Shape(
    {
        "user_id": Kind.TEXT,
        "external_id": Kind.TEXT,
        "mobile": Kind.TEXT,
        "email": Kind.TEXT,
        "firstname": Kind.TEXT,
        "lastname": Kind.TEXT,
        "rows": Kind.INTEGER,
        "coupons_count": Kind.INTEGER,
        "points_count": Kind.INTEGER,
        # Of the one kind that was asked for, in place of the two counts.
        "count": Kind.INTEGER,
        "redemptions": Shape(
            {
                "coupons": Shape({"coupon": Many(COUPON, told=True)}),
                "points": Shape({"point": Many(POINTS, told=True)}),
            }
        ),
        "item_status": STATUS,
    },
    element="responses",
    # The start ids are paging marks, often blank; user_groups2 comes empty since 2025.
    unused=frozenset({"coupons_start_id", "points_start_id", "start", "user_groups2"}),
)
#: Of these fields of a customer this API gives one at least, unless the answer failed. One who has
#: none of them, but others that are not known, is of an answer of another API.
TELLING = frozenset(
    {"redemptions", "rows", "coupons_count", "points_count", "coupons_start_id", "points_start_id"}
    | {"count", "start"}
)
RESPONSE = Shape(
    {"status": STATUS, "customer": Many(CUSTOMER)},
    element="responses",
    unused=frozenset({"customers"}),
)
ANSWER = Shape({"response": RESPONSE})


#: Kinds of element that the ledger counts, in the order in which it lists them.
ELEMENTS = (
    "files",
    "responses",
    "coupons",
    "points",
    "program_breakups",
    "reversals",
    "reversal_breakups",
    "source_breakups",
    "custom_fields",
)
