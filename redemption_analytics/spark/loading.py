"""Loading exports on Spark into a bundle of its frames."""

from __future__ import annotations

import os
import pickle
import shutil
from contextlib import closing
from dataclasses import dataclass, replace
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Any, Unpack
from uuid import uuid4

import pyarrow as pa

from redemption_analytics.atomic_directory import write_folders
from redemption_analytics.contract import PAYLOAD_COLUMN
from redemption_analytics.errors import RejectedError, SourceError, UsageError
from redemption_analytics.loading.loading import Loading
from redemption_analytics.loading.open import open as open_converted
from redemption_analytics.loading.pipeline import Met, Pipeline, Told
from redemption_analytics.loading.provenance import rejects_table, said
from redemption_analytics.loading.sharing import units_of
from redemption_analytics.options import DECLARED, LoadOptions
from redemption_analytics.privacy import fingerprint
from redemption_analytics.reading.detect import LINES
from redemption_analytics.sources.accounts import Seen
from redemption_analytics.sources.export import Export
from redemption_analytics.sources.find import Source
from redemption_analytics.sources.streams import LocalFile
from redemption_analytics.spark.jobs import (
    Parse,
    ParseRows,
    Setting,
    Staged,
    Survey,
    fetch_key,
    on_executors,
    on_partitions,
    parsed,
    part_of,
)
from redemption_analytics.spark.staged_tables import StagedTables
from redemption_analytics.spark.stretches import Before, Stretch, stretches_of
from redemption_analytics.tables.arguments import path_of, public_with
from redemption_analytics.tables.ledger import CASES, FINDINGS, LEDGER, no_cases
from redemption_analytics.tables.outputs import PART
from redemption_analytics.tables.parts import PARTS, whole_of
from redemption_analytics.tables.spark import quoted

if TYPE_CHECKING:
    from redemption_analytics.redemptions import Redemptions

#: Files are read and parsed together up to so many bytes; larger ones are cut into stretches of as
#: many.
UNIT_BYTES = 64 << 20

#: Of so many answers and redemptions this process decides what belongs together, in a minute and in
#: memory that it has; of more, executors do, which takes some jobs more.
DECIDED_HERE_ROWS = 50_000_000


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

    Executors read and parse the files, JSON Lines in stretches, other files whole and small ones
    together, and write their rows to the staging directory. What belongs together is decided from
    narrow columns, here or by executors; then these rewrite the units in which a row goes or
    changes.

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
    Of up to 50 million answers and redemptions it is decided here which rows stay, in memory and
    time as :func:`redemption_analytics.convert` takes them for it: keys and times of all
    redemptions are read once or twice, in bounded memory but for some bytes for each row. Of more,
    executors decide, by the same rules. A file of plain JSON Lines is parsed by many executors at
    once, but for its digest, which one takes; a packed or pretty-printed one, or one of XML, by one
    executor, however large it is; and so is each file under ``on_error="raise"``.

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
            units = _written_down(exports, work, cut=not loading.options.strict)
            found = _united(session, units, _parsed(session, loading, units, work), work)
        else:
            found = _rows_parsed(frame, exports[0], work)
        _merged(session, loading, found, work, whole)
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


@dataclass(frozen=True)
class _Parsed:
    """Units in their order, as they were parsed.

    Attributes
    ----------
    exports
        Of each unit those that have an account in what was gathered of it.
    staged
        What came of each.
    before
        What came in its file before each unit that is a stretch of one, by their numbers.
    """

    exports: list[list[Export]]
    staged: list[Staged]
    before: dict[int, Before]


def _rows_parsed(frame: Any, export: Export, work: Path) -> _Parsed:
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
    parts = [[part_of(template, number)] for number in numbers]
    return _Parsed(parts, [told[number] for number in numbers], {})


def _written_down(exports: list[Export], work: Path, *, cut: bool) -> list[list[Export]]:
    """Write down for executors what is to be done; return the units.

    Each stretch of a file that is cut is a unit of its own.
    """
    units: list[list[Export]] = []
    apart: list[Export] = []
    for export in exports:
        if isinstance(export.open, LocalFile):
            path = Path(export.open.path).absolute()
            here = replace(export, open=LocalFile(str(path)))
            large = (here.size or 0) > UNIT_BYTES and here.passed_over is None
            parts = stretches_of(here, UNIT_BYTES) if cut and large else []
            if parts:
                units += [*units_of(apart, UNIT_BYTES), *([part] for part in parts)]
                apart = []
            else:
                apart.append(here)
        else:
            units += [*units_of(apart, UNIT_BYTES), [export]]
            apart = []
    units += units_of(apart, UNIT_BYTES)
    for number, unit in enumerate(units):
        if _is_everywhere(unit[0]):
            _write_task(work, number, unit)
    return units


def _write_task(work: Path, number: int, unit: list[Export]) -> None:
    (work / "tasks" / f"{number}").write_bytes(pickle.dumps(unit))


def _is_everywhere(export: Export) -> bool:
    """Check whether executors can read an export too."""
    return isinstance(export.open, (LocalFile, Stretch))


def _parsed(session: Any, loading: Loading, units: list[list[Export]], work: Path) -> list[Staged]:
    """Have units read and parsed: by executors, or here what only this process can read."""
    sent = [number for number, unit in enumerate(units) if _is_everywhere(unit[0])]
    told: dict[int, Staged] = on_executors(session, Parse(str(work)), sent)
    quiet = replace(loading, options=replace(loading.options, threads=1, progress=False))
    for number in set(range(len(units))) - {*sent}:
        told[number] = parsed(quiet, units[number], work, number)
    return [told[number] for number in range(len(units))]


