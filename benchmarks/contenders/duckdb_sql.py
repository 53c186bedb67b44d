"""DuckDB on two threads: ``read_json`` with explicit types, ``unnest``, ``COPY … TO`` Parquet."""

from __future__ import annotations

from pathlib import Path

import duckdb

from benchmarks.work import Tables

# Texts stay texts where nobody computes with them.
_PLACE = "STRUCT(code VARCHAR, name VARCHAR)"
_COUPON = f"""STRUCT(
    id VARCHAR, code VARCHAR, series_id VARCHAR, description VARCHAR, discount_code VARCHAR,
    discount_type VARCHAR, discount_value DOUBLE, transaction_number VARCHAR, bill_id VARCHAR,
    redeemed_time VARCHAR, redeemed_at VARCHAR, redeemed_store {_PLACE}, redeemed_till {_PLACE})"""
_REVERSAL = """STRUCT(
    reversal_id BIGINT, points_reversed BIGINT, reversal_time VARCHAR,
    reversed_on_till_id BIGINT)"""
_POINT = f"""STRUCT(
    id BIGINT, redemption_id VARCHAR, program_id BIGINT, points_redeemed BIGINT,
    transaction_number VARCHAR, bill_id VARCHAR, validation_code VARCHAR, redeemed_time VARCHAR,
    redeemed_at VARCHAR, redemption_purpose VARCHAR, notes VARCHAR,
    external_reference_number VARCHAR, redeemed_store {_PLACE}, redeemed_till {_PLACE},
    redemption_breakup_by_program STRUCT(
        program_id BIGINT, program_name VARCHAR, points_redeemed BIGINT)[],
    reversals {_REVERSAL}[])"""
_RESPONSE = f"""STRUCT(customer STRUCT(
    user_id VARCHAR, external_id VARCHAR, mobile VARCHAR, email VARCHAR,
    redemptions STRUCT(coupons STRUCT(coupon {_COUPON}[]), points STRUCT(point {_POINT}[]))))"""

# One pass over the JSON: what several results need is kept in a temporary table.
_ANSWERS = f"""
CREATE TEMP TABLE answers AS
SELECT
    coalesce(
        'user_id:' || customer.user_id, 'external_id:' || customer.external_id,
        'mobile:' || customer.mobile, 'email:' || customer.email) AS customer_key,
    customer.redemptions.coupons.coupon AS coupons,
    customer.redemptions.points.point AS points
FROM (
    SELECT response.customer AS customer
    FROM read_json(
        $source, format = 'newline_delimited', columns = {{response: '{_RESPONSE}'}}))
"""
_POINTS = "CREATE TEMP TABLE redeemed AS SELECT customer_key, unnest(points) AS p FROM answers"
_TABLES = {
    "coupons": """
SELECT
    customer_key, c.id, c.code, c.series_id, c.description, c.discount_code, c.discount_type,
    c.discount_value, c.transaction_number, c.bill_id,
    nullif(c.redeemed_time, '0000-00-00 00:00:00')::TIMESTAMP AS redeemed_time, c.redeemed_at,
    c.redeemed_store.code AS store_code, c.redeemed_store.name AS store_name,
    c.redeemed_till.code AS till_code, c.redeemed_till.name AS till_name
FROM (SELECT customer_key, unnest(coupons) AS c FROM answers)""",
    "points": """
SELECT
    customer_key, p.id, p.redemption_id, p.program_id, p.points_redeemed, p.transaction_number,
    p.bill_id, p.validation_code,
    nullif(p.redeemed_time, '0000-00-00 00:00:00')::TIMESTAMP AS redeemed_time, p.redeemed_at,
    p.redemption_purpose, p.notes, p.external_reference_number,
    p.redeemed_store.code AS store_code, p.redeemed_store.name AS store_name,
    p.redeemed_till.code AS till_code, p.redeemed_till.name AS till_name
FROM redeemed""",
    "program_breakups": """
SELECT redemption_key, b.program_id, b.program_name, b.points_redeemed
FROM (
    SELECT p.redemption_id AS redemption_key, unnest(p.redemption_breakup_by_program) AS b
    FROM redeemed)""",
    "reversals": """
SELECT
    r.reversal_id, redemption_key, r.points_reversed,
    nullif(r.reversal_time, '0000-00-00 00:00:00')::TIMESTAMP AS reversal_time,
    r.reversed_on_till_id
FROM (SELECT p.redemption_id AS redemption_key, unnest(p.reversals) AS r FROM redeemed)""",
}


def run(source: Path, target: Path) -> Tables:
    """Read the export once into a temporary table, and copy each result to Parquet."""
    target.mkdir()
    paths = {name: target / f"{name}.parquet" for name in _TABLES}
    with duckdb.connect() as connection:
        # As DuckDB's guide to performance advises where the order of rows means nothing.
        connection.execute("SET preserve_insertion_order = false")
        connection.execute("SET threads = 2")
        connection.execute(_ANSWERS, {"source": str(source)})
        connection.execute(_POINTS)
        for name, query in _TABLES.items():
            connection.execute(f"COPY ({query}) TO '{paths[name]}' (FORMAT parquet)")
    return paths
