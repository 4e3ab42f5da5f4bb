"""How far a space is filled, which share of readers gets another version, and bridges between embedders."""

import sqlalchemy as sa
from alembic import op

revision = "0006"
down_revision = "0005"
branch_labels = None
depends_on = None

ID = sa.BigInteger().with_variant(sa.Integer(), "sqlite")
TIME = sa.DateTime(timezone=True).with_variant(sa.String(32), "sqlite")


def text(name: str, *, nullable: bool = False) -> sa.Column[str]:
    return sa.Column(name, sa.Text(), nullable=nullable)


def upgrade() -> None:
    op.create_table(
        "vp_fills",
        sa.Column("id", ID, autoincrement=True, nullable=False),
        sa.PrimaryKeyConstraint("id", name="pk_vp_fills"),
        text("dataset"),
        text("space"),
        text("fingerprint"),
        sa.Column("shard", sa.Integer(), nullable=False),
        text("status"),
        sa.Column("documents", sa.BigInteger(), nullable=False),
        sa.Column("records", sa.BigInteger(), nullable=False),
        sa.Column("embedded", sa.BigInteger(), nullable=False),
        sa.Column("seconds", sa.Float(), nullable=False),
        text("error", nullable=True),
        sa.Column("at", TIME, nullable=False),
        text("run_id", nullable=True),
        sqlite_autoincrement=True,
    )
    op.create_index("ix_vp_fills_dataset_fingerprint", "vp_fills", ["dataset", "fingerprint"])
    op.create_table(
        "vp_routes",
        sa.Column("id", ID, autoincrement=True, nullable=False),
        sa.PrimaryKeyConstraint("id", name="pk_vp_routes"),
        text("dataset"),
        text("environment"),
        sa.Column("version", sa.Integer(), nullable=False),
        sa.Column("share", sa.Float(), nullable=False),
        sa.Column("at", TIME, nullable=False),
        text("by"),
        text("reason"),
        text("run_id", nullable=True),
        sa.Column("ended_at", TIME, nullable=True),
        text("ended_by", nullable=True),
        sa.Column("deployments", sa.JSON(), nullable=False),
        sa.ForeignKeyConstraint(
            ["dataset", "version"], ["vp_versions.dataset", "vp_versions.number"], name="fk_vp_routes_dataset_version"
        ),
        sqlite_autoincrement=True,
    )
    op.create_index("ix_vp_routes_dataset_environment", "vp_routes", ["dataset", "environment"])
    op.create_table(
        "vp_bridges",
        sa.Column("id", ID, autoincrement=True, nullable=False),
        sa.PrimaryKeyConstraint("id", name="pk_vp_bridges"),
        text("dataset"),
        text("environment"),
        text("from_embedder"),
        text("to_embedder"),
        text("kind"),
        text("fingerprint"),
        sa.Column("map", sa.LargeBinary(), nullable=False),
        sa.Column("recall", sa.Float(), nullable=False),
        sa.Column("detail", sa.JSON(), nullable=False),
        sa.Column("at", TIME, nullable=False),
        text("by"),
        text("run_id", nullable=True),
        sa.Column("ended_at", TIME, nullable=True),
        text("ended_by", nullable=True),
        sqlite_autoincrement=True,
    )
    op.create_index("ix_vp_bridges_dataset_environment", "vp_bridges", ["dataset", "environment"])
