"""All SQL of the inbox: an event is a row of the ledger, its body, and a job of `libs.work` with the same id."""

from collections import Counter
from collections.abc import Sequence
from datetime import timedelta
from typing import Any

from sqlalchemy import Select, bindparam, func, insert, select, tuple_, update
from sqlalchemy.dialects import postgresql, sqlite
from sqlalchemy.ext.asyncio import AsyncConnection

from libs.sql.engine import Database
from libs.sql.filters import compile_filter
from libs.sql.paging import Order, PageTokens
from libs.sql.types import now_ms
from libs.work.errors import ClaimLost
from libs.work.job import Claim, Finish, NewJob, new_owner
from libs.work.outbox import SqlOutbox
from libs.work.store import SqlWorkStore
from services.webhooks import rows
from services.webhooks.domain.catalogue import Change, Page, Query
from services.webhooks.domain.event import (
    REPLAYABLE,
    Event,
    EventNotEnded,
    EventNotFound,
    NewEvent,
    Receipt,
    State,
)
from services.webhooks.domain.processing import Claimed, Settled
from services.webhooks.tables import event, event_body, work

QUEUE = "webhooks"
KIND = "event"
_NEWEST_FIRST = "receive_time desc"
_CHANGES = 500  # that are read at once

# Both know ON CONFLICT, but have no common type that does.
_INSERTS: dict[str, Any] = {"postgresql": postgresql.insert, "sqlite": sqlite.insert}


