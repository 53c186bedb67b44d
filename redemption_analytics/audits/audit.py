"""The audit: how many cases each check finds, and one of them."""

from __future__ import annotations

from typing import TYPE_CHECKING

import narwhals as nw

from redemption_analytics.audits.checks import checks
from redemption_analytics.moments import Moment
from redemption_analytics.tables.arguments import public
from redemption_analytics.tables.lazy import FrameT, native

if TYPE_CHECKING:
    from redemption_analytics.redemptions import Redemptions


@public
def audit(r: Redemptions[FrameT], as_of: Moment | None = None) -> FrameT:
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
        check.find(fast).select(
            check=nw.lit(check.name),
            severity=nw.lit(check.severity),
            count=nw.col("count").sum().fill_null(0).cast(nw.Int64),
            example=nw.col("example").min().cast(nw.String),
        )
        for check in checks(as_of)
    ]
    found = native(nw.concat(rows))
    told: FrameT = found if fast is r else found.to_pandas()
    return told
