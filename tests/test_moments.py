"""What a moment and a span are: what is taken, what it means, and what is refused."""

from datetime import date, datetime, timedelta
from typing import Any

import pandas as pd
import pytest

import redemption_analytics as ra
from redemption_analytics.moments import beginning, end, span, whole_days

DAY_END = timedelta(days=1) - timedelta(microseconds=1)


@pytest.mark.parametrize(
    ("value", "first", "last"),
    [
        ("2026-11-20", datetime(2026, 11, 20), datetime(2026, 11, 20) + DAY_END),
        (date(2026, 11, 20), datetime(2026, 11, 20), datetime(2026, 11, 20) + DAY_END),
        ("2026-10", datetime(2026, 10, 1), datetime(2026, 10, 31) + DAY_END),
        ("2026-11-20 10:00", datetime(2026, 11, 20, 10), datetime(2026, 11, 20, 10)),
        (datetime(2026, 11, 20), datetime(2026, 11, 20), datetime(2026, 11, 20)),
        (pd.Timestamp("2026-11-20 10:00"), datetime(2026, 11, 20, 10), datetime(2026, 11, 20, 10)),
    ],
)
def test_a_date_is_all_of_its_day_and_a_month_all_of_it(
    value: Any, first: datetime, last: datetime
) -> None:
    assert (beginning(value, "since"), end(value, "until")) == (first, last)


REFUSED = [
    *("soon", "", "NaT", "now", "today", "10:00", "01/02/2026", "2026-11-20T10:00Z", "2026-13-01"),
    *("2026", "20261031", 30, 20261031, 1.5, True, [1], pd.NaT),
]


@pytest.mark.parametrize("value", REFUSED)
@pytest.mark.parametrize("argument", ["since", "until", "as_of"])
def test_what_is_no_moment_is_refused_with_the_form_that_is_right(
    value: Any, argument: str
) -> None:
    with pytest.raises(ra.UsageError, match=argument) as refused:
        ra.Redemptions().filter(**{argument: value})
    assert "2026-10-31" in str(refused.value)


def test_since_after_until_is_refused() -> None:
    with pytest.raises(ra.UsageError, match="since"):
        ra.Redemptions().filter(since="2026-11-02", until="2026-11-01")


def test_a_span_is_text_with_a_unit_or_a_timedelta() -> None:
    assert span("30D", "within") == span(timedelta(30), "within") == timedelta(30)
    assert span("4W", "within") == timedelta(weeks=4)
    assert whole_days("4W", "horizon") == 28


@pytest.mark.parametrize("value", ["a month", "30", "-1D", "NaT", 30, 1.5, timedelta(-1), [1]])
def test_what_is_no_span_is_refused(value: Any) -> None:
    with pytest.raises(ra.UsageError, match="within"):
        ra.reversal_rates(ra.Redemptions(), within=value)


def test_part_of_a_day_is_no_number_of_days() -> None:
    with pytest.raises(ra.UsageError, match="horizon"):
        ra.reversal_curve(ra.Redemptions(), horizon="36h")
