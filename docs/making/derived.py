"""Writes into pages of the reference what the code says: ``python docs/making/derived.py``.

What is derived stands in the page between two marks, so that it is read in the repository too; a
test holds it against the code. After a change to a table, a flag, a check or a docstring, run this.
"""

from __future__ import annotations

import importlib
import inspect
import re
import tempfile
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any, Literal, get_args, get_origin

import pyarrow.parquet as pq
import typer
from typer.models import ArgumentInfo

import redemption_analytics as ra
from redemption_analytics import cli
from redemption_analytics.cli import app
from redemption_analytics.columns import RELATIONS, TABLES, UNIQUE, Column
from redemption_analytics.contract import Kind
from redemption_analytics.options import LoadOptions
from redemption_analytics.reports import descriptions
from redemption_analytics.reports.quality import SENTENCES
from redemption_analytics.tables.arrow import arrow_schema_of

DOCS = Path(__file__).parents[1]
REFERENCE = DOCS / "reference"

#: The pages of the reference on names, in the order of the index.
NAMES = ("loading", "bundle", "metrics", "charts", "audit_and_reports", "warehouse", "errors")

#: Sections on what several commands take.
_LOADING, _EVERYWHERE = "options of loading", "options of all commands"
_HEAD = ("argument", "default", "what it says")

_BEGIN, _END = "<!-- derived: see docs/making/derived.py -->\n", "<!-- end -->\n"


def pages() -> dict[Path, str]:
    """Return what is derived, by the page that it stands in."""
    derived = {
        "index": _names(),
        "tables": _tables(),
        "checks": _checks(),
        "report_files": _report_files(),
        "command_line": _command_line(),
    }
    return {REFERENCE / f"{page}.md": "".join(lines).strip() for page, lines in derived.items()}


def with_derived(text: str, derived: str) -> str:
    """Return the text of a page with what is derived between its marks."""
    before, _, rest = text.partition(_BEGIN)
    return f"{before}{_BEGIN}\n{derived}\n\n{_END}{rest.partition(_END)[2]}"


def documented() -> dict[str, list[str]]:
    """Return the names that each page of the reference has from docstrings."""
    return {
        page: re.findall(r"^::: ([\w.]+)$", (REFERENCE / f"{page}.md").read_text("utf-8"), re.M)
        for page in NAMES
    }


def _table(head: Iterable[str], rows: Iterable[Iterable[Any]]) -> Iterator[str]:
    """Write a table of Markdown, and an empty line."""
    columns = list(head)
    for row in (columns, ["---"] * len(columns), *rows):
        yield f"| {' | '.join(str(cell).replace('|', chr(92) + '|') for cell in row)} |\n"
    yield "\n"


def _names() -> Iterator[str]:
    for page, names in documented().items():
        title = (REFERENCE / f"{page}.md").read_text("utf-8").partition("\n")[0].lstrip("# ")
        yield f"## [{title}]({page}.md)\n\n"
        rows = []
        for name in names:
            value = _value(name)
            says = (inspect.getdoc(value) or "").partition("\n")[0]
            short = name.removeprefix("redemption_analytics.")
            rows.append((f"[`{short}`]({page}.md#{name})", _without_roles(says)))
        yield from _table(("name", "what it does"), rows)


def _value(name: str) -> Any:
    value: Any = importlib.import_module("redemption_analytics")
    for part in name.split(".")[1:]:
        value = getattr(value, part)
    return value


def _without_roles(text: str) -> str:
    return re.sub(r":\w+:`~?([\w.]+)`", r"`\1`", text).replace("``", "`")


def _tables() -> Iterator[str]:
    for name, columns in TABLES.items():
        model = ra.schemas.MODELS[name]
        yield f"## {name}\n\n{_without_roles(inspect.getdoc(model) or '')} "
        yield f"Its model is `ra.schemas.{model.__name__}`.\n\n"
        pandas, parquet = ra.Redemptions().tables[name].dtypes, arrow_schema_of(name)
        rows = [
            (
                f"`{key}`",
                # pandas 2 calls it otherwise.
                "`str`" if column.kind is Kind.TEXT else f"`{pandas[key]}`",
                parquet.field(key).type,
                _true_of(column),
            )
            for key, column in columns.items()
        ]
        yield from _table(("column", "in pandas", "in Parquet", "what is true of it"), rows)
        if name in UNIQUE:
            yield f"No two rows have the same {_listed(UNIQUE[name], 'and')}.\n\n"
        for child, parent, key in RELATIONS:
            if child == name:
                yield f"`{key}` is that of a row of [`{parent}`](#{parent}).\n\n"


def _true_of(column: Column) -> str:
    said = [
        "may be null" if column.nullable else "",
        "unique" if column.unique else "",
        f"{column.least} or more" if column.least is not None else "",
        "whole, or of three places" if column.kind is Kind.POINTS else "",
        _listed(column.among, "or") if column.among else "",
    ]
    return "; ".join(filter(None, said))


