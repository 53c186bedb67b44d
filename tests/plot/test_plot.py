"""Charts: their numbers are the metrics', on every engine; what they show is what they say."""

from __future__ import annotations

import html
import json
import os
import re
import subprocess
import sys
from collections.abc import Callable
from functools import cache
from typing import Any

import altair as alt
import pytest
import vl_convert
from engines import IN_MEMORY, Bundles, of_every_kind, same, write_exports
from everyday import first_everyday
from payloads import coupon, load, redemption, reversal
from scipy import stats

import redemption_analytics as ra
from redemption_analytics.metrics.binomial import control_limits
from redemption_analytics.plot.groups import shorter

SAMPLES = "data_samples/organisation"
CHARTS: list[tuple[str, dict[str, Any]]] = [
    ("net_points", {}),
    ("net_points", {"by": ["program_id", "quarter"], "basis": "event"}),
    ("net_points", {"by": ()}),
    ("net_points", {"by": ["store_code", "custom:channel"]}),
    ("reversal_rates", {}),
    ("reversal_rates", {"by": "week", "within": "30D", "as_of": "2026-06-30"}),
    ("reversal_rates", {"by": ["store_code", "year"]}),
    ("reversal_curve", {}),
    ("reversal_curve", {"by": "program_id", "horizon": "30D", "weight": "points"}),
    ("reversal_curve", {"by": ["year", "store_code"], "horizon": "10D"}),
    ("expected_reversals", {}),
    ("expected_reversals", {"by": "month", "as_of": "2026-06-30"}),
    ("reversal_funnel", {}),
    ("reversal_funnel", {"by": ["store_code", "year"]}),
    ("source_flows", {}),
    ("source_flows", {"most": 3}),
    ("coverage", {}),
    ("cohorts", {}),
    ("cohorts", {"by": ["program_id"], "months": 3, "newest": 6}),
]
IDS = [f"{name}-{arguments}" for name, arguments in CHARTS]
#: The last one of each kind, which asks for most.
LAST_OF_EACH = list(dict(CHARTS).items())


def drawn(chart: alt.TopLevelMixin) -> str:
    """Draw a chart: what Vega-Lite does not understand fails here."""
    return str(vl_convert.vegalite_to_svg(chart.to_dict()))


def rows_of(chart: Any) -> list[dict[str, Any]]:
    """Give all rows that a chart holds, in all its layers."""
    return [row for rows in chart.to_dict().get("datasets", {}).values() for row in rows]


def chart_of(r: ra.Redemptions, name: str, arguments: dict[str, Any]) -> Any:
    plot: Callable[..., Any] = getattr(ra.plot, name)
    return plot(r, **arguments)


@cache
def chart_of_pandas(r: ra.Redemptions, number: int) -> Any:
    return chart_of(r, *CHARTS[number])


@pytest.fixture(scope="module")
def organisation() -> ra.Redemptions:
    return ra.load(SAMPLES)


@pytest.fixture(scope="module")
def bundles(tmp_path_factory: pytest.TempPathFactory) -> Bundles:
    exports, converted = (tmp_path_factory.mktemp(name) for name in ("exports", "converted"))
    write_exports(exports)
    return of_every_kind(exports, converted, "int")


@pytest.mark.parametrize(
    ("name", "arguments"), first_everyday(LAST_OF_EACH, 3), ids=dict(LAST_OF_EACH)
)
def test_a_chart_is_the_same_on_every_engine(
    bundles: Bundles, name: str, arguments: dict[str, Any]
) -> None:
    expected = chart_of_pandas(bundles["pandas"], CHARTS.index((name, arguments)))
    rows = rows_of(expected)
    for kind in IN_MEMORY:
        chart = chart_of(bundles[kind], name, arguments)
        assert chart.title.to_dict() == expected.title.to_dict(), kind
        for one, other in zip(rows_of(chart), rows, strict=True):
            assert one.keys() == other.keys()
            assert all(same(one[field], other[field]) for field in other), (kind, one, other)


