"""Durable work on a service's own database: every statement that touches a job or its lease.

Methods that take a connection belong to the caller's `Database.writing()` transaction; the others are one of their own.
"""

from collections.abc import AsyncIterator, Awaitable, Callable, Collection, Sequence
from contextlib import asynccontextmanager
from datetime import timedelta
from typing import Any, cast

import orjson
from sqlalchemy import ColumnElement, Select, delete, func, select, update
from sqlalchemy.exc import IntegrityError
from sqlalchemy.ext.asyncio import AsyncConnection

from libs.errors import AppError
from libs.sql.engine import Database
from libs.sql.types import duration_ms, now_ms
from libs.telemetry import correlation
from libs.work import statements
from libs.work.errors import ClaimLost, JobActive, JobChanged, JobNotDone, JobNotFound
from libs.work.inbox import NewSignal, SqlInbox
from libs.work.job import (
    KEEP,
    NOW,
    Claim,
    Data,
    Done,
    Event,
    Finish,
    Held,
    Keep,
    NewJob,
    Next,
    Outcome,
    QueueState,
    Retry,
    Signal,
)
from libs.work.outbox import SqlOutbox
from libs.work.tables import WorkTables

Also = Callable[[AsyncConnection, Sequence[Finish]], Awaitable[None]]


