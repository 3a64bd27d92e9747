"""Events as rows, in whatever state a test wants them, without going through the inbox."""

from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from typing import Any

from sqlalchemy import delete, insert, select, text, update

from libs import ids
from libs.sql.engine import Database
from services.webhooks.tables import KEPT, event, event_body, metadata, work

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
        if reason is None:
            reason = "HANDLER_ERROR" if state == "DEAD" else ""
        received = [received_at or LONG_AGO + (self._put + number) * SECOND for number in range(1, count + 1)]
        self._put += count
        rows = [
            _event(event_id, moment, source=source, reason=reason, stored_at=stored_at)
            for event_id, moment in zip(new, received, strict=True)
        ]
        async with self.database.writing() as connection:
            await connection.execute(insert(event), rows)
            await connection.execute(
                insert(work.work), [_job(event_id, state, error, stored_at, lease_until) for event_id in new]
            )
            await connection.execute(insert(event_body), [_body(event_id) for event_id in new])
        return new

    async def touch(self, event_id: str, at: datetime) -> None:
        """Somebody changes an event at this time."""
        this = work.work.c.id == event_id
        async with self.database.writing() as connection:
            await connection.execute(update(work.work).where(this).values(updated=at))

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
    """A ledger whose tables are there, made at once and not migration by migration."""
    async with database.writing() as connection:
        await connection.run_sync(metadata.create_all)
        if database.dialect == "postgresql":
            await connection.execute(
                text("CREATE TABLE event_body_kept PARTITION OF event_body FOR VALUES FROM (MINVALUE) TO (0)")
            )
    return Ledger(database)


def _event(event_id: str, received_at: datetime, *, source: str, reason: str, stored_at: datetime) -> dict[str, Any]:
    return {
        "id": event_id,
        "source": source,
        "type": "Download",
        "dedup_key": event_id,
        "body_size": 2,
        "duplicates": 0,
        "received_at": received_at,
        "updated_at": stored_at,
        "reason": reason,
        "stored_on": KEPT,
    }


def _body(event_id: str) -> dict[str, Any]:
    return {"stored_on": KEPT, "event_id": event_id, "headers": {}, "body": b"{}"}


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
