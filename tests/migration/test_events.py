"""Events that are older than the second migration are found by what it added."""

import json

from sqlalchemy import text

from libs.sql.engine import Database
from libs.sql.migrations import migrate
from libs.sql.paging import PageTokens
from services.webhooks import migrations
from services.webhooks.domain.catalogue import Query
from services.webhooks.domain.event import DeadReason, State
from services.webhooks.events.store import SqlEventStore

_EVENT = text(
    "INSERT INTO event (id, source, type, dedup_key, body_size, duplicates, received_at, updated_at)"
    " VALUES (:id, 'lidarr', 'Grab', :id, 2, 0, 1750000000000, 1750000000000)"
)
_BODY = text("INSERT INTO event_body (event_id, headers, body) VALUES (:id, '{}', :body)")
_WORK = text(
    "INSERT INTO work (id, queue, kind, state, done, version, data, data_schema, due, fence, attempt, crashes, error,"
    " cancel_requested, signal_seq, request_id, traceparent, created, updated)"
    " VALUES (:id, 'webhooks', 'event', :state, true, 2, :data, 1, 0, 1, 0, 0, :error, false, 0, '', '', 0, 0)"
)


async def _old_event(database: Database, event_id: str, state: State, *, acquisitions: list[str], error: str) -> None:
    data = {"tries": 1, "failures": 0, "unmatchedSince": None, "acquisitions": acquisitions, "error": error}
    async with database.writing() as connection:
        await connection.execute(_EVENT, {"id": event_id})
        await connection.execute(_BODY, {"id": event_id, "body": b"{}"})
        job = {"id": event_id, "state": state, "data": json.dumps(data), "error": error}
        await connection.execute(_WORK, job)


async def test_old_events_keep_their_acquisitions_and_name_why_they_are_dead(database: Database) -> None:
    await migrate(database, package=migrations.__name__, head="0001")
    await _old_event(database, "evt-done", State.DONE, acquisitions=["acquisitions/acq-1"], error="")
    await _old_event(database, "evt-dead", State.DEAD, acquisitions=[], error="the body is not JSON: odd")

    await migrate(database, package=migrations.__name__, head=migrations.HEAD)

    store = SqlEventStore(database, PageTokens(b"key"))
    related = await store.page(Query(filter='acquisition = "acquisitions/acq-1"'))
    dead = await store.page(Query(filter="state = DEAD"))
    assert [event.id for event in related.events] == ["evt-done"]
    assert [(event.id, event.reason) for event in dead.events] == [("evt-dead", DeadReason.UNREADABLE)]
    assert (await store.get("evt-done")).body == b"{}"


async def test_what_a_replica_of_the_older_version_stores_meanwhile_can_be_read(database: Database) -> None:
    await migrate(database, package=migrations.__name__, head=migrations.HEAD)

    await _old_event(database, "evt-new", State.DONE, acquisitions=[], error="")

    assert (await SqlEventStore(database, PageTokens(b"key")).get("evt-new")).body == b"{}"
