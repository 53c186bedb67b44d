"""The versions of a warehouse as versions of Delta tables, for whoever reads those.

Each public table is one, at ``data/<table>``: its log, ``_delta_log``, names the Parquet files that
are there already, and **version n of each is version n of the warehouse** (version 0 is empty). All
of it follows from the warehouse's own log, so it may be published late, again, by several at once,
or by the next who comes where one dies. Delta has no commit over several tables: who wants all
of them of one moment reads all at one version.

Nothing but this module may write to these tables: no merges, no clean-up of files.
"""

from __future__ import annotations

import io
import json
import re
from collections.abc import Callable, Iterable, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from datetime import UTC
from functools import partial
from hashlib import blake2b
from typing import Any
from uuid import NAMESPACE_URL, uuid5

import pyarrow as pa
import pyarrow.parquet as pq

from redemption_analytics.columns import TABLES
from redemption_analytics.errors import FaultError, SourceError
from redemption_analytics.tables.arrow import arrow_schema_of
from redemption_analytics.warehouse.log import DATA, DataFile, Entry, Log
from redemption_analytics.warehouse.store import Store

__all__ = ["is_published", "publish"]

# As often as Delta itself.
_VERSIONS_BETWEEN_CHECKPOINTS = 10
_AT_ONCE = 8
_LOG = "_delta_log"
_NAME = re.compile(r"(\d{20})\.(json|checkpoint\.parquet)")

# What each commit tells of its table, for the next.
_FOLLOWED = ("tableId", "tableCreated", "tableColumns")

_TYPES = {
    pa.string(): "string",
    pa.int64(): "long",
    pa.float64(): "double",
    pa.bool_(): "boolean",
    pa.timestamp("us"): "timestamp_ntz",  # Times are of a wall clock.
}

_TEXTS = pa.list_(pa.string())
_TEXT_BY_TEXT = pa.map_(pa.string(), pa.string())
_CHECKPOINT = pa.schema(
    {
        "txn": pa.struct({"appId": pa.string(), "version": pa.int64(), "lastUpdated": pa.int64()}),
        "add": pa.struct(
            {
                "path": pa.string(),
                "partitionValues": _TEXT_BY_TEXT,
                "size": pa.int64(),
                "modificationTime": pa.int64(),
                "dataChange": pa.bool_(),
                "stats": pa.string(),
            }
        ),
        "remove": pa.struct(
            {
                "path": pa.string(),
                "deletionTimestamp": pa.int64(),
                "dataChange": pa.bool_(),
            }
        ),
        "metaData": pa.struct(
            {
                "id": pa.string(),
                "format": pa.struct({"provider": pa.string(), "options": _TEXT_BY_TEXT}),
                "schemaString": pa.string(),
                "partitionColumns": _TEXTS,
                "configuration": _TEXT_BY_TEXT,
                "createdTime": pa.int64(),
            }
        ),
        "protocol": pa.struct(
            {
                "minReaderVersion": pa.int32(),
                "minWriterVersion": pa.int32(),
                "readerFeatures": _TEXTS,
                "writerFeatures": _TEXTS,
            }
        ),
    }
)

Action = dict[str, Any]


def publish(store: Store) -> int | None:
    """Publish the versions of a warehouse that are not yet published, and forget the vacuumed.

    Returns
    -------
    int or None
        The newest version, None where there is none yet.

    Raises
    ------
    SourceError
        If another program has written to a table.
    WriteError
        If something cannot be written.
    """
    log = Log(store)
    versions = log.versions()
    if not versions:
        return None
    oldest = log.read(versions[0])
    with ThreadPoolExecutor(_AT_ONCE) as pool:
        tables = list(pool.map(lambda table: _Published.of(store, table, oldest), TABLES))
        _each(pool, tables, lambda table: table.begin(oldest))
        done = min(max(table.commits) for table in tables)
        before = log.read(done) if done else None
        for version in range(done + 1, versions[-1] + 1):
            entry = log.read(version)
            _each(pool, tables, partial(_Published.go_on, before=before, entry=entry))
            before = entry
        _each(pool, tables, lambda table: table.forget_before(oldest.version))
    return versions[-1]


