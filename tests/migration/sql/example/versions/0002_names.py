import sqlalchemy as sa
from alembic import op

revision = "0002"
down_revision = "0001"


def upgrade() -> None:
    op.add_column("thing", sa.Column("name", sa.Text, nullable=False, server_default=""))
