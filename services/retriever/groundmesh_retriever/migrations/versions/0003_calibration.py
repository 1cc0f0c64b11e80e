"""From which nearness of a passage on the questions of a collection are answered."""

import sqlalchemy as sa
from alembic import op

revision = "0003"
down_revision = "0002"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.add_column("collections", sa.Column("calibration", sa.JSON(none_as_null=True)))