def is_published(store: Store) -> bool:
    """Check whether a warehouse has been published before."""
    return any(store.names(f"{DATA}/{table}/{_LOG}") for table in TABLES)


def publish_again(store: Store) -> None:
    """Publish the versions of a warehouse, where others of it were."""
    if is_published(store):
        publish(store)


def _each(
    pool: ThreadPoolExecutor, tables: list[_Published], do: Callable[[_Published], None]
) -> None:
    for _ in pool.map(do, tables):
        pass


@dataclass
class _Published:
    """What is published of a table.

    Attributes
    ----------
    commits, checkpoints
        The versions of either.
    id, created
        What the table is known by, from its first commit on.
    columns
        A digest of the columns that the newest commit knows of.
    """

    store: Store
    table: str
    id: str
    created: int
    columns: str = ""
    commits: set[int] = field(default_factory=set)
    checkpoints: set[int] = field(default_factory=set)

    @classmethod
    def of(cls, store: Store, table: str, oldest: Entry) -> _Published:
        """Read what is published; for a table of which nothing is, the oldest version names it."""
        named = f"redemption_analytics/{table}/{oldest.committed_at.isoformat()}"
        published = cls(store, table, str(uuid5(NAMESPACE_URL, named)), _milliseconds(oldest))
        for found in store.names(f"{DATA}/{table}/{_LOG}"):
            match = _NAME.fullmatch(found.name.rpartition("/")[2])
            if match:
                of_kind = published.commits if match[2] == "json" else published.checkpoints
                of_kind.add(int(match[1]))
        if published.commits:
            published._follow(max(published.commits))
        return published

    def begin(self, oldest: Entry) -> None:
        """Publish the oldest version, if it follows from none: all that it is."""
        if oldest.version == 1:
            if not self.commits:
                self._commit(0, [self._about(oldest, "CREATE TABLE"), *self._described(oldest)])
            return
        if oldest.version not in self.checkpoints:
            # Before its commit, which is no step from what may have been published before.
            self._write_checkpoint(oldest)
        if oldest.version not in self.commits:
            described, added = self._described(oldest), _added(self._files(oldest), oldest)
            self._commit(oldest.version, [self._about(oldest), *described, *added])

    def go_on(self, before: Entry | None, entry: Entry) -> None:
        """Publish a version that comes after one, or after none."""
        if entry.version not in self.commits:
            old = self._files(before) if before else {}
            new = self._files(entry)
            removed = _removed({path: old[path] for path in old.keys() - new.keys()}, entry)
            added = _added({path: new[path] for path in new.keys() - old.keys()}, entry)
            # Newer versions of the library may know more columns.
            is_known = self.columns == _digest(_columns(self.table, entry))
            described = [] if is_known else self._described(entry)
            self._commit(entry.version, [self._about(entry), *described, *removed, *added])
        if (
            entry.version % _VERSIONS_BETWEEN_CHECKPOINTS == 0
            and entry.version not in self.checkpoints
        ):
            self._write_checkpoint(entry)

    def forget_before(self, oldest: int) -> None:
        """Remove what is published of versions that are no more."""
        names = [
            *(_commit_name(version) for version in sorted(self.commits) if version < oldest),
            *(
                _checkpoint_name(version)
                for version in sorted(self.checkpoints)
                if version < oldest
            ),
        ]
        if oldest > 1:
            self.store.delete([self._name(name) for name in names])

    def _commit(self, version: int, actions: Iterable[Action]) -> None:
        lines = "".join(json.dumps(action, separators=(",", ":")) + "\n" for action in actions)
        if not self.store.create(self._name(_commit_name(version)), lines.encode()):
            self._follow(version)  # Another was first: it has written the same, or is no friend.
        self.commits.add(version)

    def _write_checkpoint(self, entry: Entry) -> None:
        actions = [*self._described(entry), *_added(self._files(entry), entry)]
        sink = io.BytesIO()
        pq.write_table(pa.Table.from_pylist(actions, schema=_CHECKPOINT), sink)
        self.store.create(self._name(_checkpoint_name(entry.version)), sink.getvalue())
        self.checkpoints.add(entry.version)

    def _follow(self, version: int) -> None:
        """Take over what a commit says of the table; refuse one of another program."""
        name = self._name(_commit_name(version))
        try:
            said = json.loads(self.store.read(name).partition(b"\n")[0])["commitInfo"]
            self.id, self.created, self.columns = (said[of] for of in _FOLLOWED)
        except (ValueError, KeyError, TypeError):
            raise SourceError(
                f"{self.store.location}: {name} was not written by redemption_analytics, and"
                " nothing else may write to the tables that it publishes: remove"
                f" {DATA}/{self.table}/{_LOG}, and publish again"
            ) from None

    def _about(self, entry: Entry, operation: str = "WRITE") -> Action:
        self.columns = _digest(_columns(self.table, entry))
        return {
            "commitInfo": {
                "timestamp": _milliseconds(entry),
                "operation": operation,
                "operationParameters": {},
                "engineInfo": f"redemption_analytics {entry.release}",
                **dict(zip(_FOLLOWED, (self.id, self.created, self.columns), strict=True)),
            }
        }

    def _described(self, entry: Entry) -> list[Action]:
        """Return the actions that say what the table is, and what its readers must know of."""
        columns = _columns(self.table, entry)
        protocol: Action = {"minReaderVersion": 1, "minWriterVersion": 2}
        if any(column["type"] == "timestamp_ntz" for column in columns):
            features = ["timestampNtz"]
            protocol = {"minReaderVersion": 3, "minWriterVersion": 7}
            protocol |= {"readerFeatures": features, "writerFeatures": features}
        metadata = {
            "id": self.id,
            "format": {"provider": "parquet", "options": {}},
            "schemaString": json.dumps({"type": "struct", "fields": columns}),
            "partitionColumns": [],
            "configuration": {},
            "createdTime": self.created,
        }
        return [{"protocol": protocol}, {"metaData": metadata}]

    def _files(self, entry: Entry) -> dict[str, DataFile]:
        """Return the files of the table by their paths in its directory."""
        folder = f"{DATA}/{self.table}/"
        files = entry.tables.get(self.table, ())
        if not all(file.path.startswith(folder) for file in files):
            raise FaultError(f"version {entry.version} has files of {self.table} elsewhere")
        return {file.path.removeprefix(folder): file for file in files}

    def _name(self, name: str) -> str:
        return f"{DATA}/{self.table}/{_LOG}/{name}"


