"""Files of an import: Pinecone's columns and nothing else, cut by size, in a folder or on S3."""

import json
from collections.abc import Iterator
from pathlib import Path

import orjson
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from tests.imports.conftest import files_below
from tests.imports.test_importing import CONTENT, imports
from tests.release.world import Store, World
from tests.support.pinecone import pinecone_target
from vector_pipeline.errors import ConfigError, InputError, UnavailableError
from vector_pipeline.targets.base import ImportStatus
from vector_pipeline.targets.pinecone.encoding import metadata_lines, metadata_of
from vector_pipeline.targets.pinecone.files import SCHEMA, Folder, rows_of
from vector_pipeline.testing.pinecone_server import PineconeServer
from vector_pipeline.testing.target_records import make_records


def named(count: int, start: int = 0) -> pa.Table:
    return make_records([f"id{number}" for number in range(start, start + count)])


def rows(count: int, start: int = 0) -> pa.Table:
    """In Pinecone's form."""
    return rows_of(named(count, start))


def test_files_hold_three_columns_and_what_an_upsert_would_send(tmp_path: Path) -> None:
    records = named(10)
    Folder("files", tmp_path).write("line", [rows_of(records)])
    found = pq.read_table(tmp_path / "files/line/part-00000.parquet")
    assert found.schema.equals(SCHEMA)
    assert found["values"].to_pylist() == records["vector"].to_pylist()
    assert [json.loads(text) for text in found["metadata"].to_pylist()] == metadata_of(records)


ODD = [
    {},
    {"language": "en", "tags": ["a", "b"], "year": 2026, "score": 0.5, "kept": True},
    {"quoted": 'a "word"', "path": "C:\\temp\\x", "lines": "one\ntwo\tthree\r\u0001\u001f\u007f", "slash": "</a>"},
    {"größe": "groß", "emoji": "🦉\u2028", "中": ["文", 'ein "Zitat"', "\\"]},
    {"none": None, "nested": {"a": [1, None]}, "numbers": [1, 2.5], "empty": [], "mixed": ["a", 1, False]},
    {"whole": 3.0, "large": 2**60, "small": -1e-300, "huge": 10**400, "$where": 1, "": "nameless"},
]


def odd_records() -> pa.Table:
    """Every odd metadata with every odd text, none among them; ids and document ids that need escapes too."""
    texts = [None, "", "plain", 'she said "no"', "back\\slash", "line\nbreak\u0000", "zwölf 🦉", "</script>\u007f"]
    pairs = [(metadata, text) for metadata in ODD for text in texts]
    records = make_records([f"id{number}" for number in range(len(pairs))])
    columns = {
        "document_id": [f'a "b"\\{number}\n' if number % 3 else f"ü{number}" for number in range(len(pairs))],
        "text": [text for _, text in pairs],
        "metadata": [json.dumps(metadata, ensure_ascii=False) for metadata, _ in pairs],
        "added_in": range(len(pairs)),
    }
    for name, values in columns.items():
        index = records.schema.get_field_index(name)
        records = records.set_column(
            index, records.schema.field(name), pa.array(values, records.schema.field(name).type)
        )
    return records


@pytest.mark.parametrize("first", [0, 1, 11])
def test_lines_of_odd_metadata_are_to_the_byte_what_an_upsert_would_send(first: int) -> None:
    records = odd_records().slice(first)
    assert metadata_lines(records).to_pylist() == [orjson.dumps(one).decode() for one in metadata_of(records)]
    # A column that needs no escapes is taken as it is.
    for name in ("document_id", "text"):
        index = records.schema.get_field_index(name)
        records = records.set_column(index, name, pa.array([f"plain {number} ü" for number in range(len(records))]))
    assert metadata_lines(records).to_pylist() == [orjson.dumps(one).decode() for one in metadata_of(records)]


def test_no_records_are_no_lines() -> None:
    assert len(metadata_lines(odd_records().slice(0, 0))) == 0


