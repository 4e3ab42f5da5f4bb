"""Credentials that cannot be renewed are a matter of the configuration, and told as one of our errors."""

from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from botocore import exceptions  # type: ignore[import-untyped]
from botocore.credentials import RefreshableCredentials  # type: ignore[import-untyped]

from vector_pipeline.config import S3Config
from vector_pipeline.corpus.s3_access import S3Access
from vector_pipeline.errors import ConfigError, VectorPipelineError


def sts(code: str) -> Exception:
    said: Exception = exceptions.ClientError({"Error": {"Code": code, "Message": "It is expired"}}, "AssumeRole")
    return said


def ended(error: Exception) -> S3Access:
    """Access by a role whose credentials have ended, and whose renewal fails."""

    def refresh() -> dict[str, Any]:
        raise error

    access = S3Access(S3Config(region="eu-central-1"))
    hour_ago = datetime.now(UTC) - timedelta(hours=1)
    session = access.session._session
    session._credentials = RefreshableCredentials("id", "key", "token", hour_ago, refresh, "assume-role")
    return access


def _listed(access: S3Access) -> None:
    with access.client("s3://b/") as client:
        client.list_objects_v2(Bucket="b")


ASKED: list[Callable[[S3Access], object]] = [lambda access: access.keys("s3://b/"), _listed]


@pytest.mark.parametrize("asked", ASKED)
@pytest.mark.parametrize(
    ("error", "fix"),
    [
        (sts("ExpiredToken"), "AWS_PROFILE"),
        (sts("AccessDenied"), "Allow it"),
        (exceptions.UnauthorizedSSOTokenError(), "aws sso login"),
        (exceptions.SSOTokenLoadError(error_msg="Token for default does not exist"), "aws sso login"),
        (exceptions.TokenRetrievalError(provider="sso", error_msg="Token has expired"), "aws sso login"),
    ],
)
def test_it_is_told_what_to_do(error: Exception, fix: str, asked: Callable[[S3Access], object]) -> None:
    with pytest.raises(VectorPipelineError) as told:
        asked(ended(error))
    # What is no fault of the network is not tried again.
    assert type(told.value) is ConfigError
    assert fix in str(told.value)
