"""Where events come in: of all deliveries with one key the first is the event, and one that contradicts it is kept."""

import hashlib
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from typing import Any, NamedTuple

import orjson
from sqlalchemy import Text, bindparam, insert, select, tuple_, update
from sqlalchemy.ext.asyncio import AsyncConnection

from libs.errors import Unavailable
from libs.sql.engine import Database
from libs.sql.types import now_ms
from libs.work.job import NewJob
from libs.work.outbox import SqlOutbox
from libs.work.statements import Kind, rows_of
from libs.work.store import SqlWorkStore
from services.webhooks import rows
from services.webhooks.domain.event import DeadReason, NewEvent, Origin, Progress, Receipt, State
from services.webhooks.tables import event, event_body, event_fact, work

Key = tuple[str, str]

_FACT: dict[str, Kind] = {"event_id": Text(), "key": Text()}


class EventVanished(Unavailable):
    """The event that a delivery repeats was removed in this moment: the sender may try again."""

    reason = "EVENT_VANISHED"


class _Owner(NamedTuple):
    """The event that has a key; one from before there were hashes has none."""

    id: str
    origin: str
    sha256: bytes | None


@dataclass(frozen=True, slots=True)
class _Arrival:
    """A new event; `rival` has the same key and another body."""

    new: NewEvent
    sha256: bytes
    rival: str | None = None

    @property
    def key(self) -> Key:
        """What is unique; the same contradiction, told again, is a duplicate of itself."""
        key = self.new.key if self.rival is None else f"{self.new.key}#{self.sha256.hex()}"
        return self.new.source, key

    @property
    def state(self) -> State:
        """Where it begins; only RECEIVED goes on from there."""
        if self.rival is not None:
            return State.DEAD
        return State.IGNORED if self.new.ignored else State.RECEIVED

    @property
    def note(self) -> str:
        """Why it ends where it begins."""
        return f"events/{self.rival} has the same delivery id and another body" if self.rival else self.new.ignored

    def contradicts(self, owner: _Owner) -> bool:
        """Whether its sender told another body under the same key. What we find ourselves, we word ourselves."""
        delivered = owner.origin == self.new.origin == Origin.DELIVERY
        return delivered and owner.sha256 not in (None, self.sha256)


