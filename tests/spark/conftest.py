"""One session of Spark for all tests of a process."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from sparks import spark_session


@pytest.fixture(scope="session")
def spark_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Where Spark writes what it writes by itself, its log of events too."""
    return tmp_path_factory.mktemp("spark")


@pytest.fixture(scope="session")
def session(spark_folder: Path) -> Iterator[Any]:
    # Py4J logs each of its calls, where anybody listens.
    logging.getLogger("py4j").setLevel(logging.WARNING)
    with spark_session(spark_folder) as session:
        yield session
