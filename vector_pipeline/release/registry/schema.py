"""The registry's tables. Every name begins with ``vp_``, because PostgreSQL shares the database with the lake's
catalog.

Laws
----
1. Rows of versions, alias moves, overrides, verdicts, intents, outcomes, audits, erasures, fills and broken seals are only ever
   added. Mutable are: an environment's seal and sample, a version's ``pinned`` and ``expired_at`` (and what an erasure left of
   it), a deployment's state, where an alias points, who holds a lease, a push's status, what a namespace was last seen as after a
   write of ours, and when a withdrawal, a route or a bridge ended. All rows of a preview go with it, but its own (``previews``).
2. Times are UTC and come back with their zone. SQLite holds them as ISO text of one width, so that text order is time
   order.
3. A change of these tables is a new file in ``migrations/versions`` and a new entry in ``REVISIONS``; a test compares
   the two.
"""

import json
from datetime import UTC, datetime
from typing import Any

from sqlalchemy import (
    JSON,
    BigInteger,
    Boolean,
    Column,
    DateTime,
    Dialect,
    Float,
    ForeignKey,
    ForeignKeyConstraint,
    Index,
    Integer,
    LargeBinary,
    MetaData,
    PrimaryKeyConstraint,
    String,
    Table,
    Text,
    TypeDecorator,
    UniqueConstraint,
)
from sqlalchemy.types import TypeEngine

REVISIONS = ("0001", "0002", "0003", "0004", "0005", "0006", "0007", "0008")
"""Every revision that this release can read, oldest first. The last is the head."""

VERSION_TABLE = "vp_alembic_version"


class UtcDateTime(TypeDecorator[datetime]):
    """A moment in UTC: ``timestamptz`` in PostgreSQL, ISO text of 32 characters in SQLite. Refuses times without a
    zone.
    """

    impl = DateTime(timezone=True)
    cache_ok = True

    def load_dialect_impl(self, dialect: Dialect) -> TypeEngine[Any]:
        return dialect.type_descriptor(String(32) if dialect.name == "sqlite" else DateTime(timezone=True))

    def process_bind_param(self, value: datetime | None, dialect: Dialect) -> Any:
        if value is None:
            return None
        if value.tzinfo is None:
            raise ValueError("a time needs a zone")
        moment = value.astimezone(UTC)
        return moment.isoformat(timespec="microseconds") if dialect.name == "sqlite" else moment

    def process_result_value(self, value: Any, _: Dialect) -> datetime | None:
        if value is None:
            return None
        moment: datetime = datetime.fromisoformat(value) if isinstance(value, str) else value
        return moment.astimezone(UTC)


class Json(TypeDecorator[Any]):
    """JSON. What is no JSON (NaN, an object) is refused here, alike for both databases, before a driver sees it."""

    impl = JSON
    cache_ok = True

    def process_bind_param(self, value: Any, _: Dialect) -> Any:
        json.dumps(value, allow_nan=False)
        return value


# SQLite numbers its own rows only in a column that is exactly INTEGER.
ID = BigInteger().with_variant(Integer(), "sqlite")

metadata = MetaData(
    naming_convention={
        "pk": "pk_%(table_name)s",
        "fk": "fk_%(table_name)s_%(column_0_N_name)s",
        "uq": "uq_%(table_name)s_%(column_0_N_name)s",
        "ix": "ix_%(table_name)s_%(column_0_N_name)s",
    }
)

versions = Table(
    "vp_versions",
    metadata,
    Column("dataset", Text, nullable=False),
    Column("number", Integer, nullable=False),
    Column("space", Text, nullable=False),
    Column("fingerprint", Text, nullable=False),
    Column("embedder_fingerprint", Text, nullable=False),
    Column("dimension", Integer, nullable=False),
    Column("metric", Text, nullable=False),
    Column("digest", Text, nullable=False),
    Column("lake_snapshot", BigInteger, nullable=False),
    Column("parent", Integer),
    Column("documents", BigInteger, nullable=False),
    Column("records", BigInteger, nullable=False),
    Column("chunk_table", Text, nullable=False),
    Column("embedding_table", Text, nullable=False),
    Column("run_id", Text),
    Column("code_revision", Text),
    Column("message", Text, nullable=False),
    Column("created_at", UtcDateTime, nullable=False),
    Column("expired_at", UtcDateTime),
    Column("pinned", Boolean, nullable=False),
    # For people: the fingerprints say whether it is the same, these say what it was. Null for versions before revision 0003.
    Column("model", Text),
    Column("chunker", Text),
    PrimaryKeyConstraint("dataset", "number"),
)

