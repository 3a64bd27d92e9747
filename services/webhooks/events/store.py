"""The inbox on a database: an event is a row of the ledger, its body, and a job of `libs.work` with the same id."""

from collections.abc import Collection, Sequence
from contextlib import suppress
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import Select, bindparam, select, update
from sqlalchemy.ext.asyncio import AsyncConnection

from libs.errors import AppError
from libs.sql.engine import Database
from libs.sql.filters import compile_filter
from libs.sql.paging import Order, PageTokens, SortKey
from libs.sql.types import now_ms
from libs.work.errors import ClaimLost
from libs.work.interventions import SqlInterventions
from libs.work.job import Claim, Finish, new_owner
from libs.work.outbox import SqlOutbox
from libs.work.store import SqlWorkStore
from services.webhooks import rows
from services.webhooks.domain.catalogue import Attempts, Change, Page, Position, Query
from services.webhooks.domain.event import (
    REPLAYABLE,
    Event,
    EventNotEnded,
    EventNotFound,
    NewEvent,
    Progress,
    Receipt,
    State,
)
from services.webhooks.domain.processing import Claimed, Settled
from services.webhooks.events.intake import SqlIntake
from services.webhooks.events.search import search
from services.webhooks.tables import event, event_acquisition, event_fact, work

_NEWEST_FIRST = "receive_time desc"
_OLDEST_FIRST = Order(
    keys=(SortKey(column=event.c.received_at, descending=False), SortKey(column=event.c.id, descending=False))
)
_CHANGES = 500  # that are read at once
_KEYS = 500  # of facts that one statement asks for
_REMATCHED = 500  # events at once: those that have just come wait behind them
_GIVE_UP = update(event).where(event.c.id == bindparam("p_id")).values(reason=bindparam("p_reason"))