def _listed(names: Iterable[str], word: str) -> str:
    *some, last = (f"`{name}`" for name in names)
    return f"{', '.join(some)} {word} {last}" if some else last


def _checks() -> Iterator[str]:
    found = ra.audit(ra.Redemptions())
    rows = [
        (f"`{check}`", severity, *SENTENCES[check][1:])
        for check, severity in zip(found["check"], found["severity"], strict=True)
    ]
    yield from _table(
        ("check", "severity", "it finds that", "what that means, and what to do"), rows
    )


def _report_files() -> Iterator[str]:
    for name, columns in _written().items():
        told = descriptions.TABLES[name]
        yield f"## {name}.parquet\n\n**{told.title.format(period='month')}.** {told.says}"
        yield f" Basis: {told.basis}.\n\n" if told.basis else "\n\n"
        rows = [
            (f"`{column}`", *reversed(descriptions.COLUMNS[column]), kind)
            for column, kind in columns.items()
        ]
        yield from _table(("column", "unit", "shown as", "in Parquet"), rows)


def _written() -> dict[str, dict[str, str]]:
    """Return the columns and types of each Parquet file of a report."""
    with tempfile.TemporaryDirectory() as directory:
        r = ra.load(DOCS.parent / "data_samples" / "2025-stores.json")
        files = ra.write_reports(r, directory, page=False)
        schemas = {file.stem: pq.read_schema(file) for file in files if file.suffix == ".parquet"}
    return {
        name: {field.name: _plain(field.type) for field in schema}
        for name, schema in schemas.items()
    }


def _plain(kind: Any) -> str:
    return str(kind).removeprefix("large_")


def _command_line() -> Iterator[str]:
    yield f"{app.info.help}\n\n{app.info.epilog}\n\n"
    shared: dict[str, dict[str, inspect.Parameter]] = {_LOADING: {}, _EVERYWHERE: {}}
    for command in cli._COMMANDS:
        parameters = inspect.signature(command, eval_str=True).parameters.values()
        given = [one for one in parameters if one.annotation is not typer.Context]
        arguments = [one for one in given if isinstance(_told(one), ArgumentInfo)]
        usage = " ".join(_argument(one) for one in arguments)
        name = command.__name__
        yield f"## {name}\n\n```text\nredemption-analytics {name} [OPTIONS] {usage}\n```\n\n"
        yield f"{inspect.getdoc(command)}\n\n"
        rows, links = [_row(one) for one in arguments], []
        loads = "points" in {one.name for one in given}
        for one in given:
            title = _shared(one.name, loads)
            if title:
                shared[title][one.name] = one
                links += [title] if title not in links else []
            elif one not in arguments:
                rows.append(_row(one))
        yield from _table(_HEAD, rows)
        whole = (f"the [{title}](#{title.replace(' ', '-')})" for title in links)
        yield f"Besides, it takes {' and '.join(whole)}.\n\n"
    for title, options in shared.items():
        yield f"## {title.capitalize()}\n\n"
        yield from _table(_HEAD, map(_row, options.values()))


def _shared(name: str, loads: bool) -> str:
    """Name the section of an option that several commands have."""
    if loads and name in LoadOptions.__annotations__:
        return _LOADING
    return _EVERYWHERE if name in ("quiet", "verbose") else ""


def _told(one: inspect.Parameter) -> Any:
    return one.annotation.__metadata__[0]


def _row(one: inspect.Parameter) -> tuple[str, str, str]:
    told = _told(one)
    name = f"`{_argument(one)}`" if isinstance(told, ArgumentInfo) else _flags(one)
    says = " ".join((told.help or "").split())
    default = re.search(r"\s*\[default: (.*)\]$", says)
    if default:
        return name, default[1], says[: default.start()]
    shown = told.show_default and type(one.default) in (int, float, str)
    return name, f"`{one.default}`" if shown else "", says


def _argument(one: inspect.Parameter) -> str:
    several = get_origin(get_args(one.annotation)[0]) is list
    return f"{_told(one).metavar}..." if several else str(_told(one).metavar)


def _flags(one: inspect.Parameter) -> str:
    """Write an option with its names, and what it takes."""
    told, kind = _told(one), get_args(one.annotation)[0]
    # Typer takes the first name for a default where the option is an annotation.
    names = [name for name in (told.default, *(told.param_decls or ())) if isinstance(name, str)]
    flags = ", ".join(f"`{name}`" for name in names or [f"--{one.name.replace('_', '-')}"])
    kinds = [part for part in (kind, *get_args(kind)) if part is not type(None)]
    if bool in kinds:
        return flags
    choices = next((get_args(part) for part in kinds if get_origin(part) is Literal), ())
    if choices:
        return f"{flags} {_listed(choices, 'or')}"
    number = "NUMBER" if {int, float} & {*kinds} else "TEXT"
    return f"{flags} `{told.metavar or number}`"


if __name__ == "__main__":
    for page, derived in pages().items():
        page.write_text(with_derived(page.read_text("utf-8"), derived), "utf-8")
