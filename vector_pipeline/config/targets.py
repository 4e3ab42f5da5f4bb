"""Targets in the configuration: one model a kind. Facts about a service stand here with their source and date.

A target's ``kind`` may be left out: ``duckdb``.
"""

from pathlib import Path
from typing import Annotated, Literal

from pydantic import AfterValidator, Field, StringConstraints, model_validator

from vector_pipeline.config.fields import MEMORY_PATTERN, Model, Url
from vector_pipeline.config.secrets import SecretTemplate, refuse_secrets

IndexName = Annotated[str, StringConstraints(pattern=r"^[a-z0-9]([a-z0-9-]{0,34}[a-z0-9])?$")]
"""Pinecone's rule for names of indexes, less the nine characters that a space's suffix takes."""


class PriceConfig(Model):
    """What a target charges: plans are priced with it. All prices in ``currency``."""

    currency: str = "USD"
    """Shown behind amounts."""
    per_million_records: float = Field(default=0, ge=0)
    """For a million records written or closed."""
    per_gb_written: float = Field(default=0, ge=0)
    """For 10^9 bytes written."""
    per_million_requests: float = Field(default=0, ge=0)
    """For a million requests of any kind."""
    per_gb_month: float = Field(default=0, ge=0)
    """For 10^9 bytes kept for a month."""


class PineconePriceConfig(Model):
    """What Pinecone charges. Defaults: list prices of the Standard plan, AWS us-east-1."""

    as_of: str = "2026-11"
    """When these prices were looked up: shown with every amount."""
    currency: str = "USD"
    """Shown behind amounts."""
    per_million_write_units: float = Field(default=4.0, ge=0)
    """For a million write units: a unit is 1 KB of a request, at least 5 units a request."""
    per_million_read_units: float = Field(default=16.0, ge=0)
    """For a million read units."""
    per_gb_month: float = Field(default=0.33, ge=0)
    """For a GB kept for a month."""
    per_gb_imported: float = Field(default=0.25, ge=0)
    """For a GB that a bulk import reads (https://www.pinecone.io/blog/bulk-import-promo, June 2026); credits are not counted."""


class PineconeLimitsConfig(Model):
    """Rates that Pinecone allows a namespace, per second. Defaults: its published limits; support raises them on request."""

    requests: float = Field(default=100, gt=0)
    """Requests of each verb: upsert, query, update, delete, fetch, list."""
    upsert_mb: float = Field(default=50, gt=0)
    """10^6 bytes of upserts."""
    updates: float = Field(default=100, gt=0)
    """Records updated by id."""
    deletes: float = Field(default=5_000, gt=0)
    """Records deleted by id."""
    by_metadata: float = Field(default=5, gt=0)
    """Requests that update or delete by a filter."""


class DuckDBTargetConfig(Model):
    """A folder of immutable files on this machine: exact search, HNSW on request."""

    kind: Literal["duckdb"] = "duckdb"
    """May be left out."""
    path: Path = Path(".vector_pipeline/index")
    """Folder of the index files."""
    hnsw: bool = False
    """Build an HNSW index (approximate search) beside exact search."""
    memory_limit: str = Field(default="2GB", pattern=MEMORY_PATTERN)
    """Most that one reader or writer may take; up to half of it holds vectors for searches."""
    prices: PriceConfig | None = None
    """What writing costs; without it plans show no money."""
    parallel_writes: int | None = Field(default=None, ge=1)
    """Most writes under way at once; default: what the target gains from."""


