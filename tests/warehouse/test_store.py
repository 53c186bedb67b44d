"""The store: what is created is whole or not there, and of all who try at once one succeeds."""

from __future__ import annotations

import errno
import multiprocessing
import os
import pickle
import random
import resource
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from redemption_analytics.errors import FaultError, SourceError, UsageError, WriteError
from redemption_analytics.warehouse import directory
from redemption_analytics.warehouse.store import Store
from redemption_analytics.warehouse.stored import MissingError


def no_such_call(*_: Any, **__: Any) -> None:
    raise OSError(errno.ENOSYS, os.strerror(errno.ENOSYS))


def without_links(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "link", no_such_call)


def without_renames(monkeypatch: pytest.MonkeyPatch) -> None:
    """As on Databricks Volumes."""
    without_links(monkeypatch)
    monkeypatch.setattr(directory, "_renamed", no_such_call)
    monkeypatch.setattr(Path, "replace", no_such_call)


FILE_SYSTEMS = {
    "with links": lambda _: None,
    "without links": without_links,
    "without renames": without_renames,
}


@pytest.fixture(params=FILE_SYSTEMS)
def on_file_system(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    FILE_SYSTEMS[request.param](monkeypatch)


def test_a_name_is_created_once(location: str) -> None:
    store = Store(location)
    assert store.create("log/1.json", b"first")
    assert not store.create("log/1.json", b"second")
    assert store.read("log/1.json") == b"first"


@pytest.mark.usefixtures("on_file_system")
def test_a_name_is_created_once_on_every_file_system(tmp_path: Path) -> None:
    store = Store(tmp_path)
    assert store.create("log/1.json", b"first")
    assert not store.create("log/1.json", b"second")
    assert store.read("log/1.json") == b"first"
    assert [path.name for path in (tmp_path / "log").iterdir()] == ["1.json"]


@pytest.mark.usefixtures("on_file_system")
def test_what_is_put_takes_the_place_of_what_was_there(tmp_path: Path) -> None:
    store = Store(tmp_path / "warehouse")
    source = tmp_path / "source"
    source.write_bytes(b"of a file")
    store.put("data/a", b"longer than the next")
    store.put("data/a", source)
    assert store.read("data/a") == b"of a file"
    assert [path.name for path in (tmp_path / "warehouse/data").iterdir()] == ["a"]


def test_what_is_put_is_read(location: str, tmp_path: Path) -> None:
    store = Store(location)
    large = os.urandom(40 << 20)  # It goes up in parts.
    (tmp_path / "large").write_bytes(large)
    store.put("data/small", b"")
    store.put("data/large", tmp_path / "large")
    assert store.read("data/small") == b""
    assert store.read("data/large") == large


def test_a_file_that_is_written_is_kept(location: str) -> None:
    store = Store(location)
    with store.writing("data/points/a.parquet") as path:
        pq.write_table(pa.table({"a": [1, 2]}), path)
    with store.open("data/points/a.parquet") as file:
        assert pq.read_table(file)["a"].to_pylist() == [1, 2]


def test_of_a_file_whose_writing_fails_nothing_is_kept(location: str) -> None:
    store = Store(location)
    with suppress(KeyError), store.writing("data/a") as path:
        path.write_bytes(b"half")
        raise KeyError
    assert store.names() == []


def test_names_are_listed_below_a_folder_in_order(location: str) -> None:
    store = Store(location)
    for name in ("log/2", "log/1", "logs/3", "log/below/4"):
        store.put(name, b"abc")
    listed = store.names("log")
    assert [found.name for found in listed] == ["log/1", "log/2", "log/below/4"]
    assert [found.size for found in listed] == [3, 3, 3]
    now = datetime.now(UTC).replace(tzinfo=None)
    assert all(abs(now - found.last_modified) < timedelta(minutes=1) for found in listed)
    assert len(store.names()) == 4
    assert store.names("nothing") == []
    assert store.top() == {"log", "logs"}


def test_of_an_empty_place_nothing_is_listed(location: str) -> None:
    store = Store(location)
    assert store.names() == []
    assert store.names("log") == []
    assert store.litter() == []
    assert store.top() == set()


def test_what_is_deleted_is_gone_and_may_have_been(location: str) -> None:
    store = Store(location)
    for name in "abc":
        store.put(name, b"")
    store.delete(["a", "never"])
    store.delete(["b", "a"])
    store.delete([])
    assert [found.name for found in store.names()] == ["c"]


def test_a_missing_name_is_told(location: str) -> None:
    store = Store(location)
    with pytest.raises(MissingError, match=r"data/missing.*vacuumed"):
        store.read("data/missing")
    with pytest.raises(MissingError, match="data/missing"):
        store.open("data/missing")


def test_a_file_is_opened_to_seek_in(location: str) -> None:
    store = Store(location)
    store.put("a", bytes(range(100)))
    for size in (None, 100):
        with store.open("a", size) as file:
            assert (file.read(2), file.tell()) == (b"\0\1", 2)
            assert file.seek(-3, os.SEEK_END) == 97
            assert file.read(10) == b"abc"
            assert file.read(10) == b""
            file.seek(1)
            file.seek(1, os.SEEK_CUR)
            assert file.read() == bytes(range(2, 100))


def test_parquet_is_read_by_the_ranges_that_it_needs(bucket: str) -> None:
    store = Store(bucket)
    table = pa.table({"a": [os.urandom(20) for _ in range(50_000)], "b": range(50_000)})
    with store.writing("data/a.parquet") as path:
        pq.write_table(table, path)
        size = path.stat().st_size
    asked: list[int] = []
    kept: Any = store._kept
    ranged: Callable[..., Any] = kept.range

    def counted(name: str, start: int, length: int) -> Any:
        asked.append(length)
        return ranged(name, start, length)

    kept.range = counted
    assert pq.read_table(store.open("data/a.parquet", size), columns=["b"])[
        "b"
    ].to_pylist() == list(range(50_000))
    assert len(asked) <= 3
    assert sum(asked) < size / 2


def test_a_path_is_told_where_there_is_one(tmp_path: Path) -> None:
    assert Store(tmp_path).path("data/a") == str(tmp_path / "data/a")
    pytest.importorskip("obstore")
    assert Store("memory://x").path("data/a") is None


def test_a_file_url_is_a_directory(tmp_path: Path) -> None:
    folder = tmp_path / "a folder"
    assert Store(folder.as_uri()).path("a") == str(folder / "a")


def test_a_store_goes_to_other_processes(shared: str) -> None:
    store = Store(shared)
    store.put("a", b"1")
    assert pickle.loads(pickle.dumps(store)).read("a") == b"1"


def test_a_relative_place_stays_when_the_working_directory_changes(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    store = Store("warehouse")
    monkeypatch.chdir("/")
    store.put("a", b"1")
    assert (tmp_path / "warehouse/a").read_bytes() == b"1"


@pytest.mark.parametrize(
    "name", ["../a", "/a", "a//b", "", ".hidden", "a/.b", "a b", "a\\b", "a#1"]
)
def test_a_name_leads_nowhere_else(tmp_path: Path, name: str) -> None:
    store = Store(tmp_path)
    with pytest.raises(FaultError):
        store.put(name, b"")
    with pytest.raises(FaultError):
        store.read(name)


# Who is first.


def created(store: Store, name: str, number: int) -> bool:
    return store.create(name, str(number).encode() * 100_000)


@pytest.mark.usefixtures("on_file_system")
def test_of_threads_that_create_a_name_one_does(tmp_path: Path) -> None:
    one_of_threads_creates(str(tmp_path), 50)


def test_of_threads_that_create_a_name_one_does_everywhere(location: str) -> None:
    one_of_threads_creates(location, 10)


def one_of_threads_creates(location: str, rounds: int) -> None:
    store = Store(location)
    with ThreadPoolExecutor(8) as pool:
        for number in range(rounds):
            name = f"log/{number}.json"
            made = list(pool.map(created, [store] * 8, [name] * 8, range(8)))
            assert made.count(True) == 1
            assert store.read(name) == str(made.index(True)).encode() * 100_000


@pytest.mark.slow
def test_of_processes_that_create_a_name_one_does(shared: str) -> None:
    store, names = Store(shared), [f"log/{number}.json" for number in range(40)]
    context = multiprocessing.get_context("spawn")
    with context.Pool(4) as pool:
        made = pool.starmap(creates_all, [(store, names, number) for number in range(4)])
    for place, name in enumerate(names):
        first = [number for number in range(4) if made[number][place]]
        assert len(first) == 1
        assert store.read(name) == str(first[0]).encode() * 100_000


def creates_all(store: Store, names: list[str], number: int) -> list[bool]:
    return [created(store, name, number) for name in names]


# Whoever dies.

CREATE_ON = """
import os, sys
from itertools import count
from redemption_analytics.warehouse import directory
from redemption_analytics.warehouse.store import Store
if sys.argv[2] == "without links":
    def link(*_):
        raise OSError(38, "Function not implemented")
    os.link = link
store = Store(sys.argv[1])
for number in count():
    store.create(f"log/{number}.json", b"[" + b"1," * 500_000 + b"1]")
    print(number, flush=True)
"""


@pytest.mark.slow
@pytest.mark.parametrize("file_system", ["with links", "without links"])
def test_a_writer_killed_at_any_moment_leaves_nothing_torn(
    tmp_path: Path, file_system: str
) -> None:
    whole = len(b"[" + b"1," * 500_000 + b"1]")
    store = Store(tmp_path)
    draws = random.Random(file_system)
    for turn in range(8):
        command = [sys.executable, "-c", CREATE_ON, str(tmp_path / str(turn)), file_system]
        with subprocess.Popen(command, stdout=subprocess.PIPE) as writer:
            assert writer.stdout is not None
            writer.stdout.readline()
            time.sleep(draws.uniform(0, 0.05))
            writer.send_signal(signal.SIGKILL)
    listed = store.names()
    assert len(listed) >= 8
    assert {found.size for found in listed} == {whole}
    litter = store.litter()
    assert all(found.name.endswith(".part") for found in litter)
    store.delete(found.name for found in litter)
    assert store.litter() == []
    assert store.names() == listed


def test_what_a_killed_writer_left_is_litter_and_no_name(tmp_path: Path) -> None:
    script = CREATE_ON.replace(
        "    store.create", "    os.link = lambda *_: os.abort(); store.create"
    )
    subprocess.run(
        [sys.executable, "-c", script, str(tmp_path), "with links"],
        capture_output=True,
        check=False,
    )
    store = Store(tmp_path)
    assert store.names() == []
    assert len(store.litter()) == 1
    assert store.create("log/0.json", b"of the next writer")


# What goes wrong.


def test_a_full_disk_is_told_and_leaves_nothing(tmp_path: Path) -> None:
    store = Store(tmp_path)
    limits = resource.getrlimit(resource.RLIMIT_FSIZE)
    for write in (store.create, store.put):
        resource.setrlimit(resource.RLIMIT_FSIZE, (1000, limits[1]))
        try:
            with pytest.raises(WriteError, match=r"log/1\.json cannot be written.*make room"):
                write("log/1.json", bytes(2000))
        finally:
            resource.setrlimit(resource.RLIMIT_FSIZE, limits)
    assert store.names() == []
    assert store.litter() == []


def test_a_full_disk_is_told_where_a_file_is_written_by_others(tmp_path: Path) -> None:
    with (
        pytest.raises(WriteError, match=r"data/a cannot be written.*make room"),
        Store(tmp_path).writing("data/a"),
    ):
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))


