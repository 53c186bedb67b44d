"""The bundle at a glance: what is in it, and what became of what was seen, as text and as HTML."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from html import escape
from typing import Any

import narwhals as nw
import pyarrow.compute as pc

from redemption_analytics.tables.coverage import Kind, truncated
from redemption_analytics.tables.frames import as_arrow
from redemption_analytics.tables.passed_over import MAY_HOLD
from redemption_analytics.visible import visible

_COUNTS = ("seen", "merged", "rejected")
_SHOWN_SOURCES = 3
_KINDS: dict[Kind, str] = {"points": "points redemption", "coupons": "coupon redemption"}


@dataclass(frozen=True)
class Missing:
    """Redemptions that answers speak of and that were not loaded."""

    kind: str
    customers: int
    redemptions: int


@dataclass(frozen=True)
class Summary:
    """What a glance at a bundle tells. Nothing in it is personal.

    Attributes
    ----------
    rows
        Of each table; None where counting would read what is not in memory.
    ledger
        Of each kind of element, seen, loaded, merged, rejected and passed over; empty where
        nothing was loaded.
    redeemed
        The first and the last time of a redemption.
    missing
        Where answers were truncated.
    rejected_in
        Rejects of each source, the most first.
    lazy
        Whether the tables are not in memory, so that most of this is not told.
    doubtful
        How many files were passed over that may hold answers.
    """

    rows: Mapping[str, int | None]
    ledger: Mapping[str, Mapping[str, int]]
    redeemed: tuple[datetime, datetime] | None
    missing: Sequence[Missing]
    rejected_in: Sequence[tuple[str, int]]
    lazy: bool
    doubtful: int = 0


def summary(tables: Mapping[str, Any], ledger: Any) -> Summary:
    """Sum a bundle up; of what is not in memory only its ledger is read."""
    books = {row.pop("element"): row for row in as_arrow(ledger).to_pylist()}
    seen = {name: nw.from_native(table) for name, table in tables.items()}
    if any(isinstance(table, nw.LazyFrame) for table in seen.values()):
        known = {name: counts["loaded"] for name, counts in books.items()}
        if books:
            known["files"] = books["files"]["seen"]
            known["rejects"] = sum(counts["rejected"] for counts in books.values())
        rows = {name: known.get(name) for name in seen}
        return Summary(rows, books, None, (), (), lazy=True)
    return Summary(
        {name: len(table) for name, table in seen.items()},
        books,
        _redeemed(seen),
        [missing for kind in _KINDS if (missing := _missing(tables, seen, kind)) is not None],
        _rejected_in(seen["rejects"]),
        lazy=False,
        doubtful=_doubtful(seen["files"]),
    )


def as_text(s: Summary) -> str:
    """Write a summary for a terminal, aligned."""
    rows = _table(s)
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    lines = [
        first.ljust(widths[0])
        + "".join(f"  {cell:>{width}}" for cell, width in zip(cells, widths[1:], strict=True))
        for first, *cells in rows
    ]
    for label, said in _notes(s):
        heads = [label, *[""] * (len(said) - 1)]
        lines += [
            f"{'  ' + head:<{widths[0]}}  {line}" for head, line in zip(heads, said, strict=True)
        ]
    return "\n".join(line.rstrip() for line in lines)


def as_html(s: Summary) -> str:
    """Write a summary for a notebook, in its own colours, whether dark or light."""
    (title, *columns), *rows = _table(s)
    heads = "".join(f'<th scope="col" style="{_RIGHT}">{name}</th>' for name in columns)
    body = "".join(
        f"<tr>{_row_head(name.strip())}{''.join(map(_number, columns, cells))}</tr>"
        for name, *cells in rows
    )
    notes = "".join(
        f'<tr>{_row_head(label)}<td colspan="{len(columns)}" style="{_LEFT}">'
        f"{'<br>'.join(map(escape, said))}</td></tr>"
        for label, said in _notes(s)
    )
    return (
        '<table style="font-variant-numeric:tabular-nums">'
        f'<caption style="{_LEFT};caption-side:top;font-weight:bold">{title}</caption>'
        f'<thead><tr><th scope="col" style="{_LEFT}">table</th>{heads}</tr></thead>'
        f"<tbody>{body}</tbody><tbody>{notes}</tbody></table>"
    )


_LEFT, _RIGHT = "text-align:left", "text-align:right"


def _row_head(name: str) -> str:
    return f'<th scope="row" style="{_LEFT}">{escape(name)}</th>'


def _number(column: str, cell: str) -> str:
    bold = column == "rejected" and cell not in ("", "0")
    shown = f"<strong>{escape(cell)}</strong>" if bold else escape(cell)
    return f'<td style="{_RIGHT}">{shown}</td>'


def _table(s: Summary) -> list[tuple[str, ...]]:
    """Return the header and a row of cells per table; the ledger beside them where there is one."""
    counts = _COUNTS if s.ledger else ()
    rows: list[tuple[str, ...]] = [("Redemptions", "rows", *counts)]
    for name, count in s.rows.items():
        books = s.ledger.get(name)
        cells = ["" if books is None else f"{books[column]:,}" for column in counts]
        rows.append((f"  {name}", "not read" if count is None else f"{count:,}", *cells))
    return rows


def _notes(s: Summary) -> Iterator[tuple[str, list[str]]]:
    """Yield what is said below the table, as labels and lines."""
    if files := s.ledger.get("files"):
        refused = f", {files['rejected']:,} rejected" if files["rejected"] else ""
        passed = (
            f", {files['passed_over']:,} passed over: see files" if files["passed_over"] else ""
        )
        read = [f"{_counted(files['loaded'], 'file')}{refused}{passed}"]
        if s.doubtful:
            read.append(f"{s.doubtful:,} passed over that may hold answers: see audit")
        yield "read", read
    if s.redeemed:
        first, last = s.redeemed
        yield "redeemed", [f"{first:%Y-%m-%d} to {last:%Y-%m-%d}"]
    if s.lazy:
        yield "not read", ["time span and truncation, as tables are not in memory: see audit"]
    if s.missing:
        yield (
            "truncated",
            [
                f"{_counted(part.customers, 'customer misses', 'customers miss')}"
                f" {_counted(part.redemptions, part.kind)}: see audit"
                for part in s.missing
            ],
        )
    if rejects := s.rows["rejects"]:
        shown, rest = s.rejected_in[:_SHOWN_SOURCES], s.rejected_in[_SHOWN_SOURCES:]
        places = [f"{count:,} in {visible(source)}" for source, count in shown]
        if rest:
            places.append(f"{sum(count for _, count in rest):,} in {len(rest):,} more")
        yield "rejected", [f"{rejects:,}: see rejects", *places]


def _counted(count: int, one: str, many: str = "") -> str:
    return f"{count:,} {one if count == 1 else many or one + 's'}"


def _redeemed(tables: Mapping[str, Any]) -> tuple[datetime, datetime] | None:
    times = [
        tables[name]["redeemed_time"].drop_nulls()
        for name in _KINDS
        if tables[name].schema.get("redeemed_time") == nw.Datetime
    ]
    known = [column for column in times if len(column)]
    if not known:
        return None
    return min(column.min() for column in known), max(column.max() for column in known)


def _missing(tables: Mapping[str, Any], seen: Mapping[str, Any], kind: Kind) -> Missing | None:
    answers = seen["responses"]
    needed = {"response_id", "customer_key", f"{kind}_count", f"{kind}_loaded"}
    # Frames that people hold may lack what nobody has checked yet: no reason for a repr to fail.
    if not len(answers) or needed - set(answers.columns):
        return None
    if "customer_key" not in seen[kind].columns:
        return None
    found = as_arrow(truncated(tables, kind))
    missing = pc.sum(pc.subtract(found["said"], found["here"])).as_py()
    return Missing(_KINDS[kind], len(found), missing) if len(found) else None


def _doubtful(files: Any) -> int:
    if not len(files) or "reason" not in files.columns:
        return 0
    return len(files.filter(nw.col("reason").str.starts_with(MAY_HOLD)))


def _rejected_in(rejects: Any) -> list[tuple[str, int]]:
    if not len(rejects) or "source" not in rejects.columns:
        return []
    return Counter(rejects["source"].to_list()).most_common()
