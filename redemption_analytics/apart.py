"""Setting apart: where in a block the records stand that were refused, and what is around them."""

from __future__ import annotations

import re
from bisect import bisect_left
from collections.abc import Iterator, Sequence

from redemption_analytics.contract import Kind, fields_of_kinds
from redemption_analytics.flattening.columns import DoesNotFit
from redemption_analytics.reading.blocks import Block

#: A block of which is not known what was refused is cut into so many pieces.
PIECES = 8

#: Where Arrow says which record it could not read,
_ROW = re.compile(r"in row (\d+)$")
#: or which value.
_VALUE = re.compile(
    r"The string '(.*)' is not a valid decimal|: (\S+) requires scale \d+$", re.DOTALL
)
_NUMBERS = "|".join(sorted(fields_of_kinds(Kind.INTEGER, Kind.POINTS, Kind.AMOUNT)))
_BEFORE_NUMBER = re.compile(f'"(?:{_NUMBERS})"\\s*:\\s*"?$'.encode())
_REACH = 80


def smaller(block: Block, error: Exception) -> list[tuple[Block, bool]]:
    """Cut a block that was refused; give whether each piece is to be refused too."""
    cut = suspects_apart(block, error)
    if not cut:
        pieces = block.pieces(PIECES)
        cut = [(piece, len(pieces) == 1) for piece in pieces]
    return cut


def suspects_apart(block: Block, error: Exception | None = None) -> list[tuple[Block, bool]]:
    """Cut a block around what is plainly broken, and around what an error names.

    Returns
    -------
    list of tuple of Block, bool
        The pieces, and whether each is to be refused; none where nothing is suspect.
    """
    stretches = list(block.stretches())
    places = sorted(_places_named(block, error)) if error else []
    suspect = [
        _broken(block, start, end) or bisect_left(places, start) < bisect_left(places, end)
        for start, end in stretches
    ]
    if not any(suspect):
        return []
    return [(piece, apart) for piece, _, _, apart in _cut(block, stretches, suspect)]


def _broken(block: Block, start: int, end: int) -> bool:
    """Tell whether a record of JSON Lines is not one line that ends with a brace."""
    if not block.lines:
        return False
    line, _, more = block.data[start:end].partition(b"\n")
    return not line.rstrip().endswith(b"}") or bool(more.strip())


def _places_named(block: Block, error: Exception) -> list[int]:
    """Find in a block what an error names: the beginning of records, or values."""
    rows = list(error.rows) if isinstance(error, DoesNotFit) else _ROW.findall(str(error))
    if rows:
        # A line of JSON Lines may hold a value that begins as no answer does.
        starts = list(_lines(block) if block.lines else (start for start, _ in block.stretches()))
        return [starts[int(row)] for row in rows if int(row) < len(starts)]
    value = _VALUE.search(str(error))
    if not value:
        return []
    written = re.compile(re.escape((value[1] or value[2]).encode()) + rb'["\s,}]')
    places = [match.start() for match in written.finditer(block.data)]
    before = _BEFORE_NUMBER.search
    return [place for place in places if before(block.data, max(0, place - _REACH), place)]


def _lines(block: Block) -> Iterator[int]:
    """Give where each line starts that is not blank."""
    start = 0
    for line in block.data.split(b"\n"):
        if line and not line.isspace():
            yield start
        start += len(line) + 1


def apart(block: Block, rows: Sequence[int], count: int) -> Iterator[tuple[Block, int, int, bool]]:
    """Cut a block around some of the rows that were read of it.

    Parameters
    ----------
    block
        The block.
    rows
        The rows, by their place, in their order.
    count
        How many rows were read of the block.

    Yields
    ------
    tuple of Block, int, int, bool
        A piece, its first row and the one after its last, and whether it holds rows to set apart.
    """
    stretches = list(block.stretches())
    if len(stretches) != count:
        # Which of them holds which row is not known.
        yield block, 0, count, True
        return
    wanted = set(rows)
    yield from _cut(block, stretches, [row in wanted for row in range(count)])


def _cut(
    block: Block, stretches: Sequence[tuple[int, int]], apart: Sequence[bool]
) -> Iterator[tuple[Block, int, int, bool]]:
    """Cut a block where records that are to be set apart meet others."""
    edges = [0]
    edges += [at for at in range(1, len(apart)) if apart[at] != apart[at - 1]]
    pieces = block.cut(stretches[at][0] for at in edges[1:])
    for piece, first, end in zip(pieces, edges, [*edges[1:], len(apart)], strict=True):
        yield piece, first, end, apart[first]
