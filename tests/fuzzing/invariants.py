"""What holds for every source, whatever its bytes are."""

from __future__ import annotations

import io
import os
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, replace
from functools import partial
from math import isclose
from pathlib import Path
from typing import Any
from unittest import mock

import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc
import pytest
from hypothesis import assume
from oracle.reading import OracleReader
from pandas.testing import assert_frame_equal

import redemption_analytics as ra
from fuzzing.packing import FORMS
from redemption_analytics import privacy
from redemption_analytics.errors import RedemptionAnalyticsError
from redemption_analytics.loading import load, loading, parser, units
from redemption_analytics.merging import partitions, stores
from redemption_analytics.merging.stores import InMemory
from redemption_analytics.reading import blocks
from redemption_analytics.reading.files import read_blocks

#: Says that the library is at fault, and so never a right answer.
_FAULT = "a fault of"

#: From there on floats are not exact, and decimal points are floats.
_FLOATS_ARE_WHOLE = 2**50
_WITH_POINTS = ("points", "program_breakups", "reversals", "reversal_breakups", "source_breakups")


@dataclass(frozen=True)
class Grain:
    """How finely sources are cut, which no result depends on.

    Attributes
    ----------
    block
        Bytes of a block.
    rows
        Rows of a row group, and of a partition in which equal keys meet.
    small
        Bytes of files that are parsed together.
    """

    block: int = blocks.BLOCK_BYTES
    rows: int = stores.GROUP_ROWS
    small: int = blocks._SMALL

    @contextmanager
    def __call__(self, reader: type = parser.Reader) -> Iterator[None]:
        """Cut like that, and read with some reader."""
        with ExitStack() as stack:
            for module, name, value in (
                (parser, "Reader", reader),
                (units, "read_blocks", partial(read_blocks, size=self.block)),
                (stores, "GROUP_ROWS", self.rows),
                (partitions, "PARTITION_ROWS", self.rows),
                (blocks, "_SMALL", self.small),
            ):
                stack.enter_context(mock.patch.object(module, name, value))
            yield


WHOLE = Grain()
#: So that the borders of blocks, pieces, row groups and buckets are crossed.
FINE = (Grain(300, 2, -1), Grain(64, 1), Grain(2000, 3))


@dataclass(frozen=True)
class Case:
    """Files, and the options under which they are loaded."""

    files: tuple[bytes, ...]
    points: str = "int"
    timezone: str | None = None
    customer_key: str | None = None
    pii: str = "keep"
    fine: Grain = FINE[0]

    def sources(self, times: int = 1) -> list[io.BytesIO]:
        """Open the files, each in a folder of its own; every second is newer than all others."""
        opened = []
        for number, data in enumerate(self.files):
            for _ in range(times):
                opened.append(io.BytesIO(data))
                opened[-1].name = f"{number}/2025-01-{1 + number % 2:02}"
        return opened

    @property
    def options(self) -> Any:
        """The options that :func:`redemption_analytics.load` takes."""
        named = ("points", "timezone", "customer_key", "pii")
        return {"progress": False} | {name: getattr(self, name) for name in named}

    def save(self, folder: Path) -> None:
        """Write the files into a folder, and how they are loaded."""
        folder.mkdir(parents=True, exist_ok=True)
        for number, data in enumerate(self.files):
            (folder / str(number)).write_bytes(data)
        (folder / "case.txt").write_text(repr(replace(self, files=())) + "\n")


Outcome = dict[str, pa.Table] | str


def _pseudonyms_key() -> Any:
    """Set the key that ``pii="pseudonymize"`` needs."""
    return mock.patch.dict(os.environ, {privacy.KEY_VARIABLE: "sixteen or more bytes"})


def outcome(
    case: Case, grain: Grain = WHOLE, reader: type = parser.Reader, times: int = 1
) -> Outcome:
    """Load without validating: tables, ledger and findings, or the text of the library's error."""
    keep = InMemory()
    with grain(reader):
        try:
            books, found, _ = loading.gather(case.sources(times), keep, case.options)
        except RedemptionAnalyticsError as error:
            said = str(error)
            assert _FAULT not in said, said
            return said
    return load._whole(keep.tables()) | {"ledger": books, "findings": found}


def check(case: Case) -> None:
    """Check all that holds for a case."""
    with _pseudonyms_key():
        tables = check_readers(case)
        if tables is None:
            return
        assert_strict_loading_names_the_first_reject(case, tables["rejects"])
        assert_loading_twice_is_loading_once(case, tables)
        assert_decimals_are_the_same_points(case, tables)
        assert_public_functions_work(case)


def check_readers(case: Case) -> dict[str, pa.Table] | None:
    """Check that nothing is lost, whoever reads and however finely the files are cut."""
    plain = outcome(case, reader=OracleReader)
    assert_same(outcome(case), plain, "native")
    finely = outcome(case, case.fine)
    assert_same(outcome(case, case.fine, OracleReader), finely, "plain, finely cut")
    if isinstance(plain, str) or isinstance(finely, str):
        assert finely == plain
        return None
    assert_same(finely, plain, "finely cut")
    assert_adds_up(plain["ledger"].to_pandas(), len(plain["rejects"]))
    assert_rejects_are_of(case, plain["rejects"])
    return plain