class PineconeTargetConfig(Model):
    """Serverless vector indexes of Pinecone: one index a space, made on demand; one namespace a line of versions."""

    kind: Literal["pinecone"]
    """``pinecone``."""
    index: IndexName
    """Beginning of the indexes' names: a space's index is this, `-` and eight characters of its fingerprint."""
    api_key: SecretTemplate = SecretTemplate("${env:PINECONE_API_KEY}")
    """By reference only: `${env:NAME}`."""
    cloud: Literal["aws", "gcp", "azure"] = "aws"
    """Where new indexes are made."""
    region: str = "us-east-1"
    """Where new indexes are made."""
    host: Url | None = None
    """Another control plane, such as `vector-pipeline dev pinecone` starts; default: Pinecone's own."""
    deletion_protection: bool = True
    """Indexes refuse to be deleted. New ones are made so, and those that are there are checked."""
    namespace_aliases: bool = True
    """Let Pinecone's own namespace alias `<dataset>--<environment>--<alias>` follow ours, where the service has them."""
    import_uri: Annotated[str, AfterValidator(refuse_secrets)] | None = None
    """`s3://bucket/prefix` (or a folder, for a local server) where Parquet files for bulk imports are written; none: no imports."""
    import_integration: str | None = None
    """Id of the storage integration that lets Pinecone read `import_uri`; none for a public bucket."""
    limits: PineconeLimitsConfig = PineconeLimitsConfig()
    """Rates that the client keeps under."""
    timeout_s: float = Field(default=30, gt=0)
    """Seconds for one request."""
    retry_s: float = Field(default=120, ge=0)
    """Seconds for which a request that is refused (429), or finds the service away (5xx, no connection), is tried again."""
    freshness_s: float = Field(default=120, gt=0)
    """Seconds within which reads must see what was written."""
    prices: PineconePriceConfig | None = PineconePriceConfig()
    """What plans are priced with; `null`: no money is shown."""
    parallel_writes: int | None = Field(default=None, ge=1)
    """Most writes under way at once; default: what the target gains from."""

    @model_validator(mode="after")
    def _by_reference(self) -> "PineconeTargetConfig":
        if not self.api_key.names():
            raise ValueError("api_key must be a reference such as ${env:PINECONE_API_KEY}")
        return self


class ChromaTargetConfig(Model):
    """Chroma: a folder on this machine, or a server. One collection a line of versions."""

    kind: Literal["chroma"]
    """``chroma``."""
    path: Path | None = None
    """Folder of an embedded Chroma; this or `url`."""
    url: Url | None = None
    """A server, such as `http://localhost:8000`; this or `path`."""
    token: SecretTemplate | None = None
    """Sent as `x-chroma-token`; by reference only: `${env:NAME}`."""
    tenant: str = "default_tenant"
    """Chroma's tenant."""
    database: str = "default_database"
    """Chroma's database."""
    timeout_s: float = Field(default=60, gt=0)
    """Seconds for one request to a server."""
    prices: PriceConfig | None = None
    """What writing costs; without it plans show no money."""
    parallel_writes: int | None = Field(default=None, ge=1)
    """Most writes under way at once; default: what the target gains from."""

    @model_validator(mode="after")
    def _one_place(self) -> "ChromaTargetConfig":
        if (self.path is None) == (self.url is None):
            raise ValueError("a chroma target needs `path:` (a folder) or `url:` (a server), and not both")
        if self.token is not None and not self.token.names():
            raise ValueError("token must be a reference such as ${env:CHROMA_TOKEN}")
        return self


class PgvectorTargetConfig(Model):
    """PostgreSQL with pgvector: one table a line of versions, every write a transaction."""

    kind: Literal["pgvector"]
    """``pgvector``."""
    url: Url
    """`postgresql://user:${env:PASSWORD}@host/database`."""
    db_schema: str = Field(default="vector_pipeline", pattern=r"^[a-z_][a-z0-9_]{0,30}$")
    """Schema that holds the tables; made on demand."""
    hnsw: bool = False
    """Build an HNSW index (approximate search) beside exact search."""
    hnsw_m: int = Field(default=16, ge=2, le=100)
    """Links of each element of the HNSW index."""
    hnsw_ef_construction: int = Field(default=64, ge=4, le=1000)
    """Candidates looked at while the HNSW index is built."""
    hnsw_ef_search: int = Field(default=100, ge=1, le=1000)
    """Candidates looked at by a search in the HNSW index."""
    timeout_s: float = Field(default=60, gt=0)
    """Seconds for one statement."""
    prices: PriceConfig | None = None
    """What writing costs; without it plans show no money."""
    parallel_writes: int | None = Field(default=None, ge=1)
    """Most writes under way at once; default: what the target gains from."""


TargetConfig = Annotated[
    DuckDBTargetConfig | PineconeTargetConfig | ChromaTargetConfig | PgvectorTargetConfig, Field(discriminator="kind")
]
Prices = PriceConfig | PineconePriceConfig
