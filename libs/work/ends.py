"""Ends steps within a transaction: the guarded update, then the rows of the step and the signals that it has read."""

from collections.abc import Sequence
from datetime import timedelta
from typing import Any

import orjson
from sqlalchemy import ColumnElement, update
from sqlalchemy.ext.asyncio import AsyncConnection

from libs.errors import AppError
from libs.sql.types import duration_ms
from libs.work import statements
from libs.work.errors import ClaimLost
from libs.work.job import KEEP, NOW, Claim, Data, Done, Finish, Next, Outcome, Retry
from libs.work.tables import WorkTables


class Ends:
    """Ends the steps of claims that still hold, all of one owner."""

    def __init__(self, tables: WorkTables, now: ColumnElement[int], dialect: str) -> None:
        self._signal = tables.signal
        self._lock_held = statements.lock_held(tables)
        self._finish = statements.finish(tables, now, dialect)

    async def one_apart(self, connection: AsyncConnection, finish: Finish) -> int | AppError:
        """Ends one of many whose own rows may be refused: only it is undone."""
        try:
            async with connection.begin_nested():
                return await self.one(connection, finish)
        except AppError as error:
            return error

    async def one(self, connection: AsyncConnection, finish: Finish) -> int:
        """The job's new version; raises ClaimLost, or what the step's own rows raise."""
        version = (await self.many(connection, [finish])).get(key_of(finish.claim))
        if version is None:
            raise lost(finish.claim)
        if finish.outcome.write is not None:
            await finish.outcome.write(connection)
        return version

    async def many(self, connection: AsyncConnection, finishes: Sequence[Finish]) -> dict[tuple[str, int], int]:
        """The new versions of those that held, by `key_of`; their own rows are not written."""
        if not finishes:
            return {}
        owner = {"p_owner": finishes[0].claim.owner}
        if len(finishes) > 1 and connection.dialect.name == "postgresql":
            await connection.execute(self._lock_held, owner)
        ends = {"p_ends": orjson.dumps([_ended_row(finish) for finish in finishes]).decode()}
        versions = {(row[0], row[1]): int(row[2]) for row in await connection.execute(self._finish, ends)}
        held = [finish for finish in finishes if key_of(finish.claim) in versions]
        await self._consume(connection, held)
        return versions

    async def _consume(self, connection: AsyncConnection, finishes: Sequence[Finish]) -> None:
        table = self._signal
        for finish in finishes:
            if finish.read_through and not isinstance(finish.outcome, Retry):
                read = (table.c.job_id == finish.claim.id) & (table.c.seq <= finish.read_through) & ~table.c.consumed
                await connection.execute(update(table).where(read).values(consumed=True))


def _ended_row(finish: Finish) -> tuple[Any, ...]:
    """How the job stands after this step, in the order of the columns `end_*`."""
    claim, outcome = finish.claim, finish.outcome
    retry, done = isinstance(outcome, Retry), isinstance(outcome, Done)
    data = claim.data if isinstance(outcome, Retry) or outcome.data is KEEP else outcome.data
    schema = None if isinstance(outcome, Retry) else outcome.data_schema
    return (
        claim.id,
        claim.owner,
        claim.fence,
        outcome.queue or claim.queue if isinstance(outcome, Next) else claim.queue,
        outcome.kind or claim.kind if isinstance(outcome, Next) else claim.kind,
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


def detail_of(outcome: Outcome) -> Data:
    """What is told about the change."""
    return {"error": outcome.error} if isinstance(outcome, Retry) else outcome.detail


def key_of(claim: Claim) -> tuple[str, int]:
    """Which claim it is."""
    return claim.id, claim.fence


def lost(claim: Claim) -> ClaimLost:
    """What to raise for a claim that holds no longer."""
    return ClaimLost(f"claim {claim.fence} of {claim.id} is over")
