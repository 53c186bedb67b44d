"""Payloads that come one by one, from a caller or a table, as blocks."""

from __future__ import annotations

import codecs
import json
from collections.abc import Iterable, Iterator
from dataclasses import replace
from decimal import Decimal
from typing import Any

from redemption_analytics.reading.blocks import BLOCK_BYTES, Block
from redemption_analytics.reading.delimited import Cell
from redemption_analytics.reading.detect import HEAD_BYTES, form_of
from redemption_analytics.reading.split import shown, within
from redemption_analytics.reading.text import encoding_of
from redemption_analytics.sources.export import Payload

# A payload that came decoded is written in a line.
_DECODED = Block("json", lines=True, begins="line")
#: Python writes out no integers of very many digits.
_LONGEST = 10**4000


def payload_blocks(payloads: Iterable[Payload], size: int, limit: int) -> Iterator[Block]:
    """Put payloads of one form together, as far as they make a block of about ``size`` bytes."""
    run: list[bytes] = []
    kind, length = _DECODED, 0
    for payload in payloads:
        if isinstance(payload, dict):
            item, form = _written(payload)
        else:
            item = _payload_text(payload)
            form = _payload_form(item)
        if run and (form != kind or length + len(item) > size or kind.refused):
            yield from within(replace(kind, data=b"\n".join(run)), limit)
            run, length = [], 0
        kind = form
        run.append(item)
        length += len(item)
    if run:
        yield from within(replace(kind, data=b"\n".join(run)), limit)


def _written(payload: dict[str, Any]) -> tuple[bytes, Block]:
    """Write a payload that came decoded as JSON; what is no JSON as the text that it shows."""
    for plain in (False, True):
        # Halves of surrogate pairs are written as escapes only; long integers not at all.
        for escaped in (False, True):
            try:
                value = _without_long_integers(payload) if plain else payload
                text = json.dumps(value, ensure_ascii=escaped, default=str, skipkeys=plain)
                return text.encode(), _DECODED
            except (TypeError, ValueError) as error:
                why = str(error)
            except RecursionError:
                why = "nested too deeply"
    return b"", replace(_DECODED, refused=f"not readable: {why}")


def _without_long_integers(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: _without_long_integers(item) for key, item in value.items()}
    if isinstance(value, (list, tuple)):
        return [_without_long_integers(item) for item in value]
    is_long = isinstance(value, int) and abs(value) >= _LONGEST
    return str(Decimal(value)) if is_long else value


def cell_blocks(found: Iterable[Cell], limit: int, size: int = BLOCK_BYTES) -> Iterator[Block]:
    """Put the payloads of a CSV or TSV together, as long as their lines can be counted on."""
    run: list[bytes] = []
    kind, line, expected, length = Block("json"), 1, 1, 0
    for cell in found:
        text = cell.text if cell.torn else _payload_text(cell.text)
        form = _payload_form(text)
        if run and (cell.torn or form != kind or cell.line != expected or length > size):
            yield from within(replace(kind, data=b"\n".join(run), line=line), limit)
            run, length = [], 0
        if cell.torn:
            yield Block("json", shown(text), cell.line, lines=True, refused=cell.torn)
            continue
        if not run:
            kind, line, expected = form, cell.line, cell.line
        run.append(text)
        length += len(text)
        expected += text.count(b"\n") + 1
    if run:
        yield from within(replace(kind, data=b"\n".join(run), line=line), limit)


def _payload_form(item: bytes) -> Block:
    if item.startswith(b"<"):
        return Block("xml")
    spread = b"\n" in item
    if item.startswith((b"{", b"[")):
        return Block("json", lines=not spread)
    return form_of(item[:HEAD_BYTES]) or Block("json", lines=not spread)


def _payload_text(payload: bytes) -> bytes:
    try:
        encoding = encoding_of(payload)
        text = payload.decode(encoding, "backslashreplace").encode() if encoding else payload
    except (LookupError, UnicodeError):
        text = payload
    return text.removeprefix(codecs.BOM_UTF8).strip()
