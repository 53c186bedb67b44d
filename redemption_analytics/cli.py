"""The command line: reads arguments, calls the library, prints what came out.

Nothing heavy is imported before a command is at work: its help comes at once.
"""

from __future__ import annotations

import importlib
import shlex
import sys
from collections.abc import Callable
from functools import wraps
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

import redemption_analytics as ra
from redemption_analytics.flags import Command, given, in_flags, loading, message
from redemption_analytics.options import DEFAULTS, LoadOptions, NamedBy, Period
from redemption_analytics.reports.extra import PAGE, REMEDY, WORKBOOK
from redemption_analytics.signals import put_away_on_signals
from redemption_analytics.visible import visible

if TYPE_CHECKING:
    import pyarrow as pa

_ALL_REJECTS = "all of them are in load(...).rejects, and in the folder rejects that convert writes"

#: What is opened, and not loaded.
_CONVERTED, _WAREHOUSE = "converted", "a warehouse"

DONE, DONE_WITH_REJECTS, UNUSABLE = 0, 1, 2

app = typer.Typer(
    name="redemption-analytics",
    help='Offline analytics over exports of the "Get Customer Redemptions" API.',
    epilog="Exit status: 0 done; 1 done with rejects, under --strict; 2 wrong usage, unreadable"
    " input, or output that cannot be written.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)


SourceArgument = Annotated[
    list[str],
    typer.Argument(
        metavar="SOURCE",
        help="Files, directories, globs or URIs of exports; - for standard input.",
        show_default=False,
    ),
]
StrictOption = Annotated[
    bool, typer.Option("--strict", help="Exit with status 1 if anything was rejected.")
]
PageOption = Annotated[
    bool | None,
    typer.Option(
        "--page/--no-page",
        help=f"Write {PAGE}.  [default: where the extra `report` is installed]",
        show_default=False,
    ),
]


def _reporting_errors(command: Callable[..., None]) -> Callable[..., None]:
    @wraps(command)
    def run(*args: Any, **kwargs: Any) -> None:
        importlib.import_module("redemption_analytics.terminal")  # and pandas with it
        put_away_on_signals()
        try:
            command(*args, **kwargs)
        except ra.RedemptionAnalyticsError as error:
            _say(f"redemption-analytics: {message(error)}", err=True)
            raise typer.Exit(UNUSABLE) from None
        except BrokenPipeError:
            raise  # Nobody reads what is printed: the program knows how to end then.
        except OSError as error:
            named = f"{error.filename}: " if error.filename else ""
            _say(f"redemption-analytics: {named}{error.strerror or error}", err=True)
            raise typer.Exit(UNUSABLE) from None

    return run


def _say(text: str, *, err: bool = False) -> None:
    """Print lines; no name in them steers the terminal."""
    # Not by typer.echo, which writes UTF-8 to a terminal of ASCII.
    print("\n".join(map(visible, text.split("\n"))), file=sys.stderr if err else sys.stdout)


def _sources(source: list[str]) -> Any:
    found: list[Any] = [sys.stdin.buffer if path == "-" else path for path in source]
    return found[0] if len(found) == 1 else found


@app.command(cls=Command)
@_reporting_errors
@loading
def convert(
    source: SourceArgument,
    directory: Annotated[
        Path, typer.Argument(metavar="DIR", help="Where to write, one folder per table.")
    ],
    overwrite: Annotated[
        bool, typer.Option("--overwrite", help="Replace the directory where it exists.")
    ] = False,
    strict: StrictOption = False,
    options: LoadOptions = DEFAULTS,
) -> None:
    """Convert exports to Parquet, one folder per table."""
    from redemption_analytics.loading.convert import converted

    # Without frames and their models, which take longer to import than small exports to convert.
    ledger = converted(_sources(source), directory, options, overwrite=overwrite)
    _say(_table(ledger))
    if any(ledger["passed_over"].to_pylist()):
        from redemption_analytics.printed import passed_over_text

        _tell(passed_over_text(ra.open(directory, engine="duckdb").files))
    _say(f"\nwritten to {directory}")
    _leave(ledger, strict, f"see {directory / 'rejects'}")


@app.command(cls=Command)
@_reporting_errors
@loading
def ingest(
    source: SourceArgument,
    directory: Annotated[
        str,
        typer.Argument(
            metavar="WAREHOUSE", help="A directory or URL (s3://…); made where it is not there yet."
        ),
    ],
    strict: StrictOption = False,
    options: LoadOptions = DEFAULTS,
) -> None:
    """Take what is new in exports into a warehouse; what was ingested before is not read again."""
    defaults: dict[str, Any] = {**DEFAULTS}
    # What is left out is as it was when the warehouse was made.
    chosen: Any = {name: v for name, v in options.items() if v != defaults[name]}
    done = ra.Warehouse(directory).ingest(_sources(source), **chosen)
    _say(str(done))
    rejected = sum(done.rejected.values())
    if rejected:
        _say(
            f"{rejected:,} rejected: all of them are in Warehouse({directory!r}).open().rejects",
            err=True,
        )
    raise typer.Exit(DONE_WITH_REJECTS if strict and rejected else DONE)


def _grown(place: str) -> ra.Warehouse:
    """Return the warehouse at a place, where one is."""
    warehouse = ra.Warehouse(place)
    if warehouse.history().empty:
        raise ra.SourceError(f"{place} is no warehouse, or holds nothing yet")
    return warehouse


WarehouseArgument = Annotated[
    str, typer.Argument(metavar="WAREHOUSE", help="A directory or URL.", show_default=False)
]


@app.command(cls=Command)
@_reporting_errors
def history(warehouse: WarehouseArgument) -> None:
    """Show the versions of a warehouse that can be opened, the oldest first."""
    import pyarrow as pa

    found = _grown(warehouse).history()
    _say(_table(pa.Table.from_pandas(found, preserve_index=False)))


@app.command(cls=Command)
@_reporting_errors
def vacuum(
    warehouse: WarehouseArgument,
    keep: Annotated[int, typer.Option(min=1, help="How many of the newest versions stay.")] = 30,
    grace: Annotated[
        str,
        typer.Option(
            metavar="SPAN",
            help="Versions that were the newest so long ago stay too, and files that are no older.",
        ),
    ] = "1D",
) -> None:
    """Take away a warehouse's old versions, and the files that no version names any more."""
    done = _grown(warehouse).vacuum(keep, grace=grace)
    _say(
        f"{len(done.versions):,} versions and {done.files:,} files ({done.size:,} bytes) taken away"
    )
    if done.waiting:
        _say(f"{done.waiting:,} more would go, but stood as the newest within --grace {grace}")


@app.command(cls=Command)
@_reporting_errors
def forget(
    warehouse: WarehouseArgument,
    by: Annotated[NamedBy, typer.Option(help="What names the person.", show_default=False)],
) -> None:
    """Take a person out of a warehouse: who it is comes from standard input, and so into no log."""
    asks = sys.stdin.isatty()
    # Arguments stand in the shell's history, and in the list of processes.
    value = typer.prompt(by, hide_input=True) if asks else sys.stdin.read()
    done = ra.Warehouse(warehouse).forget(**{by: value})
    _say(str(done))
    _say(
        "older versions go by: redemption-analytics vacuum"
        f" {shlex.quote(warehouse)} --keep 1 --grace 0s"
    )


@app.command(cls=Command)
@_reporting_errors
@loading
def report(
    source: SourceArgument,
    directory: Annotated[Path, typer.Argument(metavar="DIR", help="Where to write the report.")],
    period: Annotated[Period, typer.Option(help="Grain of time.")] = "month",
    as_of: Annotated[
        str | None,
        typer.Option(
            metavar="TIME",
            help="Leave out what happened later: 2026-10-31 (all of that day), 2026-10 (all of that"
            " month), or 2026-10-31T18:00.  [default: when the newest export was made]",
            show_default=False,
        ),
    ] = None,
    page: PageOption = None,
    excel: Annotated[
        bool, typer.Option("--excel", help=f"Write {WORKBOOK} too (extra `excel`).")
    ] = False,
    strict: StrictOption = False,
    options: LoadOptions = DEFAULTS,
) -> None:
    """Write a report: Parquet files, a manifest, and a page to read; show its main figures."""
    from redemption_analytics.moments import end
    from redemption_analytics.printed import audit_text, passed_over_text, rejected_text

    end(as_of, "as_of")  # before anything is read
    r = _bundle(source, options)
    files = ra.write_reports(
        r,
        directory,
        period=period,
        as_of=as_of,
        page=page,
        excel=excel,
        allow_empty=options["allow_empty"],
    )
    known = r if as_of is None else r.filter(as_of=as_of)
    _say(_table(_small(ra.net_points(known, by="program_id"))))
    _say("")
    rates = _small(ra.reversal_rates(known, as_of=as_of))
    shown = ["redemptions", "reversed_redemptions", "redemption_reversal_rate"]
    _say(_table(rates.select([*shown, "points_reversal_rate"])))
    _tell(audit_text(ra.audit(r, as_of)))
    _tell(passed_over_text(r.files))
    _tell(rejected_text(r.rejects))
    _say(f"\n{len(files)} files written to {directory}")
    read_it = Path(directory) / PAGE
    if read_it in files:
        _say(f"to read: {read_it}")
    elif page is None:
        _say(f"{PAGE} is left out: {REMEDY} adds it", err=True)
    _leave(_small(r.ledger), strict, f"see {directory / 'rejects.parquet'}")


@app.command(cls=Command)
@_reporting_errors
@loading
def audit(
    source: SourceArgument,
    strict: StrictOption = False,
    options: LoadOptions = DEFAULTS,
) -> None:
    """Tell what to know about the data before trusting its numbers, and show the ledger."""
    from redemption_analytics.printed import audit_text, passed_over_text, rejected_text

    r = _bundle(source, options)
    _say(_table(_small(r.ledger)))
    _tell(passed_over_text(r.files))
    _tell(audit_text(ra.audit(r)))
    _tell(rejected_text(r.rejects))
    _leave(_small(r.ledger), strict, _where_rejects_are(source))


@app.command(cls=Command)
@_reporting_errors
def sample(
    directory: Annotated[Path, typer.Argument(metavar="DIR", help="Where to write the exports.")],
    customers: Annotated[int, typer.Option(min=1, help="Customers of the organisation.")] = 2000,
    exports: Annotated[int, typer.Option(min=1, help="Nightly exports.")] = 3,
    seed: Annotated[int, typer.Option(help="The same seed gives the same bytes.")] = 0,
    damage: Annotated[
        float, typer.Option(min=0.0, max=1.0, help="Share of answers that are damaged.")
    ] = 0.0,
) -> None:
    """Write exports of a synthetic organisation: overlapping, in all editions, some truncated."""
    from redemption_analytics.sample import write_sample

    for path in write_sample(
        directory, customers=customers, exports=exports, seed=seed, damage=damage
    ):
        _say(f"{path}  {path.stat().st_size:,} bytes")


def _bundle(source: list[str], options: LoadOptions) -> ra.Redemptions:
    """Load exports, or open a directory that was converted before, or a warehouse."""
    what = _opened_as(source)
    if what is None:
        return ra.load(_sources(source), **options)
    if named := given(options):
        raise ra.UsageError(f"{source[0]} is {what} already, too late for {', '.join(named)}")
    if what == _CONVERTED:
        return ra.open(source[0], engine="duckdb")
    return ra.Warehouse(source[0]).open("duckdb")


def _opened_as(source: list[str]) -> str | None:
    """Say what a source is that is opened, not loaded; None if it is loaded."""
    from redemption_analytics.tables.outputs import is_converted, is_warehouse_directory

    if len(source) != 1:
        return None
    if is_converted(source[0]):
        return _CONVERTED
    if is_warehouse_directory(source[0]):
        return _WAREHOUSE
    if "://" in source[0]:
        from redemption_analytics.warehouse.log import is_warehouse

        try:
            return _WAREHOUSE if is_warehouse(source[0]) else None
        except ra.RedemptionAnalyticsError:
            return None  # Loading it will say what is wrong.
    return None


def _where_rejects_are(source: list[str]) -> str:
    what = _opened_as(source)
    if what == _CONVERTED:
        return f"see {Path(source[0], 'rejects')}"
    if what == _WAREHOUSE:
        return f"all of them are in Warehouse({source[0]!r}).open().rejects"
    return _ALL_REJECTS


def _tell(text: str) -> None:
    """Print a text after an empty line, with flags for options; nothing if there is none."""
    if text:
        _say(f"\n{in_flags(text)}")


def _small(frame: Any) -> pa.Table:
    """Read a small frame out of any engine."""
    from redemption_analytics.tables.frames import as_arrow

    return as_arrow(frame)


def _table(table: pa.Table) -> str:
    from redemption_analytics.terminal import text_table

    return text_table(table)


def _leave(ledger: pa.Table, strict: bool, where: str) -> None:
    """End the program, by how much was rejected, and say where all of it stands."""
    rejected = sum(ledger["rejected"].to_pylist())
    if rejected:
        _say(f"{rejected:,} rejected: {where}", err=True)
    raise typer.Exit(DONE_WITH_REJECTS if strict and rejected else DONE)
