"""Events as tests store, claim and settle them."""

from collections.abc import Sequence
from dataclasses import replace
from datetime import timedelta

from sqlalchemy import BigInteger, type_coerce, update

from libs import ids
from libs.sql.engine import Database
from libs.sql.types import duration_ms
from services.webhooks.domain.event import Event, NewEvent, Progress, State
from services.webhooks.domain.lifecycle import Settlement
from services.webhooks.domain.processing import Claimed, Settled
from services.webhooks.tables import work
from tests.support.event_store import EventStore
from tests.support.lidarr_webhooks import NOON

LEASE = timedelta(minutes=10)
HOUR = timedelta(hours=1)
DONE = Settlement(state=State.DONE, progress=Progress(tries=1, acquisitions=("acquisitions/acq-1",)))


def new_event(key: str = "key", **changes: object) -> NewEvent:
    """An event to store."""
    event = NewEvent(
        id=ids.new("evt"),
        source="lidarr",
        type="Grab",
        key=key,
        headers={"user-agent": "Lidarr"},
        body=b'{"eventType": "Grab"}\n',
        received_at=NOON,
    )
    return replace(event, **changes)  # type: ignore[arg-type] # the changes are the test's own


async def pass_time(database: Database, by: timedelta) -> None:
    """Let everything that is timed be so much nearer: as if the database's clock had moved on."""
    job, shift = work.work, duration_ms(by)
    times = (job.c.due, job.c.lease_until, job.c.created, job.c.updated)
    async with database.writing() as connection:
        await connection.execute(update(job).values({time: type_coerce(time, BigInteger) - shift for time in times}))


async def stored(store: EventStore, key: str = "key", **changes: object) -> str:
    """The id of the event with this key."""
    [receipt] = await store.add([new_event(key, **changes)])
    return receipt.event_id


async def claimed(store: EventStore, limit: int = 64) -> Sequence[Claimed]:
    """Whatever is due."""
    return await store.claim(limit, LEASE)


async def settle(store: EventStore, claim: Claimed, settlement: Settlement = DONE, *, seconds: float = 0) -> bool:
    """Settle one claim; whether its lease still held."""
    kept = await store.settle([Settled(claimed=claim, settlement=settlement, seconds=seconds)])
    return claim.event.id in kept


async def after(store: EventStore, settlement: Settlement, key: str = "key", **changes: object) -> Event:
    """An event to which this has happened."""
    event_id = await stored(store, key, **changes)
    [claim] = [claim for claim in await claimed(store) if claim.event.id == event_id]
    assert await settle(store, claim, settlement)
    return await store.get(event_id)
