"""What a test needs from outside: missing, it is skipped, but fails where it has been promised.

The environment variable REDEMPTION_ANALYTICS_TESTS_REQUIRE promises names, as in "dagster,airflow".
"""

from __future__ import annotations

import os

import pytest

PROMISES = "REDEMPTION_ANALYTICS_TESTS_REQUIRE"


def needed(name: str, found: bool, reason: str) -> None:
    """Skip the test or the module that asks for what is not found; fail it if that is required."""
    if found:
        return
    if name in [promised.strip() for promised in os.environ.get(PROMISES, "").split(",")]:
        pytest.fail(f"{PROMISES} lists {name}, but it is not here: {reason}", pytrace=False)
    pytest.skip(reason, allow_module_level=True)