def test_a_file_in_the_way_is_told(tmp_path: Path) -> None:
    (tmp_path / "warehouse").write_text("")
    store = Store(tmp_path / "warehouse")
    with pytest.raises(WriteError, match="a file stands where a directory is needed"):
        store.create("log/1.json", b"")
    with pytest.raises(SourceError, match="cannot be read"):
        store.names()
    with pytest.raises(SourceError, match="cannot be read"):
        store.top()


@pytest.mark.parametrize(
    ("location", "told"),
    [
        ("", "name a directory or a URL"),
        ("ftp://host/a", "takes a directory, or s3://"),
        ("s33://host/a", "Did you mean 's3'"),
        ("s3:///folder", "names no bucket"),
        ("s3://id:a-secret@bucket/a", "set those in the environment"),
        ("s3://bucket/a?sig=a-secret", "set those in the environment"),
    ],
)
def test_a_location_of_no_kind_is_refused_without_its_secrets(location: str, told: str) -> None:
    with pytest.raises(UsageError, match=told) as caught:
        Store(location)
    assert "a-secret" not in str(caught.value)


def test_without_obstore_directories_are_served_and_buckets_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "obstore", None)
    assert Store(tmp_path).create("log/1.json", b"")
    with pytest.raises(UsageError, match=r"redemption-analytics\[warehouse\]"):
        Store("s3://bucket/a")


