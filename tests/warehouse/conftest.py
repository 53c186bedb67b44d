"""A server of S3's kind on this machine, and places for a warehouse of every kind."""

from __future__ import annotations

import importlib.util
import logging
from collections.abc import Iterator
from pathlib import Path
from threading import Lock
from uuid import uuid4

import pytest
from requirements_of_ci import needed

SETTINGS = {
    "AWS_ACCESS_KEY_ID": "an-id",
    "AWS_SECRET_ACCESS_KEY": "a-secret",
    "AWS_REGION": "us-east-1",
}


@pytest.fixture(scope="session")
def address_of_s3() -> Iterator[str]:
    """Where a server of S3's kind listens."""
    found = all(map(importlib.util.find_spec, ("moto", "flask", "flask_cors", "obstore")))
    needed("moto", found, "needs moto, flask and flask-cors: a server of S3's kind")
    from moto.s3.responses import S3Response
    from moto.server import ThreadedMotoServer

    # Between its look whether a name is there and its writing it, this server lets others in.
    one_at_a_time, put = Lock(), S3Response.put_object

    def put_alone(response: S3Response) -> object:
        with one_at_a_time:
            return put(response)

    S3Response.put_object = put_alone
    logging.getLogger("werkzeug").setLevel(logging.ERROR)
    server = ThreadedMotoServer(ip_address="127.0.0.1", port=0, verbose=False)
    server.start()
    host, port = server.get_host_and_port()
    yield f"http://{host}:{port}"
    server.stop()
    S3Response.put_object = put


@pytest.fixture
def bucket(address_of_s3: str, monkeypatch: pytest.MonkeyPatch) -> str:
    """An empty place in a bucket, which the environment says how to reach."""
    import boto3

    monkeypatch.delenv("AWS_PROFILE", raising=False)
    for name, value in {**SETTINGS, "AWS_ENDPOINT_URL": address_of_s3}.items():
        monkeypatch.setenv(name, value)
    boto3.client("s3", region_name="us-east-1").create_bucket(Bucket="a-bucket")
    return f"s3://a-bucket/{uuid4().hex}"


@pytest.fixture(params=["directory", "memory", pytest.param("s3", marks=pytest.mark.slow)])
def location(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    """A place for a warehouse: each kind in turn."""
    if request.param == "directory":
        return str(tmp_path / "warehouse")
    pytest.importorskip("obstore")
    if request.param == "memory":
        return f"memory://{uuid4().hex}"
    return str(request.getfixturevalue("bucket"))


@pytest.fixture(params=["directory", pytest.param("s3", marks=pytest.mark.slow)])
def shared(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    """A place that several processes can reach."""
    if request.param == "directory":
        return str(tmp_path / "warehouse")
    return str(request.getfixturevalue("bucket"))
