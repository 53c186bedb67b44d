"""What all tests may ask for by name."""

from __future__ import annotations

from typing import Any

import pytest

import redemption_analytics as ra


@pytest.fixture
def reports_of_one_table(monkeypatch: pytest.MonkeyPatch) -> None:
    """Reports hold one table: for what is about where they are written, and when.

    All tables take seconds, however little they are of.
    """

    def contents(_: ra.Redemptions, known: ra.Redemptions, period: Any, as_of: Any) -> Any:
        return {"net_points": lambda: ra.net_points(known, period)}

    monkeypatch.setattr("redemption_analytics.reports.writing.contents", contents)


@pytest.fixture
def page_of_words(monkeypatch: pytest.MonkeyPatch) -> None:
    """The page of a report has no sections, which reports of one table have nothing for."""
    monkeypatch.setattr("redemption_analytics.reports.page.render", lambda *_: "A page.\n")