def _united(session: Any, units: list[list[Export]], staged: list[Staged], work: Path) -> _Parsed:
    """Unite what was gathered of the stretches of each file.

    Where one could not be read to its end the file is read once more, in one.
    """
    files: dict[str, list[int]] = {}
    for number, (export, *_) in enumerate(units):
        if isinstance(export.open, Stretch):
            files.setdefault(export.name, []).append(number)
    again: dict[int, list[int]] = {}
    cut: dict[int, list[int]] = {}
    for numbers in files.values():
        odd = any(_is_odd(staged[number]) for number in numbers)
        (again if odd else cut)[numbers[0]] = numbers
    for first in again:
        units[first] = [_whole(units[first][0])]
        _write_task(work, first, units[first])
    told = on_executors(session, Parse(str(work)), list(again))
    (work / "surveys").mkdir()
    for first, numbers in cut.items():
        stretches = [units[number][0].open for number in numbers]
        _write_survey(work, first, [one for one in stretches if isinstance(one, Stretch)])
    surveys = on_executors(session, Survey(str(work)), list(cut))
    united = _Parsed([], [], {})
    for number, (exports, unit) in enumerate(zip(units, staged, strict=True)):
        if number in cut:
            parts = [staged[part] for part in cut[number]]
            _add_stretches(united, exports[0], parts, *surveys[number])
        elif not isinstance(exports[0].open, Stretch):
            united.exports.append(exports)
            united.staged.append(told.get(number, unit))
    return united


def _write_survey(work: Path, number: int, stretches: list[Stretch]) -> None:
    survey = (stretches[0].path, [stretch.end for stretch in stretches])
    (work / "surveys" / f"{number}").write_bytes(pickle.dumps(survey))


def _is_odd(staged: Staged) -> bool:
    """Check whether a stretch could not be read to its end."""
    ((_, rejected, _),) = staged.gathered.accounts
    return rejected is not None


def _whole(export: Export) -> Export:
    """Return the export of which one is a stretch."""
    assert isinstance(export.open, Stretch)
    path = export.open.path
    return replace(export, open=LocalFile(path), size=Path(path).stat().st_size, form=None)


def _add_stretches(
    united: _Parsed, export: Export, parts: list[Staged], digest: str, lines: list[int]
) -> None:
    """Add the stretches of a file, of which the first has its account."""
    whole = _whole(export)
    counts = [part.gathered.accounts[0][2] for part in parts]
    seen = Seen(LINES, None, whole.size, digest)
    records = ended = 0
    for place, part in enumerate(parts):
        odd = {
            check: Met(met.counts, {n: (of, r + records) for n, (of, r) in met.first.items()})
            for check, met in part.gathered.odd.items()
        }
        accounts: list[Told] = [] if place else [(seen, None, sum(counts))]
        gathered = replace(part.gathered, odd=odd, accounts=accounts)
        if place:
            united.before[len(united.staged)] = Before(records, ended, whole.name + whole.edition)
        united.exports.append([] if place else [whole])
        united.staged.append(replace(part, gathered=gathered))
        records += counts[place]
        ended += lines[place]


def _decided_elsewhere(
    loading: Loading, pipeline: Pipeline, keep: StagedTables
) -> tuple[pa.Table, pa.Table, pa.Table]:
    """Have executors merge; return ledger, findings and cases."""
    told = keep.decide_on_executors(pipeline.dating.exports)
    pipeline.merging.take_over(told.merged, old=False)
    pipeline.merging.below.update(told.below)
    late = [(source, reject) for _, source, reject in told.late]
    if late and loading.options.strict:
        raise RejectedError(said(*late[0]))
    return pipeline.finish_merged(
        rejects_table(late), pa.concat_tables([no_cases(), *told.cases]), told.now, loading.hidden
    )


def _merged(session: Any, loading: Loading, united: _Parsed, work: Path, whole: Path) -> None:
    """Merge units, and put their tables where a converted directory has them."""
    with (
        TemporaryDirectory(prefix="redemption-analytics-") as scratch,
        closing(StagedTables(session, work, united.staged, united.before, Path(scratch))) as keep,
    ):
        pipeline = loading.pipeline(keep)
        for exports, unit in zip(united.exports, united.staged, strict=True):
            pipeline.take_over(exports, unit.gathered)
        loading.check_some(pipeline, useful=False)
        if sum(map(keep.rows, ("responses", "points", "coupons"))) > DECIDED_HERE_ROWS:
            books, found, cases = _decided_elsewhere(loading, pipeline, keep)
        else:
            pipeline.merging.look_for_repeats(personal=loading.parser.personal)
            books, found, cases = pipeline.finish(loading.parser, loading.hidden)
        write_folders({LEDGER: books, FINDINGS: found, CASES: cases}, whole)
        numbers: dict[str, int] = {}
        for name, paths in sorted(
            keep.files().items(), key=lambda item: PARTS.get(item[0], ("", 0))
        ):
            table = whole_of(name)
            (whole / table).mkdir(exist_ok=True)
            for path in paths:
                number = numbers[table] = numbers.get(table, -1) + 1
                path.rename(whole / table / (f"part-{number:06}.parquet" if number else PART))
