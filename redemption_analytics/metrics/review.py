"""Customers to review: those who redeem and reverse again and again."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import narwhals as nw
import numpy as np
import pandas as pd

from redemption_analytics.errors import refused
from redemption_analytics.loading.option_checks import count
from redemption_analytics.metrics.computed import handed_back, keys_of
from redemption_analytics.metrics.excess import against_others
from redemption_analytics.metrics.inference import COMMON, false_discovery_rates
from redemption_analytics.metrics.outliers import SIGNIFICANT
from redemption_analytics.metrics.overdispersion import Floats
from redemption_analytics.metrics.rates import reversed_counts
from redemption_analytics.moments import Moment
from redemption_analytics.tables.arguments import public
from redemption_analytics.tables.frames import as_arrow
from redemption_analytics.tables.lazy import FrameT, native
from redemption_analytics.tables.movements import Movements
from redemption_analytics.tables.now import moment_or_now
from redemption_analytics.tables.points import check_sums

if TYPE_CHECKING:
    from redemption_analytics.redemptions import Redemptions

_KEYS = ["customer_key", "till_code"]
_COUNTS = ["redemptions", "reversed_redemptions", "points_reversed"]
_N, _K = "redemptions", "reversed_redemptions"


@public
def customers_to_review(
    r: Redemptions[FrameT],
    as_of: Moment | None = None,
    min_redemptions: int = 5,
    min_reversed: int = 3,
    false_alarms: float = SIGNIFICANT,
) -> FrameT:
    """Return customers who redeem and reverse again and again, beyond what chance explains.

    Somebody who pays with points and gets them back time after time, alone or with the help of a
    till, may be cashing them in. Or it is a parent who buys two sizes and returns one: the list is
    of people to look at, not of culprits.

    Parameters
    ----------
    r
        The bundle. Customers appear by their key only, as ``pii`` at loading left it.
    as_of
        A moment, wall-clock, of which a date means all of that day and a month all of it: what
        happened later is not seen. By default now (:attr:`redemption_analytics.Redemptions.now`),
        when the newest export was made.
    min_redemptions, min_reversed
        Those with fewer redemptions, or fewer of them reversed, are not listed.
    false_alarms
        Which share of the list may be false alarms, above 0 and up to 1; with 1 all are listed.

    Returns
    -------
    frame
        Of the kind that the bundle holds, computed at the call, the least likely first. Two sorts
        of rows, by what they are about (``about``): ``"customer"``, wherever they redeem, and
        ``"customer at till"``. Then customer_key, till_code (null for a customer), redemptions and
        reversed_redemptions (counts), points_reversed (points), expected_reversed_redemptions,
        p_value, and q_value, the share of false alarms to expect in the list down to this row.

    Raises
    ------
    UsageError
        If an argument makes no sense.

    Notes
    -----
    The test is that of :func:`redemption_analytics.reversal_outliers`, of customers among all
    customers, and of customers at a till among all such pairs, with what people differ in by
    nature. What is usual where they redeem is not held against them: at a till that reverses four
    times as much as others a customer is expected to, and at each till what the customer does
    elsewhere is. These rates are drawn towards that of all as far as groups of one kind are alike
    (a standard deviation of half the mean rate), and where they are below it, that of all counts.
    q_value is Benjamini and Hochberg's, over all customers and pairs with ``min_redemptions``.
    Redemptions of nobody known are left out, of no known till from the pairs.

    In ``benchmarks/customers.py``, where one till reverses four times as much as others and honest
    customers differ by nature with a standard deviation of half their mean rate, one of a hundred
    lists of 300 customers names an honest one, and of those who reverse 60 % of some fifteen
    redemptions every third is listed: a list without names is no acquittal.

    Examples
    --------
    >>> import redemption_analytics as ra
    >>> r = ra.load("data_samples/organisation")
    >>> len(ra.customers_to_review(r))
    0
    >>> odd = ra.customers_to_review(r, false_alarms=1).round(3)
    >>> odd[["about", "redemptions", "reversed_redemptions", "q_value"]].head(2)
          about  redemptions  reversed_redemptions  q_value
    0  customer           21                     6      1.0
    1  customer           29                     7      1.0
    """
    least, again = count("min_redemptions", min_redemptions), count("min_reversed", min_reversed)
    most = _share(false_alarms)
    check_sums(r.point_sums)
    moved = Movements.of(r.tables, _KEYS).seen_by(moment_or_now(as_of, r.now), None)
    counts = reversed_counts(moved, _KEYS).filter(~nw.col("customer_key").is_null())
    table = as_arrow(native(counts.select(*_KEYS, *_COUNTS)))
    pairs = keys_of(table, _KEYS).assign(**{name: table[name].to_numpy() for name in _COUNTS})
    tested = pd.concat([_customers(pairs), _pairs(pairs)], ignore_index=True)
    tested = tested[tested[_N] >= least].assign(
        q_value=lambda rows: false_discovery_rates(np.asarray(rows["p_value"], np.float64))
    )
    found = tested[(tested[_K] >= again) & (tested["q_value"] <= most)]
    found = found.sort_values(["p_value", "about", *_KEYS], na_position="last")
    keys = ["about", *_KEYS]
    measures = [*_COUNTS, "expected_reversed_redemptions", "p_value", "q_value"]
    return handed_back(r.points, found[keys], {name: found[name].to_numpy() for name in measures})


def _share(value: Any) -> float:
    if isinstance(value, bool) or not isinstance(value, (int, float)) or not 0 < value <= 1:
        raise refused("false_alarms", "a share above 0 and up to 1, such as 0.01", value)
    return float(value)


def _customers(pairs: pd.DataFrame) -> pd.DataFrame:
    """Test customers, of whom is expected what is usual at their tills."""
    usual = _elsewhere(pairs, "till_code") * pairs[_N]
    expected = usual.groupby(pairs["customer_key"]).sum()
    customers: pd.DataFrame = pairs.groupby("customer_key", as_index=False)[_COUNTS].sum()
    there = np.asarray(expected.loc[customers["customer_key"]]) / np.asarray(customers[_N])
    return _tested(customers, "customer", there)


def _pairs(pairs: pd.DataFrame) -> pd.DataFrame:
    """Test customers at tills, with what others do there and they do elsewhere."""
    known = pairs["till_code"].notna().to_numpy()
    usual = np.maximum(_elsewhere(pairs, "till_code"), _elsewhere(pairs, "customer_key"))
    return _tested(pairs[known], "customer at till", np.asarray(usual)[known])


def _elsewhere(pairs: pd.DataFrame, name: str) -> pd.Series:
    """Return for each pair the rate of all others of its till, or customer, drawn to that of all.

    Those without a till have the rate of all.
    """
    total_n, total_k = pairs[_N].sum(), pairs[_K].sum()
    rate = (total_k + 0.5) / (total_n + 1)
    alike = (1 - rate) / rate / COMMON**2
    sums = pairs.groupby(name)[[_N, _K]].transform("sum").fillna(0) - pairs[[_N, _K]]
    sums = sums.where(pairs[name].notna(), 0)
    return (sums[_K] + alike * rate).div(sums[_N] + alike).astype(np.float64)


def _tested(rows: pd.DataFrame, about: str, usual: Floats) -> pd.DataFrame:
    n, k = (rows[name].to_numpy(np.int64) for name in (_N, _K))
    if len(rows) < 2:
        alone = {"expected_reversed_redemptions": np.nan, "p_value": 1.0}
        return rows.assign(about=about, **alone)
    others = (k.sum() - k + 1) / (n.sum() - n + 1)
    expected, p_values = against_others(n, k, np.maximum(usual / others, 1.0))
    return rows.assign(about=about, expected_reversed_redemptions=expected, p_value=p_values)
