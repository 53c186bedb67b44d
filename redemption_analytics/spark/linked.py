"""Which answers are linked: found by Spark, from a number for each thing that links them.

Links are numbers, equal for equal identities, keys and ids. Of each that several answers have the
first answer stands for all; then the least answer that each can reach is found by stars, in a few
rounds however long the chains are, after Kiveris, Lattanzi, Mirrokni, Rastogi and Vassilvitskii,
Connected Components in MapReduce and Beyond (2014).
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from redemption_analytics.contract import IDENTITIES
from redemption_analytics.flattening.flatten import ANSWER, HIDDEN, PARENT, Flattening
from redemption_analytics.merging import customers
from redemption_analytics.merging.customers import Common
from redemption_analytics.merging.export_times import made_of
from redemption_analytics.merging.links import KINDS, Linking
from redemption_analytics.spark.jobs import loading_of
from redemption_analytics.spark.shards import Alone
from redemption_analytics.spark.unit_tables import unit_tables
from redemption_analytics.tables.spark import hadoop_path

#: The kind of rows that tell when the newest export was made, in place of a link.
_MADE = -1

_LINKS = "kind INT, link BIGINT, owner BIGINT, answer BIGINT"

#: Answers are numbered through all units: the number of the unit, and of the answer there.
_ANSWER_BITS = 32

_EPOCH = datetime(1970, 1, 1)


@dataclass(frozen=True)
class TakeLinks:
    """Takes the links of the answers of units whose numbers come in."""

    folder: str

    def __call__(self, batches: Iterator[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
        """Take them, unit by unit."""
        flattening = loading_of(self.folder).parser.flattening
        for batch in batches:
            for number in batch.column(0).to_pylist():
                yield from links_of(self.folder, number, flattening)


def links_of(folder: str, number: int, flattening: Flattening) -> Iterator[pa.RecordBatch]:
    """Yield the links of a unit's answers, and when the newest of its exports was made."""
    unit = unit_tables(folder, number)
    hidden = flattening.pseudonym is not None
    identities = [*(HIDDEN.values() if hidden else IDENTITIES)]
    linking = Linking.of(flattening)
    for name, columns in (
        ("responses", ["customer_key"]),
        ("customers", ["customer_key", ANSWER, *identities]),
        ("points", ["redemption_key", "customer_key", "redeemed_time", ANSWER]),
        ("coupons", ["redemption_key", ANSWER]),
        ("reversals", ["reversal_id", PARENT]),
    ):
        linking.add(name, pa.concat_tables(unit.batches(name, columns)).combine_chunks())
    for kind, links in linking.finish():
        owners = links.owners if len(links.owners) else np.zeros(len(links.links), np.uint64)
        rows = np.unique(
            np.stack([links.links, owners, links.answers.astype(np.uint64)], axis=1), axis=0
        )
        yield _rows(
            KINDS.index(kind),
            rows[:, 0].view(np.int64),
            rows[:, 1].view(np.int64),
            (number << _ANSWER_BITS) + rows[:, 2].astype(np.int64),
        )
    made = made_of(Alone(number, unit))
    if made is not None:
        micros = (made - _EPOCH) // (datetime.resolution)
        yield _rows(_MADE, np.array([micros]), np.zeros(1, np.int64), np.zeros(1, np.int64))


def _rows(kind: int, *columns: np.ndarray[Any, np.dtype[np.int64]]) -> pa.RecordBatch:
    return pa.record_batch(
        [
            pa.repeat(pa.scalar(kind, pa.int32()), len(columns[0])),
            *(pa.array(np.ascontiguousarray(column)) for column in columns),
        ],
        ["kind", "link", "owner", "answer"],
    )


@dataclass(frozen=True)
class Linked:
    """Which answers are linked with others.

    Attributes
    ----------
    answers
        A frame of Spark's: ``unit`` and ``answer`` of each that is, and ``root``, the same number
        for all that are linked with one another.
    count
        How many there are.
    made
        When the newest export was made that tells it.
    common
        For each identity the numbers of values that are nobody's, since too many share them.
    """

    answers: Any
    count: int
    made: datetime | None
    common: Common