def _columns(table: str, entry: Entry) -> list[Action]:
    schema = arrow_schema_of(table, decimal_points=entry.options.get("points") == "decimal")
    return [
        {"name": of.name, "type": _TYPES[of.type], "nullable": of.nullable, "metadata": {}}
        for of in schema
    ]


def _digest(columns: list[Action]) -> str:
    return blake2b(json.dumps(columns).encode(), digest_size=8).hexdigest()


def _added(files: Mapping[str, DataFile], entry: Entry) -> list[Action]:
    return [
        {
            "add": {
                "path": path,
                "partitionValues": {},
                "size": files[path].size,
                "modificationTime": _milliseconds(entry),
                "dataChange": True,
                "stats": json.dumps({"numRecords": files[path].rows}),
            }
        }
        for path in sorted(files)
    ]


def _removed(files: Mapping[str, DataFile], entry: Entry) -> list[Action]:
    return [
        {
            "remove": {
                "path": path,
                "deletionTimestamp": _milliseconds(entry),
                "dataChange": True,
                "extendedFileMetadata": True,
                "partitionValues": {},
                "size": files[path].size,
            }
        }
        for path in sorted(files)
    ]


def _milliseconds(entry: Entry) -> int:
    return int(entry.committed_at.replace(tzinfo=UTC).timestamp() * 1000)


def _commit_name(version: int) -> str:
    return f"{version:020}.json"


def _checkpoint_name(version: int) -> str:
    return f"{version:020}.checkpoint.parquet"
