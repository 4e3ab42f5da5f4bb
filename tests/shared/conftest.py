"""Shared storage: a real PostgreSQL that pip brings, and moto's server for S3, with a bucket of the test's own."""

import itertools
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cache
from typing import Any

import pytest

from tests.registry.conftest import postgres, postgres_url

NewDatabase = Callable[[], str]

__all__ = ["bucket", "endpoint", "moto", "new_database", "postgres", "postgres_url"]
_NUMBERS = itertools.count(1)
KEYS = {
    "aws_access_key_id": "testing",
    "aws_secret_access_key": "testing-secret-value",
    "region_name": "us-east-1",
}


@cache
def _session() -> Any:
    import boto3  # type: ignore[import-untyped]

    return boto3.Session()


@dataclass(frozen=True)
class Bucket:
    """A bucket on the test's S3."""

    name: str
    endpoint: str

    @contextmanager
    def client(self, **options: Any) -> Iterator[Any]:
        """boto3's client for it."""
        client = _session().client("s3", endpoint_url=self.endpoint, **{**KEYS, **options})
        try:
            yield client
        finally:
            client.close()

    def put(self, key: str, body: str | bytes) -> None:
        with self.client() as client:
            client.put_object(Bucket=self.name, Key=key, Body=body if isinstance(body, bytes) else body.encode())

    def delete(self, *keys: str) -> None:
        with self.client() as client:
            for key in keys:
                client.delete_object(Bucket=self.name, Key=key)

    def objects(self, prefix: str = "") -> list[str]:
        with self.client() as client:
            pages = client.get_paginator("list_objects_v2").paginate(Bucket=self.name, Prefix=prefix)
            return [one["Key"] for page in pages for one in page.get("Contents", ())]


@pytest.fixture(scope="session")
def moto() -> Iterator[str]:
    """Endpoint of an S3 server."""
    from moto.server import ThreadedMotoServer

    service = ThreadedMotoServer("127.0.0.1", 0, verbose=False)
    service.start()
    host, port = service.get_host_and_port()
    yield f"http://{host}:{port}"
    service.stop()


@pytest.fixture
def endpoint(moto: str, monkeypatch: pytest.MonkeyPatch) -> str:
    """The AWS environment of this process names the server."""
    for name in ("AWS_PROFILE", "AWS_SESSION_TOKEN", "AWS_REGION", "AWS_ENDPOINT_URL_S3", "AWS_CA_BUNDLE"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "testing")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "testing-secret-value")
    monkeypatch.setenv("AWS_DEFAULT_REGION", "us-east-1")
    monkeypatch.setenv("AWS_EC2_METADATA_DISABLED", "true")
    monkeypatch.setenv("AWS_CONFIG_FILE", "/nonexistent")
    monkeypatch.setenv("AWS_SHARED_CREDENTIALS_FILE", "/nonexistent")
    monkeypatch.setenv("AWS_ENDPOINT_URL", moto)
    return moto


@pytest.fixture
def bucket(endpoint: str) -> Bucket:
    """An empty bucket."""
    made = Bucket(f"bucket-{next(_NUMBERS)}", endpoint)
    with made.client() as client:
        client.create_bucket(Bucket=made.name)
    return made


@pytest.fixture
def new_database(postgres: str) -> NewDatabase:
    """Makes an empty database and returns its URL."""
    import psycopg

    def make() -> str:
        name = f"shared_{next(_NUMBERS)}"
        with psycopg.connect(postgres, autocommit=True) as connection:
            connection.execute(f"CREATE DATABASE {name}")
        return postgres.replace("/postgres?", f"/{name}?")

    return make


@contextmanager
def enforced(endpoint: str) -> Iterator[None]:
    """moto asks for rights from here on."""
    import httpx

    httpx.post(f"{endpoint}/moto-api/reset-auth", content=b"0").raise_for_status()
    try:
        yield
    finally:
        httpx.post(f"{endpoint}/moto-api/reset-auth", content=b"inf").raise_for_status()


def user(name: str, policy: str, endpoint: str) -> dict[str, str]:
    """A user with a policy and nothing else; returns its keys."""
    import boto3  # type: ignore[import-untyped]

    client = boto3.client("iam", endpoint_url=endpoint, **KEYS)
    try:
        client.create_user(UserName=name)
        client.put_user_policy(UserName=name, PolicyName="rights", PolicyDocument=policy)
        made = client.create_access_key(UserName=name)["AccessKey"]
        return {"AWS_ACCESS_KEY_ID": made["AccessKeyId"], "AWS_SECRET_ACCESS_KEY": made["SecretAccessKey"]}
    finally:
        client.close()