class SqlEventStore:
    """The events of the inbox, on SQLite and PostgreSQL."""

    def __init__(self, database: Database, tokens: PageTokens) -> None:
        self._database = database
        self._tokens = tokens
        self._jobs = SqlWorkStore(database, work)
        self._outbox = SqlOutbox(database, work, now=now_ms())
        self._owner = new_owner()
        self._insert_new = (
            _INSERTS[database.dialect](event)
            .values(duplicates=0, updated_at=now_ms(), stored_on=rows.TODAY)
            .on_conflict_do_nothing(index_elements=[event.c.source, event.c.dedup_key])
            .returning(event.c.id, event.c.stored_on)
        )

    async def add(self, events: Sequence[NewEvent]) -> list[Receipt]:
        """Store events in one commit; of those with the same source and key the first ever is the event.

        Raises DatabaseUnavailable or StorageFull: then nothing was stored, or it is unknown whether it was.
        """
        firsts = {(new.source, new.key): new for new in reversed(events)}
        async with self._database.writing() as connection:
            stored = await self._insert(connection, [firsts[key] for key in sorted(firsts)])
            known = await self._known(connection, [key for key, new in firsts.items() if new.id not in stored])
            ids = {key: known.get(key, new.id) for key, new in firsts.items()}
            receipts = [Receipt(event_id=ids[new.source, new.key], duplicate=new.id not in stored) for new in events]
            await self._count(connection, [receipt.event_id for receipt in receipts if receipt.duplicate])
        return receipts

    async def get(self, event_id: str) -> Event:
        """The event with its body; raises EventNotFound."""
        async with self._database.reading() as connection:
            found = await self._find(connection, [event_id])
        if not found:
            raise EventNotFound(event_id)
        return found[event_id]

    async def claim(self, limit: int, lease: timedelta) -> list[Claimed]:
        """Take up to so many due events, the most overdue first, for the time of the lease."""
        claims = await self._jobs.claim(QUEUE, self._owner, limit, lease)
        if not claims:
            return []
        async with self._database.reading() as connection:
            found = await self._find(connection, [claim.id for claim in claims])
        return [_claimed(claim, found[claim.id]) for claim in claims]

    async def settle(self, settled: Sequence[Settled]) -> frozenset[str]:
        """Write what the tries came to, in one transaction; returns the ids of those whose lease still held."""
        results = await self._jobs.finish_many([self._finish(each) for each in settled])
        pairs = zip(settled, results, strict=True)
        return frozenset(each.claimed.event.id for each, result in pairs if not isinstance(result, ClaimLost))

    async def release(self, claims: Sequence[Claimed]) -> None:
        """Give claims back as if they had never been made."""
        for claimed in claims:
            await self._jobs.release(_lease(claimed))

    async def replay(self, event_id: str) -> Event:
        """Let an event that has ended, or that nobody waits for, be handled anew.

        Raises EventNotFound, or EventNotEnded for one that is on its way.
        """
        async with self._database.writing() as connection:
            before = (await self._find(connection, [event_id], lock=True)).get(event_id)
            if before is None:
                raise EventNotFound(event_id)
            if before.state not in REPLAYABLE:
                raise EventNotEnded(event_id, before.state)
            await self._reset(connection, before)
            return (await self._find(connection, [event_id]))[event_id]

    async def rematch(self) -> int:
        """Make every unmatched event due; returns how many were not."""
        job = work.work
        later = job.c.due > now_ms()
        unmatched = update(job).where(
            work.unfinished, job.c.state == State.UNMATCHED, job.c.lease_owner.is_(None), later
        )
        async with self._database.writing() as connection:
            return (await connection.execute(unmatched.values(due=now_ms()))).rowcount

    async def page(self, query: Query) -> Page:
        """A page of events without their bodies; raises InvalidArgument for what cannot be read in the query."""
        order = Order.parse(query.order_by, fields=rows.ORDERS, default=_NEWEST_FIRST, unique=event.c.id)
        arguments = [query.filter, query.order_by]
        page = self._tokens.page(size=query.page_size, token=query.page_token, order=order, arguments=arguments)
        statement = page.apply(rows.events().where(compile_filter(query.filter, rows.FILTERS)))
        async with self._database.reading() as connection:
            found, token = page.cut((await connection.execute(statement)).all())
        return Page(events=[rows.event_of(row._mapping) for row in found], next_token=token)

    async def last_change(self) -> int:
        """The number of the newest change."""
        return await self._jobs.last_event()

    async def changes(self, after: int, query_filter: str) -> tuple[list[Change], int]:
        """Some of the events that changed after that number and match now, and the number to go on from."""
        matching = compile_filter(query_filter, rows.FILTERS)
        steps = await self._jobs.events_after(after, _CHANGES)
        if not steps:
            return [], after
        newest = {step.job_id: step.seq for step in steps}
        statement = rows.events().where(event.c.id.in_(newest), matching)
        async with self._database.reading() as connection:
            found = [rows.event_of(row) for row in (await connection.execute(statement)).mappings()]
        changed = [Change(number=newest[each.id], event=each) for each in found]
        return sorted(changed, key=lambda change: change.number), steps[-1].seq

    async def backlog(self) -> tuple[int, timedelta]:
        """How many events have not ended, and how long the most overdue one has been due."""
        waiting = select(func.count(), func.min(work.work.c.due), now_ms()).where(work.unfinished)
        async with self._database.reading() as connection:
            count, due, now = (await connection.execute(waiting)).one()
        return count, rows.overdue(due, now)

    async def ping(self) -> None:
        """Raises DatabaseUnavailable."""
        await self._database.ping()

    async def _insert(self, connection: AsyncConnection, events: Sequence[NewEvent]) -> frozenset[str]:
        result = await connection.execute(self._insert_new, [rows.ledger_row(new) for new in events])
        stored: dict[str, int] = {event_id: stored_on for event_id, stored_on in result}
        fresh = [new for new in events if new.id in stored]
        if fresh:
            await connection.execute(insert(event_body), [rows.body_row(new, stored[new.id]) for new in fresh])
            await self._jobs.create_many(
                connection, [NewJob(id=new.id, queue=QUEUE, kind=KIND, state=State.RECEIVED) for new in fresh]
            )
        return frozenset(stored)

    async def _known(self, connection: AsyncConnection, keys: Sequence[tuple[str, str]]) -> dict[tuple[str, str], str]:
        if not keys:
            return {}
        named = tuple_(event.c.source, event.c.dedup_key)
        found = await connection.execute(select(event.c.source, event.c.dedup_key, event.c.id).where(named.in_(keys)))
        return {(source, key): event_id for source, key, event_id in found}

    async def _count(self, connection: AsyncConnection, ids: Sequence[str]) -> None:
        """One more duplicate for each id, as often as it is there."""
        counts = Counter(ids)
        if not counts:
            return
        more = {"duplicates": event.c.duplicates + bindparam("p_more"), "updated_at": now_ms()}
        counting = update(event).where(event.c.id == bindparam("p_id")).values(more)
        await connection.execute(counting, [{"p_id": each, "p_more": counts[each]} for each in sorted(counts)])
        await self._tell(connection, sorted(counts), actor="sender", detail={"duplicate": True})

    async def _tell(
        self, connection: AsyncConnection, ids: Sequence[str], *, actor: str, detail: dict[str, Any]
    ) -> None:
        """Let watchers know of a change that is not a step of the job."""
        states = select(work.work.c.id, work.work.c.version, work.work.c.state).where(work.work.c.id.in_(ids))
        for job_id, version, state in (await connection.execute(states)).all():
            change = {"job_id": job_id, "version": version, "from_state": state, "to_state": state}
            self._outbox.append(connection, change | {"actor": actor, "detail": detail})

    async def _find(self, connection: AsyncConnection, ids: Sequence[str], *, lock: bool = False) -> dict[str, Event]:
        statement: Select[Any] = rows.whole_events().where(event.c.id.in_(ids))
        if lock:
            statement = statement.with_for_update(of=work.work)
        return {row["id"]: rows.event_of(row) for row in (await connection.execute(statement)).mappings()}

    async def _reset(self, connection: AsyncConnection, before: Event) -> None:
        if before.state.ended:
            await self._jobs.reopen(connection, before.id, state=State.RECEIVED, data={}, actor="operator")
            return
        anew = {"state": State.RECEIVED, "data": {}, "due": now_ms(), "updated": now_ms()}
        table = work.work
        await connection.execute(
            update(table).where(table.c.id == before.id).values(version=table.c.version + 1, **anew)
        )
        await self._tell(connection, [before.id], actor="operator", detail={"replayed": True})

    def _finish(self, settled: Settled) -> Finish:
        outcome = rows.outcome_of(settled.settlement)
        return Finish(claim=_lease(settled.claimed), outcome=outcome, actor=self._owner)


def _claimed(claim: Claim, found: Event) -> Claimed:
    return Claimed(event=found, lease=claim, crashes=claim.crashes)


def _lease(claimed: Claimed) -> Claim:
    assert isinstance(claimed.lease, Claim)
    return claimed.lease
