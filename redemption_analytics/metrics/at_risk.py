"""Who can still be reversed: what is watched, how long, and when it leaves."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING, Literal, get_args

import narwhals as nw

from redemption_analytics.metrics.sums import summed
from redemption_analytics.options import PERIODS
from redemption_analytics.tables.attribution import by_program
from redemption_analytics.tables.frames import as_arrow, connected, frame_like, is_pyarrow
from redemption_analytics.tables.lazy import Frame, native
from redemption_analytics.tables.movements import Movements
from redemption_analytics.tables.periods import with_periods
from redemption_analytics.tables.points import check_sums, exact
from redemption_analytics.tables.times import with_elapsed

if TYPE_CHECKING:
    from redemption_analytics.redemptions import Redemptions

Weight = Literal["redemptions", "points"]
WEIGHTS: tuple[Weight, ...] = get_args(Weight)

# A day in microseconds.
DAY = 86_400_000_000

# The program of a unit in two columns without nulls: joins do not match null with null.
_PROGRAM = {
    "_program": nw.col("program_id").fill_null(0),
    "_unknown": nw.when(nw.col("program_id").is_null())
    .then(nw.lit(1))
    .otherwise(nw.lit(0))
    .cast(nw.Int64),
}


def movements(r: Redemptions, by: Sequence[str] = ()) -> Movements:
    """Return what moved in a bundle; PyArrow's tables as DuckDB's relations, without a copy.

    On PyArrow Narwhals has neither a quantile in a group nor a running sum over one.
    """
    check_sums(r.point_sums)
    tables = r.tables
    if is_pyarrow(r.points):
        connection = connected()
        tables = {name: connection.from_arrow(table) for name, table in tables.items()}
    return Movements.of(tables, by)


def unit(by: Sequence[str]) -> list[str]:
    """Name the columns that tell a unit: a redemption, or by program its part in a program."""
    return ["redemption_key", *_PROGRAM] if "program_id" in by else ["redemption_key"]


def units_and_reversals(moved: Movements, by: Sequence[str]) -> tuple[Frame, Frame]:
    """Return what can come back, redemptions or by program their parts, and what came back of it.

    Returns
    -------
    tuple of frame
        Units: the columns of :func:`unit` and of ``by``, redeemed_time, redemptions (0 where points
        are in a program that the redemption does not count in) and points_redeemed. Reversals: the
        columns of :func:`unit` and of ``by``, points_reversed (above 0) and elapsed (microseconds
        since the redemption, null where a time is missing).
    """
    fixed = [name for name in by if name not in (*PERIODS, "program_id")]
    named = [name for name in by if name in PERIODS]
    homes = with_periods(moved.points, "redeemed_time", named).select(
        "redemption_key", "redeemed_time", *fixed, *named
    )
    if "program_id" in by:
        redeemed, reversed_ = by_program(moved)
        redeemed = summed(
            redeemed,
            ["redemption_key", "program_id"],
            ["redemptions", "points_redeemed"],
            ordered=False,
        ).with_columns(**_PROGRAM)
        reversed_ = summed(
            reversed_,
            ["redemption_key", "reversal_id", "program_id"],
            ["points_reversed"],
            ordered=False,
        ).with_columns(**_PROGRAM)
        times = moved.reversals.select("reversal_id", "reversal_time")
        reversed_ = reversed_.join(times, on="reversal_id", how="left")
    else:
        redeemed = moved.points.select(
            "redemption_key", "points_redeemed", redemptions=nw.lit(1, nw.Int64)
        )
        reversed_ = moved.reversals.select("redemption_key", "reversal_time", "points_reversed")
    units = redeemed.join(homes, on="redemption_key", how="left")
    backs = reversed_.filter(nw.col("points_reversed") > 0).join(
        homes, on="redemption_key", how="left"
    )
    columns = dict.fromkeys([*unit(by), *by])
    return (
        units.select(*columns, "redeemed_time", "redemptions", "points_redeemed"),
        with_elapsed(backs, "elapsed", "redeemed_time", "reversal_time").select(
            *columns, "points_reversed", "elapsed"
        ),
    )


def computed_once(r: Redemptions, moved: Movements, *frames: Frame) -> tuple[Frame, ...]:
    """Return frames that are asked several times, computed now if the bundle is PyArrow's.

    What stands in memory may stand there once more, and planning takes longer than few rows do.
    """
    if not is_pyarrow(r.points):
        return frames
    # On the connection of all others, by one of them that is soon planned.
    like = native(moved.points)
    return tuple(nw.from_native(frame_like(like, as_arrow(native(rows)))) for rows in frames)


def watched(r: Redemptions, by: Sequence[str], as_of: datetime) -> Movements:
    """Cut a bundle to what was known at a moment."""
    return movements(r, by).seen_by(as_of, None)


def with_age(rows: Frame, name: str, as_of: datetime) -> Frame:
    """Add a column of the whole days from a redemption to a moment."""
    aged = with_elapsed(rows, name, "redeemed_time", as_of)
    return aged.with_columns((nw.col(name) // DAY).cast(nw.Int64).alias(name))


@dataclass(frozen=True)
class Followed:
    """What is followed from its redemption on.

    Attributes
    ----------
    units : frame
        Each unit: the columns of :func:`unit` and of the groups, size (redemptions or points), gone
        (what of it was reversed up to the horizon) and since (whole days since its redemption).
    events : frame
        What was reversed of a unit on a day: the same columns of groups, age (in days) and size.
    kind
        The type of sizes.
    """

    units: Frame
    events: Frame
    kind: nw.dtypes.DType

    @classmethod
    def of(
        cls,
        units: Frame,
        backs: Frame,
        by: Sequence[str],
        weight: Weight,
        days: int,
        as_of: datetime,
    ) -> Followed:
        """Follow units up to a moment, those without a time left out."""
        key = unit(by)
        units = units.filter(~nw.col("redeemed_time").is_null())
        if weight == "points":
            kind = units.collect_schema()["points_redeemed"]
            units, events = _points_back(units, backs, key, kind)
        else:
            kind = nw.Int64()
            units, events = _first_reversals(units, backs, key)
        events = events.filter(nw.col("age") <= days)
        gone = events.group_by(*key).agg(gone=nw.col("size").sum())
        units = units.join(gone, on=key, how="left").with_columns(
            gone=exact(nw.col("gone").fill_null(0), kind)
        )
        return cls(with_age(units, "since", as_of), events, kind)

    def leaving(self, columns: Sequence[str], days: int) -> Frame:
        """Return as rows what leaves those at risk at which age, reversed (1) or not (0).

        What is watched past the horizon leaves on the day after it.
        """
        left = self.units.with_columns(
            size=exact(nw.col("size") - nw.col("gone"), self.kind),
            age=nw.when(nw.col("since") <= days)
            .then(nw.col("since"))
            .otherwise(nw.lit(days + 1, nw.Int64)),
        )
        return nw.concat(
            [
                some.select(*columns, "age", "size", reversed=nw.lit(flag, nw.Int64))
                for some, flag in ((self.events, 1), (left.filter(nw.col("size") > 0), 0))
            ]
        )


def exits(
    units: Frame, backs: Frame, by: Sequence[str], weight: Weight, days: int, as_of: datetime
) -> Frame:
    """Count by day when units leave those at risk: reversed, or watched no longer.

    Returns
    -------
    frame
        A row for each pair of exits that some units of a group have, an exit with itself among
        them: the columns of ``by``, age (in days) and reversed (1 or 0) of the one, other_age
        and other_reversed of the other, size (what left, in the rows of an exit with itself) and
        product (the sum over units of the product of their sizes). In order, so that what is
        computed from them in floating point is the same each time.
    """
    key = unit(by)
    followed = Followed.of(units, backs, by, weight, days, as_of)
    rows, kind = followed.leaving(list(dict.fromkeys([*key, *by])), days), followed.kind
    wanted = [*by, "age", "reversed", "other_age", "other_reversed", "size", "product"]
    size = nw.col("size").cast(nw.Float64)
    alone = (
        rows.with_columns(product=size * size)
        .group_by(*by, "age", "reversed")
        .agg(nw.col("size").sum(), nw.col("product").sum())
        .with_columns(
            other_age=nw.col("age"),
            other_reversed=nw.col("reversed"),
            size=exact(nw.col("size"), kind),
        )
        .select(*wanted)
    )
    order = wanted[:-2]
    if weight == "redemptions":  # which leave once, and whole
        return alone.sort(*order, nulls_last=True)
    other = rows.select(
        *key,
        other_age=nw.col("age"),
        other_reversed=nw.col("reversed"),
        times=nw.col("size").cast(nw.Float64) * (2 - nw.col("reversed")),
    )
    same = (nw.col("other_age") == nw.col("age")) & (nw.col("other_reversed") == 1)
    both = (
        rows.filter(nw.col("reversed") == 1)
        .join(other, on=key, how="inner")
        .filter(~same)
        .with_columns(product=size * nw.col("times"))
        .group_by(*by, "age", "reversed", "other_age", "other_reversed")
        .agg(nw.col("product").sum())
        .with_columns(size=nw.lit(0).cast(kind))
        .select(*wanted)
    )
    return nw.concat([alone, both]).sort(*order, nulls_last=True)


def _first_reversals(units: Frame, backs: Frame, key: list[str]) -> tuple[Frame, Frame]:
    """Return redemptions, each of size 1, and those of them that were reversed, with the day."""
    first = backs.group_by(*key).agg(elapsed=nw.col("elapsed").min(), reversals=nw.len())
    units = (
        units.filter(nw.col("redemptions") > 0)
        .join(first, on=key, how="left")
        .filter(nw.col("reversals").is_null() | ~nw.col("elapsed").is_null())
        .with_columns(size=nw.lit(1, nw.Int64))
    )
    events = units.filter(~nw.col("elapsed").is_null()).with_columns(age=_day())
    return units.drop("elapsed"), events


def _points_back(
    units: Frame, backs: Frame, key: list[str], kind: nw.dtypes.DType
) -> tuple[Frame, Frame]:
    """Return redemptions, with their points as size, and what came back of them by day."""
    points, back = nw.col("points_redeemed"), nw.col("points_reversed")
    without = nw.col("elapsed").is_null()
    timed, untimed = nw.col("timed").fill_null(0), nw.col("untimed").fill_null(0)
    totals = (
        backs.with_columns(
            timed=nw.when(without).then(back * 0).otherwise(back),
            untimed=nw.when(without).then(back).otherwise(back * 0),
        )
        .group_by(*key)
        .agg(nw.col("timed").sum(), nw.col("untimed").sum())
    )
    # Points that came back nobody knows when are left out; those known to come back on a day stay.
    known = nw.max_horizontal(
        points - untimed.cast(kind), nw.min_horizontal(points, timed.cast(kind))
    )
    units = (
        units.join(totals, on=key, how="left")
        .with_columns(size=exact(known, kind))
        .filter(nw.col("size") > 0)
    )
    upto = nw.col("upto")
    events = (
        backs.filter(~without)
        .with_columns(age=_day())
        .group_by(*key, "age")
        .agg(back=back.sum())
        .join(units.drop("redemptions", "timed", "untimed"), on=key, how="inner")
        .with_columns(nw.col("back").cast(kind))
        .with_columns(upto=nw.col("back").cum_sum().over(*key, order_by="age").cast(kind))
        .with_columns(
            size=exact(
                nw.min_horizontal(upto, nw.col("size"))
                - nw.min_horizontal(upto - nw.col("back"), nw.col("size")),
                kind,
            )
        )
        .filter(nw.col("size") > 0)
    )
    return units, events


def _day() -> nw.Expr:
    elapsed = nw.col("elapsed")
    return nw.when(elapsed > 0).then(elapsed // DAY).otherwise(nw.lit(0)).cast(nw.Int64)
