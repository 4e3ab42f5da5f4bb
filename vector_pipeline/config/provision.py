"""What ``vector-pipeline provision`` makes beyond what the stores of an environment say themselves: who reads, who administers.

Laws
----
1. An administrator's secret is used by ``provision`` alone: a build, a push or a reader never resolves it.
2. Roles are named here; what each may do is not configurable: ``vector_pipeline.provision.access`` says it.
"""

from typing import Annotated, Literal

from pydantic import Field, StringConstraints, model_validator

from vector_pipeline.config.fields import Model, Url
from vector_pipeline.config.secrets import SecretTemplate

Role = Annotated[str, StringConstraints(pattern=r"^[a-z_][a-z0-9_]{0,62}$")]


class BucketConfig(Model):
    """How the bucket of the lake's data is set up. What a bucket that is there has beyond it stays."""

    versioning: bool = True
    """Keep what is overwritten or deleted, for `noncurrent_days`."""
    noncurrent_days: int = Field(default=7, ge=1)
    """Days after which what was deleted is gone for good: `erase` reaches no older versions of an object."""
    encryption: Literal["AES256", "aws:kms"] = "AES256"
    """How S3 encrypts what comes without an encryption of its own."""
    kms_key: str | None = None
    """Id or ARN of the key for `aws:kms`; default: the account's own key for S3."""
    private: bool = True
    """Block public access, whatever policies and lists say."""

    @model_validator(mode="after")
    def _key_belongs_to_kms(self) -> "BucketConfig":
        if self.kms_key is not None and self.encryption != "aws:kms":
            raise ValueError("kms_key belongs to `encryption: aws:kms`")
        return self


class ProvisionConfig(Model):
    """What `vector-pipeline provision` needs to know beyond the stores themselves."""

    admin: Url | None = None
    """`postgresql://postgres:${env:POSTGRES_ADMIN_PASSWORD}@host/postgres`: who makes roles, databases and extensions there.
    Default: each store's own user does what it may."""
    reader: Role | None = None
    """Role that may read catalog, registry and pgvector, and nothing else. Default: none is made."""
    reader_password: SecretTemplate | None = None
    """Of a reader that is made; one that is there keeps its own. By reference only: `${env:NAME}`. Default: the role has none."""
    bucket: BucketConfig = BucketConfig()
    """The bucket of a lake on S3."""

    @model_validator(mode="after")
    def _by_reference(self) -> "ProvisionConfig":
        if self.reader_password is not None and not self.reader_password.names():
            raise ValueError("reader_password must be a reference such as ${env:READER_PASSWORD}")
        if self.reader_password is not None and self.reader is None:
            raise ValueError("reader_password belongs to `reader`")
        return self
