"""How the sheets of a workbook look: formats of numbers, alignment, print."""

from __future__ import annotations

from typing import Any

from redemption_analytics.reports.descriptions import Kind

NUMBERS: dict[Kind, str] = {
    "text": "@",  # which stays text when somebody edits it
    "code": "0",
    "count": "#,##0",
    "points": "#,##0",
    "estimate": "#,##0.0",
    "money": "#,##0.00",
    "share": "0.0%",
    "percent": '0.0" %"',
    "days": "#,##0.0",
    "small": "[<0.001]0.0E+00;0.000",
}
DECIMAL_POINTS = "#,##0.000"
DATE, TIME = "yyyy-mm-dd", "yyyy-mm-dd hh:mm:ss"

#: How columns are aligned: the first, other texts and times, and numbers, where the button of the
#: filter takes the room of two letters.
LEFT, INDENTED, NUMERIC = range(3)
_PLACES: tuple[dict[str, Any], ...] = (
    {"align": "left"},
    {"align": "left", "indent": 1},
    {"align": "right", "indent": 2},
)


class Looks:
    """The formats of a workbook, each made once."""

    def __init__(self, book: Any):
        self._book = book
        self._cells: dict[tuple[str, int], Any] = {}
        self.title = book.add_format({"bold": True, "font_size": 14})
        self.name = book.add_format({"bold": True, "valign": "top"})
        self.text = book.add_format({"valign": "top", "text_wrap": True})
        self.line = book.add_format({"num_format": NUMBERS["text"]})
        self.indented = book.add_format({"valign": "top", "text_wrap": True, **_PLACES[INDENTED]})
        self.count = book.add_format({"num_format": NUMBERS["count"], "valign": "top"})
        self.link = book.add_format({"font_color": "#0072B2", "underline": 1, "valign": "top"})
        unit = {"italic": True, "font_color": "#595959"}
        head = {"bold": True, "bottom": 1, "bg_color": "#EEF3F7"}
        #: By whether a column is the first, other text, or numbers, whose filter is on the right.
        self.units = [book.add_format(unit | place) for place in _PLACES]
        self.heads = [book.add_format(head | place) for place in _PLACES]

    def cells(self, number: str, place: int) -> Any:
        """Return the format of a column's cells, by its number format and place."""
        key = (number, place)
        if key not in self._cells:
            # Numbers that had to become texts stand among the others.
            align = {"align": "right"} if place == NUMERIC else _PLACES[place]
            self._cells[key] = self._book.add_format({"num_format": number, **align})
        return self._cells[key]


def set_up(sheet: Any) -> None:
    """Let a sheet be printed as wide as a page."""
    sheet.set_landscape()
    sheet.set_paper(9)  # A4
    sheet.fit_to_pages(1, 0)
    sheet.set_footer("&L&A&R&P / &N")
