"""The page on shared storage is true: its SQL, configuration, commands and policies are tried, against a real PostgreSQL and moto's
S3, which enforces policies.
"""

import json
import re
import shlex
import subprocess
import sys
from pathlib import Path

import pytest
import yaml

from tests.docs.test_readme import MODEL, ROOT, commands
from tests.shared.conftest import Bucket, bucket, endpoint, enforced, moto, new_database, postgres, postgres_url, user
from tests.support.configuration import with_piece, yaml_blocks
from vector_pipeline.cli import run
from vector_pipeline.config import LakeConfig, S3SourceConfig
from vector_pipeline.corpus.s3 import S3Source
from vector_pipeline.errors import ConfigError
from vector_pipeline.lake.connection import Lake

__all__ = ["bucket", "endpoint", "moto", "new_database", "postgres", "postgres_url"]
PAGE = "docs/s3-and-postgresql.md"
TEXT = (ROOT / PAGE).read_text(encoding="utf-8")
BUCKET = "company-vectors"
OWN = re.compile(r"@db\.internal/(\w+)")


def blocks(language: str) -> list[str]:
    return re.findall(rf"^```{language}\n(.*?)^```", TEXT, re.MULTILINE | re.DOTALL)


@pytest.mark.parametrize("block", yaml_blocks(TEXT))
def test_every_block_is_a_configuration(block: str, tmp_path: Path) -> None:
    shown = yaml.safe_load(block)
    assert shown.keys() <= {"datasets", "environments"}
    if "datasets" in shown:
        # A source of another kind takes the place of the whole section.
        source = S3SourceConfig.model_validate(shown["datasets"]["handbook"]["source"])
        assert source.where == f"s3://{BUCKET}/documents/"
    else:
        assert with_piece(block, tmp_path).environments["shared"].lake.data == f"s3://{BUCKET}/lake"


def prepare(postgres: str) -> None:
    """Run the page's SQL."""
    import psycopg

    connection = psycopg.connect(postgres, autocommit=True)
    try:
        for line in blocks("sql")[0].splitlines():
            if line.startswith("\\c "):
                connection.close()
                connection = psycopg.connect(postgres.replace("/postgres?", f"/{line[3:]}?"), autocommit=True)
            else:
                connection.execute(line)
    finally:
        connection.close()


def here(text: str, postgres: str) -> str:
    """The page's addresses as those of the test's server."""
    place = postgres.partition("?")[2]
    return OWN.sub(rf"@/\1?{place}", text)


@pytest.mark.slow
def test_every_command_works(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capfd: pytest.CaptureFixture[str],
    postgres: str,
    endpoint: str,
) -> None:
    prepare(postgres)
    kept = Bucket(BUCKET, endpoint)
    with kept.client() as client:
        client.create_bucket(Bucket=BUCKET)
    monkeypatch.setenv("VECTORS_PASSWORD", "change me")
    monkeypatch.setenv("DAGSTER_HOME", str(tmp_path / "home"))
    monkeypatch.chdir(tmp_path)
    for line in commands(PAGE):
        words = shlex.split(line)
        if words[0] == "cd":
            monkeypatch.chdir(words[1])
        elif words[0] == "export":
            shown = subprocess.run(
                f"echo {line.partition('=')[2]}", shell=True, capture_output=True, text=True, check=True
            )
            monkeypatch.setenv(words[1].partition("=")[0], here(shown.stdout.strip(), postgres))
        elif words[0] == "vector-pipeline":
            assert run(words[1:]) == 0, f"{line}\n{''.join(capfd.readouterr())}"
        elif words[0] == "dagster":
            subprocess.run([sys.executable, "-m", *words], check=True, capture_output=True)
        elif words[0] != "pip":
            subprocess.run(line.replace("deploy/", f"{ROOT}/deploy/"), shell=True, check=True)
        if words[:2] == ["vector-pipeline", "init"]:
            config = tmp_path / words[2] / "vector_pipeline.yaml"
            text = config.read_text()
            assert MODEL in text
            block = next(one for one in blocks("yaml") if "targets:" in one).removeprefix("environments:\n")
            text = text.replace(MODEL, "kind: deterministic\n          model: seed")
            config.write_text(text.rstrip() + "\n\n" + here(block, postgres))
            # Runs of commands are recorded in a home of the test's own until the page makes one.
            monkeypatch.setenv("DAGSTER_HOME", str(tmp_path / "home"))
    assert any(key.startswith("lake/handbook/") for key in kept.objects())
    _require_read_only(postgres)


