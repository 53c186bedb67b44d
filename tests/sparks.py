"""Sessions of Spark: one for a process, small, quiet and on this machine alone."""

from __future__ import annotations

import os
import shutil
import socket
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

from requirements_of_ci import needed

#: What the tests in a process are run on: "classic", or "connect" for Spark Connect.
KIND = "REDEMPTION_ANALYTICS_TESTS_SPARK"

CONNECT = os.environ.get(KIND) == "connect"

_SMALL = {
    "spark.driver.bindAddress": "127.0.0.1",
    "spark.driver.host": "127.0.0.1",
    "spark.driver.memory": "1g",
    # Code that is run once need not be compiled well.
    "spark.driver.extraJavaOptions": "-XX:TieredStopAtLevel=1 -XX:+UseSerialGC",
    # A plan of which no code can be made would be run without, slowly: here it fails.
    "spark.sql.codegen.fallback": "false",
    "spark.sql.shuffle.partitions": "1",
    "spark.ui.enabled": "false",
    "spark.ui.showConsoleProgress": "false",
    "spark.sql.ansi.enabled": "true",
    "spark.eventLog.enabled": "true",
    "spark.eventLog.compress": "false",
    "spark.eventLog.rolling.enabled": "false",
}


def spark_needed() -> None:
    """Skip what asks for Spark where it, or Java, is not here."""
    try:
        import pyspark  # noqa: F401
    except ImportError:
        needed("pyspark", False, "PySpark is not installed: the extra spark brings it")
    needed("java", shutil.which("java") is not None, "Spark needs Java 17 or newer")


@contextmanager
def spark_session(
    folder: Path, master: str = "local[2]", more: Mapping[str, str] | None = None
) -> Iterator[Any]:
    """Start Spark, and stop it in the end; what it writes by itself goes to the folder."""
    from pyspark.sql import SparkSession

    os.environ["SPARK_LOCAL_IP"] = "127.0.0.1"
    os.environ["PYSPARK_PYTHON"] = os.environ["PYSPARK_DRIVER_PYTHON"] = sys.executable
    # Executors find the tests' modules as they find the library.
    os.environ["PYTHONPATH"] = os.pathsep.join(
        [str(Path(__file__).parent), *filter(None, [os.environ.get("PYTHONPATH")])]
    )
    (folder / "events").mkdir()
    own = {
        "spark.local.dir": str(folder),
        "spark.sql.warehouse.dir": str(folder / "warehouse"),
        "spark.eventLog.dir": (folder / "events").as_uri(),
        **(more or {}),
    }
    if CONNECT:
        with _server({**_SMALL, **own}) as port:
            session = SparkSession.builder.remote(f"sc://127.0.0.1:{port}").getOrCreate()
            yield session
            session.stop()
        return
    builder = SparkSession.builder.master(master)
    for name, value in {**_SMALL, **own}.items():
        builder = builder.config(name, value)
    session = builder.getOrCreate()
    session.sparkContext.setLogLevel("ERROR")
    yield session
    session.stop()


@contextmanager
def _server(settings: dict[str, str]) -> Iterator[int]:
    """Start a server of Spark Connect in a process of its own; give its port on this machine."""
    import pyspark

    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    settings["spark.connect.grpc.binding.address"] = "127.0.0.1"
    settings["spark.connect.grpc.binding.port"] = str(port)
    home = Path(pyspark.__file__).parent
    command = [str(home / "bin" / "spark-submit"), "--master", "local[2]"]
    command += ["--class", "org.apache.spark.sql.connect.service.SparkConnectServer"]
    for name, value in settings.items():
        command += ["--conf", f"{name}={value}"]
    environment = {**os.environ, "SPARK_HOME": str(home), "PYSPARK_PYTHON": sys.executable}
    server = subprocess.Popen(
        [*command, "spark-internal"], env=environment, stderr=subprocess.DEVNULL
    )
    try:
        _wait_for(port, server)
        yield port
    finally:
        server.terminate()
        server.wait()


def _wait_for(port: int, server: subprocess.Popen[bytes]) -> None:
    for _ in range(600):
        assert server.poll() is None, "the server of Spark Connect ended"
        with suppress(OSError), socket.create_connection(("127.0.0.1", port)):
            return
        time.sleep(0.2)
    raise TimeoutError("the server of Spark Connect does not answer")


@contextmanager
def zones(session: Any, of_session: str, of_python: str) -> Iterator[None]:
    """Let a session and Python be in two zones."""
    before = session.conf.get("spark.sql.session.timeZone"), os.environ.get("TZ")
    _set(session, of_session, of_python)
    yield
    _set(session, *before)


def _set(session: Any, of_session: str, of_python: str | None) -> None:
    session.conf.set("spark.sql.session.timeZone", of_session)
    if of_python is None:
        os.environ.pop("TZ", None)
    else:
        os.environ["TZ"] = of_python
    time.tzset()


#: A key of pseudonyms, which no environment has.
SECRET = "a secret that is never sent"


def secret() -> str:
    """Give the key, as a store of secrets would."""
    return SECRET