def test_a_file_is_finished_when_it_is_large_enough(tmp_path: Path) -> None:
    folder = Folder(f"file://{tmp_path}/files", Path("/"))
    size = folder.write("line", (rows(20, 20 * number) for number in range(5)), file_bytes=4_000)
    assert len(files_below(tmp_path)) > 1
    assert size == sum(path.stat().st_size for path in (tmp_path / "files").rglob("*.parquet"))
    assert pq.read_table(tmp_path / "files/line").num_rows == 100


def test_what_a_killed_run_left_is_replaced(tmp_path: Path) -> None:
    folder = Folder(str(tmp_path), Path("/"))
    folder.write("line", [rows(20)] * 3, file_bytes=10)
    folder.write("line", [rows(5)])
    assert files_below(tmp_path) == ["line/part-00000.parquet"]
    assert folder.counts("li") == {"line": 1}
    assert folder.counts("other") == {}
    folder.delete("line")
    folder.delete("line")
    assert folder.counts("") == {}
    assert not (tmp_path / "line").exists()


def test_what_an_upsert_would_refuse_is_refused() -> None:
    records = named(1)
    long = records.set_column(records.schema.get_field_index("text"), "text", pa.array(["x" * 50_000]))
    with pytest.raises(InputError, match=r"takes \d+ bytes of text, metadata and marks; Pinecone takes 40960"):
        rows_of(long)


def test_a_folder_that_cannot_be_written_is_one_line(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("in the way")
    with pytest.raises(UnavailableError, match=r"cannot write files for an import to .*Is there room") as caught:
        Folder(str(tmp_path / "file"), Path("/")).write("line", [rows(1)])
    assert "\n" not in str(caught.value)
    with pytest.raises(ConfigError, match="only s3:// and folders"):
        Folder("ftp://somewhere", tmp_path)


@pytest.fixture
def bucket(monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    """An S3 endpoint with one bucket."""
    import boto3  # type: ignore[import-untyped]
    from moto.server import ThreadedMotoServer

    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "testing")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "testing")
    monkeypatch.setenv("AWS_DEFAULT_REGION", "us-east-1")
    service = ThreadedMotoServer("127.0.0.1", 0, verbose=False)
    service.start()
    host, port = service.get_host_and_port()
    monkeypatch.setenv("AWS_ENDPOINT_URL", f"http://{host}:{port}")
    client = boto3.client("s3")
    try:
        client.create_bucket(Bucket="imports")
        yield "imports"
    finally:
        client.close()
        service.stop()


def keys(bucket: str) -> list[str]:
    """Of all objects but markers of folders."""
    import boto3

    client = boto3.client("s3")
    try:
        found = [one["Key"] for one in client.list_objects_v2(Bucket=bucket).get("Contents", [])]
        return [key for key in found if not key.endswith("/")]
    finally:
        client.close()


def test_a_line_is_imported_from_s3(store: Store, server: PineconeServer, bucket: str) -> None:
    target = pinecone_target(server, import_uri=f"s3://{bucket}/pipeline/")
    world = World(store, target)
    version = world.version(CONTENT)
    pushed = world.push(version, load="import")
    assert world.visible(pushed.deployment) == world.wanted(version.number)
    assert imports(world, pushed.deployment.namespace) == [ImportStatus.DONE]
    assert keys(bucket) == []
    Folder(f"s3://{bucket}/pipeline", Path()).write("words--tiny/a/words--tiny", [rows(5)])
    assert target.import_files("words--") == {"words--tiny": 1}
    assert target.import_files("letters--") == {}
    target.close()


def test_a_bucket_that_is_not_there_changes_nothing(store: Store, server: PineconeServer, bucket: str) -> None:
    assert bucket == "imports"
    target = pinecone_target(server, import_uri="s3://elsewhere/pipeline")
    world = World(store, target)
    with pytest.raises(UnavailableError, match=r"cannot .* s3://elsewhere.*Are bucket, credentials"):
        world.push(world.version(CONTENT), load="import")
    assert target.namespaces() == []
    target.close()
