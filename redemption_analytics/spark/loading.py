"""Loading exports on Spark into a bundle of its frames."""

from __future__ import annotations

import os
import pickle
import shutil
from contextlib import closing
from dataclasses import replace
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Any, Unpack
from uuid import uuid4

import pyarrow as pa

from redemption_analytics.atomic_directory import write_folders
from redemption_analytics.contract import PAYLOAD_COLUMN
from redemption_analytics.errors import SourceError, UsageError
from redemption_analytics.loading.loading import Loading
from redemption_analytics.loading.open import open as open_converted
from redemption_analytics.loading.sharing import units_of
from redemption_analytics.options import DECLARED, LoadOptions
from redemption_analytics.privacy import fingerprint
from redemption_analytics.sources.export import Export
from redemption_analytics.sources.find import Source
from redemption_analytics.sources.streams import LocalFile
from redemption_analytics.spark.jobs import (
    Parse,
    ParseRows,
    Setting,
    Staged,
    fetch_key,
    on_executors,
    on_partitions,
    parsed,
    part_of,
)
from redemption_analytics.spark.staged_tables import StagedTables
from redemption_analytics.tables.arguments import path_of, public_with
from redemption_analytics.tables.ledger import FINDINGS, LEDGER
from redemption_analytics.tables.outputs import PART
from redemption_analytics.tables.parts import PARTS, whole_of
from redemption_analytics.tables.spark import quoted

if TYPE_CHECKING:
    from redemption_analytics.redemptions import Redemptions

#: Files are read and parsed together up to so many bytes of text.
UNIT_BYTES = 64 << 20


@public_with(DECLARED)
def load(
    session: Any,
    source: Source,
    *,
    staging: str | os.PathLike[str],
    pii_key: str | None = None,
    **options: Unpack[LoadOptions],
) -> Redemptions:
    """Load exports on Spark, as :func:`redemption_analytics.load` does on one machine.

    Executors read and parse the files, each file whole and small ones together, and write their
    rows to the staging directory. What belongs together is decided here, from narrow columns; then
    executors rewrite those units in which a row goes or changes.

    Parameters
    ----------
    session
        The session of Spark, classic or by Spark Connect. This library has to be installed where
        its executors are.
    source
        As :func:`redemption_analytics.load` takes it. Files have to be where executors find them
        under the same paths. Members of archives, streams and payloads, which only this process can
        read, are parsed by it. A frame of Spark's with a column ``payload`` of texts is read where
        its rows are, as raw answers lie in a lake; each of its partitions is an export of its own
        in ``files``, ``frame`` and its number.
    staging
        A directory that this process and all executors see under this path: of one machine, on a
        mount, in a volume. Each load has a folder of its own there, which holds the tables: it goes
        when nobody needs the bundle any more.
    pii_key
        The function that gives the key of ``pii="pseudonymize"``, as ``"module:function"``: it is
        called here and in each executor. By default both have it in their environment. In no case
        it is sent.
    **options
        The options of :func:`redemption_analytics.load`; ``threads`` and ``progress`` mean nothing
        here.

    Returns
    -------
    Redemptions
        The bundle, of frames of the session. Its folder is a converted directory, which
        :func:`redemption_analytics.open` opens with any engine.

    Raises
    ------
    SourceError
        If nothing in the source can be read.
    UsageError
        If an option makes no sense, or is ``pii="drop"``: its random key does not leave the process
        that drew it. Pseudonymize with a key that is thrown away.
    RejectedError
        Under ``on_error="raise"``, at the first element that does not fit the contract.

    Notes
    -----
    What is decided here takes memory and time here, as :func:`redemption_analytics.convert` takes
    them for it: keys and times of all redemptions are read once or twice, in bounded memory but for
    some bytes for each row. A single file is one unit, however large it is.

    Examples
    --------
    >>> import redemption_analytics as ra
    >>> r = ra.spark.load(session, "exports/", staging="/mnt/staging")  # doctest: +SKIP
    >>> ra.net_points(r, by="program_id").show()  # doctest: +SKIP
    """
    if options.get("pii") == "drop":
        raise UsageError(
            'pii="drop" draws a key that does not leave the process: on Spark use'
            ' pii="pseudonymize" with a key that you throw away'
        )
    fetch_key(pii_key)
    loading = Loading.of(options)
    frame = source if _is_of_spark(source) else None
    if frame is not None:
        source = pa.table({PAYLOAD_COLUMN: pa.array([], pa.string())})
    whole = path_of(staging, "staging") / f"load-{uuid4().hex}"
    work = whole.with_name(f".{whole.name}")
    exports = loading.exports(source)
    try:
        _write_setting(loading, pii_key, work)
        if frame is None:
            units = _written_down(exports, work)
            staged = _parsed(session, loading, units, work)
        else:
            units, staged = _rows_parsed(frame, exports[0], work)
        _merged(session, loading, units, staged, work, whole)
    except BaseException:
        shutil.rmtree(whole, ignore_errors=True)
        raise
    finally:
        shutil.rmtree(work, ignore_errors=True)
    return open_converted(whole, "spark", session=session)


