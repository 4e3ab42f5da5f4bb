"""Versions name their model and chunker, deployments their strategy; namespaces after our last write; audits; erasures."""

import sqlalchemy as sa
from alembic import op

revision = "0003"
down_revision = "0002"
branch_labels = None
depends_on = None

ID = sa.BigInteger().with_variant(sa.Integer(), "sqlite")
TIME = sa.DateTime(timezone=True).with_variant(sa.String(32), "sqlite")


def text(name: str, *, nullable: bool = False) -> sa.Column[str]:
    return sa.Column(name, sa.Text(), nullable=nullable)


def json(name: str) -> sa.Column[object]:
    return sa.Column(name, sa.JSON(), nullable=False)


def time(name: str) -> sa.Column[object]:
    return sa.Column(name, TIME, nullable=False)


def own_id(table: str) -> tuple[sa.Column[int], sa.PrimaryKeyConstraint]:
    return sa.Column("id", ID, autoincrement=True, nullable=False), sa.PrimaryKeyConstraint("id", name=f"pk_{table}")


def upgrade() -> None:
    # What made the versions so far is in their fingerprints only.
    op.add_column("vp_versions", text("model", nullable=True))
    op.add_column("vp_versions", text("chunker", nullable=True))
    # What exists was pushed by the only strategy that there was.
    op.add_column("vp_deployments", sa.Column("strategy", sa.Text(), nullable=False, server_default="versioned"))
    op.create_table(
        "vp_namespaces",
        text("environment"),
        text("target"),
        text("namespace"),
        text("dataset"),
        text("mark"),
        sa.Column("records", sa.BigInteger(), nullable=False),
        time("updated_at"),
        sa.PrimaryKeyConstraint("environment", "target", "namespace", name="pk_vp_namespaces"),
    )
    op.create_table(
        "vp_audits",
        *own_id("vp_audits"),
        text("dataset"),
        text("environment"),
        text("alias", nullable=True),
        sa.Column("deployment_id", ID, nullable=True),
        text("level"),
        sa.Column("drifted", sa.Boolean(), nullable=False),
        json("counts"),
        json("detail"),
        time("at"),
        text("by"),
        text("run_id", nullable=True),
        sa.ForeignKeyConstraint(["deployment_id"], ["vp_deployments.id"], name="fk_vp_audits_deployment_id"),
        sqlite_autoincrement=True,
    )
    op.create_index("ix_vp_audits_dataset_environment", "vp_audits", ["dataset", "environment"])
    op.create_index("ix_vp_audits_deployment_id", "vp_audits", ["deployment_id"])
    op.create_table(
        "vp_erasures",
        *own_id("vp_erasures"),
        text("dataset"),
        text("document_key"),
        time("at"),
        text("by"),
        text("reason"),
        json("report"),
        sqlite_autoincrement=True,
    )
    op.create_index("ix_vp_erasures_dataset_document_key", "vp_erasures", ["dataset", "document_key"])
