"""Proves that the records of a chain are as they were written: which one is wrong first, in words.

Nobody without the key can change, add, move or remove records, or make steps over them. What a chain cannot tell by
itself is that its newest steps were cut off, or all of it: the former shows in jobs that are further than their records
(and in SQLite's own count); for the latter compare the numbers with those of an earlier proof.
"""

import hmac
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Any, Final

from sqlalchemy import BigInteger, Row, Select, func, select, text, type_coerce
from sqlalchemy.ext.asyncio import AsyncConnection

from libs.sql.engine import Database
from libs.work.chain import ANCHOR, GENESIS, Record, anchor_of, line_of, records, step_of
from libs.work.tables import WorkTables

_STEPS: Final = 50  # that are read at once
_MARGIN: Final = 10_000  # milliseconds that a record may be younger than its job
_BEFORE_ALL: Final = -(2**63)
_ONE_MOMENT: Final = text("SET TRANSACTION ISOLATION LEVEL REPEATABLE READ")
_COUNTED: Final = text("SELECT seq FROM sqlite_sequence WHERE name = 'work_event'")


@dataclass(frozen=True, slots=True, kw_only=True)
class Proof:
    """What a check has found: `fault` is empty where all is well; `complete` when it reached the newest record."""

    fault: str = ""
    first: int = 0
    last: int = 0
    count: int = 0
    complete: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class _Place:
    """How far a check is: behind that number, after that hash; `found` is the proof so far."""

    after: int
    previous: bytes | None  # None before the oldest
    found: Proof


class Prover:
    """Checks the chain over one service's records, some steps at a time, beside those who write."""

    def __init__(self, database: Database, tables: WorkTables, key: bytes) -> None:
        self._database = database
        self._tables = tables
        self._key = key

    async def prove(self, after: int, limit: int) -> Proof:
        """Checks at least `limit` records behind a number, in whole steps: the one that holds the next number first."""
        place = await self._start(after)
        while not (place.found.fault or place.found.complete or place.found.count >= limit):
            place = await self._some(place)
        return place.found

    async def _start(self, after: int) -> _Place:
        chain = self._tables.chain
        before = select(chain.c.last_seq, chain.c.hash).where(chain.c.last_seq <= after)
        async with self._database.reading() as connection:
            row = (await connection.execute(before.order_by(chain.c.last_seq.desc()).limit(1))).first()
        if row is None:
            return _Place(after=_BEFORE_ALL, previous=None, found=Proof())
        return _Place(after=row.last_seq, previous=row.hash, found=Proof(last=row.last_seq))

    async def _some(self, place: _Place) -> _Place:
        """The next steps with their records, as they are at one moment."""
        chain = self._tables.chain
        following = select(chain).where(chain.c.last_seq > place.after).order_by(chain.c.last_seq).limit(_STEPS)
        async with self._database.reading() as connection:
            if connection.dialect.name == "postgresql":
                await connection.execute(_ONE_MOMENT)
            steps = (await connection.execute(following)).all()
            if not steps:
                return replace(place, found=await self._end(connection, place))
            given = records(self._tables, place.after).where(self._tables.event.c.seq <= steps[-1].last_seq)
            written = [tuple(row) for row in await connection.execute(given)]
        for step, of_step in _parted(steps, written):
            place = self._checked(place, step, of_step)
            if place.found.fault:
                break
        return place

    def _checked(self, place: _Place, step: Row[Any], written: Sequence[Record]) -> _Place:
        found = place.found
        if step.first_seq == ANCHOR:
            fault = self._anchor_fault(step, written)
            return _Place(
                after=step.last_seq, previous=step.hash, found=replace(found, fault=fault, last=step.last_seq)
            )
        proof = replace(
            found,
            fault=self._fault(place, step, written),
            first=found.first or step.first_seq,
            last=step.last_seq,
            count=found.count + len(written),
        )
        return _Place(after=step.last_seq, previous=step.hash, found=proof)

    def _anchor_fault(self, step: Row[Any], written: Sequence[Record]) -> str:
        """An anchor stands for all records up to it, which retention removed, perhaps while this check runs."""
        if not hmac.compare_digest(step.previous, anchor_of(self._key, step.last_seq, step.hash)):
            return f"the anchor at {step.last_seq} is not ours: older records were removed by somebody else"
        if written:
            return f"record {written[0][0]} is foreign: all up to {step.last_seq} were removed"
        return ""

    def _fault(self, place: _Place, step: Row[Any], written: Sequence[Record]) -> str:
        if step.previous != (GENESIS if place.previous is None else place.previous):
            return f"the step at {step.first_seq} does not follow on the one before: what was between them is missing"
        if written and written[0][0] < step.first_seq:
            return f"record {written[0][0]} is foreign: no step covers it"
        for expected, record in enumerate(written, start=step.first_seq):
            if record[0] != expected:
                return f"record {expected} is missing"
        if len(written) <= step.last_seq - step.first_seq:
            return f"record {step.first_seq + len(written)} is missing"
        seal = step_of(self._key, step.previous)
        for record in written:
            seal.update(line_of(record))
        if not hmac.compare_digest(seal.digest(), step.hash):
            return f"a record from {step.first_seq} to {step.last_seq} was changed, or the hash over them"
        return ""

    async def _end(self, connection: AsyncConnection, place: _Place) -> Proof:
        """What only shows behind the newest step."""
        event = self._tables.event
        foreign = await connection.scalar(select(func.min(event.c.seq)).where(event.c.seq > place.after))
        if foreign is not None:
            return replace(place.found, fault=f"record {foreign} is foreign: no step covers it", complete=True)
        return replace(place.found, fault=await self._cut(connection, place.after), complete=True)

    async def _cut(self, connection: AsyncConnection, last: int) -> str:
        """Whether the newest records are missing together with their steps."""
        if connection.dialect.name == "sqlite" and (counted := await connection.scalar(_COUNTED) or 0) > max(last, 0):
            return f"the newest records are missing: they were counted up to {counted}, the last one is {last}"
        job = await connection.scalar(self._further_than_its_records(last))
        return "" if job is None else f"the newest records are missing: {job} is further than its last one"

    def _further_than_its_records(self, last: int) -> Select[tuple[str]]:
        work, event = self._tables.work, self._tables.event
        newest = select(func.coalesce(func.max(event.c.version), 0)).where(event.c.job_id == work.c.id)
        then = select(type_coerce(event.c.at, BigInteger)).where(event.c.seq == last).scalar_subquery()
        lately = type_coerce(work.c.updated, BigInteger) >= then - _MARGIN
        return select(work.c.id).where(lately, work.c.version > newest.scalar_subquery()).limit(1)


def _parted(steps: Sequence[Row[Any]], written: Sequence[Record]) -> Iterator[tuple[Row[Any], list[Record]]]:
    """Each step with the records up to its last number."""
    index = 0
    for step in steps:
        begin = index
        while index < len(written) and written[index][0] <= step.last_seq:
            index += 1
        yield step, list(written[begin:index])