@pytest.mark.parametrize(("name", "arguments"), LAST_OF_EACH, ids=dict(LAST_OF_EACH))
def test_a_chart_of_nothing_can_be_drawn(name: str, arguments: dict[str, Any]) -> None:
    custom = {"channel": None}
    single = load([redemption("a", 5, custom=custom)])
    untimed = redemption("a", 5, None, [reversal(1, 2, None)], custom=custom)
    bundles = [single.filter(store_code="nowhere"), load([untimed], [coupon(1, None)])]
    if "custom:channel" not in arguments.get("by", ()):
        bundles.append(ra.Redemptions())
    for bundle in bundles:
        assert "<svg" in drawn(chart_of(bundle, name, arguments))


@pytest.mark.parametrize(("name", "arguments"), LAST_OF_EACH, ids=dict(LAST_OF_EACH))
def test_a_chart_of_one_can_be_drawn(name: str, arguments: dict[str, Any]) -> None:
    custom = {"channel": None}
    single = load([redemption("a", 5, custom=custom)])
    assert "<svg" in drawn(chart_of(single, name, arguments))
    decimal = redemption("a", 12.5, back=[reversal(1, 0.125)], custom=custom)
    bundle = load([decimal], points="decimal")
    assert "<svg" in drawn(chart_of(bundle, name, arguments))


@pytest.mark.parametrize("number", range(len(CHARTS)), ids=IDS)
def test_a_chart_has_words_for_everyone_and_a_unit_on_its_axes(
    bundles: Bundles, number: int
) -> None:
    chart = chart_of_pandas(bundles["pandas"], number)
    assert chart.title.text
    said = " ".join(chart.title.subtitle)
    assert chart.description == f"{chart.title.text}. {said}"
    assert rows_of(chart)
    svg = drawn(chart)
    units = ("points", "redemptions", "(%)", "store")
    assert any(unit in line for line in svg.split(">") for unit in units)


@pytest.mark.parametrize("number", range(len(CHARTS)), ids=IDS)
def test_a_chart_has_no_configuration_so_that_it_can_be_put_together_with_others(
    bundles: Bundles, number: int
) -> None:
    chart = chart_of_pandas(bundles["pandas"], number)
    assert chart.config is alt.Undefined
    assert alt.vconcat(chart, chart).to_dict()["vconcat"]


def test_charts_put_together_can_be_drawn(bundles: Bundles) -> None:
    numbers = [CHARTS.index(chart) for chart in LAST_OF_EACH]
    drawn(alt.vconcat(*(chart_of_pandas(bundles["pandas"], number) for number in numbers)))


@pytest.mark.parametrize("number", range(len(CHARTS)), ids=IDS)
def test_charts_can_be_written_as_json(bundles: Bundles, number: int) -> None:
    json.loads(chart_of_pandas(bundles["pandas"], number).to_json())


def test_bars_hold_the_numbers_of_net_points(organisation: ra.Redemptions) -> None:
    r = organisation
    rows = rows_of(ra.plot.net_points(r, by=["program_id"]))
    expected = ra.net_points(r, by="program_id").to_dict("records")
    columns = ["redemptions", "points_redeemed", "points_reversed", "net_points"]
    assert sorted([row[c] for c in columns] for row in rows) == sorted(
        [row[c] for c in columns] for row in expected
    )
    labels = ["House (469)", "Partner (1234)", "Travel (1886)", "DefaultProgram (973)"]
    assert {row["label"] for row in rows} == {*labels, "no program"}


def test_along_periods_each_small_chart_has_only_the_rows_of_its_group(
    organisation: ra.Redemptions,
) -> None:
    r = organisation.filter(since="2026-01-01")
    chart = ra.plot.net_points(r, by=["program_id", "quarter"]).to_dict()
    assert chart["facet"]["field"] == "label"
    # A layer with data of its own would show it in every small chart.
    assert all("data" not in layer for layer in chart["spec"]["layer"])


def test_the_largest_groups_are_shown_and_the_rest_is_named() -> None:
    r = load([redemption(f"r{n}", n + 1, store=f"s{n:02}") for n in range(30)])
    chart = ra.plot.net_points(r, by="store_code")
    assert {row["label"] for row in rows_of(chart)} == {f"s{n:02}" for n in range(10, 30)}
    assert chart.title.subtitle[1] == "The 20 largest of 30 groups, by points redeemed."


