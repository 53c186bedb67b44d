"""What the numbers mean: one test for each rule, on data that is in view."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from payloads import TIMES, Item, coupon, load, redemption, reversal, table

import redemption_analytics as ra
from redemption_analytics.metrics.coupons import coupon_summary
from redemption_analytics.metrics.kpis import kpis
from redemption_analytics.metrics.outliers import reversal_outliers
from redemption_analytics.options import PERIODS
from redemption_analytics.tables.dimensions import COUPON_DIMENSIONS, DIMENSIONS

NET = ("redemptions", "points_redeemed", "points_reversed", "net_points")


def test_cohort_books_a_reversal_with_its_redemption_and_posting_when_it_happened() -> None:
    r = load([redemption("a", 100, "2026-01-15", [reversal(1, 30, "2026-03-02")])])
    assert table(ra.net_points(r, "month", basis="redemption")) == [
        ("2026-01-01", 1, 100, 30, 70),
    ]
    assert table(ra.net_points(r, "month", basis="event")) == [
        ("2026-01-01", 1, 100, 0, 100),
        ("2026-03-01", 0, 0, 30, -30),
    ]


def test_a_month_with_reversals_only_has_no_rate_but_a_net_below_zero() -> None:
    r = load([redemption("a", 100, "2025-12-31", [reversal(1, 100, "2026-01-01")])])
    assert table(ra.net_points(r, "month", basis="event"))[1] == ("2026-01-01", 0, 0, 100, -100)
    # Rates are of redemptions, so December has all of it.
    assert table(ra.reversal_rates(r, "month"), "month", "points_reversal_rate") == [
        ("2025-12-01", 1.0)
    ]


def test_a_partial_reversal_without_breakup_of_two_programs_goes_to_the_null_program() -> None:
    r = load([redemption("a", 100, back=[reversal(1, 40)], shares={1: 60, 2: 40})])
    assert table(ra.net_points(r, "program_id")) == [
        (1, 1, 60, 0, 60),
        (2, 1, 40, 0, 40),
        (None, 0, 0, 40, -40),
    ]
    columns = ("program_id", "redemptions", "reversed_redemptions", "redemption_reversal_rate")
    assert table(ra.reversal_rates(r, "program_id"), *columns) == [
        (1, 1, 0, 0.0),
        (2, 1, 0, 0.0),
        (None, 0, 1, None),
    ]
    assert table(ra.reversal_rates(r), *columns[1:]) == [(1, 1, 1.0)]


def test_shares_are_exact_where_floats_are_not() -> None:
    # Above 2 ** 53; and "b" has no breakup, which makes floats of pandas' integers in a join.
    large = 999_999_999_999_999_999
    a = redemption("a", large, back=[reversal(1, large - 1)], shares={1: large - 70, 2: 7})
    a["reversals"][0]["reversal_breakup_by_program"] = [
        {"program_id": 1, "points_reversed": large - 80}
    ]
    r = load([a, redemption("b", 3, program=1, back=[reversal(2, 2)])])
    assert table(ra.net_points(r, "program_id")) == [
        (1, 2, large - 67, large - 78, 11),
        (2, 1, 7, 0, 7),
        (None, 0, 63, 79, -16),
    ]


def test_a_reversal_without_breakup_goes_to_the_only_program() -> None:
    own = redemption("a", 50, program=7, back=[reversal(1, 20)])
    named = redemption("b", 50, program=7, shares={8: 50}, back=[reversal(2, 30)])
    assert table(ra.net_points(load([own, named]), "program_id")) == [
        (7, 1, 50, 20, 30),
        (8, 1, 50, 30, 20),
    ]


def test_what_a_reversals_breakup_has_too_much_is_taken_from_the_null_program() -> None:
    back = [reversal(1, 40, shares={1: 50})]
    two = redemption("a", 100, back=back, shares={1: 60, 2: 40})
    columns = ("program_id", "points_reversed")
    assert table(ra.net_points(load([two]), "program_id"), *columns) == [
        (1, 50),
        (2, 0),
        (None, -10),
    ]
    # With one program there is no doubt whose it is.
    one = redemption("a", 100, back=back)
    assert table(ra.net_points(load([one]), "program_id"), *columns) == [(1, 40)]


def test_a_partial_reversal_with_breakup_goes_where_the_breakup_says() -> None:
    back = [reversal(1, 40, shares={1: 10, 2: 30})]
    r = load([redemption("a", 100, back=back, shares={1: 60, 2: 40})])
    assert table(ra.net_points(r, "program_id")) == [(1, 1, 60, 10, 50), (2, 1, 40, 30, 10)]


@pytest.mark.parametrize(
    ("shares", "expected"),
    [
        pytest.param({1: 60, 2: 30}, [(1, 60), (2, 30), (None, 10)], id="too little, in two"),
        pytest.param({1: 60, 2: 50}, [(1, 60), (2, 50), (None, -10)], id="too much, in two"),
        pytest.param({2: 90}, [(2, 100)], id="too little, in one"),
        pytest.param({2: 110}, [(2, 100)], id="too much, in one"),
        pytest.param({None: 90}, [(None, 100)], id="in one without a name"),
        pytest.param({}, [(1, 100)], id="none"),
    ],
)
def test_what_breakups_leave_goes_to_the_only_program_else_to_the_null_program(
    shares: Any, expected: Any
) -> None:
    r = load([redemption("a", 100, shares=shares)])
    assert table(ra.net_points(r, "program_id"), "program_id", "points_redeemed") == expected
    assert table(ra.net_points(r), "points_redeemed") == [(100,)]
    # In the null program are points, but no redemption drew on it.
    drew = {program: count for program, count, *_ in table(ra.net_points(r, "program_id"))}
    assert drew == {program: int(program in (shares or {1: 0})) for program, _ in expected}


@pytest.mark.parametrize("by", [(), "month"])
def test_nothing_divided_by_nothing_is_null(by: Any) -> None:
    rates = ("points_reversal_rate", "redemption_reversal_rate", "full_reversal_rate")
    unknown = load([redemption("a", 0, program=None)])
    assert table(ra.reversal_rates(unknown, by), *rates) == [(None, 0.0, 0.0)]
    nothing = table(ra.reversal_rates(load(), by), "redemptions", *rates, "ci_low", "ci_high")
    assert nothing == ([] if by else [(0, None, None, None, None, None)])


def test_without_data_there_is_one_row_of_totals_and_no_group() -> None:
    r = load()
    assert table(ra.net_points(r)) == [(0, 0, 0, 0)]
    assert table(kpis(r)) == [(0, 0, 0, 0, 0, 0)]
    assert table(coupon_summary(r)) == [(0, 0, 0, 0.0)]
    for function in (ra.net_points, kpis, ra.reversal_rates, reversal_outliers):
        assert table(function(r, "program_id")) == []
    assert table(coupon_summary(r, "series_id")) == []


def test_a_window_cuts_late_reversals_and_redemptions_that_are_too_young() -> None:
    r = load(
        [
            redemption("soon", 100, "2026-01-01", [reversal(1, 100, "2026-01-08")]),
            redemption("late", 100, "2026-01-01", [reversal(2, 100, "2026-01-08 00:00:01")]),
            redemption("even", 100, "2026-01-18"),
            redemption("kept", 100, "2026-01-24"),
            redemption("young", 100, "2026-01-24 00:00:01", [reversal(3, 100, "2026-01-25")]),
            redemption("timeless", 100, None, [reversal(4, 100, "2026-01-25")]),
        ]
    )
    columns = ("redemptions", "reversed_redemptions", "points_redeemed", "points_reversed")
    assert table(ra.reversal_rates(r), *columns) == [(6, 4, 600, 400)]
    counted = ra.reversal_rates(r, within="7D", as_of="2026-01-31T00:00")
    assert table(counted, *columns) == [(4, 1, 400, 100)]
    # By default the newest time in the data, 25 January, is the end: 24 January is too young.
    assert table(ra.reversal_rates(r, within="7D"), *columns) == [(3, 1, 300, 100)]


def test_as_of_does_not_see_what_happened_later() -> None:
    early = [reversal(1, 10, "2026-02-01"), reversal(2, 20, None)]
    late = reversal(3, 70, "2026-02-01 00:00:01")
    others = [redemption("b", 50, "2026-02-01"), redemption("c", 5, None)]
    later = redemption("d", 70, "2026-02-01 00:00:01")
    then = load([redemption("a", 100, "2026-01-10", early), *others])
    now = load([redemption("a", 100, "2026-01-10", [*early, late]), *others, later])
    for by in ((), "month", "program_id"):
        seen = ra.reversal_rates(now, by, as_of="2026-02-01T00:00")
        assert table(seen) == table(ra.reversal_rates(then, by))
    assert table(ra.reversal_rates(now), "redemptions", "points_reversed") == [(4, 100)]


@pytest.mark.parametrize(
    ("time", "day", "week", "month", "quarter", "year"),
    [
        # ISO week 1 of 2026 began in 2025, and week 53 of 2020 ended in 2021.
        ("2026-01-01 00:00:00", "2026-01-01", "2025-12-29", "2026-01-01", "2026-01-01", "2026"),
        ("2025-12-31 23:59:59", "2025-12-31", "2025-12-29", "2025-12-01", "2025-10-01", "2025"),
        ("2021-01-03 23:59:59", "2021-01-03", "2020-12-28", "2021-01-01", "2021-01-01", "2021"),
        ("2021-01-04 00:00:00", "2021-01-04", "2021-01-04", "2021-01-01", "2021-01-01", "2021"),
        ("2024-02-29 12:00:00", "2024-02-29", "2024-02-26", "2024-02-01", "2024-01-01", "2024"),
        ("2024-03-31 23:59:59", "2024-03-31", "2024-03-25", "2024-03-01", "2024-01-01", "2024"),
        ("2024-04-01 00:00:00", "2024-04-01", "2024-04-01", "2024-04-01", "2024-04-01", "2024"),
    ],
)
def test_a_period_is_named_by_its_first_day_and_weeks_begin_on_monday(
    time: str, day: str, week: str, month: str, quarter: str, year: str
) -> None:
    r = load([redemption("a", 5, time)], [coupon(1, time)])
    first_days = (day, week, month, quarter, f"{year}-01-01")
    for function in (ra.net_points, ra.reversal_rates, kpis, coupon_summary):
        assert table(function(r, PERIODS), *PERIODS) == [first_days]


def test_nulls_are_groups_of_their_own() -> None:
    r = load(
        [
            redemption("a", 1),
            redemption("b", 2, store=None, till=None),
            redemption("c", 4, None, program=None, store=None),
        ],
        [coupon(1, None, store=None)],
    )
    points = ("points_redeemed",)
    for function in (ra.net_points, ra.reversal_rates, kpis):
        assert table(function(r, "store_code"), "store_code", *points) == [
            ("north", 1),
            (None, 6),
        ]
        assert table(function(r, "program_id"), "program_id", *points) == [(1, 3), (None, 4)]
        by = ["store_code", "month"]
        assert table(function(r, by), *by, *points) == [
            ("north", "2026-01-01", 1),
            (None, "2026-01-01", 2),
            (None, None, 4),
        ]
    assert table(coupon_summary(r, ["store_code", "month"]))[0][:3] == (None, None, 1)


def test_a_custom_field_groups_by_its_value_and_what_has_none_is_null() -> None:
    r = load(
        [
            redemption("1", 10, back=[reversal(1, 10)], custom={"channel": "app", "desk": "7"}),
            redemption("2", 20, custom={"channel": "web"}),
            redemption("3", 30, custom={"channel": None}),
            redemption("4", 40, custom={"desk": "7"}, shares={1: 30, 2: 10}),
        ],
        # The same key as a points redemption's, and another value of the same field.
        [coupon(1, custom={"channel": "web"}), coupon(2, custom={"channel": "web"}), coupon(3)],
    )
    assert table(ra.net_points(r, "custom:channel")) == [
        ("app", 1, 10, 10, 0),
        ("web", 1, 20, 0, 20),
        (None, 2, 70, 0, 70),
    ]
    by = ["custom:desk", "program_id", "custom:channel"]
    assert table(ra.net_points(r, by), *by, "net_points") == [
        ("7", 1, "app", 0),
        ("7", 1, None, 30),
        ("7", 2, None, 10),
        (None, 1, "web", 20),
        (None, 1, None, 30),
    ]
    rates = ra.reversal_rates(r, "custom:channel")
    assert table(rates, "custom:channel", "points_reversal_rate") == [
        ("app", 1.0),
        ("web", 0.0),
        (None, 0.0),
    ]
    assert table(coupon_summary(r, "custom:channel"), "custom:channel", "coupons_redeemed") == [
        ("web", 2),
        (None, 1),
    ]
    columns = ("custom:channel", "points_redeemed", "coupons_redeemed")
    assert table(kpis(r, "custom:channel"), *columns) == [
        ("app", 10, 0),
        ("web", 20, 2),
        (None, 70, 1),
    ]


def test_a_custom_field_that_nobody_has_is_refused_with_those_that_there_are() -> None:
    r = load(
        [redemption("a", 10, custom={"channel": "app", "desk": "7"})],
        [coupon(1, custom={"x": "y"})],
    )
    cases: list[tuple[Any, str, str]] = [
        (ra.net_points, "chanel", "no points redemption has it, but custom:channel, custom:desk."),
        (ra.net_points, "x", "no points redemption has it, but custom:channel, custom:desk."),
        (coupon_summary, "channel", "no coupon redemption has it, but custom:x."),
        (kpis, "y", "no redemption has it, but custom:channel, custom:desk, custom:x."),
    ]
    for function, name, said in cases:
        with pytest.raises(ra.UsageError) as error:
            function(r, ["month", f"custom:{name}"])
        text = str(error.value)
        assert text.startswith(f"cannot group by 'custom:{name}': {said}")
        assert text.endswith(" Did you mean 'custom:channel'?") == (name == "chanel")
    assert table(kpis(r, "custom:x"), "custom:x", "coupons_redeemed") == [("y", 1), (None, 0)]
    with pytest.raises(ra.UsageError, match="no points redemption has a custom field"):
        ra.net_points(load([redemption("a", 10)]), "custom:channel")


def test_a_month_in_which_nobody_used_a_custom_field_is_no_mistake() -> None:
    items = [
        redemption("a", 10, "2026-01-01", custom={"channel": "app"}),
        redemption("b", 20, "2026-02-01"),
    ]
    february = load(items).filter(since="2026-02").filter(until="2026-02")
    assert table(ra.net_points(february, "custom:channel")) == [(None, 1, 20, 0, 20)]


# What follows holds for whatever bundle, so bundles are made at random.

_programs = st.sampled_from([None, 1, 2])
_points = st.integers(0, 50)
_times = st.sampled_from([None, "2025-12-31 23:59:59", "2026-01-01", "2026-01-31", "2026-03-02"])
_shares = st.dictionaries(_programs, _points, max_size=3)
_codes = st.sampled_from([None, "a", "b"])
_custom = st.dictionaries(st.just("channel"), st.sampled_from([None, "app", "web"]))
_customers = st.sampled_from(["ada", "bob"])


@st.composite
def bundles(draw: st.DrawFn) -> ra.Redemptions:
    """Redemptions whose breakups need not add up, and of which anything may be missing."""
    points: list[Item] = []
    numbers = iter(range(100))
    place = {"store": _codes, "till": _codes, "custom": _custom, "customer": _customers}
    for key in range(draw(st.integers(0, 5))):
        backs = draw(st.lists(st.tuples(_points, _times, _shares), max_size=2))
        item = {"program": _programs, "shares": _shares, **place}
        fields: dict[str, Any] = draw(st.fixed_dictionaries(item))
        purpose, number, bill = draw(st.tuples(_codes, _codes, st.sampled_from([0, 8, 9])))
        points.append(
            redemption(
                f"r{key}",
                draw(_points),
                draw(_times),
                [reversal(next(numbers), *back) for back in backs],
                **fields,
                redemption_purpose=purpose,
                transaction_number=number,
                bill_id=bill,
            )
        )
    coupons = [
        coupon(
            key,
            draw(_times),
            **dict[str, Any](draw(st.fixed_dictionaries(place))),
            code=draw(_codes),
            discount_type=draw(st.sampled_from([None, "FLAT", "ABS", "PERC"])),
            discount_value=draw(st.sampled_from([None, 0.1, 50])),
        )
        for key in range(draw(st.integers(0, 4)))
    ]
    return load(points, coupons)


_bys = st.lists(
    st.sampled_from([*{*DIMENSIONS, *COUPON_DIMENSIONS}, *PERIODS, "custom:channel"]),
    unique=True,
    max_size=5,
).map(sorted)

ADDITIVE: list[tuple[Any, tuple[str, ...], tuple[str, ...]]] = [
    (ra.net_points, DIMENSIONS, ("points_redeemed", "points_reversed", "net_points")),
    (ra.reversal_rates, DIMENSIONS, ("points_redeemed", "points_reversed")),
    (kpis, DIMENSIONS, ("points_redeemed", "coupons_redeemed", "net_points")),
    (coupon_summary, COUPON_DIMENSIONS, ("coupons_redeemed", "discount_value")),
]
KINDS = {kpis: ["points", "coupon"], coupon_summary: ["coupon"]}


def custom(r: ra.Redemptions, function: Any) -> list[str]:
    """The custom field, where redemptions of the kind that a function counts have it."""
    here = r.custom_fields["redemption_type"].isin(KINDS.get(function, ["points"]))
    return ["custom:channel"] if here.any() else []


at_random = settings(
    max_examples=4 * TIMES, deadline=None, suppress_health_check=[HealthCheck.too_slow]
)


@at_random
@given(r=bundles(), names=_bys)
def test_sums_over_any_groups_equal_the_total(r: ra.Redemptions, names: list[str]) -> None:
    for function, dimensions, columns in ADDITIVE:
        by = [name for name in names if name in (*dimensions, *PERIODS, *custom(r, function))]
        groups, total = function(r, by), function(r)
        assert not by or not groups.duplicated(by).any()
        for name in columns:
            assert groups[name].sum() == pytest.approx(total[name].iloc[0], abs=1e-9), name


@at_random
@given(r=bundles(), period=st.sampled_from(PERIODS), names=_bys)
def test_over_all_time_both_bases_say_the_same(
    r: ra.Redemptions, period: str, names: list[str]
) -> None:
    by = [name for name in names if name in DIMENSIONS]
    sums: dict[tuple[Any, ...], list[int]] = {}
    for row in table(ra.net_points(r, [*by, period], basis="event")):
        found = sums.setdefault(row[: len(by)], [0] * len(NET))
        sums[row[: len(by)]] = [a + b for a, b in zip(found, row[-len(NET) :], strict=True)]
    cohort = {row[: len(by)]: list(row[len(by) :]) for row in table(ra.net_points(r, by))}
    assert sums == cohort or r.points.empty


@at_random
@given(r=bundles(), names=_bys)
def test_rates_and_key_figures_have_the_points_of_net_points(
    r: ra.Redemptions, names: list[str]
) -> None:
    by = [name for name in names if name in (*DIMENSIONS, *PERIODS, *custom(r, ra.net_points))]
    net = ra.net_points(r, by)
    columns = [*by, "redemptions", "points_redeemed", "points_reversed"]
    assert table(ra.reversal_rates(r, by), *columns) == table(net, *columns)
    columns = [*by, "points_redeemed", "net_points"]
    points = {row[: len(by)]: row[len(by) :] for row in table(net, *columns)}
    figures = {row[: len(by)]: row[len(by) :] for row in table(kpis(r, by), *columns)}
    # Beside these groups are those that have coupons only.
    assert figures == dict.fromkeys(figures, (0, 0)) | points
