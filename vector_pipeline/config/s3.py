"""S3 in the configuration: how it is reached, and documents that lie there.

Laws
----
1. What a section does not say comes from whoever runs the project (``S3Given``), and then from the AWS environment: variables, the
   profile, the role of the machine.
2. A key stands in the file by reference only. What was given from outside is no part of a configuration: it is not printed, not
   dumped and not fingerprinted.
"""

from dataclasses import dataclass, field
from typing import Annotated, Literal, Self

from pydantic import Field, PrivateAttr, StringConstraints, field_validator, model_validator

from vector_pipeline.config.fields import Model, Url, bytes_of
from vector_pipeline.config.secrets import SecretTemplate

BUCKET_PATTERN = r"^[a-z0-9][a-z0-9.-]{1,61}[a-z0-9]$"
Bucket = Annotated[str, StringConstraints(pattern=BUCKET_PATTERN)]


@dataclass(frozen=True, slots=True)
class S3Given:
    """How S3 is reached, as whoever runs the project says, such as Dagster's ``S3Resource``."""

    endpoint: str | None = None
    region: str | None = None
    profile: str | None = None
    access_key_id: str | None = field(default=None, repr=False)
    secret_access_key: str | None = field(default=None, repr=False)
    session_token: str | None = field(default=None, repr=False)
    anonymous: bool = False


class S3Config(Model):
    """How S3 is reached. What is left out comes from the AWS environment: `AWS_*` variables, a profile, the machine's role."""

    endpoint: Url | None = None
    """Another service than Amazon's, such as `https://minio.example.org`; default: `AWS_ENDPOINT_URL_S3`, `AWS_ENDPOINT_URL`."""
    region: str | None = None
    """Where the bucket is; default: `AWS_REGION`, `AWS_DEFAULT_REGION`, the profile's."""
    path_style: bool | None = None
    """Address buckets as `endpoint/bucket`; default: with an endpoint yes, at Amazon no."""
    profile: str | None = None
    """Profile of `~/.aws/config`; default: `AWS_PROFILE`."""
    access_key_id: SecretTemplate | None = None
    """By reference only: `${env:NAME}`. Default: what the AWS environment has."""
    secret_access_key: SecretTemplate | None = None
    """By reference only: `${env:NAME}`."""
    session_token: SecretTemplate | None = None
    """By reference only: `${env:NAME}`; of temporary credentials."""
    anonymous: bool = False
    """Sign nothing: for public buckets."""

    _given: S3Given | None = PrivateAttr(default=None)

    @property
    def given(self) -> S3Given:
        """Law 1."""
        return self._given or S3Given()

    def with_given(self, given: S3Given) -> Self:
        """A copy that knows what was given."""
        copy = self.model_copy()
        copy._given = given
        return copy

    @model_validator(mode="after")
    def _by_reference(self) -> Self:
        keys = {name: getattr(self, name) for name in ("access_key_id", "secret_access_key", "session_token")}
        for name, value in keys.items():
            if value is not None and not value.names():
                raise ValueError(f"{name} must be a reference such as ${{env:{name.upper()}}}")
        if (self.access_key_id is None) != (self.secret_access_key is None):
            raise ValueError("access_key_id and secret_access_key belong together")
        if self.session_token is not None and self.access_key_id is None:
            raise ValueError("session_token needs access_key_id and secret_access_key")
        if (self.anonymous or self.profile is not None) and self.access_key_id is not None:
            raise ValueError("keys belong neither to `anonymous` nor to a `profile`: keep one of them")
        if self.endpoint is not None and not self.endpoint.startswith(("http://", "https://", "${env:")):
            raise ValueError("endpoint must begin with http:// or https://")
        return self


class S3SourceConfig(S3Config):
    """Documents from objects on S3: one object, one document; its id is the key below ``prefix``."""

    kind: Literal["s3"]
    """``s3``."""
    bucket: Bucket
    """Name of the bucket."""
    prefix: str = ""
    """Folder in the bucket: `docs` and `docs/` are the same, and `docs-old/…` is in neither. Default: the whole bucket."""
    include: list[str] = ["**/*"]
    """Glob patterns below ``prefix``; an object that matches any of them is listed."""
    exclude: list[str] = []
    """Glob patterns of objects to leave out."""
    max_file_size: int = Field(default=20_000_000, gt=0)
    """Bytes (or ``20 MB``). A larger object is quarantined, not read."""
    downloads: int = Field(default=8, ge=1, le=64)
    """Objects that are downloaded at once; each is held whole in memory."""
    allow_empty: bool = False
    """Accept a listing of nothing as "everything was deleted". Off: an empty listing is an error."""

    _size = field_validator("max_file_size", mode="before")(bytes_of)

    @field_validator("prefix")
    @classmethod
    def _folder(cls, value: str) -> str:
        if value.startswith(("/", "s3://")):
            raise ValueError("a prefix begins with the name of a folder, without s3:// and without a slash")
        return f"{value.rstrip('/')}/" if value else ""

    @property
    def where(self) -> str:
        """Its address."""
        return f"s3://{self.bucket}/{self.prefix}"
