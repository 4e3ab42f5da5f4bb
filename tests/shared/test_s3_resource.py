"""A project in a code location that has an ``S3Resource``: its keys and endpoint reach sources and lake, and nothing else."""

from pathlib import Path

import dagster as dg
import pytest
from dagster_aws.s3 import S3Resource

from tests.conftest import page
from tests.shared.conftest import KEYS, Bucket
from tests.shared.test_s3_source import CONFIG
from vector_pipeline.assets.factory import build_vector_dataset
from vector_pipeline.assets.names import job_name
from vector_pipeline.assets.partitions import range_tags
from vector_pipeline.config import load_config
from vector_pipeline.errors import ConfigError
from vector_pipeline.resources.project import close_projects
from vector_pipeline.resources.s3 import S3ProjectResource, given_by


@pytest.mark.slow
# Dagster calls what it calls deprecated itself, where a resource holds another one.
@pytest.mark.filterwarnings("ignore:InitResourceContext.dagster_run is deprecated:DeprecationWarning")
def test_documents_come_by_the_resource_alone(bucket: Bucket, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "vector_pipeline.yaml"
    lake = f"environments: {{dev: {{lake: {{data: 's3://{bucket.name}/lake'}}}}}}"
    path.write_text(CONFIG.format(bucket=bucket.name, more="") + lake)
    # So much text that the lake writes a file.
    for number in range(12):
        bucket.put(f"docs/page{number}.md", page(number))
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_ENDPOINT_URL", "AWS_DEFAULT_REGION"):
        monkeypatch.delenv(name)
    monkeypatch.setenv("S3_SECRET", KEYS["aws_secret_access_key"])
    s3 = S3Resource(
        endpoint_url=bucket.endpoint,
        region_name="us-east-1",
        aws_access_key_id=KEYS["aws_access_key_id"],
        aws_secret_access_key=dg.EnvVar("S3_SECRET"),
    )
    project = S3ProjectResource(config_path=str(path), s3=s3)
    with dg.DagsterInstance.ephemeral() as instance:
        definitions = build_vector_dataset("handbook", load_config(path).datasets["handbook"], project)
        job = definitions.resolve_job_def(job_name("handbook", "build"))
        result = job.execute_in_process(instance=instance, tags=range_tags(0, 3))
        assert result.success
        said = str([event.message for event in result.all_events])
    close_projects()
    assert KEYS["aws_secret_access_key"] not in said
    assert [key for key in bucket.objects("lake/") if key.endswith(".parquet")]


def test_what_cannot_be_passed_on_is_refused() -> None:
    with pytest.raises(ConfigError, match="AWS_CA_BUNDLE"):
        given_by(S3Resource(verify=False))
    with pytest.raises(ConfigError, match="use_ssl"):
        given_by(S3Resource(use_ssl=False))
    given = given_by(S3Resource(use_unsigned_session=True, aws_secret_access_key="hidden"))
    assert given.anonymous
    assert "hidden" not in repr(given)
