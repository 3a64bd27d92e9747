"""What Alembic runs for every service: the connection is given, and its transaction is ours."""

from alembic import context

context.configure(connection=context.config.attributes["connection"])
context.run_migrations()
