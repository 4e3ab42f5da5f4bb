"""Verdicts name the state of the index that they were given for: its mark."""

import sqlalchemy as sa
from alembic import op

revision = "0002"
down_revision = "0001"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.add_column("vp_verdicts", sa.Column("mark", sa.Text(), nullable=True))