class SqlWorkStore:
    """Jobs, claims, signals, switches and events of one service.

    Of jobs with one order key, claims take one at a time, by their ids; one in a `parked` state lets others pass until
    it is due. None where no job has an order key: then claims are cheaper. `outbox` is given where it is shared. `now`
    is the clock in milliseconds that due times and leases are compared with: the database's own, except in tests.
    """

    def __init__(
        self,
        database: Database,
        tables: WorkTables,
        *,
        parked: Collection[str] | None = None,
        outbox: SqlOutbox | None = None,
        now: ColumnElement[int] | None = None,
    ) -> None:
        self._database = database
        self._tables = tables
        self._now = now_ms() if now is None else now
        self._outbox = outbox or SqlOutbox(database, tables, now=self._now)
        self._claim = statements.claim(tables, self._now, parked)
        self._one_after_the_other = parked is not None and database.dialect == "postgresql"
        self._lock_held = statements.lock_held(tables)
        self._heartbeat = statements.heartbeat(tables, self._now)
        self._release = statements.release(tables, self._now)
        self._guard = statements.guard(tables)
        self._finish = statements.finish(tables, self._now, database.dialect)
        self._make = statements.make(tables, self._now, database.dialect)
        self._create = statements.create(tables, self._now, database.dialect)
        self.inbox = SqlInbox(tables, self._now, database.dialect)
        self._cancel = statements.request_cancel(tables, self._now)

    # Jobs: what the API of a service does.

    async def create(self, connection: AsyncConnection, job: NewJob) -> str:
        """Makes the job unless one with its dedup key is unfinished: returns the id of the one that is there now."""
        return (await self.create_many(connection, [job]))[0]

    async def create_many(self, connection: AsyncConnection, jobs: Sequence[NewJob]) -> list[str]:
        """As `create`, for many at once; of several with one dedup key the first wins."""
        firsts = {job.dedup_key or job.id: job for job in reversed(jobs)}
        in_one_order = [firsts[key] for key in sorted(firsts)]  # so that no two creators wait for each other
        winners = await self._made(connection, in_one_order)
        for key, job in firsts.items():
            if winners[key] == job.id:
                self._record(connection, job.id, 1, ("", job.state), actor=job.actor, detail=job.detail)
        return [winners[job.dedup_key or job.id] for job in jobs]

    async def signal(self, connection: AsyncConnection, job_id: str, event_id: str, body: Data) -> bool:
        """Puts a signal into the job's inbox and makes the job due; False when it was there, or the job has ended."""
        return (await self.inbox.put(connection, [NewSignal(job_id=job_id, event_id=event_id, body=body)]))[0]

    async def request_cancel(
        self, connection: AsyncConnection, job_id: str, *, version: int | None = None, actor: str = ""
    ) -> bool:
        """Asks for the end of a job: a free one ends at its next claim, a running step at its next heartbeat.

        False when it was asked before or the job has ended. Raises JobChanged when `version` is given and not the
        job's, JobNotFound when there is none.
        """
        await self._checked(connection, job_id, version)
        row = (await connection.execute(self._cancel, {"p_id": job_id})).first()
        if row is None:
            return False
        self._record(connection, job_id, row[0], (row[1], row[1]), actor=actor, detail={"cancelRequested": True})
        return True

    async def reopen(
        self,
        connection: AsyncConnection,
        job_id: str,
        *,
        state: str,
        kind: str | None = None,
        data: Data | Keep = KEEP,
        version: int | None = None,
        actor: str = "",
    ) -> int:
        """Starts a job that has ended once more; returns its new version.

        Raises JobNotFound, JobChanged, JobNotDone, or JobActive when another job holds the dedup key by now.
        """
        before = await self._checked(connection, job_id, version)
        if not before.done:
            raise JobNotDone(f"{job_id} has not ended")
        changes: dict[str, Any] = {} if data is KEEP else {"data": data}
        changes |= _origin() if kind is None else _origin() | {"kind": kind}
        statement = statements.reopen(self._tables, self._now).values(state=state, **changes)
        try:
            after = (await connection.execute(statement, {"p_id": job_id})).scalar_one()
        except IntegrityError as error:
            raise JobActive(f"another job like {job_id} is active") from error
        self._record(connection, job_id, after, (before.state, state), actor=actor)
        return int(after)

    async def purge(self, connection: AsyncConnection, *, older_than: timedelta, limit: int) -> list[str]:
        """Deletes some jobs that ended long ago, with signals and events; returns their ids."""
        work, event = self._tables.work, self._tables.event
        old = work.c.updated < self._now - duration_ms(older_than)
        oldest = select(work.c.id).where(work.c.done, old).order_by(work.c.updated).limit(limit)
        ids = list((await connection.scalars(oldest)).all())
        await connection.execute(delete(event).where(event.c.job_id.in_(ids)))
        await connection.execute(delete(work).where(work.c.id.in_(ids), work.c.done))
        return ids

    # Claims: what a worker does.

    async def claim(self, queue: str, owner: str, limit: int, ttl: timedelta) -> list[Claim]:
        """Takes up to `limit` due jobs of a queue for `ttl`, none while it is paused."""
        parameters = {"p_queue": queue, "p_owner": owner, "p_limit": limit, "p_ttl": duration_ms(ttl)}
        async with self._database.writing() as connection:
            if self._one_after_the_other:
                await connection.execute(statements.ORDER_LOCK)
            rows = (await connection.execute(self._claim, parameters)).mappings().all()
        return sorted((Claim(owner=owner, **row) for row in rows), key=lambda claim: claim.id)

    async def heartbeat(self, owner: str, ttl: timedelta) -> list[Held]:
        """Renews all leases of an owner; a run whose id and fence are missing from the answer has lost its lease."""
        parameters = {"p_owner": owner, "p_ttl": duration_ms(ttl)}
        async with self._database.writing(reserved=True) as connection:
            await connection.execute(self._lock_held, parameters)
            return [Held(**row) for row in (await connection.execute(self._heartbeat, parameters)).mappings()]

    async def release(self, claim: Claim, *, delay: timedelta = NOW) -> bool:
        """Gives a claim back without counting a failure; False when it was lost already."""
        seen = {"p_seen": claim.signal_seq, "p_cancel_seen": claim.cancel_requested, "p_delay": duration_ms(delay)}
        return await self._give_back(_claim_parameters(claim) | seen)

    async def abandon(self, owner: str, held: Held) -> bool:
        """Gives back what a heartbeat found and nobody works on: the answer to its claim was lost."""
        seen = {"p_seen": 0, "p_cancel_seen": True, "p_delay": 0}
        return await self._give_back({"p_id": held.id, "p_owner": owner, "p_fence": held.fence} | seen)

    async def guard(self, connection: AsyncConnection, claim: Claim) -> None:
        """Goes before what a running step writes by itself, such as progress; raises ClaimLost."""
        if (await connection.execute(self._guard, _claim_parameters(claim))).first() is None:
            raise _lost(claim)

    async def signals(self, claim: Claim) -> list[Signal]:
        """The job's unread signals, oldest first."""
        table = self._tables.signal
        statement = (
            select(table.c.event_id, table.c.seq, table.c.body, table.c.received)
            .where(table.c.job_id == claim.id, ~table.c.consumed)
            .order_by(table.c.seq)
        )
        async with self._database.reading() as connection:
            return [Signal(**row) for row in (await connection.execute(statement)).mappings()]

    @asynccontextmanager
    async def commit(
        self, claim: Claim, outcome: Outcome, *, read_through: int = 0, actor: str = ""
    ) -> AsyncIterator[AsyncConnection]:
        """Ends a step: the guarded update comes first, the caller's rows in the same transaction. Raises ClaimLost."""
        finish = Finish(claim=claim, outcome=outcome, read_through=read_through, actor=actor)
        async with self._database.writing() as connection:
            self._tell(connection, finish, await self._end_one(connection, finish))
            yield connection

    async def finish_many(self, finishes: Sequence[Finish], *, also: Also | None = None) -> list[int | AppError]:
        """Ends many steps in one transaction: each has its new version or its own error, ClaimLost among them.

        `also` writes domain rows for all that held; one that raises anything but AppError fails the transaction.
        """
        results: dict[tuple[str, int], int | AppError] = {}
        async with self._database.writing() as connection:
            results |= await self._end(connection, [finish for finish in finishes if finish.outcome.write is None])
            for finish in finishes:
                if finish.outcome.write is not None:
                    results[_key(finish.claim)] = await self._end_apart(connection, finish)
            held = [finish for finish in finishes if isinstance(results.get(_key(finish.claim)), int)]
            for finish in held:
                self._tell(connection, finish, cast(int, results[_key(finish.claim)]))
            if also is not None and held:
                await also(connection, held)
        return [results.get(_key(finish.claim)) or _lost(finish.claim) for finish in finishes]

    async def revoke(self, *, by: int = 1_000_000) -> None:
        """Ends all claims and raises all fences: after a backup was restored, an older history might repeat them."""
        work = self._tables.work
        async with self._database.writing() as connection:
            await connection.execute(update(work).values(fence=work.c.fence + by, lease_owner=None, lease_until=None))

    # Switches and events.

    async def pause(self, queue: str, paused: bool, *, reason: str = "", actor: str = "") -> QueueState:
        """Switches a queue (`*`: all of them) off or on, for every replica and across restarts."""
        statement = statements.pause(self._tables, self._database.dialect)
        values = {"name": queue, "paused": paused, "reason": reason, "actor": actor}
        async with self._database.writing() as connection:
            return QueueState(**(await connection.execute(statement, values)).mappings().one())

    async def switches(self, queue: str) -> list[QueueState]:
        """The switches that hold for a queue, its own and the one of all; none means that it runs."""
        table = self._tables.queue
        statement = select(table).where(table.c.name.in_([statements.ALL_QUEUES, queue])).order_by(table.c.name)
        async with self._database.reading() as connection:
            return [QueueState(**row) for row in (await connection.execute(statement)).mappings()]

    async def depth(self, queue: str) -> dict[str, int]:
        """How many unfinished jobs of a queue are in each state."""
        work = self._tables.work
        statement = (
            select(work.c.state, func.count())
            .where(self._tables.unfinished, work.c.queue == queue)
            .group_by(work.c.state)
        )
        async with self._database.reading() as connection:
            return {state: count for state, count in await connection.execute(statement)}

    async def events_after(self, seq: int, limit: int) -> list[Event]:
        """The changes after number `seq`, oldest first: none is ever added below one that was seen."""
        return await self._outbox.after(seq, limit)

    async def last_event(self) -> int:
        """The newest number, 0 at first: a Watch reads it, sends the rows as they are, then follows."""
        return await self._outbox.last()

    async def _give_back(self, parameters: dict[str, Any]) -> bool:
        async with self._database.writing(reserved=True) as connection:
            return (await connection.execute(self._release, parameters)).first() is not None

    # Within a transaction.

    async def _made(self, connection: AsyncConnection, jobs: Sequence[NewJob]) -> dict[str, str]:
        """Makes jobs; returns the id of each by its dedup key, or by itself where it has none."""
        origin = _origin()
        if all(job.dedup_key is None for job in jobs):
            rows = [(*statements.new_row(job).values(), *origin.values(), duration_ms(job.delay)) for job in jobs]
            await connection.execute(self._make, {"p_jobs": orjson.dumps(rows).decode()})
            return {job.id: job.id for job in jobs}
        keyed = [
            statements.new_row(job) | origin | {"dedup_key": job.dedup_key, "p_delay": duration_ms(job.delay)}
            for job in jobs
        ]
        found = (await connection.execute(self._create, keyed)).all()
        return {dedup_key or job_id: job_id for job_id, dedup_key in found}

    async def _end_apart(self, connection: AsyncConnection, finish: Finish) -> int | AppError:
        """Ends one of many whose own rows may be refused: only it is undone."""
        try:
            async with connection.begin_nested():
                return await self._end_one(connection, finish)
        except AppError as error:
            return error

    async def _end_one(self, connection: AsyncConnection, finish: Finish) -> int:
        version = (await self._end(connection, [finish])).get(_key(finish.claim))
        if version is None:
            raise _lost(finish.claim)
        if finish.outcome.write is not None:
            await finish.outcome.write(connection)
        return version

    async def _end(self, connection: AsyncConnection, finishes: Sequence[Finish]) -> dict[tuple[str, int], int]:
        if not finishes:
            return {}
        owner = {"p_owner": finishes[0].claim.owner}
        if len(finishes) > 1 and connection.dialect.name == "postgresql":
            await connection.execute(self._lock_held, owner)
        ends = {"p_ends": orjson.dumps([_ended_row(finish) for finish in finishes]).decode()}
        versions = {(row[0], row[1]): int(row[2]) for row in await connection.execute(self._finish, ends)}
        held = [finish for finish in finishes if _key(finish.claim) in versions]
        await self._consume(connection, held)
        return versions

    def _tell(self, connection: AsyncConnection, finish: Finish, version: int) -> None:
        states = (finish.claim.state, finish.outcome.state or finish.claim.state)
        self._record(connection, finish.claim.id, version, states, actor=finish.actor, detail=_detail(finish.outcome))

    async def _consume(self, connection: AsyncConnection, finishes: Sequence[Finish]) -> None:
        table = self._tables.signal
        for finish in finishes:
            if finish.read_through and not isinstance(finish.outcome, Retry):
                read = (table.c.job_id == finish.claim.id) & (table.c.seq <= finish.read_through) & ~table.c.consumed
                await connection.execute(update(table).where(read).values(consumed=True))

    async def _checked(self, connection: AsyncConnection, job_id: str, version: int | None) -> Any:
        work = self._tables.work
        statement: Select[Any] = select(work.c.version, work.c.state, work.c.done).where(work.c.id == job_id)
        row = (await connection.execute(statement.with_for_update())).first()
        if row is None:
            raise JobNotFound(f"there is no job {job_id}")
        if version is not None and row.version != version:
            raise JobChanged(f"{job_id} was changed meanwhile")
        return row

    def _record(
        self,
        connection: AsyncConnection,
        job_id: str,
        version: int,
        states: tuple[str, str],
        *,
        actor: str,
        detail: Data | None = None,
    ) -> None:
        change = {"job_id": job_id, "version": version, "from_state": states[0], "to_state": states[1]}
        self._outbox.append(connection, change | {"actor": actor, "detail": detail or {}})