def linked(session: Any, folder: Path, units: int) -> Linked:
    """Find which answers of units are linked with others.

    Parameters
    ----------
    session
        The session of Spark.
    folder
        The staging directory.
    units
        How many units there are.
    """
    own = folder / "linked"
    own.mkdir()
    numbers = session.range(0, units, 1, units)
    links = written(numbers.mapInArrow(TakeLinks(str(folder)), _LINKS), own / "links")
    made = links.where(f"kind = {_MADE}").selectExpr("max(link)").toArrow()[0][0].as_py()
    links = links.where("kind >= 0")
    kinds = ", ".join(str(KINDS.index(name)) for name in IDENTITIES)
    common = written(
        links.where(f"kind IN ({kinds})")
        .select("kind", "link", "owner")
        .distinct()
        .groupBy("kind", "link")
        .count()
        .where(f"count > {customers.MOST_KEYS}")
        .select("kind", "link"),
        own / "common",
    )
    shared = (
        links.join(common, ["kind", "link"], "left_anti")
        .groupBy("kind", "link")
        .agg({"answer": "min", "*": "count"})
    )
    firsts = shared.where("`count(1)` > 1").selectExpr("kind", "link", "`min(answer)` AS first")
    edges = written(
        links.join(firsts, ["kind", "link"])
        .where("answer > first")
        .selectExpr("answer AS u", "first AS v")
        .distinct(),
        own / "edges",
    )
    stars = _stars(edges, own)
    answers = stars.selectExpr("u AS whole", "v AS root").unionByName(
        stars.selectExpr("v AS whole", "v AS root").distinct()
    )
    found = common.toArrow()
    numbers_of_kind = {
        name: found["link"].filter(pc.equal(found["kind"], KINDS.index(name))).to_numpy()
        for name in IDENTITIES
    }
    return Linked(
        answers.selectExpr(
            f"shiftright(whole, {_ANSWER_BITS}) AS unit",
            f"whole & {(1 << _ANSWER_BITS) - 1} AS answer",
            "root",
        ),
        answers.count(),
        None if made is None else _EPOCH + made * datetime.resolution,
        {name: np.sort(links.view(np.uint64)) for name, links in numbers_of_kind.items()},
    )


def _stars(edges: Any, folder: Path) -> Any:
    """Let an edge go from each answer to the least of those that it can reach.

    Parameters
    ----------
    edges
        A frame of edges ``u``, ``v``, of which the second is less.
    folder
        Where each round is written.
    """
    before = _fingerprint(edges)
    for number in range(1, 100):
        # Who is more than u goes to the least that u sees.
        both = edges.unionByName(edges.selectExpr("v AS u", "u AS v"))
        large = (
            both.selectExpr("u", "v", "least(u, min(v) OVER (PARTITION BY u)) AS least")
            .where("v > u")
            .selectExpr("v AS u", "least AS v")
            .distinct()
        )
        large = written(large, folder / f"large-{number}")
        # Who is less than u, and u, go to the least of them.
        small = (
            large.selectExpr("u", "v", "min(v) OVER (PARTITION BY u) AS least")
            .selectExpr("stack(2, v, least, u, least) AS (u, v)")
            .where("u > v")
            .distinct()
        )
        edges = written(small, folder / f"small-{number}")
        now = _fingerprint(edges)
        if now == before:
            break
        before = now
    return edges


def _fingerprint(edges: Any) -> list[dict[str, int]]:
    found: list[dict[str, int]] = (
        edges.selectExpr("count(*)", "bit_xor(xxhash64(u, v))").toArrow().to_pylist()
    )
    return found


def written(frame: Any, path: Path) -> Any:
    """Write a frame to the staging directory, and return it as it lies there.

    So what is asked of it twice is worked out once, without a cache, which not all of Spark has.
    """
    schema = frame.schema
    frame.write.parquet(str(path.absolute()))
    return frame.sparkSession.read.schema(schema).parquet(hadoop_path(path))
