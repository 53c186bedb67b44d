"""What is decided shard by shard is what is decided of all together: without Spark, in one process.

The jobs are called here as executors call them; only what Spark's SQL does between them, finding
what is linked, is done by a naive loop.
"""

from __future__ import annotations

import os
import pickle
from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator
from datetime import datetime, timedelta
from itertools import pairwise
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any
from unittest import mock

import pyarrow as pa
import pytest
from answers import answer, new
from hypothesis import Phase, given, settings
from hypothesis import strategies as st
from payloads import TIMES
from sparks import CONNECT
from warehouses import assert_same
from worlds import OPTIONS, exports_of, written

import redemption_analytics as ra
from redemption_analytics.contract import IDENTITIES
from redemption_analytics.loading.loading import Loading
from redemption_analytics.merging import customers
from redemption_analytics.merging.export_times import Dated
from redemption_analytics.merging.links import KINDS
from redemption_analytics.merging.stores import Grown
from redemption_analytics.privacy import KEY_VARIABLE
from redemption_analytics.spark import loading, staged_tables
from redemption_analytics.spark.deciding import (
    Decide,
    Divide,
    FinishUnits,
    Give,
    Mail,
    received,
    sent,
)
from redemption_analytics.spark.jobs import loading_of, parsed
from redemption_analytics.spark.linked import links_of
from redemption_analytics.spark.shards import ALONE, Outside, Told

Answer = tuple[int, int]
Job = Callable[[Iterator[pa.RecordBatch]], Iterator[pa.RecordBatch]]


def linked_naively(
    folder: str, units: int
) -> tuple[dict[Answer, Answer], datetime | None, dict[str, Any]]:
    """Find for each answer that is linked with others the least that it can reach."""
    having: defaultdict[tuple[int, int], set[int]] = defaultdict(set)
    owners: defaultdict[tuple[int, int], set[int]] = defaultdict(set)
    made = []
    flattening = loading_of(folder).parser.flattening
    for number in range(units):
        for batch in links_of(folder, number, flattening):
            for kind, link, owner, told in zip(
                *(c.to_pylist() for c in batch.columns), strict=True
            ):
                if kind < 0:
                    made.append(datetime(1970, 1, 1) + timedelta(microseconds=link))
                else:
                    having[kind, link].add(told)
                    owners[kind, link].add(owner)
    common: dict[str, list[int]] = {name: [] for name in IDENTITIES}
    for (kind, link), several in owners.items():
        if KINDS[kind] in IDENTITIES and len(several) > customers.MOST_KEYS:
            del having[kind, link]
            common[KINDS[kind]].append(link)
    least: dict[int, int] = {}
    changed = True
    while changed:
        changed = False
        for several in having.values():
            to = min(least.get(one, one) for one in several)
            for one in several if len(several) > 1 else ():
                changed |= least.get(one) != to
                least[one] = to
    return (
        {divmod(one, 2**32): divmod(to, 2**32) for one, to in least.items()},
        max(made, default=None),
        {
            name: pa.array(sorted(n % 2**64 for n in numbers), pa.uint64()).to_numpy()
            for name, numbers in common.items()
        },
    )


def mailed(job: Job, mails: Iterable[Mail]) -> list[Mail]:
    ordered = sorted(mails, key=lambda mail: (mail.to, mail.unit))
    return list(received(job(sent(iter(ordered)))))


