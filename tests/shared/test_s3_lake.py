"""The lake on S3 with a PostgreSQL catalog: who signs, with what, what is said when it fails, and two writers at once."""

import multiprocessing
import socket
import stat
import sys
from pathlib import Path
from typing import Any

import duckdb
import pytest

from tests.shared.conftest import Bucket
from vector_pipeline.config import Config, LakeConfig, S3Given
from vector_pipeline.config.given import with_given
from vector_pipeline.config.secrets import SecretTemplate
from vector_pipeline.errors import ConfigError, NotFoundError, UnavailableError, VectorPipelineError
from vector_pipeline.lake.connection import Lake, translate
from vector_pipeline.lake.s3 import SECRET

ROWS = 2_000


@pytest.fixture
def config(bucket: Bucket, tmp_path: Path) -> LakeConfig:
    return LakeConfig(
        catalog=SecretTemplate(f"sqlite:///{tmp_path}/catalog.sqlite"), data=f"s3://{bucket.name}/lake", threads=1
    )


def insert(lake: Lake, rows: int = ROWS) -> None:
    """More rows than DuckLake would keep in the catalog: a file is written."""

    def work() -> None:
        lake.run("CREATE TABLE IF NOT EXISTS lake.main.t (shard INTEGER, a VARCHAR)")
        lake.run(f"INSERT INTO lake.main.t SELECT i % 4, 'x' || i FROM range({rows}) t(i)")

    lake.transaction(work, "insert")


def count(lake: Lake) -> int:
    return int(lake.row("SELECT count(*), max(a) FROM lake.main.t")[0])


def held(lake: Lake) -> str:
    """What DuckDB shows of its secrets: keys as they are, for the test."""
    return str(lake.rows("SELECT name, scope, secret_string FROM duckdb_secrets(redact => true)"))


def test_data_lies_in_the_bucket_and_comes_back(config: LakeConfig, bucket: Bucket, tmp_path: Path) -> None:
    with Lake.open(config, tmp_path) as lake:
        insert(lake)
        assert lake.data == f"s3://{bucket.name}/lake/"
        assert count(lake) == ROWS
        shown = held(lake)
        assert SECRET in shown
        assert f"s3://{bucket.name}/lake/" in shown
        assert "testing-secret-value" not in shown
    assert all(key.startswith("lake/") for key in bucket.objects())
    assert bucket.objects()
    with Lake.open(config, tmp_path, read_only=True) as lake:
        assert count(lake) == ROWS


