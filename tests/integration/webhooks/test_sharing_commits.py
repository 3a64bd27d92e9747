"""Deliveries that arrive together share commits, and each is answered only after its own."""

import asyncio
from collections.abc import Sequence
from dataclasses import replace

from libs import ids
from libs.sql.engine import Database
from services.webhooks.admission import open_admission
from services.webhooks.domain.delivery import Delivery
from services.webhooks.domain.event import NewEvent, Receipt, State
from services.webhooks.domain.inbox import Inbox
from services.webhooks.events.store import SqlEventStore
from tests.support.event_store import OpenSources, QuietLog, always, open_event_store
from tests.support.lidarr_webhooks import NOON, album, delivery, download


def deliveries(count: int) -> list[Delivery]:
    return [delivery(download(album=album(number + 1))) for number in range(count)]


async def ingest_one_by_one(store: SqlEventStore, many: Sequence[Delivery]) -> tuple[list[object], list[int]]:
    commits: list[int] = []
    async with open_admission(store, committed=commits.append) as admission:
        inbox = Inbox(admission, OpenSources(), ready=always, log=QuietLog(), new_id=lambda: ids.new("evt"))
        outcomes = await asyncio.gather(*(inbox.ingest([each]) for each in many))
    return [outcome for batch in outcomes for outcome in batch], commits


async def test_two_hundred_calls_at_once_share_few_commits(database: Database) -> None:
    store = await open_event_store(database)

    outcomes, commits = await ingest_one_by_one(store, deliveries(200))

    assert len({outcome.event_id for outcome in outcomes if isinstance(outcome, Receipt)}) == 200
    assert sum(commits) == 200
    assert len(commits) <= 5


async def test_two_hundred_redeliveries_are_one_event(database: Database) -> None:
    store = await open_event_store(database)

    outcomes, _ = await ingest_one_by_one(store, deliveries(1) * 200)

    receipts = [outcome for outcome in outcomes if isinstance(outcome, Receipt)]
    [first] = {receipt.event_id for receipt in receipts}
    assert sum(not receipt.duplicate for receipt in receipts) == 1
    assert (await store.get(first)).duplicates == 199


async def test_what_was_answered_is_there(database: Database) -> None:
    store = await open_event_store(database)

    outcomes, _ = await ingest_one_by_one(store, deliveries(50))

    for outcome in outcomes:
        assert isinstance(outcome, Receipt)
        assert (await store.get(outcome.event_id)).id == outcome.event_id


async def test_an_event_that_the_database_refuses_fails_alone(database: Database) -> None:
    store = await open_event_store(database)
    events = [new_event(f"key-{number}") for number in range(20)]
    events[7] = replace(events[7], type="\ud800")

    async with open_admission(store, committed=lambda size: None) as admission:
        results = await asyncio.gather(*map(admission.submit, events), return_exceptions=True)

    assert [number for number, result in enumerate(results) if not isinstance(result, Receipt)] == [7]


async def test_closing_stores_what_was_taken_in(database: Database) -> None:
    store = await open_event_store(database)
    async with open_admission(store, committed=lambda size: None) as admission:
        waiting = [asyncio.create_task(admission.submit(new_event(f"key-{number}"))) for number in range(20)]
        await asyncio.sleep(0)

    assert {(await store.get((await each).event_id)).state for each in waiting} == {State.RECEIVED}


async def test_a_caller_that_hangs_up_does_not_undo_its_event(database: Database) -> None:
    store = await open_event_store(database)
    event = new_event("key")
    async with open_admission(store, committed=lambda size: None) as admission:
        caller = asyncio.create_task(admission.submit(event))
        await asyncio.sleep(0)
        caller.cancel()

    assert (await store.get(event.id)).id == event.id


def new_event(key: str) -> NewEvent:
    event_id = ids.new("evt")
    return NewEvent(id=event_id, source="lidarr", type="Grab", key=key, headers={}, body=b"{}", received_at=NOON)
