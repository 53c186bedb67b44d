"""The models refuse tables that are not what they say, and tell the table, the column, the row."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pandas as pd
import pyarrow as pa
import pytest

import redemption_analytics as ra
from redemption_analytics.tables.arrow import check_batch, check_whole

SAMPLES = Path(__file__).parent.parent / "data_samples"


@pytest.fixture(scope="module")
def whole() -> ra.Redemptions:
    names = ["2020-breakups.json", "2025-stores.json", "2025-sources.json", "broken"]
    r = ra.load([SAMPLES / name for name in names])
    assert all(len(frame) for frame in r.tables.values())
    return r.validate()


def changed(r: ra.Redemptions, table: str, frame: pd.DataFrame) -> ra.Redemptions:
    return ra.Redemptions(**(r.tables | {table: frame}))


def in_arrow(frame: pd.DataFrame) -> pa.Table:
    table = pa.Table.from_pandas(frame, preserve_index=False)
    texts = [f.with_type(pa.string()) if f.type == pa.large_string() else f for f in table.schema]
    return table.cast(pa.schema(texts))


def batch_is_refused(table: str, frame: pd.DataFrame) -> bool:
    """Whether what is written is refused, in Arrow, where its Pandera model refuses it."""
    try:
        check_batch(table, in_arrow(frame))
    except ra.ValidationError:
        return True
    return False


def whole_is_refused(r: ra.Redemptions) -> bool:
    """Whether what is loaded is refused, in Arrow, where the Pandera models refuse it."""
    try:
        check_whole({name: in_arrow(frame) for name, frame in r.tables.items()})
    except ra.ValidationError:
        return True
    return False


def refusal(r: ra.Redemptions) -> str:
    with pytest.raises(ra.ValidationError) as raised:
        r.validate()
    return str(raised.value)


COLUMNS = [
    (table, name)
    for table, model in ra.schemas.MODELS.items()
    for name in model.to_schema().columns
]
KEYS = {
    "responses": "response_id",
    "customers": "customer_key",
    "coupons": "redemption_key",
    "points": "redemption_key",
    "program_breakups": "redemption_key program_id",
    "reversals": "reversal_id",
    "reversal_breakups": "reversal_id program_id",
    "source_breakups": "redemption_key position",
    "custom_fields": "redemption_key name redemption_type",
}


@pytest.mark.parametrize("model", ra.schemas.MODELS.values())
def test_a_model_goes_by_its_own_name(model: Any) -> None:
    assert model.to_schema().name == model.__name__


def twice(frame: pd.DataFrame) -> pd.DataFrame:
    return pd.concat([frame, frame.head(1)], ignore_index=True)


@pytest.mark.parametrize("table", KEYS)
def test_a_key_comes_once(whole: ra.Redemptions, table: str) -> None:
    frame = whole.tables[table]
    text = refusal(changed(whole, table, twice(frame)))
    assert text.startswith(f"{table}: ")
    assert f"in row {len(frame)}" in text
    assert any(f"{name}: " in text for name in KEYS[table].split())
    assert whole_is_refused(changed(whole, table, twice(frame)))


@pytest.mark.parametrize(
    ("table", "column", "other"),
    [
        ("program_breakups", "program_id", 99),
        ("program_breakups", "program_id", None),
        ("reversal_breakups", "program_id", None),
        ("source_breakups", "position", 99),
        ("custom_fields", "name", "other"),
        ("custom_fields", "redemption_type", "coupon"),
    ],
)
def test_a_row_that_differs_in_a_part_of_its_key_is_another(
    whole: ra.Redemptions, table: str, column: str, other: Any
) -> None:
    frame = twice(whole.tables[table])
    frame.loc[len(frame) - 1, column] = other
    r = changed(whole, table, frame).validate()
    assert not whole_is_refused(r)


@pytest.mark.parametrize(
    ("table", "column", "wrong"),
    [
        ("responses", "record", 0),
        ("responses", "coupons_loaded", -1),
        ("responses", "points_loaded", -1),
        ("points", "points_redeemed", -1),
        ("program_breakups", "points_redeemed", -1),
        ("reversals", "points_reversed", -1),
        ("reversal_breakups", "points_reversed", -1),
        ("source_breakups", "position", 0),
        ("source_breakups", "points_consumed", -1),
        ("custom_fields", "redemption_type", "voucher"),
        ("rejects", "record", 0),
        ("rejects", "line", 0),
    ],
)
def test_values_that_cannot_be(whole: ra.Redemptions, table: str, column: str, wrong: Any) -> None:
    frame = whole.tables[table].copy()
    row = len(frame) - 1
    frame.loc[row, column] = wrong
    text = refusal(changed(whole, table, frame))
    assert text.startswith(f"{table}: {column}: ")
    assert f"in row {row}" in text
    assert batch_is_refused(table, frame)


@pytest.mark.parametrize(("table", "column"), COLUMNS)
def test_null_only_where_it_is_declared(whole: ra.Redemptions, table: str, column: str) -> None:
    declared = ra.schemas.MODELS[table].to_schema().columns[column]
    frame = whole.tables[table].copy()
    if str(frame[column].dtype) in ("int64", "bool"):
        assert not declared.nullable
        return
    assert not batch_is_refused(table, frame)
    frame.loc[0, column] = None
    assert batch_is_refused(table, frame) is not declared.nullable
    r = changed(whole, table, frame)
    if declared.nullable:
        r.validate()
    else:
        assert refusal(r).startswith(f"{table}: {column}: not_nullable fails in row 0")


@pytest.mark.parametrize(("table", "column"), COLUMNS)
def test_a_column_of_another_type_is_refused(
    whole: ra.Redemptions, table: str, column: str
) -> None:
    frame = whole.tables[table]
    others = {
        "str": "string",
        "int64": "int32",
        "Int64": "float64",
        "float64": "float32",
        "datetime64[us]": "datetime64[ns]",
        "bool": "boolean",
    }
    other = others[str(frame[column].dtype)]
    wrong = frame.assign(**{column: frame[column].astype(other)})
    # In Arrow both of these are one type.
    assert batch_is_refused(table, wrong) is (other not in ("string", "boolean"))
    text = refusal(changed(whole, table, wrong))
    assert text.startswith(f'{table}: {column} is {other}: .astype({{"{column}": ')


@pytest.mark.parametrize("table", ra.schemas.MODELS)
def test_columns_are_these_in_this_order(whole: ra.Redemptions, table: str) -> None:
    frame = whole.tables[table]
    first, second, *rest = frame.columns
    for wrong in (
        frame.drop(columns=second),
        frame.assign(more=1),
        frame[[second, first, *rest]],
    ):
        assert refusal(changed(whole, table, wrong)).startswith(f"{table}: ")
        assert batch_is_refused(table, wrong)


@pytest.mark.parametrize(
    ("child", "parent", "key"),
    [
        ("program_breakups", "points", "redemption_key"),
        ("reversals", "points", "redemption_key"),
        ("source_breakups", "points", "redemption_key"),
        ("reversal_breakups", "reversals", "reversal_id"),
        ("points", "customers", "customer_key"),
        ("coupons", "customers", "customer_key"),
    ],
)
def test_rows_belong_to_rows(whole: ra.Redemptions, child: str, parent: str, key: str) -> None:
    frame = whole.tables[child].copy()
    row = len(frame) - 1
    frame.loc[row, key] = 404 if key == "reversal_id" else "nowhere"
    text = refusal(changed(whole, child, frame))
    assert whole_is_refused(changed(whole, child, frame))
    assert (
        text == f"{child}: 1 rows name a {key} that {parent} does not have, the first in row {row}"
    )


def test_decimal_points_are_valid_too(whole: ra.Redemptions) -> None:
    frame = whole.points.assign(points_redeemed=whole.points["points_redeemed"].astype(float) / 8)
    changed(whole, "points", frame).validate()


def test_frames_made_by_hand_need_no_customers(whole: ra.Redemptions) -> None:
    ra.Redemptions(points=whole.points, coupons=whole.coupons).validate()


def test_columns_that_lack_are_named(whole: ra.Redemptions) -> None:
    points = whole.points.drop(columns=["points_redeemed", "notes"])
    with pytest.raises(ra.ValidationError, match="points: lacks points_redeemed, notes"):
        changed(whole, "points", points).validate()
