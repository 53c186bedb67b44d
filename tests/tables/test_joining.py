"""Joining with the rest: the tables go into other libraries as they are, and come back."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import duckdb
import narwhals as nw
import numpy as np
import pandas as pd
import polars as pl
import pyarrow as pa
import pytest
from sklearn.compose import make_column_transformer
from sklearn.ensemble import HistGradientBoostingClassifier
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import OneHotEncoder, StandardScaler

import redemption_analytics as ra
from redemption_analytics.tables.arrow import arrow_schema_of
from redemption_analytics.tables.frames import as_arrow, conformed

SAMPLES = Path(__file__).parents[2] / "data_samples"

#: Texts in other widths are texts all the same.
TEXTS = (pa.string(), pa.large_string(), pa.string_view())

PANDAS_3 = int(pd.__version__.split(".")[0]) >= 3

ENGINES = ("pandas", "pyarrow", "polars", "duckdb")


class Stream:
    """A frame of a library that nobody here knows: all that it can do is give an Arrow stream."""

    def __init__(self, table: pa.Table):
        self._table = table

    def __arrow_c_stream__(self, requested_schema: object = None) -> object:
        return self._table.__arrow_c_stream__(requested_schema)


@pytest.fixture(scope="module")
def r() -> ra.Redemptions:
    return ra.load(SAMPLES / "organisation")


@pytest.fixture(scope="module")
def converted(tmp_path_factory: pytest.TempPathFactory) -> Path:
    directory = tmp_path_factory.mktemp("converted") / "out"
    ra.convert(SAMPLES / "organisation", directory)
    return directory


def plain(table: pa.Table) -> pa.Table:
    """The same with texts of one width, without what pandas notes down for itself."""
    fields = [pa.field(f.name, pa.string() if f.type in TEXTS else f.type) for f in table.schema]
    return table.cast(pa.schema(fields)).replace_schema_metadata()


def same(table: pa.Table, expected: pa.Table) -> bool:
    return plain(table).equals(plain(expected))


# Out


@pytest.mark.parametrize("engine", ENGINES)
def test_every_table_of_every_engine_is_an_arrow_stream(
    r: ra.Redemptions, converted: Path, engine: Any
) -> None:
    opened = ra.open(converted, engine)
    for name, frame in (opened.tables | {"ledger": opened.ledger}).items():
        # Polars has no stream of what it has not computed yet.
        stream = frame.collect() if isinstance(frame, pl.LazyFrame) else frame
        table = pa.RecordBatchReader.from_stream(stream).read_all()
        if name != "ledger":
            assert plain(table).schema.equals(plain(arrow_schema_of(name).empty_table()).schema)
        assert same(table, pa.table(getattr(r, name))), name


def test_into_polars_with_types_and_nulls_kept(r: ra.Redemptions) -> None:
    for name, frame in r.tables.items():
        for found in (pl.from_pandas(frame), pl.DataFrame(frame), pl.from_arrow(pa.table(frame))):
            assert isinstance(found, pl.DataFrame)
            assert same(found.to_arrow(), pa.table(frame)), name
    points = pl.from_pandas(r.points)
    assert points.schema["program_id"] == pl.Int64
    assert points.schema["redeemed_time"] == pl.Datetime("us")
    assert points["bill_id"].null_count() == r.points["bill_id"].isna().sum() > 0
    assert points["store_code"].null_count() == r.points["store_code"].isna().sum() > 0


def test_texts_of_pandas_reach_arrow_without_a_copy(r: ra.Redemptions) -> None:
    def address() -> int:
        buffer: int = pa.table(r.points)["redemption_key"].chunk(0).buffers()[2].address
        return buffer

    assert address() == address()


def test_duckdb_finds_the_tables_of_every_engine_in_memory_by_their_names(
    r: ra.Redemptions, converted: Path
) -> None:
    expected = r.points.merge(r.reversals).groupby("store_code")["points_reversed"].sum()
    for engine in ("pandas", "pyarrow", "polars"):
        opened = ra.open(converted, engine)  # type: ignore[arg-type]
        points, reversals = opened.points, opened.reversals
        found = duckdb.sql(
            "SELECT store_code, sum(points_reversed) FROM reversals JOIN points"
            " USING (redemption_key) WHERE store_code IS NOT NULL GROUP BY 1"
        )
        assert dict(found.fetchall()) == expected.to_dict()
        assert same(duckdb.sql("FROM points").to_arrow_table(), pa.table(r.points))
        del points, reversals


@pytest.mark.parametrize("engine", ENGINES)
def test_all_tables_are_registered_with_one_s_own_duckdb_in_a_loop(
    r: ra.Redemptions, converted: Path, engine: Any
) -> None:
    connection = duckdb.connect()
    for name, frame in ra.open(converted, engine).tables.items():
        # A relation belongs to its own database: it goes to another one as Arrow.
        here = frame.to_arrow_table() if engine == "duckdb" else frame
        connection.register(name, here)
    for name, frame in r.tables.items():
        assert same(connection.sql(f"FROM {name}").to_arrow_table(), pa.table(frame)), name


needs_shared_databases = pytest.mark.skipif(
    int(duckdb.__version__.split(".")[0]) < 2,
    reason="DuckDB 1 keeps each relation to its connection",
)


@needs_shared_databases
def test_relations_that_were_opened_are_found_by_duckdb_sql(
    r: ra.Redemptions, converted: Path
) -> None:
    lake = ra.open(converted, "duckdb")
    points = lake.points
    found = duckdb.sql("SELECT count(*), sum(points_redeemed) FROM points").fetchall()
    assert found == [(len(r.points), r.points["points_redeemed"].sum())]
    totals = ra.net_points(lake, by="program_id")
    net = ra.net_points(r)["net_points"].item()
    assert duckdb.sql("SELECT sum(net_points) FROM totals").fetchall() == [(net,)]
    del points, totals
    assert duckdb.sql("SHOW TABLES").fetchall() == []


@needs_shared_databases
def test_relations_can_be_joined_with_one_s_own_database(converted: Path) -> None:
    mine = duckdb.connect()
    mine.sql("CREATE TABLE stores AS SELECT 'north' AS store_code, 'Oslo' AS city")
    before = duckdb.default_connection()
    duckdb.set_default_connection(mine)
    try:
        points = ra.open(converted, "duckdb").points
        found = mine.sql(
            "SELECT city, count(*) FROM stores JOIN points USING (store_code) GROUP BY 1"
        )
        del points
        (row,) = found.fetchall()
    finally:
        duckdb.set_default_connection(before)
    assert row[0] == "Oslo"
    assert row[1] > 0


def test_bundles_of_one_process_do_not_hinder_each_other(
    r: ra.Redemptions, converted: Path
) -> None:
    from concurrent.futures import ThreadPoolExecutor

    def total(_: int) -> int:
        return int(ra.net_points(ra.open(converted, "duckdb")).fetchall()[0][3])

    with ThreadPoolExecutor(4) as pool:
        assert set(pool.map(total, range(8))) == {ra.net_points(r)["net_points"].item()}


# Into scikit-learn


@pytest.mark.slow
def test_scikit_learn_takes_numbers_with_nulls_as_they_are(r: ra.Redemptions) -> None:
    features = r.points[["points_redeemed", "program_id", "bill_id"]]
    reversed_ = r.points["redemption_key"].isin(r.reversals["redemption_key"])
    assert features["bill_id"].isna().any()
    model = HistGradientBoostingClassifier(max_iter=5, random_state=0).fit(features, reversed_)
    floats = features.astype("float64").to_numpy(na_value=np.nan)
    again = HistGradientBoostingClassifier(max_iter=5, random_state=0).fit(floats, reversed_)
    assert np.array_equal(model.predict_proba(features), again.predict_proba(floats))
    assert list(model.feature_names_in_) == list(features.columns)


@pytest.mark.parametrize("kind", [pd.DataFrame, pl.from_pandas], ids=["pandas", "polars"])
def test_scikit_learn_encodes_texts_and_nulls_as_they_are(
    r: ra.Redemptions, kind: Callable[[Any], Any]
) -> None:
    points = kind(r.points)
    reversed_ = r.points["redemption_key"].isin(r.reversals["redemption_key"])
    encode = make_column_transformer(
        (OneHotEncoder(), ["store_code", "program_id"]), (StandardScaler(), ["points_redeemed"])
    )
    model = make_pipeline(encode, LogisticRegression()).fit(points, reversed_)
    assert encode.fit_transform(points).shape == (
        len(r.points),
        r.points["store_code"].nunique(dropna=False)
        + r.points["program_id"].nunique(dropna=False)
        + 1,
    )
    # Tills differ in what comes back, by how the samples were made.
    assert model.predict_proba(points)[:, 1].std() > 0


def test_programs_are_named_as_they_are_written_once_they_are_texts(r: ra.Redemptions) -> None:
    encoder = OneHotEncoder().fit(r.points[["program_id"]].astype("str"))
    assert list(encoder.get_feature_names_out()) == [
        f"program_id_{program}" for program in (1234, 1886, 469, 973)
    ]


@pytest.mark.parametrize("engine", ["pyarrow", "duckdb"])
def test_scikit_learn_takes_other_engines_as_pandas(
    r: ra.Redemptions, converted: Path, engine: Any
) -> None:
    points = ra.open(converted, engine).points
    frame = points.df() if engine == "duckdb" else points.to_pandas()
    numbers = ["points_redeemed", "program_id", "bill_id"]
    scaled = [StandardScaler().fit_transform(rows[numbers]) for rows in (frame, r.points)]
    assert np.array_equal(*scaled, equal_nan=True)


# And back


@pytest.mark.parametrize("name", list(ra.schemas.MODELS))
def test_a_table_goes_from_pandas_to_pyarrow_and_back_unchanged(
    r: ra.Redemptions, name: str
) -> None:
    frame = getattr(r, name)
    again = pa.table(frame).to_pandas()
    # Before pandas 3 PyArrow makes objects of texts.
    pd.testing.assert_frame_equal(again.astype(frame.dtypes.to_dict()), frame)
    if PANDAS_3:
        pd.testing.assert_frame_equal(again, frame)


FRAMES: dict[str, Callable[[pd.DataFrame], Any]] = {
    "pandas": lambda frame: frame,
    "pyarrow": pa.table,
    "pyarrow from polars": lambda frame: pa.table(pl.from_pandas(frame)),
    "pyarrow of plain texts": lambda frame: plain(pa.table(frame)),
    "record batch": lambda frame: pa.table(frame).combine_chunks().to_batches()[0],
    "record batch reader": lambda frame: pa.table(frame).to_reader(),
    "polars": pl.from_pandas,
    "polars lazy": lambda frame: pl.from_pandas(frame).lazy(),
    "duckdb": lambda frame: duckdb.from_arrow(pa.table(frame)),
    "narwhals": nw.from_native,
    "narwhals of pyarrow": lambda frame: nw.from_native(pa.table(frame)),
    "an Arrow stream": lambda frame: Stream(pa.table(frame)),
}


@pytest.mark.parametrize("kind", FRAMES)
def test_frames_of_every_kind_make_a_bundle(r: ra.Redemptions, kind: str) -> None:
    make = FRAMES[kind]
    alone = ra.Redemptions(points=make(r.points)).validate()
    total = r.points["points_redeemed"].sum()
    assert as_arrow(ra.net_points(alone)).to_pylist() == [
        {
            "redemptions": len(r.points),
            "points_redeemed": total,
            "points_reversed": 0,
            "net_points": total,
        }
    ]
    some = {name: make(getattr(r, name)) for name in ("customers", "points", "reversals")}
    both = ra.Redemptions(**some).validate()
    assert same(as_arrow(ra.net_points(both)), as_arrow(ra.net_points(r)))
    assert same(as_arrow(both.points), as_arrow(r.points))
    assert "points" in repr(both)


def test_an_arrow_stream_becomes_what_the_other_frames_are(r: ra.Redemptions) -> None:
    stream = Stream(pa.table(r.reversals))
    assert isinstance(ra.Redemptions(reversals=stream).reversals, pa.Table)
    beside = ra.Redemptions(points=r.points, reversals=stream).validate()
    pd.testing.assert_frame_equal(beside.reversals, r.reversals)
    mine = ra.Redemptions(reversals=stream, points=pl.from_pandas(r.points))
    assert isinstance(mine.reversals, pl.DataFrame)
    assert isinstance(mine.coupons, pl.DataFrame)


def test_frames_of_two_kinds_are_refused_with_the_remedy(r: ra.Redemptions) -> None:
    with pytest.raises(ra.UsageError, match=r"kind: points is a pyarrow Table, .*pa\.table\("):
        ra.Redemptions(points=pa.table(r.points), reversals=pl.from_pandas(r.reversals))
    with pytest.raises(ra.UsageError, match=r"points is a polars DataFrame.* a polars LazyFrame"):
        ra.Redemptions(
            points=pl.from_pandas(r.points), reversals=pl.from_pandas(r.reversals).lazy()
        )


@pytest.mark.parametrize(
    "frame", [[1, 2], {"redemption_key": ["a"]}, "points.parquet", pa.array([1]), pd.Series([1])]
)
def test_what_is_no_frame_is_refused_with_the_remedy(frame: Any) -> None:
    with pytest.raises(
        ra.UsageError, match=f"points is of type .*{type(frame).__name__}.*no frame"
    ):
        ra.Redemptions(points=frame)


@pytest.mark.parametrize("kind", [name for name in FRAMES if name not in ("pandas", "narwhals")])
def test_a_column_that_lacks_is_named(r: ra.Redemptions, kind: str) -> None:
    frame = FRAMES[kind](r.points.drop(columns=["notes", "till_code"]))
    with pytest.raises(ra.ValidationError, match="points: lacks notes, till_code"):
        ra.Redemptions(points=frame).validate()


@pytest.mark.parametrize(
    ("column", "value", "said"),
    [("bill_id", "a bill", "a bill"), ("redemption_key", None, "null"), ("id", 1.5, "1.5")],
)
def test_a_column_that_cannot_be_of_its_type_is_named(
    r: ra.Redemptions, column: str, value: Any, said: str
) -> None:
    wrong = pl.from_pandas(r.points).with_columns(pl.lit(value).alias(column))
    with pytest.raises(ra.ValidationError, match=f"points: {column}: .*{said}"):
        ra.Redemptions(points=wrong).validate()


@pytest.mark.parametrize("kind", ["pandas", "polars", "pyarrow"])
def test_a_missing_key_is_written_nowhere(r: ra.Redemptions, kind: str, tmp_path: Path) -> None:
    points = r.points.copy()
    points.loc[1, "redemption_key"] = None
    frame = FRAMES[kind](points)
    with pytest.raises(ra.ValidationError, match=r"points: redemption_key: .*null"):
        conformed("points", frame)
    with pytest.raises(ra.ValidationError, match=r"points: redemption_key: .*null"):
        ra.Redemptions(points=frame).to_parquet(tmp_path / "out")
    assert list(tmp_path.iterdir()) == []


def remedied(frame: pd.DataFrame) -> pd.DataFrame:
    """The points, once what the error says is done."""
    with pytest.raises(ra.ValidationError) as refused:
        ra.Redemptions(points=frame).validate()
    remedy = str(refused.value).partition(".astype(")[2].partition(") puts that right")[0]
    mended = frame.astype(eval(remedy, {"pd": pd}))
    points: pd.DataFrame = ra.Redemptions(points=mended).validate().points
    return points


@pytest.mark.slow
def test_integers_that_pandas_made_floats_of_are_told_how_to_come_back(
    r: ra.Redemptions, converted: Path
) -> None:
    for floats in (
        pl.from_pandas(r.points).to_pandas(),
        pd.read_parquet(converted / "points"),
        plain(pa.table(r.points)).to_pandas(),
    ):
        assert floats["bill_id"].dtype == "float64"
        with pytest.raises(ra.ValidationError, match=r'bill_id is float64.*"bill_id": "Int64"'):
            ra.Redemptions(points=floats).validate()
        # Integers without nulls pass as int64, too.
        assert same(pa.table(remedied(floats)), pa.table(r.points))


def test_all_types_that_differ_are_mended_by_what_the_error_says(r: ra.Redemptions) -> None:
    other = r.points.convert_dtypes(dtype_backend="pyarrow")
    assert same(pa.table(remedied(other)), pa.table(r.points))
