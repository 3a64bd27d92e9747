"""An inbox's store on a database with nothing in it."""

from libs.sql.engine import Database
from libs.sql.migrations import migrate
from services.webhooks import migrations
from services.webhooks.store import SqlEventStore


async def open_event_store(database: Database) -> SqlEventStore:
    """A store whose tables are there."""
    await migrate(database, package=migrations.__name__, head=migrations.HEAD)
    return SqlEventStore(database)
