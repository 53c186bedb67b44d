"""Whether the page and the workbook of a report can be written: each needs an extra."""

from __future__ import annotations

from importlib.util import find_spec

from redemption_analytics.errors import UsageError

_NEEDED = ("altair", "great_tables", "jinja2", "vl_convert")
PAGE = "report.html"
REMEDY = 'pip install "redemption-analytics[report]"'

WORKBOOK = "report.xlsx"
_WORKBOOK_REMEDY = 'pip install "redemption-analytics[excel]"'


def page_wanted(page: bool | None) -> bool:
    """Check whether to write the page, by default where it can be.

    Raises
    ------
    UsageError
        If it is asked for and cannot be written.
    """
    if page is False:
        return False
    missing = [name for name in _NEEDED if find_spec(name) is None]
    if missing and page:
        raise UsageError(f"{PAGE} needs {', '.join(missing)}: {REMEDY}")
    return not missing


def check_workbook_can_be_written() -> None:
    """Check that the workbook can be written.

    Raises
    ------
    UsageError
        If its extra is not installed.
    """
    if find_spec("xlsxwriter") is None:
        raise UsageError(f"{WORKBOOK} needs xlsxwriter: {_WORKBOOK_REMEDY}")
