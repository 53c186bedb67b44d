"""What a report says of the data: the audit and the ledger in plain words."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import pyarrow as pa

from redemption_analytics.numerals import many, number
from redemption_analytics.visible import shortened

#: What each finding of the audit means, for one case and for several, and what to do about it.
SENTENCES: dict[str, tuple[str, str, str]] = {
    "truncated_points": (
        "customer has more points redemptions than the exports hold",
        "customers have more points redemptions than the exports hold",
        "Their points are missing from every figure here. Export again with a larger page size.",
    ),
    "truncated_coupons": (
        "customer has more coupon redemptions than the exports hold",
        "customers have more coupon redemptions than the exports hold",
        "Their coupons are missing here. Export again with a larger page size.",
    ),
    "surplus_points": (
        "customer has more points redemptions here than the newest answer says",
        "customers have more points redemptions here than their newest answers say",
        "One redemption may count twice here. Compare with the platform's own screens.",
    ),
    "surplus_coupons": (
        "customer has more coupon redemptions here than the newest answer says",
        "customers have more coupon redemptions here than their newest answers say",
        "One redemption may count twice here. Compare with the platform's own screens.",
    ),
    "breakup_mismatch": (
        "redemption has a program breakup that does not add up to its points",
        "redemptions have a program breakup that does not add up to their points",
        "The totals are right; the difference is with the only program, or with no program.",
    ),
    "reversal_breakup_mismatch": (
        "reversal has a program breakup that does not add up to its points",
        "reversals have a program breakup that does not add up to their points",
        "The totals are right; the difference is with the only program, or with no program.",
    ),
    "source_breakup_mismatch": (
        "redemption has a source breakup that does not add up to its points",
        "redemptions have a source breakup that does not add up to their points",
        "Only the figures on where points were earned are touched.",
    ),
    "over_reversed": (
        "redemption had more points given back than it took",
        "redemptions had more points given back than they took",
        "Ask the platform's operator how that could be.",
    ),
    "reversed_before_redeemed": (
        "reversal is dated before its redemption",
        "reversals are dated before their redemption",
        "They count as reversed on the same day.",
    ),
    "times_after_export": (
        "redemption or reversal is dated after the export that it is in",
        "redemptions or reversals are dated after the export that they are in",
        "No rate, curve or reserve looks at them; they count in the points redeemed and reversed."
        " Have the dates put right.",
    ),
    "undated_overlaps": (
        "redemption came in several exports of which one does not say when it was made",
        "redemptions came in several exports of which one does not say when it was made",
        "The time of the file decided which is newer, and copies have new times: put the date of"
        " the export into its path.",
    ),
    "as_of_after_now": (
        "moment was asked about that is later than the newest export",
        "moments were asked about that are later than the newest export",
        "What will have happened by then is not known yet: figures of its last days are too low.",
    ),
    "vanished_reversals": (
        "reversal was in an earlier export and is in the newest no more",
        "reversals were in an earlier export and are in the newest no more",
        "They still count here.",
    ),
    "restated": (
        "redemption was told otherwise in an earlier export: points, program, shares or reversals",
        "redemptions were told otherwise in earlier exports: points, program, shares or reversals",
        "The newest export counts; figures drawn from earlier ones differ.",
    ),
    "conflicting_reversal": (
        "reversal_id stands in two redemptions",
        "reversal_ids stand in two redemptions",
        "The newest redemption keeps it; the others are in the rejects.",
    ),
    "conflicting_customer": (
        "redemption came with two different customers",
        "redemptions came with two different customers",
        "The newest export decides; check how customers are named in the exports.",
    ),
    "split_customers": (
        "mobile number or email address stands under two customers",
        "mobile numbers or email addresses stand under two customers",
        "Counts of customers may be a little too high. What more than 50 share does not count.",
    ),
    "unknown_discount_type": (
        "coupon redemption has a discount type that the interface does not document",
        "coupon redemptions have a discount type that the interface does not document",
        "It is counted as a coupon; its value is in no sum.",
    ),
    "unknown_fields": (
        "field in the exports is not known to this library",
        "fields in the exports are not known to this library",
        "They are ignored. A new edition of the interface may have come.",
    ),
    "failed_responses": (
        "answer says that its request failed",
        "answers say that their request failed",
        "Those customers may be missing. Export them again.",
    ),
    "missing_redeemed_time": (
        "redemption has no time",
        "redemptions have no time",
        "They are in the totals and in no period.",
    ),
    "missing_reversal_time": (
        "reversal has no time",
        "reversals have no time",
        "They are taken off their redemptions at any moment, and posted in no period.",
    ),
    "epoch_times": (
        "time is the first of January 1970, or a day from it, and was taken for none",
        "times are the first of January 1970, or a day from it, and were taken for none",
        "Some program wrote zero where it knew no time. Ask who made the exports.",
    ),
    "merged_duplicates": (
        "repeated redemption was counted once",
        "repeated redemptions were counted once",
        "Exports overlap; that is as it should be.",
    ),
    "passed_over_files": (
        "file was not read that may hold answers",
        "files were not read that may hold answers",
        "What they hold is in no figure here. The table files says of each why, and what to do.",
    ),
    "rejected": (
        "element did not fit the interface's contract and was refused",
        "elements did not fit the interface's contract and were refused",
        "They are in no figure here. rejects.parquet names the place of each.",
    ),
}

#: In characters: an example is to be looked up, and its path may be long.
_LONGEST_EXAMPLE = 200

_SEVERITIES = {"error": "Wrong", "warning": "Check", "info": "Good to know"}


@dataclass(frozen=True)
class Finding:
    """One finding in plain words: how bad, what, what to do, and an example to look up."""

    check: str
    severity: str
    word: str
    text: str
    remedy: str
    example: str


def in_words(audit: pa.Table) -> list[Finding]:
    """Return what the audit found in words, errors first."""
    found = [row for row in audit.to_pylist() if row["count"]]
    order = list(_SEVERITIES)
    found.sort(key=lambda row: order.index(row["severity"]))
    findings = []
    for row in found:
        one, several, remedy = SENTENCES[row["check"]]
        text = f"{number(row['count'])} {one if row['count'] == 1 else several}."
        word = _SEVERITIES[row["severity"]]
        example = shortened(row["example"] or "", _LONGEST_EXAMPLE)
        findings.append(Finding(row["check"], row["severity"], word, text, remedy, example))
    return findings


def verdict(findings: list[Finding]) -> str:
    """Return a sentence on whether the figures can be trusted."""
    errors = sum(finding.severity == "error" for finding in findings)
    warnings = sum(finding.severity == "warning" for finding in findings)
    if errors:
        things = "1 thing makes" if errors == 1 else f"{errors} things make"
        return f"{things} figures wrong, and {warnings} should be checked."
    if warnings:
        things = "1 thing" if warnings == 1 else f"{warnings} things"
        return f"Nothing is known to be wrong; {things} should be checked."
    return "Nothing was found that makes figures wrong."


def completeness(ledger: pa.Table) -> list[str]:
    """Return in words what became of all that was read."""
    names = {"points": "points redemption", "coupons": "coupon redemption"}
    files = [
        _became(
            f"{many(row['seen'], 'file')} met",
            {"read": row["loaded"], "passed over": row["passed_over"], "refused": row["rejected"]},
        )
        for row in ledger.to_pylist()
        if row["element"] == "files"
    ]
    return files + [
        _became(
            f"{many(row['seen'], names[row['element']])} read",
            {
                "kept": row["loaded"],
                "found again in other exports": row["merged"],
                "refused": row["rejected"],
            },
        )
        for row in ledger.to_pylist()
        if row["element"] in names and row["seen"]
    ]


def _became(what: str, fates: Mapping[str, int]) -> str:
    """Say what became of things, without what became of none.

    >>> _became("7 files met", {"read": 5, "passed over": 2, "refused": 0})
    'Of 7 files met, 5 were read and 2 were passed over.'
    >>> _became("1 file met", {"read": 1, "passed over": 0, "refused": 0})
    'Of 1 file met, 1 was read.'
    """
    *said, last = [
        f"{number(count)} {'was' if count == 1 else 'were'} {fate}"
        for fate, count in fates.items()
        if count or not any(fates.values())
    ]
    return f"Of {what}, {' and '.join(filter(None, [', '.join(said), last]))}."
