"""Scheduled reports: the numbers of a bundle as Parquet files, a manifest, and a page to read."""