def _is_of_spark(source: Any) -> bool:
    """Check whether a source is a frame of Spark's."""
    return hasattr(source, "mapInArrow")


def _write_setting(loading: Loading, key: str | None, work: Path) -> None:
    """Write down for executors how exports are read."""
    (work / "tasks").mkdir(parents=True)
    quiet = replace(loading.options, threads=1, progress=False)
    setting = Setting(quiet, key, loading.hidden and fingerprint(loading.hidden))
    (work / "setting").write_bytes(pickle.dumps(setting))


def _rows_parsed(frame: Any, export: Export, work: Path) -> tuple[list[list[Export]], list[Staged]]:
    """Have executors parse the payloads of a frame; return its partitions as units."""
    if PAYLOAD_COLUMN not in frame.columns:
        raise SourceError(
            f'the frame has no column "{PAYLOAD_COLUMN}" of payloads, but'
            f" {', '.join(frame.columns[:20])}: rename the one that holds them"
        )
    template = replace(export, payloads=())
    (work / "tasks" / "frame").write_bytes(pickle.dumps(template))
    rows = frame.selectExpr(f"CAST({quoted(PAYLOAD_COLUMN)} AS BINARY) AS payload")
    told: dict[int, Staged] = on_partitions(rows, ParseRows(str(work)))
    numbers = sorted(told)
    return [[part_of(template, number)] for number in numbers], [told[n] for n in numbers]


def _written_down(exports: list[Export], work: Path) -> list[list[Export]]:
    """Write down for executors what is to be done; return the units."""
    units: list[list[Export]] = []
    apart: list[Export] = []
    for export in exports:
        if isinstance(export.open, LocalFile):
            path = Path(export.open.path).absolute()
            apart.append(replace(export, open=LocalFile(str(path))))
        else:
            units += [*units_of(apart, UNIT_BYTES), [export]]
            apart = []
    units += units_of(apart, UNIT_BYTES)
    for number, unit in enumerate(units):
        if _is_everywhere(unit[0]):
            (work / "tasks" / f"{number}").write_bytes(pickle.dumps(unit))
    return units


def _is_everywhere(export: Export) -> bool:
    """Check whether executors can read an export too."""
    return isinstance(export.open, LocalFile)


def _parsed(session: Any, loading: Loading, units: list[list[Export]], work: Path) -> list[Staged]:
    """Have units read and parsed: by executors, or here what only this process can read."""
    sent = [number for number, unit in enumerate(units) if _is_everywhere(unit[0])]
    told: dict[int, Staged] = on_executors(session, Parse(str(work)), sent)
    quiet = replace(loading, options=replace(loading.options, threads=1, progress=False))
    for number in set(range(len(units))) - {*sent}:
        told[number] = parsed(quiet, units[number], work, number)
    return [told[number] for number in range(len(units))]


def _merged(
    session: Any,
    loading: Loading,
    units: list[list[Export]],
    staged: list[Staged],
    work: Path,
    whole: Path,
) -> None:
    """Merge units, and put their tables where a converted directory has them."""
    with (
        TemporaryDirectory(prefix="redemption-analytics-") as scratch,
        closing(StagedTables(session, work, staged, Path(scratch))) as keep,
    ):
        pipeline = loading.pipeline(keep)
        for exports, unit in zip(units, staged, strict=True):
            pipeline.take_over(exports, unit.gathered)
        loading.check_some(pipeline, useful=False)
        pipeline.merging.look_for_repeats(personal=loading.parser.personal)
        books, found = pipeline.finish(loading.parser, loading.hidden)
        write_folders({LEDGER: books, FINDINGS: found}, whole)
        numbers: dict[str, int] = {}
        for name, paths in sorted(
            keep.files().items(), key=lambda item: PARTS.get(item[0], ("", 0))
        ):
            table = whole_of(name)
            (whole / table).mkdir(exist_ok=True)
            for path in paths:
                number = numbers[table] = numbers.get(table, -1) + 1
                path.rename(whole / table / (f"part-{number:06}.parquet" if number else PART))
