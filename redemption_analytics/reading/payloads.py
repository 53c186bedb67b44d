"""Payloads that come one by one, from a caller or a table, as blocks."""

from __future__ import annotations

import codecs
from collections.abc import Iterable, Iterator
from dataclasses import replace
from typing import Any

from redemption_analytics.reading.blocks import BLOCK_BYTES, Block
from redemption_analytics.reading.delimited import Cell
from redemption_analytics.reading.detect import HEAD_BYTES, form_of
from redemption_analytics.reading.split import shown, within
from redemption_analytics.reading.text import encoding_of
from redemption_analytics.sources.export import Payload


def payload_blocks(payloads: Iterable[Payload], size: int, limit: int) -> Iterator[Block]:
    """Put payloads of one form together, as far as they make a block of about ``size`` bytes."""
    run: list[Any] = []
    kind, length = Block("decoded"), 0
    for payload in payloads:
        if isinstance(payload, dict):
            item: Any = payload
            form, weight = Block("decoded"), 1 + size // 512
        else:
            item = _payload_text(payload)
            form = _payload_form(item)
            weight = len(item)
        if run and (form != kind or length + weight > size):
            yield from within(_payload_block(kind, run), limit)
            run, length = [], 0
        kind = form
        run.append(item)
        length += weight
    if run:
        yield from within(_payload_block(kind, run), limit)


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


def _payload_block(kind: Block, run: list[Any]) -> Block:
    if kind.form == "decoded":
        return replace(kind, decoded=tuple(run))
    return replace(kind, data=b"\n".join(run))
