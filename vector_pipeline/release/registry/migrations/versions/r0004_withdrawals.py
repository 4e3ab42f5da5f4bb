"""Targets that a dataset is not served from for the time being, or no more."""

import sqlalchemy as sa
from alembic import op

revision = "0004"
down_revision = "0003"
branch_labels = None
depends_on = None

ID = sa.BigInteger().with_variant(sa.Integer(), "sqlite")
TIME = sa.DateTime(timezone=True).with_variant(sa.String(32), "sqlite")


def text(name: str, *, nullable: bool = False) -> sa.Column[str]:
    return sa.Column(name, sa.Text(), nullable=nullable)


def upgrade() -> None:
    op.create_table(
        "vp_withdrawals",
        sa.Column("id", ID, autoincrement=True, nullable=False),
        sa.PrimaryKeyConstraint("id", name="pk_vp_withdrawals"),
        text("dataset"),
        text("environment"),
        text("target"),
        sa.Column("removed", sa.Boolean(), nullable=False),
        sa.Column("at", TIME, nullable=False),
        text("by"),
        text("reason"),
        text("run_id", nullable=True),
        sa.Column("ended_at", TIME, nullable=True),
        text("ended_by", nullable=True),
        sqlite_autoincrement=True,
    )
    op.create_index("ix_vp_withdrawals_dataset_environment", "vp_withdrawals", ["dataset", "environment"])