def test_it_is_said_by_what_groups_are_ordered_where_there_are_several() -> None:
    r = load([redemption(f"r{n}", n + 1, store=f"s{n}") for n in range(3)])
    said = ra.plot.net_points(r, by="store_code").title.subtitle
    assert said[1:] == ["The largest first, by points redeemed."]
    assert len(ra.plot.net_points(r, by="program_id").title.subtitle) == 1


def labels_shown(chart: Any) -> set[str]:
    """Give what a picture shows of names of 80 letters, and what else ends like them."""
    texts = re.findall(r">([^<>]*)</text>", drawn(chart))
    return {text for text in texts if re.search(r"\d{6}", text)}


@pytest.mark.parametrize("name", ["net_points", "reversal_rates", "expected_reversals"])
def test_long_names_that_begin_alike_keep_the_ends_that_tell_them_apart(name: str) -> None:
    long = "Metropolitan shopping centre of the north, first floor, on the left, number "
    r = load([redemption(f"r{n}", 9, store=f"{long}{n:06}") for n in range(5)])
    shown = labels_shown(chart_of(r, name, {"by": "store_code"}))
    assert len(shown) == 5
    assert all(re.fullmatch(r"Metro.*….*00000\d", text) for text in shown)


def test_long_names_that_look_like_code_are_shown_as_texts_in_short() -> None:
    hostile = [
        '"], alert(1)) //',
        "\\'\\\"`${1}",
        "__proto__ 🎁 ]['",
        "</script><b>&",
        "\u2028\u202e\x1b[",
    ]
    names = [f"{name}{'x' * 60}{name[::-1]}" for name in hostile]
    chart = ra.plot.net_points(
        load([redemption(f"r{n}", 9, store=name) for n, name in enumerate(names)]), by="store_code"
    )
    texts = [html.unescape(text) for text in re.findall(r">([^<>]*…[^<>]*)</text>", drawn(chart))]
    labels = {row["label"] for row in rows_of(chart)}
    assert sorted(texts) == sorted(shorter(sorted(labels)).values())
    assert len(texts) == len(names)


def test_names_are_no_longer_than_their_room_and_each_is_another() -> None:
    labels = [f"{'a' * 30}{n}{'b' * 30}" for n in range(3)] + ["日本" * 20, "north"]
    short = shorter(labels, 24)
    assert list(short) == labels[:-1]
    assert len(set(short.values())) == 4
    assert len(short["日本" * 20]) == 12


def test_names_of_tills_that_stand_out_do_not_lie_on_one_another() -> None:
    items = [redemption(f"r{t} {n}", 9, till=f"till {t}") for t in range(40) for n in range(30)]
    for t in range(5):
        for n in range(30):
            back = [reversal(100 * t + n + 1, 9)] if n < 28 else []
            items.append(redemption(f"bad {t} {n}", 9, back=back, till=f"a very bad till, {t}"))
    chart = ra.plot.reversal_funnel(load(items))
    assert chart.title.subtitle[0].startswith("5 of 45 stand out (q below 1 %): a very bad till, ")
    assert " and 2 more. Rate of" in chart.title.subtitle[0]
    named = [row for row in rows_of(chart) if "text" in row]
    assert len(named) == 1


def test_the_words_of_the_funnel_are_about_all_tills_however_many_are_drawn() -> None:
    r = load([redemption(f"r{n}", 9, till=f"t{n}") for n in range(2100)])
    chart = ra.plot.reversal_funnel(r)
    assert chart.title.subtitle[0].startswith("0 of 2,100 stand out")
    assert "Of these the 2,000 with the most redemptions are drawn." in chart.title.subtitle
    assert len([row for row in rows_of(chart) if "label" in row]) == 2000


