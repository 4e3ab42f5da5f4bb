"""The first tables: versions, deployments, aliases, verdicts, leases, pushes and their journal."""

import sqlalchemy as sa
from alembic import op

revision = "0001"
down_revision = None
branch_labels = None
depends_on = None

# Types are written out, not imported: a migration says what was true when it was written.
ID = sa.BigInteger().with_variant(sa.Integer(), "sqlite")
TIME = sa.DateTime(timezone=True).with_variant(sa.String(32), "sqlite")


def text(name: str, *, nullable: bool = False) -> sa.Column[str]:
    return sa.Column(name, sa.Text(), nullable=nullable)


def time(name: str, *, nullable: bool = False) -> sa.Column[object]:
    return sa.Column(name, TIME, nullable=nullable)


def big(name: str) -> sa.Column[int]:
    return sa.Column(name, sa.BigInteger(), nullable=False)


def integer(name: str, *, nullable: bool = False) -> sa.Column[int]:
    return sa.Column(name, sa.Integer(), nullable=nullable)


def own_id(table: str) -> tuple[sa.Column[int], sa.PrimaryKeyConstraint]:
    column = sa.Column("id", ID, autoincrement=True, nullable=False)
    return column, sa.PrimaryKeyConstraint("id", name=f"pk_{table}")


def reference(table: str, column: str, to: str) -> sa.ForeignKeyConstraint:
    return sa.ForeignKeyConstraint([column], [f"{to}.id"], name=f"fk_{table}_{column}")


def other_id(name: str, *, nullable: bool = False) -> sa.Column[int]:
    return sa.Column(name, ID, nullable=nullable)


def upgrade() -> None:
    _versions()
    _deployments()
    _aliases()
    _verdicts()
    _leases()
    _journal()


def _versions() -> None:
    op.create_table(
        "vp_versions",
        text("dataset"),
        integer("number"),
        text("space"),
        text("fingerprint"),
        text("embedder_fingerprint"),
        integer("dimension"),
        text("metric"),
        text("digest"),
        big("lake_snapshot"),
        integer("parent", nullable=True),
        big("documents"),
        big("records"),
        text("chunk_table"),
        text("embedding_table"),
        text("run_id", nullable=True),
        text("code_revision", nullable=True),
        text("message"),
        time("created_at"),
        time("expired_at", nullable=True),
        sa.Column("pinned", sa.Boolean(), nullable=False),
        sa.PrimaryKeyConstraint("dataset", "number", name="pk_vp_versions"),
    )


def _deployments() -> None:
    op.create_table(
        "vp_deployments",
        *own_id("vp_deployments"),
        text("dataset"),
        text("environment"),
        text("target"),
        text("namespace"),
        integer("version"),
        text("space"),
        text("fingerprint"),
        text("status"),
        text("digest", nullable=True),
        big("records"),
        time("created_at"),
        time("updated_at"),
        text("run_id", nullable=True),
        sa.ForeignKeyConstraint(
            ["dataset", "version"],
            ["vp_versions.dataset", "vp_versions.number"],
            name="fk_vp_deployments_dataset_version",
        ),
        sa.UniqueConstraint(
            "environment",
            "target",
            "namespace",
            "version",
            name="uq_vp_deployments_environment_target_namespace_version",
        ),
        sqlite_autoincrement=True,
    )


def _aliases() -> None:
    op.create_table(
        "vp_aliases",
        text("dataset"),
        text("environment"),
        text("name"),
        other_id("deployment_id"),
        big("generation"),
        time("moved_at"),
        text("moved_by"),
        text("reason"),
        reference("vp_aliases", "deployment_id", "vp_deployments"),
        sa.PrimaryKeyConstraint("dataset", "environment", "name", name="pk_vp_aliases"),
    )
    op.create_index("ix_vp_aliases_deployment_id", "vp_aliases", ["deployment_id"])
    op.create_table(
        "vp_alias_moves",
        *own_id("vp_alias_moves"),
        text("dataset"),
        text("environment"),
        text("name"),
        big("generation"),
        text("kind"),
        other_id("from_deployment", nullable=True),
        other_id("to_deployment"),
        integer("from_version", nullable=True),
        integer("to_version"),
        time("at"),
        text("by"),
        text("reason"),
        text("run_id", nullable=True),
        reference("vp_alias_moves", "from_deployment", "vp_deployments"),
        reference("vp_alias_moves", "to_deployment", "vp_deployments"),
        sa.UniqueConstraint(
            "dataset",
            "environment",
            "name",
            "generation",
            name="uq_vp_alias_moves_dataset_environment_name_generation",
        ),
        sqlite_autoincrement=True,
    )


def _verdicts() -> None:
    op.create_table(
        "vp_verdicts",
        *own_id("vp_verdicts"),
        other_id("deployment_id"),
        text("dataset"),
        text("environment"),
        text("check_name"),
        text("status"),
        text("digest"),
        sa.Column("detail", sa.JSON(), nullable=False),
        time("created_at"),
        text("run_id", nullable=True),
        reference("vp_verdicts", "deployment_id", "vp_deployments"),
        sqlite_autoincrement=True,
    )
    op.create_index("ix_vp_verdicts_deployment_id_check_name", "vp_verdicts", ["deployment_id", "check_name"])


def _leases() -> None:
    op.create_table(
        "vp_leases",
        text("resource"),
        text("holder", nullable=True),
        big("fence"),
        time("expires_at"),
        sa.PrimaryKeyConstraint("resource", name="pk_vp_leases"),
    )


def _journal() -> None:
    op.create_table(
        "vp_pushes",
        *own_id("vp_pushes"),
        other_id("deployment_id"),
        text("dataset"),
        text("environment"),
        sa.Column("plan", sa.JSON(), nullable=False),
        big("fence"),
        text("run_id", nullable=True),
        text("status"),
        time("opened_at"),
        time("closed_at", nullable=True),
        reference("vp_pushes", "deployment_id", "vp_deployments"),
        sqlite_autoincrement=True,
    )
    op.create_index("ix_vp_pushes_dataset_environment", "vp_pushes", ["dataset", "environment"])
    op.create_index("ix_vp_pushes_deployment_id", "vp_pushes", ["deployment_id"])
    op.create_table(
        "vp_intents",
        *own_id("vp_intents"),
        other_id("push_id"),
        text("dataset"),
        text("step"),
        sa.Column("payload", sa.JSON(), nullable=False),
        time("at"),
        reference("vp_intents", "push_id", "vp_pushes"),
        sqlite_autoincrement=True,
    )
    op.create_index("ix_vp_intents_push_id", "vp_intents", ["push_id"])
    op.create_table(
        "vp_outcomes",
        *own_id("vp_outcomes"),
        other_id("intent_id"),
        other_id("push_id"),
        text("dataset"),
        text("outcome"),
        sa.Column("payload", sa.JSON(), nullable=False),
        time("at"),
        reference("vp_outcomes", "intent_id", "vp_intents"),
        reference("vp_outcomes", "push_id", "vp_pushes"),
        sqlite_autoincrement=True,
    )
    op.create_index("ix_vp_outcomes_push_id", "vp_outcomes", ["push_id"])
    op.create_index("ix_vp_outcomes_intent_id", "vp_outcomes", ["intent_id"])
