"""Previews: what a pull request built beside everybody else, and until when."""

import sqlalchemy as sa
from alembic import op

revision = "0008"
down_revision = "0007"
branch_labels = None
depends_on = None

ID = sa.BigInteger().with_variant(sa.Integer(), "sqlite")
TIME = sa.DateTime(timezone=True).with_variant(sa.String(32), "sqlite")


def text(name: str, *, nullable: bool = False) -> sa.Column[str]:
    return sa.Column(name, sa.Text(), nullable=nullable)


def upgrade() -> None:
    op.create_table(
        "vp_previews",
        sa.Column("id", ID, autoincrement=True, nullable=False),
        sa.PrimaryKeyConstraint("id", name="pk_vp_previews"),
        text("origin"),
        text("environment"),
        text("name"),
        text("held_as"),
        text("revision", nullable=True),
        sa.Column("begun_at", TIME, nullable=False),
        text("begun_by"),
        sa.Column("expires_at", TIME, nullable=False),
        sa.Column("ending_at", TIME, nullable=True),
        text("ended_by", nullable=True),
        text("reason"),
        sa.Column("ended_at", TIME, nullable=True),
        sa.Column("detail", sa.JSON(), nullable=False),
        sqlite_autoincrement=True,
    )
    op.create_index("ix_vp_previews_origin_environment", "vp_previews", ["origin", "environment"])
