"""The checks of the audit: each finds the cases of something that makes numbers wrong."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING, Any, Literal, TypeAlias

import narwhals as nw

from redemption_analytics.contract import DISCOUNT_TYPES, SPLITTING
from redemption_analytics.merging.customers import MOST_KEYS
from redemption_analytics.moments import Moment, end
from redemption_analytics.tables.coverage import Kind, said_and_loaded, truncated
from redemption_analytics.tables.frames import as_arrow
from redemption_analytics.tables.lazy import Frame, frame, native
from redemption_analytics.tables.passed_over import MAY_HOLD
from redemption_analytics.tables.rejected import place

if TYPE_CHECKING:
    from redemption_analytics.redemptions import Redemptions

Severity: TypeAlias = Literal["error", "warning", "info"]

#: What a case is called in an example, by the table that it is a row of.
_KINDS = {"points": "redemption", "coupons": "coupon redemption", "reversals": "reversal"}

#: What is wrong with cases of which the loader's text only names them.
_SAID = {
    "undated_overlaps": "in several exports, of which one does not say when it was made",
    "vanished_reversals": "in an earlier export, and in the newest no more",
    "conflicting_customer": "told of two customers",
}

#: What a case says of itself; a check gives those that it knows. As long as an engine holds them,
#: numbers of records and lines are texts, and what is not known is a text without characters:
#: pandas has no whole numbers that are all null, and takes null texts for another type.
CASE_COLUMNS: dict[str, type[nw.String] | type[nw.Int64]] = {
    "element": nw.String,
    "key": nw.String,
    "source": nw.String,
    "record": nw.String,
    "line": nw.String,
    "what": nw.String,
    "count": nw.Int64,
    "example": nw.String,
}


@dataclass(frozen=True)
class Check:
    """A check.

    Attributes
    ----------
    name, severity
        As the audit says them.
    find
        Finds its cases in a bundle: ``element`` (the table that each is in; null for what is in
        none), ``key`` (of the row there; of an answer its response_id), ``source``, ``record`` and
        ``line`` (where it stands, if the case itself says it), ``what`` (what is wrong), ``count``
        (how many it stands for) and ``example`` (how the audit says it).
    list
        Finds them one by one, where ``find`` only knows how many they are.
    """

    name: str
    severity: Severity
    find: Callable[[Redemptions], Frame]
    list: Callable[[Redemptions], Frame]


def checks(as_of: Moment | None) -> list[Check]:
    """Return the checks in their order, the last being of the moment that is asked about."""
    return [*_CHECKS, _as_of_after_now(end(as_of, "as_of"))]


def _cases(rows: Frame, **columns: nw.Expr | str) -> Frame:
    """Return rows as cases; a text given is the same for all of them."""
    given = {"count": nw.lit(1, nw.Int64)} | columns
    shown = {}
    for name, kind in CASE_COLUMNS.items():
        value = given.get(name, "")
        shown[name] = (value if isinstance(value, nw.Expr) else nw.lit(value, kind)).cast(kind)
    # A selection of nothing but literals would be a row, of no rows too.
    return rows.with_columns(**shown).select(*shown)


def _of(rows: Frame, element: str, key: str, what: nw.Expr | str, *more: nw.Expr) -> Frame:
    """Return rows of a table as cases, as in "redemption AfL2vt"; more says what is wrong there."""
    named = nw.concat_str(nw.lit(f"{_KINDS[element]} "), _text(key))
    example = nw.concat_str(named, nw.lit(": "), *more) if more else named
    return _cases(rows, element=element, key=_text(key), what=what, example=example)


def _text(column: str) -> nw.Expr:
    return nw.col(column).cast(nw.String)


def _of_answers(rows: Frame, what: nw.Expr | str, *more: nw.Expr) -> Frame:
    answer = nw.col("response_id")
    example = nw.concat_str(answer, nw.lit(": "), *more) if more else answer
    return _cases(rows, element="responses", key=answer, what=what, example=example)


def _truncated(kind: Kind) -> Callable[[Redemptions], Frame]:
    return lambda r: _said_versus_here(truncated(r.tables, kind))


def _surplus(kind: Kind) -> Callable[[Redemptions], Frame]:
    more = nw.col("here") > nw.col("said")
    return lambda r: _said_versus_here(said_and_loaded(r.tables, kind, newest=True).filter(more))


def _said_versus_here(rows: Frame) -> Frame:
    numbers = (_text("said"), nw.lit(" said, "), _text("here"), nw.lit(" here"))
    return _of_answers(rows, nw.concat_str(*numbers), *numbers)


def _mismatch(
    table: str, key: str, part: str, element: str, whole: str
) -> Callable[[Redemptions], Frame]:
    """Compare what breakups add up to with what they break up, where there are any."""

    def find(r: Redemptions) -> Frame:
        parts = frame(getattr(r, table)).group_by(key).agg(parts=nw.col(part).sum())
        rows = frame(getattr(r, element)).join(parts, on=key, how="inner")
        difference = nw.col("parts") - nw.col(whole)
        wrong = rows.filter(difference.abs() > _nothing(rows, whole))
        numbers = (_text("parts"), nw.lit(" in parts, "), _text(whole), nw.lit(" in all"))
        return _of(wrong, element, key, nw.concat_str(*numbers), *numbers)

    return find


def _nothing(rows: Frame, points: str) -> float:
    """Return the largest difference of points that is only one of rounding.

    Sums of decimal points are binary: a fraction of the smallest amount is none. PyArrow does not
    compare whole numbers past 2^53 with a fraction.
    """
    return 0 if rows.collect_schema()[points].is_integer() else 0.0005


def _over_reversed(r: Redemptions) -> Frame:
    back = frame(r.reversals).group_by("redemption_key").agg(back=nw.col("points_reversed").sum())
    rows = frame(r.points).join(back, on="redemption_key", how="inner")
    over = nw.col("back") - nw.col("points_redeemed")
    wrong = rows.filter(over > _nothing(rows, "points_redeemed"))
    numbers = (_text("points_redeemed"), nw.lit(" redeemed, "), _text("back"), nw.lit(" reversed"))
    return _of(wrong, "points", "redemption_key", nw.concat_str(*numbers), *numbers)


def _reversed_before_redeemed(r: Redemptions) -> Frame:
    rows = frame(r.reversals).join(
        frame(r.points).select("redemption_key", "redeemed_time"), on="redemption_key", how="inner"
    )
    wrong = rows.filter(nw.col("reversal_time") < nw.col("redeemed_time"))
    what = nw.concat_str(
        nw.lit("reversed "),
        _minute("reversal_time"),
        nw.lit(", redeemed "),
        _minute("redeemed_time"),
    )
    return _of(wrong, "reversals", "reversal_id", what)


def _minute(column: str) -> nw.Expr:
    return nw.col(column).dt.to_string("%Y-%m-%d %H:%M")


def _split_customers(r: Redemptions) -> Frame:
    """Find mobiles and emails that stand under two keys; a case names answers, not people.

    What more keys share than one customer may have is a shop's own, and splits nobody.
    """
    customers = frame(r.customers)
    split = []
    for identity in SPLITTING:
        named = customers.filter(~nw.col(identity).is_null())
        keys = named.group_by(identity).agg(
            keys=nw.len(), customer_key=nw.col("customer_key").min()
        )
        several = (nw.col("keys") > 1) & (nw.col("keys") <= MOST_KEYS)
        split.append(keys.filter(several).select("customer_key", what=nw.lit(identity)))
    shown = frame(r.responses).group_by("customer_key").agg(response_id=nw.col("response_id").min())
    rows = nw.concat(split).join(shown, on="customer_key", how="left")
    return _cases(
        rows,
        element="responses",
        key=nw.col("response_id"),
        what=nw.concat_str(
            nw.lit("the "), nw.col("what"), nw.lit(" of its customer stands under another, too")
        ),
        example=nw.concat_str(
            nw.lit("the "),
            nw.col("what"),
            nw.lit(" in "),
            nw.col("response_id").fill_null("a table"),
        ),
    )


def _unknown_discount_type(r: Redemptions) -> Frame:
    types = nw.col("discount_type")
    rows = frame(r.coupons).filter(~types.is_null() & ~types.is_in(DISCOUNT_TYPES))
    return _of(rows, "coupons", "redemption_key", types, types)


def _failed_responses(r: Redemptions) -> Frame:
    code = nw.concat_str(nw.lit("failed, with code "), _text("status_code"))
    rows = frame(r.responses).filter(~nw.col("success"))
    return _of_answers(rows, code.fill_null("failed"))


def _missing_redeemed_time(r: Redemptions) -> Frame:
    found = []
    for element, table in (("points", r.points), ("coupons", r.coupons)):
        rows = frame(table).filter(nw.col("redeemed_time").is_null())
        found.append(_of(rows, element, "redemption_key", "it has no time"))
    return nw.concat(found)


def _missing_reversal_time(r: Redemptions) -> Frame:
    rows = frame(r.reversals).filter(nw.col("reversal_time").is_null())
    return _of(rows, "reversals", "reversal_id", "it has no time")


def _merged(r: Redemptions) -> Frame:
    rows = frame(r.ledger).filter(nw.col("element").is_in(["points", "coupons"]))
    example = nw.concat_str(_text("merged"), nw.lit(" of "), nw.col("element"))
    return rows.filter(nw.col("merged") > 0).with_columns(example=example)


def _count_repeats(r: Redemptions) -> Frame:
    rows = _merged(r).select(count=nw.col("merged").sum(), example=nw.col("example").max())
    return _cases(rows, count=nw.col("count"), example=nw.col("example"))


def _list_repeats(r: Redemptions) -> Frame:
    """List repeats by kind: nobody kept them one by one."""
    return _cases(
        _merged(r),
        element=nw.col("element"),
        count=nw.col("merged"),
        what="repeats of what is there, and counted once",
        example=nw.col("example"),
    )


def _rejected(r: Redemptions) -> Frame:
    path = nw.concat_str(nw.col("path"), nw.lit(": ")).fill_null("")
    return _cases(
        frame(r.rejects),
        source=nw.col("source"),
        record=nw.col("record"),
        line=nw.col("line"),
        what=nw.concat_str(path, nw.col("reason")),
        example=place(),
    )


def _passed_over_files(r: Redemptions) -> Frame:
    rows = frame(r.files).filter(nw.col("reason").str.starts_with(MAY_HOLD))
    why = nw.col("reason").str.slice(len(MAY_HOLD))
    return _cases(
        rows,
        element="files",
        source=nw.col("source"),
        what=why,
        example=nw.concat_str(nw.col("source"), nw.lit(": "), why),
    )


def _counted(name: str) -> Callable[[Redemptions], Frame]:
    """Take what the loader counted."""

    def find(r: Redemptions) -> Frame:
        text = nw.col("example")
        counted = frame(r.findings).filter(nw.col("check") == name)
        return _cases(counted, what=text, count=nw.col("count"), example=text)

    return find


def _kept(name: str) -> Callable[[Redemptions], Frame]:
    """Take the cases that the loader kept, or what it counted where a bundle has no cases."""

    def find(r: Redemptions) -> Frame:
        if not _has_any(r.cases, name):
            return _counted(name)(r)
        kept = frame(r.cases).filter(nw.col("check") == name)
        text = nw.col("example")
        return _cases(
            kept,
            element=nw.col("element"),
            key=nw.col("key"),
            what=_SAID.get(name, text),
            example=text,
        )

    return find


def _has_any(rows: Any, name: str) -> bool:
    """Check whether the loader has anything for a check."""
    return len(as_arrow(native(frame(rows).filter(nw.col("check") == name).head(1)))) > 0


def _here(name: str, severity: Severity, find: Callable[[Redemptions], Frame]) -> Check:
    """Make a check that sees its cases in the tables."""
    return Check(name, severity, find, find)


def _loaders(name: str, severity: Severity) -> Check:
    """Make a check of which only the loader saw the cases."""
    return Check(name, severity, _counted(name), _kept(name))


def _split(severity: Severity) -> Check:
    """Make the check of split customers: the loader's where tables have no identities any more."""
    name = "split_customers"

    def either(of_loader: Callable[[Redemptions], Frame]) -> Callable[[Redemptions], Frame]:
        return lambda r: of_loader(r) if _has_any(r.findings, name) else _split_customers(r)

    return Check(name, severity, either(_counted(name)), either(_kept(name)))


