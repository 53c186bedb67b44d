"""Deciding on executors: the narrow columns of linked answers meet in shards, whatever their units.

It goes in jobs, each of which writes what it gives to the staging directory: what is linked with
what, the units divided by shards, what is decided of each shard, what rows of a unit give to rows
of others, and the units in their final form. Each row between them has a kind, and the number of
who it is for.
"""

from __future__ import annotations

import pickle
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import cache
from itertools import groupby
from pathlib import Path
from typing import Any, Literal, NamedTuple, TypeAlias

import numpy as np
import pyarrow as pa

from redemption_analytics.flattening.flatten import Flattening
from redemption_analytics.merging.export_times import Dated
from redemption_analytics.merging.stores import Grown
from redemption_analytics.spark.jobs import (
    ANSWER_SQL,
    Decision,
    collected,
    finished,
    loading_of,
    release,
)
from redemption_analytics.spark.linked import linked, written
from redemption_analytics.spark.shards import (
    ALONE,
    Alone,
    Decided,
    Giving,
    Outside,
    Piece,
    Settled,
    Shard,
    Told,
    decide,
    divided,
    final_of,
    values_of,
)
from redemption_analytics.spark.unit_tables import unit_tables

#: A shard has about so many answers.
SHARD_ANSWERS = 10_000

_MAIL = "kind STRING, receiver BIGINT, unit BIGINT, said BINARY"

#: A piece goes to its shard, what is decided and values to a unit, gifts to the unit that gives
#: them, and what is told to the driver.
Kind: TypeAlias = Literal["piece", "settled", "gives", "values", "told", "unit"]


class Mail(NamedTuple):
    """What one step sends another: of what kind it is, to whom, from which unit, and what."""

    kind: Kind
    to: int
    unit: int
    said: object


