"""Events as rows, in whatever state a test wants them, without going through the inbox."""

from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from typing import Any

from sqlalchemy import delete, insert, select

from libs import ids
from libs.sql.engine import Database
from libs.sql.migrations import migrate
from services.webhooks import migrations
from services.webhooks.tables import event, event_body, work

LONG_AGO = datetime(2026, 1, 1, tzinfo=UTC)
SECOND = timedelta(seconds=1)
_ENDED = ("DONE", "DEAD", "IGNORED")


class Ledger:
    """The events of an inbox."""

    def __init__(self, database: Database) -> None:
        self.database = database
        self._put = 0

    async def put(
        self,
        state: str = "DEAD",
        *,
        count: int = 1,
        reason: str | None = None,
        error: str = "",
        source: str = "lidarr",
        received_at: datetime | None = None,
        stored_at: datetime = LONG_AGO,
        lease_until: datetime | None = None,
    ) -> list[str]:
        """So many events, each received a second after the one before unless a time is given; their ids."""
        new = [ids.new("evt") for _ in range(count)]
        given_up = "HANDLER_ERROR" if state == "DEAD" else ""
        async with self.database.writing() as connection:
            for event_id in new:
                self._put += 1
                received = received_at or LONG_AGO + self._put * SECOND
                row = _event(event_id, source, received, stored_at) | {"reason": given_up if reason is None else reason}
                body = {"stored_on": -1, "event_id": event_id, "headers": {}, "body": b"{}"}
                await connection.execute(insert(event).values(row))
                await connection.execute(insert(work.work).values(_job(event_id, state, error, stored_at, lease_until)))
                await connection.execute(insert(event_body).values(body))
        return new

    async def states(self, event_ids: Sequence[str]) -> list[str]:
        """The states of events, in the order of the ids; `GONE` for one that is not there."""
        statement = select(work.work.c.id, work.work.c.state).where(work.work.c.id.in_(event_ids))
        async with self.database.reading() as connection:
            found = {event_id: state for event_id, state in await connection.execute(statement)}
        return [found.get(event_id, "GONE") for event_id in event_ids]

    async def reasons(self, event_ids: Sequence[str]) -> list[str]:
        """Why they are dead, in the order of the ids."""
        statement = select(event.c.id, event.c.reason).where(event.c.id.in_(event_ids))
        async with self.database.reading() as connection:
            found = {event_id: reason for event_id, reason in await connection.execute(statement)}
        return [found[event_id] for event_id in event_ids]

    async def told(self, event_id: str) -> list[tuple[str, str, str, dict[str, Any]]]:
        """The audit of an event: from, to, actor and detail of each change."""
        table = work.event
        statement = select(table.c.from_state, table.c.to_state, table.c.actor, table.c.detail)
        ordered = statement.where(table.c.job_id == event_id).order_by(table.c.seq)
        async with self.database.reading() as connection:
            return [
                (before, after, actor, detail) for before, after, actor, detail in await connection.execute(ordered)
            ]

    async def remove(self, event_id: str) -> None:
        """As retention does."""
        async with self.database.writing() as connection:
            await connection.execute(delete(event_body).where(event_body.c.event_id == event_id))
            await connection.execute(delete(event).where(event.c.id == event_id))
            await connection.execute(delete(work.work).where(work.work.c.id == event_id))


async def open_ledger(database: Database) -> Ledger:
    """A ledger whose tables are there."""
    await migrate(database, package=migrations.__name__, head=migrations.HEAD)
    return Ledger(database)


def _event(event_id: str, source: str, received_at: datetime, stored_at: datetime) -> dict[str, Any]:
    return {
        "id": event_id,
        "source": source,
        "type": "Download",
        "dedup_key": event_id,
        "body_size": 2,
        "duplicates": 0,
        "received_at": received_at,
        "updated_at": stored_at,
        "stored_on": -1,
    }


def _job(event_id: str, state: str, error: str, stored_at: datetime, lease_until: datetime | None) -> dict[str, Any]:
    return {
        "id": event_id,
        "queue": "webhooks",
        "kind": "event",
        "state": state,
        "done": state in _ENDED,
        "version": 1,
        "data": {},
        "data_schema": 1,
        "due": stored_at,
        "lease_owner": lease_until and "somebody",
        "lease_until": lease_until,
        "fence": 0,
        "attempt": 0,
        "crashes": 0,
        "error": error,
        "cancel_requested": False,
        "signal_seq": 0,
        "request_id": "",
        "traceparent": "",
        "created": stored_at,
        "updated": stored_at,
    }
