"""What is measured: this library, its peers, and the floor, each a function in a module here.

A contender reads a JSON Lines export and writes the four tables of :data:`benchmarks.work.WORK` as
Parquet, the way its own documentation advises. Its module is imported in the process that runs it,
and nowhere else.
"""

from __future__ import annotations

import importlib
from collections.abc import Callable
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path

from benchmarks.work import Tables

__all__ = ["CONTENDERS", "Contender"]


@dataclass(frozen=True)
class Contender:
    """One way of doing the work.

    Attributes
    ----------
    name
        What it is called in tables and options.
    module, function
        Where it is, in this package.
    does
        What it does of the work, and what less than the library.
    needs
        The distribution that it needs, and the name by which that is imported.
    """

    name: str
    module: str
    function: str
    does: str
    needs: tuple[str, str]

    @property
    def missing(self) -> str | None:
        """Why it cannot run, if it cannot."""
        distribution, package = self.needs
        return None if find_spec(package) else f"{distribution} is not installed"

    @property
    def version(self) -> str:
        """What is measured, with its version."""
        from importlib.metadata import version  # not in the processes that are measured

        return f"{self.needs[0]} {version(self.needs[0])}"

    @property
    def job(self) -> Callable[[Path, Path], Tables]:
        """Its function, of which the module is imported now."""
        module = importlib.import_module(f"{__name__}.{self.module}")
        job: Callable[[Path, Path], Tables] = getattr(module, self.function)
        return job


_LESS = "4 tables of the 10; no validation, merging, rejects or ledger; blanks stay"
_LIBRARY = ("redemption-analytics", "redemption_analytics")

#: Everything that can be measured, by name, in the order of the table.
CONTENDERS: dict[str, Contender] = {
    contender.name: contender
    for contender in (
        Contender("convert", "library", "convert", "all 10 tables to Parquet", _LIBRARY),
        Contender("load", "library", "load", "all 10 tables to pandas, in memory", _LIBRARY),
        Contender("duckdb", "duckdb_sql", "run", f"{_LESS}; 2 threads", ("duckdb", "duckdb")),
        Contender("polars", "polars_schema", "run", _LESS, ("polars", "polars")),
        Contender("json_normalize", "json_normalize", "run", _LESS, ("pandas", "pandas")),
        Contender(
            "dlt", "dlt_pipeline", "run", f"{_LESS}; infers a schema besides", ("dlt", "dlt")
        ),
        Contender(
            "simdjson", "floor", "simdjson", "parses, keeps nothing", ("pysimdjson", "simdjson")
        ),
        Contender("orjson", "floor", "orjson", "parses, keeps nothing", ("orjson", "orjson")),
    )
}
