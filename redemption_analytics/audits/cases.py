"""All cases of what the audit finds, each with where to look it up."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable
from functools import partial
from typing import TYPE_CHECKING

import narwhals as nw
import pyarrow as pa
import pyarrow.compute as pc

from redemption_analytics.audits.checks import CASE_COLUMNS, CHECKS, Check, checks
from redemption_analytics.errors import UsageError, nearest, refused
from redemption_analytics.metrics.computed import handed_back, keys_of
from redemption_analytics.moments import Moment
from redemption_analytics.tables.arguments import public
from redemption_analytics.tables.frames import as_arrow
from redemption_analytics.tables.lazy import Frame, FrameT, frame, native

if TYPE_CHECKING:
    from redemption_analytics.redemptions import Redemptions

#: Check by check, and in each by place.
_ORDER = ("place", "source", "record", "line", "element", "key", "what")

_FIRST = ("check", "severity")
_SHOWN = [name for name in CASE_COLUMNS if name != "example"]
_NUMBERS = ("record", "line", "count")
_SCHEMA = pa.schema(
    [
        ("place", pa.int64()),
        *((name, pa.string()) for name in _FIRST),
        *((name, pa.int64() if name in _NUMBERS else pa.string()) for name in _SHOWN),
    ]
)


@public
def audit_cases(
    r: Redemptions[FrameT], check: str | Iterable[str] | None = None, as_of: Moment | None = None
) -> FrameT:
    """List the cases of what :func:`redemption_analytics.audit` finds, with where each stands.

    Parameters
    ----------
    r
        The bundle.
    check
        The check, as the audit names it, or several; by default all.
    as_of
        The moment that other functions are asked about, if any, as the audit takes it.

    Returns
    -------
    frame
        Of the kind that the bundle holds, a row for each case, check by check as the audit has them
        and then by place: check, severity, element (the table of the bundle that it is in; null for
        what is in none), key (what names its row there: a redemption_key, a reversal_id, a
        response_id), source, record and line (where it stands in the exports; null where nobody
        knows), what (what is wrong), and count (how many cases the row stands for). Nothing in it
        is personal, but what an export's file name says.

    Raises
    ------
    UsageError
        If there is no such check, or ``as_of`` is no moment.

    Notes
    -----
    source and record are those of the answer, or of what was rejected; only of that the line is
    known. Rows of the tables do not say which answer told them: of a redemption, a coupon
    redemption and a reversal these are the newest answer with any of the same customer's, which is
    where to begin to look. ``FILE#456/1`` is a response_id: the 456th answer in FILE, its 1st
    customer.

    A row is one case and counts 1, but for ``unknown_fields`` and ``epoch_times`` (one row for each
    field), ``merged_duplicates`` (one for each kind of redemption: the repeats are not kept), and
    what a bundle that was made by hand has in ``findings`` alone. The counts of a check always add
    up to that of the audit.

    Examples
    --------
    >>> import redemption_analytics as ra
    >>> r = ra.load("data_samples/organisation")
    >>> ra.audit_cases(r, "over_reversed")[["element", "key", "record", "what"]]
      element     key  record                         what
    0  points  3S1LiH     558  233 redeemed, 238 reversed
    1  points  PDHBRL      11  113 redeemed, 118 reversed
    2  points  XlKwxn     108     5 redeemed, 10 reversed
    3  points  jAQAQm     329  102 redeemed, 107 reversed
    """
    wanted = _names(check)
    # One after the other: DuckDB has a limit to how deep one question may be.
    found = [
        _listed(r, one, place) for place, one in enumerate(checks(as_of)) if one.name in wanted
    ]
    ordered = pa.concat_tables(found).sort_by([(name, "ascending") for name in _ORDER])
    return handed_back(r.points, keys_of(ordered, [*_FIRST, *_SHOWN]), {})


def _listed(r: Redemptions, check: Check, place: int) -> pa.Table:
    """List the cases of one check, with where they stand."""
    rows = check.list(r)
    cases = as_arrow(native(rows.select("element")))
    if len(cases):
        rows = _located(r, rows, set(cases["element"].to_pylist()))
    found = as_arrow(native(rows.select(*_SHOWN)))
    count = len(found)
    named = {"check": pa.repeat(check.name, count), "severity": pa.repeat(check.severity, count)}
    columns = {name: _known(found[name]).cast(_SCHEMA.field(name).type) for name in _SHOWN}
    return pa.table({"place": pa.repeat(place, count), **named, **columns}, schema=_SCHEMA)


def _known(column: pa.ChunkedArray) -> pa.ChunkedArray:
    """Return a column with nulls in place of texts without characters."""
    if pa.types.is_integer(column.type):
        return column
    texts = column.cast(pa.string())
    return pc.if_else(pc.equal(texts, ""), None, texts)


def _names(check: str | Iterable[str] | None) -> list[str]:
    if check is None:
        return list(CHECKS)
    given = [check] if isinstance(check, str) else check
    if not isinstance(given, Iterable):
        raise refused("check", "the name of a check, or a list of names", check)
    names = list(given)
    for name in names:
        if name not in CHECKS:
            raise UsageError(
                f"there is no check {name!r}, but {', '.join(CHECKS)}." + nearest(str(name), CHECKS)
            )
    if not names:
        raise refused("check", "the name of a check, or a list of names", check)
    return names


def _located(r: Redemptions, cases: Frame, elements: Collection[str | None]) -> Frame:
    """Say where cases stand that do not say it themselves, of the elements that they are in."""
    places = [of(r) for element, of in _PLACES.items() if element in elements]
    if not places:
        return cases
    found = cases.join(nw.concat(places), on=["element", "key"], how="left")
    unknown = nw.col("source") == ""
    return found.with_columns(
        **{name: nw.when(unknown).then(f"_{name}").otherwise(name) for name in ("source", "record")}
    )


def _of_answers(r: Redemptions) -> Frame:
    return _places(frame(r.responses), "responses", "response_id")


def _of_redemptions(r: Redemptions, kind: str) -> Frame:
    rows = frame(getattr(r, kind)).select("redemption_key", "customer_key")
    return _places(
        rows.join(_newest(r, kind), on="customer_key", how="inner"), kind, "redemption_key"
    )


def _of_reversals(r: Redemptions) -> Frame:
    points = frame(r.points).select("redemption_key", "customer_key")
    rows = frame(r.reversals).select("reversal_id", "redemption_key")
    rows = rows.join(points, on="redemption_key", how="inner")
    return _places(
        rows.join(_newest(r, "points"), on="customer_key", how="inner"), "reversals", "reversal_id"
    )


def _newest(r: Redemptions, kind: str) -> Frame:
    """Return the newest answer that holds redemptions of each customer; of equals the last."""
    answers = frame(r.responses).filter(
        ~nw.col("customer_key").is_null() & (nw.col(f"{kind}_loaded") > 0)
    )
    last = answers.group_by("customer_key").agg(nw.col("exported_at").max())
    newest = answers.join(last, on=["customer_key", "exported_at"], how="inner")
    one = newest.group_by("customer_key").agg(nw.col("response_id").max())
    return newest.join(one, on=["customer_key", "response_id"], how="inner").select(
        "customer_key", "source", "record"
    )


def _places(rows: Frame, element: str, key: str) -> Frame:
    return rows.select(
        element=nw.lit(element),
        key=nw.col(key).cast(nw.String),
        _source=nw.col("source"),
        _record=nw.col("record").cast(nw.String),
    )


_PLACES: dict[str, Callable[[Redemptions], Frame]] = {
    "responses": _of_answers,
    "points": partial(_of_redemptions, kind="points"),
    "coupons": partial(_of_redemptions, kind="coupons"),
    "reversals": _of_reversals,
}
