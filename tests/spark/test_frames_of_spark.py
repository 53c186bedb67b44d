"""Every function on Spark's frames: the numbers are pandas', whatever zone the session is in."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from engines import same, write_exports
from payloads import answers, redemption, reversal
from sparks import CONNECT, KIND, spark_needed, zones

import redemption_analytics as ra
from redemption_analytics.tables.frames import as_arrow

spark_needed()

# PySpark 4.0 leaves its sockets to the collector.
pytestmark = pytest.mark.filterwarnings(
    "ignore:Exception ignored in. <socket:pytest.PytestUnraisableExceptionWarning"
)

#: Hours that the clocks of Paris and São Paulo skip, and ones that they show twice: on the wall
#: clock of the organisation they are hours like all others.
SKIPPED = [
    redemption("paris", 30, "2026-03-29 02:30:00", [reversal(9001, 10, "2026-03-29 03:00:00")]),
    redemption("sunday", 20, "2018-11-04 00:30:00", [reversal(9002, 20, "2018-11-04 23:59:59")]),
    redemption("twice", 40, "2018-02-17 23:30:00", [reversal(9003, 5, "2018-02-18 00:30:00")]),
    redemption("autumn", 60, "2026-10-25 01:30:00", [reversal(9004, 60, "2026-10-25 03:30:00")]),
]

#: Session and Python are never in one zone.
ZONES = [
    ("America/Sao_Paulo", "Asia/Tokyo"),
    ("Europe/Paris", "America/New_York"),
    ("UTC", "Asia/Kolkata"),
]
DAYS = ["day", "week", "month", "quarter", "year"]

OF_TIME: list[tuple[Callable[..., Any], dict[str, Any]]] = [
    (ra.net_points, {"by": DAYS, "basis": "event"}),
    (ra.reversal_rates, {"by": "week", "within": "36h", "as_of": "2026-10-25"}),
    (ra.time_to_reversal, {"by": ["program_id", "quarter"]}),
    (ra.reconciliation, {"period": "week"}),
    (ra.source_flows, {}),
]
OTHERS: list[tuple[Callable[..., Any], dict[str, Any]]] = [
    (ra.net_points, {"by": ["program_id", "custom:channel"]}),
    (ra.reversal_rates, {}),
    (ra.coupon_summary, {"by": ["discount_type", "week", "custom:channel"]}),
    (ra.coupon_performance, {"by": "month"}),
    (ra.kpis, {"by": ["program_id", "month"]}),
    (ra.reversal_outliers, {"by": "till_code"}),
    (ra.cohorts, {"by": "program_id", "months": 4}),
    (ra.customers_to_review, {"min_reversed": 1, "false_alarms": 1.0}),
    (ra.reversal_curve, {"by": "program_id", "weight": "points"}),
    (ra.reversal_curve, {"by": "quarter"}),
    (ra.expected_reversals, {"by": "program_id"}),
    (ra.stores, {}),
    (ra.programs, {}),
    (ra.audit, {"as_of": "2027-01-01"}),
    (ra.audit_cases, {"check": "breakup_mismatch"}),
]
CASES = [
    *((call, ZONES[0]) for call in (*OF_TIME, *OTHERS)),
    *((call, zone) for zone in ZONES[1:] for call in OF_TIME if not CONNECT),
]


@pytest.fixture(scope="module")
def converted(tmp_path_factory: pytest.TempPathFactory) -> Path:
    exports, converted = (tmp_path_factory.mktemp(name) for name in ("exports", "{converted}"))
    write_exports(exports)
    (exports / "2026-11-29.json").write_text(json.dumps(answers(SKIPPED)))
    ra.convert(exports, converted)
    return converted


@pytest.fixture(scope="module")
def whole(converted: Path) -> ra.Redemptions:
    return ra.open(converted)


@pytest.fixture(scope="module")
def opened(session: Any, converted: Path) -> ra.Redemptions:
    return ra.open(converted, engine="spark", session=session)


@pytest.mark.parametrize(
    ("call", "zone"), CASES, ids=[f"{call[0].__name__}-{call[1]}-{zone[0]}" for call, zone in CASES]
)
def test_numbers_are_those_of_pandas_in_any_zone(
    session: Any,
    whole: ra.Redemptions,
    opened: ra.Redemptions,
    call: tuple[Callable[..., Any], dict[str, Any]],
    zone: tuple[str, str],
) -> None:
    function, arguments = call
    with zones(session, *zone):
        result = function(opened, **arguments)
        assert type(result) is type(opened.points)
        theirs = as_arrow(function(whole, **arguments))
        assert len(theirs) > 0
        assert_same(as_arrow(result), theirs)


def assert_same(ours: pa.Table, theirs: pa.Table) -> None:
    assert types(ours) == types(theirs)
    assert len(ours) == len(theirs)
    wrong = [
        (one, other)
        for one, other in zip(ours.to_pylist(), theirs.to_pylist(), strict=True)
        if not all(same(one[name], other[name]) for name in other)
    ]
    assert not wrong, wrong[:3]


def types(table: pa.Table) -> dict[str, str]:
    return {field.name: str(field.type).removeprefix("large_") for field in table.schema}


@pytest.mark.parametrize("zone", ZONES[:1] if CONNECT else ZONES)
@pytest.mark.parametrize(
    "chosen",
    [
        {"as_of": "2018-11-04T00:30"},
        {"since": "2018-11-04", "until": "2026-03-29T02:30"},
        {"program_id": 1234, "until": "2026-10"},
    ],
    ids=str,
)
def test_a_filter_chooses_what_it_chooses_of_pandas(
    session: Any,
    whole: ra.Redemptions,
    opened: ra.Redemptions,
    zone: tuple[str, str],
    chosen: dict[str, Any],
) -> None:
    with zones(session, *zone):
        ours, theirs = opened.filter(**chosen), whole.filter(**chosen)
        for table, key in (("points", "redemption_key"), ("reversals", "reversal_id")):
            found, wanted = (as_arrow(getattr(r, table))[key].to_pylist() for r in (ours, theirs))
            assert sorted(found) == sorted(wanted) != []
        assert ours.now == theirs.now


def test_now_is_that_of_pandas(opened: ra.Redemptions, whole: ra.Redemptions) -> None:
    assert opened.now == whole.now
    # Without what the loader found it is computed from the tables.
    assert ra.Redemptions(**opened.tables).now == ra.Redemptions(**whole.tables).now


def test_a_bundle_is_summed_up_without_reading_its_tables(opened: ra.Redemptions) -> None:
    assert "points" in repr(opened)


def test_tables_are_validated_and_written_by_spark(
    session: Any, opened: ra.Redemptions, whole: ra.Redemptions, tmp_path: Path
) -> None:
    with zones(session, *ZONES[0]):
        written = opened.validate().to_parquet(tmp_path / "written")
    again = ra.open(written).validate()
    for name, table in whole.tables.items():
        pd.testing.assert_frame_equal(again.tables[name], table)
        read = pq.read_schema(written / name / "part-0.parquet")
        assert types(read.empty_table()) == types(as_arrow(table))
    assert sorted(p.name for p in (written / "points").iterdir()) == ["part-0.parquet"]
    assert_same(as_arrow(again.ledger), as_arrow(whole.ledger))


def replaced(table: str, column: str, sql: str) -> str:
    """Write a query of a table in which one column is another."""
    return f"SELECT * EXCEPT ({column}), {sql} AS {column} FROM {{{table}}}"


@pytest.mark.parametrize(
    ("table", "sql", "said"),
    [
        ("points", "SELECT * EXCEPT (notes) FROM {points}", "points: lacks notes"),
        (
            "points",
            replaced("points", "redeemed_time", "CAST(redeemed_time AS TIMESTAMP)"),
            "points: redeemed_time is Datetime.*without a zone",
        ),
        (
            "points",
            "SELECT * FROM {points} UNION ALL SELECT * FROM {points}",
            "redemption_key: .* stand in two rows",
        ),
        (
            "program_breakups",
            "SELECT * FROM {program_breakups} UNION ALL"
            " SELECT * FROM {program_breakups} WHERE program_id IS NULL",
            "redemption_key, program_id: 1 stand in two rows",
        ),
        (
            "points",
            replaced("points", "points_redeemed", "-points_redeemed"),
            "points_redeemed: a value is less than 0 in .* rows",
        ),
        (
            "custom_fields",
            replaced("custom_fields", "redemption_type", "upper(redemption_type)"),
            "redemption_type: a value is none of points, coupon",
        ),
        (
            "reversals",
            replaced("reversals", "reversal_id", "CAST(NULL AS BIGINT)"),
            "reversal_id: a value is missing",
        ),
        (
            "points",
            "SELECT * FROM {points} WHERE redemption_key <> 'paris'",
            "reversals: 1 rows name a redemption_key that points does not have",
        ),
    ],
)
def test_what_breaks_a_model_is_found_by_spark(
    session: Any, opened: ra.Redemptions, table: str, sql: str, said: str
) -> None:
    changed = session.sql(sql, **opened.tables)
    with pytest.raises(ra.ValidationError, match=said):
        ra.Redemptions(**{**opened.tables, table: changed}).validate()


def test_a_warehouse_is_opened_too(session: Any, tmp_path: Path) -> None:
    warehouse = ra.Warehouse(tmp_path / "lake")
    warehouse.ingest("data_samples/2020-breakups.json")
    warehouse.ingest("data_samples/2025-stores.json")
    for version in (1, 2):
        ours = warehouse.open("spark", version=version, session=session)
        theirs = warehouse.open(version=version)
        assert_same(*(as_arrow(ra.net_points(r, "program_id")) for r in (ours, theirs)))


def test_a_published_version_is_read_as_the_parquet_files_that_its_delta_log_names(
    session: Any, tmp_path: Path
) -> None:
    # Delta's own reader for Spark is of another registry: what its log names is what it would read.
    deltalake = pytest.importorskip("deltalake")
    warehouse = ra.Warehouse(tmp_path / "lake")
    warehouse.ingest("data_samples/2020-breakups.json")
    warehouse.ingest("data_samples/2025-stores.json")
    warehouse.publish()
    for version in (1, 2):
        published = deltalake.DeltaTable(tmp_path / "lake" / "data" / "points", version=version)
        read = session.read.parquet(*(uri.removeprefix("file://") for uri in published.file_uris()))
        columns = ["redemption_key", "points_redeemed", "redeemed_time"]
        keys = sorted(read.select(*columns).toArrow()["redemption_key"].to_pylist())
        theirs = warehouse.open(version=version).points
        assert keys == sorted(theirs["redemption_key"])
        assert (
            read.agg({"points_redeemed": "sum"}).collect()[0][0] == theirs["points_redeemed"].sum()
        )


def test_charts_and_reports_are_those_of_pandas(
    opened: ra.Redemptions, whole: ra.Redemptions, tmp_path: Path
) -> None:
    ours, theirs = (ra.plot.net_points(r, by="month").to_dict() for r in (opened, whole))
    assert ours["datasets"] == theirs["datasets"]
    for name, r in (("ours", opened), ("theirs", whole)):
        ra.write_reports(r, tmp_path / name)
    tables = [path.name for path in (tmp_path / "theirs").glob("*.parquet")]
    assert len(tables) > 10
    for name in tables:
        assert_same(*(pq.read_table(tmp_path / of / name) for of in ("ours", "theirs")))


def test_a_session_is_asked_for_and_refused_where_there_is_none(converted: Path) -> None:
    with pytest.raises(ra.UsageError, match="session is of Spark: engine='duckdb' takes none"):
        ra.open(converted, engine="duckdb", session=object())
    with pytest.raises(ra.UsageError, match="session is a session of Spark, not"):
        ra.open(converted, engine="spark", session="local")


def test_a_custom_field_whose_name_has_a_dot_is_refused(opened: ra.Redemptions) -> None:
    fields = opened.custom_fields.selectExpr("* EXCEPT (name)", "'a.b' AS name").select(
        *opened.custom_fields.columns
    )
    r = ra.Redemptions(**{**opened.tables, "custom_fields": fields})
    with pytest.raises(ra.UsageError, match="to Spark the dot or backtick in it divides names"):
        ra.net_points(r, "custom:a.b")


@pytest.mark.skipif(CONNECT, reason="this is what is run")
def test_all_of_this_holds_by_spark_connect(pytestconfig: pytest.Config) -> None:
    pytest.importorskip("grpc")
    done = subprocess.run(
        [
            sys.executable,
            "-m",
            "pytest",
            "-p",
            "no:cacheprovider",
            "-n",
            "0",
            str(Path(__file__).parent),
        ],
        cwd=pytestconfig.rootpath,
        env={**os.environ, KIND: "connect"},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout[-5000:] + done.stderr[-2000:]
