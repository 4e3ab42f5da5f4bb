"""Settings of a stack: the variables of deploy/terraform by their names, checked the same way.

``vector-pipeline provision --tfvars`` prints those that only the project knows; the stack's file takes
them as they are. Passwords are Pulumi's secrets: ``pulumi config set --secret writer_password``.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass, field, fields
from typing import Any

import pulumi

_ENVIRONMENT = re.compile(r"[a-z][a-z0-9_]{0,39}")
_BUCKET = re.compile(r"[a-z0-9][a-z0-9.-]{1,61}[a-z0-9]")
_INDEX = re.compile(r"[a-z0-9]([a-z0-9-]{0,43}[a-z0-9])?")
_METRICS = ("cosine", "dotproduct", "euclidean")
_SECRETS = ("writer_password", "reader_password")


@dataclass(frozen=True)
class Index:
    """A Pinecone index of one space."""

    dimension: int
    metric: str
    tags: Mapping[str, str]
    cloud: str = "aws"
    region: str = "us-east-1"
    deletion_protection: bool = True


@dataclass(frozen=True)
class Settings:
    """``None`` for a bucket or a database: there is none."""

    environment: str
    indexes: Mapping[str, Index] = field(default_factory=dict)
    region: str = "us-east-1"
    bucket: str | None = None
    lake_prefix: str = "lake"
    logs_prefix: str = "dagster"
    documents_prefix: str | None = "documents"
    versioning: bool = True
    noncurrent_days: int = 7
    kms_key: str | None = None
    writer_principals: tuple[str, ...] = ()
    reader_principals: tuple[str, ...] = ()
    database: str | None = None
    dagster_database: str | None = None
    vector_schemas: tuple[str, ...] = ()
    writer: str = "pipeline"
    reader: str | None = None
    writer_password: "pulumi.Input[str] | None" = field(default=None, repr=False)
    reader_password: "pulumi.Input[str] | None" = field(default=None, repr=False)
    password_version: int = 1
    postgres_host: str = "localhost"
    postgres_port: int = 5432
    postgres_sslmode: str = "require"
    postgres_superuser: bool = False

    def __post_init__(self) -> None:
        _require(
            _ENVIRONMENT.fullmatch(self.environment), "environment is lower-case letters, digits and _, at most 40"
        )
        _require(
            self.bucket is None or _BUCKET.fullmatch(self.bucket),
            "bucket has 3 to 63 lower-case letters, digits, dots and -",
        )
        _require(self.noncurrent_days >= 1, "noncurrent_days is at least a day")
        _require(
            self.postgres_sslmode in ("disable", "require", "verify-ca", "verify-full"),
            "postgres_sslmode is none of libpq's",
        )
        for name, one in self.indexes.items():
            _require(_INDEX.fullmatch(name), f"index {name}: lower-case letters, digits and -, at most 45")
            _require(one.metric in _METRICS, f"index {name}: a metric is one of {', '.join(_METRICS)}")
            _require(1 <= one.dimension <= 20_000, f"index {name}: 1 to 20000 dimensions")
            _require(
                "vp-space" in one.tags, f"index {name} needs the tag vp-space: take the tags of provision --tfvars"
            )


def from_mapping(values: Mapping[str, Any]) -> Settings:
    """Settings as JSON has them. ``ValueError`` names what is wrong or not known."""
    unknown = values.keys() - {one.name for one in fields(Settings)}
    _require(not unknown, f"there are no settings {', '.join(sorted(unknown))}")
    made = {name: tuple(value) if isinstance(value, list) else value for name, value in values.items()}
    made["indexes"] = {name: Index(**one) for name, one in (values.get("indexes") or {}).items()}
    return Settings(**made)


def from_config(config: pulumi.Config) -> Settings:
    """Settings of the stack."""
    values: dict[str, Any] = {}
    for one in fields(Settings):
        if one.name in _SECRETS:
            found = config.get_secret(one.name)
        elif one.type in ("str", "str | None", str, str | None):
            found = config.get(one.name)
        else:
            found = config.get_object(one.name)
        if found is not None:
            values[one.name] = found
    return from_mapping(values)


def _require(holds: object, otherwise: str) -> None:
    if not holds:
        raise ValueError(otherwise)
