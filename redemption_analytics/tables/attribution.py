"""Postings: points redeemed and points reversed as rows, each booked where it belongs.

This is the one place that decides which program, store and period a point belongs to; metrics only
add up. Every point of every redemption and every reversal is in exactly one posting, so sums over
any groups equal the total.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal

import narwhals as nw
import pandas as pd

from redemption_analytics.options import PERIODS
from redemption_analytics.tables.lazy import Frame, frame
from redemption_analytics.tables.movements import Movements
from redemption_analytics.tables.periods import with_periods
from redemption_analytics.tables.points import rounded

Basis = Literal["redemption", "event"]

#: What a posting counts: redemptions that drew on a program, points out, points back.
AMOUNTS = ("redemptions", "points_redeemed", "points_reversed")


def postings(moved: Movements, by: Sequence[str], basis: Basis = "redemption") -> Frame:
    """Return the postings, with the columns redemption_key, those of ``by``, and the amounts.

    Parameters
    ----------
    moved
        What moved.
    by
        What the postings carry: periods, program_id, and any other columns of points.
    basis
        ``"redemption"`` books a reversal in the period of its redemption, ``"event"`` in that of
        its own time.
    """
    carried = [name for name in by if name not in (*PERIODS, "program_id")]
    carried = list(dict.fromkeys(["redeemed_time", *carried]))
    times = [name for name in by if name in PERIODS]
    booked = "redeemed_time" if basis == "redemption" else "reversal_time"
    redeemed, reversed_ = both_sides(moved, by, carried)
    out = with_periods(redeemed, "redeemed_time", times).with_columns(
        points_reversed=_zero("points_redeemed")
    )
    back = with_periods(reversed_, booked, times).with_columns(
        points_redeemed=_zero("points_reversed"),
        redemptions=nw.lit(0, nw.Int64),
    )
    wanted = ["redemption_key", *by, *AMOUNTS]
    return nw.concat([out.select(*wanted), back.select(*wanted)])


def both_sides(moved: Movements, by: Sequence[str], carried: Sequence[str]) -> tuple[Frame, Frame]:
    """Return redemptions and reversals, split over programs where ``by`` names them.

    Both have the columns of their redemptions that are carried along.
    """
    split = by_program if "program_id" in by else _whole
    return split(moved, carried)


def _whole(moved: Movements, carried: Sequence[str]) -> tuple[Frame, Frame]:
    """Return redemptions and reversals as they are, with columns of their redemptions."""
    homes = moved.points.select("redemption_key", *carried)
    redeemed = moved.points.select(
        "redemption_key", *carried, "points_redeemed", redemptions=nw.lit(1, nw.Int64)
    )
    reversed_ = moved.reversals.select("redemption_key", "reversal_time", "points_reversed")
    return redeemed, reversed_.join(homes, on="redemption_key", how="left")


def by_program(moved: Movements, carried: Sequence[str] = ()) -> tuple[Frame, Frame]:
    """Split redemptions and reversals over programs, with columns of their redemptions.

    A breakup says how much each program has. What it leaves unexplained (all of it, where there is
    none) belongs to the redemption's only program: the one its breakup names, or its own
    program_id without a breakup. Where there are several, it belongs to the null program.
    """
    shares = moved.program_breakups.select("redemption_key", "program_id", "points_redeemed")
    explained = shares.group_by("redemption_key").agg(
        explained=nw.col("points_redeemed").sum(),
        programs=nw.len(),
        one_program=nw.col("program_id").min(),
    )
    points = _with_explained(
        moved.points.select("redemption_key", *carried, "program_id", "points_redeemed"),
        explained,
        "redemption_key",
    )
    points = points.with_columns(
        unexplained=_rest(points, "points_redeemed"),
        only_program=nw.when(nw.col("programs").is_null())
        .then(nw.col("program_id"))
        .otherwise(nw.when(nw.col("programs") == 1).then(nw.col("one_program"))),
    )
    rest = points.filter(nw.col("programs").is_null() | (nw.col("unexplained") != 0)).select(
        "redemption_key",
        *carried,
        program_id=nw.col("only_program"),
        points_redeemed=nw.col("unexplained"),
        redemptions=nw.when(nw.col("programs").is_null())
        .then(nw.lit(1))
        .otherwise(nw.lit(0))
        .cast(nw.Int64),
    )
    # Inner: a filtered bundle may hold fewer redemptions than its breakups name.
    homes = moved.points.select("redemption_key", *carried)
    shared = shares.join(homes, on="redemption_key", how="inner").with_columns(
        redemptions=nw.lit(1, nw.Int64)
    )
    wanted = ["redemption_key", *carried, "program_id", "points_redeemed", "redemptions"]
    redeemed = nw.concat([shared.select(*wanted), rest.select(*wanted)])
    return redeemed, _reversed_by_program(
        moved, points.select("redemption_key", *carried, "only_program"), carried
    )


def _reversed_by_program(moved: Movements, homes: Frame, carried: Sequence[str]) -> Frame:
    reversals = moved.reversals.select(
        "redemption_key", "reversal_id", "reversal_time", "points_reversed"
    ).join(homes, on="redemption_key", how="left")
    shares = moved.reversal_breakups.select(
        "reversal_id", "program_id", points_back=nw.col("points_reversed")
    )
    explained = shares.group_by("reversal_id").agg(explained=nw.col("points_back").sum())
    wanted = ["redemption_key", *carried, "reversal_id", "reversal_time", "program_id"]
    wanted.append("points_reversed")
    shared = (
        shares.join(reversals, on="reversal_id", how="inner")
        .with_columns(points_reversed=nw.col("points_back"))
        .select(*wanted)
    )
    reversals = _with_explained(reversals, explained, "reversal_id")
    rest = (
        reversals.with_columns(
            points_reversed=_rest(reversals, "points_reversed"),
            program_id=nw.col("only_program"),
        )
        .filter(nw.col("points_reversed") != 0)
        .select(*wanted)
    )
    return nw.concat([shared, rest])


def _with_explained(rows: Frame, explained: Frame, key: str) -> Frame:
    """Add what breakups explain to redemptions or reversals, 0 where there is none."""
    native = explained.to_native()
    if not isinstance(native, pd.DataFrame) or native["explained"].dtype.kind == "f":
        joined = rows.join(explained, on=key, how="left")
        return joined.with_columns(nw.col("explained").fill_null(0))
    # A join makes floats of pandas' integers, which are exact up to 2 ** 53 only.
    nullable = frame(native.astype({"explained": "Int64"}))
    joint = rows.join(nullable, on=key, how="left").to_native()
    return frame(joint.assign(explained=joint["explained"].fillna(0).astype("int64")))


def _rest(rows: Frame, points: str) -> nw.Expr:
    """Return what a breakup leaves of some points, in their type: a sum is wider in DuckDB."""
    kind = rows.collect_schema()[points]
    rest = nw.col(points) - nw.col("explained").cast(kind)
    return rounded(rest, kind)


def _zero(points: str) -> nw.Expr:
    """Return no points, in the type of the points."""
    return nw.col(points) * 0
