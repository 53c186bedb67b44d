"""A test that lacks something is skipped, unless the run has promised it."""

from __future__ import annotations

import pytest
from requirements_of_ci import PROMISES, needed


def test_what_is_found_is_no_matter(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(PROMISES, "flock")
    needed("flock", True, "install util-linux")


@pytest.mark.parametrize("promised", [None, "", "dagster", "flocks,airflow"])
def test_what_is_missing_skips(monkeypatch: pytest.MonkeyPatch, promised: str | None) -> None:
    monkeypatch.delenv(PROMISES, raising=False)
    if promised is not None:
        monkeypatch.setenv(PROMISES, promised)
    with pytest.raises(pytest.skip.Exception, match="install util-linux") as skipped:
        needed("flock", False, "install util-linux")
    assert skipped.value.allow_module_level


@pytest.mark.parametrize("promised", ["flock", "dagster, flock", "flock,airflow"])
def test_what_is_missing_fails_where_it_is_promised(
    monkeypatch: pytest.MonkeyPatch, promised: str
) -> None:
    monkeypatch.setenv(PROMISES, promised)
    with pytest.raises(pytest.fail.Exception, match=r"lists flock.*install util-linux"):
        needed("flock", False, "install util-linux")
