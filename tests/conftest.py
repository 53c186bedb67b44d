"""What all tests may ask for by name."""

from __future__ import annotations

import gc
import os
import sys
from pathlib import Path
from typing import Any
from uuid import uuid4

import pytest

import redemption_analytics as ra

# Jupyter brings rfc3987_syntax, which jsonschema takes if it is there: it builds a grammar of IRIs
# in every process that imports Altair, in seconds, and nobody asks about IRIs. It does not come
# with the library. Neither this process finds it, nor those that tests start.
sys.modules["rfc3987_syntax"] = None  # type: ignore[assignment]
os.environ["PYTHONPATH"] = os.pathsep.join(
    [str(Path(__file__).with_name("without")), *filter(None, [os.environ.get("PYTHONPATH")])]
)

# A look for garbage goes over all that pandas, Altair and Hypothesis hold: a twentieth of the time.
gc.set_threshold(50_000, 20, 50)


@pytest.fixture
def reports_of_one_table(monkeypatch: pytest.MonkeyPatch) -> None:
    """Reports hold one table: for what is about where they are written, and when.

    All tables take seconds, however little they are of.
    """

    def contents(_: ra.Redemptions, known: ra.Redemptions, about: Any, as_of: Any) -> Any:
        return {"net_points": lambda: ra.net_points(known, about.grain)}

    monkeypatch.setattr("redemption_analytics.reports.writing.contents", contents)


@pytest.fixture
def page_of_words(monkeypatch: pytest.MonkeyPatch) -> None:
    """The page of a report has no sections, which reports of one table have nothing for."""
    monkeypatch.setattr("redemption_analytics.reports.page.render", lambda *_: "A page.\n")


@pytest.fixture
def warehouse() -> ra.Warehouse:
    """A new warehouse, in memory."""
    pytest.importorskip("obstore")
    return ra.Warehouse(f"memory://{uuid4().hex}")