deployments = Table(
    "vp_deployments",
    metadata,
    Column("id", ID, primary_key=True, autoincrement=True),
    Column("dataset", Text, nullable=False),
    Column("environment", Text, nullable=False),
    Column("target", Text, nullable=False),
    Column("namespace", Text, nullable=False),
    Column("version", Integer, nullable=False),
    Column("space", Text, nullable=False),
    Column("fingerprint", Text, nullable=False),
    Column("status", Text, nullable=False),
    Column("digest", Text),
    Column("records", BigInteger, nullable=False),
    Column("created_at", UtcDateTime, nullable=False),
    Column("updated_at", UtcDateTime, nullable=False),
    Column("run_id", Text),
    Column("strategy", Text, nullable=False, server_default="versioned"),
    ForeignKeyConstraint(["dataset", "version"], ["vp_versions.dataset", "vp_versions.number"]),
    UniqueConstraint("environment", "target", "namespace", "version"),
    sqlite_autoincrement=True,
)

aliases = Table(
    "vp_aliases",
    metadata,
    Column("dataset", Text, nullable=False),
    Column("environment", Text, nullable=False),
    Column("name", Text, nullable=False),
    Column("deployment_id", ID, ForeignKey("vp_deployments.id"), nullable=False),
    Column("generation", BigInteger, nullable=False),
    Column("moved_at", UtcDateTime, nullable=False),
    Column("moved_by", Text, nullable=False),
    Column("reason", Text, nullable=False),
    PrimaryKeyConstraint("dataset", "environment", "name"),
    Index(None, "deployment_id"),
)

alias_moves = Table(
    "vp_alias_moves",
    metadata,
    Column("id", ID, primary_key=True, autoincrement=True),
    Column("dataset", Text, nullable=False),
    Column("environment", Text, nullable=False),
    Column("name", Text, nullable=False),
    Column("generation", BigInteger, nullable=False),
    Column("kind", Text, nullable=False),
    Column("from_deployment", ID, ForeignKey("vp_deployments.id")),
    Column("to_deployment", ID, ForeignKey("vp_deployments.id"), nullable=False),
    Column("from_version", Integer),
    Column("to_version", Integer, nullable=False),
    Column("at", UtcDateTime, nullable=False),
    Column("by", Text, nullable=False),
    Column("reason", Text, nullable=False),
    Column("run_id", Text),
    # The second guard of the compare-and-swap: one move a generation, whatever the code above does.
    UniqueConstraint("dataset", "environment", "name", "generation"),
    sqlite_autoincrement=True,
)

verdicts = Table(
    "vp_verdicts",
    metadata,
    Column("id", ID, primary_key=True, autoincrement=True),
    Column("deployment_id", ID, ForeignKey("vp_deployments.id"), nullable=False),
    Column("dataset", Text, nullable=False),
    Column("environment", Text, nullable=False),
    Column("check_name", Text, nullable=False),
    Column("status", Text, nullable=False),
    Column("digest", Text, nullable=False),
    Column("detail", Json, nullable=False),
    Column("created_at", UtcDateTime, nullable=False),
    Column("run_id", Text),
    # Of the target's namespace before the check looked at it; null for checks of the lake.
    Column("mark", Text),
    Index(None, "deployment_id", "check_name"),
    sqlite_autoincrement=True,
)

leases = Table(
    "vp_leases",
    metadata,
    Column("resource", Text, nullable=False),
    # Null while nobody holds it: the row stays for ever, because its fence may only grow.
    Column("holder", Text),
    Column("fence", BigInteger, nullable=False),
    Column("expires_at", UtcDateTime, nullable=False),
    PrimaryKeyConstraint("resource"),
)

pushes = Table(
    "vp_pushes",
    metadata,
    Column("id", ID, primary_key=True, autoincrement=True),
    Column("deployment_id", ID, ForeignKey("vp_deployments.id"), nullable=False),
    Column("dataset", Text, nullable=False),
    Column("environment", Text, nullable=False),
    Column("plan", Json, nullable=False),
    Column("fence", BigInteger, nullable=False),
    Column("run_id", Text),
    Column("status", Text, nullable=False),
    Column("opened_at", UtcDateTime, nullable=False),
    Column("closed_at", UtcDateTime),
    Index(None, "dataset", "environment"),
    Index(None, "deployment_id"),
    sqlite_autoincrement=True,
)

intents = Table(
    "vp_intents",
    metadata,
    Column("id", ID, primary_key=True, autoincrement=True),
    Column("push_id", ID, ForeignKey("vp_pushes.id"), nullable=False),
    Column("dataset", Text, nullable=False),
    Column("step", Text, nullable=False),
    Column("payload", Json, nullable=False),
    Column("at", UtcDateTime, nullable=False),
    Index(None, "push_id"),
    sqlite_autoincrement=True,
)

