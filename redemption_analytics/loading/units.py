"""Units: exports that are read and parsed together, and what comes of them."""

from __future__ import annotations

import logging
import pickle
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

from redemption_analytics.loading.option_checks import Checked
from redemption_analytics.loading.parser import Parsed, Parser
from redemption_analytics.reading.blocks import Block, Fault, batched
from redemption_analytics.reading.files import read_blocks
from redemption_analytics.sources.accounts import Account, Seen
from redemption_analytics.sources.export import Export

#: Where this library logs.
LOGGER = "redemption_analytics"


@dataclass(frozen=True)
class Setting:
    """What a process needs to know before it parses: nothing in it is secret.

    Attributes
    ----------
    options
        The options of the load.
    level
        What is logged of this library, from which level on.
    """

    options: Checked
    level: int


@dataclass(frozen=True)
class Task:
    """A unit to be read and parsed.

    Attributes
    ----------
    exports
        What is read, in its order.
    path
        The file to which the parts go; None where they are answers.
    """

    exports: list[Export]
    path: Path | None


@dataclass(frozen=True)
class Part:
    """What blocks of a unit gave, or why one of its exports could not be read.

    Attributes
    ----------
    places
        Which of the exports of the unit each block is of.
    found
        What they gave.
    """

    places: list[int]
    found: Parsed | Fault


@dataclass(frozen=True)
class Done:
    """That a unit is parsed.

    Attributes
    ----------
    seen
        What reading told of each of its exports.
    logged
        What was logged meanwhile.
    """

    seen: list[Seen]
    logged: list[logging.LogRecord]


@dataclass(frozen=True)
class Failed:
    """That a unit could not be parsed, and why."""

    error: Exception


def reads(export: Export, account: Account, limit: int) -> Iterator[Block | Fault]:
    """Read an export: of what is wrong with it the first is told, and nothing after it."""
    done = False
    for block in read_blocks(export, limit=limit, account=account):
        if not done:
            yield block
        done = done or isinstance(block, Fault)


def parts_of(accounts: Sequence[Account], parser: Parser, limit: int) -> Iterator[Part]:
    """Read and parse exports one after the other; their accounts are kept."""
    places = {account.export.name: place for place, account in enumerate(accounts)}
    blocks = (
        (account.export, block)
        for account in accounts
        for block in reads(account.export, account, limit)
    )
    for batch in batched(blocks):
        if isinstance(batch, tuple):
            export, fault = batch
            yield Part([places[export.name]], fault)
        else:
            read = parser.parse(*(block for _, block in batch))
            yield Part([places[export.name] for export, _ in batch], read)


def write(message: object, to: BinaryIO) -> None:
    """Write a message, so that :func:`read` reads it."""
    pickle.dump(message, to, protocol=pickle.HIGHEST_PROTOCOL)


def parts_in(path: Path) -> Iterator[Part]:
    """Read the parts that lie in a file, and take it away."""
    with path.open("rb") as file:
        while (part := pickle.load(file)) is not None:
            yield part
    path.unlink()