def _origin() -> dict[str, Any]:
    """Which request this is, for the steps to come."""
    trace = correlation.trace.get()
    return {"request_id": correlation.request_id.get() or "", "traceparent": trace.traceparent if trace else ""}


def _ended_row(finish: Finish) -> tuple[Any, ...]:
    """The row of `statements.finish`: how the job stands after this step."""
    claim, outcome = finish.claim, finish.outcome
    retry, done = isinstance(outcome, Retry), isinstance(outcome, Done)
    data = claim.data if isinstance(outcome, Retry) or outcome.data is KEEP else outcome.data
    schema = None if isinstance(outcome, Retry) else outcome.data_schema
    return (
        claim.id,
        claim.owner,
        claim.fence,
        outcome.state or claim.state,
        done,
        data,
        claim.data_schema if schema is None else schema,
        claim.attempt + 1 if retry else claim.attempt if done else 0,
        claim.crashes if retry or done else 0,
        "" if isinstance(outcome, Next) else outcome.error,
        max(claim.signal_seq, finish.read_through),
        claim.cancel_requested,
        duration_ms(_delay(outcome)),
    )


def _delay(outcome: Outcome) -> timedelta:
    match outcome:
        case Next(delay=delay) | Retry(after=delay):
            return delay
        case Done():
            return NOW


def _detail(outcome: Outcome) -> Data:
    return {"error": outcome.error} if isinstance(outcome, Retry) else outcome.detail


def _claim_parameters(claim: Claim) -> dict[str, Any]:
    return {"p_id": claim.id, "p_owner": claim.owner, "p_fence": claim.fence}


def _key(claim: Claim) -> tuple[str, int]:
    return claim.id, claim.fence


def _lost(claim: Claim) -> ClaimLost:
    return ClaimLost(f"claim {claim.fence} of {claim.id} is over")