outcomes = Table(
    "vp_outcomes",
    metadata,
    Column("id", ID, primary_key=True, autoincrement=True),
    Column("intent_id", ID, ForeignKey("vp_intents.id"), nullable=False),
    Column("push_id", ID, ForeignKey("vp_pushes.id"), nullable=False),
    Column("dataset", Text, nullable=False),
    Column("outcome", Text, nullable=False),
    Column("payload", Json, nullable=False),
    Column("at", UtcDateTime, nullable=False),
    Index(None, "push_id"),
    Index(None, "intent_id"),
    sqlite_autoincrement=True,
)

# What a namespace was after the last write of ours: by this a foreign hand is noticed without reading records.
namespaces = Table(
    "vp_namespaces",
    metadata,
    Column("environment", Text, nullable=False),
    Column("target", Text, nullable=False),
    Column("namespace", Text, nullable=False),
    Column("dataset", Text, nullable=False),
    Column("mark", Text, nullable=False),
    Column("records", BigInteger, nullable=False),
    Column("updated_at", UtcDateTime, nullable=False),
    PrimaryKeyConstraint("environment", "target", "namespace"),
)

audits = Table(
    "vp_audits",
    metadata,
    Column("id", ID, primary_key=True, autoincrement=True),
    Column("dataset", Text, nullable=False),
    Column("environment", Text, nullable=False),
    # Null for an audit of a line's other versions, that no alias names.
    Column("alias", Text),
    Column("deployment_id", ID, ForeignKey("vp_deployments.id")),
    Column("level", Text, nullable=False),
    Column("drifted", Boolean, nullable=False),
    Column("counts", Json, nullable=False),
    Column("detail", Json, nullable=False),
    Column("at", UtcDateTime, nullable=False),
    Column("by", Text, nullable=False),
    Column("run_id", Text),
    Index(None, "dataset", "environment"),
    Index(None, "deployment_id"),
    sqlite_autoincrement=True,
)

# A document that was erased never comes back by a build: its key (a hash) is all that stays of it.
erasures = Table(
    "vp_erasures",
    metadata,
    Column("id", ID, primary_key=True, autoincrement=True),
    Column("dataset", Text, nullable=False),
    Column("document_key", Text, nullable=False),
    Column("at", UtcDateTime, nullable=False),
    Column("by", Text, nullable=False),
    Column("reason", Text, nullable=False),
    Column("report", Json, nullable=False),
    Index(None, "dataset", "document_key"),
    sqlite_autoincrement=True,
)

# A target that a dataset is not served from for the time being, although the configuration says so; or no more (``removed``).
withdrawals = Table(
    "vp_withdrawals",
    metadata,
    Column("id", ID, primary_key=True, autoincrement=True),
    Column("dataset", Text, nullable=False),
    Column("environment", Text, nullable=False),
    Column("target", Text, nullable=False),
    Column("removed", Boolean, nullable=False),
    Column("at", UtcDateTime, nullable=False),
    Column("by", Text, nullable=False),
    Column("reason", Text, nullable=False),
    Column("run_id", Text),
    Column("ended_at", UtcDateTime),
    Column("ended_by", Text),
    Index(None, "dataset", "environment"),
    sqlite_autoincrement=True,
)

# Gates that a person let a deployment past, with the move of an alias that it was for.
overrides = Table(
    "vp_overrides",
    metadata,
    Column("id", ID, primary_key=True, autoincrement=True),
    Column("move_id", ID, ForeignKey("vp_alias_moves.id"), nullable=False),
    Column("deployment_id", ID, ForeignKey("vp_deployments.id"), nullable=False),
    Column("dataset", Text, nullable=False),
    Column("environment", Text, nullable=False),
    Column("check_name", Text, nullable=False),
    # What the gate said then.
    Column("status", Text, nullable=False),
    Column("summary", Text, nullable=False),
    Column("digest", Text, nullable=False),
    Column("mark", Text),
    Column("at", UtcDateTime, nullable=False),
    Column("by", Text, nullable=False),
    Column("reason", Text, nullable=False),
    Column("run_id", Text),
    Index(None, "move_id"),
    Index(None, "deployment_id"),
    Index(None, "dataset", "environment"),
    sqlite_autoincrement=True,
)

