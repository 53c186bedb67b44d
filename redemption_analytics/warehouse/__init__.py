"""A warehouse: immutable Parquet files, and one log that says which of them are a version.

:mod:`~redemption_analytics.warehouse.store` keeps bytes under names, on disk or in a bucket;
:mod:`~redemption_analytics.warehouse.log` holds the versions; and
:mod:`~redemption_analytics.warehouse.delta` publishes them as Delta tables.
"""
