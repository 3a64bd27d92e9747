"""Durable work on a service's own database: every statement that touches a job or its lease.

Methods that take a connection belong to the caller's `Database.writing()` transaction; the others are one of their own.
"""

from collections.abc import AsyncIterator, Awaitable, Callable, Collection, Mapping, Sequence
from contextlib import asynccontextmanager
from datetime import timedelta
from typing import Any, cast

import orjson
from sqlalchemy import ColumnElement, Select, Update, func, select, update
from sqlalchemy.exc import IntegrityError
from sqlalchemy.ext.asyncio import AsyncConnection

from libs.errors import AppError
from libs.sql.engine import Database
from libs.sql.types import duration_ms, from_millis, now_ms
from libs.telemetry import correlation
from libs.work import levers, statements
from libs.work.ends import Ends, detail_of, key_of, lost
from libs.work.errors import JobActive, JobChanged, JobNotDone, JobNotFound
from libs.work.inbox import NewSignal, SqlInbox
from libs.work.job import (
    KEEP,
    NOW,
    Backlog,
    Claim,
    Data,
    Event,
    Finish,
    Held,
    Keep,
    NewJob,
    Outcome,
    QueueState,
    Signal,
    ensure_priority,
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
        self._claim_ending = statements.claim(tables, self._now, parked, ending=True)
        self._one_after_the_other = parked is not None and database.dialect == "postgresql"
        self._lock_held = statements.lock_held(tables)
        self._heartbeat = statements.heartbeat(tables, self._now)
        self._release = statements.release(tables, self._now)
        self._guard = statements.guard(tables)
        self._ends = Ends(tables, self._now, database.dialect)
        self._make = statements.make(tables, self._now, database.dialect)
        self._create = statements.create(tables, self._now, database.dialect)
        self.inbox = SqlInbox(tables, self._now, database.dialect)
        self._cancel = statements.request_cancel(tables, self._now)
        self._set_paused = levers.set_paused(tables, self._now)
        self._set_priority = levers.set_priority(tables, self._now)
        self._pauses = levers.pauses(tables)
        self._backlog = levers.backlog(tables, self._now)

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

    async def set_paused(
        self, connection: AsyncConnection, job_id: str, paused: bool, *, version: int | None = None, actor: str = ""
    ) -> bool:
        """Keeps a job from running, or lets it go on; a running step is stopped by its next heartbeat.

        False when it was so before or the job has ended. Raises JobChanged and JobNotFound. A cancellation passes.
        """
        return await self._set(connection, self._set_paused, job_id, "paused", paused, version, actor)

    async def set_priority(
        self, connection: AsyncConnection, job_id: str, priority: int, *, version: int | None = None, actor: str = ""
    ) -> bool:
        """Lets a job be claimed before those with lower priorities, 1 to 10.

        False when it had it before or has ended. Raises JobChanged, JobNotFound, and InvalidArgument for a number
        outside.
        """
        ensure_priority(priority)
        return await self._set(connection, self._set_priority, job_id, "priority", priority, version, actor)

    async def reopen(
        self,
        connection: AsyncConnection,
        job_id: str,
        *,
        state: str,
        queue: str | None = None,
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
        changes = _origin() | {name: each for name, each in (("queue", queue), ("kind", kind)) if each is not None}
        changes |= {} if data is KEEP else {"data": data}
        statement = statements.reopen(self._tables, self._now).values(state=state, **changes)
        try:
            after = (await connection.execute(statement, {"p_id": job_id})).scalar_one()
        except IntegrityError as error:
            raise JobActive(f"another job like {job_id} is active") from error
        self._record(connection, job_id, after, (before.state, state), actor=actor)
        return int(after)

    # Claims: what a worker does.

    async def claim(self, queue: str, owner: str, limit: int, ttl: timedelta) -> list[Claim]:
        """Takes up to `limit` due jobs of a queue for `ttl`, none while it is paused."""
        return await self._taken(self._claim, queue, owner, limit, ttl)

    async def claim_ending(self, queue: str, owner: str, limit: int, ttl: timedelta) -> list[Claim]:
        """As `claim`, but only those that are to be cancelled, whatever is due before them."""
        return await self._taken(self._claim_ending, queue, owner, limit, ttl)

    async def _taken(self, statement: Update, queue: str, owner: str, limit: int, ttl: timedelta) -> list[Claim]:
        parameters = {"p_queue": queue, "p_owner": owner, "p_limit": limit, "p_ttl": duration_ms(ttl)}
        async with self._database.writing() as connection:
            if self._one_after_the_other:
                await connection.execute(statements.ORDER_LOCK)
            rows = (await connection.execute(statement, parameters)).mappings().all()
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
            raise lost(claim)

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
            self._tell(connection, finish, await self._ends.one(connection, finish))
            yield connection

    async def finish_many(self, finishes: Sequence[Finish], *, also: Also | None = None) -> list[int | AppError]:
        """Ends many steps in one transaction: each has its new version or its own error, ClaimLost among them.

        `also` writes domain rows for all that held; one that raises anything but AppError fails the transaction.
        """
        results: dict[tuple[str, int], int | AppError] = {}
        async with self._database.writing() as connection:
            together = [finish for finish in finishes if finish.outcome.write is None]
            results |= await self._ends.many(connection, together)
            for finish in finishes:
                if finish.outcome.write is not None:
                    results[key_of(finish.claim)] = await self._ends.one_apart(connection, finish)
            held = [finish for finish in finishes if isinstance(results.get(key_of(finish.claim)), int)]
            for finish in held:
                self._tell(connection, finish, cast(int, results[key_of(finish.claim)]))
            if also is not None and held:
                await also(connection, held)
        return [results.get(key_of(finish.claim)) or lost(finish.claim) for finish in finishes]

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

    async def pauses(self, claim: Claim) -> list[tuple[str, str]]:
        """What keeps the claim's job from running, with the reasons: its switches, or the job itself."""
        async with self._database.reading() as connection:
            rows = await connection.execute(self._pauses, {"p_id": claim.id, "p_queue": claim.queue})
            return [(row[0], row[1]) for row in rows]

    async def backlog(self, queues: Collection[str]) -> dict[str, Backlog]:
        """What is unfinished in each of the queues, by the database's clock."""
        async with self._database.reading() as connection:
            rows = (await connection.execute(self._backlog, {"p_queues": list(queues)})).mappings().all()
        return dict.fromkeys(queues, Backlog()) | {row["queue"]: _backlog(row) for row in rows}

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

    async def census(self, queues: Collection[str]) -> dict[str, tuple[int, timedelta]]:
        """How many unfinished jobs of the queues are in each state, and how long ago the oldest of them was made."""
        work = self._tables.work.c
        statement = (
            select(work.state, func.count(), func.min(work.created), self._now)
            .where(self._tables.unfinished, work.queue.in_(list(queues)))
            .group_by(work.state)
        )
        async with self._database.reading() as connection:
            rows = (await connection.execute(statement)).all()
        return {state: (count, max(NOW, from_millis(now) - oldest)) for state, count, oldest, now in rows}

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

    def _tell(self, connection: AsyncConnection, finish: Finish, version: int) -> None:
        states = (finish.claim.state, finish.outcome.state or finish.claim.state)
        self._record(connection, finish.claim.id, version, states, actor=finish.actor, detail=detail_of(finish.outcome))

    async def _set(
        self,
        connection: AsyncConnection,
        statement: Update,
        job_id: str,
        name: str,
        value: int,
        version: int | None,
        actor: str,
    ) -> bool:
        """Changes what people decide about an unfinished job."""
        await self._checked(connection, job_id, version)
        row = (await connection.execute(statement, {"p_id": job_id, "p_value": value})).first()
        if row is None:
            return False
        self._record(connection, job_id, row[0], (row[1], row[1]), actor=actor, detail={name: value})
        return True

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


def _backlog(row: Mapping[str, Any]) -> Backlog:
    counts = {name: row[name] for name in ("running", "paused", "due", "waiting")}
    return Backlog(**counts, overdue=timedelta(milliseconds=row["overdue"]))


def _claim_parameters(claim: Claim) -> dict[str, Any]:
    return {"p_id": claim.id, "p_owner": claim.owner, "p_fence": claim.fence}