# Shards of a space that were brought to hold every document of theirs, and attempts that failed: how far a re-embedding is.
fills = Table(
    "vp_fills",
    metadata,
    Column("id", ID, primary_key=True, autoincrement=True),
    Column("dataset", Text, nullable=False),
    Column("space", Text, nullable=False),
    Column("fingerprint", Text, nullable=False),
    Column("shard", Integer, nullable=False),
    Column("status", Text, nullable=False),
    Column("documents", BigInteger, nullable=False),
    Column("records", BigInteger, nullable=False),
    # Texts that the model embedded for it, and how long that took.
    Column("embedded", BigInteger, nullable=False),
    Column("seconds", Float, nullable=False),
    Column("error", Text),
    Column("at", UtcDateTime, nullable=False),
    Column("run_id", Text),
    Index(None, "dataset", "fingerprint"),
    sqlite_autoincrement=True,
)

# A share of the readers of production who get another version: the step before a cut-over.
routes = Table(
    "vp_routes",
    metadata,
    Column("id", ID, primary_key=True, autoincrement=True),
    Column("dataset", Text, nullable=False),
    Column("environment", Text, nullable=False),
    Column("version", Integer, nullable=False),
    Column("share", Float, nullable=False),
    Column("at", UtcDateTime, nullable=False),
    Column("by", Text, nullable=False),
    Column("reason", Text, nullable=False),
    Column("run_id", Text),
    Column("ended_at", UtcDateTime),
    Column("ended_by", Text),
    # Ids of those that passed their gates when it was begun, one a place.
    Column("deployments", Json, nullable=False),
    ForeignKeyConstraint(["dataset", "version"], ["vp_versions.dataset", "vp_versions.number"]),
    Index(None, "dataset", "environment"),
    sqlite_autoincrement=True,
)

# Fitted maps from queries of one embedder to vectors of another, with the recall that each was measured to have.
bridges = Table(
    "vp_bridges",
    metadata,
    Column("id", ID, primary_key=True, autoincrement=True),
    Column("dataset", Text, nullable=False),
    Column("environment", Text, nullable=False),
    # Embedders, not spaces: neither queries nor vectors of a text depend on the chunker.
    Column("from_embedder", Text, nullable=False),
    Column("to_embedder", Text, nullable=False),
    Column("kind", Text, nullable=False),
    Column("fingerprint", Text, nullable=False),
    Column("map", LargeBinary, nullable=False),
    Column("recall", Float, nullable=False),
    Column("detail", Json, nullable=False),
    Column("at", UtcDateTime, nullable=False),
    Column("by", Text, nullable=False),
    Column("run_id", Text),
    Column("ended_at", UtcDateTime),
    Column("ended_by", Text),
    Index(None, "dataset", "environment"),
    sqlite_autoincrement=True,
)

# The registry's own name, which is on every namespace that it made: one row, for good.
registry = Table("vp_registry", metadata, Column("id", Text, primary_key=True))

# Environments that the registry serves: whose writing verb came here first is remembered by name.
environments = Table(
    "vp_environments",
    metadata,
    Column("name", Text, primary_key=True),
    Column("sample", Float),
    # Digest of the secret, with its salt; null while it is not sealed.
    Column("seal", Text),
    # Who let it in beside an environment that is sealed; null: nobody.
    Column("sharing", Text),
    Column("at", UtcDateTime, nullable=False),
    Column("by", Text, nullable=False),
    Column("sealed_at", UtcDateTime),
    Column("sealed_by", Text),
)

# Writing verbs that a person let through without the seal.
broken_seals = Table(
    "vp_broken_seals",
    metadata,
    Column("id", ID, primary_key=True, autoincrement=True),
    Column("environment", Text, nullable=False),
    Column("dataset", Text),
    Column("verb", Text, nullable=False),
    Column("at", UtcDateTime, nullable=False),
    Column("by", Text, nullable=False),
    Column("reason", Text, nullable=False),
    Column("run_id", Text),
    Index(None, "environment"),
    sqlite_autoincrement=True,
)

# What pull requests built: see ``previews``. Everything else that the registry holds of one has ``held_as`` as its dataset.
previews = Table(
    "vp_previews",
    metadata,
    Column("id", ID, primary_key=True, autoincrement=True),
    # The dataset that it is a preview of. Not ``dataset``: that would make it one of that dataset's own rows.
    Column("origin", Text, nullable=False),
    Column("environment", Text, nullable=False),
    Column("name", Text, nullable=False),
    Column("held_as", Text, nullable=False),
    Column("revision", Text),
    Column("begun_at", UtcDateTime, nullable=False),
    Column("begun_by", Text, nullable=False),
    Column("expires_at", UtcDateTime, nullable=False),
    # From here on nobody goes on with it.
    Column("ending_at", UtcDateTime),
    Column("ended_by", Text),
    Column("reason", Text, nullable=False),
    # From here on nothing is left of it but this row.
    Column("ended_at", UtcDateTime),
    Column("detail", Json, nullable=False),
    Index(None, "origin", "environment"),
    sqlite_autoincrement=True,
)