def test_other_stores_are_grey_and_take_no_colour_from_the_rest() -> None:
    items = []
    for n in range(9):
        sources = [{"source_store": {"code": f"s{n}"}, "points_consumed": 10 - n}]
        items.append(redemption(f"r{n}", 10, store=f"s{n}", redemption_breakup_by_source=sources))
    chart = ra.plot.source_flows(load(items), most=2)
    colour = chart.to_dict()["layer"][0]["encoding"]["color"]
    assert colour["scale"]["domain"] == [0, 10]
    assert colour["condition"] == {"test": "datum.together", "value": "#E4E4E4"}
    together = {row["earned"] for row in rows_of(chart) if row["together"]}
    assert together == {"other stores"}
    assert "Grey: other stores." in chart.title.subtitle


def marks_of(spec: dict[str, Any]) -> list[dict[str, Any]]:
    """Give all marks of a chart, with what they encode."""
    inner = [*spec.get("layer", []), *([spec["spec"]] if "spec" in spec else [])]
    return [spec] if "mark" in spec else [mark for part in inner for mark in marks_of(part)]


@pytest.mark.parametrize("number", range(len(CHARTS)), ids=IDS)
def test_every_mark_tells_its_numbers_when_pointed_at(bundles: Bundles, number: int) -> None:
    """A line or an area tells of its first row only: points or rules on top of it do instead."""
    marks = marks_of(chart_of_pandas(bundles["pandas"], number).to_dict())
    assert marks
    for place, mark in enumerate(marks):
        tips = mark["encoding"].get("tooltip")
        if mark["mark"]["type"] in ("line", "area"):
            assert tips is None
            sides = ("y", "y2")
            ends = [mark["encoding"][side]["field"] for side in sides if side in mark["encoding"]]
            above = [over for over in marks[place + 1 :] if covers(over, mark, ends)]
            assert above, mark
            continue
        assert tips, mark
        for tip in tips:
            assert tip["title"].strip(), tip
            assert tip["type"] == "nominal" or tip["format"], tip


def covers(over: dict[str, Any], mark: dict[str, Any], ends: list[str]) -> bool:
    """Check whether there is something to point at wherever a mark goes."""
    mine, its = over["encoding"], mark["encoding"]
    if over["mark"].get("opacity") != 0 or mine.get("x", {}).get("field") != its["x"]["field"]:
        return False
    fields = {mine[name]["field"] for name in ("y", "y2") if name in mine}
    return {*ends} <= fields or (fields == {"ci_low", "ci_high"} and ends == ["cumulative_rate"])


def test_more_curves_than_three_are_drawn_each_for_itself_on_the_same_axes() -> None:
    def curve(groups: int) -> Any:
        items = [redemption(f"r{n}", 9, store=f"s{n % groups}") for n in range(40)]
        return ra.plot.reversal_curve(load(items), by="store_code").to_dict()

    assert "facet" not in curve(3)
    many = curve(4)
    assert many["facet"]["field"] == "label"
    assert many["columns"] == 1
    assert many["spec"]["width"] < 330  # with its axis as wide as a phone
    # Scales are shared, as they are unless it is said otherwise.
    assert "scale" not in many.get("resolve", {})
    (rows,) = many["datasets"].values()
    assert len(rows) == 4 * 91


def test_the_words_sum_what_is_drawn_and_say_what_is_not() -> None:
    r = load([redemption("a", 5), redemption("b", 7, None), redemption("c", 1, "2026-02-01")])
    chart = ra.plot.net_points(r, by="month")
    assert [row["points_redeemed"] for row in rows_of(chart)] == [5, 1]
    assert chart.title.subtitle == [
        "6 points redeemed, 0 came back, 6 remain.",
        "Redemptions without a time are left out. February 2026 is not over.",
    ]
    largest = load([redemption(f"r{n}", n + 1, store=f"s{n:02}") for n in range(30)])
    chart = ra.plot.net_points(largest, by="store_code")
    assert chart.title.subtitle[0].startswith("410 points redeemed")


