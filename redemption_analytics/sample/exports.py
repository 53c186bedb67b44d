"""Writing exports: single files in every style, and a folder of archives and nightly exports."""

from __future__ import annotations

import gzip
import json
from collections.abc import Iterable, Iterator
from contextlib import ExitStack, nullcontext
from datetime import datetime, time, timedelta
from functools import partial
from html import escape
from pathlib import Path
from random import Random
from typing import Any, Literal, get_args

from redemption_analytics.atomic_directory import check_replaceable, written_beside
from redemption_analytics.loading.progress import progress_bar
from redemption_analytics.sample.damage import compact, damaged
from redemption_analytics.sample.editions import Edition, answer_with, record_of
from redemption_analytics.sample.history import Customer, Payload
from redemption_analytics.sample.organisation import Organisation

Style = Literal["lines", "pretty", "array", "xml-2018", "xml-2020"]

#: The folder of archives, what is in it, and how nightly exports end.
_ARCHIVE = "archive"
_ARCHIVES: tuple[tuple[str, Edition, Style], ...] = (
    ("2018-12-31.xml", "2018", "xml-2018"),
    ("2020-06-30.json", "2020", "array"),
    ("2020-12-31.xml", "2020", "xml-2020"),
    ("2025-06-30.json.gz", "2025-02", "pretty"),
)
_NIGHTLY = ".jsonl.gz"


def write_sample(
    directory: str | Path,
    *,
    customers: int = 2000,
    exports: int = 3,
    seed: int = 0,
    damage: float = 0.0,
    progress: bool | None = False,
) -> list[Path]:
    """Write a folder of exports: archives of every fifth customer, and nightly ones that overlap.

    Parameters
    ----------
    directory : str or Path
        Where to. It appears whole or not at all; a sample that is there is replaced, any other
        directory that is not empty is refused.
    customers : int
        How many customers the organisation has.
    exports : int
        How many nightly exports, on consecutive days up to 2026-11-20.
    seed : int
        The same seed writes the same bytes.
    damage : float
        The share of nightly answers to damage, 0 to 1.
    progress : bool or None
        Whether to show a progress bar; None for a terminal.

    Returns
    -------
    list of Path
        The files written, oldest first.

    Raises
    ------
    UsageError
        If the directory holds something else.
    WriteError
        If the directory cannot be written to, or another run is writing it.
    """
    if not 0 <= damage <= 1 or exports < 0:
        raise ValueError("damage must be from 0 to 1, and exports not negative")
    organisation = Organisation(customers, seed)
    check = partial(check_replaceable, own=sample_files, overwrite=True)
    steps = len(_ARCHIVES) + exports
    with written_beside(directory, check) as fresh, ExitStack() as stack:
        advance = stack.enter_context(progress_bar(steps, progress, "writing", "files"))
        written = []
        for name, edition, style in _ARCHIVES:
            old = organisation.answers(edition, as_of=datetime.fromisoformat(name[:10]), every=5)
            written.append(write_export(fresh / _ARCHIVE / name, old, style=style))
            advance(1)
        for back in reversed(range(exports)):
            as_of = datetime.combine(organisation.end, time()) - timedelta(back)
            since = as_of - timedelta(400 if back == exports - 1 else 35)
            answers = _nightly(organisation.chosen(as_of, since), as_of, Random(f"{seed}-{as_of}"))
            lines = damaged(_chunks(answers, "lines"), damage, Random(f"{seed}-{as_of}-damage"))
            written.append(_write(fresh / f"{as_of:%Y-%m-%d}{_NIGHTLY}", lines))
            advance(1)
    return [Path(directory) / path.relative_to(fresh) for path in written]


def sample_files(directory: Path) -> set[str]:
    """List what the sample in a directory consists of; nothing if there is none."""
    archives = {f"{_ARCHIVE}/{name}" for name, *_ in _ARCHIVES}
    if not all((directory / name).is_file() for name in archives):
        return set()
    nightly = {path.name for path in directory.glob(f"????-??-??{_NIGHTLY}")}
    return {_ARCHIVE} | archives | nightly


def write_export(path: str | Path, answers: Iterable[Payload], *, style: Style = "lines") -> Path:
    """Write answers to a file, one after the other as they come.

    Parameters
    ----------
    path : str or Path
        Compressed if the name ends in ``.gz``, to the same bytes each time.
    answers : iterable of dict
        Decoded payloads.
    style : {"lines", "pretty", "array", "xml-2018", "xml-2020"}
        JSON Lines, concatenated indented JSON, a JSON array, XML that repeats a tag for each of a
        list, or XML with an ``<element>`` for each of a list.

    Returns
    -------
    Path
        The file.
    """
    if style not in get_args(Style):
        raise ValueError(f"style must be one of {', '.join(get_args(Style))}")
    return _write(Path(path), _chunks(answers, style))


def _write(path: Path, chunks: Iterable[str]) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("wb") as raw:
        # No name and no time in the header: the bytes must not depend on where and when.
        packed = gzip.GzipFile("", "wb", 9, raw, 0) if path.suffix == ".gz" else nullcontext(raw)
        with packed as out:
            for chunk in chunks:
                out.write(chunk.encode())
    return path


def _chunks(answers: Iterable[Payload], style: Style) -> Iterator[str]:
    if style == "lines":
        yield from (compact(answer) + "\n" for answer in answers)
    elif style == "pretty":
        yield from (json.dumps(answer, indent=2, ensure_ascii=False) + "\n" for answer in answers)
    elif style == "array":
        yield "["
        for n, answer in enumerate(answers):
            yield (",\n" if n else "\n") + compact(answer)
        yield "\n]\n"
    else:
        yield '<?xml version="1.0" encoding="UTF-8"?>\n<root>\n'
        for answer in answers:
            yield _xml("response", answer["response"], style == "xml-2020") + "\n"
        yield "</root>\n"


def _xml(name: str, value: Any, wrapped: bool) -> str:
    if isinstance(value, list) and not wrapped:
        return "".join(_xml(name, inner, wrapped) for inner in value)
    if isinstance(value, list):
        text = "".join(_xml("element", inner, wrapped) for inner in value)
    elif isinstance(value, dict):
        text = "".join(_xml(key, inner, wrapped) for key, inner in value.items())
    else:
        text = "" if value is None else escape(str(value), quote=False)
        text = text.lower() if isinstance(value, bool) else text
    return f"<{name}>{text}</{name}>" if text else f"<{name} />"


def _nightly(chosen: Iterable[Customer], as_of: datetime, random: Random) -> Iterator[Payload]:
    """Answers of the current edition, a few of them truncated, failed, or for several at once."""
    failed = {"success": False, "code": 500, "message": "All requests have failed due to errors"}
    unknown = {"success": "false", "code": "816", "message": "Customer not found for organization"}
    batch: list[Payload] = []
    for customer in chosen:
        many = sum(point.time <= as_of for point in customer.points)
        limit = min(10, many // 2) if many > 1 and random.random() < 0.005 else 500
        record = record_of(customer, "2025-12", as_of, limit)
        if random.random() < 0.003:
            yield {"response": {"status": failed}}
        if not batch and random.random() > 0.003:
            yield answer_with([record], "2025-12")
            continue
        batch.append(record)
        if len(batch) == 3:
            batch.append({"mobile": "4477009999999", "item_status": unknown})
            yield answer_with(batch, "2025-12", batch=True)
            batch = []
    if batch:
        yield answer_with(batch, "2025-12", batch=True)
