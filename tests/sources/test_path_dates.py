"""The date in a path: when an export was made, and what is no date but an id."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest

from redemption_analytics.sources.path_dates import date_in_name

NEXT_YEAR = datetime.now(UTC).year + 1


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        # With separators
        ("2026-11-20.json", "2026-11-20"),
        ("2026_11_20.json", "2026-11-20"),
        ("run_2026_03_08.jsonl", "2026-03-08"),
        ("v2026.11.20/x.json", "2026-11-20"),
        ("2026-3-8.json", "2026-03-08"),
        ("2026-11-20T03-00/x.json", "2026-11-20 03:00"),
        ("2026-11-20T03/x.json", "2026-11-20 03:00"),
        ("2026-11-20 03:00.json", "2026-11-20 03:00"),
        ("2026-11-20_03-15-07.json", "2026-11-20 03:15:07"),
        ("2026-11-20T03:00:07Z.json", "2026-11-20 03:00:07"),
        ("2026-11-20T03:00:07.123Z.json", "2026-11-20 03:00:07"),
        ("2026-11-20T03:00+01:00.json", "2026-11-20 02:00"),
        ("20261120T030000+0530.json", "2026-11-19 21:30"),
        ("2026-11-20 0315.json", "2026-11-20 03:15"),
        ("2026-11-20-part-12.json", "2026-11-20"),
        ("2026-11-20_9999.json", "2026-11-20"),
        ("2026-11-20_7.json", "2026-11-20"),
        ("export_2026-11-01_to_2026-11-07.json", "2026-11-07"),
        ("export_2026-11-01_2026-11-07.json", "2026-11-07"),
        ("20261101-20261107.json", "2026-11-07"),
        # Folders
        ("year=2026/month=11/day=20/x.json", "2026-11-20"),
        ("year=2026/month=3/day=8/x.json", "2026-03-08"),
        ("y=2026/m=11/d=20/x.json", "2026-11-20"),
        ("year=2026/month=11/day=20/hour=03/x.json", "2026-11-20 03:00"),
        ("year=2026/month=11/day=20/hour=3/x.json", "2026-11-20 03:00"),
        ("year=2026/region=eu/month=11/day=20/x.json", "2026-11-20"),
        ("month=2026-11/day=20/x.json", "2026-11-20"),
        ("dt=2026-11-20/hour=03/x.json", "2026-11-20 03:00"),
        ("date=20261120/x.json", "2026-11-20"),
        ("date=20261120/hour=3/x.json", "2026-11-20 03:00"),
        ("run=20261120/part-20261119.json", "2026-11-20"),
        ("2026/11/20/x.json", "2026-11-20"),
        ("2026/3/8/x.json", "2026-03-08"),
        ("2026/11/20/03/x.json", "2026-11-20 03:00"),
        ("2026/11/20.json", "2026-11-20"),
        ("2026-11/20/x.json", "2026-11-20"),
        ("s3://bucket/raw/2026/11/20/x.json", "2026-11-20"),
        (r"C:\exports\2026\11\20\x.json", "2026-11-20"),
        (r"C:\exports\2026-11-20\part-20261119.json", "2026-11-20"),
        # Bare digits
        ("exports/20261120/part-7.jsonl.gz", "2026-11-20"),
        ("x_20261120_031500.json", "2026-11-20 03:15"),
        ("20261120_0300.json", "2026-11-20 03:00"),
        ("20261120T030000Z.json", "2026-11-20 03:00"),
        ("20261120031500.json", "2026-11-20 03:15"),
        ("export20261120.json", "2026-11-20"),
        # The surest counts, and of these the last
        ("2025-01-01/2026-11-20.json", "2026-11-20"),
        ("2026-11-20/2025-01-01.json", "2025-01-01"),
        ("2026-11-20/part-20261119.jsonl", "2026-11-20"),
        ("2026-11-20/20261119.jsonl", "2026-11-20"),
        ("20261120/20261119.jsonl", "2026-11-20"),
        ("2026-03-01/batch_20190101.jsonl", "2026-03-01"),
        ("2026-03-01/batch_20190101/x.jsonl", "2026-03-01"),
        ("2026/03/01/batch_20190101.jsonl", "2026-03-01"),
        ("batch=20190101/2026-03-01.jsonl", "2026-03-01"),
        ("2026-03-01/batch=20190101/x.jsonl", "2026-03-01"),
        ("20190101_2026-03-01.jsonl", "2026-03-01"),
        ("2026-03-01_20190101.jsonl", "2026-03-01"),
        ("run_20261120/part_20261119.json", "2026-11-20"),
        ("batch_20190101/20260301.jsonl", "2026-03-01"),
        ("2026-13-45/2026-11-20/99999999.json", "2026-11-20"),
        # No dates
        ("2026-02-30.json", None),
        ("20260230.json", None),
        ("year=2026/month=2/day=30/x.json", None),
        ("2026/13/01/x.json", None),
        ("year=2026/month=11/x.json", None),
        ("2026/11/x.json", None),
        ("120261120.json", None),
        ("2026112012.json", None),
        ("202611200315.json", None),
        ("2026112099.json", None),
        ("20261120999999.json", None),
        ("1763600000.json", None),
        ("20.11.2026.json", None),
        ("2004-12-31.json", None),
        ("19991231.json", None),
        (f"{NEXT_YEAR + 1}-01-01.json", None),
        (f"{NEXT_YEAR}-01-01.json", f"{NEXT_YEAR}-01-01"),
        ("2025-stores.json", None),
        ("part-00012.json", None),
        ("", None),
    ],
)
def test_the_surest_date_in_a_path_tells(name: str, expected: str | None) -> None:
    found = date_in_name(name)
    assert found == (expected and datetime.fromisoformat(expected))


@pytest.mark.parametrize(
    ("name", "below", "expected"),
    [
        ("/backup/2020-01-01/exports/20261120.json", "/backup/2020-01-01/exports", "2026-11-20"),
        ("/backup/2020-01-01/exports/x.json", "/backup/2020-01-01/exports", "2020-01-01"),
        ("/backup/2026-03-01/batch_20190101.json", "/backup/2026-03-01/", "2026-03-01"),
        ("2026/03/01/batch_20190101.json", "2026/03/01", "2026-03-01"),
    ],
)
def test_what_is_above_the_directory_that_was_named_tells_last(
    name: str, below: str, expected: str
) -> None:
    assert date_in_name(name, below) == datetime.fromisoformat(expected)
