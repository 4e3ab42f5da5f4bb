"""An id for the registry, the environments that it serves, and seals that a person broke."""

import secrets

import sqlalchemy as sa
from alembic import op

revision = "0007"
down_revision = "0006"
branch_labels = None
depends_on = None

ID = sa.BigInteger().with_variant(sa.Integer(), "sqlite")
TIME = sa.DateTime(timezone=True).with_variant(sa.String(32), "sqlite")


def text(name: str, *, nullable: bool = False) -> sa.Column[str]:
    return sa.Column(name, sa.Text(), nullable=nullable)


def upgrade() -> None:
    registry = op.create_table("vp_registry", text("id"), sa.PrimaryKeyConstraint("id", name="pk_vp_registry"))
    op.bulk_insert(registry, [{"id": secrets.token_hex(8)}])
    op.create_table(
        "vp_environments",
        text("name"),
        sa.PrimaryKeyConstraint("name", name="pk_vp_environments"),
        sa.Column("sample", sa.Float(), nullable=True),
        text("seal", nullable=True),
        text("sharing", nullable=True),
        sa.Column("at", TIME, nullable=False),
        text("by"),
        sa.Column("sealed_at", TIME, nullable=True),
        text("sealed_by", nullable=True),
    )
    op.create_table(
        "vp_broken_seals",
        sa.Column("id", ID, autoincrement=True, nullable=False),
        sa.PrimaryKeyConstraint("id", name="pk_vp_broken_seals"),
        text("environment"),
        text("dataset", nullable=True),
        text("verb"),
        sa.Column("at", TIME, nullable=False),
        text("by"),
        text("reason"),
        text("run_id", nullable=True),
        sqlite_autoincrement=True,
    )
    op.create_index("ix_vp_broken_seals_environment", "vp_broken_seals", ["environment"])
