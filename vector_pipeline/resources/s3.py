"""A project whose S3 is reached as Dagster says: dagster-aws's ``S3Resource``, passed on to sources and lake.

Imported by whoever uses it: dagster-aws is not needed otherwise.

Laws
----
1. What ``vector_pipeline.yaml`` says of S3 comes before what the resource says, and that before the AWS environment.
2. Nothing of the resource becomes part of the configuration: no fingerprint changes with a key, and no page shows one.
"""

from pathlib import Path

from dagster_aws.s3 import S3Resource

from vector_pipeline.config import S3Given
from vector_pipeline.errors import ConfigError
from vector_pipeline.project import Project
from vector_pipeline.resources.project import ProjectResource, open_project


class S3ProjectResource(ProjectResource):
    """Configuration file and environment of a project, and the ``S3Resource`` that the rest of the code location uses."""

    s3: S3Resource
    """Region, endpoint, profile and keys of sources and lake on S3."""

    def get(self) -> Project:
        """The project of this process. ``ConfigError`` when the file cannot be read, or for a setting that cannot be passed on."""
        return open_project(Path(self.config_path), self.environment, given_by(self.s3))


def given_by(resource: S3Resource) -> S3Given:
    """What a resource says of how S3 is reached."""
    if resource.verify is False or (not resource.use_ssl and resource.endpoint_url is None):
        raise ConfigError(
            "S3Resource: verify=False and use_ssl=False are not passed on",
            fix="Name the authority's file in AWS_CA_BUNDLE, or an endpoint_url that begins with http://",
        )
    return S3Given(
        endpoint=resource.endpoint_url,
        region=resource.region_name,
        profile=resource.profile_name,
        access_key_id=resource.aws_access_key_id,
        secret_access_key=resource.aws_secret_access_key,
        session_token=resource.aws_session_token,
        anonymous=resource.use_unsigned_session,
    )
