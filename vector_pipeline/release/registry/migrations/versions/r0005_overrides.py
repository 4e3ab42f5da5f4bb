"""Gates that a person let a version past, with the move that it was for."""

import sqlalchemy as sa
from alembic import op

revision = "0005"
down_revision = "0004"
branch_labels = None
depends_on = None

ID = sa.BigInteger().with_variant(sa.Integer(), "sqlite")
TIME = sa.DateTime(timezone=True).with_variant(sa.String(32), "sqlite")


def text(name: str, *, nullable: bool = False) -> sa.Column[str]:
    return sa.Column(name, sa.Text(), nullable=nullable)


def upgrade() -> None:
    op.create_table(
        "vp_overrides",
        sa.Column("id", ID, autoincrement=True, nullable=False),
        sa.PrimaryKeyConstraint("id", name="pk_vp_overrides"),
        sa.Column("move_id", ID, nullable=False),
        sa.Column("deployment_id", ID, nullable=False),
        text("dataset"),
        text("environment"),
        text("check_name"),
        text("status"),
        text("summary"),
        text("digest"),
        text("mark", nullable=True),
        sa.Column("at", TIME, nullable=False),
        text("by"),
        text("reason"),
        text("run_id", nullable=True),
        sa.ForeignKeyConstraint(["move_id"], ["vp_alias_moves.id"], name="fk_vp_overrides_move_id"),
        sa.ForeignKeyConstraint(["deployment_id"], ["vp_deployments.id"], name="fk_vp_overrides_deployment_id"),
        sqlite_autoincrement=True,
    )
    op.create_index("ix_vp_overrides_move_id", "vp_overrides", ["move_id"])
    op.create_index("ix_vp_overrides_deployment_id", "vp_overrides", ["deployment_id"])
    op.create_index("ix_vp_overrides_dataset_environment", "vp_overrides", ["dataset", "environment"])
