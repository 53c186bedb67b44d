"""How functions are called: what is wrong with an argument is said, whatever the engine."""

from __future__ import annotations

import inspect
from collections.abc import Callable
from datetime import datetime
from functools import cache
from pathlib import Path
from typing import Any

import duckdb
import pandas as pd
import polars as pl
import pyarrow as pa
import pytest
from payloads import coupon, load, redemption, reversal
from typer.testing import CliRunner

import redemption_analytics as ra
from redemption_analytics.cli import app
from redemption_analytics.options import DEFAULTS
from redemption_analytics.tables.frames import as_arrow

GOOD = "data_samples/2020-breakups.json"

METRICS = [
    "audit",
    "audit_cases",
    "cohorts",
    "coupon_performance",
    "coupon_summary",
    "customers_to_review",
    "expected_reversals",
    "kpis",
    "net_points",
    "programs",
    "reversal_curve",
    "reversal_outliers",
    "reversal_rates",
    "source_flows",
    "stores",
    "tills",
    "time_to_reversal",
]
OF_BUNDLES: dict[str, Callable[..., Any]] = {
    **{name: getattr(ra, name) for name in METRICS},
    **{f"plot.{name}": getattr(ra.plot, name) for name in ra.plot.__all__},
    "write_reports": lambda r: ra.write_reports(r, "nowhere"),
}

FRAMES: dict[str, Callable[[pa.Table], Any]] = {
    "pandas": lambda table: table.to_pandas(),
    "polars": pl.from_arrow,
    "polars lazy": lambda table: pl.DataFrame(table).lazy(),
    "pyarrow": lambda table: table,
    "duckdb": duckdb.connect().from_arrow,
}

SOME = [
    redemption("a", 100, "2026-10-02", [reversal(1, 30, "2026-10-05")], program=469),
    redemption("b", 50, "2026-10-03", program=1234),
]


@cache
def loaded() -> ra.Redemptions:
    return load(SOME, exported_at="2026-11-01")


def tables() -> dict[str, pa.Table]:
    return {
        name: as_arrow(frame).replace_schema_metadata() for name, frame in loaded().tables.items()
    }


def bundle(kind: str, given: dict[str, pa.Table]) -> ra.Redemptions:
    return ra.Redemptions(**{name: FRAMES[kind](table) for name, table in given.items()})


@cache
def of_kind(kind: str) -> ra.Redemptions:
    return bundle(kind, tables())


@pytest.mark.parametrize("kind", FRAMES)
@pytest.mark.parametrize("name", OF_BUNDLES)
def test_a_frame_given_for_a_bundle_is_refused_with_the_remedy(name: str, kind: str) -> None:
    frame = FRAMES[kind](tables()["points"])
    function = name.removeprefix("plot.")
    wanted = rf"^{function}: r is a bundle of tables.*Redemptions\(points=frame\).*, not a \w+ \w+$"
    with pytest.raises(ra.UsageError, match=wanted):
        OF_BUNDLES[name](frame)


@pytest.mark.parametrize("value", [None, "exports/", 7, {"points": 1}])
def test_what_is_no_bundle_at_all_is_refused(value: Any) -> None:
    for function in OF_BUNDLES.values():
        with pytest.raises(ra.UsageError, match="r is a bundle of tables"):
            function(value)


WRONG_OPTIONS: list[tuple[str, Any]] = [
    ("threads", "2"),
    ("threads", True),
    ("threads", 2.0),
    ("threads", 0),
    ("max_record_bytes", "64MB"),
    ("max_record_bytes", -1),
    ("max_record_bytes", None),
    ("progress", "yes"),
    ("progress", 1),
    ("keep_custom_fields", "shift"),
    ("keep_custom_fields", [1]),
    ("keep_custom_fields", None),
    ("timezone", 3),
    ("timezone", "Europe/Pariss"),
    ("timezone", "../etc/passwd"),
    ("customer_key", "phone"),
    ("customer_key", ["mobile"]),
    ("pii", "hash"),
    ("pii", None),
    ("points", "float"),
    ("points", 3),
    ("on_error", "ignore"),
    ("on_error", True),
    ("exported_at", 20261031),
    ("exported_at", "01/02/2026"),
    ("exported_at", "now"),
    ("exported_at", "2026-10"),
    ("exported_at", pd.NaT),
]


