"""The audit: what to know about the data before trusting its numbers."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable
from datetime import datetime
from typing import TYPE_CHECKING, Any, TypeAlias

import narwhals as nw

from redemption_analytics.contract import DISCOUNT_TYPES, SPLITTING
from redemption_analytics.moments import Moment, end
from redemption_analytics.tables.arguments import public
from redemption_analytics.tables.coverage import Kind, said_and_loaded, truncated
from redemption_analytics.tables.lazy import Frame, frame, native
from redemption_analytics.tables.passed_over import MAY_HOLD
from redemption_analytics.tables.rejected import place

if TYPE_CHECKING:
    from redemption_analytics.redemptions import Redemptions

#: How an example names an answer, and what that means: it is a response_id.
_ANSWER = re.compile(r"#\d+/\d+\b")
_NOTATION = "FILE#456/1 is the 456th answer in FILE, its 1st customer"

_Check: TypeAlias = "Callable[[Redemptions], Frame]"


@public
def audit(r: Redemptions, as_of: Moment | None = None) -> Any:
    """Check the data for what makes numbers wrong, truncated exports first of all.

    Parameters
    ----------
    r
        The bundle.
    as_of
        The moment that other functions are asked about, if any: where it lies on a later day than
        now (:attr:`redemption_analytics.Redemptions.now`), that is a warning of its own, since
        nobody knows yet what will have happened by then.

    Returns
    -------
    frame
        Of the kind that the bundle holds, one row per check, in a fixed order, those that found
        nothing included: check, severity ("error": numbers are wrong; "warning": they may be;
        "info": good to know), count (how many cases) and example (one of them; null where there is
        none). Examples name keys and places, never personal data; FILE#456/1 is a response_id.

    Notes
    -----
    truncated_points and truncated_coupons count customers of whom an answer says that they have
    more redemptions in all than were loaded, from whatever answers: the API pages its answers, 10
    redemptions by default and 500 at most. surplus_points and surplus_coupons count those of whom
    more were loaded than their newest answer says that they have. restated counts redemptions of
    which a later export told other points, another program, other shares or other points reversed
    than an earlier one, and says how many points moved in all: from each version to the next by how
    much programs lost, or gained, whichever is more. conflicting_reversal counts reversal_ids that
    stand in two redemptions: the one keeps it of which the newest export told it, and what the
    others told is in the rejects. times_after_export counts redemptions and reversals
    dated more than a day after the export that they are in, which cannot be: no rate, curve or
    reserve looks at them. undated_overlaps counts redemptions that came in several exports of which
    one is dated by the file's modification only (or by the reading), which copies do not keep: what
    is taken for the newest may not be. passed_over_files counts files that were not read and may
    hold answers: hidden or encrypted ones, archives of an unknown kind, pages that a server sent in
    place of answers. The table ``files`` says why of each, and tells of the others, too.

    Examples
    --------
    >>> import redemption_analytics as ra
    >>> r = ra.load("data_samples/2025-stores.json")
    >>> found = ra.audit(r)
    >>> found[found["count"] > 0][["check", "severity", "count"]]
                  check severity  count
    0  truncated_points    error      1
    """
    fast = r.in_arrow()
    rows = [
        check(fast).select(
            check=nw.lit(name),
            severity=nw.lit(severity),
            count=nw.col("count").fill_null(0).cast(nw.Int64),
            example=nw.col("example").cast(nw.String),
        )
        for name, severity, check in (*_CHECKS, _as_of_after_now(end(as_of, "as_of")))
    ]
    found = native(nw.concat(rows))
    return found if fast is r else found.to_pandas()


def notation(examples: Iterable[str]) -> str:
    """Explain how examples name answers, if any does.

    >>> notation(["reversal 7", "2026.jsonl#456/1: 3 said, 1 here"])
    'FILE#456/1 is the 456th answer in FILE, its 1st customer'
    >>> notation(["reversal 7"])
    ''
    """
    return _NOTATION if any(map(_ANSWER.search, examples)) else ""


def _truncated(kind: Kind) -> _Check:
    return lambda r: _said_versus_here(truncated(r.tables, kind))


def _surplus(kind: Kind) -> _Check:
    more = nw.col("here") > nw.col("said")
    return lambda r: _said_versus_here(said_and_loaded(r.tables, kind, newest=True).filter(more))


def _said_versus_here(rows: Frame) -> Frame:
    example = nw.concat_str(
        nw.col("response_id"),
        nw.lit(": "),
        nw.col("said").cast(nw.String),
        nw.lit(" said, "),
        nw.col("here").cast(nw.String),
        nw.lit(" here"),
    )
    return _cases(rows.select(example=example))


def _cases(rows: Frame) -> Frame:
    """Count cases, and take the first in order as the example."""
    return rows.select(count=nw.len(), example=_text("example").min())


def _naming(rows: Frame, kind: str, key: str, *more: nw.Expr) -> Frame:
    """Count rows, with one of them as the example, as in "redemption AfL2vt"."""
    return _cases(rows.select(example=nw.concat_str(nw.lit(f"{kind} "), _text(key), *more)))


def _text(column: str) -> nw.Expr:
    return nw.col(column).cast(nw.String)


def _mismatch(table: str, key: str, part: str, whole_table: str, whole: str) -> _Check:
    """Compare what breakups add up to with what they break up, where there are any."""
    kind = "reversal" if key == "reversal_id" else "redemption"

    def check(r: Redemptions) -> Frame:
        parts = frame(getattr(r, table)).group_by(key).agg(parts=nw.col(part).sum())
        rows = frame(getattr(r, whole_table)).join(parts, on=key, how="inner")
        difference = nw.col("parts") - nw.col(whole)
        wrong = rows.filter(difference.abs() > _nothing(rows, whole))
        return _naming(wrong, kind, key, *_versus("parts", whole))

    return check


def _nothing(rows: Frame, points: str) -> float:
    """Return the largest difference of points that is only one of rounding.

    Sums of decimal points are binary: a fraction of the smallest amount is none. PyArrow does not
    compare whole numbers past 2^53 with a fraction.
    """
    return 0 if rows.collect_schema()[points].is_integer() else 0.0005


def _versus(one: str, other: str) -> tuple[nw.Expr, ...]:
    return (nw.lit(": "), _text(one), nw.lit(" in parts, "), _text(other), nw.lit(" in all"))


def _over_reversed(r: Redemptions) -> Frame:
    back = frame(r.reversals).group_by("redemption_key").agg(back=nw.col("points_reversed").sum())
    rows = frame(r.points).join(back, on="redemption_key", how="inner")
    over = nw.col("back") - nw.col("points_redeemed")
    wrong = rows.filter(over > _nothing(rows, "points_redeemed"))
    return _naming(
        wrong,
        "redemption",
        "redemption_key",
        nw.lit(": "),
        _text("points_redeemed"),
        nw.lit(" redeemed, "),
        _text("back"),
        nw.lit(" reversed"),
    )


def _reversed_before_redeemed(r: Redemptions) -> Frame:
    rows = frame(r.reversals).join(
        frame(r.points).select("redemption_key", "redeemed_time"), on="redemption_key", how="inner"
    )
    return _naming(
        rows.filter(nw.col("reversal_time") < nw.col("redeemed_time")), "reversal", "reversal_id"
    )


def _split_customers(r: Redemptions) -> Frame:
    """Count mobiles and emails that stand under two keys; an example names answers, not people.

    Where the tables have no identities any more, the loader counted them.
    """
    customers = frame(r.customers)
    split = []
    for identity in SPLITTING:
        named = customers.filter(~nw.col(identity).is_null())
        keys = named.group_by(identity).agg(
            keys=nw.len(), customer_key=nw.col("customer_key").min()
        )
        split.append(keys.filter(nw.col("keys") > 1).select("customer_key", what=nw.lit(identity)))
    shown = frame(r.responses).group_by("customer_key").agg(response_id=nw.col("response_id").min())
    rows = nw.concat(split).join(shown, on="customer_key", how="left")
    example = nw.concat_str(
        nw.lit("the "), nw.col("what"), nw.lit(" in "), nw.col("response_id").fill_null("a table")
    )
    counted = [_cases(rows.select(example=example)), _found("split_customers")(r)]
    both = nw.concat([one.with_columns(nw.col("count").cast(nw.Int64)) for one in counted])
    # pandas 2 does not compare a missing example with a text.
    return both.filter(nw.col("count") > 0).select(
        count=nw.col("count").sum(), example=_text("example").min()
    )


def _unknown_discount_type(r: Redemptions) -> Frame:
    types = nw.col("discount_type")
    rows = frame(r.coupons).filter(~types.is_null() & ~types.is_in(DISCOUNT_TYPES))
    return _naming(rows, "coupon redemption", "redemption_key", nw.lit(": "), types)


def _failed_responses(r: Redemptions) -> Frame:
    return _cases(
        frame(r.responses).filter(~nw.col("success")).select(example=nw.col("response_id"))
    )


def _missing_redeemed_time(r: Redemptions) -> Frame:
    rows = [
        frame(table)
        .filter(nw.col("redeemed_time").is_null())
        .select(example=nw.concat_str(nw.lit(f"{kind} "), nw.col("redemption_key")))
        for kind, table in (("redemption", r.points), ("coupon redemption", r.coupons))
    ]
    return _cases(nw.concat(rows))


def _merged_duplicates(r: Redemptions) -> Frame:
    rows = frame(r.ledger).filter(nw.col("element").is_in(["points", "coupons"]))
    rows = rows.filter(nw.col("merged") > 0)
    example = nw.concat_str(_text("merged"), nw.lit(" of "), nw.col("element"))
    return rows.select(count=nw.col("merged").sum(), example=example.max())


def _rejected(r: Redemptions) -> Frame:
    return _cases(frame(r.rejects).select(example=place()))


def _passed_over_files(r: Redemptions) -> Frame:
    rows = frame(r.files).filter(nw.col("reason").str.starts_with(MAY_HOLD))
    why = nw.col("reason").str.slice(len(MAY_HOLD))
    return _cases(rows.select(example=nw.concat_str(nw.col("source"), nw.lit(": "), why)))


def _found(name: str) -> _Check:
    """Count what the loader found."""

    def check(r: Redemptions) -> Frame:
        rows = frame(r.findings).filter(nw.col("check") == name)
        return rows.select(count=nw.col("count").sum(), example=_text("example").min())

    return check


def _as_of_after_now(as_of: datetime | None) -> tuple[str, str, _Check]:
    """Return the check that the moment asked about is not after now, by the day."""

    def check(r: Redemptions) -> Frame:
        later = as_of is not None and r.now is not None and as_of.date() > r.now.date()
        said = f"as of {as_of:%Y-%m-%d %H:%M}, now is {r.now:%Y-%m-%d %H:%M}" if later else None
        one = frame(r.findings).select(count=nw.len())
        return one.with_columns(count=nw.lit(int(later)), example=nw.lit(said, nw.String))

    return "as_of_after_now", "warning", check


_CHECKS: tuple[tuple[str, str, _Check], ...] = (
    ("truncated_points", "error", _truncated("points")),
    ("truncated_coupons", "error", _truncated("coupons")),
    ("surplus_points", "warning", _surplus("points")),
    ("surplus_coupons", "warning", _surplus("coupons")),
    (
        "breakup_mismatch",
        "warning",
        _mismatch(
            "program_breakups", "redemption_key", "points_redeemed", "points", "points_redeemed"
        ),
    ),
    (
        "reversal_breakup_mismatch",
        "warning",
        _mismatch(
            "reversal_breakups", "reversal_id", "points_reversed", "reversals", "points_reversed"
        ),
    ),
    (
        "source_breakup_mismatch",
        "warning",
        _mismatch(
            "source_breakups", "redemption_key", "points_consumed", "points", "points_redeemed"
        ),
    ),
    ("over_reversed", "error", _over_reversed),
    ("reversed_before_redeemed", "warning", _reversed_before_redeemed),
    ("times_after_export", "error", _found("times_after_export")),
    ("undated_overlaps", "warning", _found("undated_overlaps")),
    ("vanished_reversals", "warning", _found("vanished_reversals")),
    ("restated", "warning", _found("restated")),
    ("conflicting_reversal", "error", _found("conflicting_reversal")),
    ("conflicting_customer", "error", _found("conflicting_customer")),
    ("split_customers", "warning", _split_customers),
    ("unknown_discount_type", "info", _unknown_discount_type),
    ("unknown_fields", "info", _found("unknown_fields")),
    ("failed_responses", "warning", _failed_responses),
    ("missing_redeemed_time", "warning", _missing_redeemed_time),
    ("epoch_times", "warning", _found("epoch_times")),
    ("merged_duplicates", "info", _merged_duplicates),
    ("passed_over_files", "warning", _passed_over_files),
    ("rejected", "error", _rejected),
)