def _require_read_only(postgres: str) -> None:
    """The second role sees what the first has made since, and changes none of it."""
    import psycopg

    place = postgres.partition("?")[2]
    with psycopg.connect(f"postgresql://onlooker:@/vectors?{place}", autocommit=True) as connection:
        versions = connection.execute("SELECT count(*) FROM vp_versions").fetchone()
        assert versions is not None
        assert versions[0] > 0
        assert connection.execute("SELECT count(*) FROM ducklake_snapshot").fetchone() is not None
        with pytest.raises(psycopg.errors.InsufficientPrivilege):
            connection.execute("DELETE FROM vp_versions")
        with pytest.raises(psycopg.errors.InsufficientPrivilege):
            connection.execute("CREATE TABLE mine (a int)")


@pytest.mark.slow
def test_the_policies_allow_what_is_needed_and_no_more(
    bucket: Bucket, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    policies = [one.replace(BUCKET, bucket.name) for one in blocks("json")]
    assert all(json.loads(one)["Version"] == "2012-10-17" for one in policies)
    writer, reader = (user(f"{bucket.name}-{n}", one, bucket.endpoint) for n, one in enumerate(policies))
    bucket.put("documents/a.md", "# A\n\ntext")
    config = LakeConfig.model_validate(
        {"catalog": f"sqlite:///{tmp_path}/catalog.sqlite", "data": f"s3://{bucket.name}/lake", "threads": 1}
    )
    source = S3SourceConfig(kind="s3", bucket=bucket.name, prefix="documents")
    with enforced(bucket.endpoint):
        for name, value in writer.items():
            monkeypatch.setenv(name, value)
        documents = S3Source(source)
        assert [one.id for one in documents.read(documents.list(), {})] == ["a.md"]
        with Lake.open(config, tmp_path) as lake:
            _write(lake)
            assert _rows(lake) == 2_000
        # One by one: of the request that deletes many, Amazon asks the right for each object, and moto for the bucket.
        with bucket.client(**{name.lower(): value for name, value in writer.items()}) as client:
            client.put_object(Bucket=bucket.name, Key="lake/old", Body=b"")
            client.delete_object(Bucket=bucket.name, Key="lake/old")
        with pytest.raises(ConfigError, match="S3 refuses"):
            list(S3Source(S3SourceConfig(kind="s3", bucket="another-bucket")).list())
        for name, value in reader.items():
            monkeypatch.setenv(name, value)
        with Lake.open(config, tmp_path, read_only=True) as lake:
            assert _rows(lake) == 2_000
        with Lake.open(config, tmp_path) as lake, pytest.raises(ConfigError, match="Allow it to this user or role"):
            _write(lake)


def _write(lake: Lake) -> None:
    def work() -> None:
        lake.run("CREATE TABLE IF NOT EXISTS lake.main.t (a VARCHAR)")
        lake.run("INSERT INTO lake.main.t SELECT 'x' || i FROM range(2000) t(i)")

    lake.transaction(work, "write")


def _rows(lake: Lake) -> int:
    return int(lake.row("SELECT count(*), max(a) FROM lake.main.t")[0])


def test_links_lead_somewhere() -> None:
    for link in re.findall(r"\]\(([^)#]+)\)", TEXT):
        assert (ROOT / PAGE).parent.joinpath(link).exists(), link
