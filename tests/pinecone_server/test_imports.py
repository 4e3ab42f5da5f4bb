"""Bulk imports: what files they take, what they leave, and how they end."""

import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pyarrow as pa
import pytest
from pinecone import Index, Pinecone

from tests.pinecone_server.conftest import SERVERLESS
from tests.pinecone_server.files import write_records
from vector_pipeline.testing.pinecone_server import Knobs, PineconeServer


def ended(index: Index, identifier: str) -> Any:
    """The import once it has ended."""
    deadline = time.monotonic() + 30
    while (now := index.describe_import(identifier)).status in ("Pending", "InProgress"):
        assert time.monotonic() < deadline
    return now


def imported(index: Index, uri: object, mode: str = "abort") -> Any:
    return ended(index, index.start_import(uri=str(uri), error_mode=mode).id)


def test_an_existing_namespace_is_not_imported_into(index: Index, parquet_folder: Path) -> None:
    index.upsert(vectors=[("a", [1.0, 0, 0])], namespace="few")
    done = imported(index, parquet_folder.as_uri())
    assert (done.status, done.error) == (
        "Failed",
        "Namespace few already exists: an import fills new namespaces only",
    )
    assert [one.name for one in index.list_namespaces_paginated()] == ["few"]


@pytest.mark.parametrize(
    ("columns", "message"),
    [
        ({"extra": [1, 2, 3]}, "they must be id, values and metadata"),
        ({"values": None}, "they must be id, values and metadata"),
        ({"id": [1, 2, 3]}, "id has the type int64: it must be a string"),
        ({"values": [1.0, 2.0, 3.0]}, "values has the type double: it must be a list of floats"),
    ],
)
def test_files_of_another_form_are_refused(index: Index, tmp_path: Path, columns: dict[str, Any], message: str) -> None:
    write_records(tmp_path / "ns" / "a.parquet", 3, **columns)
    done = imported(index, tmp_path)
    assert done.status == "Failed"
    assert message in done.error


def test_a_folder_without_files_fails(index: Index, tmp_path: Path) -> None:
    assert "No Parquet files" in imported(index, tmp_path).error
    assert "cannot be read" in imported(index, tmp_path / "none").error
    write_records(tmp_path / "a.parquet", 3)
    assert "is in no folder" in imported(index, tmp_path).error


BAD: dict[str, Any] = {
    "id": ["a", "b", "c", "d", "é", "f"],
    "values": pa.array([[1, 0, 0], [1, 0], [0, 0, 0], [1, 0, 0], [1, 0, 0], None], pa.list_(pa.float32())),
    "metadata": ['{"n": 1}', None, None, '{"n": null}', None, None],
}


def test_bad_records_are_left_out_or_end_it(index: Index, tmp_path: Path) -> None:
    write_records(tmp_path / "go" / "on" / "a.parquet", 6, **BAD)
    done = imported(index, tmp_path / "go", "continue")
    assert (done.status, done.records_imported) == ("Completed", 1)
    assert set(index.fetch(ids=["a", "b", "c", "d", "f"], namespace="on").vectors) == {"a"}
    write_records(tmp_path / "stop" / "off" / "a.parquet", 6, **BAD)
    done = imported(index, tmp_path / "stop", "abort")
    assert done.status == "Failed"
    assert "record 'b'" in done.error


def test_an_import_takes_its_time_and_can_be_cancelled(
    server: PineconeServer, index: Index, http: httpx.Client, parquet_folder: Path
) -> None:
    server.knobs.imports_s = 3600
    identifier = index.start_import(uri=str(parquet_folder)).id
    deadline = time.monotonic() + 20
    while not index.describe_import(identifier).records_imported:
        assert time.monotonic() < deadline
    assert index.describe_import(identifier).status == "InProgress"
    busy = http.post("/namespace-aliases", json={"name": "alias", "target_namespace": "imported"})
    assert busy.json()["details"][0]["reason"] == "TARGET_NAMESPACE_NOT_ACTIVE"
    index.cancel_import(identifier)
    done = index.describe_import(identifier)
    assert done.status == "Cancelled"
    assert done.records_imported < 2_503


def test_imports_are_listed_newest_first_in_pages(index: Index, tmp_path: Path) -> None:
    made = [imported(index, tmp_path / f"none{n}").id for n in range(3)]
    assert [one.id for one in index.list_imports(limit=2)] == made[::-1]


@pytest.mark.parametrize(
    "body", [{}, {"uri": ""}, {"uri": "gs://bucket/x"}, {"uri": "/x", "errorMode": {"onError": "no"}}]
)
def test_wrong_requests(http: httpx.Client, body: dict[str, Any]) -> None:
    assert http.post("/bulk/imports", json=body).status_code == 400


def test_unknown_imports(http: httpx.Client) -> None:
    assert http.get("/bulk/imports/9").status_code == 404
    assert http.delete("/bulk/imports/9").status_code == 404


def test_a_restart_goes_on(tmp_path: Path, parquet_folder: Path) -> None:
    slow = Knobs(imports_s=3600)
    with PineconeServer(tmp_path / "state", knobs=slow) as server, Pinecone("pclocal", host=server.url) as pc:
        first = server.url
        pc.create_index(name="movies", dimension=3, spec=SERVERLESS)
        with pc.Index("movies") as index:
            identifier = index.start_import(uri=str(parquet_folder)).id
            host = index.host
    with PineconeServer(tmp_path / "state") as again, Pinecone("pclocal", host=again.url) as pc:
        assert again.url == first
        with pc.Index(host=host) as index:
            assert ended(index, identifier).records_imported == 2_503
            assert index.describe_index_stats().total_vector_count == 2_503


@pytest.fixture
def bucket(monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    """An S3 endpoint with one bucket."""
    import boto3
    from moto.server import ThreadedMotoServer

    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "testing")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "testing")
    service = ThreadedMotoServer("127.0.0.1", 0, verbose=False)
    service.start()
    host, port = service.get_host_and_port()
    monkeypatch.setenv("AWS_ENDPOINT_URL", f"http://{host}:{port}")
    client = boto3.client("s3", region_name="us-east-1")
    try:
        client.create_bucket(Bucket="imports")
        yield "imports"
    finally:
        client.close()
        service.stop()


def test_files_on_s3(index: Index, bucket: str, parquet_folder: Path) -> None:
    import boto3

    client = boto3.client("s3", region_name="us-east-1")
    for path in parquet_folder.rglob("*.parquet"):
        client.upload_file(str(path), bucket, f"some/where/{path.relative_to(parquet_folder)}")
    client.close()
    done = imported(index, f"s3://{bucket}/some/where/")
    assert (done.status, done.error, done.records_imported) == ("Completed", None, 2_503)
    assert [one.name for one in index.list_namespaces_paginated()] == ["few", "imported"]
