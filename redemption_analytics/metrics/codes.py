"""Codes with the names that go with them: programs, stores and tills, and when they were seen."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime
from typing import TYPE_CHECKING

import narwhals as nw

from redemption_analytics.dating import SLACK
from redemption_analytics.metrics.computed import as_given
from redemption_analytics.tables.arguments import public
from redemption_analytics.tables.lazy import Frame, FrameT, frame

if TYPE_CHECKING:
    from redemption_analytics.redemptions import Redemptions

#: Before all times: what has none was told first.
_UNTIMED = datetime(1, 1, 1)


@public
def programs(r: Redemptions[FrameT]) -> FrameT:
    """Return the programs that points were taken from or given back to, with their names.

    Parameters
    ----------
    r
        The bundle.

    Returns
    -------
    frame
        Of the kind that the bundle holds, a row for each program, by program_id: program_id,
        program_name (the newest one that the data tell; null where they tell none), first_seen and
        last_seen (the first and the last redemption or reversal with points of it; null where none
        has a time).

    Notes
    -----
    The newest name is that of the last redemption or reversal that tells one; of several at that
    moment the last by the alphabet. Times that are later than the newest export by more than a day
    are mistakes (the audit names them), and count as none.

    Examples
    --------
    >>> import redemption_analytics as ra
    >>> r = ra.load("data_samples/2025-sources.json")
    >>> ra.programs(r)
       program_id    program_name          first_seen           last_seen
    0        1886  DefaultProgram 2025-12-10 15:30:00 2025-12-10 15:30:00
    """
    points = frame(r.points)
    homes = points.select("redemption_key", time=nw.col("redeemed_time"))
    back = frame(r.reversals).select("reversal_id", time=nw.col("reversal_time"))
    shares = frame(r.program_breakups).join(homes, on="redemption_key", how="left")
    back_shares = frame(r.reversal_breakups).join(back, on="reversal_id", how="left")
    named = [rows.select("program_id", "time", "program_name") for rows in (shares, back_shares)]
    own = points.select("program_id", time=nw.col("redeemed_time"))
    return _named(r, named, "program_id", "program_name", [own])


@public
def stores(r: Redemptions[FrameT]) -> FrameT:
    """Return the stores that redeemed or awarded points, or redeemed coupons, with their names.

    Parameters
    ----------
    r
        The bundle.

    Returns
    -------
    frame
        Of the kind that the bundle holds, a row for each store, by store_code: store_code,
        store_name (the newest one that the data tell; null where they tell none), first_seen and
        last_seen (the first and the last redemption in it, or award of points that were redeemed
        anywhere; null where none has a time).

    Notes
    -----
    As in :func:`redemption_analytics.programs`. Two stores of one name are two.

    Examples
    --------
    >>> import redemption_analytics as ra
    >>> r = ra.load("data_samples/organisation")
    >>> ra.stores(r).head(2)
      store_code   store_name          first_seen           last_seen
    0    airport      Airport 2018-02-03 20:13:18 2026-11-19 15:44:05
    1       cafe  Café Corner 2018-04-29 12:21:38 2026-11-19 16:49:36
    """
    awards = frame(r.source_breakups).select(
        store_code=nw.col("source_store_code"),
        store_name=nw.col("source_store_name"),
        time=nw.col("awarding_date"),
    )
    return _named(r, [*_redeemed_at(r, "store"), awards], "store_code", "store_name")


@public
def tills(r: Redemptions[FrameT]) -> FrameT:
    """Return the tills that redeemed points or coupons, with their names.

    Parameters
    ----------
    r
        The bundle.

    Returns
    -------
    frame
        Of the kind that the bundle holds, a row for each till, by till_code: till_code, till_name
        (the newest one that the data tell; null where they tell none), first_seen and last_seen
        (the first and the last redemption at it; null where none has a time).

    Notes
    -----
    As in :func:`redemption_analytics.programs`. Reversals name a till by a number of its own
    (``reversed_on_till_id``), which is no till_code.

    Examples
    --------
    >>> import redemption_analytics as ra
    >>> r = ra.load("data_samples/organisation")
    >>> ra.tills(r)[["till_code", "till_name"]].head(2)
           till_code      till_name
    0  airport.till1  airport.till1
    1  airport.till2  airport.till2
    """
    return _named(r, _redeemed_at(r, "till"), "till_code", "till_name")


def _redeemed_at(r: Redemptions, place: str) -> list[Frame]:
    """Return where points and coupons were redeemed."""
    columns = [f"{place}_code", f"{place}_name"]
    tables = (frame(r.points), frame(r.coupons))
    return [rows.select(*columns, time=nw.col("redeemed_time")) for rows in tables]


def _named(
    r: Redemptions[FrameT], parts: list[Frame], code: str, name: str, nameless: Iterable[Frame] = ()
) -> FrameT:
    """Return each code once, with its newest name; nameless rows only tell when it was seen."""
    time = nw.col("time")
    if r.now is not None:
        latest = min(r.now, datetime.max - SLACK) + SLACK
        time = nw.when(time <= latest).then(time)
    known = ~nw.col(code).is_null()
    rows = nw.concat([part.select(code, name, time=time) for part in parts]).filter(known)
    times = nw.concat([rows.select(code, "time"), *(n.select(code, time=time) for n in nameless)])
    # What is told of one code at one moment is one row: joins are of few rows then.
    told = rows.filter(~nw.col(name).is_null())
    told = told.with_columns(time=nw.col("time").fill_null(_UNTIMED))
    told = told.group_by(code, "time").agg(nw.col(name).max())
    newest = told.group_by(code).agg(nw.col("time").max())
    names = told.join(newest, on=[code, "time"], how="inner").select(code, name)
    seen = times.filter(known).group_by(code)
    found = seen.agg(first_seen=nw.col("time").min(), last_seen=nw.col("time").max())
    found = found.join(names, on=code, how="left")
    return as_given(r, found.select(code, name, "first_seen", "last_seen").sort(code))
