"""An inbox's store on a database with nothing in it."""

from libs.errors import AppError
from libs.sql.engine import Database
from libs.sql.migrations import migrate
from libs.sql.paging import PageTokens
from services.webhooks import migrations
from services.webhooks.domain.delivery import Delivery
from services.webhooks.domain.event import NewEvent, Receipt
from services.webhooks.domain.inbox import Listed
from services.webhooks.domain.source import BUILT_IN, Source, UnknownSource
from services.webhooks.domain.verification.scheme import Credentials
from services.webhooks.events.store import SqlEventStore
from tests.support.memory_event_store import MemoryEventStore

TOKENS = PageTokens(b"page tokens of tests")
EventStore = SqlEventStore | MemoryEventStore


async def open_event_store(database: Database) -> SqlEventStore:
    """A store whose tables are there."""
    await migrate(database, package=migrations.__name__, head=migrations.HEAD)
    return SqlEventStore(database, TOKENS)


async def always() -> None:
    """The store is ready."""


class QuietLog:
    """Counts nothing."""

    def stored(self, source: Source, event: NewEvent, receipt: Receipt, seconds: float) -> None:
        """A delivery was stored."""

    def refused(self, delivery: Delivery, error: AppError) -> None:
        """A delivery was refused."""


class OpenSources:
    """The built-in sources without secrets: this machine may deliver."""

    def get(self, name: str) -> Listed:
        """The source of this name."""
        if name not in BUILT_IN:
            raise UnknownSource(name)
        return Listed(source=BUILT_IN[name], credentials=Credentials(secrets=(), required=False))

    async def refresh(self) -> bool:
        """Nothing changes."""
        return False