def decided_in_one_process(shards: int) -> Callable[..., Any]:
    def decided(
        _session: Any, folder: Path, units: int, exports: list[Dated]
    ) -> tuple[Told, dict[int, dict[str, Grown]]]:
        place = str(folder)
        least, made, common = linked_naively(place, units)
        (folder / "outside").write_bytes(pickle.dumps(Outside(exports, made, common)))
        rows = [(unit, told, (7 * to[0] + to[1]) % shards) for (unit, told), to in least.items()]
        rows += [(unit, -1, ALONE) for unit in range(units)]
        columns = [pa.array(column, pa.int64()) for column in zip(*sorted(rows), strict=True)]
        batch = pa.record_batch(columns, ["unit", "answer", "shard"])
        mail = list(received(Divide(place)(iter([batch]))))
        mail += mailed(Decide(place), (one for one in mail if one.kind == "piece"))
        mail += mailed(Give(place), [one for one in mail if one.kind == "gives"])
        told = Told()
        for one in mail:
            if isinstance(one.said, Told):
                told.add(one.said)
        told.late.sort(key=lambda late: late[0])
        mail = [one for one in mail if one.kind in ("settled", "values")]
        mail += [Mail("unit", unit, unit, None) for unit in range(units)]
        mail.sort(key=lambda one: (one.to, one.unit))
        new = {}
        for finished in FinishUnits(place)(sent(iter(mail))):
            unit, grown = (column[0].as_py() for column in finished.columns)
            new[unit] = pickle.loads(grown)
        return told, {unit: tables for unit, tables in new.items() if tables}

    return decided


def loaded_in_shards(paths: list[str], folder: Path, shards: int, **options: Any) -> ra.Redemptions:
    """Load each export as a unit, and decide shard by shard."""
    how = Loading.of(options | {"threads": 1})
    work, whole = folder / "work", folder / "whole"
    loading._write_setting(how, None, work)
    units = [[export] for export in how.exports(paths)]
    staged = [parsed(how, unit, work, number) for number, unit in enumerate(units)]
    with (
        mock.patch.object(loading, "DECIDED_HERE_ROWS", -1),
        mock.patch.object(staged_tables, "decided_on_executors", decided_in_one_process(shards)),
    ):
        loading._merged(None, how, loading._Parsed(units, staged, {}), work, whole)
    return ra.open(whole)


@pytest.mark.skipif(CONNECT, reason="no Spark is in it")
@given(st.data())
@settings(max_examples=30 * TIMES, deadline=None, phases=[Phase.explicit, Phase.generate])
def test_shards_decide_what_one_load_decides(data: Any) -> None:
    exports = data.draw(exports_of(1))
    options = data.draw(st.sampled_from(OPTIONS))
    with (
        TemporaryDirectory() as name,
        mock.patch.object(customers, "MOST_KEYS", data.draw(st.sampled_from([1, 2, 50]))),
        mock.patch.dict(os.environ, {KEY_VARIABLE: "a key that is long enough"}),
    ):
        folder = Path(name)
        paths = written(folder, exports)
        shards = data.draw(st.integers(1, 4))
        ours = loaded_in_shards(paths, folder, shards, allow_empty=True, **options)
        assert_same(ours, ra.load(paths, allow_empty=True, **options))


def test_a_long_chain_of_answers_is_one_shard(tmp_path: Path) -> None:
    """Who knows nobody's name knows the next page by what both have."""
    nights = [
        (f"2025-01-{day:02}", [answer(*(new(f"r{number}") for number in pair), mobile=None)])
        for day, pair in enumerate(pairwise(range(12)), 1)
    ]
    paths = written(tmp_path, nights)
    ours = loaded_in_shards(paths, tmp_path, 5)
    assert len(ours.points) == 12
    assert_same(ours, ra.load(paths))


def test_what_a_row_takes_over_has_its_key_in_the_end(tmp_path: Path) -> None:
    """The newest tells no mobile, an older one is found to have one by way of an email."""
    once = {"id": 1, "code": "C1", "redeemed_time": "2021-11-05 10:00:00", "discount_type": "ABS"}
    paths = written(
        tmp_path,
        [
            ("2025-01-01", [answer(coupons=[once], mobile=None, external_id="E9", email="b")]),
            ("2025-01-01", [answer(mobile="447", email="b")]),
            ("2025-01-02", [answer(coupons=[once], mobile=None, external_id="E7", email="a")]),
        ],
    )
    ours = loaded_in_shards(paths, tmp_path, 3, customer_key="mobile")
    assert ours.coupons["customer_key"].tolist() == ["mobile:447"]
    assert_same(ours, ra.load(paths, customer_key="mobile"))