def assert_same(one: Outcome, other: Outcome, what: str) -> None:
    if isinstance(one, str) or isinstance(other, str):
        assert one == other, what
        return
    for name, table in other.items():
        if not one[name].equals(table):
            assert_frame_equal(one[name].to_pandas(), table.to_pandas(), obj=f"{what}: {name}")
            raise AssertionError(f"{what}: {name} differ: {one[name].schema} {table.schema}")


def assert_adds_up(ledger: pd.DataFrame, rejects: int) -> None:
    """Nothing is lost, and every reject is in the table."""
    books = ledger.set_index("element")
    placed = books["loaded"] + books["merged"] + books["rejected"]
    assert books["seen"].equals(placed.rename("seen"))
    assert books["rejected"].sum() == rejects


def assert_rejects_are_of(case: Case, rejects: pa.Table) -> None:
    """A reject names a file, and a line that it has."""
    files = {source.name: source.getvalue() for source in case.sources()}
    if case.pii != "keep":
        # Files are called otherwise.
        return
    for reject in rejects.to_pylist():
        data = files[reject["source"]]
        # Of others the text has other lines than the bytes.
        if reject["line"] is not None and data[:1] in b"{[<":
            assert 1 <= reject["line"] <= data.count(b"\n") + 1, reject


def assert_strict_loading_names_the_first_reject(case: Case, rejects: pa.Table) -> None:
    with ExitStack() as stack:
        if len(rejects):
            first = rejects.slice(0, 1).to_pylist()[0]
            raised = stack.enter_context(pytest.raises(RedemptionAnalyticsError))
        loading.gather(case.sources(), InMemory(), case.options | {"on_error": "raise"})
    if len(rejects):
        said = str(raised.value)
        assert said.startswith(first["source"]), (said, first)
        assert said.endswith(first["reason"]), (said, first)


def assert_loading_twice_is_loading_once(case: Case, once: dict[str, pa.Table]) -> None:
    twice = outcome(case, times=2)
    assert not isinstance(twice, str), twice
    for name, table in once.items():
        if name == "ledger":
            seen = twice[name]["seen"].to_pylist()
            assert seen == [2 * number for number in table["seen"].to_pylist()]
        elif name in ("responses", "rejects", "files"):
            assert len(twice[name]) == 2 * len(table), name
        elif name != "findings":
            assert_frame_equal(twice[name].to_pandas(), table.to_pandas(), obj=f"twice: {name}")


def _largest_points(tables: dict[str, pa.Table]) -> float:
    columns = [
        tables[table][name]
        for table in _WITH_POINTS
        for name in tables[table].column_names
        if name.startswith("points_")
    ]
    return max((pc.max(column).as_py() or 0 for column in columns), default=0)


def assert_decimals_are_the_same_points(case: Case, tables: dict[str, pa.Table]) -> None:
    """Where points are whole, and all of them fit, ``points`` is a matter of type only."""
    if case.points != "int" or len(tables["rejects"]):
        return
    if _largest_points(tables) >= _FLOATS_ARE_WHOLE:
        return
    decimals = outcome(replace(case, points="decimal"))
    assert not isinstance(decimals, str), decimals
    for name, table in tables.items():
        ours, theirs = table.to_pandas(), decimals[name].to_pandas()
        for column in ours.columns:
            if column.startswith("points_") and theirs[column].dtype == float:
                ours[column] = ours[column].astype(float)
        assert_frame_equal(theirs, ours, obj=f"decimal points: {name}")


def assert_public_functions_work(case: Case) -> None:
    """The bundle is valid, converting gives the same, and the numbers can be asked for."""
    r = ra.load(case.sources(), **case.options).validate()
    with case.fine(), tempfile.TemporaryDirectory() as folder:
        ledger = ra.convert(case.sources(), Path(folder) / "out", allow_empty=True, **case.options)
        opened = ra.open(Path(folder) / "out").validate()
    for name, frame in r.tables.items():
        assert_frame_equal(opened.tables[name], frame, obj=f"converted: {name}")
    assert_frame_equal(ledger, r.ledger)
    assert_frame_equal(opened.ledger, r.ledger)
    assert str(r)
    total = ra.net_points(r)["net_points"].sum()
    parts = ra.net_points(r, by="program_id")["net_points"].sum()
    largest = _largest_points({name: pa.Table.from_pandas(r.tables[name]) for name in _WITH_POINTS})
    if case.points == "decimal":
        assert isclose(parts, total, abs_tol=1e-3 + largest * 1e-12)
    else:
        assert parts == total


def assert_forms_agree(records: Sequence[Any], points: str) -> None:
    """The same answers are the same tables, however they are written."""
    several = {form: (write(records).encode(),) for form, write in FORMS.items()}
    expected = outcome(Case(several.pop("lines"), points))
    assert not isinstance(expected, str), expected
    # A redemption may lack both of its ids: that is no right answer.
    assume(not len(expected["rejects"]))
    for form, files in several.items():
        found = outcome(Case(files, points))
        # A file's size and form differ, as they should.
        if not isinstance(found, str):
            found = found | {"files": expected["files"]}
        assert_same(found, expected, form)