def test_a_bucket_that_is_not_there_is_told(bucket: str) -> None:
    store = Store("s3://no-such-bucket/a")
    with pytest.raises(WriteError, match="no such bucket: make it first"):
        store.create("log/1.json", b"")
    with pytest.raises(SourceError, match="no such bucket"):
        store.read("log/1.json")
    with pytest.raises(SourceError, match="no such bucket"):
        store.names("log")


def test_credentials_that_are_refused_are_told_but_not_shown(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    text = (
        "The operation lacked the necessary privileges: Error performing GET"
        " https://a.blob.core.windows.net/c/x?sv=2026&sig=a-secret in 3ms - Server returned"
        " non-2xx status code: 403 Forbidden: <?xml?><Error><Code>AuthenticationFailed</Code>"
        "<Key>a-secret</Key></Error>\n\nDebug source: a-secret"
    )
    store = broken_store(monkeypatch, "PermissionDeniedError", text)
    with pytest.raises(
        SourceError, match=r"refuses these credentials.*403.*AuthenticationFailed"
    ) as caught:
        store.read("log/1.json")
    assert "a-secret" not in str(caught.value)
    assert caught.value.__suppress_context__


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("Error performing PUT http://169.254.169.254/latest/api/token", "no credentials: set AWS"),
        ("Error performing token request: error sending request", "no credentials: set AWS"),
        ("lacked valid authentication credentials: 401 Unauthorized", "refuses these credentials"),
        ("Received redirect without LOCATION", "another region: set AWS_REGION"),
        ("error sending request", "check the address and the network"),
    ],
)
def test_what_keeps_a_bucket_from_being_reached_is_told(
    monkeypatch: pytest.MonkeyPatch, text: str, told: str
) -> None:
    with pytest.raises(SourceError, match=told):
        broken_store(monkeypatch, "GenericError", text).read("log/1.json")