def test_no_line_runs_over_periods_without_data() -> None:
    months = ("2026-01", "2026-02", "2026-05", "2026-06")
    r = load([redemption(month, 5, f"{month}-10") for month in months])
    for chart in (ra.plot.net_points(r, by="month"), ra.plot.reversal_rates(r, by="month")):
        rows = {row["start"][:7]: row for row in rows_of(chart) if "start" in row}
        gaps = {month for month, row in rows.items() if row["redemptions"] is None}
        assert gaps == {"2026-03", "2026-04"}
        assert rows.keys() == {*months, *gaps}
        # Vega-Lite breaks a line where a value is null.
        assert all(rows[gap].get("net_points") is None for gap in gaps)


def test_the_newest_periods_are_those_of_the_calendar() -> None:
    months = ("2025-01", "2025-06", "2026-01", "2026-02")
    r = load([redemption(month, 5, f"{month}-10") for month in months])
    chart = ra.plot.net_points(r, by="month", newest=9)
    drawn = [row["start"][:7] for row in rows_of(chart) if row["redemptions"]]
    assert drawn == ["2025-06", "2026-01", "2026-02"]
    assert "The newest 9 months." in chart.title.subtitle[1]


def test_the_period_that_is_not_over_is_faded_and_what_is_later_is_not_drawn() -> None:
    r = load([redemption(day, 5, day) for day in ("2026-01-10", "2026-02-10", "2026-03-10")])
    exported = r.filter(as_of="2026-02-20")
    over = {row["start"][:7]: row["over"] for row in rows_of(ra.plot.net_points(exported))}
    assert over == {"2026-01": True, "2026-02": False}
    opacity = ra.plot.net_points(exported).to_dict()["layer"][0]["encoding"]["opacity"]
    (condition,) = opacity["condition"]
    assert (condition["test"], condition["value"]) == ("datum.over", 1)
    assert opacity["value"] < 1


@pytest.mark.parametrize(
    ("period", "span", "name"),
    [
        ("day", ("2026-11-19", "2026-11-20"), "19 November 2026"),
        ("week", ("2026-11-16", "2026-11-23"), "week of 16 November 2026"),
        ("month", ("2026-11-01", "2026-12-01"), "November 2026"),
        ("quarter", ("2026-10-01", "2027-01-01"), "Q4 2026"),
        ("year", ("2026-01-01", "2027-01-01"), "2026"),
    ],
)
def test_a_bar_is_as_wide_as_its_period(period: str, span: tuple[str, str], name: str) -> None:
    r = load([redemption("a", 5, "2026-11-19")])
    (row,) = rows_of(ra.plot.net_points(r, by=period))
    assert (row["start"][:10], row["end"][:10]) == span
    assert row["period"] == name


@pytest.mark.slow
def test_pictures_are_the_same_in_every_time_zone() -> None:
    draw = (
        "import redemption_analytics as ra, vl_convert;"
        "r = ra.load('data_samples/2025-stores.json');"
        "print(vl_convert.vegalite_to_svg(ra.plot.net_points(r, by='week').to_dict()))"
    )
    svgs = {
        subprocess.run(
            [sys.executable, "-c", draw],
            env=os.environ | {"TZ": zone},
            capture_output=True,
            check=True,
        ).stdout
        for zone in ("America/Sao_Paulo", "Pacific/Auckland")  # west and east of UTC
    }
    assert len(svgs) == 1


def test_names_from_the_data_stay_text() -> None:
    hostile = "<script>alert(1)</script>"
    r = load([redemption("a", 5, store=hostile, till=hostile)])
    for chart in (ra.plot.net_points(r, by="store_code"), ra.plot.reversal_rates(r, "till_code")):
        assert "<script" not in drawn(chart)


def test_a_wrong_argument_is_the_metrics_error() -> None:
    r = load([redemption("a", 5)])
    with pytest.raises(ra.UsageError, match="Did you mean 'store_code'"):
        ra.plot.net_points(r, by="store")
    with pytest.raises(ra.UsageError, match="within is a duration"):
        ra.plot.reversal_rates(r, within="soon")
    with pytest.raises(ra.UsageError, match="by names what is held against the others"):
        ra.plot.reversal_funnel(r, by=())