class SqlEventStore:
    """The events of the inbox, on SQLite and PostgreSQL."""

    def __init__(self, database: Database, tokens: PageTokens, *, outbox: SqlOutbox | None = None) -> None:
        self._database = database
        self._tokens = tokens
        outbox = outbox or SqlOutbox(database, work)
        self._jobs = SqlWorkStore(database, work, parked={State.UNMATCHED}, outbox=outbox)
        self._people = SqlInterventions(work, outbox)
        self._intake = SqlIntake(database, self._jobs, outbox)
        self._owner = new_owner()
        self._relate = rows.INSERTS[database.dialect](event_acquisition).on_conflict_do_nothing()

    async def add(self, events: Sequence[NewEvent]) -> list[Receipt]:
        """Store events in one commit; of those with the same source and key the first ever is the event.

        A delivery that has another body than the first with its key is an event of its own, and dead.
        Raises DatabaseUnavailable or StorageFull: then nothing was stored, or it is unknown whether it was.
        """
        return await self._intake.add(events)

    async def get(self, event_id: str) -> Event:
        """The event with its body; raises EventNotFound."""
        async with self._database.reading() as connection:
            found = await _find(connection, rows.whole_events(), [event_id])
        if not found:
            raise EventNotFound(event_id)
        return found[event_id]

    async def told_since(self, keys: Collection[str], moment: datetime) -> frozenset[str]:
        """Those of the facts that an event tells which came in since then."""
        wanted = sorted(keys)
        told: set[str] = set()
        async with self._database.reading() as connection:
            for start in range(0, len(wanted), _KEYS):
                some = event_fact.c.key.in_(wanted[start : start + _KEYS])
                facts = select(event_fact.c.key).join(event).where(some, event.c.received_at >= moment)
                told.update(await connection.scalars(facts))
        return frozenset(told)

    # Handling.

    async def claim(self, limit: int, lease: timedelta) -> list[Claimed]:
        """Take up to so many due events, the most overdue first, for the time of the lease."""
        claims = await self._jobs.claim(rows.QUEUE, self._owner, limit, lease)
        if not claims:
            return []
        try:
            async with self._database.reading() as connection:
                found = await _find(connection, rows.claimed_events(), [claim.id for claim in claims])
        except AppError:
            await self._give_back(claims)
            raise
        return [_claimed(claim, found[claim.id]) for claim in claims if claim.id in found]  # else there is no event

    async def settle(self, settled: Sequence[Settled]) -> frozenset[str]:
        """Write what the tries came to, in one transaction; returns the ids of those whose lease still held."""
        by_claim = {_key(_lease(each.claimed)): each for each in settled}

        async def note(connection: AsyncConnection, held: Sequence[Finish]) -> None:
            await self._note(connection, [by_claim[_key(finish.claim)] for finish in held])

        results = await self._jobs.finish_many([self._finish(each) for each in settled], also=note)
        pairs = zip(settled, results, strict=True)
        return frozenset(each.claimed.event.id for each, result in pairs if not isinstance(result, ClaimLost))

    async def release(self, claims: Sequence[Claimed]) -> None:
        """Give claims back as if they had never been made."""
        for claimed in claims:
            await self._jobs.release(_lease(claimed))

    async def replay(self, event_id: str, *, actor: str) -> Event:
        """Let an event that has ended, or that nobody waits for, be handled anew.

        Raises EventNotFound, or EventNotEnded for one that is on its way.
        """
        async with self._database.writing() as connection:
            standing = await self._people.lock(connection, [event_id])
            before = (await _find(connection, rows.events(), [event_id])).get(event_id)
            if before is None:
                raise EventNotFound(event_id)
            if before.state not in REPLAYABLE:
                raise EventNotEnded(event_id, before.state)
            again, detail = rows.data_of(Progress(again=True)), {"replayed": True}
            await self._people.restart(
                connection, standing.values(), state=State.RECEIVED, data=again, actor=actor, detail=detail
            )
            await connection.execute(update(event).where(event.c.id == event_id).values(reason=""))
            return (await _find(connection, rows.whole_events(), [event_id]))[event_id]

    async def rematch(self) -> int:
        """Make the newest unmatched events due; returns how many were not. Older ones wait for their own times."""
        job = work.work
        unmatched = select(job.c.id).where(work.unfinished, job.c.state == State.UNMATCHED)
        newest = unmatched.order_by(job.c.id.desc()).limit(_REMATCHED).subquery()
        later = unmatched.where(job.c.id.in_(select(newest.c.id)), job.c.lease_owner.is_(None), job.c.due > now_ms())
        pick = later.with_for_update(skip_locked=True).cte("pick")
        due = update(job).where(job.c.id == pick.c.id).values(due=now_ms()).returning(job.c.id)
        async with self._database.writing() as connection:
            return len((await connection.execute(due)).all())

    # Reading.

    async def page(self, query: Query) -> Page:
        """A page of events without their bodies; raises InvalidArgument for what cannot be read in the query."""
        order = Order.parse(query.order_by, fields=rows.ORDERS, default=_NEWEST_FIRST, unique=event.c.id)
        arguments = [query.filter, query.order_by, query.search]
        page = self._tokens.page(size=query.page_size, token=query.page_token, order=order, arguments=arguments)
        matching = compile_filter(query.filter, rows.FILTERS)
        async with self._database.reading() as connection:
            if query.search:
                found, token = await search(connection, page, matching, query.search.encode())
            else:
                statement = page.apply(rows.events().where(matching))
                found, token = page.cut((await connection.execute(statement)).all())
        return Page(events=[rows.event_of(row._mapping) for row in found], next_token=token)

    async def oldest(self, query_filter: str, behind: Position | None, limit: int) -> list[Event]:
        """Events that match now, oldest first, behind a place; raises InvalidArgument for the filter."""
        statement = rows.events().where(compile_filter(query_filter, rows.FILTERS))
        if behind is not None:
            statement = statement.where(_OLDEST_FIRST.after([behind.received_at, behind.event_id]))
        async with self._database.reading() as connection:
            found = await connection.execute(statement.order_by(*_OLDEST_FIRST.clauses()).limit(limit))
            return [rows.event_of(row) for row in found.mappings()]

    async def attempts(self, event_id: str, *, page_size: int, page_token: str) -> Attempts:
        """A page of the tries of an event, oldest first; raises EventNotFound, or InvalidArgument for the token."""
        tries = rows.tries(event_id, self._database.dialect)
        order = Order(keys=(SortKey(column=tries.c.seq, descending=False),))
        page = self._tokens.page(size=page_size, token=page_token, order=order, arguments=["attempts", event_id])
        async with self._database.reading() as connection:
            if await connection.scalar(select(event.c.id).where(event.c.id == event_id)) is None:
                raise EventNotFound(event_id)
            found, token = page.cut((await connection.execute(page.apply(select(tries)))).all())
        return Attempts(attempts=[rows.attempt_of(row._mapping) for row in found], next_token=token)

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
        """How many events have not ended, and how long the most overdue one that nobody handles has been due."""
        backlog = (await self._jobs.backlog([rows.QUEUE]))[rows.QUEUE]
        return backlog.unfinished, backlog.overdue

    async def ping(self) -> None:
        """Raises DatabaseUnavailable."""
        await self._database.ping()

    async def _note(self, connection: AsyncConnection, settled: Sequence[Settled]) -> None:
        """Whom the events belong to, and why some were given up."""
        outcomes = [(each.claimed.event.id, each.settlement) for each in settled]
        owned = [
            {"acquisition": name, "event_id": event_id}
            for event_id, settlement in outcomes
            for name in dict.fromkeys(settlement.progress.acquisitions)
        ]
        if owned:
            await connection.execute(self._relate, owned)
        given_up = [{"p_id": event_id, "p_reason": end.reason} for event_id, end in outcomes if end.reason is not None]
        if given_up:
            await connection.execute(_GIVE_UP, given_up)

    async def _give_back(self, claims: Sequence[Claim]) -> None:
        """Gives claims back on which nothing was done; else the end of their leases would look like a crash."""
        with suppress(AppError):
            for claim in claims:
                await self._jobs.release(claim)

    def _finish(self, settled: Settled) -> Finish:
        return Finish(claim=_lease(settled.claimed), outcome=rows.outcome_of(settled), actor=self._owner)


async def _find(connection: AsyncConnection, statement: Select[Any], ids: Sequence[str]) -> dict[str, Event]:
    found = (await connection.execute(statement.where(event.c.id.in_(ids)))).mappings()
    return {row["id"]: rows.event_of(row) for row in found}


def _claimed(claim: Claim, found: Event) -> Claimed:
    return Claimed(event=found, lease=claim, crashes=claim.crashes)


def _lease(claimed: Claimed) -> Claim:
    assert isinstance(claimed.lease, Claim)
    return claimed.lease


def _key(claim: Claim) -> tuple[str, int]:
    return claim.id, claim.fence
