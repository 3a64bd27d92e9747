import sqlalchemy as sa
from alembic import op

revision = "0001"
down_revision = None


def upgrade() -> None:
    op.create_table("half", sa.Column("id", sa.Text, primary_key=True))
    op.execute("ALTER TABLE missing RENAME TO lost")
