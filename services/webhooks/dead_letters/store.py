"""The SQL of dead letters: read, counted, grouped, and decided about."""

import asyncio
from collections import Counter, defaultdict
from collections.abc import Sequence
from datetime import datetime, timedelta

from sqlalchemy import literal_column, select, update
from sqlalchemy.ext.asyncio import AsyncConnection

from libs.errors import AppError
from libs.sql.engine import Database
from libs.sql.filters import compile_filter
from libs.sql.paging import Order, PageTokens, SortKey
from libs.sql.types import from_millis
from libs.work.interventions import SqlInterventions, Standing
from services.webhooks.dead_letters import rows
from services.webhooks.dead_letters.groups import Counted, Gathered, Text, gathered
from services.webhooks.domain.catalogue import Page
from services.webhooks.domain.dead_letters import (
    SAMPLES,
    BatchResult,
    Decision,
    EventNotDead,
    GroupPage,
    Query,
    Summary,
)
from services.webhooks.domain.event import Event, EventNotFound, State
from services.webhooks.rows import FILTERS, event_of, events
from services.webhooks.tables import event

MOST_TEXTS = 20_000  # that are looked at for groups, the most frequent ones
_LARGEST_FIRST = Order(keys=tuple(SortKey(column=literal_column(name), descending=False) for name in ("count", "kind")))


class SqlDeadLetters:
    """The dead letters, on SQLite and PostgreSQL."""

    def __init__(self, database: Database, interventions: SqlInterventions, *, tokens: PageTokens) -> None:
        self._database = database
        self._interventions = interventions
        self._tokens = tokens

    async def page(self, query: Query) -> Page:
        """A page of dead letters; raises InvalidArgument for a filter or token that cannot be read."""
        order, arguments = rows.NEWEST_FIRST, ["dead letters", query.filter]
        page = self._tokens.page(size=query.page_size, token=query.page_token, order=order, arguments=arguments)
        statement = page.apply(events().where(rows.DEAD, compile_filter(query.filter, FILTERS)))
        if query.offset and not query.page_token:
            statement = statement.offset(query.offset)
        async with self._database.reading() as connection:
            found, token = page.cut((await connection.execute(statement)).all())
        return Page(events=[event_of(row._mapping) for row in found], next_token=token)

    async def summary(self) -> Summary:
        """How many there are; counted by the database."""
        async with self._database.reading() as connection:
            counts = (await connection.execute(rows.COUNTS)).all()
        by_source, by_reason = Counter[str](), Counter[str]()
        for row in counts:
            by_source[row.source] += row.total
            by_reason[row.reason] += row.total
        ages = [(from_millis(row.now), row.first, row.last) for row in counts]
        return Summary(
            by_source=by_source,
            by_reason=by_reason,
            oldest=max((_age(now, first) for now, first, _ in ages), default=None),
            newest=min((_age(now, last) for now, _, last in ages), default=None),
        )

    async def groups(self, *, page_size: int, page_token: str) -> GroupPage:
        """A page of groups; raises InvalidArgument for a token that cannot be read."""
        page = self._tokens.page(
            size=page_size, token=page_token, order=_LARGEST_FIRST, arguments=["dead letter groups"]
        )
        async with self._database.reading() as connection:
            result = await connection.execute(rows.texts(MOST_TEXTS))
            texts = [Counted(text=tuple(row[:4]), count=row[4], first=row[5], last=row[6]) for row in result]
        largest_first = await asyncio.to_thread(gathered, texts)  # many texts take long enough to be felt by deliveries
        shown, token = page.part(largest_first, lambda group: group.position)
        async with self._database.reading() as connection:
            ids = await _newest(connection, shown)
        return GroupPage(groups=[group.with_samples(ids) for group in shown], next_token=token)

    async def replay(self, event_id: str, *, actor: str) -> Decision:
        """Process one once more; one that is on its way already stays so. Raises EventNotFound or EventNotDead."""
        async with self._database.writing() as connection:
            job = _to_replay(await self._lock(connection, [event_id]), event_id)
            await self._restart(connection, [job], actor)
            return Decision(event=await _get(connection, event_id), is_new=job.done)

    async def replay_many(self, event_ids: Sequence[str], *, actor: str) -> BatchResult:
        """Process some once more, each for itself."""
        errors: dict[str, str] = {}
        replayed: list[Standing] = []
        async with self._database.writing() as connection:
            jobs = await self._lock(connection, event_ids)
            for event_id in dict.fromkeys(event_ids):
                try:
                    replayed.append(_to_replay(jobs, event_id))
                except AppError as error:
                    errors[event_id] = error.message
            await self._restart(connection, replayed, actor)
        return BatchResult(replayed=len(replayed), decided=sum(job.done for job in replayed), errors=errors)

    async def discard(self, event_id: str, *, reason: str, actor: str) -> Decision:
        """Decide that nothing more is needed; an ignored event stays so. Raises EventNotFound or EventNotDead."""
        async with self._database.writing() as connection:
            job = _found(await self._lock(connection, [event_id]), event_id)
            if is_new := job.state != State.IGNORED:
                detail = {"discarded": True, "reason": reason}
                await self._interventions.move(
                    connection, _dead(job), state=State.IGNORED, done=True, actor=actor, detail=detail
                )
                await _revive(connection, [event_id])
            return Decision(event=await _get(connection, event_id), is_new=is_new)

    async def _lock(self, connection: AsyncConnection, event_ids: Sequence[str]) -> dict[str, Standing]:
        """Those that are events: other jobs are none of ours."""
        ids = (await connection.scalars(select(event.c.id).where(event.c.id.in_(event_ids)))).all()
        return await self._interventions.lock(connection, ids)

    async def _restart(self, connection: AsyncConnection, jobs: Sequence[Standing], actor: str) -> None:
        dead = [job for job in jobs if job.done]
        detail = {"replayed": True}
        await self._interventions.restart(connection, dead, state=State.RECEIVED, actor=actor, detail=detail)
        await _revive(connection, [job.id for job in dead])


def _found(jobs: dict[str, Standing], event_id: str) -> Standing:
    if event_id not in jobs:
        raise EventNotFound(event_id)
    return jobs[event_id]


def _to_replay(jobs: dict[str, Standing], event_id: str) -> Standing:
    """One that is dead, or on its way already."""
    job = _found(jobs, event_id)
    return _dead(job) if job.done else job


def _dead(job: Standing) -> Standing:
    if job.state != State.DEAD:
        raise EventNotDead(job.id, State(job.state))
    return job


async def _revive(connection: AsyncConnection, event_ids: Sequence[str]) -> None:
    """They are dead letters no more."""
    await connection.execute(update(event).where(event.c.id.in_(event_ids)).values(reason=""))


async def _get(connection: AsyncConnection, event_id: str) -> Event:
    return event_of((await connection.execute(events().where(event.c.id == event_id))).mappings().one())


async def _newest(connection: AsyncConnection, groups: Sequence[Gathered]) -> dict[Text, list[tuple[datetime, str]]]:
    """The newest few ids of each text that may hold a sample."""
    wanted = [counted.text for group in groups for counted in group.newest]
    ids: dict[Text, list[tuple[datetime, str]]] = defaultdict(list)
    if wanted:
        for row in await connection.execute(rows.newest_of(wanted, SAMPLES)):
            ids[row.source, row.type, row.reason, row.error].append((row.received_at, row.id))
    return ids


def _age(now: datetime, moment: datetime) -> timedelta:
    return max(timedelta(), now - moment)