@pytest.mark.parametrize(("option", "value"), WRONG_OPTIONS)
def test_a_wrong_option_names_function_argument_value_and_what_it_takes(
    option: str, value: Any, tmp_path: Path
) -> None:
    with pytest.raises(ra.UsageError, match=rf"^load: {option} is .*, not ") as caught:
        ra.load(GOOD, **{option: value})
    assert str(caught.value).endswith(repr(value))
    with pytest.raises(ra.UsageError, match=rf"^convert: {option} is .*, not "):
        ra.convert(GOOD, tmp_path / "out", **{option: value})
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("overwrite", ["yes", 1, None])
def test_overwrite_is_true_or_false(overwrite: Any, tmp_path: Path) -> None:
    with pytest.raises(ra.UsageError, match=r"^convert: overwrite is True or False, not "):
        ra.convert(GOOD, tmp_path / "out", overwrite=overwrite)


def test_an_unknown_option_is_told_with_those_there_are_and_the_nearest(tmp_path: Path) -> None:
    with pytest.raises(ra.UsageError, match=r"^convert has no argument 'pi': it .*mean 'pii'\?"):
        ra.convert(GOOD, tmp_path / "out", pi="drop")  # type: ignore[call-arg]
    with pytest.raises(ra.UsageError, match=r"^load has no argument 'thread'.*mean 'threads'\?"):
        ra.load(GOOD, thread=2)  # type: ignore[call-arg]
    with pytest.raises(ra.UsageError, match=r"^net_points has no argument 'group': it takes r, by"):
        ra.net_points(load(SOME), group="month")  # type: ignore[call-arg]
    with pytest.raises(ra.UsageError, match=r"^Redemptions has no argument 'point'.*'points'\?"):
        ra.Redemptions(point=None)  # type: ignore[call-arg]
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("function", [ra.load, ra.convert])
def test_signatures_show_every_option_with_its_default(function: Callable[..., Any]) -> None:
    shown = inspect.signature(function).parameters
    for name, default in DEFAULTS.items():
        assert shown[name].default == default
        assert shown[name].kind is inspect.Parameter.KEYWORD_ONLY


# Conditions


@pytest.mark.parametrize("kind", FRAMES)
@pytest.mark.parametrize(
    "value", [469, "469", 469.0, [469], ["469"], (469,), {469}, pd.Series([469])], ids=repr
)
def test_a_condition_is_read_by_the_schema_of_its_column(kind: str, value: Any) -> None:
    chosen = of_kind(kind).filter(program_id=value)
    assert as_arrow(chosen.points)["redemption_key"].to_pylist() == ["a"]


@pytest.mark.parametrize("kind", FRAMES)
@pytest.mark.parametrize(
    ("column", "value"),
    [
        ("program_id", "gold"),
        ("program_id", "469.5"),
        ("program_id", "4_69"),
        ("program_id", "٤٦٩"),
        ("program_id", 469.5),
        ("program_id", True),
        ("program_id", ""),
        ("program_id", 2**63),
        ("program_id", float("inf")),
        ("program_id", datetime(2026, 1, 1)),
        ("program_id", [469, "gold"]),
        ("program_id", {"program_id": 469}),
        ("series_id", "x"),
        ("store_code", 7),
        ("store_code", True),
        ("store_code", b"north"),
        ("store_code", ["north", 7]),
        ("customer_key", 44700900101),
    ],
)
def test_a_condition_that_is_not_of_its_columns_type_is_refused(
    kind: str, column: str, value: Any
) -> None:
    with pytest.raises(ra.UsageError, match=rf"^filter: {column} is (a whole number|text), such"):
        of_kind(kind).filter(**{column: value})


# Bundles made by hand

LACKING: list[tuple[str, str, Callable[[ra.Redemptions], Any]]] = [
    ("points", "points_redeemed", lambda r: ra.net_points(r)),
    ("points", "program_id", lambda r: ra.net_points(r, by="program_id")),
    ("points", "store_code", lambda r: ra.net_points(r, by="store_code")),
    ("points", "redeemed_time", lambda r: ra.net_points(r, by="month")),
    ("points", "redeemed_time", lambda r: ra.reversal_rates(r)),
    ("points", "redeemed_time", lambda r: ra.reversal_curve(r)),
    ("points", "points_redeemed", lambda r: ra.expected_reversals(r)),
    ("points", "till_code", lambda r: ra.reversal_outliers(r)),
    ("points", "transaction_number", lambda r: ra.kpis(r)),
    ("points", "customer_key", lambda r: ra.kpis(r, by="customer_key")),
    ("points", "redemption_key", lambda r: ra.net_points(r, by="program_id")),
    ("points", "store_code", lambda r: ra.source_flows(r)),
    ("points", "store_code", lambda r: r.filter(store_code="north")),
    ("points", "points_redeemed", lambda r: ra.audit(r)),
    ("points", "redeemed_time", lambda r: ra.plot.net_points(r)),
    ("reversals", "points_reversed", lambda r: ra.net_points(r)),
    ("reversals", "reversal_time", lambda r: ra.time_to_reversal(r)),
    ("coupons", "discount_value", lambda r: ra.coupon_summary(r)),
    ("coupons", "series_id", lambda r: ra.coupon_summary(r, by="series_id")),
]