def broken_store(monkeypatch: pytest.MonkeyPatch, kind: str, text: str) -> Store:
    obstore = pytest.importorskip("obstore")
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "an-id")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "a-secret")

    def get(*_: Any) -> None:
        raise getattr(obstore.exceptions, kind)(text)

    monkeypatch.setattr(obstore, "get", get)
    return Store("s3://bucket/folder")


def test_credentials_of_a_profile_are_found_where_boto3_is(
    bucket: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "credentials").write_text(
        "[night]\naws_access_key_id = an-id\naws_secret_access_key = a-secret\n"
    )
    monkeypatch.setenv("AWS_SHARED_CREDENTIALS_FILE", str(tmp_path / "credentials"))
    monkeypatch.setenv("AWS_PROFILE", "night")
    monkeypatch.delenv("AWS_ACCESS_KEY_ID")
    monkeypatch.delenv("AWS_SECRET_ACCESS_KEY")
    monkeypatch.setenv("AWS_METADATA_ENDPOINT", "http://127.0.0.1:9")  # No machine of AWS's.
    assert Store(bucket).create("log/1.json", b"")


def test_an_account_that_is_not_named_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    pytest.importorskip("obstore")
    for name in [name for name in os.environ if name.startswith("AZURE_")]:
        monkeypatch.delenv(name)
    with pytest.raises(UsageError, match="no credentials: set AZURE_STORAGE_ACCOUNT_NAME"):
        Store("az://container/folder")


FORK = """
import os
from redemption_analytics.errors import UsageError
from redemption_analytics.warehouse.store import Store
Store("memory://a").put("a", b"")
if not os.fork():
    try:
        Store("memory://a").read("a")
    except UsageError as error:
        print(error, flush=True)
    os._exit(0)
os.wait()
"""


def test_a_forked_process_is_told_rather_than_left_waiting_for_ever() -> None:
    pytest.importorskip("obstore")
    done = subprocess.run(
        [sys.executable, "-c", FORK], capture_output=True, text=True, check=True, timeout=60
    )
    assert "memory://a cannot be opened: this process was forked" in done.stdout
    assert 'get_context("spawn")' in done.stdout