def _as_of_after_now(as_of: datetime | None) -> Check:
    """Return the check that the moment asked about is not after now, by the day."""

    def find(r: Redemptions) -> Frame:
        later = as_of is not None and r.now is not None and as_of.date() > r.now.date()
        said = f"as of {as_of:%Y-%m-%d %H:%M}, now is {r.now:%Y-%m-%d %H:%M}" if later else ""
        one = frame(r.findings).select(rows=nw.len())
        return _cases(one if later else one.filter(nw.col("rows") < 0), what=said, example=said)

    return _here(_AFTER_NOW, "warning", find)


_AFTER_NOW = "as_of_after_now"

_CHECKS = (
    _here("truncated_points", "error", _truncated("points")),
    _here("truncated_coupons", "error", _truncated("coupons")),
    _here("surplus_points", "warning", _surplus("points")),
    _here("surplus_coupons", "warning", _surplus("coupons")),
    _here(
        "breakup_mismatch",
        "warning",
        _mismatch(
            "program_breakups", "redemption_key", "points_redeemed", "points", "points_redeemed"
        ),
    ),
    _here(
        "reversal_breakup_mismatch",
        "warning",
        _mismatch(
            "reversal_breakups", "reversal_id", "points_reversed", "reversals", "points_reversed"
        ),
    ),
    _here(
        "source_breakup_mismatch",
        "warning",
        _mismatch(
            "source_breakups", "redemption_key", "points_consumed", "points", "points_redeemed"
        ),
    ),
    _here("over_reversed", "error", _over_reversed),
    _here("reversed_before_redeemed", "warning", _reversed_before_redeemed),
    _loaders("times_after_export", "error"),
    _loaders("undated_overlaps", "warning"),
    _loaders("vanished_reversals", "warning"),
    _loaders("restated", "warning"),
    _loaders("conflicting_reversal", "error"),
    _loaders("conflicting_customer", "error"),
    _split("warning"),
    _here("unknown_discount_type", "info", _unknown_discount_type),
    _loaders("unknown_fields", "info"),
    _here("failed_responses", "warning", _failed_responses),
    _here("missing_redeemed_time", "warning", _missing_redeemed_time),
    _here("missing_reversal_time", "warning", _missing_reversal_time),
    _loaders("epoch_times", "warning"),
    Check("merged_duplicates", "info", _count_repeats, _list_repeats),
    _here("passed_over_files", "warning", _passed_over_files),
    _here("rejected", "error", _rejected),
)

#: The names of the checks, in the order of the audit's rows.
CHECKS = (*(check.name for check in _CHECKS), _AFTER_NOW)