@pytest.mark.parametrize("kind", FRAMES)
@pytest.mark.parametrize(
    ("table", "column", "function"),
    LACKING,
    ids=range(len(LACKING)),
)
def test_a_column_that_a_bundle_made_by_hand_lacks_is_named(
    kind: str, table: str, column: str, function: Callable[[ra.Redemptions], Any]
) -> None:
    given = tables()
    given[table] = given[table].drop_columns([column])
    with pytest.raises(
        (ra.UsageError, ra.ValidationError), match=rf"{table}.* lacks the column .*{column}"
    ):
        function(bundle(kind, given))


@pytest.mark.parametrize("name", ["net_points", "kpis", "coupon_summary", "reversal_curve"])
def test_custom_fields_that_differ_in_case_alone_are_two_or_the_engine_is_said(name: str) -> None:
    custom = {"Shift": "early", "shift": "late"}
    both = load([redemption("a", 10, custom=custom)], [coupon(1, custom=custom)])
    given = {
        table: as_arrow(frame).replace_schema_metadata() for table, frame in both.tables.items()
    }
    by = ["custom:Shift", "custom:shift"]
    found = as_arrow(ra.net_points(bundle("polars", given), by=by)).to_pylist()
    assert [[row[column] for column in by] for row in found] == [["early", "late"]]
    with pytest.raises(ra.UsageError, match=r"'custom:Shift' and 'custom:shift' together"):
        getattr(ra, name)(bundle("duckdb", given), by=by)


WRONG_COLUMNS: dict[str, Callable[[pd.DataFrame], Any]] = {
    "points_redeemed": lambda points: pd.Series(["5", "x"]),
    "redeemed_time": lambda points: points["redeemed_time"].dt.tz_localize("UTC"),
    "store_code": lambda points: pd.Series(["north", 7], dtype=object),
}


@pytest.mark.parametrize("column", WRONG_COLUMNS)
def test_a_column_of_a_wrong_type_is_named_where_a_function_cannot_work_with_it(
    column: str, tmp_path: Path
) -> None:
    points = loaded().points
    r = ra.Redemptions(points=points.assign(**{column: WRONG_COLUMNS[column](points)}))
    functions: list[Callable[[], Any]] = [
        lambda: ra.reversal_curve(r, by=["store_code", "month"]),
        lambda: ra.write_reports(r, tmp_path / "report", page=False),
        lambda: r.to_parquet(tmp_path / "tables"),
    ]
    told = []
    for function in functions:
        try:
            function()
        except ra.RedemptionAnalyticsError as error:
            told.append(str(error))
    assert f"points: {column} is " in told[0]
    assert list(tmp_path.iterdir()) == [] or column == "redeemed_time"


# The command line


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["--threads", "two"], "--threads"),
        (["--threads", "0"], "--threads"),
        (["--max-record-bytes", "64MB"], "--max-record-bytes"),
        (["--exported-at", "01/02/2026"], "--exported-at is a time"),
        (["--exported-at", "now"], "--exported-at is a time"),
        (["--timezone", "Mars"], "timezone is an IANA name"),
        (["--pii", "hash"], "--pii"),
        (["--pi", "drop"], "--pi"),
    ],
)
def test_on_the_command_line_a_wrong_option_is_named_and_exits_with_2(
    arguments: list[str], said: str, tmp_path: Path
) -> None:
    done = CliRunner().invoke(app, ["convert", GOOD, str(tmp_path / "out"), *arguments])
    assert done.exit_code == 2
    assert said in done.output
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    "as_of", ["30", "2026", "20261031", "01/02/2026", "10:00", "now", "today", "2026-W10", ""]
)
def test_on_the_command_line_what_is_no_moment_is_refused(as_of: str, tmp_path: Path) -> None:
    done = CliRunner().invoke(app, ["report", GOOD, str(tmp_path / "out"), "--as-of", as_of])
    assert done.exit_code == 2
    assert "--as-of is a moment" in done.output
    assert "'2026-10-31'" in done.output
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        ({"by": 5}, "net_points: by is a name or a list of names, not 5"),
        ({"basis": "cohort"}, "net_points: basis is 'redemption' or 'event', not 'cohort'"),
    ],
)
def test_what_is_grouped_by_and_how_is_refused_with_the_function_named(
    arguments: dict[str, Any], said: str
) -> None:
    with pytest.raises(ra.UsageError) as error:
        ra.net_points(ra.Redemptions(), **arguments)
    assert str(error.value) == said
