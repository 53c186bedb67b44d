"""Polars: ``scan_ndjson`` with an explicit schema, ``explode``, ``unnest``, and Parquet sinks."""

from __future__ import annotations

from pathlib import Path

import polars as pl

from benchmarks.work import Tables

_PLACE = pl.Struct({"code": pl.String, "name": pl.String})
_COUPON = pl.Struct(
    {
        "id": pl.String,
        "code": pl.String,
        "series_id": pl.String,
        "description": pl.String,
        "discount_code": pl.String,
        "discount_type": pl.String,
        "discount_value": pl.String,
        "transaction_number": pl.String,
        "bill_id": pl.String,
        "redeemed_time": pl.String,
        "redeemed_at": pl.String,
        "redeemed_store": _PLACE,
        "redeemed_till": _PLACE,
    }
)
_BREAKUP = pl.Struct(
    {"program_id": pl.Int64, "program_name": pl.String, "points_redeemed": pl.Int64}
)
_REVERSAL = pl.Struct(
    {
        "reversal_id": pl.Int64,
        "points_reversed": pl.Int64,
        "reversal_time": pl.String,
        "reversed_on_till_id": pl.Int64,
    }
)
_POINT = pl.Struct(
    {
        "id": pl.Int64,
        "redemption_id": pl.String,
        "program_id": pl.Int64,
        "points_redeemed": pl.Int64,
        "transaction_number": pl.String,
        "bill_id": pl.String,
        "validation_code": pl.String,
        "redeemed_time": pl.String,
        "redeemed_at": pl.String,
        "redemption_purpose": pl.String,
        "notes": pl.String,
        "external_reference_number": pl.String,
        "redeemed_store": _PLACE,
        "redeemed_till": _PLACE,
        "redemption_breakup_by_program": pl.List(_BREAKUP),
        "reversals": pl.List(_REVERSAL),
    }
)
_REDEMPTIONS = pl.Struct(
    {
        "coupons": pl.Struct({"coupon": pl.List(_COUPON)}),
        "points": pl.Struct({"point": pl.List(_POINT)}),
    }
)
_IDENTITIES = ("user_id", "external_id", "mobile", "email")
_CUSTOMER = pl.Struct({**dict.fromkeys(_IDENTITIES, pl.String), "redemptions": _REDEMPTIONS})
_SCHEMA = {"response": pl.Struct({"customer": _CUSTOMER})}


def _time(name: str) -> pl.Expr:
    # The zero time is the only text that is no time, and becomes null.
    return pl.col(name).str.to_datetime("%Y-%m-%d %H:%M:%S", time_unit="us", strict=False)


def _places(frame: pl.LazyFrame) -> pl.LazyFrame:
    places = {"redeemed_store": "store", "redeemed_till": "till"}
    return frame.with_columns(
        pl.col(column).struct.field(part).alias(f"{short}_{part}")
        for column, short in places.items()
        for part in ("code", "name")
    ).drop(*places)


def _rows(frame: pl.LazyFrame, column: str) -> pl.LazyFrame:
    return frame.explode(column, empty_as_null=False, keep_nulls=False).unnest(column)


def run(source: Path, target: Path) -> Tables:
    """Scan the export once, and let one streaming query write the four tables from that."""
    target.mkdir()
    customer = pl.col("response").struct.field("customer")
    redemptions = customer.struct.field("redemptions")
    scanned = pl.scan_ndjson(source, schema=_SCHEMA).select(
        customer_key=pl.coalesce(
            pl.format(f"{name}:{{}}", customer.struct.field(name)) for name in _IDENTITIES
        ),
        coupons=redemptions.struct.field("coupons").struct.field("coupon"),
        points=redemptions.struct.field("points").struct.field("point"),
    )
    # Left lazy, coupons and points scan different columns, and so parse the export twice.
    answers = scanned.collect(engine="streaming").lazy()
    coupons = _rows(answers.select("customer_key", "coupons"), "coupons")
    points = _rows(answers.select("customer_key", "points"), "points")
    key = pl.col("redemption_id").alias("redemption_key")
    tables = {
        "coupons": _places(coupons).with_columns(
            pl.col("discount_value").cast(pl.Float64), _time("redeemed_time")
        ),
        "points": _places(points)
        .drop("redemption_breakup_by_program", "reversals")
        .with_columns(_time("redeemed_time")),
        "program_breakups": _rows(
            points.select(key, "redemption_breakup_by_program"), "redemption_breakup_by_program"
        ),
        "reversals": _rows(points.select(key, "reversals"), "reversals").with_columns(
            _time("reversal_time")
        ),
    }
    paths = {name: target / f"{name}.parquet" for name in tables}
    sinks = [tables[name].sink_parquet(path, lazy=True) for name, path in paths.items()]
    pl.collect_all(sinks, engine="streaming")
    return paths
