"""What the library is to reach, each goal beside what was measured on each organisation's data."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from benchmarks.tables import Table


@dataclass(frozen=True)
class Goal:
    """A bound that a measured number should keep.

    Attributes
    ----------
    title
        What is compared with what.
    bound
        The least that it should be, or the most.
    at_most
        Whether it is the most.
    """

    title: str
    bound: float
    at_most: bool = False

    def kept_by(self, number: float) -> bool:
        """Whether a number keeps the bound.

        Examples
        --------
        >>> Goal("convert against DuckDB", 3.5).kept_by(3.6)
        True
        >>> Goal("peak", 450, at_most=True).kept_by(451)
        False
        """
        return number <= self.bound if self.at_most else number >= self.bound


#: The goals, by the name under which a comparison gives its number, in the order of the table.
GOALS: dict[str, Goal] = {
    "duckdb seconds": Goal("DuckDB, 2 threads: its time / convert's", 3.5),
    "duckdb cpu": Goal("DuckDB, 2 threads: its CPU time / convert's", 3),
    "polars seconds": Goal("Polars: its time / convert's", 8),
    "json_normalize seconds": Goal("json_normalize: its time / convert's", 40),
    "dlt seconds": Goal("dlt: its time / convert's", 50),
    "simdjson rate": Goal("convert's MB/s / one core of bare simdjson's", 0.2),
    "array": Goal("a JSON array: MB/s / clean", 0.9),
    "pretty": Goal("pretty-printed: MB/s / clean", 0.9),
    "zst": Goal(".zst: MB/s / clean", 0.9),
    "damaged": Goal("1 % damaged: MB/s / clean", 0.8),
    "2018": Goal("edition 2018: MB/s / clean", 0.7),
    "2020": Goal("edition 2020: MB/s / clean", 0.7),
    "xml": Goal("XML, lists of elements: MB/s / JSON", 0.5),
    "xml-2018": Goal("XML, repeated tags: MB/s / JSON", 0.5),
    "small-files": Goal("10,000 small files: MB/s / the same in one", 0.5),
    "small file": Goal("convert of one small file: time / import pandas, pyarrow", 1.2, True),
    "growth": Goal("peak of the larger exports / of the smallest", 1.15, True),
    "peak": Goal("peak of convert at any size, MB", 450, True),
}


def compare_with_goals(numbers: Mapping[str, Mapping[str, float]]) -> Table:
    """Set what was measured beside the goals.

    Parameters
    ----------
    numbers
        By the name of the data, and the name of the goal.

    Returns
    -------
    Table
        Whether a goal is reached is told by the data where less is reached.

    Examples
    --------
    >>> found = compare_with_goals({"own": {"duckdb cpu": 4}, "foreign": {"duckdb cpu": 2.5}})
    >>> found.rows
    [("DuckDB, 2 threads: its CPU time / convert's", 'at least 3', '4.00', '2.50', 'no')]
    """
    table = Table("Goals", ("<", "<goal", *numbers, "<reached"))
    for name, goal in GOALS.items():
        found = [known.get(name) for known in numbers.values()]
        there = [number for number in found if number is not None]
        if there:
            bound = f"{'at most' if goal.at_most else 'at least'} {goal.bound:g}"
            cells = ("" if number is None else _short(number) for number in found)
            reached = "yes" if all(map(goal.kept_by, there)) else "no"
            table.rows.append((goal.title, bound, *cells, reached))
    table.notes = ["The goals are for 500 MB on two cores; reached is told by the less flattering."]
    return table


def _short(number: float) -> str:
    return f"{number:.0f}" if number >= 100 else f"{number:.2f}"