def test_the_curve_tells_how_many_were_at_risk_below_it(organisation: ra.Redemptions) -> None:
    r = organisation
    curve = ra.reversal_curve(r, horizon="90D").set_index("day")["at_risk"]
    svg = drawn(ra.plot.reversal_curve(r, horizon="90D"))
    assert all(f">{curve[day]:,}<" in svg for day in (0, 30, 60, 90))


def test_points_outside_the_funnel_are_named_and_do_not_move_it(
    organisation: ra.Redemptions,
) -> None:
    r = organisation
    rows = rows_of(ra.plot.reversal_funnel(r))
    tills = {row["label"]: row for row in rows if "label" in row}
    outliers = ra.reversal_outliers(r)
    found = set(outliers.loc[outliers["q_value"] < 0.01, "till_code"])
    assert {name for name, row in tills.items() if row["kind"] == "stands out"} == found
    (centre,) = (row["rate"] for row in rows if set(row) == {"rate"})
    others = outliers[~outliers["till_code"].isin(found)]
    assert centre == others["reversed_redemptions"].sum() / others["redemptions"].sum()


@pytest.mark.parametrize("n", [1, 7, 50, 1234, 200_000])
@pytest.mark.parametrize("rate", [0.0004, 0.08, 0.5, 0.97])
@pytest.mark.parametrize("share", [0.95, 0.998])
def test_control_limits_are_scipys_quantiles_interpolated(
    n: int, rate: float, share: float
) -> None:
    def limit(probability: float) -> float:
        count = stats.binom.ppf(probability, n, rate)
        reached, point = stats.binom.cdf(count, n, rate), stats.binom.pmf(count, n, rate)
        return float(max(count - (reached - probability) / point, 0) / n)

    ((low, high),) = control_limits(rate, [n], share)
    assert low == pytest.approx(limit((1 - share) / 2), rel=1e-6, abs=1e-9)
    assert high == pytest.approx(limit((1 + share) / 2), rel=1e-6, abs=1e-9)


@pytest.mark.parametrize("n", [7, 50, 1234])
@pytest.mark.parametrize("apart", [0.002, 0.05])
def test_control_limits_of_tills_that_differ_are_those_of_the_beta_binomial(
    n: int, apart: float
) -> None:
    weight = 1 / apart - 1
    law = stats.betabinom(n, 0.08 * weight, 0.92 * weight)
    ((low, high),) = control_limits(0.08, [n], 0.95, apart)
    assert law.ppf(0.025) - 1 <= low * n <= law.ppf(0.025)
    assert law.ppf(0.975) - 1 <= high * n <= law.ppf(0.975)
    ((inner_low, inner_high),) = control_limits(0.08, [n], 0.95)
    assert low <= inner_low < inner_high < high


def test_flows_hold_all_points_and_say_how_many_stayed_at_home(
    organisation: ra.Redemptions,
) -> None:
    r = organisation
    flows = ra.source_flows(r)
    for most in (3, 12):
        chart = ra.plot.source_flows(r, most=most)
        cells = {(row["earned"], row["redeemed"]): row["points"] for row in rows_of(chart)}
        assert sum(cells.values()) == flows["points_consumed"].sum()
    home = flows.loc[flows["source_store_code"] == flows["store_code"], "points_consumed"].sum()
    assert f"{home / flows['points_consumed'].sum() * 100:.1f} %" in chart.title.subtitle[0]


def test_coverage_shows_the_customers_whom_the_audit_counts(organisation: ra.Redemptions) -> None:
    r = organisation
    pairs = [row for row in rows_of(ra.plot.coverage(r)) if "said" in row]
    found = ra.audit(r).set_index("check")["count"]
    for kind in ("points", "coupons"):
        short = [row for row in pairs if row["kind"] == kind and row["said"] > row["here"]]
        assert sum(row["customers"] for row in short) == found[f"truncated_{kind}"]
        assert all("truncated" in row["state"] for row in short)


def test_without_altair_the_error_names_the_extra() -> None:
    code = (
        "import sys; sys.modules['altair'] = None\n"
        "import redemption_analytics as ra\n"
        "try: ra.plot\n"
        "except ImportError as error: print(error)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert 'pip install "redemption-analytics[report]"' in done.stdout
