"""Now: when the newest export was made, which is as far as a bundle can see.

What only the loader knows of it (which times are after their own export) it says in the findings;
where tables were put together by hand, it is computed from them.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime, time, timedelta
from typing import Any

import narwhals as nw
import pyarrow as pa
import pyarrow.compute as pc

from redemption_analytics.dating import SLACK, TELLING
from redemption_analytics.moments import Moment, end
from redemption_analytics.tables.frames import as_arrow
from redemption_analytics.tables.lazy import Frame, frame, native
from redemption_analytics.tables.ledger import NOW, no_findings
from redemption_analytics.tables.times import moment_in

#: Where nothing has a time, nothing is seen, whenever that is.
_NEVER = datetime(1970, 1, 1)


def now_of(tables: Mapping[str, Any], findings: Any) -> datetime | None:
    """Return the moment up to which a bundle tells what happened; None where nothing has a time."""
    found = as_arrow(native(frame(findings).filter(nw.col("check") == NOW)))
    if len(found):
        return datetime.fromisoformat(found["example"][0].as_py())
    made, latest = _made(tables)
    if made is None:
        times = _times(tables)
        if latest is not None:
            times = times.filter(nw.col("time") <= moment_in(times, latest + SLACK))
        return _newest(times)
    if made.time() != time.min:
        return made
    times = _times(tables)
    first, last = (moment_in(times, made + timedelta(days)) for days in (0, 1))
    return _newest(times.filter((nw.col("time") >= first) & (nw.col("time") < last))) or made


def _made(tables: Mapping[str, Any]) -> tuple[datetime | None, datetime | None]:
    """Return when the newest export that tells it was made, and the newest time of any."""
    dates = frame(tables["responses"]).group_by("dated_by").agg(nw.col("exported_at").max())
    newest: dict[str, datetime] = {
        row["dated_by"]: row["exported_at"]
        for row in as_arrow(native(dates)).to_pylist()
        if row["exported_at"] is not None
    }
    told = [made for by, made in newest.items() if by in TELLING]
    return max(told, default=None), max(newest.values(), default=None)


def _times(tables: Mapping[str, Any]) -> Frame:
    return nw.concat(
        [
            frame(tables[name]).select(time=nw.col(column))
            for name, column in (
                ("points", "redeemed_time"),
                ("coupons", "redeemed_time"),
                ("reversals", "reversal_time"),
            )
        ]
    )


def oldest_of(tables: Mapping[str, Any]) -> datetime | None:
    """Return the first moment at which anything happened; None where nothing has a time."""
    oldest = as_arrow(native(_times(tables).select(nw.col("time").min())))[0][0].as_py()
    return oldest if isinstance(oldest, datetime) else None


def _newest(times: Frame) -> datetime | None:
    newest: datetime | None = as_arrow(native(times.select(nw.col("time").max())))[0][0].as_py()
    return newest


def moment_or_now(as_of: Moment | None, now: datetime | None) -> datetime:
    """Read the argument ``as_of`` of a function, by default now, as the bundle knows it.

    Raises
    ------
    UsageError
        If it is no moment.
    """
    return end(as_of, "as_of") or now or _NEVER


def now_as_of(now: datetime | None, as_of: Moment | None) -> datetime | None:
    """Return what now is for those who see nothing later than ``as_of``."""
    known = end(as_of, "as_of")
    return now if known is None or now is None else min(known, now)


def findings_of_now(now: datetime | None) -> pa.Table:
    """Return findings that say no more than what now is."""
    nothing = no_findings()
    if now is None:
        return nothing
    row = {"check": NOW, "count": 1, "example": now.isoformat()}
    return pa.Table.from_pylist([row], nothing.schema)


def with_now(findings: Any, now: datetime | None) -> pa.Table:
    """Return findings as an Arrow table that says what now is."""
    table = as_arrow(findings)
    others = table.filter(pc.not_equal(table["check"], NOW))
    said = findings_of_now(now)
    return pa.concat_tables([others.cast(said.schema), said])