@dataclass(frozen=True)
class Divide:
    """Divides units by the shards of their answers; of those alone it is decided at once."""

    folder: str

    def __call__(self, batches: Iterator[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
        """Divide the units of a partition; their answers come in with their shards."""
        rows = (
            row
            for batch in batches
            for row in zip(*(column.to_pylist() for column in batch.columns), strict=True)
        )
        for number, answers in groupby(rows, lambda row: row[0]):
            yield from sent(self._divided(number, [row[1:] for row in answers]))
            release()

    def _divided(self, number: int, answers: list[tuple[int, int]]) -> Iterator[Mail]:
        unit = unit_tables(self.folder, number)
        shards = np.full(unit.tables["responses"].rows, ALONE, np.int64)
        for answer, shard in answers:
            # One row comes for the unit itself.
            if answer >= 0:
                shards[answer] = shard
        if (shards == ALONE).all():
            yield from self._decided(Alone(number, unit))
            return
        for shard, piece in divided(unit, shards):
            if shard == ALONE:
                yield from self._decided(Shard([(number, piece)]))
            else:
                yield Mail("piece", shard, number, packed(piece))

    def _decided(self, keep: Shard | Alone) -> Iterator[Mail]:
        return mail_of(decide(keep, _flattening(self.folder), outside_of(self.folder)))


@dataclass(frozen=True)
class Decide:
    """Decides about shards, of which the pieces come in, those of one shard together."""

    folder: str

    def __call__(self, batches: Iterator[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
        """Decide about the shards of a partition."""
        for _, pieces in groupby(received(batches), lambda mail: mail.to):
            keep = Shard((mail.unit, unpacked(mail.said)) for mail in pieces)
            yield from sent(
                mail_of(decide(keep, _flattening(self.folder), outside_of(self.folder)))
            )
            del keep
            release()


@dataclass(frozen=True)
class Give:
    """Reads what rows of units give to rows of others."""

    folder: str

    def __call__(self, batches: Iterator[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
        """Read it for the units of a partition."""
        for number, several in groupby(received(batches), lambda mail: mail.to):
            giving: list[Giving] = [mail.said for mail in several]  # type: ignore[misc]
            values = values_of(unit_tables(self.folder, number), giving)
            yield from sent(
                Mail("values", unit, number, packed(tables)) for unit, tables in values.items()
            )


@dataclass(frozen=True)
class FinishUnits:
    """Puts units into their final form, of which something is decided."""

    folder: str

    def __call__(self, batches: Iterator[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
        """Finish the units of a partition, and tell where their tables lie now."""
        for number, several in groupby(received(batches), lambda mail: mail.to):
            grown = self._finished(number, list(several))
            columns = [pa.array([number], pa.int64()), pa.array([pickle.dumps(grown)])]
            yield pa.record_batch(columns, ["unit", "told"])

    def _finished(self, number: int, several: list[Mail]) -> dict[str, Grown]:
        unit = unit_tables(self.folder, number)
        settled: list[Settled] = [m.said for m in several if m.kind == "settled"]  # type: ignore[misc]
        values = [unpacked(mail.said) for mail in several if mail.kind == "values"]
        decisions = {
            name: Decision(unit.tables[name], unit.before, None)
            for name in ("responses", "rejects")
            if unit.before is not None and name in unit.tables
        }
        for name, final in final_of(unit, settled, values).items():
            before = unit.before if name in ("responses", "rejects") else None
            decisions[name] = Decision(unit.tables[name], before, final)
        return finished(decisions, Path(self.folder), number) if decisions else {}


def sent(mails: Iterator[Mail]) -> Iterator[pa.RecordBatch]:
    """Write mail as rows, each in a batch: they may be large."""
    for kind, to, unit, said in mails:
        columns = [
            pa.array([kind]),
            pa.array([to], pa.int64()),
            pa.array([unit], pa.int64()),
            pa.array([pickle.dumps(said)], pa.binary()),
        ]
        yield pa.record_batch(columns, ["kind", "receiver", "unit", "said"])


def received(batches: Iterator[pa.RecordBatch]) -> Iterator[Mail]:
    """Read mail from rows, one after the other."""
    for batch in batches:
        for row in range(batch.num_rows):
            kind, to, unit, said = (column[row].as_py() for column in batch.columns)
            yield Mail(kind, to, unit, None if said is None else pickle.loads(said))


def packed(tables: Piece) -> dict[str, bytes]:
    """Pack tables, of slices no more than is in them."""
    found = {}
    options = pa.ipc.IpcWriteOptions(compression="lz4")
    for name, table in tables.items():
        sink = pa.BufferOutputStream()
        with pa.ipc.new_stream(sink, table.schema, options=options) as writer:
            writer.write_table(table)
        found[name] = sink.getvalue().to_pybytes()
    return found


def unpacked(tables: Any) -> Piece:
    """Return what :func:`packed` packed."""
    return {name: pa.ipc.open_stream(data).read_all() for name, data in tables.items()}


def mail_of(decided: Decided) -> Iterator[Mail]:
    """Send what was decided to whom it is for."""
    yield Mail("told", 0, 0, decided.told)
    for unit, settled in decided.settled.items():
        yield Mail("settled", unit, unit, settled)
    for unit, giving in decided.gives.items():
        yield Mail("gives", unit, unit, giving)


@cache
def outside_of(folder: str) -> Outside:
    """Return what has to be known of answers that are not looked at together."""
    outside: Outside = pickle.loads((Path(folder) / "outside").read_bytes())
    return outside


def _flattening(folder: str) -> Flattening:
    return loading_of(folder).parser.flattening


def decided_on_executors(
    session: Any, folder: Path, units: int, exports: list[Dated]
) -> tuple[Told, dict[int, dict[str, Grown]]]:
    """Have executors decide about the answers of all units, and put these into their final form.

    Parameters
    ----------
    session
        The session of Spark.
    folder
        The staging directory, in which ``write_unit`` said where the tables of units lie.
    units
        How many units there are.
    exports
        When each export was made that rows name by its number.

    Returns
    -------
    Told
        What is told of the answers.
    dict
        The tables that are new, by the number of their unit.
    """
    found = linked(session, folder, units)
    (folder / "outside").write_bytes(pickle.dumps(Outside(exports, found.made, found.common)))
    shards = -(-found.count // SHARD_ANSWERS)
    every = session.range(0, units, 1, units)
    answers = every.selectExpr("id AS unit", "-1L AS answer", "-1L AS shard")
    if shards:
        shard = f"CAST(pmod(xxhash64(root), {shards}) AS BIGINT) AS shard"
        answers = answers.unionByName(found.answers.selectExpr("unit", "answer", shard))
    own = folder / "decided"
    own.mkdir()
    mail = written(_together(answers, units, "unit", Divide(str(folder))), own / "units")
    if shards:
        pieces = mail.where("kind = 'piece'")
        of_shards = written(
            _together(pieces, shards, "receiver", Decide(str(folder))), own / "shards"
        )
        mail = mail.where("kind <> 'piece'").unionByName(of_shards)
    gifts = mail.where("kind = 'gives'")
    values = written(_together(gifts, units, "receiver", Give(str(folder))), own / "values")
    told = Told()
    for said in mail.where("kind = 'told'").select("said").toArrow()["said"].to_pylist():
        told.add(pickle.loads(said))
    told.late.sort(key=lambda late: late[0])
    for_units = (
        mail.where("kind = 'settled'")
        .unionByName(values)
        .unionByName(
            every.selectExpr("'unit' AS kind", "id AS receiver", "id AS unit", "NULL AS said")
        )
    )
    new = collected(_together(for_units, units, "receiver", FinishUnits(str(folder)), ANSWER_SQL))
    return told, {number: tables for number, tables in new.items() if tables}


def _together(
    rows: Any,
    count: int,
    column: str,
    job: Callable[[Iterator[pa.RecordBatch]], Iterator[pa.RecordBatch]],
    gives: str = _MAIL,
) -> Any:
    """Do a job with rows of one number in a column together, in the order of their units."""
    order = dict.fromkeys((column, "unit"))
    return rows.repartition(count, column).sortWithinPartitions(*order).mapInArrow(job, gives)