def test_a_secret_of_the_home_folder_is_not_used(
    config: LakeConfig, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    home = tmp_path / "home"
    monkeypatch.setenv("HOME", str(home))
    kept = home / ".duckdb" / "stored_secrets"
    kept.mkdir(parents=True)
    (kept / "mine.duckdb_secret").write_bytes(b"not even a secret")
    with Lake.open(config, tmp_path) as lake:
        insert(lake)
        assert "mine" not in held(lake)


def refused(config: LakeConfig, base: Path, kind: type[VectorPipelineError]) -> str:
    with pytest.raises(kind) as caught, Lake.open(config, base) as lake:
        insert(lake)
    said = str(caught.value)
    assert "\n" not in said
    assert "testing-secret-value" not in said
    return said


@pytest.mark.slow
def test_what_fails_is_one_line_with_what_to_do(config: LakeConfig, tmp_path: Path, bucket: Bucket) -> None:
    def changed(**values: Any) -> LakeConfig:
        catalog = SecretTemplate(f"sqlite:///{tmp_path}/{len(values)}-{hash(str(values))}.sqlite")
        return LakeConfig.model_validate(config.model_dump() | {"catalog": catalog} | values)

    assert "Make the bucket of `lake.data`" in refused(
        changed(data="s3://no-such-bucket/x"), tmp_path, UnavailableError
    )
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        closed = changed(
            s3={"endpoint": f"http://127.0.0.1:{free.getsockname()[1]}"}, data=f"s3://{bucket.name}/closed"
        )
        assert "Check the network and the endpoint" in refused(closed, tmp_path, UnavailableError)
    keys = {"access_key_id": "${env:NOT_SET_1}", "secret_access_key": "${env:NOT_SET_2}"}
    assert "environment variable NOT_SET_1 is not set" in refused(changed(s3=keys), tmp_path, ConfigError)


def test_keys_by_reference_and_keys_that_were_given(
    config: LakeConfig, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, endpoint: str
) -> None:
    monkeypatch.setenv("MY_KEY", "AKIAREFERENCED")
    monkeypatch.setenv("MY_SECRET", "referenced-secret")
    keys = {"access_key_id": "${env:MY_KEY}", "secret_access_key": "${env:MY_SECRET}"}
    named = LakeConfig.model_validate(config.model_dump() | {"s3": keys})
    with Lake.open(named, tmp_path) as lake:
        insert(lake)
        assert "key_id=AKIAREFERENCED" in held(lake)
        assert "referenced-secret" not in held(lake)
    # Given by whoever runs the project: no part of the configuration.
    monkeypatch.delenv("AWS_ACCESS_KEY_ID")
    monkeypatch.delenv("AWS_SECRET_ACCESS_KEY")
    monkeypatch.delenv("AWS_ENDPOINT_URL")
    given = S3Given(endpoint, "us-east-1", access_key_id="AKIAGIVEN", secret_access_key="given-secret")
    dataset = {"source": {"root": "docs"}, "spaces": {"tiny": {}}, "target": "local"}
    whole = Config.model_validate({"environments": {"dev": {"lake": config.model_dump()}}, "datasets": {"a": dataset}})
    told = with_given(whole, given)
    assert told.digest() == whole.digest()
    assert "given-secret" not in f"{told!r}{told.model_dump_json()}"
    assert whole.environments["dev"].lake.s3.given == S3Given()
    with Lake.open(told.environments["dev"].lake, tmp_path) as lake:
        assert "key_id=AKIAGIVEN" in held(lake)
        assert count(lake) == ROWS


def test_keys_that_end_are_renewed(config: LakeConfig, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """boto3 renews what ends within a quarter of an hour; the lake signs with what it has then."""
    monkeypatch.delenv("AWS_ACCESS_KEY_ID")
    monkeypatch.delenv("AWS_SECRET_ACCESS_KEY")
    number = tmp_path / "number"
    number.write_text("0")
    script = tmp_path / "keys.py"
    script.write_text(
        f"""import json, datetime, pathlib
path = pathlib.Path({str(number)!r})
n = int(path.read_text()) + 1
path.write_text(str(n))
end = datetime.datetime.now(datetime.timezone.utc) + datetime.timedelta(minutes=5)
print(json.dumps(dict(Version=1, AccessKeyId=f"ASIA{{n}}END", SecretAccessKey="s", SessionToken=f"token{{n}}",
                      Expiration=end.isoformat())))
"""
    )
    script.chmod(script.stat().st_mode | stat.S_IXUSR)
    aws = tmp_path / "aws"
    aws.write_text(f"[profile ending]\ncredential_process = {sys.executable} {script}\n")
    monkeypatch.setenv("AWS_CONFIG_FILE", str(aws))
    settings = LakeConfig.model_validate(config.model_dump() | {"s3": {"profile": "ending"}})
    with Lake.open(settings, tmp_path) as lake:
        insert(lake)
        first = held(lake)
        assert "ASIA" in first
        before = int(number.read_text())
        # Within a transaction too: the next statement signs anew.
        lake.transaction(lambda: lake.run("INSERT INTO lake.main.t VALUES (1, 'y')"), "one")
        assert int(number.read_text()) > before
        assert held(lake) != first
        assert count(lake) == ROWS + 1


def _commit(config: LakeConfig, base: Path, times: int) -> None:
    with Lake.open(config, base) as lake:
        for _ in range(times):
            insert(lake)


@pytest.mark.slow
def test_two_processes_write_at_once(config: LakeConfig, tmp_path: Path, postgres_url: str) -> None:
    settings = LakeConfig.model_validate(config.model_dump() | {"catalog": postgres_url})
    with Lake.open(settings, tmp_path) as lake:
        insert(lake)
        context = multiprocessing.get_context("forkserver")
        writers = [context.Process(target=_commit, args=(settings, tmp_path, 4)) for _ in range(2)]
        for writer in writers:
            writer.start()
        for writer in writers:
            writer.join(180)
        assert [writer.exitcode for writer in writers] == [0, 0]
        assert count(lake) == 9 * ROWS


@pytest.mark.slow
def test_a_role_that_may_only_read(config: LakeConfig, tmp_path: Path, postgres_url: str) -> None:
    import psycopg

    settings = LakeConfig.model_validate(config.model_dump() | {"catalog": postgres_url})
    with Lake.open(settings, tmp_path) as lake:
        insert(lake)
    with psycopg.connect(postgres_url, autocommit=True) as connection:
        # Roles belong to the whole server, which other tests use too.
        connection.execute("DO $$ BEGIN CREATE ROLE onlooker LOGIN; EXCEPTION WHEN duplicate_object THEN NULL; END $$")
        connection.execute("GRANT USAGE ON SCHEMA public TO onlooker")
        connection.execute("GRANT SELECT ON ALL TABLES IN SCHEMA public TO onlooker")
    looking = LakeConfig.model_validate(
        config.model_dump() | {"catalog": postgres_url.replace("postgres:@", "onlooker:@")}
    )
    with Lake.open(looking, tmp_path, read_only=True) as lake:
        assert count(lake) == ROWS
    with Lake.open(looking, tmp_path) as lake, pytest.raises(ConfigError) as caught:
        insert(lake)
    assert "permission denied for" in str(caught.value)
    assert "INSERT INTO" not in str(caught.value), "the failed statement holds the least and greatest text of columns"


def test_reading_makes_no_lake_in_an_empty_database(config: LakeConfig, tmp_path: Path, postgres_url: str) -> None:
    settings = LakeConfig.model_validate(config.model_dump() | {"catalog": postgres_url})
    for _ in range(2):
        with pytest.raises(NotFoundError, match="Build a dataset first"):
            Lake.open(settings, tmp_path, read_only=True)


@pytest.mark.parametrize(
    ("said", "fix"),
    [
        ("HTTP Error: HTTP GET error on 'https://b.s3.amazonaws.com/k' (HTTP 403)", "Allow it to this user or role"),
        ("HTTP Error: Unable to connect to URL s3://b/k: Moved Permanently (HTTP code 301)", "Set `lake.s3.region`"),
        ("IO Error: Could not resolve hostname error for HTTP PUT to 'https://x/k'", "Check `lake.s3.endpoint`"),
        ("HTTP Error: HTTP PUT error: InvalidAccessKeyId", "Check the credentials"),
        ("IO Error: Failed to remove files: <Key>k</Key><Code>AccessDenied</Code>", "Allow it to this user or role"),
    ],
)
def test_what_httpfs_says_is_explained(said: str, fix: str) -> None:
    error = translate(duckdb.IOException(said), "lake s3://b/k")
    assert fix in str(error)