class SqlIntake:
    """Stores new events, each with its body, its facts and its job, in few statements for all of them."""

    def __init__(self, database: Database, jobs: SqlWorkStore, outbox: SqlOutbox) -> None:
        self._database = database
        self._jobs = jobs
        self._outbox = outbox
        self._insert_new = (
            rows.INSERTS[database.dialect](event)
            .values(duplicates=0, updated_at=now_ms(), stored_on=rows.TODAY)
            .on_conflict_do_nothing(index_elements=[event.c.source, event.c.dedup_key])
            .returning(event.c.id, event.c.stored_on)
        )
        facts = rows_of("p_facts", _FACT, database.dialect)
        self._insert_facts = insert(event_fact).from_select(list(_FACT), facts)

    async def add(self, events: Sequence[NewEvent]) -> list[Receipt]:
        """As SqlEventStore.add."""
        arrivals = [_Arrival(new, hashlib.sha256(new.body).digest()) for new in events]
        async with self._database.writing() as connection:
            owners = await self._owners(connection, arrivals)
            arrivals = [_checked(arrival, owners[arrival.key]) for arrival in arrivals]
            if rivals := [arrival for arrival in arrivals if arrival.rival is not None]:
                owners |= await self._owners(connection, rivals)
            receipts = [_receipt(arrival, owners[arrival.key]) for arrival in arrivals]
            await self._count(connection, [receipt.event_id for receipt in receipts if receipt.duplicate])
        return receipts

    async def _owners(self, connection: AsyncConnection, arrivals: Sequence[_Arrival]) -> dict[Key, _Owner]:
        """Which event has each key, now that all are stored whose key nobody had."""
        firsts = {arrival.key: arrival for arrival in reversed(arrivals)}
        in_one_order = [firsts[key] for key in sorted(firsts)]  # so that no two batches wait for each other
        stored = await self._store(connection, in_one_order)
        owners = {each.key: _Owner(each.new.id, each.new.origin, each.sha256) for each in stored}
        owners |= await self._known(connection, firsts.keys() - owners.keys())
        if len(owners) < len(firsts):
            raise EventVanished("the first delivery of this event was removed in this moment")
        return owners

    async def _store(self, connection: AsyncConnection, arrivals: Sequence[_Arrival]) -> list[_Arrival]:
        result = await connection.execute(self._insert_new, _ledger_rows(arrivals))
        days: dict[str, int] = {event_id: stored_on for event_id, stored_on in result}
        stored = [arrival for arrival in arrivals if arrival.new.id in days]
        if stored:
            bodies = [_body_row(arrival.new, days[arrival.new.id]) for arrival in stored]
            await connection.execute(insert(event_body), bodies)
            await self._jobs.create_many(connection, [_job(arrival) for arrival in stored])
            await self._relate(connection, stored)
        return stored

    async def _relate(self, connection: AsyncConnection, stored: Sequence[_Arrival]) -> None:
        """Facts of what will be told, and the end of what will not."""
        told = [arrival.new for arrival in stored if not arrival.state.ended]
        if facts := [(new.id, key) for new in told for key in dict.fromkeys(new.facts)]:
            await connection.execute(self._insert_facts, {"p_facts": orjson.dumps(facts).decode()})
        if ended := [arrival.new.id for arrival in stored if arrival.state.ended]:
            await connection.execute(update(work.work).where(work.work.c.id.in_(ended)).values(done=True))

    async def _known(self, connection: AsyncConnection, keys: Iterable[Key]) -> dict[Key, _Owner]:
        wanted = list(keys)
        if not wanted:
            return {}
        key = event.c.source, event.c.dedup_key
        statement = select(*key, event.c.id, event.c.origin, event.c.body_sha256).where(tuple_(*key).in_(wanted))
        return {(row[0], row[1]): _Owner(*row[2:]) for row in await connection.execute(statement)}

    async def _count(self, connection: AsyncConnection, ids: Sequence[str]) -> None:
        """One more duplicate for each id, as often as it is there."""
        counts = Counter(ids)
        if not counts:
            return
        more = {"duplicates": event.c.duplicates + bindparam("p_more"), "updated_at": now_ms()}
        counting = update(event).where(event.c.id == bindparam("p_id")).values(more)
        await connection.execute(counting, [{"p_id": each, "p_more": counts[each]} for each in sorted(counts)])
        await self._tell(connection, sorted(counts))

    async def _tell(self, connection: AsyncConnection, ids: Sequence[str]) -> None:
        """Let watchers know of a change that is not a step of the job."""
        states = select(work.work.c.id, work.work.c.version, work.work.c.state).where(work.work.c.id.in_(ids))
        for job_id, version, state in (await connection.execute(states)).all():
            change = {"job_id": job_id, "version": version, "from_state": state, "to_state": state}
            self._outbox.append(connection, change | {"actor": "sender", "detail": {"duplicate": True}})


def _checked(arrival: _Arrival, owner: _Owner) -> _Arrival:
    return replace(arrival, rival=owner.id) if arrival.contradicts(owner) else arrival


def _receipt(arrival: _Arrival, owner: _Owner) -> Receipt:
    duplicate = owner.id != arrival.new.id
    return Receipt(event_id=owner.id, duplicate=duplicate, conflict=arrival.rival is not None and not duplicate)


def _ledger_rows(arrivals: Sequence[_Arrival]) -> list[dict[str, Any]]:
    """Their rows in the ledger; where all are plain deliveries, the columns' own defaults say so for less."""
    plain = [_plain_row(arrival) for arrival in arrivals]
    if all(arrival.rival is None and arrival.new.origin is Origin.DELIVERY for arrival in arrivals):
        return plain
    return [row | _peculiarities(arrival) for row, arrival in zip(plain, arrivals, strict=True)]


def _plain_row(arrival: _Arrival) -> dict[str, Any]:
    new = arrival.new
    return {
        "id": new.id,
        "source": new.source,
        "type": new.type,
        "dedup_key": arrival.key[1],
        "body_size": len(new.body),
        "received_at": new.received_at,
        "body_sha256": arrival.sha256,
    }


def _peculiarities(arrival: _Arrival) -> dict[str, Any]:
    return {
        "origin": arrival.new.origin,
        "reason": DeadReason.KEY_CONFLICT if arrival.rival else "",
        "conflicting_event": arrival.rival,
    }


def _body_row(new: NewEvent, stored_on: int) -> dict[str, Any]:
    return {"stored_on": stored_on, "event_id": new.id, "headers": dict(new.headers), "body": new.body}


def _job(arrival: _Arrival) -> NewJob:
    return NewJob(
        id=arrival.new.id,
        queue=rows.QUEUE,
        kind=rows.KIND,
        state=arrival.state,
        data=rows.data_of(Progress(error=arrival.note)) if arrival.note else {},
        order_key=arrival.new.order_key,
        detail={"sha256": arrival.sha256.hex()},
    )
