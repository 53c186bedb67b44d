"""Scheduled reports: the numbers of a bundle as Parquet files, a manifest, and a page to read."""

from redemption_analytics.reports.writing import write_reports

__all__ = ["write_reports"]
