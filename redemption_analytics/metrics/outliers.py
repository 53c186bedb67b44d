"""Outliers: where more redemptions are reversed than chance explains."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import narwhals as nw
import numpy as np
import pyarrow as pa

from redemption_analytics.errors import UsageError
from redemption_analytics.metrics.binomial import binomial_tail
from redemption_analytics.metrics.grouping import By, names
from redemption_analytics.metrics.inference import false_discovery_rates
from redemption_analytics.metrics.rates import reversed_counts
from redemption_analytics.moments import Moment
from redemption_analytics.tables.arguments import public
from redemption_analytics.tables.frames import frame_like
from redemption_analytics.tables.lazy import native
from redemption_analytics.tables.movements import Movements
from redemption_analytics.tables.now import moment_or_now
from redemption_analytics.tables.points import check_sums

if TYPE_CHECKING:
    from redemption_analytics.redemptions import Redemptions


#: A q_value below which a group stands out.
SIGNIFICANT = 0.01


@public
def reversal_outliers(r: Redemptions, by: By = "till_code", as_of: Moment | None = None) -> Any:
    """Test which groups reverse more of their redemptions than the others do.

    Parameters
    ----------
    r
        The bundle.
    by
        As in :func:`redemption_analytics.net_points`, at least one name; periods are those of the
        redemption. Tills are those of the redemption too, not those where it was reversed.
    as_of
        A moment, wall-clock, of which a date means all of that day and a month all of it: what
        happened later is not seen. By default now (:attr:`redemption_analytics.Redemptions.now`),
        when the newest export was made.

    Returns
    -------
    frame
        Of the kind that the bundle holds, sorted by p_value, the least likely group first. The
        columns of ``by``, then

        - redemptions and reversed_redemptions (counts), as
          :func:`redemption_analytics.reversal_rates` has them,
        - expected_reversed_redemptions: how many there would be at the rate of all other groups,
        - p_value: the probability of so many or more at that rate,
        - q_value: the share of false alarms to expect in a list of all groups down to this one.

        The last three are null where there is nothing to compare: a group without redemptions or
        without others, and by program the null program where it only takes points back.

    Raises
    ------
    UsageError
        If ``by`` is not one of those named, or names nothing, or ``as_of`` is no moment.

    Notes
    -----
    p_value is that of the exact binomial test with the alternative "greater": P(X >= k) for X
    binomial with n redemptions and the rate p of all other groups together, so a till with few
    reversals is no outlier. That rate is taken as known: where the others are few, p_value is too
    small, and 0 where they never reverse and this group does. q_value is the false discovery rate
    of Y. Benjamini and Y. Hochberg, "Controlling the false discovery rate" (JRSS B 57, 1995). The
    point probability is C. Loader's, "Fast and accurate computation of binomial probabilities"
    (2000), the others follow by their ratios.

    Recent redemptions, whose reversals are still to come, count as not reversed in every group. The
    test runs at once, on lazy frames too.

    Examples
    --------
    >>> import redemption_analytics as ra
    >>> r = ra.load("data_samples/organisation")
    >>> tills = ra.reversal_outliers(r)
    >>> tills.loc[tills["q_value"] < 0.01, ["till_code", "redemptions", "reversed_redemptions"]]
           till_code  redemptions  reversed_redemptions
    0  station.till2          886                   270
    """
    groups = names(by, custom_of=r)
    if not groups:
        raise UsageError("by names what is held against the others: 'till_code', say")
    columns = [*groups, "redemptions", "reversed_redemptions"]
    check_sums(r.point_sums)
    moved = Movements.of(r.tables, groups).seen_by(moment_or_now(as_of, r.now), None)
    totals = reversed_counts(moved, groups).select(*columns)
    lazy = isinstance(totals, nw.LazyFrame)
    collected: Any = totals.collect() if lazy else totals
    # By way of native, for an index of its own: the columns to come have none.
    rows: Any = nw.from_native(native(collected))
    tests = _tests(rows["redemptions"].to_list(), rows["reversed_redemptions"].to_list())
    measures = nw.from_arrow(pa.table(tests), backend=rows.implementation)
    outliers = rows.with_columns(*measures.iter_columns()).sort("p_value", *groups, nulls_last=True)
    return frame_like(r.points, outliers.to_arrow()) if lazy else native(outliers)


def _tests(redemptions: list[int], reversed_: list[int]) -> dict[str, pa.Array]:
    """Test each group against all others, as far as a rate means something for it."""
    pairs = list(zip(redemptions, reversed_, strict=True))
    proper = [(n, k) for n, k in pairs if 0 < n >= k]
    all_n, all_k = sum(n for n, _ in proper), sum(k for _, k in proper)
    expected: list[float | None] = []
    p_values: list[float | None] = []
    for n, k in pairs:
        others = all_n - n
        if 0 < n >= k and others > 0:
            rate = (all_k - k) / others
            expected.append(n * rate)
            p_values.append(binomial_tail(k, n, rate))
        else:
            expected.append(None)
            p_values.append(None)
    p_array = np.array([p for p in p_values if p is not None], np.float64)
    adjusted = iter(false_discovery_rates(p_array).tolist())
    q_values = [None if p is None else next(adjusted) for p in p_values]
    return {
        "expected_reversed_redemptions": pa.array(expected, pa.float64()),
        "p_value": pa.array(p_values, pa.float64()),
        "q_value": pa.array(q_values, pa.float64()),
    }
