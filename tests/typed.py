"""What type checkers are told of the kinds of frames: mypy is asked, and nothing runs."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, assert_type

import pandas as pd
import pyarrow as pa

import redemption_analytics as ra

if TYPE_CHECKING:
    from duckdb import DuckDBPyRelation

    r = ra.load("exports")
    assert_type(r, ra.Redemptions[pd.DataFrame])
    assert_type(r.points, pd.DataFrame)
    assert_type(r.filter(since="2026-01").tables, dict[str, pd.DataFrame])
    assert_type(ra.net_points(r, by="month"), pd.DataFrame)
    assert_type(ra.reversal_curve(r), pd.DataFrame)
    assert_type(ra.audit_cases(r), pd.DataFrame)
    assert_type(ra.compare_rates(ra.reversal_rates(r), ra.reversal_rates(r)), pd.DataFrame)

    assert_type(ra.open("tables"), ra.Redemptions[pd.DataFrame])
    assert_type(ra.expected_reversals(ra.open("tables", "duckdb")), DuckDBPyRelation)
    assert_type(ra.open("tables", engine="pyarrow"), ra.Redemptions[pa.Table])
    assert_type(ra.kpis(ra.Warehouse("lake").open("duckdb", version=1)), DuckDBPyRelation)
    assert_type(ra.tills(ra.Warehouse("lake").open(version=1)), pd.DataFrame)
    assert_type(ra.stores(ra.Redemptions(points=pd.DataFrame())), pd.DataFrame)

    def of_any_kind(bundle: ra.Redemptions) -> Any:
        """A bundle of no kind in particular needs no parameter."""
        return ra.net_points(bundle)
